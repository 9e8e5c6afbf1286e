"""Blender's files: the small picture that Blender stores at their beginning.

Files are plain, gzipped (before 3.0) or packed by Zstandard; libtiff, which Pillow brings, unpacks
that. Only the beginning is read. Reference: Blender's `BLO_core_bhead.hh` and its thumbnailer,
`blendthumb_extract.cc`.
"""

from __future__ import annotations

import io
import struct
import zlib
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np
from PIL import Image

from pregen.imaging.decoders.base import Opened, Request
from pregen.imaging.faults import InvalidPicture, NotPicture, TruncatedPicture, Unsupported
from pregen.imaging.pixels.resample import Pixels, image_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from pregen.imaging.source_bytes import SourceBytes

_MAGIC: Final = b"BLENDER"
_GZIP: Final = b"\x1f\x8b\x08"
ZSTANDARD: Final = b"\x28\xb5\x2f\xfd"
#: Before the picture stand a header and one block of settings for each scene.
_MOST_BLOCKS: Final = 64
_PICTURE: Final = b"TEST"
#: Blender writes 128, and 256 since 2.91.
_MOST_PX: Final = 1024
_PIXEL_BYTES: Final = 4
_FIRST_BYTES: Final = 4096
#: A block has to be there whole before anything comes out of it (RFC 8878, 3.1.1.2.4).
_ZSTANDARD_BLOCK_BYTES: Final = 136 * 1024
#: Of a TIFF that holds nothing but one strip.
_TIFF_WIDTH: Final = 1024
_TIFF_ZSTANDARD: Final = 50000


class _BlendHeader(NamedTuple):
    """How a file is built, as its first bytes say."""

    blocks_at: int
    order: str
    head: str
    """Of a block, as `struct` names its fields: kind, then others, of which one is its length."""
    length_field: int


class _Place(NamedTuple):
    width_px: int
    height_px: int
    begin: int


class BlendPicture(Opened):
    """A file of Blender's that has a picture."""

    loader = "numpy"
    unsized = True
    always = True

    def __init__(self, data: bytes, place: _Place) -> None:
        self.width_px, self.height_px, begin = place
        self._samples = data[begin : begin + self.width_px * self.height_px * _PIXEL_BYTES]

    def decode(self, box_px: int) -> Pixels:
        """See `base.Opened`."""
        del box_px
        rows = np.frombuffer(self._samples, np.uint8)
        rows = rows.reshape(self.height_px, self.width_px, _PIXEL_BYTES)
        # The first row is the lowest.
        return Pixels(image_of(rows[::-1], "srgb"))


def open_picture(request: Request) -> BlendPicture:
    """Find the picture.

    Raises:
        NotPicture: there is none, or the file is not one of Blender's.
        Fault: it makes no sense.
    """
    first = _beginning(request.source)
    data = first(_FIRST_BYTES)
    header = _header(data)
    place = _find(data, header)
    end = place.begin + place.width_px * place.height_px * _PIXEL_BYTES
    data = first(end)
    if len(data) < end:
        raise TruncatedPicture
    return BlendPicture(data, place)


def _header(data: bytes) -> _BlendHeader:
    if not data.startswith(_MAGIC):
        raise NotPicture("its content is not a picture")
    size, order = data[7:8], data[8:9]
    if size in b"_-" and order in b"vV":
        # Length, old address, index of the structure and count.
        head = "4siIii" if size == b"_" else "4siQii"
        return _BlendHeader(12, "<" if order == b"v" else ">", head, 1)
    if data[7:13] == b"17-01v":
        # Since 5.0: index of the structure, old address, length and count.
        return _BlendHeader(17, "<", "4siQqq", 3)
    raise Unsupported("a version of Blender's format that is not known")


def _find(data: bytes, header: _BlendHeader) -> _Place:
    """Return where the picture lies."""
    block = struct.Struct(header.order + header.head)
    at = header.blocks_at
    for _ in range(_MOST_BLOCKS):
        if at + block.size + 8 > len(data):
            break
        fields = block.unpack_from(data, at)
        length = fields[header.length_field]
        at += block.size
        if fields[0] == _PICTURE:
            width_px, height_px = struct.unpack_from(f"{header.order}2i", data, at)
            if not (0 < width_px <= _MOST_PX and 0 < height_px <= _MOST_PX):
                raise InvalidPicture(f"it claims to hold a picture of {width_px} x {height_px}")
            if width_px * height_px * _PIXEL_BYTES > length - 8:
                raise InvalidPicture("its picture is larger than the block that holds it")
            return _Place(width_px, height_px, at + 8)
        if length < 0:
            raise InvalidPicture("a block in it has a negative length")
        at += length
    raise NotPicture("no picture is stored in it")


def _beginning(source: SourceBytes) -> Callable[[int], bytes]:
    """Return what gives the first bytes of a file, unpacked; fewer where there are no more."""

    def plain(count: int) -> bytes:
        return source.first(count)[:count]

    def inflated(count: int) -> bytes:
        try:
            return zlib.decompressobj(31).decompress(source.first(count + _FIRST_BYTES), count)
        except zlib.error as error:
            raise InvalidPicture(f"its compression is damaged ({error})") from error

    def unpacked(count: int) -> bytes:
        return _zstandard(source.first(count + _ZSTANDARD_BLOCK_BYTES), count)

    head = source.head
    return inflated if head.startswith(_GZIP) else unpacked if head.startswith(ZSTANDARD) else plain


def _zstandard(data: bytes, count: int) -> bytes:
    """Unpack the first bytes of a Zstandard frame.

    Raises:
        NotPicture: there are fewer, or the frame is damaged.
        Unsupported: this build of Pillow cannot.
    """
    rows = -(-count // _TIFF_WIDTH)
    fields = (
        (256, 4, _TIFF_WIDTH), (257, 4, rows), (258, 3, 8), (259, 3, _TIFF_ZSTANDARD), (262, 3, 1),
        (273, 4, 8), (277, 3, 1), (278, 4, rows), (279, 4, len(data)),
    )  # fmt: skip
    tiff = struct.pack("<2sHI", b"II", 42, 8 + len(data)) + data
    tiff += struct.pack("<H", len(fields))
    for tag, kind, value in fields:
        tiff += struct.pack("<HHII", tag, kind, 1, value)
    try:
        with Image.open(io.BytesIO(tiff + bytes(4)), formats=["TIFF"]) as strip:
            return strip.tobytes()[:count]
    except MemoryError:
        raise
    except Exception as error:  # Pillow's parsers raise anything
        raise NotPicture("its content is not a picture") from error
