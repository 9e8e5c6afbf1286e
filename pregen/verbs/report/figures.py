"""From the sources of a run to the numbers of its report, one source at a time. Pure.

A run may have had ten million sources: what grows with them is bounded everywhere.
"""

from __future__ import annotations

import heapq
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from itertools import count
from typing import TYPE_CHECKING, Final

from pregen.model import FAILURES, Kind, Stages
from pregen.verbs.sampling import Reservoir

if TYPE_CHECKING:
    from pregen.journal.rows import SourceHistory

#: Points of a line over time: as many as a phone has room for.
MOST_BUCKETS: Final = 80
SLOWEST: Final = 20
#: Files named of each kind of failure, 16 of them (400 KB in all); the number of all is shown.
MOST_PATHS: Final = 200
#: Of so many sources the thumbnails are looked at, evenly chosen where there are more.
MOST_LOOKED_AT: Final = 20_000
#: Longer than ten times its width: a panorama or a scroll, of which a thumbnail shows little.
EXTREME_ASPECT: Final = 10.0
#: Upper ends of the size classes, in megapixels.
SIZES_MPX: Final = (1, 4, 8, 16, 32, 64)


@dataclass(slots=True)
class KindFailures:
    """The failures of one kind."""

    count: int = 0
    first: list[tuple[bytes, str]] = field(default_factory=list)
    """Path and message of the first."""


@dataclass(slots=True)
class Loader:
    """What one decoder did."""

    images: int = 0
    pixels: int = 0
    bytes_read: int = 0
    stages_ns: list[int] = field(default_factory=lambda: [0] * len(Stages._fields))


@dataclass(slots=True)
class WorkerFigures:
    """What one worker did."""

    images: int = 0
    busy_ns: int = 0


class Figures:
    """Adds up.

    Args:
        begin_ns: when the run began, since 1970.
        end_ns: when it ended.
    """

    def __init__(self, begin_ns: int, end_ns: int) -> None:
        self.begin_ns = begin_ns
        self.wall_ns = max(end_ns - begin_ns, 1)
        seconds = max(1, round(self.wall_ns / 1e9))
        self.buckets = min(MOST_BUCKETS, seconds)
        self.images_over_time = [0] * self.buckets
        self.bytes_over_time = [0] * self.buckets
        self.kinds: Counter[Kind] = Counter()
        self.mimes: Counter[str] = Counter()
        self.sizes: Counter[int] = Counter()
        self.loaders: defaultdict[str, Loader] = defaultdict(Loader)
        self.workers: defaultdict[int, WorkerFigures] = defaultdict(WorkerFigures)
        self.failures: defaultdict[Kind, KindFailures] = defaultdict(KindFailures)
        self.extreme: list[SourceHistory] = []
        self.extreme_count = 0
        self._slowest: list[tuple[int, int, SourceHistory]] = []
        self._order = count()  # of two that took as long, neither can be less
        self.sample: Reservoir[SourceHistory] = Reservoir(MOST_LOOKED_AT)
        """Of the sources that were made."""

    @property
    def made(self) -> int:
        """How many sources were made."""
        return self.sample.seen

    @property
    def bucket_s(self) -> float:
        """How long one bucket of time is."""
        return self.wall_ns / self.buckets / 1e9

    @property
    def slowest(self) -> list[SourceHistory]:
        """The sources that took longest, the worst first."""
        return [seen for _, _, seen in sorted(self._slowest, key=lambda each: -each[0])]

    @property
    def busy_ns(self) -> int:
        """The time of all workers together."""
        return sum(worker.busy_ns for worker in self.workers.values())

    def add(self, seen: SourceHistory) -> None:
        """Take one source into account."""
        self.kinds[seen.kind] += 1
        total_ns = seen.stages.total_ns
        if seen.worker_pid:
            worker = self.workers[seen.worker_pid]
            worker.images += seen.kind is Kind.MADE
            worker.busy_ns += total_ns
        if total_ns:
            item = (total_ns, next(self._order), seen)
            if len(self._slowest) < SLOWEST:
                heapq.heappush(self._slowest, item)
            else:
                heapq.heappushpop(self._slowest, item)
        if seen.kind in FAILURES or seen.kind in {Kind.NEEDS_EXTRA, Kind.UNSUPPORTED}:
            self._fail(seen)
        elif seen.kind is Kind.MADE:
            self._make(seen)

    def _fail(self, seen: SourceHistory) -> None:
        group = self.failures[seen.kind]
        group.count += 1
        if len(group.first) < MOST_PATHS:
            group.first.append((seen.path, seen.message))

    def _make(self, seen: SourceHistory) -> None:
        bucket = (seen.seen_at_ns - self.begin_ns) * self.buckets // self.wall_ns
        bucket = min(max(bucket, 0), self.buckets - 1)
        self.images_over_time[bucket] += 1
        self.bytes_over_time[bucket] += seen.bytes_read
        self.mimes[seen.mime or "unknown"] += 1
        pixels = seen.width_px * seen.height_px
        self.sizes[sum(pixels > limit * 1_000_000 for limit in SIZES_MPX)] += 1
        loader = self.loaders[seen.loader or "unknown"]
        loader.images += 1
        loader.pixels += pixels
        loader.bytes_read += seen.bytes_read
        for number, stage_ns in enumerate(seen.stages):
            loader.stages_ns[number] += stage_ns
        edges = sorted((seen.width_px, seen.height_px))
        if edges[0] and edges[1] / edges[0] > EXTREME_ASPECT:
            self.extreme_count += 1
            if len(self.extreme) < MOST_PATHS:
                self.extreme.append(seen)
        self.sample.add(seen)
