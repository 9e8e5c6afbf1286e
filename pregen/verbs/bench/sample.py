"""Which sources stand for all of them: drawn by extension and size, the same ones every time.

Pure. What a file is, only opening it tells; before that, name and size are all there is to go by.
A source's place in the draw depends on the seed and its path alone, not on the order of the walk.
"""

from __future__ import annotations

import heapq
from hashlib import blake2b
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from pregen.model import Source

#: Enough for a mean of each format within a few percent, and few enough for a minute's patience.
DEFAULT_SOURCES = 200
#: Sizes in one stratum differ by this factor at most: 2**2.
_SIZE_CLASS_BITS = 2
#: Longer ones are part of a name ("IMG.edited by me"), as are those of digits alone ("scan.0001").
_EXTENSION_CHARS = 4
_DIGEST_BYTES = 16


class Stratum(NamedTuple):
    """Sources that are probably alike."""

    extension: str
    """Lower case, without the dot; empty when there is none that tells anything."""
    size_class: int
    """Sizes from 4**n up to 4**(n+1) bytes are of class n + 1; empty files of class 0."""


class Totals(NamedTuple):
    """How much of something the library holds."""

    sources: int = 0
    size_bytes: int = 0


class Sample(NamedTuple):
    """The sources drawn, and the library they were drawn from."""

    sources: tuple[Source, ...]
    """By path."""
    library: Mapping[Stratum, Totals]
    seed: int

    @property
    def total(self) -> Totals:
        """The whole library."""
        return Totals(
            sum(totals.sources for totals in self.library.values()),
            sum(totals.size_bytes for totals in self.library.values()),
        )

    @property
    def strata(self) -> tuple[Stratum, ...]:
        """The stratum of each source drawn."""
        return tuple(map(stratum_of, self.sources))

    @property
    def covers(self) -> bool:
        """True when every source of the library was drawn."""
        return len(self.sources) == self.total.sources

    @property
    def digest(self) -> str:
        """Tells whether two samples are of the same files with the same content."""
        known = blake2b(digest_size=_DIGEST_BYTES)
        for path, size_bytes, mtime_ns in self.sources:
            known.update(path + b"\0%d %d\n" % (size_bytes, mtime_ns))
        return known.hexdigest()


def stratum_of(source: Source) -> Stratum:
    """Return the stratum of a source."""
    name = source.path.rpartition(b"/")[2]
    stem, _, extension = name.rpartition(b".")
    text = extension.decode("ascii", "replace").lower() if stem else ""
    telling = len(text) <= _EXTENSION_CHARS and text.isalnum() and not text.isdigit()
    bits = source.size_bytes.bit_length()
    return Stratum(text if telling else "", -(-bits // _SIZE_CLASS_BITS))


class Draw:
    """Takes the sources of a walk one by one; holds a bounded number of each stratum."""

    def __init__(self, limit: int, seed: int) -> None:
        self._limit = limit
        self._seed = seed
        self._key = b"%d" % seed
        self._totals: dict[Stratum, Totals] = {}
        self._kept: dict[Stratum, list[tuple[int, Source]]] = {}

    def add(self, source: Source) -> None:
        """Count a source, and keep it if it comes early in the draw."""
        stratum = stratum_of(source)
        count, size_bytes = self._totals.get(stratum, Totals())
        self._totals[stratum] = Totals(count + 1, size_bytes + source.size_bytes)
        digest = blake2b(source.path, digest_size=8, key=self._key).digest()
        # a heap's first is its smallest: negated, the one that comes last in the draw
        place = -int.from_bytes(digest, "big"), source
        kept = self._kept.setdefault(stratum, [])
        if len(kept) < self._limit:
            heapq.heappush(kept, place)
        else:
            heapq.heappushpop(kept, place)

    def result(self) -> Sample:
        """Return the sample."""
        seats = allocate(self._totals, self._limit)
        chosen = [
            source
            for stratum, kept in self._kept.items()
            for _, source in heapq.nlargest(seats[stratum], kept)
        ]
        return Sample(tuple(sorted(chosen)), self._totals, self._seed)


def draw(sources: Iterable[Source], limit: int, seed: int) -> Sample:
    """Return a sample of at most `limit` sources."""
    drawing = Draw(limit, seed)
    for source in sources:
        drawing.add(source)
    return drawing.result()


def allocate(library: Mapping[Stratum, Totals], limit: int) -> dict[Stratum, int]:
    """Return how many sources of each stratum are drawn, `limit` together at most.

    Every stratum gets one as long as there are enough; the others go, one after the other, where
    the most is at stake: the mean of a stratum's shares of all sources and of all bytes, divided
    by what it has already (Sainte-Lague's method).
    """
    all_sources = max(1, sum(totals.sources for totals in library.values()))
    all_bytes = max(1, sum(totals.size_bytes for totals in library.values()))
    stakes = {
        stratum: totals.sources / all_sources + totals.size_bytes / all_bytes
        for stratum, totals in library.items()
    }
    seats = dict.fromkeys(library, 0)
    queue = [(0, -stake, stratum) for stratum, stake in stakes.items()]
    heapq.heapify(queue)
    while queue and limit > 0:
        _, _, stratum = heapq.heappop(queue)
        seats[stratum] += 1
        limit -= 1
        if seats[stratum] < library[stratum].sources:
            heapq.heappush(queue, (1, -stakes[stratum] / (2 * seats[stratum] + 1), stratum))
    return seats
