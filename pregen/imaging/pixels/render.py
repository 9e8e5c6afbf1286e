"""Decoded pixels -> one RGBA picture per flavor: reduced, turned, in sRGB.

One decode serves all flavors: the largest is made from the decoded picture, each smaller one
from the next larger.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from pregen.imaging.pixels import colour, resample
from pregen.imaging.pixels.resample import Pixels, Plain
from pregen.imaging.pixels.sizes import Size, fit

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from pregen.imaging.pixels.resample import Rgba
    from pregen.imaging.runtime import pyvips
    from pregen.model import Flavor


#: The formats that interpretations had before their alpha was multiplied in, where not 8 bits.
_DEPTHS = {"rgb16": "ushort", "grey16": "ushort", "scrgb": "float"}


def render(
    pixels: Pixels | Plain,
    width_px: int,
    height_px: int,
    orientation: int,
    flavors: Iterable[Flavor],
) -> dict[Flavor, Rgba]:
    """Make the picture of every flavor.

    Args:
        pixels: the decoded picture, covering the largest flavor.
        width_px: of the original as stored, which decides the aspect.
        height_px: likewise.
        orientation: EXIF's, 1 to 8; applied here and nowhere else.
        flavors: in any order.
    """
    sizes = {
        flavor: fit(width_px, height_px, flavor.box_px)
        for flavor in sorted(flavors, key=lambda flavor: flavor.box_px, reverse=True)
    }
    made = _plain(pixels, sizes) if isinstance(pixels, Plain) else _managed(pixels, sizes)
    return {flavor: turn(picture, orientation) for flavor, picture in made}


def _plain(pixels: Plain, sizes: dict[Flavor, Size]) -> Iterator[tuple[Flavor, Rgba]]:
    """Reduce a picture that needs nothing else: no colour management, no alpha."""
    samples, extent = pixels
    for flavor, size in sizes.items():
        samples = resample.reduce(samples, size, extent)
        extent = size
        yield flavor, samples


def _managed(pixels: Pixels, sizes: dict[Flavor, Size]) -> Iterator[tuple[Flavor, Rgba]]:
    """Reduce, then bring what is left to sRGB, with its alpha."""
    image, premultiplied, extent = pixels
    if not image.hasalpha():
        # Brought to sRGB once; from there on it is as plain as any.
        flavor, largest = next(iter(sizes.items()))
        made = _rgba(_resize(image, largest, extent))
        yield flavor, made
        smaller = {each: size for each, size in sizes.items() if each is not flavor}
        yield from _plain(Plain(made, largest), smaller)
        return
    if not premultiplied:
        image = image.premultiply()
    for flavor, size in sizes.items():
        image = _resize(image, size, extent)
        extent = None
        yield flavor, _rgba(image, unmultiply=True)


def _resize(
    image: pyvips.Image, size: Size, extent: tuple[float, float] | None = None
) -> pyvips.Image:
    """Reduce to exactly `size`, in memory; `extent` as in `Pixels`."""
    if extent is not None and extent != (image.width, image.height):
        return resample.resize(image, size, extent)
    if (image.width, image.height) == size:
        return image
    return image.resize(
        size.width_px / image.width, vscale=size.height_px / image.height, kernel="lanczos3"
    ).copy_memory()


def _rgba(image: pyvips.Image, *, unmultiply: bool = False) -> Rgba:
    if unmultiply:
        depth = _DEPTHS.get(image.interpretation, "uchar")
        image = image.unpremultiply()
        # A cast cuts off what is behind the point.
        image = (image if depth == "float" else image.rint()).cast(depth)
    image = colour.to_srgb(image)
    pixels: Rgba = image.numpy()
    if pixels.shape[2] == 4:  # noqa: PLR2004 - there is an alpha already
        return pixels
    return resample.opaque(pixels).samples


def turn(picture: Rgba, orientation: int) -> Rgba:
    """Turn a stored picture upright (EXIF 2.3, Orientation)."""
    match orientation:
        case 2:
            picture = picture[:, ::-1]
        case 3:
            picture = picture[::-1, ::-1]
        case 4:
            picture = picture[::-1]
        case 5:
            picture = picture.transpose(1, 0, 2)
        case 6:
            picture = picture[::-1].transpose(1, 0, 2)
        case 7:
            picture = picture[::-1, ::-1].transpose(1, 0, 2)
        case 8:
            picture = picture[:, ::-1].transpose(1, 0, 2)
        case _:
            pass
    return np.ascontiguousarray(picture)
