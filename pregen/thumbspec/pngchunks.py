"""PNG at the level of chunks: cut into them, checked, and made. Knows nothing of what they say.

Decodes no pixels and inflates nothing. References are to the PNG specification, third edition.
"""

from __future__ import annotations

import struct
import zlib
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

SIGNATURE: Final = b"\x89PNG\r\n\x1a\n"
IHDR: Final = b"IHDR"
PLTE: Final = b"PLTE"
IDAT: Final = b"IDAT"
IEND: Final = b"IEND"

#: The signature and the IHDR chunk: where every other chunk of a PNG begins.
HEADER_BYTES: Final = 33
#: How every PNG starts: IHDR comes first and is 13 bytes long (5.6, 11.2.1).
START: Final = SIGNATURE + b"\x00\x00\x00\x0dIHDR"
#: Lengths and edges fit in 31 bits (5.3, 11.2.1).
MAX_LENGTH: Final = 2**31 - 1
#: A thumbnail has some ten; written in the small portions of old libpng (8 kB) the largest, of 16
#: bits and incompressible, a thousand. Millions of empty ones would hold a reader for minutes.
MAX_CHUNKS: Final = 4096

_CHUNK_START: Final = struct.Struct(">I4s")
_CHUNK_START_BYTES: Final = 8
#: Length field and type in front of a chunk's content, CRC behind it.
_AROUND_BYTES: Final = 12
_HEADER: Final = struct.Struct(">IIBBBBB")
_HEADER_AT: Final = 16
_PALETTE: Final = 3
#: Bit depths each colour type may have (11.2.1, table 12).
_BIT_DEPTHS: Final = {
    0: (1, 2, 4, 8, 16),
    2: (8, 16),
    _PALETTE: (1, 2, 4, 8),
    4: (8, 16),
    6: (8, 16),
}
#: Bit 5 of a chunk type's first byte: unset, a reader that does not know it must give up (5.4).
_ANCILLARY_BIT: Final = 0x20


class PngError(ValueError):
    """These bytes are not a PNG, or a broken one: no desktop could show them."""


class Header(NamedTuple):
    """What IHDR says, in its order, without the two fields that have one value only."""

    width_px: int
    height_px: int
    bit_depth: int
    color_type: int
    interlaced: bool


def chunk_parts(kind: bytes, body: bytes) -> tuple[bytes, bytes, bytes, bytes]:
    """Return what a chunk consists of, to be joined: a picture is large, and a copy takes time."""
    check = zlib.crc32(body, zlib.crc32(kind))
    return len(body).to_bytes(4, "big"), kind, body, check.to_bytes(4, "big")


def chunk(kind: bytes, body: bytes) -> bytes:
    """Return a whole chunk."""
    return b"".join(chunk_parts(kind, body))


#: How every PNG ends: IEND is empty (11.2.5).
END: Final = chunk(IEND, b"")


def header_chunk(width_px: int, height_px: int) -> bytes:
    """Return the IHDR of an 8-bit RGBA picture, not interlaced (standard, File format)."""
    return chunk(IHDR, _HEADER.pack(width_px, height_px, 8, 6, 0, 0, 0))


def read_header(data: bytes) -> Header:
    """Return what IHDR says.

    Raises:
        PngError: There is no right IHDR in the first `HEADER_BYTES`.
    """
    if not data.startswith(START):
        raise PngError("does not start like a PNG")
    if len(data) < HEADER_BYTES:
        raise PngError("is cut off within its header")
    if zlib.crc32(data[12:29]) != int.from_bytes(data[29:33], "big"):
        raise PngError("has a damaged header (CRC)")
    width_px, height_px, depth, color, packing, filtering, interlace = _HEADER.unpack_from(
        data, _HEADER_AT
    )
    if not (0 < width_px <= MAX_LENGTH and 0 < height_px <= MAX_LENGTH):
        raise PngError(f"has impossible dimensions, {width_px}x{height_px}")
    if depth not in _BIT_DEPTHS.get(color, ()) or packing or filtering or interlace > 1:
        raise PngError("has an impossible header")
    return Header(width_px, height_px, depth, color, interlace == 1)


def walk(data: bytes, color_type: int) -> Iterator[tuple[bytes, int, int]]:
    """Yield type, start and end of the chunks behind IHDR, as far as the data goes; IEND is last.

    `data[start:end]` is the chunk with its length field and CRC. The last one yielded may end
    behind the data. CRCs are `body`'s to check.

    Raises:
        PngError: A chunk that cannot be there: no picture can be had from the file. Or more than
            `MAX_CHUNKS`.
    """
    at, available = HEADER_BYTES, len(data)
    seen: set[bytes] = set()
    number = 0
    while at + _CHUNK_START_BYTES <= available:
        length, kind = _CHUNK_START.unpack_from(data, at)
        if length > MAX_LENGTH or not kind.isalpha():
            raise PngError(f"has no chunk at byte {at}")
        if not may_be_skipped(kind):
            _check_critical(kind, color_type, seen)
            seen.add(kind)
        number += 1
        if number > MAX_CHUNKS:
            raise PngError(f"holds more than {MAX_CHUNKS:,} chunks")
        end = at + length + _AROUND_BYTES
        yield kind, at, end
        if kind == IEND:
            return
        at = end


def loose_chunks(data: bytes) -> Iterator[tuple[bytes, int, int]]:
    """Yield type, start and end of all chunks that lie within the data, of every type."""
    at = len(SIGNATURE)
    for _ in range(MAX_CHUNKS if data.startswith(SIGNATURE) else 0):
        if at + _AROUND_BYTES > len(data):
            return
        length, kind = _CHUNK_START.unpack_from(data, at)
        end = at + length + _AROUND_BYTES
        if end > len(data):
            return
        yield kind, at, end
        at = end


def may_be_skipped(kind: bytes) -> bool:
    """Tell whether a reader that does not know a chunk, or finds it damaged, goes on (5.4)."""
    return bool(kind[0] & _ANCILLARY_BIT)


def is_intact(data: bytes, start: int, end: int) -> bool:
    """Tell whether a chunk's CRC is right; it must lie within `data`."""
    return zlib.crc32(data[start + 4 : end - 4]) == int.from_bytes(data[end - 4 : end], "big")


def body(data: bytes, start: int, end: int) -> bytes:
    """Return a chunk's content without length, type and CRC; it must lie within `data`.

    Raises:
        PngError: The CRC does not match.
    """
    content = data[start + 4 : end - 4]
    if zlib.crc32(content) != int.from_bytes(data[end - 4 : end], "big"):
        raise PngError(f"has a damaged {content[:4].decode()} chunk (CRC)")
    return content[4:]


def _check_critical(kind: bytes, color_type: int, seen: set[bytes]) -> None:
    """Raise PngError where a chunk that a reader may not skip cannot be."""
    if kind not in {PLTE, IDAT, IEND}:
        raise PngError(f"holds the critical chunk {kind.decode()}, which is unknown")
    if kind == IDAT and color_type == _PALETTE and PLTE not in seen:
        raise PngError("has no palette before its picture")
    if kind == IEND and IDAT not in seen:
        raise PngError("holds no picture")
