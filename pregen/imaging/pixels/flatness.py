"""Pictures that show nothing, or nothing but one colour: as pixels, and as entries of ours.

A decoder that lost its way leaves such: what it could not read stays transparent or black, or goes
on in the last colour it had. So do white pages; whether there is more, who asks here finds out.
"""

from __future__ import annotations

import zlib
from enum import Enum
from typing import TYPE_CHECKING, Final

import numpy as np

from pregen.thumbspec.pngchunks import IDAT, PngError, body, read_header, walk

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pregen.imaging.pixels.resample import Rgba

_PIXEL_BYTES: Final = 4
#: The largest edge of an entry.
_MOST_EDGE_PX: Final = 1024


def flat_band(png: bytes) -> float:
    """Return the share of the largest band across an entry that has one colour, 0 to 1.

    Args:
        png: A whole entry; 0 for one that is not RGBA of 8 bits, or is damaged.
    """
    picture = _pixels(png)
    if picture is None:
        return 0.0
    whole = picture.view(np.uint32)[..., 0]
    return max(_flat_rows(whole), _flat_rows(whole.T))


def _flat_rows(whole: NDArray[np.uint32]) -> float:
    """Return the share of the longest run of rows that are all of one colour."""
    flat = (whole == whole[:, :1]).all(axis=1)
    # A run goes on where a row is flat and begins with the colour of the one before.
    goes_on = flat[1:] & flat[:-1] & (whole[1:, 0] == whole[:-1, 0])
    breaks = np.flatnonzero(np.concatenate([[True], ~goes_on, [True]]))
    longest = int(np.diff(breaks).max())
    return longest / len(flat) if longest > 1 or flat.all() else 0.0


def _pixels(png: bytes) -> Rgba | None:
    """Decode what `stream.compress` wrote: every row filtered by its left neighbour (PNG, 9.2)."""
    try:
        header = read_header(png)
        stream = b"".join(
            body(png, start, end)
            for kind, start, end in walk(png, header.color_type)
            if kind == IDAT
        )
        width_px, height_px = header.width_px, header.height_px
        if max(width_px, height_px) > _MOST_EDGE_PX:
            return None
        row_bytes = 1 + width_px * _PIXEL_BYTES
        rows = zlib.decompressobj().decompress(stream, height_px * row_bytes)
    except (PngError, zlib.error):
        return None
    if len(rows) != height_px * row_bytes:
        return None
    filtered = np.frombuffer(rows, np.uint8).reshape(height_px, row_bytes)
    if (filtered[:, 0] != 1).any():
        return None
    differences = filtered[:, 1:].reshape(height_px, width_px, _PIXEL_BYTES)
    return differences.cumsum(axis=1, dtype=np.uint8)


# What a picture shows ----------------------------------------------------------------------------


class Seen(Enum):
    """What there is to see in a picture."""

    PICTURE = "picture"
    COLOUR = "one colour"
    NOTHING = "nothing"
    """No pixel is visible."""


#: What rounding leaves of one colour.
_SAME_LEVELS: Final = 2


def seen(picture: Rgba) -> Seen:
    """Tell what there is to see. Of nearly all pictures two pixels tell it, in a microsecond."""
    height_px, width_px, _ = picture.shape
    corner = picture[0, 0].tolist()
    middle = picture[height_px // 2, width_px // 2].tolist()
    differ = any(abs(a - b) > _SAME_LEVELS for a, b in zip(corner, middle, strict=True))
    if differ and (corner[3] or middle[3]):
        return Seen.PICTURE
    if not picture[..., 3].any():
        return Seen.NOTHING
    flat = picture.reshape(-1, _PIXEL_BYTES)
    spread = flat.max(axis=0).astype(np.int16) - flat.min(axis=0)
    return Seen.COLOUR if int(spread.max()) <= _SAME_LEVELS else Seen.PICTURE
