"""How much of a GIF's first picture stands before the place where its codes go wrong.

libnsgif decodes damaged codes without a word: each stands for some string of pixels. It is their
lengths that tell. The strings of a sound picture have its pixels exactly, and a code never names a
string that is not yet there. Lengths need no pixels: the width of a code and the string it names
follow from its place behind the last clear code, so that numpy reads thousands at once.

Reference: GIF89a, appendix F; libnsgif's `lzw.c` for tables that stay full.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from pregen.imaging.containers import gif
from pregen.imaging.faults import ENOUGH_ROWS, InvalidPicture

if TYPE_CHECKING:
    from numpy.typing import NDArray

_MOST_CODES: Final = 4096
_MOST_BITS: Final = 12
#: Pixels of a byte's bits: GIF89a, 22.
_ROOT_BITS: Final = range(2, 9)
#: Codes of 243 sound GIFs have exactly their pixels. A writer that ends one early or late would
#: cost nothing that is seen; and damage that makes as few more or less is rare.
_SLACK_PIXELS: Final = 2
#: What takes longer than a decode is not looked at: more bytes of one picture, more clear codes.
_MOST_BYTES: Final = 16 * 1024 * 1024
_MOST_CLEARS: Final = 20_000


class _Codes(NamedTuple):
    """The codes of one picture, and how they are to be read."""

    packed: NDArray[np.uint8]
    """Followed by three zeros."""
    bits: int
    clear: int
    """Codes below it stand for a pixel, the next one is the end."""

    @property
    def first(self) -> int:
        """The first code that stands for a string."""
        return self.clear + 2

    def read(self, at: int, widths: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the codes of these widths from a bit on, as many as are there."""
        ends = at + np.cumsum(widths)
        count = int(np.searchsorted(ends, self.bits, side="right"))
        begins = ends[:count] - widths[:count]
        byte = begins >> 3
        window = (
            self.packed[byte].astype(np.int64)
            | self.packed[byte + 1].astype(np.int64) << 8
            | self.packed[byte + 2].astype(np.int64) << 16
        )
        codes: NDArray[np.int64] = (window >> (begins & 7)) & ((1 << widths[:count]) - 1)
        return codes


def check(data: bytes) -> None:
    """Raise InvalidPicture where less than `ENOUGH_ROWS` of a GIF's first picture is sound."""
    if share_sound(data) < ENOUGH_ROWS:
        raise InvalidPicture("its data is damaged, and a part of the picture would be wrong")


def share_sound(data: bytes) -> float:
    """Return the share of pixels before damage, 0 to 1; 1 for what is not looked at.

    Args:
        data: a whole GIF.
    """
    at = gif.first_picture_at(data)
    if at is None or at + gif.DESCRIPTOR_BYTES >= len(data):
        return 1.0
    place = gif.first_place(data)
    codes_at = at + gif.DESCRIPTOR_BYTES + gif.table_bytes(data[at + 9])
    if place is None or codes_at >= len(data) or data[codes_at] not in _ROOT_BITS:
        return 1.0
    pixels = place.width_px * place.height_px
    packed = _joined(data, codes_at + 1)
    if not pixels or len(packed) > _MOST_BYTES:
        return 1.0
    padded = np.frombuffer(packed + bytes(3), np.uint8)
    told, sound = _pixels_told(_Codes(padded, len(packed) * 8, 1 << data[codes_at]), pixels)
    if told is None or (sound and abs(told - pixels) <= _SLACK_PIXELS):
        return 1.0
    share = 0.0 if sound else min(1.0, told / pixels)
    # Every second row of an interlaced picture comes in its second half (appendix E).
    return max(0.0, 2 * share - 1) if data[at + 9] & gif.INTERLACED else share


def _joined(data: bytes, at: int) -> bytes:
    """Return the bytes of the sub-blocks from here on (GIF89a, 15)."""
    parts = []
    while at < len(data) and data[at]:
        parts.append(data[at + 1 : at + 1 + data[at]])
        at += 1 + data[at]
    return b"".join(parts)


def _pixels_told(codes: _Codes, pixels: int) -> tuple[int | None, bool]:
    """Return for how many pixels there are codes, and whether all of these can be.

    Where one cannot be, the pixels are those before the last clear code in front of it. None: there
    are too many clear codes to look at.
    """
    numbers = codes.first + np.maximum(np.arange(_MOST_CODES - codes.first + 1) - 1, 0)
    growing = np.minimum(np.ceil(np.log2(numbers + 1)).astype(np.int64), _MOST_BITS)
    full = np.full(_MOST_CODES, _MOST_BITS, np.int64)
    at = told = 0
    for _ in range(_MOST_CLEARS):
        before = told
        lengths = np.ones(0, np.int64)
        widths = growing
        while True:
            read = codes.read(at, widths)
            stops = np.flatnonzero((read == codes.clear) | (read == codes.clear + 1))
            count = int(stops[0]) if len(stops) else len(read)
            if widths is growing:
                found = _lengths(read[:count], codes)
                lengths = np.ones(_MOST_CODES, np.int64)
                if found is not None:
                    made = min(len(found), _MOST_CODES - codes.first)
                    lengths[codes.first : codes.first + made] = found[:made] + 1
            else:
                found = lengths[read[:count]]
            if found is None:
                return before, False
            told += int(found.sum())
            if told > pixels + _SLACK_PIXELS:
                return told, True
            at += int(widths[: min(count + 1, len(read))].sum())
            if len(stops) or len(read) < len(widths):
                break
            widths = full
        if not len(stops):
            return told, abs(told - pixels) <= _SLACK_PIXELS
        if read[count] != codes.clear:
            # An end with codes behind it is none that the writer wrote.
            early = told < pixels - _SLACK_PIXELS and codes.bits - at > 2 * _MOST_BITS
            return (before, False) if early else (told, True)
    return None, True


def _lengths(read: NDArray[np.int64], codes: _Codes) -> NDArray[np.int64] | None:
    """Return the pixels each code behind a clear code stands for; None: one cannot be.

    A string is the one of the code before, and a pixel. The string that code number n names is thus
    the one of an earlier number and one longer.
    """
    count = len(read)
    parents = read - codes.first
    if ((parents >= np.arange(count)) & (read >= codes.first)).any():
        return None
    # One more, which stands for no pixel and is its own parent.
    parents = np.append(np.where(read >= codes.first, parents, count), count)
    lengths = np.append(np.ones(count, np.int64), 0)
    while (parents < count).any():
        lengths = lengths + lengths[parents]
        parents = parents[parents]
    return lengths[:count]
