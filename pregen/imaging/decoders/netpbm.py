"""Binary greymaps and pixmaps (PNM) by numpy; the other kinds of PNM are Pillow's.

Pillow reads samples of 16 bits, and all that do not end at 255, one by one: half a minute for a
camera's picture.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from pregen.imaging.decoders import pillow
from pregen.imaging.decoders.base import Opened, Request
from pregen.imaging.faults import ENOUGH_ROWS, InvalidPicture, TruncatedPicture
from pregen.imaging.pixels.resample import averaged, image_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pregen.imaging.pixels.resample import Pixels

#: Magic, three numbers with white space or comments between them, one white space (netpbm, ppm(5)).
_GAP = rb"(?:\s|#[^\r\n]*[\r\n])+"
_HEADER = re.compile(rb"P([56])" + rb"".join([_GAP, rb"(\d{1,9})"] * 3) + rb"\s")
_MAX_SAMPLE = 65_535
_BYTE = 255
_RGB = 3


class _Header(NamedTuple):
    bands: int
    width_px: int
    height_px: int
    largest: int
    """The sample that means full light."""
    data_at: int


class NetpbmPicture(Opened):
    """A binary PNM whose header has been read."""

    loader = "numpy"

    def __init__(self, request: Request, header: _Header) -> None:
        self._request = request
        self._header = header
        self.width_px = header.width_px
        self.height_px = header.height_px

    def decode(self, box_px: int) -> Pixels:
        """See `base.Opened`."""
        bands, width_px, height_px, largest, data_at = self._header
        kind = np.dtype(">u2" if largest > _BYTE else "u1")
        row_bytes = width_px * bands * kind.itemsize
        self._request.reserve(row_bytes * height_px * 2)
        data = self._request.source.first(data_at + row_bytes * height_px)
        there = min(height_px, (len(data) - data_at) // row_bytes)
        if there < height_px * ENOUGH_ROWS:
            raise TruncatedPicture(
                f"the file ends early: {there / height_px:.0%} of the rows are there"
            )
        samples = np.frombuffer(data, kind, there * width_px * bands, data_at)
        deep = largest > _BYTE
        name = ("rgb16" if deep else "srgb") if bands == _RGB else ("grey16" if deep else "b-w")
        image = image_of(_full(samples, largest).reshape(there, width_px, bands), name)
        if there < height_px:
            image = image.embed(0, 0, width_px, height_px)
        return averaged(image, box_px)


def open_picture(request: Request) -> Opened:
    """Read the header. Raises Fault when it makes no sense."""
    found = _HEADER.match(request.source.head)
    if found is None:
        return pillow.open_picture(request)
    width_px, height_px, largest = (int(found[index]) for index in (2, 3, 4))
    if not (width_px and height_px and 0 < largest <= _MAX_SAMPLE):
        raise InvalidPicture("its PNM header is damaged")
    bands = _RGB if found[1] == b"6" else 1
    return NetpbmPicture(request, _Header(bands, width_px, height_px, largest, found.end()))


def _full(samples: NDArray[np.unsignedinteger], largest: int) -> NDArray[np.unsignedinteger]:
    """Stretch samples to the whole range of 8 or 16 bits."""
    whole = _BYTE if largest <= _BYTE else _MAX_SAMPLE
    if largest == whole:
        return samples.astype(samples.dtype.newbyteorder("="))
    stretched = np.minimum(samples.astype(np.uint32), largest) * whole // largest
    return stretched.astype(np.uint8 if whole == _BYTE else np.uint16)
