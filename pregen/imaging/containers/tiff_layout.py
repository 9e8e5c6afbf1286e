"""How one picture lies in a TIFF: its samples, and the strips or tiles that hold them.

`read` tells it from a directory, `TiffLayout.rebuilt` writes a small TIFF of the same strips or
tiles, in which nothing is said of the samples but their size: libtiff unpacks it without knowing
their meaning. Decodes nothing. References: TIFF 6.0; BigTIFF and tag numbers of libtiff.
"""

from __future__ import annotations

import struct
from itertools import accumulate
from typing import TYPE_CHECKING, Final, NamedTuple

from pregen.imaging.containers import tiff
from pregen.imaging.source_bytes import DamagedError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pregen.imaging.containers.tiff import Ifd
    from pregen.imaging.source_bytes import ByteOrder, SourceBytes

#: Compressions.
NONE: Final = 1
GROUP_3: Final = 3
GROUP_4: Final = 4
FAX: Final = frozenset({2, GROUP_3, GROUP_4, 32771})
LZW: Final = 5
OLD_JPEG: Final = 6
JPEG: Final = 7
DEFLATE: Final = frozenset({8, 32946})
PACKBITS: Final = 32773
LOGLUV: Final = frozenset({34676, 34677})
#: Photometric interpretations.
WHITE_IS_ZERO: Final = 0
BLACK_IS_ZERO: Final = 1
RGB: Final = 2
PALETTE: Final = 3
MASK: Final = 4
INKS: Final = 5
YCBCR: Final = 6
CIELAB: Final = 8
ICCLAB: Final = 9
#: How many samples are colours; of others as many as there are.
COLOURS: Final = {
    WHITE_IS_ZERO: 1, BLACK_IS_ZERO: 1, RGB: 3, PALETTE: 1, MASK: 1, INKS: 4, YCBCR: 3, CIELAB: 3,
    ICCLAB: 3,
}  # fmt: skip
#: Sample formats.
UNSIGNED: Final = 1
SIGNED: Final = 2
FLOAT: Final = 3
#: What the samples beside the colours are.
PREMULTIPLIED: Final = 1
ALPHA: Final = 2

_FILL_ORDER: Final = 266
_STRIPS: Final = (273, 279)
_SAMPLES: Final = 277
_ROWS_PER_STRIP: Final = 278
_PLANAR: Final = 284
_FAX_OPTIONS: Final = (292, 293)
_PREDICTOR: Final = 317
_TILE_EDGES: Final = (322, 323)
_TILES: Final = (324, 325)
_EXTRA: Final = 338
_SAMPLE_FORMAT: Final = 339
_JPEG_TABLES: Final = 347
_SUBSAMPLING: Final = 530

#: As many strips or tiles as a picture of 500 Mpx has in rows or in tiles of 16 pixels.
_MAX_LIST_BYTES: Final = 16 * 1024 * 1024
#: Those of a JPEG take less than 1 KiB.
_MAX_TABLES_BYTES: Final = 64 * 1024
_MAX_SAMPLES: Final = 64
#: No compression makes a strip so many times larger, and so many bytes besides (tables of a JPEG).
_MOST_GROWTH: Final = 8
_LEAST_PIECE_BYTES: Final = 64 * 1024


