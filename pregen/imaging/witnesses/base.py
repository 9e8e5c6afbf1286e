"""What a witness is asked and what it answers.

A witness is a module with `look(question) -> Sight`: it decodes a source in its own way, from its
bytes, and believes nothing that the decoder of a run found out, but where that is said.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from numpy.typing import NDArray

from pregen.imaging.containers.heif import Colour
from pregen.imaging.faults import TooLarge

if TYPE_CHECKING:
    from pregen.imaging.decoders.base import Request

Samples = NDArray[Any]
"""Rows x columns x bands, of uint8 or uint16."""


class NoWitness(Exception):  # noqa: N818 - it is an answer, not an error
    """This library does not decode this source; the message says why."""


class Question(NamedTuple):
    """A source, and what of it is wanted."""

    request: Request
    box_px: int
    """A picture that covers this is enough."""
    max_pixels: int
    """No larger one is decoded."""
    orientation: int = 1
    """EXIF's, as the run's decoder found it, for formats whose witness knows none."""

    def check(self, width_px: int, height_px: int) -> None:
        """Wait for room for a picture of this size. Raises TooLarge beyond the limit."""
        if width_px * height_px > self.max_pixels:
            raise TooLarge(width_px, height_px, self.max_pixels)
        self.request.reserve(width_px * height_px * 8)


class Sight(NamedTuple):
    """A picture as a library gave it: not yet turned, not yet sRGB."""

    samples: Samples
    """Of a stored picture, whole or reduced."""
    space: str
    """b-w, srgb, cmyk, lab or scrgb, as libvips names them for 8 bits; one band more is alpha."""
    width_px: int
    height_px: int
    """Of the picture as stored."""
    orientation: int = 1
    """EXIF's, by which it is still to be turned."""
    colour: Colour = Colour()
    premultiplied: bool = False
    """The colours are already multiplied by the alpha."""
    whole: bool = True
    """False: a part of the data is missing, or it is another rendering of the same scene."""
