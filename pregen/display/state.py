"""The counters of a run and how fast they grow: no clock but the one given, no output."""

from __future__ import annotations

import os
import threading
import time
from bisect import insort
from collections import Counter, deque
from dataclasses import dataclass, field, replace
from operator import add, sub
from typing import TYPE_CHECKING, NamedTuple

from pregen.display.bottleneck import Spent
from pregen.model import FAILURES, Kind, Outcome, Skip, Stages

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

#: Of these a summary names the first `summary.FAILURES_NAMED` in the order of their names.
_KEPT_PER_KIND = 50
#: The same of what was left out, for each of so many reasons.
_KEPT_LEFT_OUT, _KEPT_REASONS = 3, 20
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
    """Jobs that ended, in any way."""
    images_per_s: float = 0.0
    """Sources that got their entries."""
    bytes_per_s: float = 0.0
    pixels_per_s: float = 0.0
    share_bytes_per_s: float = 0.0
    """Of these, bytes that came over a network."""
    spent: Spent = Spent()
    """Where the time of workers and processors went."""


@dataclass(slots=True)
class Snapshot:
    """All counters at one moment."""

    elapsed_s: float = 0.0
    walking: bool = True
    """The walk goes on: `found` and `jobs` still grow."""
    found: int = 0
    jobs: int = 0
    jobs_done: int = 0
    work_bytes: int = 0
    """Of all jobs (`_work_bytes`)."""
    work_done_bytes: int = 0
    """Of those that ended."""
    kinds: dict[Kind, int] = field(default_factory=Counter)
    images: int = 0
    entries_written: int = 0
    bytes_read: int = 0
    bytes_written: int = 0
    pixels: int = 0
    share_jobs: int = 0
    """Jobs whose source comes over a network, of `jobs`."""
    share_bytes: int = 0
    """Sizes of these sources."""
    share_bytes_done: int = 0
    """Sizes of those whose jobs ended."""
    share_bytes_read: int = 0
    """What was read of those."""
    waiting_ns: int = 0
    """Of all workers, for the bytes of sources."""
    computing_ns: int = 0
    """Of all workers, with all else."""
    idle_s: float = 0.0
    """Of all processors of the machine, since the first job on a share."""
    processors_s: float = 0.0
    """Of all processors, busy and idle; 0: no job on a share, or not told."""
    stages: Stages = field(default_factory=Stages)
    passed_over: int = 0
    """Files and folders that rules left out unseen: hidden, of another kind by their name."""
    not_there: int = 0
    """Sources that the user's list names and that do not exist."""
    not_entered: int = 0
    """Folders and files that failed before there was a job for them: the journal has no outcome."""
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
    def spent(self) -> Spent:
        """Where the time of workers and processors went."""
        waiting_s, computing_s = self.waiting_ns / 1e9, self.computing_ns / 1e9
        return Spent(waiting_s, computing_s, self.idle_s, self.processors_s)

    @property
    def point(self) -> RatePoint:
        """The totals of which rates are made."""
        sums = self.jobs_done, self.images, self.bytes_read, self.pixels, self.share_bytes_read
        return RatePoint(*sums, self.spent, self.work_done_bytes)

    @property
    def means(self) -> Rates:
        """The rates over the whole run."""
        return _per_s(self.point, RatePoint(), max(self.elapsed_s, 1e-9))


class LeftOut(NamedTuple):
    """Files and folders that were not taken, for one reason that their names do not tell."""

    why: str
    number: int
    first: tuple[bytes, ...]


class Findings(NamedTuple):
    """What a summary tells besides the counters."""

    failures: tuple[FailureGroup, ...]
    left_out: tuple[LeftOut, ...]
    extras: Mapping[str, int]
    """Sources that wait for an extra, by its name."""
    unsupported: Mapping[str, int]
    """Sources of a kind that pregen cannot read, by mime type."""
    slowest: tuple[Slow, ...]
    warnings: tuple[str, ...]
    warning_count: int


def processors_s() -> tuple[float, float]:
    """Return the seconds that all processors were idle, and all that they had, since the start.

    Zeros where the kernel does not tell (proc(5), /proc/stat).
    """
    try:
        with open("/proc/stat", "rb") as file:
            ticks = [int(field) for field in file.readline().split()[1:9]]
    except (OSError, ValueError):
        return 0.0, 0.0
    tick_s = 1 / os.sysconf("SC_CLK_TCK")
    idle, waiting_for_disks = ticks[3:5]
    return (idle + waiting_for_disks) * tick_s, sum(ticks) * tick_s


