"""DDS, the textures of games: Pillow's, but where samples lie under bit masks, which are numpy's.

Pillow takes such pictures apart pixel by pixel: a minute for one of 4096 x 4096. The first surface
of several is shown. Reference: Microsoft, DDS_HEADER and DDS_PIXELFORMAT.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Final

from pregen.imaging.decoders import pillow
from pregen.imaging.decoders.bmp import MaskedBitmap, MaskedLayout, is_usable
from pregen.imaging.faults import InvalidPicture, Unsupported

if TYPE_CHECKING:
    from pregen.imaging.decoders.base import Opened, Request

_HEADER_BYTES: Final = 124
_PIXELS_AT: Final = 4 + _HEADER_BYTES
#: DDPF_ALPHAPIXELS and DDPF_RGB.
_ALPHA: Final = 0x1
_MASKED: Final = 0x40
_BITS: Final = frozenset({16, 24, 32})


def open_picture(request: Request) -> Opened:
    """Read the header. Raises Fault when it makes no sense."""
    head = request.source.head
    if len(head) < _PIXELS_AT:
        raise InvalidPicture("its DDS header is damaged")
    header_bytes, height_px, width_px, flags, bits, *masks = _fields(head)
    if header_bytes != _HEADER_BYTES or not (width_px and height_px):
        raise InvalidPicture("its DDS header is damaged")
    if not flags & _MASKED:
        return pillow.open_picture(request)
    chosen = tuple(masks if flags & _ALPHA and masks[3] else masks[:3])
    if bits not in _BITS or not is_usable(chosen, bits):
        raise Unsupported(f"DDS with these {bits} bits a pixel is not read")
    row_bytes = width_px * bits // 8
    return MaskedBitmap(
        request,
        MaskedLayout(
            _PIXELS_AT, width_px, height_px, bottom_up=False, bits=bits, row_bytes=row_bytes,
            masks=chosen,
        ),
    )  # fmt: skip


def _fields(head: bytes) -> tuple[int, ...]:
    """Return header size, height, width, flags, bits and the four masks."""
    header_bytes, height_px, width_px = struct.unpack_from("<4xI4xII", head)
    flags, bits, *masks = struct.unpack_from("<I4xI4I", head, 80)
    return (header_bytes, height_px, width_px, flags, bits, *masks)
