"""What the pictures in an icon say their size is. Decodes nothing.

The directory of an icon tells edges up to 256; the pictures have headers of their own, and it is
these that decoders believe. References: Microsoft, "Icons" (ICONDIR, ICONDIRENTRY).
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_COUNT_AT = 4
_DIRECTORY_BYTES = 6
_ENTRY_BYTES = 16
#: Where in a directory entry stands the offset of its picture.
_OFFSET_AT = 12
_PNG = b"\x89PNG\r\n\x1a\n"
#: Width and height in IHDR, and in a BITMAPINFOHEADER, of which the height counts the mask as well.
_PNG_SIZE = struct.Struct(">16xII")
_DIB_SIZE = struct.Struct("<4xii")


def frame_sizes(data: bytes) -> Iterator[tuple[int, int]]:
    """Yield width and height in pixels of each picture, as its own header has them.

    Pictures whose header lies outside of the data are left out: no decoder can read them either.
    """
    (count,) = struct.unpack_from("<H", data, _COUNT_AT) if len(data) >= _DIRECTORY_BYTES else (0,)
    last = min(_DIRECTORY_BYTES + count * _ENTRY_BYTES, len(data) - _ENTRY_BYTES + 1)
    for entry_at in range(_DIRECTORY_BYTES, last, _ENTRY_BYTES):
        (at,) = struct.unpack_from("<I", data, entry_at + _OFFSET_AT)
        try:
            if data.startswith(_PNG, at):
                yield _PNG_SIZE.unpack_from(data, at)
            else:
                width_px, height_px = _DIB_SIZE.unpack_from(data, at)
                yield abs(width_px), abs(height_px) // 2
        except struct.error:
            continue
