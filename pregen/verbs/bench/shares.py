"""How fast a share gives its files: what opening one takes, and what 1, 2, 4 and 8 readers get.

Reads real files of the sample, each of them once, before anything else does: nothing of it comes
out of the page cache, and the kernel is asked to forget what it may have. What is read is bounded
by time and by bytes, however large the files are.
"""

from __future__ import annotations

import os
import threading
import time
from collections import defaultdict, deque
from contextlib import suppress
from statistics import median
from typing import TYPE_CHECKING, Final, NamedTuple

from pregen.display.text import shown
from pregen.errors import UsageError
from pregen.originals.mounts import Mount
from pregen.source_file import SourceAccessError, open_source
from pregen.verbs.bench import result, stats
from pregen.verbs.bench.sample import Totals, stratum_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from pregen.filesystems.guard import Surveyor
    from pregen.model import Source
    from pregen.verbs.bench.sample import Sample, Stratum

READERS: Final = (1, 2, 4, 8)
_OPENING: Final = 0
#: In this order files are dealt out, by size: to openings, and to each number of readers so many
#: that its steps take alike long.
_DEAL: Final = (_OPENING, 1, 2, 4, 8, 8, 4, 8, 2, 8, 4, 8, 8, 4, 8, 8)
#: No step begins another file after this ...
_STEP_S: Final = 3.0
#: ... or when it has read so much.
_STEP_BYTES: Final = 64 << 20
#: Openings say no more after so many.
_OPENINGS: Final = 10
#: What the kernel reads ahead for one advice, on FUSE and on many an NFS client.
_ADVICE_BYTES: Final = 128 << 10
#: As long as a server may need to turn its disks.
_ANSWER_S: Final = 60.0
_LOOK_EVERY_S: Final = 0.05


class DrawnShare(NamedTuple):
    """A share, what was drawn from it, and what there is."""

    point: bytes
    kind: str
    sources: tuple[Source, ...]
    library: Mapping[Stratum, Totals]

    @property
    def total(self) -> Totals:
        """All that it holds."""
        return Totals(
            sum(totals.sources for totals in self.library.values()),
            sum(totals.size_bytes for totals in self.library.values()),
        )


class ShareLedger:
    """Notes of each source of a walk on which share it lies.

    Args:
        surveyor: knows file systems.
        everything: what is on no known kind of share counts as one, too.
    """

    def __init__(self, surveyor: Surveyor, *, everything: bool = False) -> None:
        self._surveyor = surveyor
        self._everything = everything
        self._mounts: dict[int, Mount | None] = {}
        self._libraries: defaultdict[Mount, dict[Stratum, Totals]] = defaultdict(dict)

    def add(self, source: Source) -> None:
        """Note a source."""
        mount = self._mount(source)
        if mount is not None:
            library, stratum = self._libraries[mount], stratum_of(source)
            count, size_bytes = library.get(stratum, Totals())
            library[stratum] = Totals(count + 1, size_bytes + source.size_bytes)

    def drawn(self, sample: Sample) -> list[DrawnShare]:
        """Return the shares from which something was drawn."""
        found: defaultdict[Mount, list[Source]] = defaultdict(list)
        for source in sample.sources:
            mount = self._mount(source)
            if mount is not None:
                found[mount].append(source)
        return [
            DrawnShare(mount.point, mount.fstype, tuple(sources), self._libraries[mount])
            for mount, sources in found.items()
        ]

    def _mount(self, source: Source) -> Mount | None:
        if source.device not in self._mounts:
            ground = self._surveyor.ground(source.path, source.device)
            mount = Mount(ground.point, ground.kind, ground.source)
            known = mount.remote or self._everything
            self._mounts[source.device] = mount if known else None
        return self._mounts[source.device]


class ShareReading(NamedTuple):
    """What was measured of a share."""

    share: DrawnShare
    opening_s: float | None
    """From asking for a file to its first byte, median; None: there were too few files."""
    steps: tuple[result.ShareStep, ...]
    readers_s: Mapping[int, Mapping[bytes, float]]
    """By the number of readers: how long one of them had a file in hand, by its path."""


def measure_share(
    share: DrawnShare, check: Callable[[], None], say: Callable[[str], None]
) -> ShareReading:
    """Read some files of a share.

    Args:
        share: from which to read.
        check: called over and over; raises when the user wants no more.
        say: told what is done now.

    Raises:
        UsageError: the share does not answer.
    """
    dealt = deal(share.sources)
    say(f"opening files of {shown(share.point)}")
    opened_s = _Readers(share, dealt[_OPENING][:_OPENINGS], 1, _first_byte).done(check).spent_s
    steps: list[result.ShareStep] = []
    readers_s: dict[int, Mapping[bytes, float]] = {}
    for count in READERS:
        if len(dealt[count]) >= count or not steps:
            say(f"reading files of {shown(share.point)}, {count} at a time")
            done = _Readers(share, dealt[count], count, _whole).done(check)
            if done.spent_s:
                size_bytes = done.size_bytes
                speed = round(size_bytes / max(done.wall_s, 1e-9))
                files = len(done.spent_s)
                steps.append(result.ShareStep(count, files, size_bytes, done.wall_s, speed))
                readers_s[count] = done.spent_s
    opening_s = median(opened_s.values()) if opened_s else None
    return ShareReading(share, opening_s, tuple(steps), readers_s)


