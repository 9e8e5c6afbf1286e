"""Takes a PNG apart, strictly, to its last byte. Pure.

Reads by itself what `thumbspec` reads too, and shares only the values that come out (`PngHead`,
`Text`): two readers do not share a mistake. Where that one passes over what cannot be read, as the
desktops do, this one objects. References are to the PNG specification, third edition.
"""

from __future__ import annotations

import struct
import zlib
from enum import Enum
from typing import Final, NamedTuple

from pregen.thumbspec.pngtext import PngHead, Text, TextKind


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
    DISPUTED = "disputed"
    """Two decoders show its original differently, and a new one would be as it is."""
    # Its place.
    MODE = "mode"
    OWNER = "owner"
    LINK = "link"
    NOT_FILE = "not-a-file"
    NAME = "name"
    """A thumbnail whose name is not an md5: no program will ever find it."""
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


class EntryFlaw(NamedTuple):
    """One thing that is wrong."""

    flaw: Flaw
    reason: str
    """For people."""


_SIGNATURE: Final = bytes((137, 80, 78, 71, 13, 10, 26, 10))
_AROUND_BYTES: Final = 12
_HEADER: Final = struct.Struct(">IIBBBBB")
#: Samples of a pixel by colour type, and the depths each may have (11.2.1).
_SAMPLES: Final = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
_DEPTHS: Final = {
    0: {1, 2, 4, 8, 16},
    2: {8, 16},
    3: {1, 2, 4, 8},
    4: {8, 16},
    6: {8, 16},
}
_PALETTED: Final = 3
#: Filter types of a row (9.2).
_LAST_FILTER: Final = 4
#: More than twice the pixels of the largest flavor in 16-bit RGBA are no thumbnail.
_MAX_UNPACKED_BYTES: Final = 16 * 2**20
#: Nor are more chunks: millions of empty ones would hold a reader for minutes.
_MAX_CHUNKS: Final = 4096
#: Of all texts together, those that cannot be unpacked counted in full.
_MAX_TEXTS_BYTES: Final = 8 * 2**20
_MAX_TEXT_BYTES: Final = 2**20
_MAX_KEY_BYTES: Final = 79


class Anatomy(NamedTuple):
    """What a file turned out to be."""

    head: PngHead | None
    """Header and texts as far as they are sound; None: there is not even a header."""
    findings: tuple[EntryFlaw, ...]
    """The first thing that is wrong with its structure, and with its texts."""


class _Chunk(NamedTuple):
    kind: bytes
    body: bytes
    sound: bool


class _BrokenError(Exception):
    """The file is no sound PNG from here on."""

    def __init__(self, flaw: Flaw, reason: str) -> None:
        super().__init__(reason)
        self.finding = EntryFlaw(flaw, reason)


def dissect(data: bytes) -> Anatomy:
    """Take a whole file apart."""
    chunks: list[_Chunk] = []
    findings: list[EntryFlaw] = []
    try:
        _cut(data, chunks)
        _check_order(chunks)
    except _BrokenError as error:
        findings.append(error.finding)
    head = _head(chunks)
    if head is None:
        return Anatomy(None, tuple(findings[:1]))
    if not findings:
        try:
            _check_pixels(b"".join(each.body for each in chunks if each.kind == b"IDAT"), head)
        except _BrokenError as error:
            findings.append(error.finding)
    texts, faults = _texts(chunks)
    return Anatomy(head._replace(texts=texts), tuple(findings + faults[:1]))


