"""The contact sheet: which thumbnails are shown, and why. Reads entries of the cache."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Final, NamedTuple

from pregen.errors import CacheError
from pregen.imaging.review import Luminance, luminance, small_jpeg
from pregen.model import ALL_FLAVORS
from pregen.thumbspec.uri import file_uri

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from pregen.cache.store import Cache
    from pregen.journal.history import SourceHistory

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
    cache: Cache, made: Sequence[SourceHistory], extreme: Iterable[SourceHistory]
) -> Sheet:
    """Choose and read the pictures.

    Args:
        cache: where the entries are.
        made: sources to be looked at.
        extreme: those of an extreme aspect, which need no look.
    """
    doubtful: list[Tile] = []
    count = 0
    for seen in extreme:
        count += 1
        _add(doubtful, _tile(cache, seen, "extreme aspect"))
    looked_at = 0
    for seen in made:
        png = _entry(cache, seen)
        facts = luminance(png) if png else None
        if facts is None or png is None:
            continue
        looked_at += 1
        why = doubt(facts)
        if why:
            count += 1
            _add(doubtful, _shown(seen, png, why))
    step = max(1, len(made) // SAMPLED)
    tiles = (_tile(cache, seen, "") for seen in made[::step][:SAMPLED])
    return Sheet([tile for tile in tiles if tile], doubtful, count, looked_at)


def _add(tiles: list[Tile], tile: Tile | None) -> None:
    if tile is not None and len(tiles) < MOST_DOUBTFUL:
        tiles.append(tile)


def _tile(cache: Cache, seen: SourceHistory, why: str) -> Tile | None:
    png = _entry(cache, seen)
    return _shown(seen, png, why) if png else None


def _shown(seen: SourceHistory, png: bytes, why: str) -> Tile | None:
    jpeg = small_jpeg(png, _BOX_PX)
    if jpeg is None:
        return None
    return Tile(seen.path, why, f"data:image/jpeg;base64,{base64.b64encode(jpeg).decode()}")


def _entry(cache: Cache, seen: SourceHistory) -> bytes | None:
    """Read the smallest entry there is; one that is gone, or was published elsewhere, is none."""
    uri = file_uri(seen.path)
    for flavor in ALL_FLAVORS:
        try:
            png = cache.read(flavor, uri)
        except CacheError:
            continue
        if png:
            return png
    return None
