"""What the supervisor decides, case by case. No process is started here."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

from pregen.engines.base import StopLevel
from pregen.engines.local import deaths, events
from pregen.engines.local.deaths import MIXED, MOST_DEATHS, SPARED, STRIKES
from pregen.engines.local.supervisor import FIRST_STARTS, MOST_AHEAD, TICK_NS
from pregen.engines.local.worker_state import ABANDON_NS, GRACE_NS, LEAVE_NS, START_NS
from pregen.model import FAILURES, RECORDED, REMEMBERED, Kind
from tests.engines.simulated import RULES, SEGFAULT, SIGKILL, S, SimWorker, World
from tests.support.faults.harmful_work import job, made

if TYPE_CHECKING:
    from pregen.engines.local.deaths import Death
    from pregen.engines.local.worker_state import Rules
    from pregen.model import Job

SIGTERM = deaths.cause_of(-15)
ABORT = deaths.cause_of(-6)
CPU_TIME = deaths.cause_of(-24)


def one_worker_with(count: int, **rules: Any) -> tuple[World, SimWorker]:
    """Return a world with one worker that has been sent all of `count` jobs."""
    world = World(RULES._replace(workers=1, **rules))
    world.arrive(count)
    world.end_feed()
    (worker,) = world.all_ready()
    return world, worker


def only(world: World) -> SimWorker:
    (worker,) = world.workers.values()
    return worker


# --- crashes ------------------------------------------------------------------------------------


class Crash(NamedTuple):
    how: str
    death: Death
    kind: Kind
    words: str


CRASHES = [
    Crash("segfault", SEGFAULT, Kind.CRASHED, "segmentation fault (SIGSEGV)"),
    Crash("abort", deaths.cause_of(-6), Kind.CRASHED, "aborted (SIGABRT)"),
    Crash("bus error", deaths.cause_of(-7), Kind.CRASHED, "bus error (SIGBUS)"),
    Crash("exit 0", deaths.cause_of(0), Kind.CRASHED, "exited with status 0"),
    Crash("exit 3", deaths.cause_of(3), Kind.CRASHED, "exited with status 3"),
    Crash("unsent SIGKILL", SIGKILL, Kind.OUT_OF_MEMORY, "out-of-memory killer"),
]
crashes = pytest.mark.parametrize("crash", CRASHES, ids=lambda crash: crash.how)


@crashes
def test_a_job_that_kills_two_workers_the_second_time_alone_is_named(crash: Crash) -> None:
    world, worker = one_worker_with(5)
    world.begin(worker)
    world.die(worker, crash.death)
    assert not world.outcomes

    world.all_ready()
    second = only(world)
    assert second.taken == [0]
    world.begin(second)
    world.die(second, crash.death)
    assert world.outcomes[0].kind is crash.kind
    assert crash.words in world.outcomes[0].message
    assert world.outcomes[0].worker_pid == 1000 + second.number

    world.run_to_the_end()
    assert sorted(world.outcomes) == world.arrived
    assert {world.outcomes[number].kind for number in (1, 2, 3, 4)} == {Kind.MADE}


@crashes
def test_a_job_that_dies_once_and_then_works_is_made(crash: Crash) -> None:
    world, worker = one_worker_with(3)
    world.begin(worker)
    world.die(worker, crash.death)
    world.run_to_the_end()
    assert {outcome.kind for outcome in world.outcomes.values()} == {Kind.MADE}


def test_the_rest_of_a_batch_goes_back_without_a_strike() -> None:
    world, worker = one_worker_with(5)
    world.work_off(worker, most=1)
    world.begin(worker)
    world.die(worker)
    for _ in range(2):  # job 2 now dies for the first time, later: it may once
        world.all_ready()
        fresh = only(world)
        world.work_off(fresh, most=1)
        if fresh.queue:
            world.begin(fresh)
            world.die(fresh)
    world.run_to_the_end()
    assert {outcome.kind for outcome in world.outcomes.values()} == {Kind.MADE}


def test_a_job_done_but_not_heard_of_is_done_again() -> None:
    world, worker = one_worker_with(4)
    for _ in range(2):
        world.begin(worker)
        world.end(worker)
    world.begin(worker)
    world.die(worker)
    assert not world.outcomes
    world.run_to_the_end()
    assert sorted(world.outcomes) == world.arrived


def test_a_job_whose_worker_always_dies_just_after_it_is_named() -> None:
    world, worker = one_worker_with(3)
    for _ in range(2):
        world.begin(worker)
        world.end(worker)
        world.die(worker)
        world.all_ready()
        worker = only(world)
    assert world.outcomes[0].kind is Kind.CRASHED
    world.run_to_the_end()
    assert {world.outcomes[1].kind, world.outcomes[2].kind} == {Kind.MADE}


def test_a_suspect_that_was_never_begun_alone_is_tried_alone_again() -> None:
    world, worker = one_worker_with(2)
    world.begin(worker)
    world.die(worker)
    for _ in range(5):
        world.all_ready()
        alone = only(world)
        assert alone.taken == [0]
        world.die(alone)
    assert not world.outcomes
    world.run_to_the_end()
    assert {outcome.kind for outcome in world.outcomes.values()} == {Kind.MADE}


def test_a_signal_from_outside_is_not_the_jobs_fault() -> None:
    world, worker = one_worker_with(1)
    for _ in range(SPARED):
        world.begin(worker)
        world.die(worker, SIGTERM)
        world.all_ready()
        worker = only(world)
    world.run_to_the_end()
    assert world.outcomes[0].kind is Kind.MADE


def die_of(*deaths: Death) -> World:
    """Have a job's worker die so often, if it is tried so often; then let all go well."""
    world, worker = one_worker_with(3)
    for death in deaths:
        world.begin(worker)
        assert worker.in_flight is not None
        assert worker.in_flight.job_id == 0
        world.die(worker, death)
        if 0 in world.outcomes:
            break
        world.all_ready()
        worker = only(world)
    world.run_to_the_end()
    world.check()
    assert sorted(world.outcomes) == world.arrived
    return world


