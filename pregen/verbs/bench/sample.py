"""Which sources stand for all of them: drawn by extension and size, the same ones every time.

Pure. What a file is, only opening it tells; before that, name and size are all there is to go by.
A source's place in the draw depends on the seed and its path alone, not on the order of the walk.
"""

from __future__ import annotations

import heapq
from collections import defaultdict
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
        for path, size_bytes, mtime_ns, *_ in self.sources:
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


def draw(sources: Iterable[Source], limit: int, seed: int) -> Sample:
    """Return a sample of at most `limit` sources, drawn without holding them all."""
    library: dict[Stratum, Totals] = {}
    kept: defaultdict[Stratum, list[tuple[int, Source]]] = defaultdict(list)
    for source in sources:
        stratum = stratum_of(source)
        count, size_bytes = library.get(stratum, Totals())
        library[stratum] = Totals(count + 1, size_bytes + source.size_bytes)
        digest = blake2b(source.path, digest_size=8, key=b"%d" % seed).digest()
        # a heap's first is its smallest: negated, the one that comes last in the draw
        heapq.heappush(kept[stratum], (-int.from_bytes(digest, "big"), source))
        if len(kept[stratum]) > limit:
            heapq.heappop(kept[stratum])
    seats = allocate(library, limit)
    chosen = [
        source
        for stratum, heap in kept.items()
        for _, source in heapq.nlargest(seats[stratum], heap)
    ]
    return Sample(tuple(sorted(chosen)), library, seed)


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
