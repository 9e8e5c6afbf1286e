"""PNG chunks, walked and built from the standard alone: pregen is not asked about itself."""

from __future__ import annotations

import hashlib
import struct
import zlib
from typing import NamedTuple

SIGNATURE = b"\x89PNG\r\n\x1a\n"


class Text(NamedTuple):
    """One text chunk: its type, key and value (inflated), and whether it stood before IDAT."""

    kind: str
    key: str
    value: str
    before_idat: bool


def chunks(png: bytes) -> list[tuple[bytes, bytes]]:
    """Return every (type, body) in file order; each length, CRC and the end are checked.

    Raises:
        ValueError: Not a PNG, or not a whole one.
    """
    if not png.startswith(SIGNATURE):
        raise ValueError("no PNG signature")
    found, at = [], len(SIGNATURE)
    while at < len(png):
        if at + 12 > len(png):
            raise ValueError(f"cut at {at}")
        (length,) = struct.unpack_from(">I", png, at)
        kind, body = png[at + 4 : at + 8], png[at + 8 : at + 8 + length]
        if len(png) < at + 12 + length:
            raise ValueError(f"{kind!r} is cut")
        (crc,) = struct.unpack_from(">I", png, at + 8 + length)
        if crc != zlib.crc32(kind + body):
            raise ValueError(f"{kind!r} has a wrong CRC")
        found.append((kind, body))
        at += 12 + length
    if not found or found[0][0] != b"IHDR" or found[-1] != (b"IEND", b""):
        raise ValueError("does not start with IHDR and end with IEND")
    return found


def build(parts: list[tuple[bytes, bytes]]) -> bytes:
    """Return the PNG made of these chunks."""
    return SIGNATURE + b"".join(
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        for kind, body in parts
    )


def texts(png: bytes) -> list[Text]:
    """Return every text chunk of all three kinds, in file order."""
    found, before = [], True
    for kind, body in chunks(png):
        if kind == b"IDAT":
            before = False
        if kind in {b"tEXt", b"zTXt", b"iTXt"}:
            key, rest = body.split(b"\0", 1)
            value = _value(kind, rest)
            found.append(Text(kind.decode(), key.decode("latin-1"), value, before))
    return found


def _value(kind: bytes, rest: bytes) -> str:
    if kind == b"tEXt":
        return rest.decode("latin-1")
    if kind == b"zTXt":
        return zlib.decompress(rest[1:]).decode("latin-1")
    compressed, text = rest[0], rest[2:].split(b"\0", 2)[2]
    return (zlib.decompress(text) if compressed else text).decode()


def text_of(png: bytes, key: str) -> str:
    """Return the value of the only `tEXt` chunk with this key.

    Raises:
        ValueError: There is none, or more than one.
    """
    (value,) = (text.value for text in texts(png) if text.kind == "tEXt" and text.key == key)
    return value


def with_texts(png: bytes, wanted: list[tuple[str, str, str]]) -> bytes:
    """Return the PNG with its text chunks replaced by (kind, key, value) right after IHDR."""
    kept = [part for part in chunks(png) if part[0] not in {b"tEXt", b"zTXt", b"iTXt"}]
    made = []
    for kind, key, value in wanted:
        body = key.encode("latin-1") + b"\0"
        if kind == "zTXt":
            body += b"\0" + zlib.compress(value.encode("latin-1"))
        elif kind == "iTXt":
            body += b"\0\0\0\0" + value.encode()
        else:
            body += value.encode("latin-1")
        made.append((kind.encode(), body))
    return build([kept[0], *made, *kept[1:]])


def pixels_digest(png: bytes) -> str:
    """Return a digest of everything that is not text: equal means that nothing was re-encoded."""
    digest = hashlib.sha256()
    for kind, body in chunks(png):
        if kind not in {b"tEXt", b"zTXt", b"iTXt"}:
            digest.update(kind + body)
    return digest.hexdigest()
