"""The picture that every pair shows: four corners that differ, detail, black, white, an alpha ramp.

Asymmetric, so that no turn and no mirror leaves it alone. Its colours are within sRGB, and none
but the patches are at its edge, where one level in makes ten out.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from tests.support.files.colour_spaces import Floats

#: What undoes a turn, where it is another one (EXIF 2.32, 4.6.4, Orientation).
_INVERSE = {6: 8, 8: 6}
_CORNERS = np.array(
    [[0.82, 0.20, 0.18], [0.20, 0.66, 0.24], [0.16, 0.28, 0.78], [0.86, 0.80, 0.30]]
)


def painting(width_px: int, height_px: int) -> Floats:
    """Return rows x columns x 4: sRGB's code values and alpha, all of 0 to 1."""
    rows, columns = np.mgrid[0:height_px, 0:width_px].astype(np.float64)
    y, x = (rows + 0.5) / height_px, (columns + 0.5) / width_px
    weights = np.stack([(1 - x) * (1 - y), x * (1 - y), (1 - x) * y, x * y], axis=-1)
    colours = weights**1.5 / (weights**1.5).sum(-1, keepdims=True) @ _CORNERS
    # Detail at three scales, faint, so that ways to reduce hardly differ.
    for wave, strength in ((9, 0.06), (23, 0.035), (47, 0.02)):
        colours += strength * np.sin(wave * (x + 0.6 * y))[..., None] * np.array([1, 0.8, -0.9])
    disc = _soft(0.17 - np.hypot((x - 0.68) * width_px / height_px, y - 0.34), height_px)
    colours += disc[..., None] * (np.array([0.55, 0.30, 0.62]) - colours)
    for left, top, right, bottom in (
        (0.2, 0.3, 0.26, 0.75),
        (0.26, 0.3, 0.42, 0.37),
        (0.26, 0.48, 0.37, 0.55),
    ):
        stroke = _soft(np.minimum.reduce([x - left, right - x, y - top, bottom - y]), height_px)
        colours += stroke[..., None] * (np.array([0.12, 0.10, 0.16]) - colours)
    # A ramp of greys with black and white at its ends.
    ramp = (y > 0.86) & (y < 0.95) & (x > 0.1) & (x < 0.9)
    colours[ramp] = np.clip((x[ramp] - 0.18) / 0.64, 0, 1)[:, None]
    alpha = np.clip(0.25 + 1.1 * x, 0, 1)
    alpha *= 1 - _soft(0.1 - np.hypot((x - 0.5) * width_px / height_px, y - 0.7), height_px)
    return np.concatenate([np.clip(colours, 0, 1), alpha[..., None]], axis=-1)


def shapes(width_px: int, height_px: int) -> Floats:
    """Return rows x columns of 0 and 1: large shapes, no dither, for pictures of one bit."""
    rows, columns = np.mgrid[0:height_px, 0:width_px].astype(np.float64)
    y, x = (rows + 0.5) / height_px, (columns + 0.5) / width_px
    ink = (x < 0.45) & (y < 0.3)
    ink |= np.hypot((x - 0.68) * width_px / height_px, y - 0.4) < 0.2
    ink |= (x > 0.1) & (x < 0.3) & (y > 0.5) & (y < 0.9)
    ink |= (y > 0.8) & (x > 0.4)
    return np.where(ink, 0.0, 1.0)


def turned(pixels: Floats, orientation: int) -> Floats:
    """Return pixels as EXIF's orientation wants them shown."""
    match orientation:
        case 2:
            done = pixels[:, ::-1]
        case 3:
            done = pixels[::-1, ::-1]
        case 4:
            done = pixels[::-1]
        case 5:
            done = pixels.swapaxes(0, 1)
        case 6:
            done = np.rot90(pixels, -1)
        case 7:
            done = pixels[::-1, ::-1].swapaxes(0, 1)
        case 8:
            done = np.rot90(pixels)
        case _:
            done = pixels
    return np.ascontiguousarray(done)


def laid_down(pixels: Floats, orientation: int) -> Floats:
    """Return pixels as they have to be stored to stand upright once they are turned."""
    return turned(pixels, _INVERSE.get(orientation, orientation))


def _soft(depth: Floats, height_px: int) -> Floats:
    """An edge of about three pixels for how far a point lies inside of a shape."""
    return np.clip(depth * height_px / 3 + 0.5, 0, 1)
