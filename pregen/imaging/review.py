"""Entries reviewed by Pillow, which never writes any: compared, measured, made small.

For `pregen verify` and `pregen report`. Imports Pillow and numpy only.
"""

from __future__ import annotations

import io
import warnings
from typing import TYPE_CHECKING, Final

import numpy as np
from PIL import Image, ImageStat

from pregen.model import Luminance

if TYPE_CHECKING:
    from numpy.typing import NDArray


#: Both pictures are brought to this grid: coarse enough that sharpening, filters and a frame of
#: a pixel do not show, fine enough that a turned picture does.
_GRID_PX: Final = 24
#: Thumbnails of one original have one shape but for rounding; other programs make some smaller than
#: the flavor allows, crop a row or leave out a border.
_EDGE_SLACK: Final = 0.05
_EDGE_SLACK_PX: Final = 3
#: Levels, in the mean over grid and channels. A different tone curve (RAW) reaches 30.
_CLOSE_LEVELS: Final = 12.0
#: Correlation of the grids, each channel around its mean. Of 22 camera photos no two reach 0.59,
#: none 0.38 upside down; with another tone curve (gamma 0.6) none falls below 0.97.
_ALIKE: Final = 0.85
#: Below this spread there is no pattern to correlate, only noise.
_PLAIN_LEVELS: Final = 4.0
#: Transparency is seen on this.
_BACKGROUND: Final = (128, 128, 128, 255)
#: A page shows many of these: half the bytes of 85, and no difference at this size.
_QUALITY: Final = 70


def prepare() -> None:
    """Load what is loaded when the first picture is decoded or encoded."""
    png, jpeg = io.BytesIO(), io.BytesIO()
    Image.new("RGBA", (1, 1)).save(png, "PNG")
    _decoded(png.getvalue()).convert("RGB").save(jpeg, "JPEG")


def refusal(data: bytes) -> str:
    """Return why Pillow cannot decode a PNG to its end; empty: it can."""
    try:
        _decoded(data)
    except Exception as error:  # noqa: BLE001 - Pillow raises whatever its parsing runs into
        return str(error) or type(error).__name__
    return ""


def difference(entry: bytes, fresh: bytes) -> str:
    """Return how an entry's picture differs from one made anew; empty: they show the same.

    Args:
        entry: A PNG that Pillow can decode.
        fresh: Likewise, of the same original and flavor.
    """
    ours, theirs = _decoded(entry), _decoded(fresh)
    if _differ(ours, theirs):
        return f"it is {_edges(ours)}, a new one would be {_edges(theirs)}"
    one, other = _grid(ours), _grid(theirs)
    levels = float(np.abs(one - other).mean())
    one, other = one - one.mean((0, 1)), other - other.mean((0, 1))
    if levels <= _CLOSE_LEVELS and min(one.std(), other.std()) < _PLAIN_LEVELS:
        return ""
    spread = float(np.sqrt((one**2).sum() * (other**2).sum()))
    likeness = float((one * other).sum()) / spread if spread else 0.0
    if likeness >= _ALIKE:
        return ""
    return f"it shows a different picture (similarity {likeness:.2f}, {levels:.0f} levels apart)"


def _decoded(data: bytes) -> Image.Image:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of a size no thumbnail has: objected to elsewhere
        with Image.open(io.BytesIO(data), formats=["PNG"]) as opened:
            opened.load()
            return opened.convert("RGBA")


def _differ(ours: Image.Image, theirs: Image.Image) -> bool:
    """Tell whether two pictures have different shapes, whatever their sizes."""
    scale = max(ours.size) / max(theirs.size)
    return any(
        abs(edge - other * scale) > max(_EDGE_SLACK_PX * max(1.0, scale), _EDGE_SLACK * edge)
        for edge, other in zip(ours.size, theirs.size, strict=True)
    )


def _grid(picture: Image.Image) -> NDArray[np.float64]:
    below = Image.new("RGBA", picture.size, _BACKGROUND)
    flat = Image.alpha_composite(below, picture).convert("RGB")
    return np.asarray(flat.resize((_GRID_PX, _GRID_PX), Image.Resampling.BOX), dtype=np.float64)


def _edges(picture: Image.Image) -> str:
    return f"{picture.width}x{picture.height}"


def luminance(png: bytes) -> Luminance | None:
    """Return how bright and how flat an entry is; None when it cannot be read."""
    picture = _on_white(png)
    if picture is None:
        return None
    facts = ImageStat.Stat(picture.convert("L"))
    return Luminance(facts.mean[0], facts.stddev[0])


def small_jpeg(png: bytes, box_px: int) -> bytes | None:
    """Return an entry as a JPEG that fits in a box, transparency on white; None if unreadable."""
    picture = _on_white(png)
    if picture is None:
        return None
    picture.thumbnail((box_px, box_px))
    out = io.BytesIO()
    picture.convert("RGB").save(out, "JPEG", quality=_QUALITY, optimize=True)
    return out.getvalue()


def _on_white(png: bytes) -> Image.Image | None:
    """Decode an entry, which any program may have written; None when that fails."""
    try:
        rgba = _decoded(png)
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        return None
    white = Image.new("RGBA", rgba.size, "white")
    white.alpha_composite(rgba)
    return white
