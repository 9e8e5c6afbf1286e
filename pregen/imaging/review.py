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
#: What decoders of the same differ by in the mean: 0.6 in 46 camera photos and 1.2 in 550 files of
#: every kind; 2.0 where the entry is of a thumbnail that a camera stored.
_EXACT_LEVELS: Final = 3.5
#: By how much colours may be stronger or weaker, as a share. Decoders differ by 0.02 there; Display
#: P3 that is taken for sRGB loses 0.12 to 0.31, Adobe RGB 0.09 to 0.3.
_EXACT_STRENGTH: Final = 0.06
#: Below this (root mean square of red and of blue against green) there are no colours to compare.
_COLOURFUL_LEVELS: Final = 4.0
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
    except Exception as error:  # noqa: BLE001 - Pillow's parsers raise anything
        return str(error) or type(error).__name__
    return ""


def difference(entry: bytes, fresh: bytes, *, exact: bool = False) -> str:
    """Return how an entry's picture differs from one made anew; empty: they show the same.

    Args:
        entry: A PNG that Pillow can decode.
        fresh: Likewise, of the same original and flavor.
        exact: both are to show all of it in its colours, by any decoder. Otherwise the tones
            may be others: programs that manage no colours, other renderings of a RAW, lost parts.
    """
    ours, theirs = _decoded(entry), _decoded(fresh)
    if _differ(ours, theirs):
        return f"it is {_edges(ours)}, a new one would be {_edges(theirs)}"
    one, other = _grid(ours), _grid(theirs)
    levels = float(np.abs(one - other).mean())
    told = levels > _CLOSE_LEVELS or min(one.std(), other.std()) >= _PLAIN_LEVELS
    if told and (likeness := _likeness(one, other)) < _ALIKE:
        if one.std((0, 1)).max() < 1:
            return f"it shows one colour only ({levels:.0f} levels apart)"
        return (
            f"it shows a different picture (similarity {likeness:.2f}, {levels:.0f} levels apart)"
        )
    if not exact:
        return ""
    strength = _strength(one, other)
    if levels > _EXACT_LEVELS or abs(strength - 1) > _EXACT_STRENGTH:
        return (
            f"its colours are not those of its file ({levels:.1f} levels apart, "
            f"{strength:.0%} as strong)"
        )
    return ""


def _likeness(one: NDArray[np.float64], other: NDArray[np.float64]) -> float:
    """Return how two grids correlate, each channel around its mean."""
    one, other = one - one.mean((0, 1)), other - other.mean((0, 1))
    spread = float(np.sqrt((one**2).sum() * (other**2).sum()))
    return float((one * other).sum()) / spread if spread else 0.0


def _strength(one: NDArray[np.float64], other: NDArray[np.float64]) -> float:
    """Return how strong the colours of a grid are in terms of the other's; 1 where it has none."""
    ours, theirs = (
        np.stack([grid[..., 0] - grid[..., 1], grid[..., 2] - grid[..., 1]])
        for grid in (one, other)
    )
    power = float((theirs**2).mean())
    return float((ours * theirs).mean()) / power if power >= _COLOURFUL_LEVELS**2 else 1.0


def _decoded(data: bytes) -> Image.Image:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of a size no thumbnail has: objected to elsewhere
        with Image.open(io.BytesIO(data), formats=["PNG"]) as opened:
            opened.load()
            return opened.convert("RGBA")


def _differ(ours: Image.Image, theirs: Image.Image) -> bool:
    """Tell whether two pictures have different shapes; their sizes may differ."""
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
