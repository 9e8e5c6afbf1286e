"""Makes the fixed pictures whose instructions are counted: the same bytes every time.

Equal bytes need equal versions of numpy and Pillow, so a digest of them goes into the record.
"""

from __future__ import annotations

import hashlib
import os
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from PIL import Image

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

#: Before any run, and with microseconds, as file systems have it.
_MTIME_NS = 1_600_000_000_123_456_000
#: Size of the details in pixels, and how much they change a sample: a photo has detail at every
#: scale. The last one is noise, without which a JPEG is far smaller than a camera's.
_DETAILS = ((512, 140), (64, 80), (16, 36))
_NOISE = 8
_NOISE_TILE_PX = 1024


class Recipe(NamedTuple):
    """One picture."""

    suffix: str
    width_px: int
    height_px: int
    settings: Mapping[str, Any]
    """Of Pillow's encoder."""


_JPEG = {"quality": 90, "subsampling": "4:2:0"}

#: By the names that appear in the record. The small one has the cost of a file that is not pixels.
RECIPES = {
    "jpeg-12mpx": Recipe("jpg", 4000, 3000, _JPEG),
    "jpeg-12mpx-progressive": Recipe("jpg", 4000, 3000, {**_JPEG, "progressive": True}),
    "png-4mpx": Recipe("png", 2304, 1728, {"compress_level": 6}),
    "jpeg-small": Recipe("jpg", 320, 240, _JPEG),
}


def make(folder: Path) -> dict[str, Path]:
    """Write every picture into a folder."""
    made: dict[str, Path] = {}
    for name, recipe in RECIPES.items():
        made[name] = folder / f"{name}.{recipe.suffix}"
        _photo(recipe.width_px, recipe.height_px).save(made[name], **recipe.settings)
        os.utime(made[name], ns=(_MTIME_NS, _MTIME_NS))
    return made


def digest(pictures: Mapping[str, Path]) -> str:
    """A short name for the bytes of all pictures."""
    whole = hashlib.sha256()
    for path in pictures.values():
        whole.update(path.read_bytes())
    return whole.hexdigest()[:16]


def _photo(width_px: int, height_px: int) -> Image.Image:
    """Something as hard to compress as a photo."""
    # The one generator of which numpy promises that its numbers never change.
    random = np.random.RandomState(12)
    samples = np.full((height_px, width_px, 3), 128, np.int16)
    for cell_px, strength in _DETAILS:
        shape = (height_px // cell_px + 2, width_px // cell_px + 2, 3)
        cells = Image.fromarray(random.randint(0, 256, shape).astype(np.uint8))
        large = cells.resize((width_px, height_px), Image.Resampling.BICUBIC)
        samples += (np.asarray(large, np.int16) - 128) * strength // 256
    tile = random.randint(-_NOISE, _NOISE + 1, (_NOISE_TILE_PX, _NOISE_TILE_PX, 3))
    times = (height_px // _NOISE_TILE_PX + 1, width_px // _NOISE_TILE_PX + 1, 1)
    samples += np.tile(tile.astype(np.int16), times)[:height_px, :width_px]
    return Image.fromarray(samples.clip(0, 255).astype(np.uint8))
