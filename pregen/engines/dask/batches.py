"""Which batches are out, how large the next is, what becomes of lost ones, who is silent. Pure.

Every job put in comes out exactly once: as the outcome of the first batch that comes back, or,
where nodes die over and over with it, as DISTURBED: the next run tries it again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from pregen.model import Job, Kind, Outcome

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


#: A batch is to take this long: the way to a node and back costs about 10 ms ...
LEAST_TARGET_S: Final = 0.4
#: ... and longer the more of them are on their way, since each costs the scheduler 3 ms of its one
#: processor (benchmarks.cluster): that is then never busy for more than an eighth of its time.
_SLOTS_PER_S: Final = 40
MOST_TARGET_S: Final = 4.0
#: A batch that comes back late keeps the run waiting, so the first ones are small.
FIRST_BATCH: Final = 4
MOST_BATCH: Final = 256
#: Batches out for each slot: one that is worked on, one that waits there.
DEPTH: Final = 2
#: A batch that was lost this often is divided. It is hardly ever the batch's fault: what a picture
#: can do, it does to a worker of the node's engine.
TRIES_TOGETHER: Final = 2
#: A source alone in its batch is given up after this many losses more.
TRIES_ALONE: Final = 2


class Batch(NamedTuple):
    """Jobs that travel together."""

    number: int
    jobs: tuple[Job, ...]
    tries: int
    """How often these jobs were lost before."""


class BatchLoss(NamedTuple):
    """What follows from a loss."""

    again: tuple[Batch, ...]
    outcomes: tuple[Outcome, ...]


class BatchLedger:
    """The batches of one run."""

    def __init__(self) -> None:
        self._out: dict[int, Batch] = {}
        self._numbers = 0
        self._size = FIRST_BATCH

    @property
    def size(self) -> int:
        """How many jobs the next batch should have."""
        return self._size

    @property
    def out(self) -> int:
        """How many batches are out."""
        return len(self._out)

    def room(self, slots: int) -> int:
        """Return how many more batches may go out when `slots` of them are worked on at once."""
        return max(0, slots * DEPTH - len(self._out))

    def send(self, jobs: Sequence[Job], tries: int = 0) -> Batch:
        """Enter jobs as a new batch."""
        batch = Batch(self._numbers, tuple(jobs), tries)
        self._numbers += 1
        self._out[batch.number] = batch
        return batch

    def returned(
        self, number: int, outcomes: Sequence[Outcome], busy_s: float, slots: int = 1
    ) -> Batch | None:
        """Strike a batch off; None when it is not, or no longer, expected.

        Raises:
            ValueError: these are not the outcomes of that batch.
        """
        batch = self._out.pop(number, None)
        if batch is None:
            return None
        if sorted(outcome.job_id for outcome in outcomes) != sorted(
            job.job_id for job in batch.jobs
        ):
            self._out[number] = batch
            raise ValueError(f"batch {number} came back with other jobs than it went out with")
        target_s = min(max(slots / _SLOTS_PER_S, LEAST_TARGET_S), MOST_TARGET_S)
        rate_per_s = len(outcomes) / max(busy_s, 1e-6)
        wanted = min(int(rate_per_s * target_s), self._size * 2, MOST_BATCH)
        self._size = max(1, wanted)
        return batch

    def lost(self, number: int, why: str) -> BatchLoss:
        """Decide about a batch whose node is gone."""
        batch = self._out.pop(number, None)
        if batch is None:
            return BatchLoss((), ())
        tries = batch.tries + 1
        if tries < TRIES_TOGETHER:
            return BatchLoss((self.send(batch.jobs, tries),), ())
        if tries < TRIES_TOGETHER + TRIES_ALONE:
            return BatchLoss(tuple(self.send([job], tries) for job in batch.jobs), ())
        message = f"{tries} nodes failed while processing this file, the last one because {why}"
        return BatchLoss(
            (), tuple(Outcome(job.job_id, job.path, Kind.DISTURBED, message) for job in batch.jobs)
        )

    def abandon(self) -> list[Outcome]:
        """Give up all that is out; return INTERRUPTED for each of its jobs."""
        batches, self._out = self._out, {}
        return [
            Outcome(job.job_id, job.path, Kind.INTERRUPTED)
            for batch in batches.values()
            for job in batch.jobs
        ]


class SilenceWatch:
    """Finds nodes that have gone silent, by the times at which the scheduler last heard of them.

    Dask's scheduler waits for five minutes (`distributed.scheduler.worker-ttl`) before it gives up
    a worker whose connection stands but who says nothing: a stopped process, a frozen machine. A
    run waits less. The scheduler's clock is not ours: what counts is for how long, by our clock,
    its time has stood still.
    """

    def __init__(self, timeout_s: float) -> None:
        self._timeout_s = timeout_s
        self._beats: dict[str, tuple[float, float]] = {}

    def silent(self, last_seen: Mapping[str, float], now_s: float) -> list[str]:
        """Return the nodes to give up.

        Args:
            last_seen: for each node, the scheduler's time of its last sign of life.
            now_s: our clock, monotonic.
        """
        beats = {}
        for node, seen in last_seen.items():
            before = self._beats.get(node)
            beats[node] = before if before is not None and before[0] == seen else (seen, now_s)
        self._beats = beats
        return [node for node, (_, since) in beats.items() if now_s - since > self._timeout_s]
