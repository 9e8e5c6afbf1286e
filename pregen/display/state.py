"""The counters of a run and how fast they grow: no clock but the one given, no output."""

from __future__ import annotations

import threading
import time
from bisect import insort
from collections import Counter, deque
from dataclasses import dataclass, field, replace
from operator import add
from typing import TYPE_CHECKING, NamedTuple

from pregen.model import FAILURES, Kind, Outcome, Skip, Stages

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

#: A summary shows 40 failures at most (`summary.FAILURE_LINES`); of which kind is not known yet.
_KEPT_PER_KIND = 50
_KEPT_WARNINGS = 20
_KEPT_SLOWEST = 5
#: Outcomes whose source got what it needed: what "images/s" counts.
_IMAGES = frozenset({Kind.MADE, Kind.REFITTED, Kind.REUSED})


class FailedSource(NamedTuple):
    """One failed source."""

    path: bytes
    message: str


class FailureGroup(NamedTuple):
    """All failures of one kind, of which the first few are kept."""

    kind: Kind
    number: int
    first: tuple[FailedSource, ...]


class Slow(NamedTuple):
    """A source and the time a worker spent on it."""

    seconds: float
    path: bytes
    pixels: int
    bytes_read: int


class Rates(NamedTuple):
    """What happens in one second."""

    done_per_s: float = 0.0
    """Jobs that ended, whatever became of them: what the ETA needs."""
    images_per_s: float = 0.0
    """Sources that got their entries."""
    bytes_per_s: float = 0.0
    pixels_per_s: float = 0.0


@dataclass(slots=True)
class Snapshot:
    """All counters at one moment."""

    elapsed_s: float = 0.0
    walking: bool = True
    """The walk goes on: `found` and `jobs` still grow."""
    found: int = 0
    jobs: int = 0
    jobs_done: int = 0
    kinds: dict[Kind, int] = field(default_factory=Counter)
    images: int = 0
    entries_written: int = 0
    bytes_read: int = 0
    bytes_written: int = 0
    pixels: int = 0
    stages: Stages = field(default_factory=Stages)
    passed_over: int = 0
    """Files and folders that rules left out unseen: hidden, of another kind by their name."""
    paused: str = ""
    """What the run waits for; empty when it does not."""

    def count(self, kind: Kind) -> int:
        """Return how many sources became `kind`."""
        return self.kinds.get(kind, 0)

    @property
    def failed(self) -> int:
        """Sources that failed in this run."""
        return sum(self.count(kind) for kind in FAILURES)

    @property
    def means(self) -> Rates:
        """The rates over the whole run."""
        sums = self.jobs_done, self.images, self.bytes_read, self.pixels
        return Rates(*(total / max(self.elapsed_s, 1e-9) for total in sums))


class Findings(NamedTuple):
    """What a summary tells besides the counters."""

    failures: tuple[FailureGroup, ...]
    extras: Mapping[str, int]
    """Sources that wait for an extra, by its name."""
    unsupported: Mapping[str, int]
    """Sources of a kind that pregen cannot read, by mime type."""
    slowest: tuple[Slow, ...]
    warnings: tuple[str, ...]
    warning_count: int


