"""Folders of sources for whole runs: a few different pictures, or very many cheap ones."""

from __future__ import annotations

import struct
import zlib
from functools import cache
from typing import TYPE_CHECKING

from tests.support.files.photo import photo
from tests.support.files.pictures import jpeg, put
from tests.support.judges import png_walk

if TYPE_CHECKING:
    from pathlib import Path

#: With microseconds, as nearly every file has them.
MTIME_NS = 1_700_000_000_123_456_789


def few(folder: Path, count: int = 4) -> list[Path]:
    """Make some pictures, all different: 300 px wide and more."""
    return [
        put(
            folder / f"{number:02}.jpg",
            jpeg(300 + 20 * number, 220, seed=number),
            MTIME_NS + number,
        )
        for number in range(count)
    ]


@cache
def slow_picture(megapixels: int = 24) -> bytes:
    """Return a PNG that takes a while to decode: some 10 ms for each megapixel.

    An unshrinkable format on purpose: a JPEG of this size is done at an eighth of the price.
    Made quickly: a block of deflate that stands alone is repeated, once for each megapixel.
    """
    pixels = photo(250, 250, seed=8).repeat(4, axis=0).repeat(4, axis=1)
    rows = b"".join(b"\0" + row.tobytes() for row in pixels)
    packer = zlib.compressobj(1, zlib.DEFLATED, -zlib.MAX_WBITS)
    block = packer.compress(rows) + packer.flush(zlib.Z_FULL_FLUSH)
    check = 1
    for _ in range(megapixels):
        check = zlib.adler32(rows, check)
    idat = b"\x78\x01" + block * megapixels + b"\x03\x00" + struct.pack(">I", check)
    header = struct.pack(">IIBBBBB", 1000, 1000 * megapixels, 8, 2, 0, 0, 0)
    return png_walk.build([(b"IHDR", header), (b"IDAT", idat), (b"IEND", b"")])


def many_slow(folder: Path, count: int, megapixels: int = 8) -> list[Path]:
    """Make many sources that keep a run busy (hard links: each costs a name, not its bytes)."""
    first = put(folder / "0000.png", slow_picture(megapixels), MTIME_NS)
    links = [folder / f"{number:04}.png" for number in range(1, count)]
    for link in links:
        link.hardlink_to(first)
    return [first, *links]
