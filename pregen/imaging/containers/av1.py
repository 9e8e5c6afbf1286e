"""A picture of AV1 without its last bytes (AV1 Bitstream & Decoding Process, 5.3 and 5.11)."""

from __future__ import annotations

from typing import Final

#: Types of an open bitstream unit (6.2.2): what holds tiles. The last tile ends with its unit.
_TILES: Final = frozenset({4, 6})
_SIZED: Final = 0x02
_EXTENDED: Final = 0x04
#: Of a size, seven bits a byte (4.10.5).
_MOST_SIZE_BYTES: Final = 8
_MOST_UNITS: Final = 256
#: A decoder notes that it read 15 bits too many; the coder's own end takes up to two bytes.
_END_BYTES: Final = 6
_LEAST_BYTES: Final = 64


def without_end(data: bytes) -> bytes | None:
    """Return the units up to the last one with tiles, without its last bytes.

    Args:
        data: of a coded picture.

    Returns:
        None: there are no tiles, hardly any data, or units that make no sense.
    """
    at, found = 0, None
    for _ in range(_MOST_UNITS):
        if at >= len(data):
            break
        begin, flags = at, data[at]
        at += 2 if flags & _EXTENDED else 1
        size_bytes = len(data) - at
        if flags & _SIZED:
            size_bytes = 0
            for number, byte in enumerate(data[at : at + _MOST_SIZE_BYTES]):
                size_bytes |= (byte & 0x7F) << (7 * number)
                if byte < 0x80:  # noqa: PLR2004 - the last one
                    break
            else:
                return None
            at += number + 1
        if at + size_bytes > len(data):
            return None
        if flags >> 3 & 0xF in _TILES:
            found = begin, flags, data[at : at + size_bytes]
        at += size_bytes
    if found is None:
        return None
    begin, flags, body = found
    # Zeros may follow the last tile's codes.
    body = body.rstrip(b"\0")[:-_END_BYTES]
    if len(body) < _LEAST_BYTES:
        return None
    header = bytes([flags & ~_SIZED]) + (data[begin + 1 : begin + 2] if flags & _EXTENDED else b"")
    # Nothing follows it, so it needs no size.
    return data[:begin] + header + body
