"""Anything a decoder gives -> 8-bit sRGB, three or four bands. Works on small pictures only.

The transform runs after the reduction, where it costs 3 ms at most instead of 100
(formats-and-decoders, section 9), and not at all for a profile that is sRGB in other words.
"""

from __future__ import annotations

import functools
import io
from typing import Final

import numpy as np
from PIL import Image, ImageCms

from pregen.imaging.runtime import pyvips

_PROFILE: Final = "icc-profile-data"
#: Interpretations that are sRGB already, given 8 bits.
_SRGB_8: Final = frozenset({"srgb", "rgb", "multiband"})
#: A transform that moves no patch by more than this many levels is not worth running.
_SAME_LEVELS: Final = 1
#: What makes 8 bits of an alpha of this format. TIFF's floating point runs from 0 to 1.
_ALPHA_SCALES: Final = {"ushort": 1 / 257, "float": 255.0}


def attach(image: pyvips.Image, profile: bytes) -> None:
    """Give an image of one's own (a copy) an ICC profile for `to_srgb` to apply."""
    image.set_type(pyvips.GValue.blob_type, _PROFILE, profile)


def to_srgb(image: pyvips.Image) -> pyvips.Image:
    """Return `image` in sRGB with 8 bits per sample, alpha kept, profile removed."""
    profile = bytes(image.get(_PROFILE)) if image.get_typeof(_PROFILE) else b""
    bands = image.bands - (1 if image.hasalpha() else 0)
    if profile and not (bands == 3 and image.format == "uchar" and is_srgb(profile)):  # noqa: PLR2004 - R, G, B
        image = _by_profile(image, bands)
    elif image.interpretation not in _SRGB_8 or image.format != "uchar" or bands < 3:  # noqa: PLR2004
        image = image.colourspace("srgb")
    if image.format != "uchar":
        image = image.cast("uchar")
    return image


def _by_profile(image: pyvips.Image, bands: int) -> pyvips.Image:
    """Transform with the embedded profile; fall back on the interpretation when it is unusable."""
    alpha = image[bands] if image.hasalpha() else None
    colours = image.extract_band(0, n=bands) if alpha is not None else image
    # libvips transforms from 8 or 16 bits: 0 to 1 would be taken for the darkest of 8.
    samples = (colours * 65535).cast("ushort") if colours.format == "float" else colours
    try:
        # Without a depth 16 bits stay 16 bits, of which a cast keeps what is below 256.
        colours = samples.icc_transform(
            "srgb", embedded=True, intent="relative", depth=8
        ).copy_memory()
    except pyvips.Error:
        # A damaged profile, or one for another number of bands, must not cost the picture.
        colours = colours.copy()
        colours.remove(_PROFILE)
        colours = colours.colourspace("srgb")
    if alpha is None:
        return colours
    if alpha.format != "uchar":
        alpha = (alpha * _ALPHA_SCALES.get(alpha.format, 1.0)).rint().cast("uchar")
    return colours.bandjoin(alpha)


@functools.lru_cache(maxsize=64)
def is_srgb(profile: bytes) -> bool:
    """True when an RGB profile does to a grid of colours what sRGB does: nothing.

    Compared by effect, not by name: there are dozens of sRGB profiles, and profiles called sRGB
    that are not. Remembered, because a camera writes the same profile into every picture.
    """
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        transform = ImageCms.buildTransform(
            source, ImageCms.createProfile("sRGB"), "RGB", "RGB",
            renderingIntent=ImageCms.Intent.RELATIVE_COLORIMETRIC,
        )  # fmt: skip
        levels = np.linspace(0, 255, 9).astype(np.uint8)
        grid = np.stack(np.meshgrid(levels, levels, levels), axis=-1).reshape(27, 27, 3)
        after = np.asarray(ImageCms.applyTransform(Image.fromarray(grid), transform), np.int16)
    except (ImageCms.PyCMSError, OSError, ValueError, TypeError):
        return False
    return bool(np.abs(after - grid.astype(np.int16)).max() <= _SAME_LEVELS)
