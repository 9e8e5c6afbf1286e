"""PCX of PC Paintbrush (ZSoft, Technical Reference Manual): every number of planes and bits.

Pillow reads the usual ones. It takes the colours of an 8-bit picture from the end of any file, and
knows neither 2 nor 4 bits in one plane.
"""

from __future__ import annotations

import re
import struct
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np
from PIL import Image

from pregen.imaging.decoders.base import Opened, Request
from pregen.imaging.faults import ENOUGH_ROWS, InvalidPicture, TruncatedPicture, Unsupported
from pregen.imaging.pixels.resample import averaged, image_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pregen.imaging.pixels.resample import Pixels
    from pregen.imaging.source_bytes import SourceBytes

#: Version, encoding, bits of a plane, the corners; the palette; planes, bytes of a plane's row,
#: what the palette is.
_HEADER: Final = struct.Struct("<xBBB4H4x48sxBHH")
_HEADER_BYTES: Final = 128
_GREYS: Final = 2
#: (bits, planes) with a palette of 2 to 16 colours in the header.
_FEW_COLOURS: Final = frozenset({(1, 1), (1, 2), (1, 3), (1, 4), (2, 1), (4, 1)})
#: (bits, planes) of bytes: a palette at the end of the file or grey, RGB, RGB and alpha.
_BYTES: Final = frozenset({(8, 1), (8, 3), (8, 4)})
_PALETTE_MARK: Final = b"\x0c"
_PALETTE_BYTES: Final = 768
_RUN: Final = re.compile(rb"([\xc0-\xff])(.)", re.DOTALL)
_COUNT_MASK: Final = 0x3F
_RUN_MARK: Final = 0xC0
#: So much is expanded at once, to 31 times as much at most.
_STEP_BYTES: Final = 64 * 1024
#: What EGA and CGA show of their colours 0 to 15.
_EGA: Final = np.array(
    [
        (0, 0, 0), (0, 0, 170), (0, 170, 0), (0, 170, 170), (170, 0, 0), (170, 0, 170),
        (170, 85, 0), (170, 170, 170), (85, 85, 85), (85, 85, 255), (85, 255, 85), (85, 255, 255),
        (255, 85, 85), (255, 85, 255), (255, 255, 85), (255, 255, 255),
    ],
    np.uint8,
)  # fmt: skip
#: CGA's colours 1 to 3, by palette; brighter by 8.
_CGA: Final = ((2, 4, 6), (3, 5, 7))


class _PcxHeader(NamedTuple):
    packed: bool
    bits: int
    width_px: int
    height_px: int
    palette: bytes
    planes: int
    row_bytes: int
    """Of one plane."""
    grey: bool


class PcxPicture(Opened):
    """A PCX whose header has been read."""

    loader = "numpy"

    def __init__(self, request: Request, header: _PcxHeader) -> None:
        self._request = request
        self._header = header
        self.width_px = header.width_px
        self.height_px = header.height_px

    def decode(self, box_px: int) -> Pixels:
        """See `base.Opened`."""
        header, source = self._header, self._request.source
        self._request.check_size("a PCX")
        self._request.reserve(header.width_px * header.height_px * (header.planes + 5))
        samples = rows(source.whole()[_HEADER_BYTES:], header)
        there = len(samples)
        if there < header.height_px * ENOUGH_ROWS:
            raise TruncatedPicture(f"{there / header.height_px:.0%} of the rows are present")
        planes = samples.reshape(there, header.planes, header.row_bytes)
        if (header.bits, header.planes) in _BYTES:
            shown = np.moveaxis(planes[..., : header.width_px], 1, -1)
            if header.planes == 1 and (table := _last_palette(source, header)) is not None:
                shown = table[shown[..., 0]]
        else:
            shown = _table(header)[_indices(planes, header)]
        image = image_of(shown, "b-w" if shown.shape[2] == 1 else "srgb")
        if there < header.height_px:
            image = image.embed(0, 0, header.width_px, header.height_px)
        return averaged(image, box_px)


def open_picture(request: Request) -> PcxPicture:
    """Read the header. Raises Fault when it makes no sense."""
    return PcxPicture(request, read(request.source.head))


