"""What is written in C: a JPEG's pictures in one call, its steps, and rows of samples averaged.

The sources are in `c/`. An installation without a C compiler has none of it: the libraries do the
work then, at two to four times the cost.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence

    from typing_extensions import Buffer

try:
    from pregen.imaging import _compiled
except ImportError:
    IS_HERE = False
else:
    IS_HERE = True


class Packed(NamedTuple):
    """A picture's pixels on their way to a PNG's IDAT."""

    data: bytes
    whole: bool
    """It is a zlib stream. Otherwise these are the filtered rows (PNG, 9.2) of a picture that
    repeats itself, for a compressor that searches."""


class Made(NamedTuple):
    """All pictures of a source, upright, in the order in which they were asked for."""

    pictures: list[tuple[int, int, Packed]]
    """Width and height in pixels, and the pixels."""
    decode_ns: int
    resize_ns: int
    encode_ns: int


def pictures(
    data: Buffer,
    size: tuple[int, int],
    shrink: int,
    orientation: int,
    sizes: Sequence[tuple[int, int]],
) -> Made | None:
    """Make the pictures of a whole, plain JPEG; None where it is left to others.

    That is all that is unusual or damaged, and what shows no more than one colour: that may be
    damage, too.

    Args:
        data: a whole JPEG, or a progressive one reduced by `jpeg_scans`.
        size: width and height in pixels, as its frame header says.
        shrink: what to decode it at, as a denominator: 8, 4 or 2.
        orientation: EXIF's.
        sizes: width and height of each picture as stored, the largest first.

    Raises:
        MemoryError: there was not enough memory.
    """
    if not IS_HERE:
        return None
    return _made(_compiled.pictures(data, *size, shrink, orientation, sizes))


def finish(
    samples: Buffer,
    stored: tuple[int, int],
    extent: tuple[float, float],
    orientation: int,
    sizes: Sequence[tuple[int, int]],
) -> Made | None:
    """Make the pictures of four-band pixels; None where they are all of one colour.

    Args:
        samples: rows x columns x 4 bytes, of which the fourth means nothing.
        stored: columns and rows.
        extent: where the picture ends within its last column and row.
        orientation: EXIF's.
        sizes: as of `pictures`.

    Raises:
        MemoryError: there was not enough memory.
    """
    return _made(_compiled.finish(samples, *stored, extent, orientation, sizes))


def _made(
    found: tuple[list[tuple[int, int, bytes, bool]], tuple[int, int, int]] | None,
) -> Made | None:
    if found is None:
        return None
    made, times_ns = found
    packed = [(width, height, Packed(idat, whole)) for width, height, idat, whole in made]
    return Made(packed, *times_ns)


def decode(data: Buffer, out: Buffer, size: tuple[int, int], shrink: int, bands: int) -> bool:
    """Fill `out` with a JPEG at 1 / `shrink`; False where it is left to others.

    Args:
        data: as of `pictures`.
        out: ceil(height / shrink) rows of ceil(width / shrink) pixels of so many bytes; may be
            written to.
        size: as of `pictures`.
        shrink: likewise.
        bands: 1 for grey, 3 for RGB, 4 for RGB and a band of 255.

    Raises:
        MemoryError: there was not enough memory.
    """
    return IS_HERE and _compiled.decode(data, out, *size, shrink, bands)


def reduce(
    samples: Buffer,
    stored: tuple[int, int],
    extent: tuple[float, float],
    size: tuple[int, int],
) -> bytes:
    """Return a four-band picture at a smaller size, by Lanczos-3; the fourth band becomes 255.

    Args:
        samples: rows x columns x 4 bytes.
        stored: columns and rows.
        extent: where the picture ends within its last column and row.
        size: columns and rows of the result.

    Raises:
        MemoryError: there was not enough memory.
    """
    ((_, _, pixels),) = _compiled.reduce(samples, *stored, extent, 1, [size])
    return pixels


def compress(pixels: Buffer, width_px: int, height_px: int) -> Packed:
    """Return the stream of a PNG of rows x columns x RGBA, or its filtered rows.

    Raises:
        MemoryError: there was not enough memory.
    """
    return Packed(*_compiled.compress(pixels, width_px, height_px))


#: How samples are stored: as they are; each row of pixels less their left neighbours (TIFF's
#: horizontal predictor); rows that begin with the number of their filter (PNG).
AS_THEY_ARE, LESS_LEFT, FILTERED = range(3)
#: The most pixels, across and down, that become one.
MOST_BLOCK: Final = 256
#: Of a picture that is averaged.
MOST_SIDE_PX: Final = 65536


class Averaged(NamedTuple):
    """A picture of 8 bits a sample, of which blocks of pixels are averaged."""

    samples: bytes
    """Rows x columns x RGBA. Floats of 0 to 255 where `weighed`, else bytes."""
    columns: int
    rows: int
    extent: tuple[float, float]
    """Where the picture ends within the last column and row."""
    clear: bool
    """The alpha counts; else it is 255 everywhere."""
    weighed: bool
    """Colours are multiplied by the alpha."""


class Boxes:
    """A picture that comes row by row or tile by tile, and is averaged as it comes.

    All that comes is as it should be, or refused: then the source is left to others.
    """

    def __init__(
        self,
        size: tuple[int, int],
        bands: int,
        block: int,
        storing: int,
        palette: bytes = b"",
        *,
        clear: bool = False,
    ) -> None:
        """Take memory for the result.

        Args:
            size: width and height in pixels, at most `MOST_SIDE_PX`.
            bands: samples of a stored pixel: grey (1), grey and alpha (2), RGB (3), RGBA (4).
            block: so many pixels, across and down, become one; at most `MOST_BLOCK`.
            storing: `AS_THEY_ARE`, `LESS_LEFT` or `FILTERED`.
            palette: of one band: RGBA of each of its colours.
            clear: pixels may be transparent. Otherwise such a row is not sound.

        Raises:
            MemoryError: there was not enough memory.
        """
        across, down = (min(block, edge_px) for edge_px in size)
        self._boxes = _compiled.Boxes(*size, bands, across, down, storing, palette, clear)
        self._extent = (size[0] / across, size[1] / down)
        self._clear = clear

    def rows(self, data: Buffer) -> bool:
        """Take the next bytes of rows; False where they are not sound, or too many."""
        return self._boxes.rows(data)

    def tile(self, data: Buffer, columns: int, rows: int) -> bool:
        """Take the next tile, from left to right and from above; False where it is not sound.

        Raises:
            MemoryError: there was not enough memory.
        """
        return self._boxes.tile(data, columns, rows)

    def averaged(self) -> Averaged | None:
        """Return the result; None where rows are missing.

        Raises:
            MemoryError: there was not enough memory.
        """
        found = self._boxes.result()
        if found is None:
            return None
        samples, weighed = found
        columns, rows = (math.ceil(edge) for edge in self._extent)
        return Averaged(samples, columns, rows, self._extent, self._clear, weighed)


def unpack_lzw(data: Buffer, size_bytes: int) -> bytes | None:
    """Unpack a strip or tile of a TIFF; None where it does not make so many bytes, or is damaged.

    Raises:
        MemoryError: there was not enough memory.
    """
    return _compiled.unpack_lzw(data, size_bytes)


def account(data: Buffer) -> tuple[float, bool, list[tuple[int, int, int, int]]]:
    """Tell how much of a JPEG's picture is there and outside of damage.

    Returns:
        The share, 0 to 1; whether the data ends early; where the rest of the picture may be
        shifted, each as component, left, top and height of a row of blocks, in pixels.

    Raises:
        MemoryError: there was not enough memory.
    """
    return _compiled.account(data)


def lossless(data: Buffer, width_px: int, height_px: int) -> tuple[bool | None, bool]:
    """Tell whether the codes of a lossless WebP are those that were written.

    Args:
        data: what follows the header of a picture, or of alpha.
        width_px: as the header says, 1 to 16384.
        height_px: likewise.

    Returns:
        None where that is unknown: there are more groups of codes than encoders write. And whether
        pixels are differences from those before.

    Raises:
        MemoryError: there was not enough memory.
    """
    return _compiled.lossless(data, width_px, height_px)


def unread(data: Buffer) -> int | None:
    """Tell how many bits of the first partition of a lossy WebP its codes leave unread.

    Args:
        data: the coded picture, from its header on.

    Returns:
        Below zero where the codes want more than there is; None where the partition is cut off.
    """
    return _compiled.unread(data)
