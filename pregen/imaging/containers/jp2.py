"""JPEG 2000: what stands around the coefficients, in the boxes of JP2 and in the codestream's head.

Says where the codestream lies, what its components are and what they mean; decodes nothing.
References: ISO/IEC 15444-1, annex A (codestream) and annex I (JP2); 15444-2, annex M (JPX).
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Final, NamedTuple

from pregen.imaging.containers import isobmff
from pregen.imaging.containers.isobmff import Cursor
from pregen.imaging.source_bytes import DamagedError, EndsEarlyError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pregen.imaging.source_bytes import ReadAt

#: A codestream's first two markers, and the others that are looked for.
SIGNATURE: Final = b"\xff\x4f\xff\x51"
_COD, _COC, _COM, _SOT = 0xFF52, 0xFF53, 0xFF64, 0xFF90
#: How OpenJPEG names itself in a comment, from 2.0 on.
_OPENJPEG: Final = b"Created by OpenJPEG version 2"
#: Markers before the first tile. Those that hold headers of packets are the only ones in numbers.
_MOST_MARKERS: Final = 1000
#: 0xFF30 to 0xFF3F are reserved, and nothing belongs to them, not even a length (A.1.3).
_WITHOUT_LENGTH: Final = 0xFF30
_SIZ: Final = struct.Struct(">HH8IH")
_SOT_FIELDS: Final = struct.Struct(">HHHIBB")
#: Of the marker that begins a part of a tile, and where in it its length stands.
PART_HEAD_BYTES: Final = _SOT_FIELDS.size
PART_LENGTH_AT: Final = 6
#: A header holds a profile and a palette, hardly more.
_MOST_HEADER_BYTES: Final = 16 * 1024 * 1024
_MOST_ENTRIES: Final = 1024
_MOST_BITS: Final = 38
_MOST_HALVINGS: Final = 32
#: From so many components on their numbers take two bytes.
_WIDE_COUNT: Final = 257
#: High throughput (ISO/IEC 15444-15), and "each pass ends where it can be told" among the styles of
#: coding.
_HIGH_THROUGHPUT: Final = 0x40
CHECKED_END: Final = 0x10
#: The last marker.
END: Final = b"\xff\xd9"

#: Enumerated colour spaces (15444-1, table I.10; 15444-2, table M.25).
WHITE_IS_ZERO, BLACK_IS_ZERO = 0, 15
YCC_709, YCC_601_FULL, YCC_601 = 1, 3, 4
CMY, CMYK, YCCK = 11, 12, 13
LAB, SRGB, GREY, SYCC = 14, 16, 17, 18
#: How many channels are colours.
COLOURS: Final = {
    WHITE_IS_ZERO: 1, BLACK_IS_ZERO: 1, GREY: 1, YCC_709: 3, YCC_601_FULL: 3, YCC_601: 3, CMY: 3,
    LAB: 3, SRGB: 3, SYCC: 3, CMYK: 4, YCCK: 4,
}  # fmt: skip
#: What a channel definition says a channel is.
COLOUR, OPACITY, PREMULTIPLIED = 0, 1, 2


class GridArea(NamedTuple):
    """A part of the reference grid, or of a component's samples."""

    left: int
    top: int
    right: int
    bottom: int


class Depth(NamedTuple):
    """How numbers are stored."""

    bits: int
    signed: bool


class Component(NamedTuple):
    """One component of a codestream."""

    depth: Depth
    step: tuple[int, int]
    """Columns and rows of the reference grid for each sample."""


class Palette(NamedTuple):
    """Numbers that stand for samples."""

    depths: tuple[Depth, ...]
    """Of each column."""
    rows: tuple[tuple[int, ...], ...]


class Channel(NamedTuple):
    """What samples are made of: a component, by a column of the palette unless that is -1."""

    component: int
    column: int = -1


class Definition(NamedTuple):
    """What a channel is for."""

    channel: int
    kind: int
    colour: int
    """From 1 on in the order of the colour space; 0 for the whole picture."""


