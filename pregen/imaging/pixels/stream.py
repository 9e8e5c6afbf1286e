"""Pixels -> the zlib stream of an 8-bit RGBA, not interlaced PNG's IDAT (PNG, 9.2 and 10).

Photos are filtered (Sub) and coded in C, which searches for no repetitions: a third of ISA-L's time
for half a per cent more bytes. What repeats itself is compressed by ISA-L, whose level 1 takes half
the time of 2 for 2 % more bytes. The chunks around it are `thumbspec`'s.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pregen.imaging import compiled
from pregen.imaging.compiled import Packed

if TYPE_CHECKING:
    from pregen.imaging.pixels.resample import Rgba

#: ISA-L's levels are 0 to 3.
_LEVEL: Final = 1
#: PNG's filter type.
_SUB: Final = 1
_PIXEL_BYTES: Final = 4


def compress(picture: Rgba) -> bytes:
    """Return the zlib stream of a picture."""
    height_px, width_px, _ = picture.shape
    if compiled.IS_HERE:
        return finish(compiled.compress(picture.data, width_px, height_px))
    return finish(Packed(_filtered(picture), whole=False))


def finish(packed: Packed) -> bytes:
    """Return the zlib stream of what may be only filtered."""
    if packed.whole:
        return packed.data
    from isal import isal_zlib  # noqa: PLC0415 - hardly a photo needs it

    return bytes(isal_zlib.compress(packed.data, _LEVEL))


def _filtered(picture: Rgba) -> bytes:
    import numpy as np  # noqa: PLC0415 - code with a picture of it has imported it

    height_px, width_px, _ = picture.shape
    rows = picture.reshape(height_px, width_px * _PIXEL_BYTES)
    filtered = np.empty((height_px, 1 + width_px * _PIXEL_BYTES), np.uint8)
    filtered[:, 0] = _SUB
    filtered[:, 1 : 1 + _PIXEL_BYTES] = rows[:, :_PIXEL_BYTES]
    np.subtract(
        rows[:, _PIXEL_BYTES:], rows[:, :-_PIXEL_BYTES], out=filtered[:, 1 + _PIXEL_BYTES :]
    )
    return filtered.tobytes()
