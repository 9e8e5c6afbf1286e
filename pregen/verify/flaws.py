"""What can be wrong with something in a cache. Values only."""

from __future__ import annotations

from enum import Enum
from typing import NamedTuple


class Flaw(Enum):
    """A kind of damage. The values appear in `--json`: never rename."""

    # The file.
    EMPTY = "empty"
    NOT_PNG = "not-png"
    TRUNCATED = "truncated"
    CRC = "crc"
    CHUNKS = "chunks"
    """Its chunks are not those of a PNG, or not in an order a PNG may have."""
    TRAILING = "trailing-bytes"
    PIXELS = "pixels"
    """The picture cannot be unpacked to what the header promises."""
    OVERSIZED = "oversized"
    UNREADABLE = "unreadable"
    # What the standard asks of the picture.
    BIT_DEPTH = "bit-depth"
    INTERLACED = "interlaced"
    NOT_RGBA = "not-rgba"
    """An entry of ours without alpha; other programs leave it out, and every desktop takes it."""
    EDGES = "edges"
    # What it says.
    NO_URI = "no-uri"
    NO_MTIME = "no-mtime"
    TEXT = "text"
    """A text that cannot be what its key asks for."""
    KEY = "key"
    """Its name is not the md5 of its URI."""
    STALE = "stale"
    """Of another state of the original than the one it has now."""
    REFUSED = "refused"
    """An entry of ours with texts that a desktop refuses."""
    PICTURE = "picture"
    """It shows something else than its original."""
    # Its place.
    MODE = "mode"
    OWNER = "owner"
    LINK = "link"
    NOT_FILE = "not-a-file"
    NAME = "name"
    """A thumbnail whose name is no md5: nobody will ever find it."""
    TEMP = "temp"
    """Left by a program that died while it wrote."""


#: No desktop can show it, so nothing is lost when it goes though its original is not there.
USELESS = frozenset(
    {
        Flaw.EMPTY,
        Flaw.NOT_PNG,
        Flaw.TRUNCATED,
        Flaw.CRC,
        Flaw.CHUNKS,
        Flaw.PIXELS,
        Flaw.OVERSIZED,
        Flaw.NO_URI,
        Flaw.KEY,
        Flaw.LINK,
        Flaw.NOT_FILE,
        Flaw.NAME,
        Flaw.TEMP,
    }
)
#: Mended where it is.
RIGHTS = frozenset({Flaw.MODE})


class Finding(NamedTuple):
    """One thing that is wrong."""

    flaw: Flaw
    reason: str
    """For people."""
