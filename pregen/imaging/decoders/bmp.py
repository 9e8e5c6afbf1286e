"""BMP whose samples lie under bit masks that Pillow does not know; all others are Pillow's.

Reference: Microsoft, BITMAPINFOHEADER, BITMAPV2INFOHEADER to BITMAPV5HEADER.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from pregen.imaging.decoders import pillow
from pregen.imaging.decoders.base import Opened, Request
from pregen.imaging.faults import ENOUGH_ROWS, InvalidPicture, TruncatedPicture, Unsupported
from pregen.imaging.pixels.resample import averaged, image_of

if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

    from numpy.typing import NDArray

    from pregen.imaging.pixels.resample import Pixels

#: Offset of the pixels, size of the header, width, height, bits a pixel, compression; the masks.
_HEADER: Final = struct.Struct("<10xIIii2xHI")
_MASKS: Final = struct.Struct("<4I")
_MASKS_AT: Final = 54
#: BI_BITFIELDS and BI_ALPHABITFIELDS.
_BY_MASKS: Final = frozenset({3, 6})
#: The headers that have a mask of alpha; the shortest has its masks behind it.
_WITH_ALPHA_BYTES: Final = 56
_SHORTEST_BYTES: Final = 40
_TYPES: Final = {16: "<u2", 32: "<u4"}
_ROWS: Final = 64


class MaskedLayout(NamedTuple):
    """Where samples lie in a file, and under which masks."""

    pixels_at: int
    width_px: int
    height_px: int
    bottom_up: bool
    bits: int
    """Of a pixel: 16, 24 or 32."""
    row_bytes: int
    masks: tuple[int, ...]
    """Of red, green, blue, and maybe of the alpha; `is_usable`."""


class MaskedBitmap(Opened):
    """A picture of samples under bit masks, whose header has been read."""

    loader = "numpy"

    def __init__(self, request: Request, header: MaskedLayout) -> None:
        self._request = request
        self._header = header
        self.width_px = header.width_px
        self.height_px = header.height_px

    def decode(self, box_px: int) -> Pixels:
        """See `base.Opened`."""
        header = self._header
        row_bytes = header.row_bytes
        self._request.reserve((row_bytes + header.width_px * 4) * header.height_px)
        data = self._request.source.first(header.pixels_at + row_bytes * header.height_px)
        there = min(header.height_px, max(0, len(data) - header.pixels_at) // row_bytes)
        if there < header.height_px * ENOUGH_ROWS:
            raise TruncatedPicture(
                f"the file ends early: {there / header.height_px:.0%} of the rows are there"
            )
        lines = np.frombuffer(data, np.uint8, there * row_bytes, header.pixels_at)
        lines = lines.reshape(there, row_bytes)[:, : header.width_px * header.bits // 8]
        samples = np.zeros((header.height_px, header.width_px, len(header.masks)), np.uint8)
        for top in range(0, there, _ROWS):
            values = _values(lines[top : top + _ROWS], header.bits)
            for band, mask in enumerate(header.masks):
                low = (mask & -mask).bit_length() - 1
                most = mask >> low
                wide = (values.astype(np.uint64) & mask) >> low
                samples[top : top + len(values), :, band] = (wide * 255 + most // 2) // most
        if header.bottom_up:
            samples = samples[::-1]
        if len(header.masks) > 3 and not samples[:there, :, 3].any():  # noqa: PLR2004 - R, G, B
            # Many programs leave at zero what they do not use.
            samples = samples[..., :3]
        return averaged(image_of(samples, "srgb"), box_px)


def open_picture(request: Request) -> Opened:
    """Read the header. Raises Fault when it makes no sense."""
    try:
        return pillow.open_picture(request)
    except (Unsupported, InvalidPicture):
        header = _read(request.source.head)
        if header is None:
            raise
        return MaskedBitmap(request, header)


def _read(head: bytes) -> MaskedLayout | None:
    """Read a header with masks; None for any other."""
    if len(head) < _MASKS_AT + _MASKS.size:
        return None
    pixels_at, size_bytes, width_px, height_px, bits, compression = _HEADER.unpack_from(head)
    if size_bytes < _SHORTEST_BYTES or compression not in _BY_MASKS or bits not in _TYPES:
        return None
    masks = _MASKS.unpack_from(head, _MASKS_AT)
    alpha = size_bytes >= _WITH_ALPHA_BYTES or compression == 6  # noqa: PLR2004 - BI_ALPHABITFIELDS
    chosen = masks if alpha and masks[3] else masks[:3]
    if width_px < 1 or not height_px or not is_usable(chosen, bits):
        return None
    row_bytes = (width_px * bits // 8 + 3) // 4 * 4
    return MaskedLayout(pixels_at, width_px, abs(height_px), height_px > 0, bits, row_bytes, chosen)


def is_usable(masks: Iterable[int], bits: int) -> bool:
    """Tell whether each mask is one run of bits, within a pixel."""
    for mask in masks:
        most = mask >> max(0, (mask & -mask).bit_length() - 1)
        if not mask or most & (most + 1) or mask >> bits:
            return False
    return True


def _values(lines: NDArray[np.uint8], bits: int) -> NDArray[Any]:
    """Return a number for each pixel of rows of bytes."""
    if bits == 24:  # noqa: PLR2004 - numpy has no such numbers
        lines = lines.reshape(len(lines), -1, 3)
        lines = np.pad(lines, ((0, 0), (0, 0), (0, 1))).reshape(len(lines), -1)
        bits = 32
    return np.ascontiguousarray(lines).view(_TYPES[bits])
