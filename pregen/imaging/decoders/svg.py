"""SVG through libvips and librsvg, always from memory.

By buffer librsvg loads no other file; `unlimited` stays off, so that it bounds what it draws.
"""

from __future__ import annotations

import zlib
from typing import Final

from pregen.imaging.decoders import vips
from pregen.imaging.decoders.base import Opened, Request
from pregen.imaging.faults import InvalidPicture, TruncatedPicture
from pregen.imaging.pixels.resample import Pixels
from pregen.imaging.runtime import pyvips
from pregen.imaging.sniff import SVGZ
from pregen.imaging.source_bytes import WHOLE_FILE_BYTES

#: Of CSS (Values and Units 4, section 6.2); libvips has 72, which cuts drawings of millimetres off.
_DOTS_PER_INCH: Final = 96
#: libvips takes its own 72 for the size of a pixel all the same.
_PIXEL: Final = 72 / _DOTS_PER_INCH


class SvgPicture(Opened):
    """A drawing whose own size is known."""

    loader = "vips"
    scalable = True

    def __init__(self, request: Request) -> None:
        size_bytes = request.source.size_bytes
        if size_bytes > WHOLE_FILE_BYTES:
            raise InvalidPicture(f"an SVG of {size_bytes / 1e6:.0f} MB is too large")
        data = request.source.whole()
        self._data = _inflated(data) if request.format is SVGZ else data
        try:
            header = self._drawn(1.0)
        except pyvips.Error as error:
            raise vips.fault_of(error) from error
        self.width_px: int = header.width
        self.height_px: int = header.height

    def decode(self, box_px: int) -> Pixels:
        """Draw it at the size of the box: vectors need no detour over their own size."""
        scale = min(1.0, box_px / max(self.width_px, self.height_px))
        try:
            return Pixels(self._drawn(scale).copy_memory())
        except pyvips.Error as error:
            raise vips.fault_of(error) from error

    def _drawn(self, scale: float) -> pyvips.Image:
        return pyvips.Image.svgload_buffer(self._data, dpi=_DOTS_PER_INCH, scale=scale * _PIXEL)


def _inflated(data: bytes) -> bytes:
    """Return what is in a gzipped drawing. librsvg would inflate it to any size."""
    inflater = zlib.decompressobj(wbits=31)
    try:
        text = inflater.decompress(data, WHOLE_FILE_BYTES)
    except zlib.error as error:
        raise InvalidPicture(f"its compression is damaged ({error})") from error
    if inflater.unconsumed_tail:
        raise InvalidPicture(f"an SVG of more than {WHOLE_FILE_BYTES / 1e6:.0f} MB is too large")
    if not inflater.eof:
        raise TruncatedPicture("the file ends before the drawing does")
    return text


def open_picture(request: Request) -> SvgPicture:
    """Read the size of the drawing. Raises Fault when librsvg refuses it."""
    return SvgPicture(request)
