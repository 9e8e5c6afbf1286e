"""Image file directories (TIFF 6.0, section 2), and camera RAWs told from plain TIFFs by the first.

libvips opens DNG and NEF as TIFF and shows their tiny first picture or raw sensor data, so RAWs
must be told apart before any generic loader. Decodes nothing.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Final

from pregen.imaging.formats import Format
from pregen.imaging.source_bytes import MAX_PIECE_BYTES, DamagedError, SourceBytes

if TYPE_CHECKING:
    from pregen.imaging.source_bytes import ByteOrder

WIDTH: Final = 0x0100
HEIGHT: Final = 0x0101
BITS: Final = 0x0102
COMPRESSION: Final = 0x0103
PHOTOMETRIC: Final = 0x0106
INK_SET: Final = 0x014C
#: The first kind of inks, and the one where none is told.
CMYK: Final = 1
ORIENTATION: Final = 0x0112
SUB_IFDS: Final = 0x014A
JPEG_OFFSET: Final = 0x0201
JPEG_BYTES: Final = 0x0202
EXIF_IFD: Final = 0x8769
MAKER_NOTE: Final = 0x927C
_NEW_SUBFILE_TYPE: Final = 0x00FE
_MAKE: Final = 0x010F
_DNG_VERSION: Final = 0xC612

#: Photometric interpretations that only sensor data has (CFA, linear raw; DNG 1.7, chapter 2).
_SENSOR_PHOTOMETRICS: Final = frozenset({32803, 34892})
#: Compression of Nikon and Sony sensor data.
_SENSOR_COMPRESSIONS: Final = frozenset({34713, 32767})

#: Bytes of a value, by its type; IFD (13) is a LONG in all but name.
_BYTES: Final = {
    1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, 16: 8, 17: 8,
    18: 8,
}  # fmt: skip
_NUMBERS: Final = {
    1: "B", 3: "H", 4: "I", 6: "b", 7: "B", 8: "h", 9: "i", 13: "I", 16: "Q", 17: "q", 18: "Q",
}  # fmt: skip
_RATIONAL: Final = 5
#: The fullest IFD at hand (DNG) has 80 entries.
_MAX_ENTRIES: Final = 1024
_ENTRY: Final = {"little": struct.Struct("<HHI4s"), "big": struct.Struct(">HHI4s")}
#: BigTIFF's, whose numbers of entries and of bytes have 8 bytes.
_WIDE_ENTRY: Final = {"little": struct.Struct("<HHQ8s"), "big": struct.Struct(">HHQ8s")}


class Ifd:
    """One directory; offsets in it count from `base`."""

    def __init__(
        self,
        source: SourceBytes,
        order: ByteOrder,
        at: int,
        base: int = 0,
        *,
        partial: bool = False,
        wide: bool = False,
    ) -> None:
        """Read the entries; of a `partial` directory those that are there, a `wide` one is BigTIFF.

        Raises:
            DamagedError: there is no directory.
        """
        self.order: ByteOrder = order
        self.base = base
        self._source = source
        self._wide = wide
        entry = (_WIDE_ENTRY if wide else _ENTRY)[order]
        entries_at = at + (8 if wide else 2)
        count = source.uint(at, entries_at - at, order)
        if partial:
            body = source.read_at(entries_at, entry.size * min(count, _MAX_ENTRIES))
            body = body[: len(body) // entry.size * entry.size]
        elif 0 < count <= _MAX_ENTRIES:
            body = source.piece(entries_at, entry.size * count)
        else:
            raise DamagedError("a directory has no entries, or too many")
        self._tags: dict[int, tuple[int, int, bytes, int]] = {}
        value_at = entries_at + (12 if wide else 8)
        for tag, kind, values, field in entry.iter_unpack(body):
            self._tags.setdefault(tag, (kind, values, field, value_at))
            value_at += entry.size
        self._next_at = entries_at + entry.size * count

    def __contains__(self, tag: int) -> bool:
        return tag in self._tags

    @property
    def next(self) -> int:
        """Offset of the directory that follows; 0 when there is none."""
        try:
            at = self._source.uint(self._next_at, 8 if self._wide else 4, self.order)
        except DamagedError:
            return 0
        return at + self.base if at else 0

    @property
    def orientation(self) -> int:
        """EXIF's, 1 to 8; 0 when it is absent or nonsense."""
        value = self.number(ORIENTATION)
        return value if 1 <= value <= 8 else 0  # noqa: PLR2004 - EXIF 2.3

    @property
    def is_sensor(self) -> bool:
        """Whether its picture is sensor data, by how that is stored."""
        return (
            self.number(PHOTOMETRIC) in _SENSOR_PHOTOMETRICS
            or self.number(COMPRESSION) in _SENSOR_COMPRESSIONS
        )

    def place(self, tag: int) -> tuple[int, int]:
        """Return offset and length in bytes of a value; zeros when it is absent."""
        kind, values, field, at = self._tags.get(tag, (0, 0, b"", 0))
        size_bytes = values * _BYTES.get(kind, 0)
        if size_bytes <= len(field):
            return (at, size_bytes) if size_bytes else (0, 0)
        return self.base + int.from_bytes(field, self.order), size_bytes

    def numbers(self, tag: int) -> tuple[int, ...]:
        """Return whole numbers, rationals rounded down; empty when absent or out of the file.

        Of more than fit in `MAX_PIECE_BYTES`, the last.
        """
        at, size_bytes = self.place(tag)
        if size_bytes > MAX_PIECE_BYTES:
            at, size_bytes = at + size_bytes - MAX_PIECE_BYTES, MAX_PIECE_BYTES
        try:
            return self._unpacked(tag, self._source.piece(at, size_bytes))
        except DamagedError:
            return ()

    def all_numbers(self, tag: int, limit_bytes: int) -> tuple[int, ...]:
        """Return as `numbers`, but all of them; empty as well where they take more bytes."""
        at, size_bytes = self.place(tag)
        data = self._source.read_at(at, size_bytes) if size_bytes <= limit_bytes else b""
        return self._unpacked(tag, data) if len(data) == size_bytes else ()

    def _unpacked(self, tag: int, data: bytes) -> tuple[int, ...]:
        kind = self._tags.get(tag, (0,))[0]
        if kind not in _NUMBERS and kind != _RATIONAL:
            return ()
        sign = "<" if self.order == "little" else ">"
        if kind == _RATIONAL:
            pairs = struct.iter_unpack(f"{sign}II", data)
            return tuple(above // below if below else 0 for above, below in pairs)
        return struct.unpack(f"{sign}{len(data) // _BYTES[kind]}{_NUMBERS[kind]}", data)

    def number(self, tag: int, default: int = 0) -> int:
        """Return the first of the numbers."""
        found = self.numbers(tag)
        return found[0] if found else default

    def bytes(self, tag: int, count: int) -> bytes:
        """Return the first `count` bytes of a value, or fewer."""
        at, size_bytes = self.place(tag)
        try:
            return self._source.piece(at, min(size_bytes, count))
        except DamagedError:
            return b""

    def at(self, offset: int) -> Ifd:
        """Return another directory of the file. DamagedError when there is none."""
        return Ifd(self._source, self.order, offset, self.base, wide=self._wide)

    def child(self, tag: int) -> Ifd | None:
        """Return the directory that a tag points to."""
        at = self.number(tag)
        try:
            return self.at(self.base + at) if at else None
        except DamagedError:
            return None


def first_ifd(source: SourceBytes, at: int = 0, *, partial: bool = False) -> Ifd:
    """Return the first directory of a TIFF that begins at `at`. DamagedError when there is none."""
    order: ByteOrder = "little" if source.piece(at, 2) == b"II" else "big"
    wide = source.piece(at, 4) in _BIG
    ifd_at = source.uint(at + 8, 8, order) if wide else source.uint(at + 4, 4, order)
    return Ifd(source, order, at + ifd_at, at, partial=partial, wide=wide)


def ends_early(source: SourceBytes) -> bool:
    """Tell whether the first directory lies past the end of a file, whole or in part."""
    try:
        first_ifd(source)
    except DamagedError:
        pass
    else:
        return False
    order: ByteOrder = "little" if source.head[:2] == b"II" else "big"
    wide = source.head[:4] in _BIG
    at = int.from_bytes(source.head[8:16] if wide else source.head[4:8], order)
    count = int.from_bytes(source.read_at(at, 8 if wide else 2), order)
    entry_bytes = (_WIDE_ENTRY if wide else _ENTRY)[order].size
    return at > 0 and at + entry_bytes * min(count, _MAX_ENTRIES) + 2 > source.size_bytes


def orientation(exif: bytes) -> int:
    """Return the orientation that EXIF metadata tell, a TIFF of its own; 1 when they do not."""
    if exif[:4] not in MAGICS:
        return 1
    try:
        return first_ifd(SourceBytes.of(exif), partial=True).orientation or 1
    except DamagedError:
        return 1


# RAWs by their first directory ---------------------------------------------------------------

_RW2 = Format("raw", "image/x-panasonic-rw2", "raw", "raw")
_ORF = Format("raw", "image/x-olympus-orf", "raw", "raw")
_DNG = Format("raw", "image/x-adobe-dng", "raw", "raw")
_OTHER = Format("raw", "image/x-dcraw", "raw", "raw")

#: Byte order and version of classic TIFF, BigTIFF and the RAWs that changed the version.
MAGICS = frozenset(
    {
        b"II*\x00", b"MM\x00*", b"II+\x00", b"MM\x00+",
        b"IIU\x00", b"IIRO", b"IIRS", b"MMOR",
    }
)  # fmt: skip
_BIG = frozenset({b"II+\x00", b"MM\x00+"})
_OWN_MAGIC = {b"IIU\x00": _RW2, b"IIRO": _ORF, b"IIRS": _ORF, b"MMOR": _ORF}

#: What some makers write right behind the TIFF header.
_BEHIND = {
    b"CR": Format("raw", "image/x-canon-cr2", "raw", "raw"),
    b"IIII": Format("raw", "image/x-phaseone-iiq", "raw", "raw"),
    b"MMMM": Format("raw", "image/x-phaseone-iiq", "raw", "raw"),
}
#: The first letters of Make, and what a RAW of that maker is called.
_MAKERS = {
    b"NIKON": "image/x-nikon-nef",
    b"SONY": "image/x-sony-arw",
    b"Canon": "image/x-canon-cr2",
    b"PENTAX": "image/x-pentax-pef",
    b"RICOH": "image/x-pentax-pef",
    b"SAMSUNG": "image/x-samsung-srw",
    b"Hasselblad": "image/x-hasselblad-3fr",
    b"Phase One": "image/x-phaseone-iiq",
    b"Leaf": "image/x-leaf-mos",
    b"EASTMAN KODAK": "image/x-kodak-dcr",
    b"Kodak": "image/x-kodak-dcr",
    b"Mamiya": "image/x-mamiya-mef",
    b"EPSON": "image/x-epson-erf",
}
#: All that `raw_format` can answer.
FORMATS = (
    _DNG,
    *(Format("raw", mime, "raw", "raw") for mime in dict.fromkeys(_MAKERS.values())),
    _RW2,
    _ORF,
    _OTHER,
)


def raw_format(head: bytes) -> Format | None:
    """Return the RAW format that `head` begins, None when it is an ordinary TIFF or damaged."""
    magic = head[:4]
    if magic in _BIG:
        return None
    told = _OWN_MAGIC.get(magic) or _BEHIND.get(head[8:12]) or _BEHIND.get(head[8:10])
    if told is not None:
        return told
    try:
        ifd = first_ifd(SourceBytes.of(head), partial=True)
    except DamagedError:
        return None
    if _DNG_VERSION in ifd:
        return _DNG
    make = ifd.bytes(_MAKE, 32).split(b"\x00")[0].strip()
    mime = next((name for maker, name in _MAKERS.items() if make.startswith(maker)), "")
    # A camera's TIFF with SubIFDs whose first picture calls itself reduced holds the real one,
    # the sensor data, in a SubIFD.
    preview_first = ifd.number(_NEW_SUBFILE_TYPE) == 1 and SUB_IFDS in ifd
    if ifd.is_sensor or (mime and preview_first):
        return Format("raw", mime, "raw", "raw") if mime else _OTHER
    return None
