"""Ways in which an entry can be wrong. Each plants one, and says what a verifier should call it.

Made with Pillow and a chunk walker only: pregen is not asked to damage its own work.
"""

from __future__ import annotations

import io
import os
import struct
import zlib
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from PIL import Image

from tests.support.files.photo import photo
from tests.support.files.pictures import ADAM7, encode, jpeg, put
from tests.support.files.source_trees import MTIME_NS
from tests.support.judges import desktops, png_walk

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


class Damage(NamedTuple):
    """A way to damage an entry."""

    flaw: str
    """What `verify --json` calls it."""
    plant: Callable[[Entry], None]
    deep: bool = False
    """Found only by comparing pictures."""


class Entry(NamedTuple):
    """An entry to be damaged, and its original."""

    path: Path
    source: Path

    @property
    def data(self) -> bytes:
        """Its bytes as they are."""
        return self.path.read_bytes()

    @property
    def picture(self) -> Image.Image:
        """Its picture."""
        return Image.open(io.BytesIO(self.data)).convert("RGBA")

    def put(self, data: bytes) -> None:
        """Replace its bytes; its mode stays."""
        self.path.write_bytes(data)

    def show(self, picture: Image.Image) -> None:
        """Replace its picture; its texts stay."""
        made = png_walk.chunks(encode(picture, "PNG"))
        parts = [part for part in png_walk.chunks(self.data) if part[0].endswith(b"Xt")]
        self.put(png_walk.build([made[0], *parts, *made[1:]]))

    def say(self, key: str, *values: str, kind: str = "tEXt") -> None:
        """Replace what it says under a key, by nothing or once or more often."""
        old = png_walk.texts(self.data)
        said = [(text.kind, text.key, text.value) for text in old if text.key != key]
        said += [(kind, key, value) for value in values]
        self.put(png_walk.with_texts(self.data, said))


def _idat(entry: Entry, change: Callable[[bytes], bytes]) -> None:
    parts = png_walk.chunks(entry.data)
    entry.put(
        png_walk.build([(kind, change(body) if kind == b"IDAT" else body) for kind, body in parts])
    )


def _rows(entry: Entry, change: Callable[[bytes], bytes]) -> None:
    _idat(entry, lambda stream: zlib.compress(change(zlib.decompress(stream))))


def _flip(data: bytes, at: int) -> bytes:
    return data[:at] + bytes([data[at] ^ 0x10]) + data[at + 1 :]


def _header(entry: Entry, **fields: int) -> None:
    parts = png_walk.chunks(entry.data)
    names = ("width", "height", "depth", "colour", "packing", "filtering", "interlace")
    values = dict(zip(names, struct.unpack(">IIBBBBB", parts[0][1]), strict=True)) | fields
    parts[0] = (b"IHDR", struct.pack(">IIBBBBB", *values.values()))
    entry.put(png_walk.build(parts))


def _repack(entry: Entry, depth: int, *, interlaced: bool = False) -> None:
    """Store the same picture in a way that Pillow does not write."""
    pixels = np.asarray(entry.picture)
    steps = ADAM7 if interlaced else ((0, 0, 1, 1),)
    samples = pixels if depth == 8 else (pixels.astype(">u2") * 257).view(np.uint8)
    passes = [samples[y::dy, x::dx] for x, y, dx, dy in steps]
    rows = b"".join(b"\0" + row.tobytes() for part in passes if part.size for row in part)
    _idat(entry, lambda _: zlib.compress(rows))
    _header(entry, depth=depth, interlace=int(interlaced))


def _insert(entry: Entry, *parts: tuple[bytes, bytes], before: bytes) -> None:
    old = png_walk.chunks(entry.data)
    at = [kind for kind, _ in old].index(before)
    entry.put(png_walk.build([*old[:at], *parts, *old[at:]]))


def _drop(entry: Entry, kind: bytes) -> None:
    entry.put(png_walk.build([part for part in png_walk.chunks(entry.data) if part[0] != kind]))


def _split(entry: Entry) -> None:
    parts: list[tuple[bytes, bytes]] = []
    for kind, body in png_walk.chunks(entry.data):
        if kind == b"IDAT":
            parts += [(kind, body[:500]), (b"tEXt", b"Comment\0between"), (kind, body[500:])]
        else:
            parts.append((kind, body))
    entry.put(png_walk.build(parts))


def _another_name(entry: Entry) -> None:
    entry.path.rename(entry.path.with_name("Holiday.png"))


def _key_of_nobody(entry: Entry) -> None:
    entry.path.rename(entry.path.with_name(f"{'0123456789abcdef' * 2}.png"))


def _link(entry: Entry) -> None:
    away = entry.source.parent.parent / "elsewhere.png"
    entry.path.rename(away)
    entry.path.symlink_to(away)


def _fifo(entry: Entry) -> None:
    entry.path.unlink()
    os.mkfifo(entry.path)


def _folder(entry: Entry) -> None:
    entry.path.unlink()
    entry.path.mkdir()


def _temp(entry: Entry) -> None:
    host = os.uname().nodename
    # Above the largest number a process can have (Linux, PID_MAX_LIMIT).
    name = f".pregen-{host}-4194999-0-{entry.path.name[:8]}.tmp"
    put(entry.path.with_name(name), entry.data[:100]).chmod(0o600)


def _old_temp_of_another(entry: Entry) -> None:
    temp = put(entry.path.with_name(f"{entry.path.name}.A1b2C3"), entry.data[:100])
    os.utime(temp, ns=(MTIME_NS, MTIME_NS))


