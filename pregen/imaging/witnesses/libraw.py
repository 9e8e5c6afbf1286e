"""LibRaw: finds a RAW's stored preview by a parser of its own; Pillow decodes that."""

from __future__ import annotations

import rawpy

from pregen.imaging.decoders.libraw import open_raw
from pregen.imaging.faults import InvalidPicture
from pregen.imaging.previews.layout import same_shape
from pregen.imaging.witnesses import pillow
from pregen.imaging.witnesses.base import NoWitness, Question, Sight


def look(question: Question) -> Sight:
    """Decode a source's preview. Raises NoWitness, TooLarge, MemoryError."""
    try:
        with open_raw(question.request) as raw:
            sizes = raw.sizes
            thumb = raw.extract_thumb()
    except (rawpy.LibRawError, InvalidPicture) as error:
        raise NoWitness(f"LibRaw: {error}") from error
    if thumb.format != rawpy.ThumbFormat.JPEG:
        raise NoWitness("LibRaw finds no preview that is a JPEG")
    found = pillow.decode(bytes(thumb.data), "JPEG", question)
    # In many RAWs the preview's own orientation is missing, or that of the sensor.
    turned = found._replace(orientation=question.orientation)
    if not same_shape((found.width_px, found.height_px), (sizes.width, sizes.height)):
        raise NoWitness("the preview that LibRaw finds has another shape than the picture")
    return turned