class RunCounts:
    """Counts. Every method may be called from any thread.

    The feed's thread counts what needs no job, the run's thread counts outcomes, the ticker's
    thread takes snapshots. Memory is bounded however many sources fail.
    """

    def __init__(
        self,
        clock: Callable[[], float] = time.monotonic,
        processors: Callable[[], tuple[float, float]] = processors_s,
    ) -> None:
        self._clock = clock
        self._processors = processors
        self._processors_then: tuple[float, float] | None = None
        self._start_s = clock()
        self._lock = threading.Lock()
        self._totals = Snapshot()
        self._failures: dict[Kind, list[FailedSource]] = {}
        self._left_out: dict[str, tuple[tuple[bytes, ...], int]] = {}
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
            self._totals.not_there += skip.listed
            if skip.kind in FAILURES:
                self._totals.not_entered += 1
                self._keep_failure(skip)
            elif skip.kind is Kind.EXCLUDED or skip.listed:
                self._keep_left_out(skip)

    def fresh(self, number: int) -> None:
        """Count sources that need no look."""
        with self._lock:
            self._totals.found += number
            self._totals.kinds[Kind.FRESH] += number

    def planned(self, size_bytes: int = 0, *, on_share_bytes: int | None = None) -> None:
        """Count a job on its way to the engine.

        Args:
            size_bytes: of its source.
            on_share_bytes: the same where that comes over a network.
        """
        with self._lock:
            self._totals.found += 1
            self._totals.jobs += 1
            self._totals.work_bytes += _work_bytes(size_bytes)
            if on_share_bytes is not None:
                self._totals.share_jobs += 1
                self._totals.share_bytes += on_share_bytes
                self._processors_then = self._processors_then or self._processors()

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

    def finished(
        self, outcome: Outcome, size_bytes: int = 0, *, on_share_bytes: int | None = None
    ) -> None:
        """Count the outcome of a job; sizes as they were planned."""
        with self._lock:
            totals = self._totals
            totals.kinds[outcome.kind] += 1
            if outcome.kind is Kind.INTERRUPTED:
                return
            totals.jobs_done += 1
            totals.work_done_bytes += _work_bytes(size_bytes)
            totals.images += outcome.kind in _IMAGES
            totals.entries_written += outcome.entries_written
            totals.bytes_read += outcome.bytes_read
            totals.bytes_written += outcome.bytes_written
            if on_share_bytes is not None:
                totals.share_bytes_done += on_share_bytes
                totals.share_bytes_read += outcome.bytes_read
            if outcome.kind is Kind.MADE:
                totals.pixels += outcome.width_px * outcome.height_px
            totals.stages = Stages(*map(add, totals.stages, outcome.stages))
            waiting_ns = inside_ns = outcome.stages.read_ns
            if outcome.share:  # what was read ahead is only copied when it is read
                waiting_ns, inside_ns = 0, min(outcome.waited_ns, inside_ns)
            totals.waiting_ns += outcome.waited_ns + waiting_ns
            totals.computing_ns += outcome.stages.total_ns - inside_ns
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
            now = replace(self._totals, elapsed_s=elapsed_s, kinds=dict(self._totals.kinds))
            if then := self._processors_then:
                now.idle_s, now.processors_s = map(sub, self._processors(), then)
            return now

    def findings(self) -> Findings:
        """Return what a summary tells besides the counters."""
        with self._lock:
            groups = (
                FailureGroup(kind, self._totals.kinds[kind], tuple(first))
                for kind, first in self._failures.items()
            )
            return Findings(
                failures=tuple(sorted(groups, key=lambda group: -group.number)),
                left_out=tuple(
                    LeftOut(why, number, first) for why, (first, number) in self._left_out.items()
                ),
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

    def _keep_left_out(self, skip: Skip) -> None:
        first, number = self._left_out.get(skip.message, ((), 0))
        if first or len(self._left_out) < _KEPT_REASONS:
            named = first if len(first) >= _KEPT_LEFT_OUT else (*first, skip.path)
            self._left_out[skip.message] = named, number + 1

    def _keep_slow(self, outcome: Outcome) -> None:
        seconds = outcome.stages.total_ns / 1e9
        if len(self._slowest) == _KEPT_SLOWEST and seconds < self._slowest[0].seconds:
            return
        slow = Slow(
            seconds,
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
#: What a job is besides the bytes of its source: a JPEG of 320 x 240 pixels takes a tenth of the
#: time of a camera's with 2.7 MB (`benchmarks`, tiny and camera).
_JOB_BYTES = 256 * 1024
#: Of larger sources only a part is read: previews of RAWs, key frames of films.
_MOST_BYTES = 32 * 1024 * 1024


class RatePoint(NamedTuple):
    """Totals since the start of the run."""

    done: int = 0
    images: int = 0
    bytes_read: int = 0
    pixels: int = 0
    share_bytes_read: int = 0
    spent: Spent = Spent()
    work_bytes: int = 0


def _work_bytes(size_bytes: int) -> int:
    """Return how much work a job is, as bytes of its source."""
    return _JOB_BYTES + min(size_bytes, _MOST_BYTES)


def _per_s(new: RatePoint, old: RatePoint, span_s: float) -> Rates:
    went = (now - then for now, then in zip(new.spent, old.spent, strict=True))
    return Rates(
        done_per_s=(new.done - old.done) / span_s,
        images_per_s=(new.images - old.images) / span_s,
        bytes_per_s=(new.bytes_read - old.bytes_read) / span_s,
        pixels_per_s=(new.pixels - old.pixels) / span_s,
        share_bytes_per_s=(new.share_bytes_read - old.share_bytes_read) / span_s,
        spent=Spent(*(each / span_s for each in went)),
    )


class RateWindow:
    """Rates over the last `WINDOW_S` seconds.

    A mean since the start lies for hours after a slow folder; a mean over a second jumps.
    """

    def __init__(self, start_s: float) -> None:
        self._samples: deque[tuple[float, RatePoint]] = deque([(start_s, RatePoint())])
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
        return _per_s(latest, oldest, span_s)

    def eta_s(self, work_bytes: int) -> float | None:
        """Return the seconds until so much work is done; None when that cannot be said yet.

        By bytes as well as by files: with `--order newest` the large ones come first.
        """
        oldest_s, oldest = self._samples[0]
        latest_s, latest = self._last
        went = latest.work_bytes - oldest.work_bytes
        if latest.done < _MIN_DONE or latest_s - oldest_s < MIN_SPAN_S or went <= 0:
            return None
        return max(work_bytes - latest.work_bytes, 0) * (latest_s - oldest_s) / went
