"""Ways in which an entry can be odd or damaged, for clients to judge. Built without pregen.

Every picture is pure green and no source shows green: a client that shows green took the entry.
"""

from __future__ import annotations

import io
import struct
import zlib
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np
from PIL import Image

from tests.support.files.pictures import ADAM7, encode
from tests.support.judges import desktops, png_walk

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

Parts = list[tuple[bytes, bytes]]
BOX_PX: Final = dict(zip(desktops.FLAVORS, (128, 256, 512, 1024), strict=True))
_GREEN: Final = (0, 255, 0, 255)
#: Of sources: one colour, so that clients quickly make it smaller. They do that many times.
NOT_GREEN: Final = (200, 0, 60)


class Facts(NamedTuple):
    """What an entry is to say of its source."""

    uri: str
    mtime_s: int
    usec: int
    size_bytes: int
    box_px: int


def source_picture() -> Image.Image:
    """Return a picture without green."""
    return Image.new("RGB", (600, 400), NOT_GREEN)


def facts_of(source: Path, flavor: str) -> Facts:
    """Return what a right entry of a source says."""
    now = source.stat()
    seconds, rest = divmod(now.st_mtime_ns, 10**9)
    uri = desktops.glib_uri(source)
    return Facts(uri, seconds, rest // 1000, now.st_size, BOX_PX[flavor])


def text(key: str, value: object, kind: str = "tEXt") -> tuple[bytes, bytes]:
    """Return a text chunk's type and body."""
    start = f"Thumb::{key}".encode() + b"\0"
    if kind == "zTXt":
        return b"zTXt", start + b"\0" + zlib.compress(str(value).encode())
    middle = b"\0\0\0\0" if kind == "iTXt" else b""
    return kind.encode(), start + middle + str(value).encode()


def leading(facts: Facts) -> tuple[bytes, bytes]:
    """Return the MTime that tumbler looks for."""
    return text("MTime", f"{facts.mtime_s}.{facts.usec:06}", "iTXt")


def plain(facts: Facts) -> Parts:
    """Return the texts that all but tumbler look for."""
    return [
        text("URI", facts.uri),
        text("MTime", facts.mtime_s),
        text("Size", facts.size_bytes),
        (b"tEXt", b"Software\0someone"),
    ]


def texts(facts: Facts) -> Parts:
    """Return texts that suit everybody."""
    return [leading(facts), *plain(facts)]


def picture(facts: Facts, mode: str = "RGBA", edge_px: int = 0) -> Parts:
    """Return the chunks of a green picture, IHDR first."""
    edge_px = edge_px or facts.box_px
    shown = Image.new("RGBA", (edge_px, max(1, edge_px * 2 // 3)), _GREEN).convert(mode)
    return png_walk.chunks(encode(shown, "PNG"))


def header(facts: Facts, *rest: int) -> tuple[bytes, bytes]:
    """Return IHDR; `rest`: depth, colour type, compression, filter, interlace."""
    edges = facts.box_px, facts.box_px * 2 // 3
    return b"IHDR", struct.pack(">IIBBBBB", *edges, *(rest or (8, 6, 0, 0, 0)))


def rows(
    facts: Facts, missing: int = 0, filter_type: int = 0, pixel: bytes = bytes(_GREEN)
) -> bytes:
    """Return the rows of a green picture, not packed."""
    row = bytes([filter_type]) + pixel * facts.box_px
    return row * (facts.box_px * 2 // 3 - missing)


def whole(facts: Facts, said: Parts, shown: Parts | None = None, behind: Parts = ()) -> bytes:  # type: ignore[assignment]
    """Return a PNG: header, texts, picture, and what stands behind it."""
    first, *rest, end = shown or picture(facts)
    return png_walk.build([first, *said, *rest, *behind, end])


def idat(facts: Facts, stream: bytes) -> Parts:
    """Return the chunks of a picture with this stream."""
    return [header(facts), (b"IDAT", stream), (b"IEND", b"")]


def repainted(data: bytes) -> bytes:
    """Return a whole PNG with a green picture of its size in the place of its own."""
    parts = png_walk.chunks(data)
    width_px, height_px = struct.unpack_from(">II", parts[0][1])
    green = zlib.compress((b"\0" + bytes(_GREEN) * width_px) * height_px)
    head = struct.pack(">IIBBBBB", width_px, height_px, 8, 6, 0, 0, 0)
    rest = [part for part in parts[1:] if part[0] not in {b"IDAT", b"PLTE", b"tRNS", b"IEND"}]
    return png_walk.build([(b"IHDR", head), *rest, (b"IDAT", green), (b"IEND", b"")])


def spoilt(data: bytes, kind: bytes, number: int = 0) -> bytes:
    """Return a PNG whose chunk of a type has a wrong CRC."""
    at = -1
    for _ in range(number + 1):
        at = data.index(kind, at + 1)
    (length,) = struct.unpack_from(">I", data, at - 4)
    crc = at + 4 + length
    return data[:crc] + bytes([data[crc] ^ 0xFF]) + data[crc + 1 :]


def interlaced(facts: Facts) -> Parts:
    """Return a green picture in seven passes."""
    width, height = facts.box_px, facts.box_px * 2 // 3
    packed = bytearray()
    for x, y, step_x, step_y in ADAM7:
        columns, lines = len(range(x, width, step_x)), len(range(y, height, step_y))
        packed += (b"\0" + bytes(_GREEN) * columns) * lines
    return [header(facts, 8, 6, 0, 0, 1), (b"IDAT", zlib.compress(bytes(packed))), (b"IEND", b"")]


def swapped(said: Parts, key: str, *new: tuple[bytes, bytes]) -> Parts:
    """Return texts with other chunks in the place of the plain one of a key."""
    start = f"Thumb::{key}".encode() + b"\0"
    return [
        each
        for old in said
        for each in (new if old[0] == b"tEXt" and old[1].startswith(start) else (old,))
    ]


def _jpeg(facts: Facts) -> bytes:
    stream = io.BytesIO()
    Image.new("RGB", (facts.box_px, facts.box_px), _GREEN[:3]).save(stream, "JPEG")
    return stream.getvalue()


def _cut(data: bytes, part: float) -> bytes:
    return data[: int(len(data) * part)]


def _lengthened(data: bytes, start: bytes) -> bytes:
    """Return a PNG whose chunk with this beginning claims a megabyte: tumbler sets that aside."""
    at = data.index(start) - 4
    return data[:at] + b"\0\x10" + data[at + 2 :]


def _noisy(facts: Facts) -> Parts:
    """Return a picture that is long enough to be cut: green in the middle, noise around it."""
    edges = facts.box_px * 2 // 3, facts.box_px, 4
    shown = np.random.default_rng(5).integers(0, 256, edges, np.uint8)
    shown[shown.shape[0] // 4 : -(shown.shape[0] // 4), shown.shape[1] // 4 :] = _GREEN
    return png_walk.chunks(encode(Image.fromarray(shown), "PNG"))


#: By name: the bytes of an entry. None: a symbolic link to a good one. Not among them: a wrong CRC
#: of the last chunk, which libpng 1.6.39 refuses and 1.6.48 does not.
ENTRIES: Final[dict[str, Callable[[Facts], bytes] | None]] = {
    "as pregen writes it": lambda f: whole(f, texts(f)),
    "whole seconds only": lambda f: whole(f, plain(f)),
    "fraction only": lambda f: whole(
        f, swapped(plain(f), "MTime", text("MTime", f"{f.mtime_s}.{f.usec:06}"))
    ),
    "another URI": lambda f: whole(f, swapped(texts(f), "URI", text("URI", "file:///x/y.jpg"))),
    "compressed texts": lambda f: whole(
        f, [text("URI", f.uri, "zTXt"), text("MTime", f.mtime_s, "zTXt")]
    ),
    "international texts": lambda f: whole(
        f, [text("URI", f.uri, "iTXt"), text("MTime", f.mtime_s, "iTXt")]
    ),
    "too large": lambda f: whole(f, texts(f), picture(f, edge_px=f.box_px * 2)),
    "one pixel": lambda f: whole(f, texts(f), picture(f, edge_px=1)),
    "interlaced": lambda f: whole(f, texts(f), interlaced(f)),
    "palette": lambda f: whole(f, texts(f), picture(f, "P")),
    "RGB": lambda f: whole(f, texts(f), picture(f, "RGB")),
    "16 bit": lambda f: whole(
        f,
        texts(f),
        [
            header(f, 16, 6, 0, 0, 0),
            (b"IDAT", zlib.compress(rows(f, pixel=b"\0\0\xff\xff\0\0\xff\xff"))),
            (b"IEND", b""),
        ],
    ),
    "cut off": lambda f: _cut(whole(f, texts(f), _noisy(f)), 0.6),
    "without an end": lambda f: whole(f, texts(f))[:-12],
    "end is cut": lambda f: whole(f, texts(f))[:-2],
    "end is cut by 1": lambda f: whole(f, texts(f))[:-1],
    "end is cut by 3": lambda f: whole(f, texts(f))[:-3],
    "end is cut by 4": lambda f: whole(f, texts(f))[:-4],
    "end is cut by 5": lambda f: whole(f, texts(f))[:-5],
    "end is cut by 8": lambda f: whole(f, texts(f))[:-8],
    "end is cut by 9": lambda f: whole(f, texts(f))[:-9],
    "end is cut by 11": lambda f: whole(f, texts(f))[:-11],
    "older": lambda f: whole(f, texts(f._replace(mtime_s=f.mtime_s - 1))),
    "newer": lambda f: whole(f, texts(f._replace(mtime_s=f.mtime_s + 1))),
    "another size": lambda f: whole(f, texts(f._replace(size_bytes=5))),
    "no texts": lambda f: whole(f, []),
    "texts behind": lambda f: whole(f, [], behind=texts(f)),
    "CRC of the URI": lambda f: spoilt(whole(f, texts(f)), b"tEXt", 0),
    "CRC of the MTime": lambda f: spoilt(whole(f, texts(f)), b"tEXt", 1),
    "CRC of the Size": lambda f: spoilt(whole(f, texts(f)), b"tEXt", 2),
    "CRC of the fraction": lambda f: spoilt(whole(f, texts(f)), b"iTXt"),
    "CRC of the picture": lambda f: spoilt(whole(f, texts(f)), b"IDAT"),
    "CRC of the header": lambda f: spoilt(whole(f, texts(f)), b"IHDR"),
    "a link": None,
    "a JPEG": _jpeg,
    "nothing": lambda _: b"",
    "signature only": lambda _: png_walk.SIGNATURE,
    "signature spoilt": lambda f: b"\x88" + whole(f, texts(f))[1:],
    "leading zero": lambda f: whole(f, swapped(texts(f), "MTime", text("MTime", f"0{f.mtime_s}"))),
    "blanks": lambda f: whole(f, swapped(texts(f), "MTime", text("MTime", f" {f.mtime_s} "))),
    "wrong MTime between": lambda f: whole(f, [leading(f), text("MTime", 1), text("URI", f.uri)]),
    "wrong MTime last": lambda f: whole(f, [*texts(f), text("MTime", 1)]),
    "wrong URI last": lambda f: whole(f, [*texts(f), text("URI", "file:///x")]),
    "old KDE's": lambda f: whole(
        f, [*texts(f)[:-1], (b"tEXt", b"Software\0KDE Thumbnail Generator Images (v1)")]
    ),
    "KDE's": lambda f: whole(
        f, [*texts(f)[:-1], (b"tEXt", b"Software\0KDE Thumbnail Generator Images (v2)")]
    ),
    "no MTime": lambda f: whole(f, [text("URI", f.uri), text("Size", f.size_bytes)]),
    "no URI": lambda f: whole(f, [leading(f), text("MTime", f.mtime_s)]),
    "no Size": lambda f: whole(f, swapped(texts(f), "Size")),
    "lower-case URI": lambda f: whole(
        f, swapped(texts(f), "URI", text("URI", f.uri.replace("%C3%A9", "%c3%a9")))
    ),
    "host in the URI": lambda f: whole(
        f, swapped(texts(f), "URI", text("URI", f.uri.replace("///", "//localhost/")))
    ),
    "bytes behind": lambda f: whole(f, texts(f)) + b"and more",
    "broken profile": lambda f: whole(f, [(b"iCCP", b"icc\0\0nonsense"), *texts(f)]),
    "texts apart": lambda f: whole(
        f, [*texts(f)[:2], (b"tIME", struct.pack(">HBBBBB", 2023, 1, 1, 1, 1, 1)), *texts(f)[2:]]
    ),
    "Exif first": lambda f: whole(f, [(b"eXIf", b"MM\0*\0\0\0\x08\0\0\0\0\0\0"), *texts(f)]),
    "not packed": lambda f: whole(f, texts(f), idat(f, b"this is no zlib stream" * 9)),
    "too few rows": lambda f: whole(f, texts(f), idat(f, zlib.compress(rows(f, 3)))),
    "too many rows": lambda f: whole(f, texts(f), idat(f, zlib.compress(rows(f, -3)))),
    "checksum of the rows": lambda f: whole(
        f, texts(f), idat(f, zlib.compress(rows(f))[:-1] + b"x")
    ),
    "rows without a checksum": lambda f: whole(f, texts(f), idat(f, zlib.compress(rows(f))[:-4])),
    "bytes behind the rows": lambda f: whole(
        f, texts(f), idat(f, zlib.compress(rows(f)) + b"and more")
    ),
    "unknown filter": lambda f: whole(f, texts(f), idat(f, zlib.compress(rows(f, 0, 9)))),
    "unknown chunk": lambda f: whole(f, [(b"KRIT", b"ical"), *texts(f)]),
    "unknown chunk behind": lambda f: whole(f, texts(f), behind=[(b"KRIT", b"ical")]),
    "unknown ancillary chunk": lambda f: whole(f, [(b"quUx", b"anything"), *texts(f)]),
    "no picture": lambda f: png_walk.build([header(f), *texts(f), (b"IEND", b"")]),
    "no width": lambda f: whole(
        f, texts(f), [(b"IHDR", struct.pack(">IIBBBBB", 0, 9, 8, 6, 0, 0, 0)), *picture(f)[1:]]
    ),
    "impossible depth": lambda f: whole(f, texts(f), [header(f, 3, 6, 0, 0, 0), *picture(f)[1:]]),
    "palette missing": lambda f: whole(
        f, texts(f), [header(f, 8, 3, 0, 0, 0), *picture(f, "P")[2:]]
    ),
    "text beyond the file": lambda f: _lengthened(whole(f, texts(f)), b"tEXtThumb::Size"),
    "a chunk without a name": lambda f: whole(f, [(b"a?b1", b"x"), *texts(f)]),
    "picture in two places": lambda f: whole(
        f,
        texts(f),
        [
            header(f),
            (b"IDAT", zlib.compress(rows(f))[:60]),
            (b"tEXt", b"a\0b"),
            (b"IDAT", zlib.compress(rows(f))[60:]),
            (b"IEND", b""),
        ],
    ),
}


def plant(cache: Path, flavor: str, source: Path, name: str) -> Path:
    """Put the entry of this name for a source; return its path."""
    facts = facts_of(source, flavor)
    path = desktops.entry_path(cache, flavor, facts.uri)
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    made = ENTRIES[name]
    if made is None:
        elsewhere = cache / f"{flavor}-linked.png"
        elsewhere.write_bytes(whole(facts, texts(facts)))
        path.symlink_to(elsewhere)
    else:
        path.write_bytes(made(facts))
        path.chmod(0o600)
    return path