@pytest.mark.parametrize("death", [SIGTERM, deaths.SERVER_LOST], ids=["SIGTERM", "server"])
def test_deaths_from_outside_that_go_on_end_in_an_outcome_that_is_not_remembered(
    death: Death,
) -> None:
    world = die_of(*[death] * MOST_DEATHS)
    assert len(world.deaths[0]) == SPARED + 1
    assert world.outcomes[0].kind is Kind.DISTURBED
    assert death.words in world.outcomes[0].message
    assert Kind.DISTURBED in FAILURES - REMEMBERED - RECORDED


OTHERWISE = [
    pytest.param([SIGKILL, ABORT], Kind.MADE, id="two causes, then it works"),
    pytest.param([SIGTERM, SIGTERM, SEGFAULT], Kind.MADE, id="one of its own among those outside"),
    pytest.param([SEGFAULT, ABORT], Kind.CRASHED, id="faults are one cause"),
    pytest.param([deaths.cause_of(1), deaths.cause_of(2)], Kind.CRASHED, id="exits too"),
    pytest.param([SEGFAULT, SIGTERM, SEGFAULT], Kind.CRASHED, id="twice, with one from outside"),
    pytest.param([SIGKILL, SEGFAULT, SEGFAULT], Kind.CRASHED, id="a stray SIGKILL, then twice"),
    pytest.param([SIGKILL, CPU_TIME, CPU_TIME], Kind.TIMED_OUT, id="the same with time"),
    pytest.param([SEGFAULT, SIGKILL, CPU_TIME], Kind.DISTURBED, id="each time otherwise"),
]


@pytest.mark.parametrize(("deaths", "kind"), OTHERWISE)
def test_only_two_deaths_of_one_cause_are_a_verdict(deaths: list[Death], kind: Kind) -> None:
    assert die_of(*deaths).outcomes[0].kind is kind


def test_no_job_sees_more_deaths_than_promised() -> None:
    mixed = [SEGFAULT, SIGKILL, CPU_TIME]
    assert len(mixed) == MIXED > STRIKES
    world = die_of(*[SIGTERM] * SPARED, *mixed)
    assert len(world.deaths[0]) == MOST_DEATHS
    assert world.outcomes[0].kind is Kind.DISTURBED