def _cut(data: bytes, chunks: list[_Chunk]) -> None:
    """Fill `chunks`, as far as there are any.

    Raises:
        _BrokenError: the rest is no chunk, is damaged, or goes on where the PNG has ended.
    """
    _check_signature(data)
    damaged: bytes | None = None
    at = len(_SIGNATURE)
    while not (chunks and chunks[-1].kind == b"IEND"):
        if at + _AROUND_BYTES > len(data):
            raise _BrokenError(Flaw.TRUNCATED, f"it ends at byte {len(data)}, before its IEND")
        [length] = struct.unpack_from(">I", data, at)
        kind = data[at + 4 : at + 8]
        if not kind.isalpha() or length >= 2**31:
            raise _BrokenError(Flaw.CHUNKS, f"there is no chunk at byte {at}")
        end = at + _AROUND_BYTES + length
        if end > len(data):
            raise _BrokenError(Flaw.TRUNCATED, f"it ends within its {kind.decode()} chunk")
        stored = int.from_bytes(data[end - 4 : end], "big")
        sound = zlib.crc32(data[at + 4 : end - 4]) == stored
        chunks.append(_Chunk(kind, data[at + 8 : end - 4], sound))
        damaged = damaged or (None if sound else kind)
        at = end
        if len(chunks) > _MAX_CHUNKS:
            raise _BrokenError(Flaw.OVERSIZED, f"it has more than {_MAX_CHUNKS:,} chunks")
    if damaged:
        raise _BrokenError(Flaw.CRC, f"its {damaged.decode()} chunk is damaged (CRC)")
    if at < len(data):
        raise _BrokenError(Flaw.TRAILING, f"{len(data) - at} bytes follow its end")


def _check_signature(data: bytes) -> None:
    if not data:
        raise _BrokenError(Flaw.EMPTY, "the file is empty")
    if not data.startswith(_SIGNATURE):
        if _SIGNATURE.startswith(data):
            raise _BrokenError(Flaw.TRUNCATED, "it ends within its signature")
        raise _BrokenError(Flaw.NOT_PNG, "it does not start like a PNG")


def _check_order(chunks: list[_Chunk]) -> None:
    """Check what chunks there are and in which order (5.6).

    Raises:
        _BrokenError: not those of a PNG.
    """
    kinds = [each.kind for each in chunks]
    if kinds[0] != b"IHDR" or kinds.count(b"IHDR") != 1:
        raise _BrokenError(Flaw.CHUNKS, "it does not begin with its one IHDR")
    _header(chunks[0].body)
    if chunks[-1].body:
        raise _BrokenError(Flaw.CHUNKS, "its IEND is not empty")
    unknown = [each for each in kinds if each[:1].isupper()]
    unknown = [each for each in unknown if each not in {b"IHDR", b"PLTE", b"IDAT", b"IEND"}]
    if unknown:
        raise _BrokenError(Flaw.CHUNKS, f"its critical chunk is unknown: {unknown[0].decode()}")
    if b"IDAT" not in kinds:
        raise _BrokenError(Flaw.CHUNKS, "it holds no picture (IDAT)")
    first = kinds.index(b"IDAT")
    if kinds[first : first + kinds.count(b"IDAT")].count(b"IDAT") != kinds.count(b"IDAT"):
        raise _BrokenError(Flaw.CHUNKS, "its IDAT chunks do not follow one another")
    palettes = [at for at, kind in enumerate(kinds) if kind == b"PLTE"]
    needed = chunks[0].body[9] == _PALETTED
    if len(palettes) > 1 or any(at > first for at in palettes) or (needed and not palettes):
        raise _BrokenError(Flaw.CHUNKS, "its palette is not where it should be")


def _header(body: bytes) -> PngHead:
    if len(body) != _HEADER.size:
        raise _BrokenError(Flaw.CHUNKS, f"its header has {len(body)} bytes")
    width_px, height_px, depth, colour, packing, filtering, interlace = _HEADER.unpack(body)
    edges = 0 < width_px < 2**31 and 0 < height_px < 2**31
    known = depth in _DEPTHS.get(colour, ()) and not packing and not filtering
    if not (edges and known and interlace in {0, 1}):
        raise _BrokenError(Flaw.CHUNKS, "its header is impossible for a PNG")
    return PngHead(width_px, height_px, depth, colour, interlace == 1, (), complete=True)


