"""DDS, the textures of games: Pillow's, but where samples lie under bit masks, which are numpy's.

Pillow takes such pictures apart pixel by pixel: a minute for one of 4096 x 4096. The first surface
of several is shown. Reference: Microsoft, DDS_HEADER and DDS_PIXELFORMAT.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Final

import numpy as np

from pregen.imaging.decoders import pillow
from pregen.imaging.decoders.base import Opened, Request
from pregen.imaging.decoders.bmp import is_run_of_bits, under_mask
from pregen.imaging.faults import ENOUGH_ROWS, InvalidPicture, TruncatedPicture, Unsupported
from pregen.imaging.pixels.resample import averaged, image_of

if TYPE_CHECKING:
    from typing import Any

    from numpy.typing import NDArray

    from pregen.imaging.pixels.resample import Pixels

_HEADER_BYTES: Final = 124
_PIXELS_AT: Final = 4 + _HEADER_BYTES
#: DDPF_ALPHAPIXELS, DDPF_RGB and DDPF_LUMINANCE, of which the mask of red is that of grey.
_ALPHA: Final = 0x1
_MASKED: Final = 0x40
_GREY: Final = 0x20000
_TYPES: Final = {8: "u1", 16: "<u2", 32: "<u4"}
#: numpy has no such numbers.
_RGB_BITS: Final = 24
_ROWS: Final = 64


class MaskedTexture(Opened):
    """A picture of samples under bit masks, whose header has been read."""

    loader = "numpy"

    def __init__(
        self, request: Request, size_px: tuple[int, int], bits: int, masks: tuple[int, ...]
    ) -> None:
        self._request = request
        self.width_px, self.height_px = size_px
        self._bits = bits
        self._masks = masks

    def decode(self, box_px: int) -> Pixels:
        """See `base.Opened`."""
        width_px, height_px = self.width_px, self.height_px
        row_bytes = width_px * self._bits // 8
        self._request.reserve((row_bytes + width_px * 4) * height_px)
        data = self._request.source.first(_PIXELS_AT + row_bytes * height_px)
        there = min(height_px, max(0, len(data) - _PIXELS_AT) // row_bytes)
        if there < height_px * ENOUGH_ROWS:
            raise TruncatedPicture(f"{there / height_px:.0%} of the rows are present")
        lines = np.frombuffer(data, np.uint8, there * row_bytes, _PIXELS_AT)
        lines = lines.reshape(there, row_bytes)
        samples = np.zeros((height_px, width_px, len(self._masks)), np.uint8)
        for top in range(0, there, _ROWS):
            values = _values(lines[top : top + _ROWS], self._bits)
            for band, mask in enumerate(self._masks):
                samples[top : top + len(values), :, band] = under_mask(values, mask)
        if len(self._masks) > 3 and not samples[:there, :, 3].any():  # noqa: PLR2004 - R, G, B
            # Many programs leave at zero what they do not use.
            samples = samples[..., :3]
        return averaged(image_of(samples, "srgb"), box_px)


def _values(lines: NDArray[np.uint8], bits: int) -> NDArray[Any]:
    """Return a number for each pixel of rows of bytes."""
    if bits == _RGB_BITS:
        lines = lines.reshape(len(lines), -1, 3)
        lines = np.pad(lines, ((0, 0), (0, 0), (0, 1))).reshape(len(lines), -1)
        bits = 32
    return np.ascontiguousarray(lines).view(_TYPES[bits])


def open_picture(request: Request) -> Opened:
    """Read the header. Raises Fault when it makes no sense."""
    head = request.source.head
    if len(head) < _PIXELS_AT:
        raise InvalidPicture("its DDS header is damaged")
    header_bytes, height_px, width_px, flags, bits, *masks = _fields(head)
    if header_bytes != _HEADER_BYTES or not (width_px and height_px):
        raise InvalidPicture("its DDS header is damaged")
    if not flags & (_MASKED | _GREY):
        return pillow.open_picture(request)
    if flags & _GREY:
        masks[:3] = masks[:1] * 3
    chosen = tuple(masks if flags & _ALPHA and masks[3] else masks[:3])
    usable = all(mask and is_run_of_bits(mask, bits) for mask in chosen)
    if bits not in {*_TYPES, _RGB_BITS} or not usable:
        raise Unsupported(f"DDS with these {bits} bits a pixel is not supported")
    return MaskedTexture(request, (width_px, height_px), bits, chosen)


def _fields(head: bytes) -> tuple[int, ...]:
    """Return header size, height, width, flags, bits and the four masks."""
    header_bytes, height_px, width_px = struct.unpack_from("<4xI4xII", head)
    flags, bits, *masks = struct.unpack_from("<I4xI4I", head, 80)
    return (header_bytes, height_px, width_px, flags, bits, *masks)