def read(head: bytes) -> _PcxHeader:
    """Read a header.

    Raises:
        InvalidPicture: it makes no sense.
        Unsupported: its planes and bits are of a kind that no program writes.
        TruncatedPicture: the file ends within it.
    """
    if len(head) < _HEADER_BYTES:
        raise TruncatedPicture
    _, packing, bits, left, top, right, bottom, palette, planes, row_bytes, kind = (
        _HEADER.unpack_from(head)
    )
    if right < left or bottom < top or packing > 1 or not planes:
        raise InvalidPicture("its PCX header is damaged")
    if (bits, planes) not in _FEW_COLOURS | _BYTES:
        raise Unsupported(f"PCX of {planes} planes of {bits} bits is not supported")
    width_px = right - left + 1
    least = (width_px * bits + 7) // 8
    if row_bytes < least:
        row_bytes = least + least % 2
    return _PcxHeader(
        bool(packing), bits, width_px, bottom - top + 1, palette, planes, row_bytes,
        kind == _GREYS,
    )  # fmt: skip


def rows(data: bytes, header: _PcxHeader) -> NDArray[np.uint8]:
    """Return the rows that are there, of all planes one behind the other, in bytes."""
    each = header.planes * header.row_bytes
    size = each * header.height_px
    if not header.packed:
        flat = data[:size]
    elif (quick := _by_pillow(data, each, header.height_px)) is not None:
        return quick
    else:
        flat = unpacked(data, size)
    there = len(flat) // each
    return np.frombuffer(flat, np.uint8, there * each).reshape(there, each)


def _by_pillow(data: bytes, each: int, height_px: int) -> NDArray[np.uint8] | None:
    """Let Pillow undo the runs, which takes whole files whose runs end with their rows."""
    # It would make place for all of it at once.
    if each * height_px > _COUNT_MASK * len(data):
        return None
    try:
        return np.asarray(Image.frombytes("L", (each, height_px), data, "pcx", "L", each))
    except ValueError:
        return None


def unpacked(data: bytes, size: int) -> bytes:
    """Undo runs, up to a size: a byte with two high bits says how often the next one comes."""
    out = bytearray()
    at = 0
    while at < len(data) and len(out) < size:
        end = at + _STEP_BYTES
        # A run must not be torn: of the marks before the end every second one may be a value.
        marks = end
        while marks > at and marks <= len(data) and data[marks - 1] >= _RUN_MARK:
            marks -= 1
        end += (end - marks) % 2
        out += _RUN.sub(lambda run: run[2] * (run[1][0] & _COUNT_MASK), data[at:end])
        at = end
    return bytes(out[:size])


def _indices(planes: NDArray[np.uint8], header: _PcxHeader) -> NDArray[np.uint8]:
    """Return the number of each pixel's colour, rows x columns."""
    bits = header.bits
    shifts = np.arange(8 - bits, -1, -bits, dtype=np.uint8)
    parts = planes[..., np.newaxis] >> shifts & np.uint8((1 << bits) - 1)
    parts = parts.reshape(*planes.shape[:2], -1)[..., : header.width_px]
    found = np.zeros((len(planes), header.width_px), np.uint8)
    for plane in range(header.planes):
        found |= parts[:, plane] << np.uint8(plane)
    return found


def _table(header: _PcxHeader) -> NDArray[np.uint8]:
    """Return the colours of a picture that has at most 16."""
    if (header.bits, header.planes) == (1, 1):
        return np.array([(0, 0, 0), (255, 255, 255)], np.uint8)
    told = header.palette
    if header.bits * header.planes == 2 and not any(told[1:3] + told[4:]):  # noqa: PLR2004 - CGA has 4
        # Nothing but what a CGA is told: its background and one of its palettes.
        bright = 8 if told[3] & 0x20 else 0
        chosen = [told[0] >> 4, *(number + bright for number in _CGA[told[3] >> 6 & 1])]
        return _EGA[chosen]
    if not any(told):
        return _EGA
    return np.frombuffer(told, np.uint8).reshape(-1, 3)


def _last_palette(source: SourceBytes, header: _PcxHeader) -> NDArray[np.uint8] | None:
    """Return the 256 colours at the end of a file; None for one of greys."""
    data = source.read_at(source.size_bytes - _PALETTE_BYTES - 1, _PALETTE_BYTES + 1)
    if header.grey or not data.startswith(_PALETTE_MARK) or len(data) <= _PALETTE_BYTES:
        return None
    return np.frombuffer(data, np.uint8, offset=1).reshape(-1, 3)