def _head(chunks: list[_Chunk]) -> PngHead | None:
    if not chunks or chunks[0].kind != b"IHDR" or not chunks[0].sound:
        return None
    try:
        return _header(chunks[0].body)
    except _BrokenError:
        return None


def _check_pixels(stream: bytes, head: PngHead) -> None:
    """Unpack the picture.

    Raises:
        _BrokenError: it is broken, too short or too long, or a row has no filter.
    """
    row_bytes = 1 + -(-head.width_px * _SAMPLES[head.color_type] * head.bit_depth // 8)
    size_bytes = row_bytes * head.height_px
    if size_bytes > _MAX_UNPACKED_BYTES:
        raise _BrokenError(
            Flaw.OVERSIZED, f"{head.width_px}x{head.height_px} is not a thumbnail's size"
        )
    # An interlaced one has more rows, of several lengths (8.1); it is objected to anyway.
    limit_bytes = _MAX_UNPACKED_BYTES if head.interlaced else size_bytes + 1
    unpacker = zlib.decompressobj()
    try:
        rows = unpacker.decompress(stream, limit_bytes)
        if not unpacker.eof:  # the last call may have stopped right before the checksum
            rows += unpacker.decompress(unpacker.unconsumed_tail, 1)
    except zlib.error as error:
        raise _BrokenError(Flaw.PIXELS, f"its picture cannot be unpacked ({error})") from error
    if head.interlaced and unpacker.eof:
        return
    if len(rows) != size_bytes or not unpacker.eof:
        raise _BrokenError(Flaw.PIXELS, "its picture is shorter or longer than its header says")
    if unpacker.unused_data:
        raise _BrokenError(Flaw.PIXELS, "bytes follow its packed picture")
    if max(rows[::row_bytes]) > _LAST_FILTER:
        raise _BrokenError(Flaw.PIXELS, "a row has a filter that does not exist")


def _texts(chunks: list[_Chunk]) -> tuple[tuple[Text, ...], list[EntryFlaw]]:
    """Return the texts of sound chunks, and what is wrong with the others."""
    texts: list[Text] = []
    faults: list[EntryFlaw] = []
    before = True
    room_bytes = _MAX_TEXTS_BYTES
    for each in chunks:
        before = before and each.kind != b"IDAT"
        if each.kind not in {b"tEXt", b"zTXt", b"iTXt"} or not each.sound:
            continue
        key, separator, rest = each.body.partition(b"\0")
        limit_bytes = min(_MAX_TEXT_BYTES, room_bytes)
        named = separator and 0 < len(key) <= _MAX_KEY_BYTES
        value = _value(each.kind, rest, limit_bytes) if named and room_bytes > 0 else None
        room_bytes -= limit_bytes if value is None else len(value)
        if value is None:
            said = ascii(key[:_MAX_KEY_BYTES].decode("latin-1"))
            faults.append(EntryFlaw(Flaw.TEXT, f"its text {said} cannot be read"))
        else:
            texts.append(Text(TextKind(each.kind), key.decode("latin-1"), value, before))
    return tuple(texts), faults


def _value(kind: bytes, rest: bytes, limit_bytes: int) -> str | None:
    """Return the value of a text chunk behind its key (11.3.3); None: it is broken."""
    packed = kind == b"zTXt"
    if kind == b"iTXt":
        parts = rest[2:].split(b"\0", 2)
        if len(parts) != 3 or rest[0] > 1 or rest[1]:  # noqa: PLR2004 - language, key, text
            return None
        packed, rest = rest[0] == 1, parts[2]
    elif packed:
        if rest[:1] != b"\0":
            return None
        rest = rest[1:]
    if packed:
        unpacker = zlib.decompressobj()
        try:
            rest = unpacker.decompress(rest, limit_bytes)
        except zlib.error:
            return None
        if not unpacker.eof:
            return None
    try:
        return rest.decode("utf-8" if kind == b"iTXt" else "latin-1")
    except UnicodeDecodeError:
        return None
