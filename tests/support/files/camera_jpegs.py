"""JPEGs with previews as cameras write them: in IFD1 of the EXIF, and behind the picture (MPF)."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

#: CIPA DC-007, table 4: "Large Thumbnail" of VGA and of Full HD size; a gain map's undefined type.
VGA, FULL_HD, UNDEFINED = 0x010001, 0x010002, 0x000000


def _segment(marker: int, body: bytes) -> bytes:
    return struct.pack(">BBH", 0xFF, marker, len(body) + 2) + body


def with_ifd1(
    main: bytes, preview: bytes, orientation: int = 1, offset: int | None = None
) -> bytes:
    """Put a preview into the EXIF of a JPEG; `offset` says something else of where it is."""
    at = 8 + 2 + 12 + 4 + 2 + 3 * 12 + 4
    first = struct.pack("<HHHIHHI", 1, 0x0112, 3, 1, orientation, 0, 26)
    second = struct.pack("<H", 3)
    second += struct.pack("<HHIHH", 0x0103, 3, 1, 6, 0)
    second += struct.pack("<HHII", 0x0201, 4, 1, at if offset is None else offset)
    second += struct.pack("<HHII", 0x0202, 4, 1, len(preview))
    tiff = b"II*\x00\x08\x00\x00\x00" + first + second + b"\0\0\0\0" + preview
    return main[:2] + _segment(0xE1, b"Exif\0\0" + tiff) + main[2:]


def with_mpf(main: bytes, others: Sequence[tuple[int, bytes]]) -> bytes:
    """Append pictures of given types to a JPEG, and tell of them in its MPF segment."""
    count = len(others) + 1
    entries_at = 8 + 2 + 12 + 4
    size = 4 + entries_at + 16 * count
    total = len(main) + size + 4
    tiff_at = 2 + 4 + 4
    rows = struct.pack(">IIIHH", 0x030000, total, 0, 0, 0)
    at = total
    for kind, data in others:
        rows += struct.pack(">IIIHH", kind, len(data), at - tiff_at, 0, 0)
        at += len(data)
    index = struct.pack(">HHHIII", 1, 0xB002, 7, 16 * count, entries_at, 0)
    body = b"MPF\0" + b"MM\0*\0\0\0\x08" + index + rows
    whole = main[:2] + _segment(0xE2, body) + main[2:]
    assert len(whole) == total
    return whole + b"".join(data for _, data in others)
