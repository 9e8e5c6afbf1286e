"""Binary greymaps and pixmaps (PNM), PAM and PFM by numpy; the other kinds of PNM are Pillow's.

Pillow reads samples of 16 bits, and all that do not end at 255, one by one: half a minute for a
camera's picture. PFM is linear light, as in Photoshop and KDE. References: netpbm's ppm(5), pam(5)
and pfm(5).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from pregen.imaging.decoders import pillow
from pregen.imaging.decoders.base import Opened, Request
from pregen.imaging.faults import ENOUGH_ROWS, InvalidPicture, TruncatedPicture, Unsupported
from pregen.imaging.pixels.resample import averaged, image_of, light_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pregen.imaging.pixels.resample import Pixels

#: Magic, three numbers with white space or comments between them, one white space (netpbm, ppm(5)).
_GAP = rb"(?:\s|#[^\r\n]*[\r\n])+"
_HEADER = re.compile(rb"P([56])" + rb"".join([_GAP, rb"(\d{1,9})"] * 3) + rb"\s")
#: Lines of a word and what it stands for, in any order.
_PAM_END = b"ENDHDR\n"
_PAM_LINE = re.compile(rb"^(WIDTH|HEIGHT|DEPTH|MAXVAL)[ \t]+(\d{1,9})\s*$", re.MULTILINE)
#: The scale's sign tells the order of the bytes; what else it says is ignored by all.
_PFM = re.compile(rb"P([Ff])\s+(\d{1,9})\s+(\d{1,9})\s+([-+]?)[0-9.eE+-]{1,30}\s")
_MAX_SAMPLE = 65_535
_BYTE = 255
_RGB = 3
#: libvips' names of so many samples, of 8 bits and of 16.
_NAMES = {1: ("b-w", "grey16"), 2: ("b-w", "grey16"), 3: ("srgb", "rgb16"), 4: ("srgb", "rgb16")}


class _Header(NamedTuple):
    bands: int
    width_px: int
    height_px: int
    kind: str
    """Of the samples, as numpy names it."""
    largest: int
    """The sample that means full light; 0 for linear light, of which 1 is white."""
    data_at: int


class NetpbmPicture(Opened):
    """A binary PNM, PAM or PFM whose header has been read."""

    loader = "numpy"

    def __init__(self, request: Request, header: _Header) -> None:
        self._request = request
        self._header = header
        self.width_px = header.width_px
        self.height_px = header.height_px

    def decode(self, box_px: int) -> Pixels:
        """See `base.Opened`."""
        bands, width_px, height_px, name, largest, data_at = self._header
        kind = np.dtype(name)
        row_bytes = width_px * bands * kind.itemsize
        self._request.reserve(row_bytes * height_px * (2 if largest else 4))
        data = self._request.source.first(data_at + row_bytes * height_px)
        there = min(height_px, max(0, len(data) - data_at) // row_bytes)
        if there < height_px * ENOUGH_ROWS:
            raise TruncatedPicture(f"{there / height_px:.0%} of the rows are present")
        samples = np.frombuffer(data, kind, there * width_px * bands, data_at)
        if not largest:
            # The first row is the lowest.
            image = light_of(samples.reshape(there, width_px, bands)[::-1])
            return averaged(image.embed(0, height_px - there, width_px, height_px), box_px)
        image = image_of(
            _full(samples, largest).reshape(there, width_px, bands), _NAMES[bands][largest > _BYTE]
        )
        if there < height_px:
            image = image.embed(0, 0, width_px, height_px)
        return averaged(image, box_px)


def open_picture(request: Request) -> Opened:
    """Read the header. Raises Fault when it makes no sense."""
    header = _read(request.source.head)
    if header is None:
        return pillow.open_picture(request)
    if not (header.width_px and header.height_px and 0 <= header.largest <= _MAX_SAMPLE):
        raise InvalidPicture("its PNM header is damaged")
    return NetpbmPicture(request, header)


def _read(head: bytes) -> _Header | None:
    """Read a header; None for one that is Pillow's.

    Raises:
        InvalidPicture: it makes no sense.
        Unsupported: it has more samples a pixel than colours and an alpha.
    """
    if found := _HEADER.match(head):
        width_px, height_px, largest = (int(found[index]) for index in (2, 3, 4))
        bands = _RGB if found[1] == b"6" else 1
        return _Header(bands, width_px, height_px, _kind(largest), largest or -1, found.end())
    if found := _PFM.match(head):
        kind = "<f4" if found[4] == b"-" else ">f4"
        bands = _RGB if found[1] == b"F" else 1
        return _Header(bands, int(found[2]), int(found[3]), kind, 0, found.end())
    end = head.find(_PAM_END)
    if not head.startswith(b"P7\n") or end < 0:
        return None
    told = {line[1]: int(line[2]) for line in _PAM_LINE.finditer(head, 0, end)}
    try:
        width_px, height_px, bands, largest = (
            told[name] for name in (b"WIDTH", b"HEIGHT", b"DEPTH", b"MAXVAL")
        )
    except KeyError:
        raise InvalidPicture("its PAM header is damaged") from None
    if bands not in _NAMES:
        raise Unsupported(f"PAM with {bands} samples a pixel is not supported")
    data_at = end + len(_PAM_END)
    return _Header(bands, width_px, height_px, _kind(largest), largest or -1, data_at)


def _kind(largest: int) -> str:
    return ">u2" if largest > _BYTE else "u1"


def _full(samples: NDArray[np.unsignedinteger], largest: int) -> NDArray[np.unsignedinteger]:
    """Stretch samples to the whole range of 8 or 16 bits."""
    whole = _BYTE if largest <= _BYTE else _MAX_SAMPLE
    if largest == whole:
        return samples.astype(samples.dtype.newbyteorder("="))
    stretched = np.minimum(samples.astype(np.uint32), largest) * whole // largest
    return stretched.astype(np.uint8 if whole == _BYTE else np.uint16)