class Meaning(NamedTuple):
    """What a JP2 says of its samples."""

    space: int = -1
    """The enumerated colour space; -1 where none is told that we know."""
    lab: tuple[int, ...] = ()
    """Range and offset of each of CIELab's channels; empty for the usual ones."""
    profile: bytes = b""
    palette: Palette | None = None
    channels: tuple[Channel, ...] = ()
    """Empty where each component is a channel."""
    definitions: tuple[Definition, ...] = ()


class Codestream(NamedTuple):
    """The head of a codestream. Places are counted from its first marker."""

    grid: GridArea
    """Where the picture lies on the reference grid."""
    tile_px: tuple[int, int]
    tile_origin: tuple[int, int]
    components: tuple[Component, ...]
    halvings: int
    """How often every component can be halved."""
    styles: tuple[tuple[int, int], ...]
    """Place and value of each style of coding blocks, but of those of high throughput."""
    layers: int
    """Of quality."""
    by_openjpeg: bool
    """Its writer says that it is OpenJPEG, 2.0 or later."""
    tiles_at: int
    """Where the first part of a tile begins."""

    @property
    def tiles(self) -> tuple[int, int]:
        """How many tiles lie side by side, and below each other."""
        left, top = self.tile_origin
        return (
            _divided(self.grid.right - left, self.tile_px[0]),
            _divided(self.grid.bottom - top, self.tile_px[1]),
        )

    def extent(self, component: int, halvings: int = 0) -> GridArea:
        """Where a component's samples lie among all of its own (15444-1, B-2 and B-14)."""
        across, down = self.components[component].step
        return GridArea(
            *(
                _divided(_divided(edge, step), 1 << halvings)
                for edge, step in zip(self.grid, (across, down, across, down), strict=True)
            )
        )

    def area_of(self, tile: int) -> GridArea:
        """Where a tile lies on the grid."""
        left, top, right, bottom = self.grid
        column, row = tile % self.tiles[0], tile // self.tiles[0]
        x = self.tile_origin[0] + column * self.tile_px[0]
        y = self.tile_origin[1] + row * self.tile_px[1]
        wide, high = self.tile_px
        return GridArea(max(x, left), max(y, top), min(x + wide, right), min(y + high, bottom))

    def samples_bytes(self, tile: int) -> int:
        """How much a tile's samples take, as they are; at least so much."""
        left, top, right, bottom = self.area_of(tile)
        return sum(
            _divided(right - left, across) * _divided(bottom - top, down) * -(-depth.bits // 8)
            for depth, (across, down) in self.components
        )


class TilePart(NamedTuple):
    """A part of a tile, from its marker on."""

    tile: int
    begin: int
    end: int
    """What the file says, even where that is past its end."""
    of_parts: int
    """How many parts the tile has; 0 where this one does not tell."""
    open_end: bool
    """It goes on to the end of the codestream, wherever that is."""


class Jp2(NamedTuple):
    """A file of the family, or a bare codestream."""

    begin: int
    """Where the codestream lies in the file; it may end early."""
    end: int
    meaning: Meaning
    codestream: Codestream


def read(read_at: ReadAt, size_bytes: int) -> Jp2:
    """Return what a file says of itself.

    Raises:
        DamagedError: it makes no sense; EndsEarlyError: it ends before its codestream begins.
        OSError: the file cannot be read.
    """
    begin, end, meaning = 0, size_bytes, Meaning()
    if read_at(0, len(SIGNATURE)) != SIGNATURE:
        begin, end, meaning = _boxed(read_at, size_bytes)
    codestream = read_codestream(lambda at, count: read_at(begin + at, count))
    return Jp2(begin, end, meaning, codestream)


def _boxed(read_at: ReadAt, size_bytes: int) -> tuple[int, int, Meaning]:
    meaning = Meaning()
    for box in isobmff.boxes(read_at, 0, size_bytes):
        if box.kind == b"jp2h":
            if box.end > size_bytes:
                raise EndsEarlyError("its header is cut off")
            if box.end - box.begin > _MOST_HEADER_BYTES:
                raise DamagedError("its header is far too long")
            meaning = _meaning(read_at(box.begin, box.end - box.begin))
        elif box.kind == b"jp2c":
            return box.begin, min(box.end, size_bytes), meaning
    raise EndsEarlyError("there is no codestream in it")


def _meaning(data: bytes) -> Meaning:
    """Read the boxes of a header; what is damaged among them costs itself and what follows."""
    found = Meaning()
    try:
        for box in isobmff.boxes_within(data, 0, len(data)):
            cursor = Cursor(data, box.begin, box.end)
            if box.kind == b"colr" and found.space < 0 and not found.profile:
                found = _with_colours(found, cursor)
            elif box.kind == b"pclr":
                found = found._replace(palette=_palette(cursor))
            elif box.kind == b"cmap":
                found = found._replace(channels=tuple(_channels(cursor)))
            elif box.kind == b"cdef":
                count = cursor.uint(2)
                found = found._replace(
                    definitions=tuple(
                        Definition(cursor.uint(2), cursor.uint(2), cursor.uint(2))
                        for _ in range(min(count, _MOST_ENTRIES))
                    )
                )
    except DamagedError:
        pass
    return found


def _with_colours(found: Meaning, cursor: Cursor) -> Meaning:
    """The first specification that is understood counts (15444-1, I.5.3.3)."""
    method = cursor.uint(1)
    cursor.uint(2)
    left = cursor.end - cursor.at
    if method in {2, 3}:
        return found._replace(profile=cursor.take(left))
    if method != 1 or left < 4:  # noqa: PLR2004 - a number
        return found
    space = cursor.uint(4)
    if space not in COLOURS:
        return found
    lab: tuple[int, ...] = ()
    if space == LAB and left >= 4 + 24:
        lab = tuple(cursor.uint(4) for _ in range(6))
    return found._replace(space=space, lab=lab)


def _palette(cursor: Cursor) -> Palette:
    count, columns = cursor.uint(2), cursor.uint(1)
    if not 1 <= count <= _MOST_ENTRIES or not columns:
        raise DamagedError("its palette has no colours, or too many")
    depths = tuple(_depth(cursor.uint(1)) for _ in range(columns))
    return Palette(
        depths,
        tuple(tuple(cursor.uint((depth.bits + 7) // 8) for depth in depths) for _ in range(count)),
    )


def _channels(cursor: Cursor) -> Iterator[Channel]:
    for _ in range(min((cursor.end - cursor.at) // 4, _MOST_ENTRIES)):
        component, by_palette, column = cursor.uint(2), cursor.uint(1), cursor.uint(1)
        yield Channel(component, column if by_palette == 1 else -1)


def _depth(code: int) -> Depth:
    bits = (code & 0x7F) + 1
    if bits > _MOST_BITS:
        raise DamagedError(f"its samples have {bits} bits")
    return Depth(bits, bool(code & 0x80))


def read_codestream(read_at: ReadAt) -> Codestream:
    """Return what stands before the tiles of a codestream. Raises as `read`."""
    head = read_at(0, 4 + _SIZ.size)
    if len(head) < 4 + _SIZ.size:
        raise EndsEarlyError("its codestream is cut off")
    if not head.startswith(SIGNATURE):
        raise DamagedError("there is no codestream where one should be")
    length, _, right, bottom, left, top, *tiles, count = _SIZ.unpack_from(head, 4)
    told = read_at(4 + _SIZ.size, 3 * count)
    if len(told) < 3 * count:
        raise EndsEarlyError("its codestream is cut off")
    components = tuple(
        Component(_depth(code), (across, down))
        for code, across, down in struct.iter_unpack("BBB", told)
    )
    if not components or any(0 in component.step for component in components):
        raise DamagedError("its components have no samples")
    tile_px, tile_origin = (tiles[0], tiles[1]), (tiles[2], tiles[3])
    if not (left < right and top < bottom and all(tile_px)):
        raise DamagedError("it has no pixels")
    if tile_origin[0] > left or tile_origin[1] > top:
        raise DamagedError("its tiles begin within the picture")
    coding = _coding(read_at, 4 + length, 1 if count < _WIDE_COUNT else 2)
    return Codestream(GridArea(left, top, right, bottom), tile_px, tile_origin, components, *coding)


def _coding(
    read_at: ReadAt, at: int, index_bytes: int
) -> tuple[int, tuple[tuple[int, int], ...], int, bool, int]:
    """Return what a `Codestream` has from `halvings` on.

    Args:
        read_at: reads the codestream.
        at: where the second marker stands.
        index_bytes: of the number of a component.
    """
    halvings, layers, by_openjpeg = _MOST_HALVINGS, 0, False
    styles: list[tuple[int, int]] = []
    for marker, begin, end in _markers(read_at, at):
        if marker == _SOT:
            if not layers:
                raise DamagedError("it does not say how it is coded")
            return halvings, tuple(styles), layers, by_openjpeg, begin
        if marker == _COM:
            # Behind marker, length and the kind of text (A.9.2).
            by_openjpeg |= read_at(begin + 6, len(_OPENJPEG)) == _OPENJPEG
        if marker not in {_COD, _COC}:
            continue
        # Behind marker and length: the style, order, layers and transform of all, or a component
        # and its style; then halvings, edges of blocks and how these are coded (A.6.1, A.6.2).
        fields_at = begin + 4 + (5 if marker == _COD else index_bytes + 1)
        fields = read_at(fields_at, 4)
        if fields_at + 4 > end or len(fields) < 4:  # noqa: PLR2004 - as above
            raise DamagedError("its style of coding is cut off")
        if marker == _COD:
            layers = layers or int.from_bytes(read_at(begin + 6, 2), "big")
        halvings = min(halvings, fields[0])
        if not fields[3] & _HIGH_THROUGHPUT:
            styles.append((fields_at + 3, fields[3]))
    raise EndsEarlyError("there are no tiles in it")


def _markers(read_at: ReadAt, at: int) -> Iterator[tuple[int, int, int]]:
    """Yield marker, begin and end of each segment up to the first tile."""
    for _ in range(_MOST_MARKERS):
        head = read_at(at, 4)
        if len(head) < 4:  # noqa: PLR2004 - marker and length
            return
        marker, length = struct.unpack(">HH", head)
        if marker & 0xFFF0 == _WITHOUT_LENGTH:
            at += 2
            continue
        if marker < 0xFF00 or length < 2:  # noqa: PLR2004 - the length counts itself
            raise DamagedError(f"there is no marker at {at}")
        yield marker, at, at + 2 + length
        if marker == _SOT:
            return
        at += 2 + length
    raise DamagedError("there are too many markers")


def tile_parts(read_at: ReadAt, codestream: Codestream, size_bytes: int) -> Iterator[TilePart]:
    """Yield the parts of tiles, up to the first that is not where it should be."""
    at = codestream.tiles_at
    while at + _SOT_FIELDS.size <= size_bytes:
        head = read_at(at, _SOT_FIELDS.size)
        if len(head) < _SOT_FIELDS.size:
            return
        marker, length, tile, part_bytes, _, count = _SOT_FIELDS.unpack(head)
        if marker != _SOT or length != 10:  # noqa: PLR2004 - A.4.2
            return
        end = at + part_bytes if part_bytes else size_bytes
        if end < at + _SOT_FIELDS.size:
            return
        yield TilePart(tile, at, end, count, not part_bytes)
        at = end


def _divided(number: int, by: int) -> int:
    """Divide and round up."""
    return -(-number // by)