class TiffLayout(NamedTuple):
    """One picture of a TIFF."""

    ifd: Ifd
    order: ByteOrder
    width_px: int
    height_px: int
    bits: int
    """Of each sample; 0 where they differ."""
    samples: int
    """Of each pixel."""
    kind: int
    """Unsigned, signed, or floating point."""
    compression: int
    photometric: int
    extra: tuple[int, ...]
    planar: bool
    """Each sample has strips of its own."""
    predictor: int
    subsampling: tuple[int, int]
    """Of YCbCr: how many columns and rows share a colour."""
    tile_px: tuple[int, int]
    """Width and height; zeros where the picture lies in strips."""
    rows_per_strip: int
    offsets: tuple[int, ...]
    counts: tuple[int, ...]
    """In bytes, of each strip or tile that the directory lists; of planes one after the other."""

    @property
    def piece_rows(self) -> int:
        """Rows of a strip or tile."""
        return self.tile_px[1] or self.rows_per_strip

    @property
    def across(self) -> int:
        """How many strips or tiles lie side by side."""
        return -(-self.width_px // self.tile_px[0]) if self.tile_px[0] else 1

    @property
    def down(self) -> int:
        """How many lie below each other."""
        return -(-self.height_px // self.piece_rows)

    @property
    def planes(self) -> int:
        """How many sets of strips or tiles there are."""
        return self.samples if self.planar else 1

    @property
    def pieces(self) -> int:
        """How many strips or tiles there have to be."""
        return self.across * self.down * self.planes

    @property
    def subsampled(self) -> bool:
        """True for YCbCr in units of several brightnesses and one colour."""
        shared = self.photometric == YCBCR and self.subsampling != (1, 1) and not self.planar
        return shared and self.compression != JPEG

    @property
    def whole_bytes(self) -> bool:
        """True where libtiff knows samples of this size."""
        return self.bits in {8, 16, 32, 64} and not self.subsampled

    @property
    def row_bytes(self) -> int:
        """Of a row of a strip or tile, unpacked."""
        return self._row_bytes(self.tile_px[0] or self.width_px)

    @property
    def piece_bytes(self) -> int:
        """Of a whole strip or tile, unpacked."""
        return self.bytes_of(self.piece_rows)

    @property
    def reversed_bits(self) -> bool:
        """True where the first pixel is in the lowest bit of a byte."""
        return self.ifd.number(_FILL_ORDER, 1) == 2  # noqa: PLR2004 - TIFF 6.0, section 8

    @property
    def jpeg_tables(self) -> bytes:
        """What the strips or tiles have in common, a JPEG without a picture."""
        return self.ifd.bytes(_JPEG_TABLES, _MAX_TABLES_BYTES)

    def bytes_of(self, rows: int) -> int:
        """Of so many rows of a strip or tile, unpacked."""
        return self.row_bytes * self.unit_rows(rows)

    def unit_rows(self, rows: int) -> int:
        """Rows of bytes that hold so many rows of pixels."""
        return -(-rows // self.subsampling[1]) if self.subsampled else rows

    def _row_bytes(self, columns: int) -> int:
        if self.subsampled:
            wide, high = self.subsampling
            return -(-columns // wide) * (wide * high + 2)
        return -(-columns * (1 if self.planar else self.samples) * self.bits // 8)

    def rows_of(self, piece: int) -> int:
        """Rows of the picture that a strip or tile holds."""
        down = piece // self.across % self.down
        return max(0, min(self.piece_rows, self.height_px - down * self.piece_rows))

    def columns_of(self, piece: int) -> int:
        """Columns of the picture that a strip or tile holds."""
        wide = self.tile_px[0] or self.width_px
        return min(wide, self.width_px - piece % self.across * wide)

    def stored(self, source: SourceBytes, piece: int) -> bytes:
        """Return a strip or tile as it is stored, as far as it is there."""
        if piece >= len(self.offsets):
            return b""
        # Strips may lie upon one another, and each say that it is most of the file.
        most = _MOST_GROWTH * self.piece_bytes + _LEAST_PIECE_BYTES
        return source.read_at(self.offsets[piece], min(self.counts[piece], most))

    def share_inside(self, size_bytes: int) -> float:
        """How much of its strips or tiles lies within a file of this size, 0 to 1."""
        there = 0.0
        for offset, count in zip(self.offsets[: self.pieces], self.counts, strict=False):
            if count > 0:
                there += min(1.0, max(0, size_bytes - offset) / count)
        return there / self.pieces

    def rebuilt(self, datas: Sequence[bytes], rows_px: int, columns_px: int) -> bytes:
        """Return a classic TIFF of some strips or tiles, one plane, grey or a number of samples.

        Samples that are no whole bytes become bytes: a row of pixels is a row of bytes, and of
        subsampled YCbCr a row of units is one.

        Args:
            datas: the strips or tiles as they are stored.
            rows_px: of the picture that they make.
            columns_px: likewise.
        """
        tile_columns, tile_rows = self.tile_px
        columns, rows, bits = columns_px, rows_px, self.bits
        samples = 1 if self.planar else self.samples
        if self.compression not in FAX and not self.whole_bytes:
            samples, bits, rows = 1, 8, self.unit_rows(rows_px)
            across = -(-columns_px // tile_columns) if tile_columns else 1
            columns = self._row_bytes(tile_columns or columns_px) * across
            tile_columns = columns // across if tile_columns else 0
        fields = self._told(columns, rows, bits, samples)
        sizes = [len(data) for data in datas]
        offsets = list(accumulate(sizes, initial=8))
        end = offsets.pop()
        if tile_columns:
            fields |= {_TILE_EDGES[0]: [tile_columns], _TILE_EDGES[1]: [self.unit_rows(tile_rows)]}
        else:
            fields[_ROWS_PER_STRIP] = [min(rows, self.unit_rows(self.rows_per_strip))]
        fields |= dict(zip(_TILES if tile_columns else _STRIPS, (offsets, sizes), strict=True))
        tables = self.jpeg_tables if self.compression == JPEG else b""
        return _written(self.order, fields, datas, end, tables)

    def _told(self, columns: int, rows: int, bits: int, samples: int) -> dict[int, Sequence[int]]:
        """Return the fields that say how samples are to be unpacked."""
        colours = RGB if samples >= COLOURS[RGB] else BLACK_IS_ZERO
        if self.compression == JPEG and samples > 1 and self.photometric in {YCBCR, INKS}:
            colours = self.photometric
        fields: dict[int, Sequence[int]] = {
            tiff.WIDTH: [columns],
            tiff.HEIGHT: [rows],
            tiff.BITS: [bits] * samples,
            tiff.COMPRESSION: [self.compression],
            tiff.PHOTOMETRIC: [colours],
            _FILL_ORDER: [self.ifd.number(_FILL_ORDER, 1)],
            _SAMPLES: [samples],
            _PLANAR: [1],
            _EXTRA: [0] * (samples - COLOURS[colours]),
            _PREDICTOR: [self.predictor] * (self.predictor > 1),
            _SAMPLE_FORMAT: [FLOAT] * samples * (self.kind == FLOAT),
            _SUBSAMPLING: self.subsampling * (self.compression == JPEG and colours == YCBCR),
        }
        if self.compression in FAX:
            options = _FAX_OPTIONS[self.compression == GROUP_4]
            fields[options] = [self.ifd.number(options)]
        return {tag: values for tag, values in fields.items() if values}


def _written(
    order: ByteOrder,
    fields: dict[int, Sequence[int]],
    datas: Sequence[bytes],
    end: int,
    tables: bytes,
) -> bytes:
    """Write a header, the strips or tiles and a directory of LONGs."""
    sign = "<" if order == "little" else ">"
    count = len(fields) + bool(tables)
    beyond_at = end + 2 + 12 * count + 4
    entries: list[bytes] = []
    beyond = b""
    told = {tag: (4, len(values), struct.pack(f"{sign}{len(values)}I", *values))
            for tag, values in fields.items()}  # fmt: skip
    if tables:
        told[_JPEG_TABLES] = (7, len(tables), tables)
    for tag, (kind, number, value) in sorted(told.items()):
        field = value.ljust(4, b"\0")
        if len(value) > 4:  # noqa: PLR2004 - what an entry holds
            field = struct.pack(f"{sign}I", beyond_at + len(beyond))
            beyond += value
        entries.append(struct.pack(f"{sign}HHI", tag, kind, number) + field)
    start = struct.pack(f"{sign}2sHI", b"II" if order == "little" else b"MM", 42, end)
    directory = struct.pack(f"{sign}H", count) + b"".join(entries) + bytes(4)
    return b"".join([start, *datas, directory, beyond])


def directory(source: SourceBytes, page: int = 0, subifd: int = -1) -> Ifd:
    """Return the directory of a page, or of a picture below the first page.

    Raises:
        DamagedError: there is none.
    """
    found = tiff.first_ifd(source)
    if subifd >= 0:
        below = found.numbers(tiff.SUB_IFDS)
        if subifd >= len(below):
            raise DamagedError("it has no such directory")
        return found.at(below[subifd])
    for _ in range(page):
        found = found.at(found.next)
    return found


def read(source: SourceBytes, ifd: Ifd) -> TiffLayout:
    """Return how the picture of a directory lies in the file.

    Raises:
        DamagedError: the directory does not tell.
    """
    width_px, height_px = ifd.number(tiff.WIDTH), ifd.number(tiff.HEIGHT)
    samples = ifd.number(_SAMPLES, 1)
    if min(width_px, height_px) < 1 or not 1 <= samples <= _MAX_SAMPLES:
        raise DamagedError("a directory has no size, or too many samples")
    depths = set((ifd.numbers(tiff.BITS) or (1,))[:samples])
    bits = depths.pop() if len(depths) == 1 else 0
    compression = ifd.number(tiff.COMPRESSION, NONE)
    guessed = RGB if samples >= COLOURS[RGB] else BLACK_IS_ZERO
    tile_px = (ifd.number(_TILE_EDGES[0]), ifd.number(_TILE_EDGES[1]))
    tiled = _TILES[0] in ifd or min(tile_px) > 0
    if tiled and min(tile_px) < 1:
        raise DamagedError("its tiles have no size")
    rows = height_px if tiled else min(height_px, ifd.number(_ROWS_PER_STRIP) or height_px)
    # Some writers list tiles under the tags of strips (TIFF technical note 2 calls it an error).
    offsets_tag, counts_tag = _TILES if tiled and _TILES[0] in ifd else _STRIPS
    offsets = ifd.all_numbers(offsets_tag, _MAX_LIST_BYTES)
    wide, high = 1, 1
    if ifd.number(tiff.PHOTOMETRIC) == YCBCR:
        wide, high = (*ifd.numbers(_SUBSAMPLING), 2, 2)[:2]
    if wide not in {1, 2, 4} or high not in {1, 2, 4}:
        raise DamagedError("its chroma subsampling is not valid")
    found = TiffLayout(
        ifd=ifd,
        order=ifd.order,
        width_px=width_px,
        height_px=height_px,
        bits=bits,
        samples=samples,
        kind=ifd.number(_SAMPLE_FORMAT, UNSIGNED),
        compression=compression,
        photometric=ifd.number(tiff.PHOTOMETRIC, guessed),
        extra=ifd.numbers(_EXTRA),
        planar=ifd.number(_PLANAR, 1) == 2 and samples > 1,  # noqa: PLR2004 - separate
        predictor=ifd.number(_PREDICTOR, 1),
        subsampling=(wide, high),
        tile_px=tile_px if tiled else (0, 0),
        rows_per_strip=rows,
        offsets=offsets,
        counts=ifd.all_numbers(counts_tag, _MAX_LIST_BYTES),
    )
    counts = found.counts if any(found.counts) else _likely_counts(found, source)
    listed = min(len(offsets), len(counts))
    return found._replace(
        offsets=tuple(max(0, offset) for offset in offsets[:listed]),
        counts=tuple(max(0, count) for count in counts[:listed]),
    )


def _likely_counts(layout: TiffLayout, source: SourceBytes) -> tuple[int, ...]:
    """Strips of a file that does not tell their sizes: early writers left them out, or at zero."""
    if layout.compression == NONE:
        return (layout.piece_bytes,) * len(layout.offsets)
    ends = (*layout.offsets[1:], source.size_bytes)
    return tuple(max(0, end - at) for at, end in zip(layout.offsets, ends, strict=False))
