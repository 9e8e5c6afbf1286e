"""Is an entry whole, to its last byte and its last pixel? Pure, and bounded for any bytes.

What a desktop's decoder (libpng) needs for a picture, found without one: chunks and their CRCs,
and pixels that unpack to just what the header promises. Memory is bounded by the largest
thumbnail there is, time by the size of the file. References are to the PNG specification, third
edition.
"""

from __future__ import annotations

import zlib
from enum import Enum
from typing import TYPE_CHECKING, Final

from pregen.thumbspec.pngchunks import (
    END,
    IDAT,
    IEND,
    PLTE,
    Header,
    PngError,
    body,
    may_be_skipped,
    read_header,
    walk,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

#: Twice the pixels of the largest flavor in 16-bit RGBA: what is more is no thumbnail.
_MOST_UNPACKED_BYTES: Final = 2 * 1024 * 1024 * 8
#: Samples of a pixel, by colour type (11.2.1).
_SAMPLES: Final = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
#: Filter types of a row are 0 to 4 (9.2).
_LAST_FILTER: Final = 4
#: First column and row, and steps, of the passes of an interlaced picture (8.2).
_ADAM7: Final = (
    (0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2),
    (0, 1, 1, 2),
)  # fmt: skip


class Strictness(Enum):
    """What has to be right with a file."""

    ALL = "all"
    """Everything, and nothing may follow the picture: its packed rows, or its last chunk."""
    PICTURE = "picture"
    """What libpng needs to show it: it passes over damaged chunks that it can do without, and
    ends at the last row. As programs that feed it piece by piece have it (gdk-pixbuf): the last
    chunk has to be there to its end."""
    BEGUN_END = "begun end"
    """The same, but the last chunk need only have begun: as Qt has it."""


def damage(data: bytes, strictness: Strictness = Strictness.ALL) -> str:
    """Return what is wrong with a whole file as a PNG, for people; empty: nothing."""
    try:
        header = read_header(data)
        stream = check_chunks(data, header, strictness)
        _check_pixels(stream, header, strict=strictness is Strictness.ALL)
    except PngError as error:
        return str(error)
    return ""


def check_chunks(
    data: bytes, header: Header, strictness: Strictness = Strictness.ALL
) -> list[bytes]:
    """Return the contents of the IDAT chunks of a whole file.

    Raises:
        PngError: It is cut off, a chunk is damaged, or its chunks are not those of one picture.
    """
    stream: list[bytes] = []
    ended = passed = False
    palettes = 0
    strict = strictness is Strictness.ALL
    for kind, start, end in walk(data, header.color_type):
        if kind == IEND and not strict:
            # libpng 1.6.39 wants its CRC to be right, 1.6.48 does not look
            cut = end > len(data)
            ended = strictness is Strictness.BEGUN_END if cut else data[start:end] == END
            break
        if end > len(data):
            raise PngError(f"is cut off within its {kind.decode()} chunk")
        content = body(data, start, end) if strict or not may_be_skipped(kind) else b""
        if kind == IDAT:
            if passed:
                raise PngError("holds its picture in two places")
            stream.append(content)
        elif stream:
            passed = True
        palettes += kind == PLTE
        if kind == PLTE and (passed or palettes > 1):
            raise PngError("has a misplaced palette")
        ended = data[start:end] == END
        if ended and end != len(data):
            raise PngError("has data after its end")
    if not ended:
        raise PngError("is cut off: it has no end (IEND)")
    return stream


def _check_pixels(stream: list[bytes], header: Header, *, strict: bool) -> None:
    """Unpack the picture.

    Raises:
        PngError: It is broken, has too few bytes or too many, or a row has no filter.
    """
    passes = list(_passes(header))
    size_bytes = sum(row_bytes * rows for row_bytes, rows in passes)
    if size_bytes > _MOST_UNPACKED_BYTES:
        raise PngError(f"is not a thumbnail: {header.width_px}x{header.height_px}")
    unpacker = zlib.decompressobj()
    rows = bytearray()
    try:
        for part in stream:
            # One byte more than there may be, so that too many are seen; 0 would mean all.
            left = part
            while left and len(rows) <= size_bytes and not unpacker.eof:
                rows += unpacker.decompress(left, size_bytes + 1 - len(rows))
                left = unpacker.unconsumed_tail
            if unpacker.eof and strict and (left or unpacker.unused_data):
                raise PngError("has bytes after its packed picture")
    except zlib.error as error:
        raise PngError(f"has a picture that cannot be unpacked ({error})") from error
    too_many = len(rows) > size_bytes
    if len(rows) < size_bytes or not (too_many or unpacker.eof) or (too_many and strict):
        raise PngError("has a picture whose size differs from its header")
    at = 0
    for row_bytes, count in passes:
        end = at + row_bytes * count
        if max(rows[at:end:row_bytes]) > _LAST_FILTER:
            raise PngError("has a row with a filter that does not exist")
        at = end


def _passes(header: Header) -> Iterator[tuple[int, int]]:
    """Yield the bytes of a row, filter included, and the number of rows, of every pass."""
    bits = _SAMPLES[header.color_type] * header.bit_depth
    for x, y, step_x, step_y in _ADAM7 if header.interlaced else ((0, 0, 1, 1),):
        columns = -(-(header.width_px - x) // step_x)
        rows = -(-(header.height_px - y) // step_y)
        if columns > 0 and rows > 0:
            yield 1 + -(-columns * bits // 8), rows
