"""Image file directories (TIFF 6.0, section 2), read where they lie in a larger file."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Final, Literal

from pregen.imaging.previews.layout import MAX_PIECE_BYTES, DamagedError

if TYPE_CHECKING:
    from pregen.imaging.previews.layout import ByteSource

    Order = Literal["<", ">"]

WIDTH: Final = 0x0100
HEIGHT: Final = 0x0101
ORIENTATION: Final = 0x0112
JPEG_OFFSET: Final = 0x0201
JPEG_BYTES: Final = 0x0202
SUB_IFDS: Final = 0x014A
EXIF_IFD: Final = 0x8769
MAKER_NOTE: Final = 0x927C

#: Bytes of a value, by its type; IFD (13) is a LONG in all but name.
_BYTES: Final = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4}
_NUMBERS: Final = {1: "B", 3: "H", 4: "I", 6: "b", 7: "B", 8: "h", 9: "i", 13: "I"}
_RATIONAL: Final = 5
#: The fullest IFD at hand (DNG) has 80 entries.
_MAX_ENTRIES: Final = 1024
_ENTRY: Final = {"<": struct.Struct("<HHI4s"), ">": struct.Struct(">HHI4s")}


class Ifd:
    """One directory; offsets in it count from `base`."""

    def __init__(self, source: ByteSource, order: Order, at: int, base: int = 0) -> None:
        """Read the entries. DamagedError when there is no directory."""
        self.order = order
        self.base = base
        self._source = source
        count = source.number(at, 2, order)
        if not 0 < count <= _MAX_ENTRIES:
            raise DamagedError("a directory has no entries, or too many")
        body = source.get(at + 2, 12 * count)
        self._tags = {
            tag: (kind, values, field, at + 10 + 12 * index)
            for index, (tag, kind, values, field) in reversed(
                list(enumerate(_ENTRY[order].iter_unpack(body)))
            )
        }
        self._next_at = at + 2 + 12 * count

    def __contains__(self, tag: int) -> bool:
        return tag in self._tags

    @property
    def next(self) -> int:
        """Offset of the directory that follows; 0 when there is none."""
        try:
            at = self._source.number(self._next_at, 4, self.order)
        except DamagedError:
            return 0
        return at + self.base if at else 0

    def place(self, tag: int) -> tuple[int, int]:
        """Return offset and length in bytes of a value; zeros when it is absent."""
        kind, values, field, at = self._tags.get(tag, (0, 0, b"", 0))
        size_bytes = values * _BYTES.get(kind, 0)
        if size_bytes <= len(field):
            return (at, size_bytes) if size_bytes else (0, 0)
        order: Literal["little", "big"] = "little" if self.order == "<" else "big"
        return self.base + int.from_bytes(field, order), size_bytes

    def numbers(self, tag: int) -> tuple[int, ...]:
        """Return whole numbers, rationals rounded down; empty when absent or out of the file.

        Of more than fit in `MAX_PIECE_BYTES`, the last.
        """
        kind = self._tags.get(tag, (0,))[0]
        at, size_bytes = self.place(tag)
        if not size_bytes or (kind not in _NUMBERS and kind != _RATIONAL):
            return ()
        if size_bytes > MAX_PIECE_BYTES:
            at, size_bytes = at + size_bytes - MAX_PIECE_BYTES, MAX_PIECE_BYTES
        try:
            data = self._source.get(at, size_bytes)
        except DamagedError:
            return ()
        if kind == _RATIONAL:
            pairs = struct.iter_unpack(f"{self.order}II", data)
            return tuple(above // below if below else 0 for above, below in pairs)
        return struct.unpack(f"{self.order}{size_bytes // _BYTES[kind]}{_NUMBERS[kind]}", data)

    def number(self, tag: int, default: int = 0) -> int:
        """Return the first of the numbers."""
        found = self.numbers(tag)
        return found[0] if found else default

    def bytes(self, tag: int, count: int) -> bytes:
        """Return the first `count` bytes of a value, or fewer."""
        at, size_bytes = self.place(tag)
        try:
            return self._source.get(at, min(size_bytes, count))
        except DamagedError:
            return b""

    def child(self, tag: int) -> Ifd | None:
        """Return the directory that a tag points to."""
        at = self.number(tag)
        try:
            return Ifd(self._source, self.order, self.base + at, self.base) if at else None
        except DamagedError:
            return None


def first(source: ByteSource, at: int = 0) -> Ifd:
    """Return the first directory of a TIFF that begins at `at`. DamagedError when there is none."""
    order: Order = "<" if source.get(at, 2) == b"II" else ">"
    return Ifd(source, order, at + source.number(at + 4, 4, order), at)


def orientation(ifd: Ifd) -> int:
    """Return EXIF's orientation; 0 when it is absent or nonsense."""
    value = ifd.number(ORIENTATION)
    return value if 1 <= value <= 8 else 0  # noqa: PLR2004 - EXIF 2.3
