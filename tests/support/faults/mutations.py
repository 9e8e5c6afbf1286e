"""Damage done to files on purpose, by the numbers of a seed: the same seed, the same files.

Knows the outer structure of the common containers (chunks, segments, boxes), so that damage also
falls behind the checks which random bytes never pass: whole parts are cut out, doubled and
swapped, lengths lie, and a PNG's check sums are mended in half of the cases.
"""

from __future__ import annotations

import re
import struct
import zlib
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable
    from random import Random

_PNG = b"\x89PNG\r\n\x1a\n"
#: Values at which programs go wrong: nothing, one, signs, everything.
_EDGES = (0, 1, 0x7F, 0x80, 0xFF, 0x7FFF, 0x8000, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF)
#: Parts of a file that has none we know: as many as give each some weight.
_BLIND_PARTS = 16
_MAX_PARTS = 5000
_ZIP_PART = re.compile(rb"PK(?:\x01\x02|\x03\x04|\x05\x06)")
#: Where the length of each stands, by the first number of its signature.
_ZIP_LENGTHS = {1: 20, 3: 18, 5: 12}
_NUMBER = re.compile(rb"\d+")
_TEXT_BYTES = 10_000


class Part(NamedTuple):
    """A chunk, segment or box: `data[begin:end]`, with its length field."""

    begin: int
    end: int
    length_at: int
    length_bytes: int
    big_endian: bool = True


class Mutant(NamedTuple):
    """A damaged file, and what was done to it."""

    how: str
    data: bytes


