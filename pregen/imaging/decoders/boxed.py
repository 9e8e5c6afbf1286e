"""Samples of 8 bits that lie row by row or in tiles: read and averaged in C, without a library.

PNG that is not interlaced; TIFF of grey, RGB or RGBA, not compressed, LZW or Deflate. Strictly:
what is unusual, and what is not as it was written as far as that can be told, is left to
libvips, with the checks that are made there. The picture never lies in memory whole where blocks of
its pixels are averaged.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from isal import igzip_lib, isal_zlib

from pregen.imaging import compiled
from pregen.imaging.compiled import Boxes
from pregen.imaging.containers import tiff, tiff_layout
from pregen.imaging.containers.png import sum_of
from pregen.imaging.pixels import sizes

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from pregen.imaging.compiled import Averaged
    from pregen.imaging.containers.png import PngLayout
    from pregen.imaging.containers.tiff_layout import TiffLayout
    from pregen.imaging.decoders.base import Request
    from pregen.imaging.source_bytes import SourceBytes

#: What the decoders are called in outcomes and records.
PNG_LOADER: Final = "png"
TIFF_LOADER: Final = "tiff"
#: What is read or inflated from at once: it stays in a processor's cache.
_READ_BYTES: Final = 256 * 1024
#: What comes of inflating at once, at most: likewise.
_INFLATED_BYTES: Final = 256 * 1024
#: A strip or tile that is unpacked in one piece; a larger one is left to libtiff.
_MOST_PIECE_BYTES: Final = 64 * 1024 * 1024
_PACKED: Final = frozenset({tiff_layout.LZW, *tiff_layout.DEFLATE})
_BITS: Final = 8
_NO_PREDICTOR, _HORIZONTAL = 1, 2


def can_box(size: tuple[int, int], box_px: int) -> bool:
    """Tell whether a picture of this width and height is averaged here."""
    block = sizes.block(*size, box_px)
    return compiled.IS_HERE and block <= compiled.MOST_BLOCK and max(size) <= compiled.MOST_SIDE_PX


def result_bytes(size: tuple[int, int], box_px: int, *, clear: bool) -> int:
    """Return about how much memory the averaged picture takes, twice: it is handed over."""
    pixels = size[0] * size[1] // sizes.block(*size, box_px) ** 2
    return pixels * (32 if clear else 8)


def png_picture(request: Request, head: PngLayout, box_px: int, *, clear: bool) -> Averaged | None:
    """Return the picture of a PNG, averaged; None where it is left to libvips.

    Args:
        request: the source, read whole.
        head: of it.
        box_px: that of the largest picture that is to be made.
        clear: pixels may be transparent. Otherwise the first that is ends it.

    Raises:
        MemoryError: there was not enough memory.
    """
    size = (head.width_px, head.height_px)
    if not can_box(size, box_px):
        return None
    data = request.source.whole()
    view = memoryview(data)
    if any(isal_zlib.crc32(view[at - 4 : end]) != sum_of(data, end) for at, end in head.spans):
        return None
    request.reserve(result_bytes(size, box_px, clear=clear))
    block = sizes.block(*size, box_px)
    boxes = Boxes(size, head.bands, block, compiled.FILTERED, head.palette, clear=clear)
    return boxes.averaged() if _inflate(_pieces(view, head.spans), boxes) else None


def _pieces(view: memoryview, spans: Iterable[tuple[int, int]]) -> Iterator[bytes]:
    """Yield a stream in pieces of about `_READ_BYTES`: libpng writes spans of 8 KiB, others one."""
    held: list[memoryview] = []
    size = 0
    for begin, end in spans:
        for at in range(begin, end, _READ_BYTES):
            held.append(view[at : min(end, at + _READ_BYTES)])
            size += len(held[-1])
            if size >= _READ_BYTES:
                yield b"".join(held)
                held.clear()
                size = 0
    if held:
        yield b"".join(held)


def _inflate(pieces: Iterable[bytes], boxes: Boxes) -> bool:
    """Have the rows of a zlib stream averaged; False where it, or one of them, is not sound.

    Its end and its check sum have to be there, and nothing behind.
    """
    inflate = igzip_lib.IgzipDecompressor(flag=igzip_lib.DECOMP_ZLIB)
    for piece in pieces:
        if inflate.eof:
            return False
        data, full = piece, True
        while full:
            try:
                rows = inflate.decompress(data, _INFLATED_BYTES)
            except igzip_lib.IsalError:  # type: ignore[misc]  # the stub has an instance of it
                return False
            if not boxes.rows(rows):
                return False
            # Where as much came out as may, there may be more.
            data, full = b"", len(rows) == _INFLATED_BYTES or not inflate.needs_input
            full = full and not inflate.eof
    return bool(inflate.eof) and not inflate.unused_data


def tiff_picture(request: Request, layout: TiffLayout, box_px: int) -> Averaged | None:
    """Return the picture of a TIFF, averaged; None where it is left to libtiff.

    Args:
        request: the source.
        layout: of the picture.
        box_px: that of the largest picture that is to be made.

    Raises:
        MemoryError: there was not enough memory.
        OSError: the source cannot be read.
    """
    size = (layout.width_px, layout.height_px)
    if not _is_plain(layout) or not can_box(size, box_px):
        return None
    clear = layout.samples > tiff_layout.COLOURS[layout.photometric]
    columns, rows = layout.tile_px
    band_bytes = layout.width_px * rows * layout.samples
    piece_bytes = 0 if layout.compression == tiff_layout.NONE else layout.piece_bytes
    request.reserve(result_bytes(size, box_px, clear=clear) + band_bytes + piece_bytes)
    storing = compiled.LESS_LEFT if layout.predictor == _HORIZONTAL else compiled.AS_THEY_ARE
    boxes = Boxes(size, layout.samples, sizes.block(*size, box_px), storing, clear=clear)
    for piece in range(layout.pieces):
        wanted_bytes = layout.bytes_of(rows or layout.rows_of(piece))
        if layout.compression == tiff_layout.NONE and not columns:
            if not _take_strip(request.source, layout, piece, boxes):
                return None
            continue
        data = _unpacked(layout, layout.stored(request.source, piece), wanted_bytes)
        if data is None:
            return None
        if not (boxes.tile(data, columns, rows) if columns else boxes.rows(data)):
            return None
    return boxes.averaged()


def _is_plain(layout: TiffLayout) -> bool:
    """Tell whether it is a kind that is read here, and lists all of its strips or tiles."""
    packed = layout.compression in _PACKED
    beside = layout.extra[: layout.samples - tiff_layout.COLOURS.get(layout.photometric, 0)]
    alpha = beside == (tiff_layout.ALPHA,) and layout.photometric == tiff_layout.RGB
    return (
        (packed or layout.compression == tiff_layout.NONE)
        and layout.photometric in {tiff_layout.BLACK_IS_ZERO, tiff_layout.RGB}
        and tiff.PHOTOMETRIC in layout.ifd
        and layout.samples == tiff_layout.COLOURS[layout.photometric] + alpha
        and (layout.bits, layout.kind) == (_BITS, tiff_layout.UNSIGNED)
        and not layout.planar
        and not layout.reversed_bits
        and (layout.predictor == _NO_PREDICTOR or (packed and layout.predictor == _HORIZONTAL))
        and layout.pieces <= len(layout.offsets)
        and (layout.piece_bytes <= _MOST_PIECE_BYTES or not (packed or layout.tile_px[0]))
    )


def _take_strip(source: SourceBytes, layout: TiffLayout, piece: int, boxes: Boxes) -> bool:
    """Have the rows of a strip averaged that is not compressed, however large it is."""
    begin, wanted = layout.offsets[piece], layout.bytes_of(layout.rows_of(piece))
    end = begin + wanted
    return (
        layout.counts[piece] == wanted
        and end <= source.size_bytes
        and all(
            boxes.rows(source.read_at(at, min(_READ_BYTES, end - at)))
            for at in range(begin, end, _READ_BYTES)
        )
    )


def _unpacked(layout: TiffLayout, data: bytes, size_bytes: int) -> bytes | None:
    """Return a strip or tile unpacked; None where it does not make so many bytes."""
    if layout.compression == tiff_layout.NONE:
        return data if len(data) == size_bytes else None
    if layout.compression == tiff_layout.LZW:
        return compiled.unpack_lzw(data, size_bytes)
    inflate = igzip_lib.IgzipDecompressor(flag=igzip_lib.DECOMP_ZLIB)
    try:
        # One byte more, for the end to be seen and whether there is too much.
        found: bytes = inflate.decompress(data, size_bytes + 1)
    except igzip_lib.IsalError:  # type: ignore[misc]  # the stub has an instance of it
        return None
    return found if inflate.eof and len(found) == size_bytes else None
