"""What is written in C: a JPEG's pictures in one call, and the steps of it that others need, too.

The sources are in `c/`. An installation without a C compiler has none of it: the libraries do the
work then, at two to four times the cost.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

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

    That is whatever is unusual or damaged, and what shows no more than one colour: that may be
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
        None where nobody knows: there are more groups of codes than anybody writes. And whether
        pixels are differences from those before.

    Raises:
        MemoryError: there was not enough memory.
    """
    return _compiled.lossless(data, width_px, height_px)
