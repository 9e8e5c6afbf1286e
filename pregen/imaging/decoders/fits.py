"""FITS, the pictures of astronomers, by numpy: the first one in a file.

What their numbers mean is known to who took them, so they are stretched: the darkest is black and
the brightest white, but for a few that are beside all others. Numbers of 8 bits stay as they are.
Reference: FITS Standard 4.0 (header 3.3 and 4.1, data 3.3.2, scaling 4.4.2.5).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from pregen.imaging.decoders.base import Opened, Request
from pregen.imaging.faults import (
    ENOUGH_ROWS,
    InvalidPicture,
    NotPicture,
    TruncatedPicture,
    Unsupported,
)
from pregen.imaging.pixels.resample import averaged, image_of
from pregen.imaging.source_bytes import DamagedError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pregen.imaging.pixels.resample import Pixels
    from pregen.imaging.source_bytes import SourceBytes

_BLOCK_BYTES: Final = 2880
_CARD_BYTES: Final = 80
#: Cameras write one block, pipelines a few dozen.
_MOST_BLOCKS: Final = 100
#: The first part may hold nothing but a header.
_MOST_PARTS: Final = 16
_TYPES: Final = {"8": "u1", "16": ">i2", "32": ">i4", "64": ">i8", "-32": ">f4", "-64": ">f8"}
_MOST_AXES: Final = 3
_RGB: Final = 3
#: Percentiles that become black and white: beyond are dead pixels and stars.
_DARK: Final = 0.25
_BRIGHT: Final = 99.75
#: So many numbers tell the percentiles of all.
_PROBES: Final = 1 << 18


class FitsPicture(Opened):
    """A FITS whose header has been read."""

    loader = "numpy"

    def __init__(self, request: Request, header: dict[str, str], data_at: int) -> None:
        self._request = request
        self._header = header
        self._data_at = data_at
        self.width_px = _number(header, "NAXIS1")
        self.height_px = _number(header, "NAXIS2")

    def decode(self, box_px: int) -> Pixels:
        """See `base.Opened`."""
        header = self._header
        kind = np.dtype(_TYPES[header["BITPIX"]])
        three = _number(header, "NAXIS") == _MOST_AXES and _number(header, "NAXIS3") == _RGB
        planes = _RGB if three else 1
        row_bytes = self.width_px * kind.itemsize
        self._request.reserve(self.width_px * self.height_px * (kind.itemsize + 1) * planes)
        found = [self._plane(index, kind, row_bytes) for index in range(planes)]
        if kind.itemsize > 1 or "BSCALE" in header or "BZERO" in header:
            found = self._stretched(found)
        samples = np.stack(found, axis=-1)
        # The first row is the lowest.
        return averaged(image_of(samples[::-1], "srgb" if planes == _RGB else "b-w"), box_px)

    def _plane(self, index: int, kind: np.dtype[Any], row_bytes: int) -> NDArray[Any]:
        """Read one colour. Raises TruncatedPicture when less than `ENOUGH_ROWS` of it is there."""
        at = self._data_at + index * row_bytes * self.height_px
        data = self._request.source.read_at(at, row_bytes * self.height_px)
        there = len(data) // row_bytes
        if there < self.height_px * ENOUGH_ROWS:
            raise TruncatedPicture(f"{there / self.height_px:.0%} of the rows are present")
        rows = np.frombuffer(data, kind, there * self.width_px).reshape(there, self.width_px)
        if there < self.height_px:
            rows = np.concatenate([rows, np.repeat(rows[-1:], self.height_px - there, axis=0)])
        return rows

    @np.errstate(all="ignore")  # numbers of any size, and NaNs that signal when they are converted
    def _stretched(self, planes: list[NDArray[Any]]) -> list[NDArray[Any]]:
        """Bring numbers of any range to 8 bits; what is no number is black."""
        step = max(1, self.width_px * self.height_px * len(planes) // _PROBES)
        probes = np.concatenate([plane.ravel()[::step] for plane in planes]).astype(np.float64)
        probes = probes[np.isfinite(probes)]
        blank = self._header.get("BLANK", "")
        if blank.lstrip("+-").isdigit():
            probes = probes[probes != int(blank)]
        if not len(probes):
            raise InvalidPicture("it holds no numbers")
        dark, bright = np.percentile(probes, (_DARK, _BRIGHT))
        if not dark < bright:
            dark, bright = probes.min(), probes.max()
        span = bright - dark or 1.0
        negative = self._header.get("BSCALE", "").startswith("-")
        found = []
        for plane in planes:
            share = np.clip((plane.astype(np.float32) - np.float32(dark)) / span, 0, 1)
            share = np.nan_to_num(1 - share if negative else share)
            found.append(np.asarray(share * 255 + 0.5, np.uint8))
        return found


def open_picture(request: Request) -> FitsPicture:
    """Read the headers up to that of the first picture.

    Raises:
        NotPicture: it holds tables, or one-dimensional data.
        Fault: it makes no sense.
    """
    at = 0
    for _ in range(_MOST_PARTS):
        try:
            header, data_at = _header(request.source, at)
        except DamagedError as error:
            if at:
                break  # the end, or what follows it (FITS Standard 4.0, 3.5)
            raise InvalidPicture(f"its FITS header is damaged ({error})") from error
        if header.get("ZIMAGE") == "T":
            raise Unsupported("compressed FITS is not supported")
        if header.get("XTENSION", "IMAGE") == "IMAGE" and _number(header, "NAXIS") > 1:
            if header.get("BITPIX") not in _TYPES:
                raise InvalidPicture("its FITS header is damaged")
            picture = FitsPicture(request, header, data_at)
            if picture.width_px and picture.height_px:
                return picture
        at = data_at + _data_bytes(header)
    raise NotPicture("it contains tables or spectra, but no pictures")


def _header(source: SourceBytes, at: int) -> tuple[dict[str, str], int]:
    """Return the cards of a header, and where its data begin."""
    cards: dict[str, str] = {}
    for _ in range(_MOST_BLOCKS):
        block = source.piece(at, _BLOCK_BYTES).decode("latin-1")
        at += _BLOCK_BYTES
        for card in (block[n : n + _CARD_BYTES] for n in range(0, _BLOCK_BYTES, _CARD_BYTES)):
            if card.rstrip() == "END":
                return cards, at
            if card[8:10] == "= ":
                # Behind a slash is a comment; text stands in quotes.
                value = card[10:].partition("/")[0].strip()
                cards.setdefault(card[:8].rstrip(), value.strip("' "))
    raise DamagedError("it has no end")


def _number(header: dict[str, str], key: str) -> int:
    """Return a count; 0 where there is none, or nothing that could be one."""
    value = header.get(key, "")
    return int(value) if value.isascii() and value.isdigit() and len(value) < 10 else 0  # noqa: PLR2004 - more is a lie


def _data_bytes(header: dict[str, str]) -> int:
    """How much lies behind a header, in whole blocks (FITS Standard 4.0, 7.1)."""
    axes = [_number(header, f"NAXIS{n + 1}") for n in range(min(_number(header, "NAXIS"), 9))]
    count = 1 if axes else 0
    for axis in axes:
        count *= axis
    size = abs(_signed(header.get("BITPIX", ""))) // 8
    size *= max(1, _number(header, "GCOUNT")) * (_number(header, "PCOUNT") + count)
    return -(-size // _BLOCK_BYTES) * _BLOCK_BYTES


def _signed(value: str) -> int:
    return int(value) if value in _TYPES else 0
