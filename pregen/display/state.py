"""The counters of a run, and nothing else: no clock but the one given, no output.

Thread-safe: the feed's thread counts what needs no job, the run's thread counts outcomes, the
ticker's thread takes snapshots. Memory is bounded however many sources fail.
"""

from __future__ import annotations

import heapq
import threading
import time
from collections import Counter
from dataclasses import dataclass
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


@dataclass(frozen=True, slots=True)
class Snapshot:
    """All counters at one moment."""

    elapsed_s: float
    walking: bool
    """The walk goes on: `found` and `jobs` still grow."""
    found: int
    jobs: int
    jobs_done: int
    kinds: Mapping[Kind, int]
    images: int
    entries_written: int
    bytes_read: int
    bytes_written: int
    pixels: int
    stages: Stages
    passed_over: int
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
    """Counts. Every method may be called from any thread."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._start_s = clock()
        self._lock = threading.Lock()
        self._kinds: Counter[Kind] = Counter()
        self._skips = self._jobs = self._jobs_done = self._images = 0
        self._entries = self._bytes_read = self._bytes_written = self._pixels = 0
        self._stages = [0] * len(Stages._fields)
        self._walking = True
        self._paused = ""
        self._passed_over = 0
        self._failures: dict[Kind, list[FailedSource]] = {}
        self._extras: Counter[str] = Counter()
        self._unsupported: Counter[str] = Counter()
        self._slowest: list[Slow] = []
        self._warnings: list[str] = []
        self._warning_count = 0

    def skipped(self, skip: Skip) -> None:
        """Count a source that needs no job."""
        with self._lock:
            self._skips += 1
            self._kinds[skip.kind] += 1
            if skip.kind in FAILURES:
                self._keep_failure(skip.kind, skip.path, skip.message)

    def fresh(self, number: int) -> None:
        """Count sources that need no look."""
        with self._lock:
            self._skips += number
            self._kinds[Kind.FRESH] += number

    def planned(self) -> None:
        """Count a job on its way to the engine."""
        with self._lock:
            self._jobs += 1

    def walk_ended(self) -> None:
        """Note that the number of jobs is final."""
        with self._lock:
            self._walking = False

    def paused(self, why: str) -> None:
        """Note that the run waits, and for what; empty: it goes on."""
        with self._lock:
            self._paused = why

    def passed_over(self, number: int) -> None:
        """Note how much the walk left out by rules."""
        with self._lock:
            self._passed_over = number

    def finished(self, outcome: Outcome) -> None:
        """Count the outcome of a job."""
        with self._lock:
            self._kinds[outcome.kind] += 1
            if outcome.kind is Kind.INTERRUPTED:
                return
            self._jobs_done += 1
            self._images += outcome.kind in _IMAGES
            self._entries += outcome.entries_written
            self._bytes_read += outcome.bytes_read
            self._bytes_written += outcome.bytes_written
            if outcome.kind is Kind.MADE:
                self._pixels += outcome.width_px * outcome.height_px
            for index, spent_ns in enumerate(outcome.stages):
                self._stages[index] += spent_ns
            self._keep_slow(outcome)
            if outcome.kind in FAILURES:
                self._keep_failure(outcome.kind, outcome.path, outcome.message)
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
            return Snapshot(
                elapsed_s=self._clock() - self._start_s,
                walking=self._walking,
                found=self._skips + self._jobs,
                jobs=self._jobs,
                jobs_done=self._jobs_done,
                kinds=dict(self._kinds),
                images=self._images,
                entries_written=self._entries,
                bytes_read=self._bytes_read,
                bytes_written=self._bytes_written,
                pixels=self._pixels,
                stages=Stages(*self._stages),
                passed_over=self._passed_over,
                paused=self._paused,
            )

    def findings(self) -> Findings:
        """Return what a summary tells besides the counters."""
        with self._lock:
            groups = (
                FailureGroup(kind, self._kinds[kind], tuple(first))
                for kind, first in self._failures.items()
            )
            return Findings(
                failures=tuple(sorted(groups, key=lambda group: -group.number)),
                extras=dict(self._extras.most_common()),
                unsupported=dict(self._unsupported.most_common()),
                slowest=tuple(sorted(self._slowest, reverse=True)),
                warnings=tuple(self._warnings),
                warning_count=self._warning_count,
            )

    def _keep_failure(self, kind: Kind, path: bytes, message: str) -> None:
        first = self._failures.setdefault(kind, [])
        if len(first) < _KEPT_PER_KIND:
            first.append(FailedSource(path, message))

    def _keep_slow(self, outcome: Outcome) -> None:
        slow = Slow(
            outcome.stages.total_ns / 1e9,
            outcome.path,
            outcome.width_px * outcome.height_px,
            outcome.bytes_read,
        )
        if len(self._slowest) < _KEPT_SLOWEST:
            heapq.heappush(self._slowest, slow)
        elif slow > self._slowest[0]:
            heapq.heapreplace(self._slowest, slow)
