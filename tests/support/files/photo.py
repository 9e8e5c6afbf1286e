"""Photo-like pixels and how far two pictures are apart. Knows no file format."""

from __future__ import annotations

from functools import lru_cache
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
from PIL import Image

Pixels: TypeAlias = npt.NDArray[np.uint8]
"""Height x width x 3 (RGB) or 4 (RGBA), 8 bit."""


def photo(width_px: int, height_px: int, seed: int = 0) -> Pixels:
    """Return RGB pixels with what a photo has: gradients, edges, and detail at every scale.

    The four corners differ much in colour, so that a turned or mirrored picture is far from
    the upright one; the detail makes a decoder's shortcuts show in a PSNR.
    """
    return _photo(width_px, height_px, seed).copy()


@lru_cache(maxsize=8)  # tests ask for the same one again and again
def _photo(width_px: int, height_px: int, seed: int) -> Pixels:
    rng = np.random.default_rng(seed)
    x = np.arange(width_px, dtype=np.float32) / max(width_px - 1, 1)
    y = np.arange(height_px, dtype=np.float32)[:, None] / max(height_px - 1, 1)
    corners = np.array([[225, 60, 40], [50, 190, 70], [40, 80, 215], [235, 225, 180]], np.float32)
    corners += rng.uniform(-15, 15, corners.shape).astype(np.float32)
    weights = np.stack([(1 - x) * (1 - y), x * (1 - y), (1 - x) * y, x * y], axis=-1)
    # One plane after the other: numpy is slow at rows of three.
    planes = np.ascontiguousarray((weights @ corners).transpose(2, 0, 1))
    for cell_px, strength in ((64, 30), (16, 18), (4, 9)):
        planes += _noise(rng, width_px, height_px, cell_px) * strength
    for _ in range(4):  # objects with hard edges
        cx, cy, radius = rng.uniform(0.15, 0.85), rng.uniform(0.15, 0.85), rng.uniform(0.05, 0.15)
        inside = np.flatnonzero((x - cx) ** 2 + (y - cy) ** 2 < radius**2)
        for plane, level in zip(planes.reshape(3, -1), rng.uniform(0, 150, 3), strict=True):
            plane[inside] = plane[inside] * 0.4 + level
    planes += rng.normal(0, 3, (height_px, width_px))
    return np.clip(planes, 0, 255).astype(np.uint8).transpose(1, 2, 0)


def _noise(
    rng: np.random.Generator, width_px: int, height_px: int, cell_px: int
) -> npt.NDArray[np.float32]:
    """Smooth noise of about unit strength with features of `cell_px` pixels."""
    small = rng.normal(0, 1, (height_px // cell_px + 2, width_px // cell_px + 2))
    image = Image.fromarray(small.astype(np.float32))
    return np.asarray(image.resize((width_px, height_px), Image.Resampling.BICUBIC))


def over_grey(picture: Image.Image) -> Image.Image:
    """Return RGB pixels: a picture laid over middle grey, so that what it hides does not count."""
    layer = picture.convert("RGBA")
    ground = Image.new("RGBA", layer.size, (128, 128, 128, 255))
    return Image.alpha_composite(ground, layer).convert("RGB")


def psnr_db(one: Pixels | Image.Image, other: Pixels | Image.Image) -> float:
    """Return the peak signal-to-noise ratio of two 8-bit pictures of the same shape; inf if equal.

    Raises:
        ValueError: The shapes differ.
    """
    a, b = np.asarray(one, np.float64), np.asarray(other, np.float64)
    if a.shape != b.shape:
        raise ValueError(f"shapes differ: {a.shape} and {b.shape}")
    error = float(np.mean((a - b) ** 2))
    return float("inf") if error == 0 else float(10 * np.log10(255**2 / error))
