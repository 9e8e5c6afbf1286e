"""Counts the entries a program left behind, and those of them that desktops accept.

Independent of pregen: it reads PNG files with nothing but this module, by the rules of the two
strictest families of readers. It does not look at pixels: `fidelity.py` does.
"""

from __future__ import annotations

import hashlib
import json
import struct
import zlib
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import quote

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

#: Flavors, and their boxes in pixels.
BOXES_PX = {"normal": 128, "large": 256, "x-large": 512, "xx-large": 1024}
#: What every program is asked for where a case does not say more.
FLAVORS = ("normal", "large")

#: GLib's g_filename_to_uri leaves these besides letters and digits.
_GLIB_SAFE = "!$&'()*+,:=@/~-._"

_SIGNATURE = b"\x89PNG\r\n\x1a\n"


class Source(NamedTuple):
    """One line of a tree's manifest: a file, and the long edge of the picture in it."""

    path: str
    size_bytes: int
    mtime_ns: int
    long_edge_px: int

    @property
    def uri(self) -> str:
        """The URI GLib makes of the path."""
        return "file://" + quote(self.path, safe=_GLIB_SAFE)

    @property
    def entry_name(self) -> str:
        """File name of this source's entries."""
        return hashlib.md5(self.uri.encode(), usedforsecurity=False).hexdigest() + ".png"


class Counts(NamedTuple):
    """What a program left in its cache folder."""

    expected: int
    """Entries there should be: one per source and flavor."""
    gnome: int
    """Entries that GLib's thumbnail-verify and gnome-desktop accept."""
    everywhere: int
    """Entries that tumbler (Xfce) accepts as well: text before the pixels, exact mtime."""
    pictures: int
    """PNG files of any name."""
    size_bytes: int
    new: int
    """PNG files written since the program was started."""


class _Png(NamedTuple):
    """Dimensions, and text chunks as (type, stands before the pixels, key, value)."""

    long_edge_px: int
    texts: list[tuple[bytes, bool, str, str]]


def read_manifest(path: Path, folder: Path) -> list[Source]:
    """Read the sources of the tree in `folder`."""
    with path.open(encoding="utf-8") as lines:
        return [Source(f"{folder}/{inside}", *facts) for inside, *facts in map(json.loads, lines)]


def write_manifest(path: Path, folder: Path, sources: Iterable[Source]) -> None:
    """Write the sources of a tree, relative to it; the file appears when it is complete."""
    part = path.with_suffix(".part")
    with part.open("w", encoding="utf-8") as lines:
        for source in sources:
            inside = source.path.removeprefix(f"{folder}/")
            lines.write(json.dumps([inside, *source[1:]]) + "\n")
    part.replace(path)


def count(
    thumbnails: Path,
    sources: Iterable[Source],
    since_ns: int,
    flavors: Sequence[str] = FLAVORS,
) -> Counts:
    """Judge every entry there should be and count every picture there is."""
    expected = gnome = everywhere = 0
    for source in sources:
        name = source.entry_name
        for flavor in flavors:
            expected += 1
            box_px = BOXES_PX[flavor]
            png = _read(thumbnails / flavor / name)
            if png is None or png.long_edge_px != min(box_px, source.long_edge_px):
                continue
            if _glib_accepts(png, source):
                gnome += 1
                everywhere += _tumbler_accepts(png, source)
    facts = [path.stat() for path in _pictures(thumbnails, flavors)]
    return Counts(
        expected=expected,
        gnome=gnome,
        everywhere=everywhere,
        pictures=len(facts),
        size_bytes=sum(fact.st_size for fact in facts),
        new=sum(fact.st_mtime_ns >= since_ns for fact in facts),
    )


def written_since(thumbnails: Path, since_ns: int) -> int:
    """How many pictures were written since, of the flavors that every program is asked for."""
    return sum(path.stat().st_mtime_ns >= since_ns for path in _pictures(thumbnails, FLAVORS))


def _pictures(thumbnails: Path, flavors: Sequence[str]) -> Iterator[Path]:
    """All PNG files of some flavors."""
    for flavor in flavors:
        yield from (thumbnails / flavor).glob("*.png")


def _glib_accepts(png: _Png, source: Source) -> bool:
    """GLib reads tEXt only; every mention of a key must match, size only if mentioned."""
    wanted = {
        "Thumb::URI": source.uri,
        "Thumb::MTime": str(source.mtime_ns // 10**9),
        "Thumb::Size": str(source.size_bytes),
    }
    said = [(key, value) for kind, _before, key, value in png.texts if kind == b"tEXt"]
    keys = {key for key, _value in said}
    return {"Thumb::URI", "Thumb::MTime"} <= keys and all(
        wanted.get(key, value) == value for key, value in said
    )


def _tumbler_accepts(png: _Png, source: Source) -> bool:
    """Tumbler takes the first mtime of any chunk type before the pixels, to the microsecond."""
    before = [(key, value) for _kind, first, key, value in png.texts if first]
    mtimes = [value for key, value in before if key == "Thumb::MTime"]
    if not mtimes or all(key != "Thumb::URI" for key, _value in before):
        return False
    seconds, _point, fraction = mtimes[0].partition(".")
    try:
        said_us = int(seconds) * 10**6 + int(fraction.ljust(6, "0") or "0")
    except ValueError:
        return False
    return said_us == source.mtime_ns // 1000


def _read(path: Path) -> _Png | None:
    """Read a PNG's header and text chunks; None when it is missing or broken."""
    try:
        data = path.read_bytes()
    except OSError:
        return None
    if not data.startswith(_SIGNATURE):
        return None
    texts: list[tuple[bytes, bool, str, str]] = []
    long_edge_px = 0
    before, ended, place = True, False, len(_SIGNATURE)
    while place + 12 <= len(data) and not ended:
        length, kind = struct.unpack_from(">I4s", data, place)
        body = data[place + 8 : place + 8 + length]
        place += 12 + length
        if kind == b"IHDR":
            long_edge_px = max(struct.unpack_from(">II", body))
        elif kind == b"IDAT":
            before = False
        elif kind in {b"tEXt", b"zTXt", b"iTXt"}:
            key, value = _text(kind, body)
            texts.append((kind, before, key, value))
        ended = kind == b"IEND"
    whole = ended and not before and place == len(data)
    return _Png(long_edge_px, texts) if whole and long_edge_px else None


def _text(kind: bytes, body: bytes) -> tuple[str, str]:
    """Key and value of a text chunk; an unreadable value is empty."""
    key, _zero, value = body.partition(b"\0")
    try:
        if kind == b"zTXt":
            value = zlib.decompress(value[1:])
        elif kind == b"iTXt":
            packed = value[0] == 1
            value = value[2:].split(b"\0", 2)[2]
            value = zlib.decompress(value) if packed else value
    except (zlib.error, IndexError):
        value = b""
    return key.decode("latin-1"), value.decode("utf-8" if kind == b"iTXt" else "latin-1", "replace")