def parts(data: bytes) -> list[Part]:
    """Return the parts of a file, as far as they make sense; equal slices of one unknown."""
    if data.startswith(_PNG):
        found = _walk(data, 8, lambda at: Part(at, at + 12 + _number(data, at, 4), at, 4))
    elif data.startswith(b"\xff\xd8"):
        found = _walk(data, 2, lambda at: Part(at, at + 2 + _number(data, at + 2, 2), at + 2, 2))
    elif data.startswith(b"RIFF"):
        found = _walk(data, 12, lambda at: _riff(data, at))
    elif data[4:8] in {b"ftyp", b"jP  ", b"JXL "}:
        found = _walk(data, 0, lambda at: Part(at, at + _number(data, at, 4), at, 4))
        for box in list(found):
            # One level down, where the interesting ones are (meta has four more bytes first).
            skip = 12 if data[box.begin + 4 : box.begin + 8] == b"meta" else 8
            if data[box.begin + 4 : box.begin + 8] in {b"meta", b"moov", b"jp2h"}:
                inner = data[: box.end]
                found += _walk(
                    inner,
                    box.begin + skip,
                    lambda at, inner=inner: Part(at, at + _number(inner, at, 4), at, 4),  # type: ignore[misc]  # a default binds the loop's value
                )
    elif data.startswith(b"PK\3\4"):
        found = _members(data)
    else:
        found = []
    if found:
        return found
    step = max(1, len(data) // _BLIND_PARTS)
    return [Part(at, min(at + step, len(data)), at, 4) for at in range(0, len(data), step)]


def mutate(data: bytes, other: bytes, chance: Random) -> Mutant:
    """Damage a file in one to three ways; `other` is a file to splice it with."""
    hows = []
    for _ in range(chance.choice((1, 1, 1, 2, 3))):
        name = chance.choice(sorted(_WAYS))
        data = _WAYS[name](data, other, chance) or b"\0"
        hows.append(name)
    if data.startswith(_PNG) and chance.random() < 0.75:
        data = _with_right_sums(data)
    return Mutant("+".join(hows), data)


def _flip_bits(data: bytes, _other: bytes, chance: Random) -> bytes:
    out = bytearray(data)
    for _ in range(chance.choice((1, 1, 2, 8, 64))):
        out[_place(data, chance)] ^= 1 << chance.randrange(8)
    return bytes(out)


def _overwrite(data: bytes, _other: bytes, chance: Random) -> bytes:
    at, count = _place(data, chance), chance.choice((1, 2, 4, 16, 512, 4096))
    kind = chance.randrange(4)
    run = (bytes(count), b"\xff" * count, chance.randbytes(count), data[at : at + 1] * count)[kind]
    return data[:at] + run[: len(data) - at] + data[at + count :]


def _insert(data: bytes, _other: bytes, chance: Random) -> bytes:
    at = _place(data, chance)
    return data[:at] + chance.randbytes(chance.choice((1, 2, 4, 100))) + data[at:]


def _number_lies(data: bytes, _other: bytes, chance: Random) -> bytes:
    """Put one of the edges of the number ranges somewhere near the beginning."""
    size, order = chance.choice((1, 2, 4)), chance.choice(("big", "little"))
    value = chance.choice(_EDGES) & ((1 << 8 * size) - 1)
    at = _place(data, chance)
    at -= at % size
    out = data[:at] + value.to_bytes(size, "big" if order == "big" else "little")
    return (out + data[at + size :])[: len(data)]


def _length_lies(data: bytes, _other: bytes, chance: Random) -> bytes:
    part = chance.choice(parts(data))
    mask = (1 << 8 * part.length_bytes) - 1
    order = "big" if part.big_endian else "little"
    raw = data[part.length_at : part.length_at + part.length_bytes]
    true = int.from_bytes(raw, "big" if order == "big" else "little")
    lie = chance.choice((*_EDGES, true - 1, true + 1, true * 2, true + len(data))) & mask
    lied = lie.to_bytes(part.length_bytes, "big" if order == "big" else "little")
    return data[: part.length_at] + lied + data[part.length_at + part.length_bytes :]


def _cut(data: bytes, _other: bytes, chance: Random) -> bytes:
    part = chance.choice(parts(data))
    return data[: part.begin] + data[part.end :]


def _double(data: bytes, _other: bytes, chance: Random) -> bytes:
    part = chance.choice(parts(data))
    piece = data[part.begin : part.end]
    times = chance.choice((1, 1, 2, 50)) if len(piece) < 4096 else 1
    return data[: part.begin] + piece * times + data[part.begin :]


def _swap(data: bytes, _other: bytes, chance: Random) -> bytes:
    one, two = sorted((chance.choice(parts(data)) for _ in range(2)), key=lambda part: part.begin)
    if one.end > two.begin:
        return data[::-1] if len(data) < 64 else data
    return (
        data[: one.begin]
        + data[two.begin : two.end]
        + data[one.end : two.begin]
        + data[one.begin : one.end]
        + data[two.end :]
    )


def _truncate(data: bytes, _other: bytes, chance: Random) -> bytes:
    return data[: chance.randrange(len(data)) if len(data) > 1 else 1]


def _splice(data: bytes, other: bytes, chance: Random) -> bytes:
    """The beginning of one and the end of another; at borders of parts in half of the cases."""
    if chance.random() < 0.5:
        return data[: chance.choice(parts(data)).end] + other[chance.choice(parts(other)).begin :]
    return data[: _place(data, chance)] + other[chance.randrange(len(other)) :]


def _digits(data: bytes, other: bytes, chance: Random) -> bytes:
    """Another number in a text (SVG, PDF, XPM, FITS, the header of a PNM); elsewhere, bits."""
    numbers = list(_NUMBER.finditer(data[:_TEXT_BYTES])) if data[:1] in b"<%P#/S;" else []
    if not numbers:
        return _flip_bits(data, other, chance)
    found = chance.choice(numbers)
    edge = chance.choice((*_EDGES, 10**12, 10**40, "-1", "1e9", "NaN", ""))
    return data[: found.start()] + str(edge).encode() + data[found.end() :]


_WAYS: dict[str, Callable[[bytes, bytes, Random], bytes]] = {
    "bits": _flip_bits,
    "cut": _cut,
    "digits": _digits,
    "double": _double,
    "insert": _insert,
    "length": _length_lies,
    "number": _number_lies,
    "run": _overwrite,
    "splice": _splice,
    "swap": _swap,
    "truncate": _truncate,
}


def _place(data: bytes, chance: Random) -> int:
    """Somewhere; every third time in the first 1024 bytes, where headers are."""
    return chance.randrange(min(len(data), chance.choice((1024, len(data), len(data)))))


def _walk(data: bytes, at: int, read: Callable[[int], Part]) -> list[Part]:
    found: list[Part] = []
    while at + 8 <= len(data) and len(found) < _MAX_PARTS:
        part = read(at)
        if part.end <= at + 3 or part.end > len(data):
            break
        found.append(part)
        at = part.end
    return found


def _members(data: bytes) -> list[Part]:
    """Members of a ZIP file, and what its directory says of each."""
    begins = [found.start() for found in _ZIP_PART.finditer(data)]
    ends = [*begins[1:], len(data)]
    return [
        Part(begin, end, begin + _ZIP_LENGTHS[data[begin + 2]], 4, big_endian=False)
        for begin, end in zip(begins, ends, strict=True)
    ]


def _riff(data: bytes, at: int) -> Part:
    size = int.from_bytes(data[at + 4 : at + 8], "little")
    return Part(at, at + 8 + size + size % 2, at + 4, 4, big_endian=False)


def _number(data: bytes, at: int, count: int) -> int:
    return int.from_bytes(data[at : at + count], "big")


def _with_right_sums(png: bytes) -> bytes:
    out = bytearray(png)
    for part in parts(png):
        if part.end - part.begin >= 12:
            content = png[part.begin + 4 : part.end - 4]
            out[part.end - 4 : part.end] = struct.pack(">I", zlib.crc32(content))
    return bytes(out)