def test_a_kill_from_outside_and_a_hang_are_no_verdict() -> None:
    world, worker = one_worker_with(1)
    world.begin(worker)
    world.die(worker, SIGKILL)
    (alone,) = world.all_ready()
    world.begin(alone)
    world.pass_time(11 * S)
    assert alone.signalled[0] == "terminate"
    world.die(alone, SIGKILL)
    assert not world.outcomes
    world.run_to_the_end()
    assert world.outcomes[0].kind is Kind.MADE


def test_a_job_that_begins_in_a_worker_about_to_be_ended_for_another_is_not_blamed() -> None:
    world, worker = one_worker_with(5)
    world.begin(worker)
    world.pass_time(11 * S)
    assert worker.hung == 0
    world.work_off(worker, most=1)  # it comes to its end just before the signal
    world.begin(worker)
    world.die(worker, SIGKILL)
    world.all_ready()
    world.begin(only(world))
    world.die(only(world))
    world.run_to_the_end()
    assert world.causes[1] == [None, deaths.Cause.FAULT]
    assert world.outcomes[1].kind is Kind.MADE


def test_several_suspects_are_each_tried_alone() -> None:
    world = World(RULES._replace(workers=4))
    world.arrive(8)
    world.end_feed()
    for worker in world.all_ready():
        world.begin(worker)
    for worker in list(world.workers.values()):
        world.die(worker)
    suspects = set(world.deaths)
    assert len(suspects) == 4
    for worker in world.all_ready():
        assert len(worker.taken) == 1
        assert worker.taken[0] in suspects
    world.run_to_the_end()
    assert sorted(world.outcomes) == world.arrived


def test_a_suspect_gets_a_worker_even_if_enough_others_are_idle() -> None:
    world = World(RULES._replace(workers=3))
    world.arrive(3)
    world.end_feed()
    first, second, third = world.all_ready()
    world.work_off(second)
    world.work_off(third)
    world.begin(first)
    world.die(first)
    world.run_to_the_end()
    assert sorted(world.outcomes) == world.arrived


# --- hangs --------------------------------------------------------------------------------------


def test_a_job_that_hangs_is_ended_and_tried_alone_and_then_timed_out() -> None:
    world, worker = one_worker_with(3)
    for _ in range(2):
        world.begin(worker)
        world.pass_time(11 * S)
        assert worker.signalled == ["terminate"]
        world.die(worker, SIGTERM)
        world.all_ready()
        worker = only(world)
    assert world.outcomes[0].kind is Kind.TIMED_OUT
    assert "10 s" in world.outcomes[0].message
    world.run_to_the_end()
    assert {world.outcomes[1].kind, world.outcomes[2].kind} == {Kind.MADE}


def test_a_worker_that_survives_sigterm_is_killed_and_then_given_up() -> None:
    world, worker = one_worker_with(2)
    world.begin(worker)
    world.pass_time(11 * S)
    world.pass_time(GRACE_NS)
    assert worker.signalled == ["terminate", "kill"]
    world.pass_time(ABANDON_NS + S)
    assert world.abandoned == [worker.number]
    world.run_to_the_end()
    assert sorted(world.outcomes) == world.arrived


def test_a_big_file_has_more_time() -> None:
    assert RULES.limit_ns(_job_of(0)) == 10 * S
    assert RULES.limit_ns(_job_of(60_000_000)) == 70 * S


def _job_of(size_bytes: int) -> Job:
    return job(0, size_bytes=size_bytes)


def test_an_outcome_that_comes_at_the_last_moment_counts() -> None:
    world, worker = one_worker_with(3)
    world.begin(worker)
    world.pass_time(11 * S)
    world.end(worker)
    world.deliver(worker)
    world.die(worker, SIGTERM)
    assert world.outcomes[0].kind is Kind.MADE
    world.run_to_the_end()
    assert {outcome.kind for outcome in world.outcomes.values()} == {Kind.MADE}


@pytest.mark.parametrize("ticks", [0, 1])
def test_time_in_which_the_run_itself_was_stopped_does_not_count(ticks: int) -> None:
    world, worker = one_worker_with(1)
    world.begin(worker)
    world.pass_time(ticks * TICK_NS)
    world.tick(3600 * S)
    world.pass_time(9 * S)
    assert not worker.signalled
    world.pass_time(2 * S)
    assert worker.signalled


