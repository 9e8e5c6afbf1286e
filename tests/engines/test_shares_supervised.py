"""What the supervisor does with jobs on shares, case by case. No process is started here."""

from __future__ import annotations

import pytest

from pregen.engines.local import events
from pregen.engines.local.share_state import (
    MOST_JOBS_AHEAD,
    QUIET_NS,
    STALLED_NS,
    ReaderRules,
)
from pregen.model import Kind
from tests.engines.simulated import RULES, S, SimWorker, World

DEAD, LIVE = 7, 8


def shares_of(worker: SimWorker) -> set[int]:
    return {job.share for job in worker.queue}


def world_of(
    workers: int, ahead_bytes: int = 1 << 25, recycle_jobs: int = RULES.recycle_jobs
) -> World:
    rules = RULES._replace(workers=workers, timeout_ns=60 * S, recycle_jobs=recycle_jobs)
    return World(rules._replace(reading=ReaderRules(60 * S, ahead_bytes)))


def test_jobs_of_a_share_are_sent_ahead_and_shared_out() -> None:
    world = world_of(2)
    world.arrive(100, LIVE)
    first, second = world.all_ready()
    assert len(first.queue) == MOST_JOBS_AHEAD
    assert len(second.queue) == MOST_JOBS_AHEAD
    world.work_off(first, most=1)
    assert len(first.queue) == MOST_JOBS_AHEAD


def test_no_more_is_sent_ahead_than_may_be_in_memory_but_two() -> None:
    world = world_of(1, ahead_bytes=0)
    world.arrive(20, LIVE)
    (worker,) = world.all_ready()
    assert len(worker.queue) == 2


def test_two_shares_do_not_wait_for_each_other() -> None:
    world = world_of(2)
    world.arrive(40, DEAD, LIVE)
    first, second = world.all_ready()
    assert [shares_of(first), shares_of(second)] == [{DEAD}, {LIVE}]
    world.silent = {DEAD}
    world.pass_time(STALLED_NS + S)
    world.work_off(second)
    assert {job_id % 2 for job_id in world.outcomes} == {1}
    assert len(world.outcomes) == 20


@pytest.mark.parametrize("elsewhere", [0, LIVE])
def test_workers_are_shared_out_over_what_has_jobs(elsewhere: int) -> None:
    """What they have of the first share when the second one is found, they return in part."""
    world = world_of(4)
    world.arrive(200, DEAD)
    workers = world.all_ready()
    world.silent = {DEAD}
    world.arrive(100, elsewhere)
    for _ in range(3):
        for worker in workers:
            world.begin(worker)
        world.tick()
    there = [shares_of(worker).pop() for worker in workers if worker.queue]
    assert sorted(there) == sorted([elsewhere, elsewhere, DEAD, DEAD])
    for worker in workers:
        world.work_off(worker)
    assert len(world.outcomes) == 100
    world.silent = set()
    world.run_to_the_end()
    assert len(world.outcomes) == 300


def test_a_worker_that_gets_something_returns_nothing_for_the_sake_of_a_few() -> None:
    """What it has read would be lost: it comes when it has done what it has."""
    world = world_of(2)
    world.arrive(80, DEAD)
    workers = world.all_ready()
    world.arrive(5, LIVE)
    for _ in range(30):
        for worker in workers:
            assert not worker.recalled or len(worker.queue) <= 5
            world.work_off(worker, most=1)
        world.tick()
    assert set(range(80, 85)) & world.outcomes.keys()
    assert shares_of(workers[0]) == {DEAD}
    assert len(workers[0].taken) > len(workers[1].taken)


