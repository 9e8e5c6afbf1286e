"""Entries to judge: our own from their facts, foreign ones chunk by chunk, and strategies."""

from __future__ import annotations

import struct
import zlib
from typing import TYPE_CHECKING

from hypothesis import strategies as st

from pregen.model import Flavor
from pregen.thumbspec import pngbuild, uri
from tests.support.judges import png_walk

if TYPE_CHECKING:
    from collections.abc import Sequence

URI = "file:///home/jens/photos/me.png"
MTIME_NS = 1_700_000_000_123_456_789
WHOLE_MTIME_NS = 1_700_000_000_000_000_000
SIZE_BYTES = 4_123_456
FACTS = pngbuild.SourceFacts(URI, MTIME_NS, SIZE_BYTES, "image/jpeg", 4032, 3024)

#: What an entry says before the optional keys, as (kind, key, value).
Said = tuple[str, str, str]
IDENTITY: list[Said] = [
    ("iTXt", "Thumb::MTime", "1700000000.123456"),
    ("tEXt", "Thumb::URI", URI),
    ("tEXt", "Thumb::MTime", "1700000000"),
    ("tEXt", "Thumb::Size", "4123456"),
]


def rows(width_px: int, height_px: int) -> bytes:
    """Return the compressed rows of a picture in which every pixel differs from its neighbour."""
    line = bytes(range(256)) * (-(-(width_px * 4 + height_px) // 256))
    return zlib.compress(b"".join(b"\0" + line[y : y + width_px * 4] for y in range(height_px)))


def own(
    facts: pngbuild.SourceFacts = FACTS,
    width_px: int = 256,
    height_px: int = 192,
    idat: bytes = b"",
) -> bytes:
    """Return an entry as pregen writes it."""
    texts = pngbuild.entry_chunks(facts)
    return pngbuild.assemble(width_px, height_px, texts, idat or rows(width_px, height_px))


def ihdr(width_px: int = 256, height_px: int = 192, *rest: int) -> bytes:
    """Return the body of an IHDR; `rest` is depth, colour type, compression, filter, interlace."""
    return struct.pack(">IIBBBBB", width_px, height_px, *(rest or (8, 6, 0, 0, 0)))


def text_part(kind: str, key: str, value: str) -> tuple[bytes, bytes]:
    """Return the type and body of a text chunk; iTXt is compressed when its value is long."""
    start = key.encode("latin-1") + b"\0"
    if kind == "tEXt":
        return b"tEXt", start + value.encode("latin-1")
    if kind == "zTXt":
        return b"zTXt", start + b"\0" + zlib.compress(value.encode("latin-1"))
    if len(value) >= 40:
        return b"iTXt", start + b"\1\0en\0\0" + zlib.compress(value.encode())
    return b"iTXt", start + b"\0\0\0\0" + value.encode()


def foreign(
    said: Sequence[Said],
    behind: Sequence[Said] = (),
    *,
    edges_px: tuple[int, int] = (256, 192),
) -> bytes:
    """Return an entry with these texts in front of its picture, and others behind it."""
    return png_walk.build(
        [
            (b"IHDR", ihdr(*edges_px)),
            *(text_part(*one) for one in said),
            (b"IDAT", rows(*edges_px)),
            *(text_part(*one) for one in behind),
            (b"IEND", b""),
        ]
    )


def changed(said: Sequence[Said], key: str, value: str, kind: str = "tEXt") -> list[Said]:
    """Return texts with the value of one (kind, key) replaced."""
    return [(k, name, value if (k, name) == (kind, key) else old) for k, name, old in said]


_PARTS = st.binary(min_size=1, max_size=12).map(
    lambda raw: raw.replace(b"/", b"_").replace(b"\0", b"_")
)
#: Absolute, clean paths of any bytes a file system takes.
PATHS = st.lists(_PARTS.filter(lambda part: part not in {b".", b".."}), min_size=1, max_size=5).map(
    lambda parts: b"/" + b"/".join(parts)
)
URIS = PATHS.map(uri.file_uri)
#: From 1826 to the year 36812, with every fraction.
MTIMES_NS = st.integers(-(2**32) * 10**9, 2**40 * 10**9)
#: After 1970-01-01 00:00:01: there is a text for every client.
ORDINARY_MTIMES_NS = st.integers(10**9, 2**40 * 10**9)
SIZES_BYTES = st.integers(0, 2**63 - 1)
EDGES_PX = st.integers(0, 100_000)
LATIN = st.text(st.characters(min_codepoint=1, max_codepoint=255), max_size=60)
KEYS = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=79)
FLAVORS = st.sampled_from(Flavor)


@st.composite
def facts(draw: st.DrawFn, mtimes_ns: st.SearchStrategy[int] = MTIMES_NS) -> pngbuild.SourceFacts:
    """Facts of any source."""
    return pngbuild.SourceFacts(
        draw(URIS),
        draw(mtimes_ns),
        draw(SIZES_BYTES),
        draw(st.sampled_from(["", "image/jpeg", "image/svg+xml"])),
        draw(EDGES_PX),
        draw(EDGES_PX),
        draw(st.integers(0, 3)),
        draw(st.integers(0, 3)),
        tuple(draw(st.lists(st.tuples(KEYS, LATIN | st.text(max_size=20)), max_size=3))),
    )
