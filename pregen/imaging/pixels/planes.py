"""Luma and chroma as a video codec leaves them: each plane is reduced first, and colours come last.

What a decoder's library does the other way round is most of its work on a large picture: chroma
brought to the size of luma, a matrix for every pixel, and all of it averaged away. The matrix is
linear, so that both ways show the same, but for colours that no RGB has, which are cut off later.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from pregen.imaging.pixels.resample import image_of

if TYPE_CHECKING:
    from pregen.imaging.containers.heif import LumaCoding

Plane = NDArray[Any]
"""Rows x columns of uint8 or uint16; what is beyond the picture is padding."""
Signal = NDArray[np.float32]
"""Rows x columns x 1 or 3: grey or RGB. What is below 0 or above 1 cannot be shown."""

#: H.273's matrix -> the share of red and of blue in luma (table 4). What is not specified is
#: BT.601, as libheif and libavif have it.
WEIGHTS: Final = {
    1: (0.2126, 0.0722), 2: (0.299, 0.114), 5: (0.299, 0.114), 6: (0.299, 0.114),
    9: (0.2627, 0.0593),
}  # fmt: skip
#: Of 8 bits (H.273, 8.3): where luma that does not fill its range begins, how far it and chroma
#: go. Of n bits, all of them times 2^(n - 8).
_FLOOR, _TALL, _WIDE = 16, 219, 224
#: Lanczos-3 needs twice the pixels of the result, of which colour differences have to show less.
_LUMA_MARGIN: Final = 2.0
_CHROMA_MARGIN: Final = 1.5
#: Windows in a row of the picture, of 4 pixels at least: wide enough for what Lanczos-3 adds beside
#: an edge, and half-size chroma carries over it, to cancel out.
_WINDOWS: Final = 64
_LEAST_WINDOW_PX: Final = 4


class Planes(NamedTuple):
    """A decoded picture in planes."""

    luma: Plane
    chroma: tuple[Plane, Plane] | None
    """Blue's and red's difference; None for grey."""
    width_px: int
    height_px: int
    """Of the picture, in the upper left of `luma`."""
    halved: tuple[bool, bool]
    """Chroma has half the columns, half the rows."""
    bits: int


def signal_of(planes: Planes, coding: LumaCoding, size: tuple[int, int]) -> Signal:
    """Return a picture reduced to a size (width, height), as the signal that its numbers mean.

    Args:
        planes: of a picture no smaller than the size.
        coding: its matrix is one of `WEIGHTS`.
        size: of the result.
    """
    full = float((1 << planes.bits) - 1)
    unit = float(1 << planes.bits - 8)
    floor, tall, wide = (
        (0.0, full, full) if coding.full else (_FLOOR * unit, _TALL * unit, _WIDE * unit)
    )
    extent = (float(planes.width_px), float(planes.height_px))
    luma = (_reduced(planes.luma, extent, size, _LUMA_MARGIN) - floor) / tall
    if planes.chroma is None:
        return luma[..., np.newaxis]
    half = (extent[0] / (1 + planes.halved[0]), extent[1] / (1 + planes.halved[1]))
    blue, red = (
        (_reduced(one, half, size, _CHROMA_MARGIN) - 128 * unit) / wide for one in planes.chroma
    )
    of_red, of_blue = WEIGHTS[coding.matrix]
    of_green = 1 - of_red - of_blue
    rgb = np.empty((*luma.shape, 3), np.float32)
    rgb[..., 0] = luma + 2 * (1 - of_red) * red
    rgb[..., 2] = luma + 2 * (1 - of_blue) * blue
    rgb[..., 1] = (luma - of_red * rgb[..., 0] - of_blue * rgb[..., 2]) / of_green
    return rgb


def excess(signal: Signal) -> NDArray[np.float32]:
    """Return how far each window of a picture, in its mean, is beyond what can be shown.

    Luma and chroma of a picture come from RGB, so next to nothing of a sound one is: 0.011 of 1 at
    most was measured. Those of a decoder that has lost its way know nothing of each other.
    """
    window_px = max(_LEAST_WINDOW_PX, max(signal.shape[:2]) // _WINDOWS)
    rows, columns = (max(1, edge // window_px) for edge in signal.shape[:2])
    part = signal[: rows * window_px, : columns * window_px]
    # Strips of rows first, which lie side by side in memory: a tenth of the time.
    strips = part.reshape(rows, part.shape[0] // rows, -1).mean(1)
    means = strips.reshape(rows, columns, part.shape[1] // columns, -1).mean(2)
    return np.asarray(np.maximum(np.maximum(means - 1, -means).max(axis=-1), 0), np.float32)


def _reduced(
    plane: Plane, extent: tuple[float, float], size: tuple[int, int], margin: float
) -> NDArray[np.float32]:
    """Bring what is within `extent` (columns, rows) to a size, by means of blocks and Lanczos-3.

    A plane that is smaller than the size is enlarged without ringing.
    """
    across, down = (
        max(1, int(edge / (margin * to))) for edge, to in zip(extent, size, strict=True)
    )
    inside = (int(np.ceil(extent[0])), int(np.ceil(extent[1])))
    picture = _means(plane, inside, across, down)
    box = (0.0, 0.0, extent[0] / across, extent[1] / down)
    smaller = extent[0] < size[0] or extent[1] < size[1]
    kernel = Image.Resampling.BILINEAR if smaller else Image.Resampling.LANCZOS
    if box[2:] != size or picture.size != size:
        picture = picture.resize(size, kernel, box=box)
    return np.asarray(picture, np.float32)


def _means(plane: Plane, inside: tuple[int, int], across: int, down: int) -> Image.Image:
    """Return the means of blocks, as floating point; the last ones may be of less than a block."""
    width_px, height_px = inside
    if plane.itemsize == 1:
        stride = plane.strides[0]
        picture = Image.frombuffer("L", inside, plane, "raw", "L", stride, 1)
        return (picture.reduce((across, down)) if across > 1 or down > 1 else picture).convert("F")
    part = plane[:height_px, :width_px]
    if across > 1 or down > 1:
        part = image_of(part, "grey16").shrink(across, down, ceil=True).numpy()
    return Image.fromarray(part.astype(np.float32))
