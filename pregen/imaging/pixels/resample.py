"""Decoded pixels in memory, and how they are reduced.

A 4128 x 2322 photo at 1/8 is 290.25 pixels high. libvips can only take it for 290 or 291, which
shifts it by up to a third of a pixel of the thumbnail and costs up to 20 dB. Our own reduction in C
takes fractions, and is three to five times as fast as Pillow's, which takes them, too.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from pregen.imaging import compiled
from pregen.imaging.pixels import sizes
from pregen.imaging.runtime import pyvips

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from pregen.imaging.compiled import Averaged

Samples = NDArray[np.uint8]
"""Rows x columns x bands."""
Rgba = NDArray[np.uint8]
"""Rows x columns x 4, contiguous."""

#: Pillow's names for 8-bit pixels of so many bands. CMYK: ink is as good as light to a resize.
_MODES = {1: "L", 3: "RGB", 4: "CMYK"}
_OPAQUE: Final = 255
_PROFILE: Final = "icc-profile-data"
#: libvips' names of formats, by the bytes of a sample.
_FORMATS: Final = {1: "uchar", 2: "ushort", 4: "float"}
#: The last block of a JPEG is mostly padding when less than half of it is picture.
_HALF = 0.5


#: How many bands are colours, where it is not three. One more is the alpha.
_COLOUR_BANDS: Final = {"b-w": 1, "grey16": 1, "cmyk": 4}


class Pixels(NamedTuple):
    """A decoded picture in memory: not yet turned, not yet sRGB, a little larger than wanted."""

    image: pyvips.Image
    premultiplied: bool = False
    """The colours are already multiplied by the alpha (0 to 255), as floats."""
    extent: tuple[float, float] | None = None
    """Where the picture ends, in pixels of `image`, when that is within its last column or row:
    2322 rows at 1/8 are 290.25, and a picture taken for 291 high shows shifted by a third of a
    pixel."""


class Plain(NamedTuple):
    """A decoded picture that is opaque, 8-bit and sRGB already, as most photos are."""

    samples: Rgba
    """Rows x columns x 4; the fourth band means nothing."""
    extent: tuple[float, float]
    """As in `Pixels`."""


def image_of(samples: NDArray[Any], interpretation: str) -> pyvips.Image:
    """Return samples, rows x columns or rows x columns x bands, as an image.

    Args:
        samples: of 8 or 16 bits or single precision, of the machine's own byte order.
        interpretation: libvips' name of what the bands mean.
    """
    samples = np.ascontiguousarray(samples)
    rows, columns, *bands = samples.shape
    return pyvips.Image.new_from_memory(
        samples.data,
        columns,
        rows,
        *(bands or (1,)),
        _FORMATS[samples.itemsize],
    ).copy(interpretation=interpretation)


def light_of(samples: NDArray[np.float32]) -> pyvips.Image:
    """Return linear light as an image: rows x columns x 1 or 3, of which 1 is white.

    What is brighter than white is white, what is no number black.
    """
    clean = np.clip(np.nan_to_num(samples, nan=0.0), 0.0, 1.0).astype(np.float32)
    if clean.shape[2] == 1:
        clean = np.repeat(clean, 3, axis=2)
    return image_of(clean, "scrgb")


def samples_of(pixels: Pixels | Plain) -> Samples:
    """Return decoded pixels as rows x columns x bands."""
    if isinstance(pixels, Plain):
        return pixels.samples
    image = pixels.image
    samples = np.frombuffer(image.write_to_memory(), np.uint8)
    return samples.reshape(image.height, image.width, image.bands)


def opaque(rgb: Samples) -> Plain:
    """Return rows x columns x 3 that are sRGB already."""
    pixels = np.full((*rgb.shape[:2], 4), 255, np.uint8)
    pixels[..., :3] = rgb
    return Plain(pixels, (rgb.shape[1], rgb.shape[0]))


def into_memory(image: pyvips.Image, box_px: int) -> Pixels:
    """Run a lazy decode: `averaged`, and in memory in any case."""
    kept = _COLOUR_BANDS.get(image.interpretation, 3) + 1
    if image.bands > kept:
        # A TIFF may have any number of samples beside the colours and the alpha.
        image = image.extract_band(0, n=kept)
    pixels = averaged(image, box_px)
    return Pixels(image.copy_memory()) if pixels.image is image else pixels


def averaged(image: pyvips.Image, box_px: int) -> Pixels:
    """Average whole blocks of pixels where there are far too many of them.

    So a lazy 100 Mpx picture never lies in memory whole.
    """
    block = sizes.block(image.width, image.height, box_px)
    if block < 2:  # noqa: PLR2004 - averaging one pixel is nothing
        return Pixels(image)
    if premultiplied := bool(image.hasalpha()):
        # Transparent pixels have a colour, too, and it must not bleed into the opaque ones.
        image = image.premultiply()
    columns, rows = min(block, image.width), min(block, image.height)
    extent = (image.width / columns, image.height / rows)
    image = image.shrink(columns, rows, ceil=True)
    return Pixels(image.copy_memory(), premultiplied, extent)


def of_averaged(averaged: Averaged, profile: bytes = b"") -> Pixels | Plain:
    """Return what was averaged in C.

    Args:
        averaged: the picture.
        profile: ICC, of three colours; empty where they are sRGB.
    """
    if averaged.weighed:
        size = averaged.columns, averaged.rows
        image = pyvips.Image.new_from_memory(averaged.samples, *size, 4, "float")
        image = image.copy(interpretation="srgb")
    else:
        samples = np.frombuffer(averaged.samples, np.uint8)
        samples = samples.reshape(averaged.rows, averaged.columns, 4)
        if not profile and not averaged.clear:
            return Plain(samples, averaged.extent)
        image = image_of(samples if averaged.clear else samples[..., :3], "srgb")
    if profile:
        image.set_type(pyvips.GValue.blob_type, _PROFILE, profile)
    return Pixels(image, averaged.weighed, averaged.extent)


def resize(image: pyvips.Image, size: tuple[int, int], extent: tuple[float, float]) -> pyvips.Image:
    """Reduce the part of `image` within `extent` (width, height) to `size`, with Lanczos-3.

    By Pillow: libvips knows no part of a pixel.
    """
    samples = image.numpy()
    box = (0, 0, *extent)
    if image.format == "uchar" and not image.hasalpha() and image.bands in _MODES:
        picture = Image.fromarray(samples, _MODES[image.bands])
        small = np.asarray(picture.resize(size, Image.Resampling.LANCZOS, box=box))
    else:
        # Pillow has no mode for several bands of more than 8 bits.
        bands = np.moveaxis(np.atleast_3d(samples).astype(np.float32), 2, 0)
        pictures = map(Image.fromarray, bands)
        reduced = (each.resize(size, Image.Resampling.LANCZOS, box=box) for each in pictures)
        small = np.stack([*map(np.asarray, reduced)], axis=-1)
        if image.format != "float":
            most = np.iinfo(samples.dtype).max
            small = np.rint(small).clip(0, most).astype(samples.dtype)
    found = image_of(small, image.interpretation)
    for name in image.get_fields():
        if name == _PROFILE:
            found.set_type(pyvips.GValue.blob_type, name, image.get(name))
    return found


def reduce(samples: Samples, size: tuple[int, int], extent: tuple[float, float]) -> Rgba:
    """Reduce four-band `samples` to `size` with Lanczos-3; the fourth band becomes 255."""
    rows, columns = samples.shape[:2]
    if compiled.IS_HERE:
        small = compiled.reduce(np.ascontiguousarray(samples).data, (columns, rows), extent, size)
        return np.frombuffer(small, np.uint8).reshape(size[1], size[0], 4)
    picture = Image.frombuffer("RGBX", (columns, rows), samples, "raw", "RGBX", 0, 1)
    found = np.array(picture.resize(size, Image.Resampling.LANCZOS, box=(0, 0, *extent)))
    # It was 255 and comes out as that or 254, by rounding.
    found[..., 3] = _OPAQUE
    return found


def without_padding(samples: Samples, extent: Sequence[float]) -> Samples:
    """Replace a last row or column that is mostly the encoder's padding by its neighbour.

    What a camera pads with is its own affair (T.81, A.2.4): often black or grey.
    """
    rows, columns = samples.shape[:2]
    if rows > 1 and 0 < extent[1] % 1 <= _HALF and rows > extent[1]:
        samples[-1] = samples[-2]
    if columns > 1 and 0 < extent[0] % 1 <= _HALF and columns > extent[0]:
        samples[:, -1] = samples[:, -2]
    return samples


def covering(image: pyvips.Image, extent: tuple[float, float]) -> pyvips.Image:
    """Repeat the last row and column of a picture that its decoder cut short of `extent`."""
    width_px = max(image.width, int(np.ceil(extent[0])))
    height_px = max(image.height, int(np.ceil(extent[1])))
    if (width_px, height_px) == (image.width, image.height):
        return image
    return image.embed(0, 0, width_px, height_px, extend="copy").copy_memory()
