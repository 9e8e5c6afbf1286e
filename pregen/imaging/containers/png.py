"""Where a PNG says how it is to be turned: an eXIf chunk, before or behind the pixels.

libpng hands over what stands before them only. ImageMagick writes it behind (PNG standard, 11.3.4.5
allows both).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pregen.imaging.containers import tiff

if TYPE_CHECKING:
    from pregen.imaging.source_bytes import SourceBytes

_SIGNATURE_BYTES: Final = 8
#: Length and kind, and the check sum behind the body.
_HEAD_BYTES: Final = 8
_SUM_BYTES: Final = 4
#: 500 MB in chunks of 8 KiB, as libpng writes them.
_MOST_CHUNKS: Final = 1 << 16
_MOST_EXIF_BYTES: Final = 1 << 16


def orientation(source: SourceBytes) -> int:
    """Return EXIF's 1 to 8, 1 where there is none. Raises OSError."""
    at = _SIGNATURE_BYTES
    for _ in range(_MOST_CHUNKS):
        head = source.read_at(at, _HEAD_BYTES)
        if len(head) < _HEAD_BYTES or head[4:] == b"IEND":
            break
        length = int.from_bytes(head[:4], "big")
        if head[4:] == b"eXIf":
            return tiff.orientation(source.read_at(at + _HEAD_BYTES, min(length, _MOST_EXIF_BYTES)))
        at += _HEAD_BYTES + length + _SUM_BYTES
    return 1
