"""Whatever happens, in whatever order: one outcome for every job, and nobody blamed unjustly."""

from __future__ import annotations

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from pregen.engines.base import StopLevel
from pregen.engines.local import deaths
from pregen.model import Kind
from tests.engines.simulated import RULES, SEGFAULT, SIGKILL, S, SimWorker, World

DEATHS = [
    SEGFAULT,
    SIGKILL,
    deaths.cause_of(-6),
    deaths.cause_of(-10),
    deaths.cause_of(0),
    deaths.cause_of(-15),
    deaths.SERVER_LOST,
]
choice = st.integers(min_value=0, max_value=1000)


class AnythingHappens(RuleBasedStateMachine):
    """Workers that do, in any order, whatever processes can do."""

    def __init__(self) -> None:
        super().__init__()
        self.world = World(RULES._replace(workers=3, recycle_jobs=7), frozenset({1, 5, 6, 20}))

    def pick(self, number: int) -> SimWorker:
        workers = list(self.world.workers.values())
        return workers[number % len(workers)]

    def some_worker(self) -> bool:
        return bool(self.world.workers) and self.going_on()

    def going_on(self) -> bool:
        return not (self.world.finished or self.world.failed)

    @precondition(going_on)
    @rule(count=st.integers(min_value=1, max_value=12))
    def jobs_arrive(self, count: int) -> None:
        self.world.arrive(count)

    @precondition(going_on)
    @rule(
        count=st.integers(min_value=1, max_value=12),
        shares=st.lists(st.sampled_from([0, 7, 8]), min_size=1, max_size=3),
    )
    def jobs_on_shares_arrive(self, count: int, shares: list[int]) -> None:
        self.world.arrive(count, *shares)

    @precondition(going_on)
    @rule(silent=st.sets(st.sampled_from([7, 8])))
    def shares_fall_silent_or_answer(self, silent: set[int]) -> None:
        self.world.silent = silent

    @precondition(some_worker)
    @rule(which=choice)
    def worker_gets_ready(self, which: int) -> None:
        worker = self.pick(which)
        if not worker.ready:
            self.world.ready(worker)

    @precondition(going_on)
    @rule()
    def all_get_ready(self) -> None:
        self.world.all_ready()

    @precondition(some_worker)
    @rule(which=choice)
    def worker_begins(self, which: int) -> None:
        worker = self.pick(which)
        if not (worker.queue and worker.queue[0].job_id in self.world.cursed):
            self.world.begin(worker)

    @precondition(some_worker)
    @rule(which=choice)
    def worker_ends(self, which: int) -> None:
        self.world.end(self.pick(which))

    @precondition(some_worker)
    @rule(which=choice, rss_bytes=st.sampled_from([0, 0, 2 << 20]))
    def worker_delivers(self, which: int, rss_bytes: int) -> None:
        self.world.deliver(self.pick(which), rss_bytes=rss_bytes)

    @precondition(some_worker)
    @rule(which=choice, most=st.integers(min_value=1, max_value=8))
    def worker_works(self, which: int, most: int) -> None:
        self.world.work_off(self.pick(which), most)

    @precondition(some_worker)
    @rule(which=choice, size_bytes=st.sampled_from([1, 400, 700, 5000]))
    def job_asks_for_memory(self, which: int, size_bytes: int) -> None:
        self.world.ask(self.pick(which), size_bytes)

    @precondition(some_worker)
    @rule(which=choice, death=st.sampled_from(DEATHS))
    def worker_dies(self, which: int, death: deaths.Death) -> None:
        self.world.die(self.pick(which), death)

    @precondition(some_worker)
    @rule(which=choice)
    def worker_closes_its_pipe(self, which: int) -> None:
        self.world.close_pipe(self.pick(which))

    @precondition(some_worker)
    @rule()
    def signalled_workers_die(self) -> None:
        for worker in list(self.world.workers.values()):
            if worker.signalled or worker.told_to_quit:
                self.world.die(worker, SIGKILL)

    @precondition(going_on)
    @rule(seconds=st.sampled_from([1, 5, 12]))
    def time_passes(self, seconds: int) -> None:
        self.world.pass_time(seconds * S)

    @precondition(going_on)
    @rule()
    def the_run_is_suspended(self) -> None:
        self.world.tick(1000 * S)

    @precondition(going_on)
    @rule(one_in_ten=st.integers(min_value=0, max_value=9), level=st.sampled_from(StopLevel))
    def stopped(self, one_in_ten: int, level: StopLevel) -> None:
        if one_in_ten == 0:
            self.world.stop(level)

    @precondition(lambda self: not self.going_on())
    @rule()
    def nothing_more_happens(self) -> None:
        """A run that is over stays as it is."""

    @invariant()
    def nothing_is_lost_or_doubled(self) -> None:
        self.world.check()

    def teardown(self) -> None:
        self.world.run_to_the_end()
        self.world.check()
        if not self.world.failed:
            assert sorted(self.world.outcomes) == self.world.arrived
            for number in self.world.cursed & self.world.outcomes.keys():
                assert self.world.outcomes[number].kind is not Kind.MADE


TestAnythingHappens = AnythingHappens.TestCase
TestAnythingHappens.settings = settings(max_examples=150, stateful_step_count=60, deadline=None)