def _other_picture(entry: Entry) -> None:
    size = entry.picture.size
    entry.show(Image.fromarray(photo(*size, seed=4711)[::-1, :, ::-1]).convert("RGBA"))


def _changed_source(entry: Entry) -> None:
    put(entry.source, jpeg(333, 222, seed=99), MTIME_NS + 10**12)


def _zeros(data: bytes) -> bytes:
    return bytes(len(data))


#: Kind -> how it is made. The flaw is what `pregen verify` has to call it, and all it may say.
DAMAGES: dict[str, Damage] = {
    "no bytes": Damage("empty", lambda e: e.put(b"")),
    "zeros": Damage("not-png", lambda e: e.put(_zeros(e.data))),
    "a JPEG": Damage("not-png", lambda e: e.put(jpeg(256, 200))),
    "cut within its signature": Damage("truncated", lambda e: e.put(e.data[:5])),
    "cut within its texts": Damage("truncated", lambda e: e.put(e.data[:90])),
    "cut within its picture": Damage("truncated", lambda e: e.put(e.data[:-2000])),
    "without its end": Damage("truncated", lambda e: e.put(e.data[:-12])),
    "a bit of its picture": Damage("crc", lambda e: e.put(_flip(e.data, len(e.data) - 500))),
    "a bit of its header": Damage("crc", lambda e: e.put(_flip(e.data, 18))),
    "a bit of its texts": Damage("crc", lambda e: e.put(_flip(e.data, 60))),
    "a bit of the packed picture": Damage("pixels", lambda e: _idat(e, lambda d: _flip(d, 700))),
    "rows missing": Damage("pixels", lambda e: _rows(e, lambda rows: rows[:-3000])),
    "rows too many": Damage("pixels", lambda e: _rows(e, lambda rows: rows + bytes(5))),
    "a filter that is none": Damage("pixels", lambda e: _rows(e, lambda rows: b"\7" + rows[1:])),
    "bytes behind the packed picture": Damage("pixels", lambda e: _idat(e, lambda d: d + b"xx")),
    "a header that promises more": Damage("pixels", lambda e: _header(e, height=250)),
    "an impossible header": Damage("chunks", lambda e: _header(e, depth=5)),
    "no picture": Damage("chunks", lambda e: _drop(e, b"IDAT")),
    "a chunk that nobody knows": Damage(
        "chunks", lambda e: _insert(e, (b"ABCD", b""), before=b"IDAT")
    ),
    "a picture in two places": Damage("chunks", _split),
    "bytes behind its end": Damage("trailing-bytes", lambda e: e.put(e.data + b"garbage")),
    "interlaced": Damage("interlaced", lambda e: _repack(e, 8, interlaced=True)),
    "16 bits": Damage("bit-depth", lambda e: _repack(e, 16)),
    "without alpha": Damage("not-rgba", lambda e: e.show(e.picture.convert("RGB"))),
    "too large for its flavor": Damage("edges", lambda e: e.show(e.picture.resize((400, 300)))),
    "too small for its flavor": Damage("edges", lambda e: e.show(e.picture.resize((128, 94)))),
    "no URI": Damage("no-uri", lambda e: e.say("Thumb::URI")),
    "no MTime": Damage("no-mtime", lambda e: e.say("Thumb::MTime")),
    "a URI that is none": Damage("text", lambda e: e.say("Thumb::URI", "photo.jpg")),
    "a time that is none": Damage("text", lambda e: e.say("Thumb::MTime", "yesterday")),
    "a text that cannot be unpacked": Damage(
        "text", lambda e: _insert(e, (b"zTXt", b"Comment\0\0broken"), before=b"IDAT")
    ),
    "the URI of another file": Damage(
        "key", lambda e: e.say("Thumb::URI", desktops.glib_uri(e.source.with_name("other.jpg")))
    ),
    "another md5 for a name": Damage("key", _key_of_nobody),
    "another name": Damage("name", _another_name),
    "another MTime": Damage("stale", lambda e: e.say("Thumb::MTime", "1234567890")),
    "a fraction of another MTime": Damage(
        "stale",
        lambda e: e.say("Thumb::MTime", f"{MTIME_NS // 10**9}.654321", str(MTIME_NS // 10**9)),
    ),
    "another Size": Damage("stale", lambda e: e.say("Thumb::Size", "12345")),
    "a source that changed": Damage("stale", _changed_source),
    "compressed texts": Damage(
        "refused", lambda e: e.say("Thumb::URI", desktops.glib_uri(e.source), kind="zTXt")
    ),
    "readable by others": Damage("mode", lambda e: e.path.chmod(0o644)),
    "readable by nobody": Damage("mode", lambda e: e.path.chmod(0)),
    "a link in its place": Damage("link", _link),
    "a FIFO in its place": Damage("not-a-file", _fifo),
    "a folder in its place": Damage("not-a-file", _folder),
    "a temp of a dead run": Damage("temp", _temp),
    "an old temp of another program": Damage("temp", _old_temp_of_another),
    "another picture": Damage("picture", _other_picture, deep=True),
    "turned upside down": Damage(
        "picture", lambda e: e.show(e.picture.transpose(Image.Transpose.ROTATE_180)), deep=True
    ),
    "turned by 90 degrees": Damage(
        "picture", lambda e: e.show(e.picture.transpose(Image.Transpose.ROTATE_90)), deep=True
    ),
    "mirrored": Damage(
        "picture", lambda e: e.show(e.picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT)), deep=True
    ),
    "all grey": Damage(
        "picture", lambda e: e.show(Image.new("RGBA", e.picture.size, "grey")), deep=True
    ),
}
