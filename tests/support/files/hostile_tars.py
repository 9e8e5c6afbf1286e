"""Archives that mean harm to `pregen import`: 27 of them, and what each needs of a good entry.

Made by hand, block by block: no library writes such things. Files with holes take no space.
"""

from __future__ import annotations

import gzip
import struct
import zlib
from typing import TYPE_CHECKING, NamedTuple

from tests.support.judges import png_walk

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

_BLOCK = 512
_END = bytes(2 * _BLOCK)


class Victim(NamedTuple):
    """An entry that is live in the cache: what the archives go for."""

    place: str
    """`large/<md5>.png`."""
    data: bytes

    @property
    def name(self) -> str:
        """Its name in an archive."""
        return f"thumbnails/{self.place}"


def header(
    name: str | bytes, size: int | bytes = 0, kind: bytes = b"0", link: bytes = b"", **other: bytes
) -> bytes:
    """Return a ustar header, with its check; a size in bytes is taken as it is."""
    path = name.encode() if isinstance(name, str) else name
    number = size if isinstance(size, bytes) else b"%011o\0" % size
    block = bytearray(_BLOCK)
    block[: len(path)] = path[:100]
    block[100:108] = b"0000600\0"
    block[124 : 124 + len(number)] = number
    block[136:148] = b"14501264400\0"
    block[148:156] = b" " * 8
    block[156:157] = kind
    block[157 : 157 + len(link)] = link
    block[257:265] = other.get("magic", b"ustar\00000")
    block[148:156] = b"%06o\0 " % sum(block)
    return bytes(block)


def member(name: str | bytes, data: bytes, kind: bytes = b"0") -> bytes:
    """Return a member: header, data, padding."""
    return header(name, len(data), kind) + data + bytes(-len(data) % _BLOCK)


def _pax(*records: bytes) -> bytes:
    """Return a pax header of records, each with its length before it."""
    body = b""
    for record in records:
        length = len(record) + 2
        while len(b"%d %b\n" % (length, record)) != length:
            length = len(b"%d %b\n" % (length, record))
        body += b"%d %b\n" % (length, record)
    return member("PaxHeaders/x", body, b"x")


def _picture(victim: Victim, stream: bytes, **texts: str) -> bytes:
    """Return the victim with another packed picture, whole by its chunks and checks."""
    parts = [
        (kind, stream if kind == b"IDAT" else body) for kind, body in png_walk.chunks(victim.data)
    ]
    png = png_walk.build(parts)
    said = [
        (text.kind, text.key, texts.get(text.key.rpartition(":")[2], text.value))
        for text in png_walk.texts(png)
        if not (texts and text.kind == "iTXt")
    ]
    return png_walk.with_texts(png, said)


def _bomb(megabytes: int) -> bytes:
    packer = zlib.compressobj(9)
    return b"".join(packer.compress(bytes(1 << 20)) for _ in range(megabytes)) + packer.flush()


def _many_chunks(victim: Victim, number: int) -> bytes:
    parts = png_walk.chunks(victim.data)
    whole = png_walk.build(parts)
    empty = struct.pack(">I4sI", 0, b"tEXt", zlib.crc32(b"tEXt"))
    return whole[:33] + empty * number + whole[33:]


def _holes(victim: Victim, path: Path) -> None:
    """Write 20 GB of members that are none, nearly all of it holes."""
    size = (16 << 20) - _BLOCK
    with path.open("wb") as file:
        for number in range(1280):
            file.write(header(f"thumbnails/other/{number}.png", size))
            file.seek(size, 1)
        file.write(member(victim.name, victim.data) + _END)


def _pax_of_20_gb(victim: Victim, path: Path) -> None:
    size = 8**11 - 1
    with path.open("wb") as file:
        file.write(header("x", size, b"x"))
        file.seek(20 << 30)
        file.write(member(victim.name, victim.data) + _END)


def _later(victim: Victim) -> str:
    return str(int(png_walk.text_of(victim.data, "Thumb::MTime")) + 1000)


def _simple(build: Callable[[Victim], bytes]) -> Callable[[Victim, Path], None]:
    return _exactly(lambda victim: build(victim) + _END)


def _exactly(build: Callable[[Victim], bytes]) -> Callable[[Victim, Path], None]:
    def write(victim: Victim, path: Path) -> None:
        path.write_bytes(build(victim))

    return write


#: How each is written. None may change the cache or anything else.
HOSTILE_TARS: dict[str, Callable[[Victim, Path], None]] = {
    # names and kinds
    "a way up": _simple(lambda v: member(f"thumbnails/../../{v.place}", v.data)),
    "an absolute name": _simple(lambda v: member(f"/thumbnails/{v.place}", v.data)),
    "a symbolic link": _simple(lambda v: header(v.name, 0, b"2", b"/etc/passwd")),
    "a hard link": _simple(lambda v: header(v.name, 0, b"1", b"/etc/passwd")),
    "a device": _simple(lambda v: header(v.name, 0, b"3")),
    "a FIFO": _simple(lambda v: header(v.name, 0, b"6")),
    "upper case": _simple(lambda v: member(v.name.upper(), v.data)),
    "a line in a name": _simple(lambda v: member(v.name + "\nx", v.data)),
    "commands for the terminal": _simple(lambda v: member(v.name + "\x1b[2J", v.data)),
    "holes by GNU": _simple(lambda v: member(v.name, v.data, b"S")),
    "another name by pax": _simple(lambda v: _pax(b"path=../../x.png") + member(v.name, b"x")),
    # sizes
    "a pax size of 2^70": _simple(lambda v: _pax(b"size=%d" % 2**70) + member(v.name, v.data)),
    "a pax size below zero": _simple(lambda v: _pax(b"size=-512") + member(v.name, v.data)),
    "a size below zero": _simple(lambda v: header(v.name, b"\xff" * 12) + v.data),
    "a size of 2^80": _simple(lambda v: header(v.name, b"\x80\1" + bytes(10)) + v.data),
    "200 kB of digits": _simple(lambda _: member("x", b"1" * 200_000, b"x")),
    "pax headers in pax headers": _simple(lambda v: _pax(b"a=b") * 5000 + member(v.name, b"x")),
    "names before names": _simple(
        lambda v: member("././@LongLink", b"x\0", b"L") * 5000 + member(v.name, b"x")
    ),
    "a pax header of 20 GB": _pax_of_20_gb,
    "20 GB of holes": _holes,
    # the archive itself
    "cut off": _exactly(lambda v: member(v.name, v.data)[:-900]),
    "a wrong check": _simple(lambda v: b"T" + member(v.name, v.data)[1:]),
    "compressed": _exactly(lambda v: gzip.compress(member(v.name, b"") * 9)),
    # entries
    "a picture that is none, of a later time": _simple(
        lambda v: member(v.name, _picture(v, b"garbage not zlib", MTime=_later(v)))
    ),
    "a picture of nothing": _simple(lambda v: member(v.name, _picture(v, zlib.compress(b"")))),
    "a picture of 300 MB": _simple(
        lambda v: member(v.name, _picture(v, _bomb(300), MTime=_later(v)))
    ),
    "a hundred thousand chunks": _simple(lambda v: member(v.name, _many_chunks(v, 100_000))),
}
