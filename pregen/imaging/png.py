"""RGBA pixels -> the compressed data of a PNG. The chunks around it are `thumbspec`'s.

Filter Sub by numpy and deflate by ISA-L: five times faster than libvips' pngsave at the same
size (formats-and-decoders, section 9).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from isal import isal_zlib

if TYPE_CHECKING:
    from pregen.imaging.decoders.base import Rgba

_SUB = 1
_PIXEL_BYTES = 4
#: ISA-L's levels are 0 to 3; 1 costs half of 2 for 2 % more bytes on the camera corpus.
_LEVEL = 1


def compress(picture: Rgba) -> bytes:
    """Return the zlib stream of an 8-bit RGBA, non-interlaced PNG's IDAT (PNG, 9.2 and 10)."""
    height_px, width_px, _ = picture.shape
    rows = picture.reshape(height_px, width_px * _PIXEL_BYTES)
    filtered = np.empty((height_px, 1 + width_px * _PIXEL_BYTES), np.uint8)
    filtered[:, 0] = _SUB
    filtered[:, 1 : 1 + _PIXEL_BYTES] = rows[:, :_PIXEL_BYTES]
    np.subtract(
        rows[:, _PIXEL_BYTES:], rows[:, :-_PIXEL_BYTES], out=filtered[:, 1 + _PIXEL_BYTES :]
    )
    return bytes(isal_zlib.compress(filtered, _LEVEL))
