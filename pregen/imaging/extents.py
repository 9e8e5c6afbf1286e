"""How long a video file says it is, by its outermost boxes. For telling cut-off files from others.

Trusts nothing it reads: it moves forward only, and takes a bounded number of steps.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

    ReadAt = Callable[[int, int], bytes]
    """Offset and count -> bytes, fewer at the end of the file."""

#: A fragmented film has a box every second or so at its top; more than a day of them is a lie.
_MAX_BOXES: Final = 10_000
_HEADER_BYTES: Final = 16
_ISO_BOXES: Final = frozenset(
    {b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip", b"pnot", b"uuid", b"meta", b"moof"}
)
_EBML: Final = b"\x1aE\xdf\xa3"
_SEGMENT: Final = b"\x18S\x80g"


def declared_bytes(read_at: ReadAt, size_bytes: int) -> int:
    """Return the length the container claims; 0 where it says nothing that can be used.

    ISO base media (ISO/IEC 14496-12, 4.2), RIFF, and Matroska (RFC 8794, 5 and 6).
    """
    head = read_at(0, _HEADER_BYTES)
    if head[:4] == b"RIFF":
        return 8 + int.from_bytes(head[4:8], "little")
    if head[:4] == _EBML:
        return _matroska(read_at)
    return _iso(read_at, size_bytes) if head[4:8] in _ISO_BOXES else 0


def _iso(read_at: ReadAt, size_bytes: int) -> int:
    at = 0
    for _ in range(_MAX_BOXES):
        header = read_at(at, _HEADER_BYTES)
        if len(header) < 8:  # noqa: PLR2004 - size and type
            break
        box_bytes, least = int.from_bytes(header[:4], "big"), 8
        if box_bytes == 1:
            box_bytes, least = int.from_bytes(header[8:16], "big"), 16
        if box_bytes < least:
            break  # 0 is a box to the end of the file; less than a header is damage
        at += box_bytes
        if at >= size_bytes:
            break
    return at


def _matroska(read_at: ReadAt) -> int:
    header, skip = _vint(read_at(4, 8))
    if header < 0:
        return 0
    at = 4 + skip + header
    if read_at(at, 4) != _SEGMENT:
        return 0
    segment, skip = _vint(read_at(at + 4, 8))
    return at + 4 + skip + segment if segment >= 0 else 0


def _vint(data: bytes) -> tuple[int, int]:
    """Return value and length of a variable-size integer; -1 for one that is unknown or broken."""
    if not data or not data[0]:
        return -1, 0
    length = 9 - data[0].bit_length()
    if len(data) < length:
        return -1, 0
    mask = (1 << (7 * length)) - 1
    value = int.from_bytes(data[:length], "big") & mask
    return (-1, length) if value == mask else (value, length)
