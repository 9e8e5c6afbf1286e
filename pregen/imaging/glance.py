"""A look at a finished thumbnail: how dark and how flat it is, and a small copy of it."""

from __future__ import annotations

import io
from typing import Final, NamedTuple

from PIL import Image, ImageStat

#: A page shows many of these: half the bytes of 85, and no difference at this size.
_QUALITY: Final = 70


class Glance(NamedTuple):
    """What strikes the eye. Levels are those of 8 bit."""

    mean: float
    """Of the brightness."""
    spread: float
    """Standard deviation of the brightness: 0 for one flat colour."""


def glance(png: bytes) -> Glance | None:
    """Look at an entry; None when it cannot be read."""
    picture = _opened(png)
    if picture is None:
        return None
    facts = ImageStat.Stat(picture.convert("L"))
    return Glance(facts.mean[0], facts.stddev[0])


def small_jpeg(png: bytes, box_px: int) -> bytes | None:
    """Return an entry as a JPEG that fits in a box, transparency on white; None if unreadable."""
    picture = _opened(png)
    if picture is None:
        return None
    picture.thumbnail((box_px, box_px))
    out = io.BytesIO()
    picture.convert("RGB").save(out, "JPEG", quality=_QUALITY, optimize=True)
    return out.getvalue()


def _opened(png: bytes) -> Image.Image | None:
    """Decode an entry, which any program may have written."""
    try:
        with Image.open(io.BytesIO(png), formats=["PNG"]) as picture:
            rgba = picture.convert("RGBA")
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        return None
    white = Image.new("RGBA", rgba.size, "white")
    white.alpha_composite(rgba)
    return white