def deal(sources: Sequence[Source]) -> dict[int, list[Source]]:
    """Share sources out by size, none twice: by the number of readers, and 0 for openings."""
    found: dict[int, list[Source]] = {hand: [] for hand in (_OPENING, *READERS)}
    by_size = sorted(sources, key=lambda source: (source.size_bytes, source.path))
    for number, source in enumerate(by_size):
        found[_DEAL[number % len(_DEAL)]].append(source)
    return found


def prediction(
    reading: ShareReading, computing_s: Mapping[bytes, float], workers: int
) -> result.ShareResult:
    """Return what a run over the whole share would take.

    Args:
        reading: of the share.
        computing_s: worker-seconds of sources of the sample without reading them, by path.
        workers: of the run.
    """
    share = reading.share
    best = max(reading.steps, key=lambda step: step.bytes_per_s, default=None)
    link = processors = result.Estimate(0.0, 0.0)
    if best is not None:
        link = _library(share, reading.readers_s[best.readers], best.readers)
    if any(source.path in computing_s for source in share.sources):
        processors = _library(share, computing_s, workers)
    return result.ShareResult(
        point=share.point,
        kind=share.kind,
        sources=share.total.sources,
        library_bytes=share.total.size_bytes,
        opening_s=reading.opening_s,
        steps=reading.steps,
        readers=best.readers if best else 0,
        link=link,
        processors=processors,
    )


def _library(share: DrawnShare, values_s: Mapping[bytes, float], hands: int) -> result.Estimate:
    measured = [
        stats.Measured(stratum_of(source), source.size_bytes, values_s[source.path])
        for source in share.sources
        if source.path in values_s
    ]
    whole = stats.estimate(share.library, measured)
    return result.Estimate(whole.total / hands, whole.plus_minus / hands)


class _Done(NamedTuple):
    spent_s: dict[bytes, float]
    size_bytes: int
    wall_s: float


class _Readers:
    """Threads that read files until there are none, it was enough, or the time is over.

    They are left behind where a share never answers: nothing can end them then.
    """

    def __init__(
        self,
        share: DrawnShare,
        sources: Sequence[Source],
        count: int,
        read: Callable[[Source], int],
    ) -> None:
        self._point = share.point
        self._read = read
        self._waiting = deque(sources)
        self._lock = threading.Lock()
        self._spent_s: dict[bytes, float] = {}
        self._size_bytes = 0
        self._begun_s = self._last_s = time.monotonic()
        self._threads = [
            threading.Thread(target=self._serve, name=f"pregen-reader-{number}", daemon=True)
            for number in range(count)
        ]

    def done(self, check: Callable[[], None]) -> _Done:
        """Read, and return what that took."""
        self._begun_s = self._last_s = time.monotonic()
        for thread in self._threads:
            thread.start()
        while any(thread.is_alive() for thread in self._threads):
            check()
            if time.monotonic() - self._last_s > _ANSWER_S:
                raise UsageError(
                    f"{shown(self._point)} does not answer: see whether its server can be reached."
                )
            next(thread for thread in self._threads if thread.is_alive()).join(_LOOK_EVERY_S)
        return _Done(self._spent_s, self._size_bytes, self._last_s - self._begun_s)

    def _serve(self) -> None:
        while time.monotonic() - self._begun_s < _STEP_S and self._size_bytes < _STEP_BYTES:
            try:
                source = self._waiting.popleft()
            except IndexError:
                return
            begun_s = time.monotonic()
            with suppress(SourceAccessError, OSError):
                size_bytes = self._read(source)
                with self._lock:
                    self._last_s = time.monotonic()
                    self._size_bytes += size_bytes
                    self._spent_s[source.path] = self._last_s - begun_s


def _first_byte(source: Source) -> int:
    with open_source(source.path) as opened:
        opened.forget()
        return len(os.pread(opened.fd, 1, 0))


def _whole(source: Source) -> int:
    with open_source(source.path) as opened:
        opened.forget()
        for place in range(0, opened.size_bytes, _ADVICE_BYTES):
            os.posix_fadvise(opened.fd, place, _ADVICE_BYTES, os.POSIX_FADV_WILLNEED)
        return sum(map(len, opened.portions(0, opened.size_bytes)))
