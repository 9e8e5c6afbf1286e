"""The boxes of an ISO base media file (ISO/IEC 14496-12, 4.2), read without trust.

A walk moves forward by at least a header at every step, and reads only within its bounds. What is
wrong raises `BoxError`, and nothing else.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    ReadAt = Callable[[int, int], bytes]
    """Offset and count -> bytes, fewer at the end of the file."""

_HEADER_BYTES: Final = 8
_LARGE_HEADER_BYTES: Final = 16
#: Pictures have about five boxes at the top; fragmented films have thousands: not read here.
_MAX_TOP_BOXES: Final = 1000


class BoxError(ValueError):
    """The structure makes no sense; the message says where."""


class EndsEarlyError(BoxError):
    """A box goes on after the end of the file."""


class Box(NamedTuple):
    """One box: its body is `[begin, end)` of whatever was walked."""

    kind: bytes
    begin: int
    end: int


class Cursor:
    """Reads big-endian numbers one after the other, within bounds."""

    def __init__(self, data: bytes, begin: int = 0, end: int | None = None) -> None:
        self._data = data
        self.at = begin
        self.end = len(data) if end is None else min(end, len(data))

    def uint(self, size_bytes: int) -> int:
        """Return an unsigned number of so many bytes; 0 for none, as `iloc` wants it."""
        return int.from_bytes(self.take(size_bytes), "big")

    def take(self, count: int) -> bytes:
        """Return the next bytes."""
        if not 0 <= count <= self.end - self.at:
            raise BoxError(f"{count} bytes are wanted at {self.at}, which are not there")
        self.at += count
        return self._data[self.at - count : self.at]

    def version_and_flags(self) -> tuple[int, int]:
        """Read the head of a FullBox."""
        head = self.uint(4)
        return head >> 24, head & 0xFFFFFF


def inside(data: bytes, begin: int, end: int) -> Iterator[Box]:
    """Yield the boxes within a body. Raises BoxError when one does not fit in it."""
    end = min(end, len(data))
    at = begin
    while at < end:
        cursor = Cursor(data, at, end)
        size_bytes, kind = cursor.uint(4), cursor.take(4)
        if size_bytes == 1:
            size_bytes = cursor.uint(8)
        elif size_bytes == 0:
            size_bytes = end - at
        if not cursor.at - at <= size_bytes <= end - at:
            raise BoxError(f"a box of {size_bytes} bytes at {at} does not fit")
        yield Box(kind, cursor.at, at + size_bytes)
        at += size_bytes


def top(read_at: ReadAt, size_bytes: int) -> Iterator[Box]:
    """Yield the outermost boxes of a file, reading their headers only.

    The last one may end after the file does; a film's pictures, which nobody here wants, often do.

    Raises:
        BoxError: there is no box where one should be.
    """
    at = 0
    for _ in range(_MAX_TOP_BOXES):
        if at >= size_bytes:
            return
        header = read_at(at, _LARGE_HEADER_BYTES)
        if len(header) < _HEADER_BYTES:
            raise EndsEarlyError("the file ends within the head of a box")
        box_bytes, least = int.from_bytes(header[:4], "big"), _HEADER_BYTES
        if box_bytes == 1:
            box_bytes, least = int.from_bytes(header[8:16], "big"), _LARGE_HEADER_BYTES
        elif box_bytes == 0:
            box_bytes = size_bytes - at
        if box_bytes < least:
            raise BoxError(f"a box of {box_bytes} bytes at {at}")
        yield Box(header[4:8], at + least, at + box_bytes)
        at += box_bytes
    raise BoxError("there are too many boxes")