class RunCounts:
    """Counts. Every method may be called from any thread.

    The feed's thread counts what needs no job, the run's thread counts outcomes, the ticker's
    thread takes snapshots. Memory is bounded however many sources fail.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._start_s = clock()
        self._lock = threading.Lock()
        self._totals = Snapshot()
        self._failures: dict[Kind, list[FailedSource]] = {}
        self._extras: Counter[str] = Counter()
        self._unsupported: Counter[str] = Counter()
        self._slowest: list[Slow] = []
        self._warnings: list[str] = []
        self._warning_count = 0

    def skipped(self, skip: Skip) -> None:
        """Count a source that needs no job."""
        with self._lock:
            self._totals.found += 1
            self._totals.kinds[skip.kind] += 1
            if skip.kind in FAILURES:
                self._keep_failure(skip)

    def fresh(self, number: int) -> None:
        """Count sources that need no look."""
        with self._lock:
            self._totals.found += number
            self._totals.kinds[Kind.FRESH] += number

    def planned(self) -> None:
        """Count a job on its way to the engine."""
        with self._lock:
            self._totals.found += 1
            self._totals.jobs += 1

    def walk_ended(self) -> None:
        """Note that the number of jobs is final."""
        with self._lock:
            self._totals.walking = False

    def paused(self, why: str) -> None:
        """Note that the run waits, and for what; empty: it goes on."""
        with self._lock:
            self._totals.paused = why

    def passed_over(self, number: int) -> None:
        """Note how much the walk left out by rules."""
        with self._lock:
            self._totals.passed_over = number

    def finished(self, outcome: Outcome) -> None:
        """Count the outcome of a job."""
        with self._lock:
            totals = self._totals
            totals.kinds[outcome.kind] += 1
            if outcome.kind is Kind.INTERRUPTED:
                return
            totals.jobs_done += 1
            totals.images += outcome.kind in _IMAGES
            totals.entries_written += outcome.entries_written
            totals.bytes_read += outcome.bytes_read
            totals.bytes_written += outcome.bytes_written
            if outcome.kind is Kind.MADE:
                totals.pixels += outcome.width_px * outcome.height_px
            totals.stages = Stages(*map(add, totals.stages, outcome.stages))
            self._keep_slow(outcome)
            if outcome.kind in FAILURES:
                self._keep_failure(outcome)
            elif outcome.kind is Kind.NEEDS_EXTRA:
                self._extras[outcome.extra] += 1
            elif outcome.kind is Kind.UNSUPPORTED:
                self._unsupported[outcome.mime or "unknown"] += 1

    def warned(self, message: str) -> None:
        """Keep a warning for the summary; the same one twice says nothing new."""
        with self._lock:
            if message in self._warnings:
                return
            self._warning_count += 1
            if len(self._warnings) < _KEPT_WARNINGS:
                self._warnings.append(message)

    def snapshot(self) -> Snapshot:
        """Return all counters as they are now."""
        with self._lock:
            elapsed_s = self._clock() - self._start_s
            return replace(self._totals, elapsed_s=elapsed_s, kinds=dict(self._totals.kinds))

    def findings(self) -> Findings:
        """Return what a summary tells besides the counters."""
        with self._lock:
            groups = (
                FailureGroup(kind, self._totals.kinds[kind], tuple(first))
                for kind, first in self._failures.items()
            )
            return Findings(
                failures=tuple(sorted(groups, key=lambda group: -group.number)),
                extras=dict(self._extras.most_common()),
                unsupported=dict(self._unsupported.most_common()),
                slowest=tuple(reversed(self._slowest)),
                warnings=tuple(self._warnings),
                warning_count=self._warning_count,
            )

    def _keep_failure(self, failed: Skip | Outcome) -> None:
        first = self._failures.setdefault(failed.kind, [])
        if len(first) < _KEPT_PER_KIND:
            first.append(FailedSource(failed.path, failed.message))

    def _keep_slow(self, outcome: Outcome) -> None:
        slow = Slow(
            outcome.stages.total_ns / 1e9,
            outcome.path,
            outcome.width_px * outcome.height_px,
            outcome.bytes_read,
        )
        insort(self._slowest, slow)
        del self._slowest[:-_KEPT_SLOWEST]


#: Long enough to even out one slow 100 Mpx file among 64 fast ones, short enough to show within
#: half a minute that the walk came to a slower folder or a colder cache.
WINDOW_S = 20.0
#: A network share serves in bursts of about a second; a rate over less is noise.
MIN_SPAN_S = 1.0
#: Samples closer than this add nothing to a window of 20 s, only memory.
_SPACING_S = 0.5
#: An estimate from fewer finished jobs is a guess.
_MIN_DONE = 3


class RatePoint(NamedTuple):
    """Totals since the start of the run."""

    done: int
    images: int
    bytes_read: int
    pixels: int


class RateWindow:
    """Rates over the last `WINDOW_S` seconds.

    A mean since the start lies for hours after a slow folder; a mean over a second jumps.
    """

    def __init__(self, start_s: float) -> None:
        self._samples: deque[tuple[float, RatePoint]] = deque([(start_s, RatePoint(0, 0, 0, 0))])
        self._last: tuple[float, RatePoint] = self._samples[0]

    def add(self, now_s: float, sample: RatePoint) -> None:
        """Note the totals as they are at `now_s`."""
        self._last = (now_s, sample)
        if not sample.done:
            # workers are starting: counted in, that would halve the first minute's rates
            self._samples = deque([self._last])
            return
        if now_s - self._samples[-1][0] >= _SPACING_S:
            self._samples.append(self._last)
        # one sample older than the window stays, so that the window is always full
        while len(self._samples) > 1 and self._samples[1][0] <= now_s - WINDOW_S:
            self._samples.popleft()

    def rates(self) -> Rates:
        """Return the rates between the oldest sample of the window and the latest one."""
        oldest_s, oldest = self._samples[0]
        latest_s, latest = self._last
        span_s = latest_s - oldest_s
        if span_s < MIN_SPAN_S:
            return Rates()
        return Rates(*((new - old) / span_s for new, old in zip(latest, oldest, strict=True)))

    def eta_s(self, jobs: int) -> float | None:
        """Return the seconds until `jobs` jobs are done; None when that cannot be said yet."""
        done = self._last[1].done
        per_s = self.rates().done_per_s
        if done < _MIN_DONE or per_s <= 0:
            return None
        return max(jobs - done, 0) / per_s
