"""ZIP files, books and scenes that ask for the moon."""

from __future__ import annotations

import struct
import zlib
from typing import TYPE_CHECKING

from tests.support.files import broken, stored

if TYPE_CHECKING:
    from collections.abc import Callable

_ZEROS = bytes(60_000_000)
_THUMBNAIL = b"Thumbnails/thumbnail.png"
_DOCUMENT = b"application/vnd.oasis.opendocument.text"


def _local(name: bytes, packed: bytes, size_bytes: int, checksum: int, method: int = 8) -> bytes:
    head = struct.pack(
        "<4s5H3I2H", b"PK\3\4", 20, 0, method, 0, 33, checksum, len(packed), size_bytes,
        len(name), 0,
    )  # fmt: skip
    return head + name + packed


def _entry(name: bytes, packed_bytes: int, size_bytes: int, checksum: int, at: int) -> bytes:
    return (
        struct.pack(
            "<4s6H3I5H2I", b"PK\1\2", 20, 20, 0, 8, 0, 33, checksum, packed_bytes, size_bytes,
            len(name), 0, 0, 0, 0, 0, at,
        )
        + name
    )  # fmt: skip


def _end(count: int, size_bytes: int, at: int) -> bytes:
    return struct.pack(
        "<4s4H2IH", b"PK\5\6", 0, 0, count & 0xFFFF, count & 0xFFFF, size_bytes, at, 0
    )


def _begun() -> bytes:
    return _local(b"mimetype", _DOCUMENT, len(_DOCUMENT), zlib.crc32(_DOCUMENT), 0)


def flat() -> bytes:
    """Return a document whose thumbnail is 60 MB of zeros, in 60 KB."""
    return stored.document((_THUMBNAIL.decode(), _ZEROS))


def larger_than_told() -> bytes:
    """Return a document whose thumbnail says that it has 100 bytes, and inflates to 60 MB."""
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    packed = packer.compress(_ZEROS) + packer.flush()
    data = _begun() + _local(_THUMBNAIL, packed, 100, 0)
    at = len(_begun())
    entry = _entry(_THUMBNAIL, len(packed), 100, 0, at)
    return data + entry + _end(1, len(entry), len(data))


def overlapping(count: int = 15_000) -> bytes:
    """Return a comic whose pages are all the same 40 MB of zeros (after D. Fifield)."""
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    zeros = _ZEROS[:40_000_000]
    packed = packer.compress(zeros) + packer.flush()
    checksum = zlib.crc32(zeros)
    data = _local(b"0.jpg", packed, len(zeros), checksum)
    directory = b"".join(
        _entry(f"{number}.jpg".encode(), len(packed), len(zeros), checksum, 0)
        for number in range(count)
    )
    return data + directory + _end(count, len(directory), len(data))


def crowded(count: int = 1_000_000) -> bytes:
    """Return a document of a million members of nothing, counted in 64 bits."""
    data = _begun()
    directory = _entry(b"a", 0, 0, 0, 0) * count
    at = len(data)
    large = struct.pack("<4sQ2H2I4Q", b"PK\6\6", 44, 45, 45, 0, 0, count, count, len(directory), at)
    locator = struct.pack("<4sIQI", b"PK\6\7", 0, at + len(directory), 1)
    last = struct.pack("<4s4H2IH", b"PK\5\6", 0, 0, 0xFFFF, 0xFFFF, 0xFFFFFFFF, 0xFFFFFFFF, 0)
    return data + directory + large + locator + last


def lying_in_64_bits() -> bytes:
    """Return a document whose directory lies past the end of the world."""
    data = _begun()
    large = struct.pack(
        "<4sQ2H2I4Q", b"PK\6\6", 44, 45, 45, 0, 0, 1, 1, (1 << 64) - 1, (1 << 64) - 5
    )
    locator = struct.pack("<4sIQI", b"PK\6\7", 0, len(data), 1)
    last = struct.pack("<4s4H2IH", b"PK\5\6", 0, 0, 0xFFFF, 0xFFFF, 0xFFFFFFFF, 0xFFFFFFFF, 0)
    return data + large + locator + last


def its_own_picture() -> bytes:
    """Return an OpenRaster in which its picture is the file itself, as a quine has it."""
    mime = b"image/openraster"
    begun = _local(b"mimetype", mime, len(mime), zlib.crc32(mime), 0)
    name = b"mergedimage.png"
    body = begun + _local(name, begun * 50, len(begun * 50), zlib.crc32(begun * 50), 0)
    entry = bytearray(
        _entry(name, len(begun) * 50, len(begun) * 50, zlib.crc32(begun * 50), len(begun))
    )
    struct.pack_into("<H", entry, 10, 0)
    return body + bytes(entry) + _end(1, len(entry), len(body))


def bomb_as_cover() -> bytes:
    """Return a book whose cover is a PNG of 10,000 Mpx."""
    return stored.book(broken.png_header_bomb())


def unfolding_book() -> bytes:
    """Return a book whose package is a billion laughs."""
    entities = '<!ENTITY a0 "lol">' + "".join(
        f'<!ENTITY a{level} "{f"&a{level - 1};" * 10}">' for level in range(1, 10)
    )
    return stored.book(b"", f"<!DOCTYPE package [{entities}]><package>&a9;</package>")


def huge_package() -> bytes:
    """Return a book whose package has 50 MB of blanks."""
    return stored.book(b"", f"<package>{' ' * 50_000_000}</package>")


def deep_package() -> bytes:
    """Return a book whose package is nested a million deep."""
    return stored.book(b"", "<a>" * 1_000_000)


#: By the file's name.
BOMBS: dict[str, Callable[[], bytes]] = {
    "flat.odt": flat,
    "lie.odt": larger_than_told,
    "overlap.cbz": overlapping,
    "crowd.odt": crowded,
    "lie64.odt": lying_in_64_bits,
    "quine.ora": its_own_picture,
    "cover.epub": bomb_as_cover,
    "entities.epub": unfolding_book,
    "blanks.epub": huge_package,
    "deep.epub": deep_package,
}
