"""The contact sheet: which thumbnails are shown, and why. Reads entries of the cache."""

from __future__ import annotations

import base64
from contextlib import suppress
from itertools import islice
from typing import TYPE_CHECKING, Final, NamedTuple

from pregen.errors import CacheError
from pregen.model import ALL_FLAVORS
from pregen.thumbspec.uri import file_uri

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from pregen.cache.store import Cache
    from pregen.journal.rows import SourceHistory
    from pregen.model import Luminance
    from pregen.verbs.reviewing import Reviewers

#: Below this mean brightness nothing can be made out (of 255).
DARK: Final = 12.0
#: Below this spread it is one colour, with noise at most.
FLAT: Final = 3.0
SAMPLED: Final = 48
#: Doubtful ones that are shown; the number of all is told. At 5 KB each the page stays small.
MOST_DOUBTFUL: Final = 144
_BOX_PX: Final = 128


class Tile(NamedTuple):
    """A picture on the sheet."""

    path: bytes
    why: str
    """Empty for one that was drawn by lot."""
    data_uri: str


class Sheet(NamedTuple):
    """All of it."""

    sampled: Sequence[Tile]
    doubtful: Sequence[Tile]
    doubtful_count: int
    """Among those that were looked at."""
    looked_at: int


def doubt(seen: Luminance) -> str:
    """Say what is doubtful about a thumbnail; empty when nothing is."""
    if seen.spread < FLAT:
        return "flat"
    return "very dark" if seen.mean < DARK else ""


def make_sheet(
    cache: Cache,
    reviewers: Reviewers,
    made: Sequence[SourceHistory],
    extreme: Iterable[SourceHistory],
) -> Sheet:
    """Choose and read the pictures.

    Args:
        cache: where the entries are.
        reviewers: decode them.
        made: sources to be looked at.
        extreme: those of an extreme aspect, which need no look.
    """
    doubtful = [(seen, "extreme aspect") for seen in extreme]
    looked_at = 0
    for seen in made:
        facts = reviewers.luminance(_entry(cache, seen))
        if facts is not None:
            looked_at += 1
            why = doubt(facts)
            if why:
                doubtful.append((seen, why))
    step = max(1, len(made) // SAMPLED)
    return Sheet(
        sampled=list(_tiles(cache, reviewers, [(seen, "") for seen in made[::step][:SAMPLED]])),
        doubtful=list(islice(_tiles(cache, reviewers, doubtful), MOST_DOUBTFUL)),
        doubtful_count=len(doubtful),
        looked_at=looked_at,
    )


def _tiles(
    cache: Cache, reviewers: Reviewers, chosen: Iterable[tuple[SourceHistory, str]]
) -> Iterator[Tile]:
    """Yield the pictures that can be shown, of sources with the reason for showing them."""
    for seen, why in chosen:
        jpeg = reviewers.small_jpeg(_entry(cache, seen), _BOX_PX)
        if jpeg is not None:
            yield Tile(seen.path, why, f"data:image/jpeg;base64,{base64.b64encode(jpeg).decode()}")


def _entry(cache: Cache, seen: SourceHistory) -> bytes:
    """Read the smallest entry there is; empty: it is gone, or was published elsewhere."""
    uri = file_uri(seen.path)
    for flavor in ALL_FLAVORS:
        with suppress(CacheError):
            png = cache.read(flavor, uri)
            if png:
                return png
    return b""