def test_a_worker_that_has_jobs_and_does_none_is_ended_and_nobody_blamed() -> None:
    world, worker = one_worker_with(2)
    world.pass_time(11 * S)
    assert worker.signalled == ["terminate"]
    world.die(worker, SIGTERM)
    world.run_to_the_end()
    assert {outcome.kind for outcome in world.outcomes.values()} == {Kind.MADE}


def test_a_worker_that_never_finishes_starting_is_ended() -> None:
    world = World(RULES._replace(workers=1))
    world.arrive(1)
    worker = only(world)
    world.pass_time(START_NS + S)
    assert worker.signalled == ["terminate"]


# --- pipes --------------------------------------------------------------------------------------


def test_a_living_worker_whose_pipe_is_closed_is_killed_and_its_job_judged() -> None:
    world, worker = one_worker_with(2)
    for _ in range(2):
        world.begin(worker)
        world.close_pipe(worker)
        world.pass_time(GRACE_NS + S)
        assert worker.signalled == ["kill"]
        world.die(worker, SIGKILL)
        world.all_ready()
        worker = only(world)
    assert world.outcomes[0].kind is Kind.CRASHED
    assert "connection" in world.outcomes[0].message


def test_the_true_cause_is_told_if_the_pipe_closes_just_before_the_death() -> None:
    world, worker = one_worker_with(1)
    for _ in range(2):
        world.begin(worker)
        world.close_pipe(worker)
        world.die(worker, SEGFAULT)
        world.all_ready()
        worker = next(iter(world.workers.values()), worker)
    assert "SIGSEGV" in world.outcomes[0].message


# --- start-up -----------------------------------------------------------------------------------


def test_workers_that_never_start_end_the_run_with_their_traceback() -> None:
    world = World(RULES._replace(workers=8))
    world.arrive(100)
    for _ in range(FIRST_STARTS):
        assert world.failed is None
        worker = next(iter(world.workers.values()))
        world.tell(events.WorkerFailed(worker.number, "ImportError: no module named x"))
        world.die(worker, deaths.cause_of(1))
    assert world.failed == events.Fail("ImportError: no module named x", missing=True)


def test_a_start_that_fails_now_and_then_does_not_end_the_run() -> None:
    world = World(RULES._replace(workers=1))
    world.arrive(10)
    world.end_feed()
    for _ in range(FIRST_STARTS - 1):
        world.die(only(world), deaths.cause_of(1))
    world.run_to_the_end()
    assert world.failed is None
    assert sorted(world.outcomes) == world.arrived


def test_a_fork_server_that_ends_under_all_its_first_workers_does_not_end_the_run() -> None:
    world = World(RULES._replace(workers=2 * FIRST_STARTS))
    world.arrive(100)
    world.end_feed()
    for worker in list(world.workers.values()):
        world.die(worker, deaths.SERVER_LOST)
    world.run_to_the_end()
    assert world.failed is None
    assert sorted(world.outcomes) == world.arrived


def test_a_fork_server_that_always_ends_ends_the_run_after_a_while() -> None:
    world = World(RULES._replace(workers=2))
    world.arrive(1)
    for _ in range(1000):
        if world.failed:
            break
        world.die(only(world), deaths.SERVER_LOST)
    assert world.failed == events.Fail(deaths.SERVER_LOST.words, missing=True)


def test_workers_that_always_die_idle_end_the_run_after_a_while() -> None:
    world = World(RULES._replace(workers=1))
    world.arrive(2)  # one alone is given up before that
    for _ in range(1000):
        if world.failed:
            break
        world.all_ready()
        world.die(only(world), SIGKILL)
    assert world.failed is not None
    assert not world.failed.missing


def test_a_worker_that_dies_idle_is_replaced_when_there_is_work() -> None:
    world, worker = one_worker_with(1)
    world.work_off(worker)
    world = World(RULES._replace(workers=1))
    world.arrive(1)
    (worker,) = world.all_ready()
    world.work_off(worker)
    world.die(worker)
    assert not world.workers
    world.arrive(1)
    world.run_to_the_end()
    assert sorted(world.outcomes) == [0, 1]


