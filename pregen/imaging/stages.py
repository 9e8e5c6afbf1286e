"""An opened source -> what its entries show, one stage after the other: the way of every format.

Importing it brings the picture libraries; photos that `at_once` takes need none of them.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, NamedTuple

from pregen.imaging import last_look, witness_names
from pregen.imaging.decoders.base import Opened
from pregen.imaging.faults import Fault
from pregen.imaging.pixels import render, stream
from pregen.imaging.pixels.resample import Pixels, image_of
from pregen.imaging.runtime import quiet
from pregen.imaging.second_opinion import second_opinion

if TYPE_CHECKING:
    from collections.abc import Collection

    from pregen.imaging.decoders.base import Request
    from pregen.imaging.pixels.resample import Plain
    from pregen.model import Flavor

quiet()


class Staged(NamedTuple):
    """What was made, and how long each stage took."""

    pictures: dict[Flavor, tuple[int, int, bytes]]
    """Width and height in pixels, and the zlib stream."""
    decode_ns: int
    resize_ns: int
    encode_ns: int


def pictures(
    opened: Opened, request: Request, flavors: Collection[Flavor], max_pixels: int
) -> Staged:
    """Decode once and make the picture of every flavor.

    Raises:
        Fault: the source cannot become a picture.
        MemoryError: there was not enough memory.
    """
    begun_ns = time.perf_counter_ns()
    pixels = opened.decode(max(flavor.box_px for flavor in flavors))
    decoded_ns = time.perf_counter_ns()
    # What a decoder found wrong in the header it has set right.
    size = opened.width_px, opened.height_px
    made = render.render(pixels, *size, opened.orientation, flavors)
    last_look.check(made, opened, request, max_pixels)
    resized_ns = time.perf_counter_ns()
    compressed = {
        flavor: (rgba.shape[1], rgba.shape[0], stream.compress(rgba))
        for flavor, rgba in made.items()
    }
    encoded_ns = time.perf_counter_ns()
    return Staged(
        compressed, decoded_ns - begun_ns, resized_ns - decoded_ns, encoded_ns - resized_ns
    )


class Another(Opened):
    """A picture as another decoder shows it, or as it is where no other decoder can read it."""

    def __init__(self, opened: Opened, request: Request, max_pixels: int) -> None:
        self._opened = opened
        self._request = request
        self._max_pixels = max_pixels
        self.width_px, self.height_px = opened.width_px, opened.height_px
        self.pages, self.frames = opened.pages, opened.frames
        self.movie_length_s = opened.movie_length_s
        self.unsized, self.always = opened.unsized, opened.always
        self.scalable = opened.scalable

    def decode(self, box_px: int) -> Pixels | Plain:
        """See `base.Opened`. Which decoder is not the usual one, the usual one's decode says."""
        usual: Pixels | Plain | Fault
        try:
            usual = self._opened.decode(box_px)
        except Fault as fault:
            usual = fault
        opened = self._opened
        self.loader, self.orientation = opened.loader, opened.orientation
        found = second_opinion(
            self._request, opened.loader, box_px, self._max_pixels, opened.orientation
        )
        if found is None or (isinstance(usual, Fault) and not found.whole):
            if isinstance(usual, Fault):
                raise usual
            return usual
        self.loader = witness_names.loader_of(found.by, whole=found.whole)
        self.orientation = 1
        self.height_px, self.width_px = found.rgba.shape[:2]
        return Pixels(image_of(found.rgba, "srgb"))
