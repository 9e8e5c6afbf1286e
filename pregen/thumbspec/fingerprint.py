"""What a picture was made of: a digest of the bytes its decoder looked at, and which those were.

    a3...f0:5242880                  the first 5,242,880 bytes
    a3...f0:65536,983040+32768*3     the first 65,536, and three pieces of 32,768 from 983,040 on

A picture is a function of the size of its file and of the bytes that were looked at. So another
file of the same size with the same bytes at these places has the same picture under any name,
and one that differs elsewhere has it too. Stands in our entries under `KEY`. Pure.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, NamedTuple

import xxhash

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Any

#: The standard allows keys of one's own (section Thumbnail Attributes).
KEY: Final = "X-Pregen::Fingerprint"
#: Every decoder is told by these what it has before it (`imaging.sniff.HEAD_BYTES`).
LEAST_FIRST_BYTES: Final = 64 * 1024
#: An entry's texts shall fit in the page that judging reads.
_MOST_CHARS: Final = 400

_TEXT = re.compile(r"[0-9a-f]{32}:[0-9]{1,18}(,[0-9]{1,18}\+[0-9]{1,18}(\*[0-9]{1,9})?)*", re.ASCII)


class Piece(NamedTuple):
    """Bytes that were read at once."""

    offset: int
    size_bytes: int


class Looked(NamedTuple):
    """Which bytes of a file were looked at."""

    first_bytes: int
    """From its beginning."""
    pieces: tuple[Piece, ...] = ()
    """And elsewhere, by offset."""


class ReadRanges:
    """Gathers what a decoder reads apart from the beginning of its file."""

    def __init__(self) -> None:
        self._digests: dict[Piece, bytes] = {}

    def add(self, offset: int, data: bytes) -> None:
        """Note bytes that were read."""
        self._digests[Piece(offset, len(data))] = xxhash.xxh3_128_digest(data)

    def fingerprint(self, first: bytes) -> str:
        """Return the fingerprint; empty when that would be too long.

        Args:
            first: The beginning of the file, all of it that was read.
        """
        looked = Looked(len(first), tuple(sorted(self._digests)))
        digests = [self._digests[piece] for piece in looked.pieces]
        return _text(looked, xxhash.xxh3_128_digest(first), digests)


def looked_at(text: str, size_bytes: int) -> Looked | None:
    """Return which bytes a fingerprint is about; None where it is none for a file of this size."""
    if len(text) > _MOST_CHARS or not _TEXT.fullmatch(text):
        return None
    first, *rest = text.partition(":")[2].split(",")
    pieces: list[Piece] = []
    total = int(first)
    for part in rest:
        offset, count, times = (int(number) for number in re.split(r"[+*]", part + "*1")[:3])
        total += count * times
        if not count or total > 2 * size_bytes:
            return None
        pieces += [Piece(offset + count * index, count) for index in range(times)]
    # One that is about hardly anything fits anything: never ours.
    if not min(size_bytes, LEAST_FIRST_BYTES) <= int(first) <= size_bytes:
        return None
    return Looked(int(first), tuple(pieces))


def brief(text: str) -> int:
    """Return 63 bits of a fingerprint, for a table that is to tell some of them apart; 0: none."""
    return int(text[:16], 16) >> 1 if _TEXT.fullmatch(text) else 0


def of(looked: Looked, read: Callable[[int, int], Iterable[Any]]) -> str:
    """Return the fingerprint of a file by the bytes that were looked at in another.

    Args:
        looked: Which bytes.
        read: Gives count bytes from an offset on, in portions, fewer at the end of the file.
    """
    first = _digest(read(0, looked.first_bytes))
    return _text(looked, first, [_digest(read(*piece)) for piece in looked.pieces])


def _digest(portions: Iterable[Any]) -> bytes:
    state = xxhash.xxh3_128()
    for portion in portions:
        state.update(portion)
    return state.digest()


def _text(looked: Looked, first: bytes, digests: list[bytes]) -> str:
    if not digests:
        return f"{first.hex()}:{looked.first_bytes}"
    parts = [str(looked.first_bytes)]
    at = 0
    pieces = looked.pieces
    while at < len(pieces):
        offset, count = pieces[at]
        times = 1
        while at + times < len(pieces) and pieces[at + times] == (offset + count * times, count):
            times += 1
        parts.append(f"{offset}+{count}" + (f"*{times}" if times > 1 else ""))
        at += times
    text = xxhash.xxh3_128_hexdigest(first + b"".join(digests)) + ":" + ",".join(parts)
    return text if len(text) <= _MOST_CHARS else ""
