"""libvips, for what a run leaves to Pillow: AVIF by libheif, TIFF by another libtiff."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from pregen.imaging.containers import heif, tiff, tiff_layout
from pregen.imaging.decoders.tiff_jpeg2000 import COMPRESSIONS
from pregen.imaging.runtime import pyvips
from pregen.imaging.source_bytes import DamagedError
from pregen.imaging.witnesses.base import NoWitness, Question, Sight

if TYPE_CHECKING:
    from pregen.imaging.containers.tiff_layout import TiffLayout
    from pregen.imaging.source_bytes import SourceBytes

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
        if name == "tiff" and _layout(source).compression in COMPRESSIONS:
            raise NoWitness("libvips shows nothing of tiles in JPEG 2000")
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


def _layout(source: SourceBytes) -> TiffLayout:
    try:
        return tiff_layout.read(source, tiff.first_ifd(source))
    except DamagedError as error:
        raise NoWitness(f"libvips: {error}") from error
