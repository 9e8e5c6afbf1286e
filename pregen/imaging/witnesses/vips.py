"""libvips, for what a run leaves to Pillow: AVIF by libheif, TIFF by another libtiff."""

from __future__ import annotations

from typing import Final

import numpy as np

from pregen.imaging.containers import heif
from pregen.imaging.runtime import pyvips
from pregen.imaging.witnesses.base import NoWitness, Question, Sight

_LOADERS: Final = {"avif": "heifload", "tiff": "tiffload", "png": "pngload", "gif": "gifload"}
_SPACES: Final = {
    "b-w": "b-w", "grey16": "b-w", "srgb": "srgb", "rgb": "srgb", "rgb16": "srgb", "cmyk": "cmyk",
}  # fmt: skip
_DEPTHS: Final = {"uchar": np.uint8, "ushort": np.uint16}


def look(question: Question) -> Sight:
    """Decode a source. Raises NoWitness, TooLarge, MemoryError."""
    request = question.request
    source, name = request.source, request.format.name
    try:
        image = pyvips.Operation.call(f"{_LOADERS[name]}_buffer", source.whole(), fail_on="error")
        question.check(image.width, image.height)
        if image.interpretation not in _SPACES or image.format not in _DEPTHS:
            raise NoWitness(f"libvips: {image.interpretation} of {image.format}")
        samples = np.frombuffer(image.write_to_memory(), _DEPTHS[image.format])
    except pyvips.Error as error:
        raise NoWitness(f"libvips: {error.message}") from error
    colour = heif.Colour()
    if image.get_typeof("icc-profile-data"):
        colour = colour._replace(profile=bytes(image.get("icc-profile-data")))
    elif name == "avif":
        # libheif tells these numbers, and libvips keeps them to itself.
        colour = heif.avif_colour(source)
    # libheif turns by irot and imir itself, and leaves EXIF's orientation to others.
    turn = int(image.get("orientation")) if image.get_typeof("orientation") else 1
    return Sight(
        samples.reshape(image.height, image.width, image.bands),
        _SPACES[image.interpretation],
        image.width,
        image.height,
        turn if 1 <= turn <= 8 else 1,  # noqa: PLR2004 - EXIF 2.3
        colour,
        premultiplied=name == "avif" and heif.is_premultiplied(source),
    )
