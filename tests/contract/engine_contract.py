"""What every engine must do (`pregen.engines.base`): subclass it and say how one is made."""

from __future__ import annotations

import threading
import time
from collections import Counter
from itertools import count, islice
from typing import TYPE_CHECKING, Any, ClassVar

import pytest

from pregen.engines.base import Stop, StopLevel
from pregen.model import Kind
from tests.support.faults import harmful_work
from tests.support.faults.harmful_work import job
from tests.support.running.worker_processes import open_descriptors, workers_left

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pregen.engines.base import Engine, WorkFactory
    from pregen.model import Job, Outcome


class Feed:
    """An endless feed, or one of `length`, that remembers what was pulled."""

    def __init__(self, length: int | None = None, how: bytes = b"") -> None:
        self.pulled = 0
        self._numbers = count() if length is None else iter(range(length))
        self._how = how

    def __iter__(self) -> Iterator[Job]:
        return self

    def __next__(self) -> Job:
        number = next(self._numbers)
        self.pulled += 1
        return job(number, self._how)


class EngineContract:
    """The contract. `make` and `most_ahead` are what an engine has to add."""

    most_ahead: ClassVar[int]
    """Jobs it may have pulled without having given their outcomes."""

    def make(self, factory: WorkFactory, **config: Any) -> Engine:
        """Return a new engine."""
        raise NotImplementedError

    @pytest.fixture(autouse=True)
    def _nothing_left_behind(self) -> Iterator[None]:
        list(self.make(harmful_work.make_noop).run(iter([job(0)]), Stop()))  # starts what stays
        before = open_descriptors()
        yield
        assert workers_left() == []
        # what an engine before this one closes in a thread of its own may still go
        until_s = time.monotonic() + 5
        while not open_descriptors().items() <= before.items() and time.monotonic() < until_s:
            time.sleep(0.05)
        assert open_descriptors().items() <= before.items()

    def run(self, factory: WorkFactory, jobs: Iterator[Job | None]) -> list[Outcome]:
        return list(self.make(factory).run(jobs, Stop()))

    # --- every job, exactly once ----------------------------------------------------------------

    def test_no_jobs_no_outcomes(self) -> None:
        assert self.run(harmful_work.make_noop, iter([])) == []

    def test_one_job_one_outcome(self) -> None:
        (outcome,) = self.run(harmful_work.make_noop, iter([job(7)]))
        assert (outcome.job_id, outcome.path, outcome.kind) == (7, b"/7", Kind.MADE)

    def test_five_thousand_jobs_exactly_once(self) -> None:
        outcomes = self.run(harmful_work.make_noop, iter(Feed(5000)))
        assert Counter(outcome.job_id for outcome in outcomes) == Counter(range(5000))
        assert all(outcome.path == b"/%d" % outcome.job_id for outcome in outcomes)
        assert {outcome.kind for outcome in outcomes} == {Kind.MADE}

    def test_any_job_ids_and_path_bytes(self) -> None:
        odd = [
            job(number)._replace(path=path)
            for number, path in ((5, b"/\xff\n"), (2**40, b"/" + b"x" * 4000), (0, b"/ "))
        ]
        outcomes = self.run(harmful_work.make_noop, iter(odd))
        assert {(o.job_id, o.path) for o in outcomes} == {(j.job_id, j.path) for j in odd}

    def test_work_that_raises_is_an_outcome(self) -> None:
        hows = [b"", b"raise", b"exit", b"wrong-outcome", b""]
        jobs = [job(number, how) for number, how in enumerate(hows)]
        outcomes = self.run(harmful_work.make_saboteur, iter(jobs))
        kinds = {outcome.job_id: outcome.kind for outcome in outcomes}
        assert kinds == dict(enumerate([Kind.MADE, Kind.ERROR, Kind.ERROR, Kind.ERROR, Kind.MADE]))
        messages = {outcome.job_id: outcome.message for outcome in outcomes}
        assert "a bug met 1" in messages[1]

    def test_memory_that_runs_out_is_an_outcome(self) -> None:
        (outcome,) = self.run(harmful_work.make_saboteur, iter([job(0, b"no-memory")]))
        assert outcome.kind is Kind.OUT_OF_MEMORY

    def test_work_may_ask_for_memory(self) -> None:
        jobs = [job(number, b"ask") for number in range(20)]
        outcomes = self.run(harmful_work.make_saboteur, iter(jobs))
        assert Counter(outcome.kind for outcome in outcomes) == {Kind.MADE: 20}

    # --- the feed -------------------------------------------------------------------------------

    def test_jobs_are_pulled_lazily(self) -> None:
        feed = Feed()
        outcomes = self.make(harmful_work.make_noop).run(iter(feed), Stop())
        for received, _ in enumerate(islice(outcomes, 3000), start=1):
            assert feed.pulled - received <= self.most_ahead
        outcomes.close()

    def test_a_feed_that_has_nothing_ready_is_asked_again(self) -> None:
        jobs = [None, job(0), None, None, None, job(1), None]
        assert len(self.run(harmful_work.make_noop, iter(jobs))) == 2

    def test_outcomes_come_while_the_feed_has_nothing_ready(self) -> None:
        received: list[int] = []

        def feed() -> Iterator[Job | None]:
            for number in range(5):
                while len(received) < number:
                    yield None
                yield job(number)

        outcomes = self.make(harmful_work.make_noop).run(feed(), Stop())
        received.extend(outcome.job_id for outcome in outcomes)
        assert received == [0, 1, 2, 3, 4]

    def test_what_the_feed_raises_comes_out_when_every_job_has_its_outcome(self) -> None:
        def feed() -> Iterator[Job]:
            yield from (job(number) for number in range(10))
            raise OSError("the disk of the walk is gone")

        outcomes = self.make(harmful_work.make_noop).run(feed(), Stop())
        received = [next(outcomes).job_id for _ in range(10)]
        with pytest.raises(OSError, match="disk of the walk"):
            next(outcomes)
        assert sorted(received) == list(range(10))

    # --- the stop -------------------------------------------------------------------------------

    @pytest.mark.parametrize("level", [StopLevel.DRAIN, StopLevel.KILL])
    def test_after_a_stop_every_job_pulled_has_its_outcome(self, level: StopLevel) -> None:
        feed, stop = Feed(), Stop()
        outcomes = []
        for outcome in self.make(harmful_work.make_sleepy).run(iter(feed), stop):
            outcomes.append(outcome)
            if len(outcomes) == 20:
                stop.raise_to(level)
        assert Counter(outcome.job_id for outcome in outcomes) == Counter(range(feed.pulled))
        assert {outcome.kind for outcome in outcomes} <= {Kind.MADE, Kind.INTERRUPTED}
        assert sum(outcome.kind is Kind.MADE for outcome in outcomes) >= 20

    @pytest.mark.parametrize("level", [StopLevel.DRAIN, StopLevel.KILL])
    def test_a_stop_before_the_start_leaves_the_feed_alone(self, level: StopLevel) -> None:
        feed, stop = Feed(), Stop()
        stop.raise_to(level)
        assert list(self.make(harmful_work.make_noop).run(iter(feed), stop)) == []
        assert feed.pulled == 0

    def test_a_stop_ends_a_run_whose_feed_has_nothing_ready(self) -> None:
        stop = Stop()

        def feed() -> Iterator[Job | None]:
            yield job(0)
            while True:
                yield None

        for _ in self.make(harmful_work.make_noop).run(feed(), stop):
            stop.raise_to(StopLevel.DRAIN)

    # --- the end --------------------------------------------------------------------------------

    def test_closing_leaves_nothing_behind(self) -> None:
        outcomes = self.make(harmful_work.make_sleepy).run(iter(Feed()), Stop())
        next(outcomes)
        outcomes.close()

    def test_an_exception_of_the_consumer_leaves_nothing_behind(self) -> None:
        with pytest.raises(KeyboardInterrupt):
            self._consume_until_ctrl_c()

    def _consume_until_ctrl_c(self) -> None:
        for _ in self.make(harmful_work.make_sleepy).run(iter(Feed()), Stop()):
            raise KeyboardInterrupt

    def test_a_run_never_begun_leaves_nothing_behind(self) -> None:
        self.make(harmful_work.make_noop).run(iter(Feed()), Stop())

    # --- the display ----------------------------------------------------------------------------

    def test_what_workers_do_can_be_seen_from_another_thread(self) -> None:
        engine = self.make(harmful_work.make_sleepy)
        feed = Feed(60)
        seen: list[bytes | None] = []
        most_done: Counter[int] = Counter()
        done = threading.Event()

        def look() -> None:
            while not done.wait(0.002):
                for view in engine.workers():
                    seen.append(view.path)
                    assert view.busy_s >= 0
                    most_done[view.pid] = max(most_done[view.pid], view.done)

        watcher = threading.Thread(target=look)
        watcher.start()
        outcomes = list(engine.run(iter(feed), Stop()))
        done.set()
        watcher.join()
        assert set(seen) <= {None, *(outcome.path for outcome in outcomes)}
        assert any(seen)
        assert most_done.keys() >= {outcome.worker_pid for outcome in outcomes[:1]}
        assert 0 < sum(most_done.values()) <= 60