def test_one_that_gets_nothing_returns_its_jobs_for_the_sake_of_a_few() -> None:
    """Long before its share counts as one that does not answer; another waits there on."""
    world = world_of(2)
    world.arrive(80, DEAD)
    before = world.all_ready()
    world.silent = {DEAD}
    world.arrive(5, LIVE)
    world.pass_time(QUIET_NS + S // 10)
    for worker in before:
        world.work_off(worker)
    assert sorted(world.outcomes) == [80, 81, 82, 83, 84]
    assert list(world.workers.values()) == before


def test_a_worker_in_the_middle_of_a_job_returns_the_others() -> None:
    world = world_of(2)
    world.arrive(80, LIVE)
    workers = world.all_ready()
    for worker in workers:
        world.begin(worker)
    world.arrive(80, DEAD)
    (recalled,) = (worker for worker in workers if worker.recalled)
    world.give_back(recalled)
    assert not recalled.queue
    world.end(recalled)
    world.deliver(recalled)
    assert shares_of(recalled) == {DEAD}
    world.run_to_the_end()
    assert len(world.outcomes) == 160


def test_a_worker_that_returns_all_it_may_have_makes_room_for_a_new_one() -> None:
    """It is sent no more: were it to stay, the last jobs would wait for it for ever."""
    world = world_of(2, recycle_jobs=MOST_JOBS_AHEAD)
    world.arrive(200, DEAD)
    workers = world.all_ready()
    world.arrive(80, LIVE)
    (recalled,) = (worker for worker in workers if worker.recalled)
    world.give_back(recalled)
    assert recalled.told_to_quit
    world.run_to_the_end()
    assert len(world.outcomes) == 280


def test_the_source_of_a_job_that_was_returned_is_refused() -> None:
    """A thread that reads ahead would wait for the answer for ever."""
    world = world_of(2)
    world.arrive(80, DEAD)
    workers = world.all_ready()
    world.arrive(80, LIVE)
    (recalled,) = (worker for worker in workers if worker.recalled)
    returned = recalled.owes[-1]
    world.give_back(recalled)
    world.tell(events.SourceRequested(recalled.number, returned))
    assert recalled.handed == [b""]
    assert not recalled.signalled


def test_a_worker_that_returns_jobs_without_being_asked_is_ended() -> None:
    world = world_of(2)
    world.arrive(80, DEAD)
    worker = world.all_ready()[0]
    world.give_back(worker)
    assert "kill" in worker.signalled


def test_all_workers_held_up_by_a_share_are_stood_in_for() -> None:
    world = world_of(2)
    world.arrive(80, DEAD)
    before = world.all_ready()
    assert [shares_of(worker) for worker in before] == [{DEAD}, {DEAD}]
    world.silent = {DEAD}
    world.arrive(20, LIVE)
    world.pass_time(STALLED_NS + S)
    others = [worker for worker in world.all_ready() if worker not in before]
    assert len(others) == 2
    assert set.union(*map(shares_of, others)) == {LIVE}
    for worker in others:
        world.work_off(worker)
    assert len(world.outcomes) == 20
    # When it answers again, there are as many workers as before.
    world.silent = set()
    for worker in before:
        world.work_off(worker)
    world.run_to_the_end()
    assert len(world.outcomes) == 100
    assert {outcome.kind for outcome in world.outcomes.values()} == {Kind.MADE}


@pytest.mark.parametrize("shares", [(DEAD, LIVE), (LIVE, DEAD)])
def test_jobs_of_a_share_that_does_not_answer_go_to_the_worker_that_knows_it(
    shares: tuple[int, int],
) -> None:
    """Another one would wait for as long once more."""
    world = world_of(2)
    world.arrive(8, *shares)
    workers = {shares_of(worker).pop(): worker for worker in world.all_ready()}
    knowing, other = workers[DEAD], workers[LIVE]
    world.silent = {DEAD}
    world.pass_time(STALLED_NS + S)
    world.work_off(other)
    world.give_up(knowing)
    for _ in range(3):
        world.arrive(5, DEAD)
        assert not other.queue
        assert shares_of(knowing) == {DEAD}
        world.give_up(knowing)
        world.tick()
    world.die(knowing)  # then another one has to
    world.arrive(5, DEAD)
    world.run_to_the_end()
    assert len(world.outcomes) == 28


def test_more_is_pulled_past_jobs_of_a_share_that_does_not_answer() -> None:
    world = world_of(1)
    world.arrive(world.supervisor.jobs_wanted, DEAD)
    world.arrive(world.supervisor.jobs_wanted, DEAD)
    world.all_ready()
    assert not world.supervisor.jobs_wanted
    world.silent = {DEAD}
    world.pass_time(STALLED_NS + S)
    assert world.supervisor.jobs_wanted


def test_a_worker_that_waits_for_a_share_has_the_time_of_its_silence_besides() -> None:
    world = world_of(1)
    world.arrive(3, DEAD)
    (worker,) = world.all_ready()
    world.silent = {DEAD}
    world.pass_time(110 * S)
    assert not worker.signalled
    world.pass_time(30 * S)
    assert "terminate" in worker.signalled


def test_a_worker_that_waits_in_the_middle_of_a_job_is_stood_in_for() -> None:
    world = world_of(1)
    world.arrive(10, DEAD)
    (worker,) = world.all_ready()
    world.begin(worker)
    worker.waits = True
    world.silent = {DEAD}
    world.arrive(5, LIVE)
    world.pass_time(STALLED_NS + S)
    (other,) = (each for each in world.all_ready() if each is not worker)
    assert shares_of(other) == {LIVE}
    assert world.supervisor.stuck == {worker.number}


def test_waiting_for_a_share_is_no_part_of_the_time_of_a_job() -> None:
    world = world_of(1)
    world.arrive(3, DEAD)
    (worker,) = world.all_ready()
    world.begin(worker)
    worker.waits = True
    world.pass_time(90 * S)
    assert not worker.signalled
    worker.waits = False
    world.pass_time(40 * S)
    assert not worker.signalled
    world.pass_time(30 * S)
    assert "terminate" in worker.signalled


def test_a_worker_that_says_it_waits_is_not_believed_for_ever() -> None:
    world = world_of(1)
    world.arrive(3, DEAD)
    (worker,) = world.all_ready()
    world.begin(worker)
    worker.waits = True
    world.pass_time(260 * S)
    assert "terminate" in worker.signalled
