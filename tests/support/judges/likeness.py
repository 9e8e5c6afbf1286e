"""How far an entry is from what it must look like: colour, place, alpha and shape, each by itself.

Pictures are rows x columns x 4 of sRGB's code values and straight alpha, of 0 to 1.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from PIL import Image

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.files.colour_spaces import Floats

_BLOCK_PX = 16
#: What is less opaque than this says nothing about colours.
_FAINT = 0.02


class Likeness(NamedTuple):
    """The distance of two pictures; 0 is none. Levels are of 255."""

    colour_levels: float
    """Mean over the three colours, weighed by how opaque they must be."""
    block_levels: float
    """The same in the worst 16 x 16 pixels: a part that is missing."""
    alpha_levels: float
    """Mean over all pixels."""
    shift_px: float
    """How far the whole picture lies beside its place."""
    shape_px: float
    """What its edges differ by from the exact ones, rounding taken off."""
    psnr_db: float
    """Over all colours as they lie on middle grey."""

    def beyond(self, bounds: Bounds) -> list[str]:
        """Name each distance that is larger than its bound."""
        return list(self._beyond(bounds))

    def _beyond(self, bounds: Bounds) -> Iterator[str]:
        for name in Bounds._fields:
            value, most = getattr(self, name), getattr(bounds, name)
            if not value <= most:
                yield f"{name} {value:.2f} > {most:g}"


class Bounds(NamedTuple):
    """The most that two pictures of the same may differ by."""

    colour_levels: float = 1.5
    block_levels: float = 8.0
    alpha_levels: float = 1.5
    shift_px: float = 0.35
    shape_px: float = 0.5


#: What a sound way to decode and reduce stays within.
EXACT = Bounds()


def compared(entry: Floats, full: Floats, box_px: int | None = None) -> Likeness:
    """Compare an entry with a full-size picture, which is reduced to the entry's size.

    Args:
        entry: as the cache has it.
        full: what it must look like, upright.
        box_px: the entry's flavor; without it the two must have the same size.
    """
    height_px, width_px = entry.shape[:2]
    scale = 1.0 if box_px is None else min(1.0, box_px / max(full.shape[:2]))
    exact = (max(full.shape[0] * scale, 1), max(full.shape[1] * scale, 1))
    off = max(abs(height_px - exact[0]), abs(width_px - exact[1]))
    best = reduced(full, width_px, height_px)
    weights = best[..., 3:]
    # What hides behind nothing does not count, and what should be hidden and shows does.
    difference = (entry[..., :3] - best[..., :3]) * weights
    opaque = max(float(weights.mean()), _FAINT)
    mean = float(np.abs(difference).mean()) / opaque
    return Likeness(
        colour_levels=mean * 255,
        block_levels=_worst_block(np.abs(difference).mean(-1)) * 255,
        alpha_levels=float(np.abs(entry[..., 3] - best[..., 3]).mean()) * 255,
        shift_px=_shift_px(_on_grey(entry), _on_grey(best)),
        shape_px=max(0.0, off - 0.5),
        psnr_db=_psnr_db(_on_grey(entry), _on_grey(best)),
    )


def reduced(full: Floats, width_px: int, height_px: int) -> Floats:
    """Reduce by Lanczos-3, each channel in floating point, colours weighed by their alpha."""
    if full.shape[:2] == (height_px, width_px):
        return full
    alpha = full[..., 3:]
    planes = np.concatenate([full[..., :3] * alpha, alpha], axis=-1).astype(np.float32)
    small = np.stack(
        [
            np.asarray(
                Image.fromarray(np.ascontiguousarray(planes[..., channel])).resize(
                    (width_px, height_px), Image.Resampling.LANCZOS
                ),
                np.float64,
            )
            for channel in range(4)
        ],
        axis=-1,
    )
    cover = np.clip(small[..., 3:], 0, 1)
    colours = np.divide(
        small[..., :3], cover, out=np.zeros_like(small[..., :3]), where=cover > 1e-3
    )
    return np.concatenate([np.clip(colours, 0, 1), cover], axis=-1)


def from_bytes(pixels: Any) -> Floats:
    """Take 8-bit RGBA."""
    return np.asarray(pixels, np.float64) / 255


def _on_grey(picture: Floats) -> Floats:
    return picture[..., :3] * picture[..., 3:] + 0.5 * (1 - picture[..., 3:])


def _psnr_db(one: Floats, other: Floats) -> float:
    error = float(((one - other) ** 2).mean())
    return 99.0 if error < 1e-9 else min(99.0, -10 * float(np.log10(error)))


def _worst_block(error: Floats) -> float:
    rows, columns = (max(edge // _BLOCK_PX, 1) for edge in error.shape)
    inner = error[: rows * _BLOCK_PX, : columns * _BLOCK_PX]
    if min(error.shape) < _BLOCK_PX:
        return float(error.mean())
    return float(inner.reshape(rows, _BLOCK_PX, columns, _BLOCK_PX).mean((1, 3)).max())


def _shift_px(one: Floats, other: Floats) -> float:
    """The shift that explains the difference best, to first order (Lucas and Kanade)."""
    if min(one.shape[:2]) < 3:
        return 0.0
    down, across = (np.gradient(other, axis=axis)[2:-2, 2:-2].ravel() for axis in (0, 1))
    difference = (one - other)[2:-2, 2:-2].ravel()
    slopes = np.stack([down, across], axis=1)
    square = slopes.T @ slopes
    if np.linalg.det(square) < 1e-6:
        return 0.0
    return float(np.hypot(*np.linalg.solve(square, slopes.T @ difference)))
