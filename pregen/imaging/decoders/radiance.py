"""Radiance HDR (RGBE) by numpy: libvips' wheel has no reader for it.

The samples are linear light, in which 1 is white; what is brighter is white. Reference: Greg Ward,
"Real Pixels" (Graphics Gems II), and Radiance's `src/common/color.c`.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from pregen.imaging.decoders.base import Opened, Request
from pregen.imaging.faults import ENOUGH_ROWS, InvalidPicture, TruncatedPicture, Unsupported
from pregen.imaging.pixels.resample import averaged, light_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pregen.imaging.pixels.resample import Pixels

#: The lines of the header end with an empty one; the next has the size, the slower axis first.
_SIZE: Final = re.compile(rb"\n\n([+-])([XY]) (\d{1,9}) ([+-])([XY]) (\d{1,9})\n")
#: Rows of other widths are never run-length encoded.
_RUN_WIDTHS: Final = range(8, 0x8000)
_RGBE: Final = 4
_ROW_HEAD_BYTES: Final = 4
#: A count above this is that of a run.
_RUN: Final = 128
_LONGEST_RUN: Final = 127
#: What an exponent is stored with, and the eight bits of a mantissa.
_BIAS: Final = 128 + 8
#: EXIF orientations by (rows run up, columns run left).
_ORIENTATIONS: Final = {
    (False, False): 1, (False, True): 2, (True, True): 3, (True, False): 4,
}  # fmt: skip


class _RadianceHeader(NamedTuple):
    width_px: int
    height_px: int
    orientation: int
    data_at: int


class RadiancePicture(Opened):
    """A Radiance picture whose header has been read."""

    loader = "numpy"

    def __init__(self, request: Request, header: _RadianceHeader) -> None:
        self._request = request
        self._data_at = header.data_at
        self.width_px, self.height_px, self.orientation, _ = header

    def decode(self, box_px: int) -> Pixels:
        """See `base.Opened`."""
        request = self._request
        request.check_size("a Radiance picture")
        if self.width_px in _RUN_WIDTHS:
            # Runs make a row no smaller than this, so a small file cannot ask for much memory.
            least = _ROW_HEAD_BYTES + 2 * _RGBE * -(-self.width_px // _LONGEST_RUN)
            if request.source.size_bytes < self.height_px * ENOUGH_ROWS * least:
                raise TruncatedPicture
        request.reserve(self.width_px * self.height_px * 16 + request.source.size_bytes)
        samples, there = self._samples(request.source.whole())
        if there < self.height_px * ENOUGH_ROWS:
            raise TruncatedPicture(
                f"the file ends early or is damaged: {there / self.height_px:.0%} of the rows"
                " are present"
            )
        light = samples[..., :3].astype(np.float32)
        light *= np.exp2(samples[..., 3:].astype(np.float32) - _BIAS)
        return averaged(light_of(light), box_px)

    def _samples(self, data: bytes) -> tuple[NDArray[np.uint8], int]:
        """Return rows x columns x 4 bytes, and how many of the rows are present."""
        samples = np.zeros((self.height_px, self.width_px, _RGBE), np.uint8)
        head = bytes((2, 2)) + self.width_px.to_bytes(4, "big")[2:]
        at = self._data_at
        if self.width_px not in _RUN_WIDTHS or not data.startswith(head, at):
            row_bytes = self.width_px * _RGBE
            there = min(self.height_px, (len(data) - at) // row_bytes)
            flat = np.frombuffer(data, np.uint8, there * row_bytes, at)
            samples[:there] = flat.reshape(there, self.width_px, _RGBE)
            if (samples[:there, :, :3] == 1).all(axis=2).any():
                # No colour: the largest part of one is 128 at least.
                raise Unsupported(
                    "Radiance pictures in the run-length coding of before 1991 are not supported"
                )
            return samples, there
        for row in range(self.height_px):
            line = bytearray()
            if data.startswith(head, at):
                at = _unpack(data, at + _ROW_HEAD_BYTES, line, self.width_px * _RGBE)
            if len(line) != self.width_px * _RGBE:
                return samples, row
            samples[row] = np.frombuffer(line, np.uint8).reshape(_RGBE, self.width_px).T
        return samples, self.height_px


def open_picture(request: Request) -> RadiancePicture:
    """Read the header. Raises Fault when it makes no sense."""
    head = request.source.head
    found = _SIZE.search(head)
    if found is None:
        raise InvalidPicture("its Radiance header is damaged")
    if b"FORMAT=32-bit_rle_xyze" in head[: found.start()]:
        raise Unsupported("Radiance pictures in XYZ are not supported")
    first, axis, height_px, second, other, width_px = found.groups()
    if (axis, other) != (b"Y", b"X"):
        raise Unsupported("Radiance pictures stored by columns are not supported")
    if not (int(width_px) and int(height_px)):
        raise InvalidPicture("the header says it has no pixels")
    orientation = _ORIENTATIONS[first == b"+", second == b"-"]
    header = _RadianceHeader(int(width_px), int(height_px), orientation, found.end())
    return RadiancePicture(request, header)


def _unpack(data: bytes, at: int, line: bytearray, wanted: int) -> int:
    """Append a run-length encoded row to `line`, all reds first; return where it ends."""
    while len(line) < wanted and at + 1 < len(data):
        count = data[at]
        if count > _RUN:
            line += data[at + 1 : at + 2] * (count - _RUN)
            at += 2
        elif count:
            line += data[at + 1 : at + 1 + count]
            at += 1 + count
        else:
            break
    return at