def test_no_more_workers_are_started_than_there_are_jobs() -> None:
    world = World(RULES._replace(workers=8))
    world.arrive(3)
    assert len(world.workers) == 3


def test_nothing_is_started_for_no_jobs() -> None:
    world = World()
    world.end_feed()
    assert world.finished
    assert not world.workers


# --- memory -------------------------------------------------------------------------------------


def two_asking(
    first_bytes: int, second_bytes: int, rules: Rules = RULES
) -> tuple[World, SimWorker, SimWorker]:
    """Return two workers whose jobs have asked for memory, out of 1000 bytes."""
    world = World(rules)
    world.arrive(8)
    first, second = world.all_ready()
    world.begin(first)
    world.begin(second)
    world.ask(first, first_bytes)
    world.ask(second, second_bytes)
    return world, first, second


def test_what_fits_is_granted_at_once() -> None:
    _, first, second = two_asking(600, 400)
    assert not first.asking
    assert not second.asking


def test_what_does_not_fit_waits_until_the_other_job_is_done() -> None:
    world, first, second = two_asking(600, 401)
    assert not first.asking
    assert second.asking
    world.end(first)
    world.deliver(first)
    assert not second.asking


def test_what_does_not_fit_waits_until_the_other_worker_is_dead() -> None:
    world, first, second = two_asking(600, 401)
    world.die(first)
    assert not second.asking


def test_more_than_everything_is_granted_to_one_that_is_alone() -> None:
    world, first, second = two_asking(1, 5000)
    assert second.asking
    world.end(first)
    world.deliver(first)
    assert not second.asking


def test_waiting_for_memory_is_not_hanging() -> None:
    world, first, second = two_asking(600, 600, RULES._replace(timeout_ns=90 * S))
    world.pass_time(80 * S)  # the first one does not hang
    assert not first.signalled
    assert not second.signalled
    world.end(first)
    world.deliver(first)
    assert not second.asking
    world.pass_time(89 * S)
    assert not second.signalled
    world.pass_time(2 * S)
    assert second.signalled


# --- what a worker says of itself ---------------------------------------------------------------


def test_a_job_whose_workers_die_in_its_turn_and_deny_it_is_tried_alone_and_given_up() -> None:
    world = World()
    world.arrive(30)
    world.end_feed()
    for _ in range(10_000):
        if world.finished:
            break
        world.all_ready()
        for worker in list(world.workers.values()):
            if worker.told_to_quit:
                world.die(worker, SIGKILL)
            elif worker.queue and worker.queue[0].job_id == 7:
                world.die(worker)
            else:
                world.work_off(worker, most=1)
        world.check()
        world.tick()
    assert {number: outcome.kind for number, outcome in world.outcomes.items()} == {
        number: Kind.DISTURBED if number == 7 else Kind.MADE for number in range(30)
    }


def test_a_job_has_begun_when_it_was_first_seen_whatever_its_worker_says() -> None:
    world, worker = one_worker_with(2)
    world.begin(worker)
    for _ in range(9):
        world.pass_time(S)
        worker.started_ns = world.now_ns
    assert not worker.signalled
    world.pass_time(2 * S)
    assert worker.signalled


