"""JPEGs at 1/8, from the DC coefficients alone: half of libjpeg-turbo's time, the same pixels.

The work is done by `_jpegdc.c`, which an installation without a C compiler does not have. It takes
the plain files that cameras make, and only whole ones; everything else is left to others.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

try:
    from pregen.imaging import _jpegdc
except ImportError:
    AVAILABLE = False
else:
    AVAILABLE = True

#: Blocks of 8 x 8 samples become a pixel each.
SHRINK = 8


def decode(data: bytes, width_px: int, height_px: int, bands: int) -> NDArray[np.uint8] | None:
    """Return the picture at 1/8, rows x columns x `bands`; None when it is not for this decoder.

    Args:
        data: a whole JPEG, or a progressive one reduced by `jpegscans`.
        width_px: as its frame header says.
        height_px: likewise.
        bands: 1 for grey, 3 for RGB, 4 for RGB and a band of 255.

    Raises:
        MemoryError: there was not enough memory.
    """
    if not AVAILABLE:
        return None
    pixels = np.empty((-(-height_px // SHRINK), -(-width_px // SHRINK), bands), np.uint8)
    return pixels if _jpegdc.decode(data, pixels.data, width_px, height_px, bands) else None