def test_a_worker_that_reports_nothing_is_ended_whatever_its_slot_says() -> None:
    world, worker = one_worker_with(3)
    for _ in range(20):  # now this job, now none
        world.begin(worker)
        world.pass_time(S)
        worker.queue += [worker.in_flight] if worker.in_flight else []
        worker.in_flight = None
        world.pass_time(S // 2)
    assert worker.signalled


# --- batches ------------------------------------------------------------------------------------


def test_batches_grow_with_fast_jobs_and_stay_bounded() -> None:
    world = World()
    world.arrive(world.supervisor.jobs_wanted)
    for _ in range(12):
        for worker in world.all_ready():
            while worker.queue:
                world.begin(worker)
                world.end(worker)
            world.deliver(worker, busy_ns=1000)
        if world.supervisor.jobs_wanted:
            world.arrive(world.supervisor.jobs_wanted)
        assert len(world.arrived) - len(world.outcomes) <= 2 * MOST_AHEAD
    assert max(len(worker.queue) for worker in world.workers.values()) > 100


def test_slow_jobs_are_handed_out_one_by_one_at_the_end() -> None:
    world = World(RULES._replace(workers=8))
    world.arrive(16)
    workers = world.all_ready()
    for worker in workers:
        world.begin(worker)
    for worker in workers:
        world.end(worker)
        world.deliver(worker, busy_ns=S)
    world.end_feed()
    world.arrive(0)
    assert max(len(worker.owes) for worker in world.workers.values()) <= 2
    world.run_to_the_end()
    assert sorted(world.outcomes) == world.arrived


def test_the_feed_is_not_asked_for_more_than_the_workers_can_use_soon() -> None:
    world = World(RULES._replace(workers=8))
    first = world.supervisor.jobs_wanted
    assert 8 <= first <= 8 * 4 * 10
    world.arrive(first)
    assert world.supervisor.jobs_wanted == 0
    assert not world.supervisor.starved


# --- recycling ----------------------------------------------------------------------------------


def test_a_worker_leaves_after_its_share_of_jobs_and_is_replaced() -> None:
    world, worker = one_worker_with(25, recycle_jobs=10)
    world.work_off(worker)
    assert len(worker.taken) == 10
    assert worker.told_to_quit
    world.die(worker, deaths.cause_of(0))
    world.run_to_the_end()
    assert sorted(world.outcomes) == world.arrived


def test_a_worker_that_has_grown_leaves_when_it_owes_nothing() -> None:
    world, worker = one_worker_with(25)
    world.begin(worker)
    world.end(worker)
    world.deliver(worker, rss_bytes=RULES.recycle_growth_bytes + 1)
    taken = list(worker.taken)
    world.work_off(worker)
    assert worker.taken == taken
    assert worker.told_to_quit


def test_a_worker_told_to_leave_that_stays_is_killed() -> None:
    world, worker = one_worker_with(25, recycle_jobs=10)
    world.work_off(worker)
    world.pass_time(LEAVE_NS + S)
    assert worker.signalled == ["kill"]


# --- stop ---------------------------------------------------------------------------------------


def test_a_drain_lets_the_jobs_in_flight_finish_and_interrupts_the_others() -> None:
    world = World()
    world.arrive(20)
    for worker in world.all_ready():
        world.begin(worker)
    in_flight = {worker.in_flight.job_id for worker in world.workers.values() if worker.in_flight}
    world.stop(StopLevel.DRAIN)
    assert not world.finished
    world.run_to_the_end()
    assert sorted(world.outcomes) == world.arrived
    made = {number for number, outcome in world.outcomes.items() if outcome.kind is Kind.MADE}
    assert made == in_flight
    assert len(in_flight) == 2


def test_a_death_while_draining_interrupts_its_job() -> None:
    world, worker = one_worker_with(4)
    world.begin(worker)
    world.stop(StopLevel.DRAIN)
    world.die(worker)
    assert world.finished
    assert {outcome.kind for outcome in world.outcomes.values()} == {Kind.INTERRUPTED}


def test_a_kill_interrupts_everything_at_once() -> None:
    world = World()
    world.arrive(20)
    for worker in world.all_ready():
        world.begin(worker)
    world.stop(StopLevel.KILL)
    assert world.finished
    assert sorted(world.outcomes) == world.arrived
    assert all(worker.signalled == ["kill"] for worker in world.workers.values())


def test_a_kill_after_a_drain_interrupts_what_is_left() -> None:
    world, worker = one_worker_with(4)
    world.begin(worker)
    world.stop(StopLevel.DRAIN)
    world.stop(StopLevel.KILL)
    assert world.finished
    assert sorted(world.outcomes) == world.arrived


def test_jobs_that_arrive_after_a_drain_are_interrupted() -> None:
    world, worker = one_worker_with(2)
    world.begin(worker)
    world.stop(StopLevel.DRAIN)
    world.arrive(3)
    assert {world.outcomes[number].kind for number in (2, 3, 4)} == {Kind.INTERRUPTED}


def test_an_outcome_nobody_asked_for_is_ignored() -> None:
    world, worker = one_worker_with(1)
    world.tell(events.OutcomesReceived(worker.number, (made(job(77)),), 1, 0))
    assert 77 not in world.outcomes
