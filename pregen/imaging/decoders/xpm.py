"""XPM by numpy: Pillow knows no names of colours, and reads pixel by pixel.

An XPM is the text of a C program: quoted lines, of which the first has the numbers, the next a
colour each, and the last a row of pixels each. Reference: Arnaud Le Hors, "XPM Manual" (1996).
"""

from __future__ import annotations

import re
import string
from typing import TYPE_CHECKING, Final

import numpy as np
from PIL import ImageColor

from pregen.imaging.decoders.base import Opened, Request
from pregen.imaging.faults import ENOUGH_ROWS, InvalidPicture, TruncatedPicture, Unsupported
from pregen.imaging.pixels.resample import averaged, image_of
from pregen.imaging.source_bytes import WHOLE_FILE_BYTES

if TYPE_CHECKING:
    from pregen.imaging.pixels.resample import Pixels

_LINE: Final = re.compile(rb'"([^"\n]*)"')
_NUMBERS: Final = re.compile(rb'"\s*(\d{1,9})\s+(\d{1,9})\s+(\d{1,9})\s+(\d)\b[^"\n]*"')
#: Characters of a pixel; two are enough for 8,000 colours.
_MOST_CHARACTERS: Final = 4
#: What a colour is on a screen of colours, of greys, of few greys, of two; the best first.
_VISUALS: Final = (b"c", b"g", b"g4", b"m")
_KEYS: Final = frozenset((*_VISUALS, b"s"))
_GREY: Final = re.compile(r"gr[ae]y(\d{1,3})")
_SHADE: Final = re.compile(r"([a-z]+)([1-4])")
#: How bright X11's numbered shades are.
_SHADES: Final = {"1": 1.0, "2": 0.932, "3": 0.804, "4": 0.548}
#: Names that mean another colour in X11 than on web pages.
_X11: Final = {
    "gray": (190, 190, 190), "grey": (190, 190, 190), "green": (0, 255, 0),
    "maroon": (176, 48, 96), "purple": (160, 32, 240),
}  # fmt: skip
_NOTHING: Final = (0, 0, 0, 0)


class XpmPicture(Opened):
    """An XPM whose first line has been read."""

    loader = "numpy"

    def __init__(self, request: Request, numbers: re.Match[bytes]) -> None:
        self._request = request
        self._begin = numbers.end()
        self.width_px, self.height_px, self._colours, self._characters = map(int, numbers.groups())
        if not (self.width_px and self.height_px):
            raise InvalidPicture("the header says it has no pixels")
        if not 0 < self._characters <= _MOST_CHARACTERS:
            raise Unsupported(f"XPM with {self._characters} characters a pixel is not supported")

    def decode(self, box_px: int) -> Pixels:
        """See `base.Opened`."""
        request, wide = self._request, self._characters
        request.check_size("an XPM", WHOLE_FILE_BYTES)
        # A pixel is told by `wide` characters, found as a number of 4 bytes, and shown by 4.
        request.reserve(self.width_px * self.height_px * (wide + 16))
        lines = _LINE.finditer(request.source.whole(), self._begin)
        table: dict[int, tuple[int, ...]] = {}
        for _ in range(self._colours):
            line = next(lines, None)
            if line is None:
                raise TruncatedPicture
            table[_code(line[1][:wide])] = _colour(line[1][wide:])
        row_bytes = self.width_px * wide
        rows: list[bytes] = []
        for line in lines:
            if len(line[1]) < row_bytes or len(rows) == self.height_px:
                break
            rows.append(line[1][:row_bytes])
        if len(rows) < self.height_px * ENOUGH_ROWS:
            share = len(rows) / self.height_px
            raise TruncatedPicture(f"{share:.0%} of the rows are present")
        rows += rows[-1:] * (self.height_px - len(rows))
        keys = np.frombuffer(b"".join(rows), np.uint8).reshape(self.height_px, -1, wide)
        codes = np.zeros(keys.shape[:2], np.uint32)
        for place in range(wide):
            codes = (codes << np.uint32(8)) | keys[..., place]
        known = np.array(sorted(table), np.uint32)
        places = np.minimum(np.searchsorted(known, codes), len(known) - 1)
        if not len(known) or (known[places] != codes).any():
            raise InvalidPicture("it has pixels of a colour that is not in its table")
        samples = np.array([table[code] for code in known.tolist()], np.uint8)[places]
        if (samples[..., 3] == 255).all():  # noqa: PLR2004 - opaque
            samples = samples[..., :3]
        return averaged(image_of(samples, "srgb"), box_px)


def open_picture(request: Request) -> XpmPicture:
    """Read the numbers. Raises Fault when they make no sense."""
    numbers = _NUMBERS.search(request.source.head)
    if numbers is None:
        raise InvalidPicture("its XPM header is damaged")
    return XpmPicture(request, numbers)


def _code(key: bytes) -> int:
    return int.from_bytes(key, "big")


def _colour(told: bytes) -> tuple[int, ...]:
    """Return red, green, blue and alpha of a line such as `c #ffcc00 m white s sun`.

    Raises:
        Unsupported: an unknown name.
        InvalidPicture: it names no colour.
    """
    found: dict[bytes, list[str]] = {}
    key = b""
    for word in told.split():
        if word in _KEYS and word not in found:
            key = word
            found[key] = []
        elif key:
            found[key].append(word.decode("latin-1").lower())
    for visual in _VISUALS:
        if found.get(visual):
            return _by_name("".join(found[visual]))
    raise InvalidPicture("its table of colours is damaged")


def _by_name(name: str) -> tuple[int, ...]:
    if name == "none":
        return _NOTHING
    digits = name.removeprefix("#")
    if name.startswith("#") and digits and len(digits) % 3 == 0:
        step = len(digits) // 3
        if not set(digits) <= set(string.hexdigits):  # int() also takes signs
            raise InvalidPicture("its table of colours is damaged")
        parts = [int(digits[at : at + step], 16) for at in range(0, len(digits), step)]
        return (*(part * 255 // (16**step - 1) for part in parts), 255)
    if (grey := _GREY.fullmatch(name)) and int(grey[1]) <= 100:  # noqa: PLR2004 - percent
        return (*[int(int(grey[1]) * 2.55 + 0.5)] * 3, 255)
    shade = _SHADE.fullmatch(name)
    base, scale = (shade[1], _SHADES[shade[2]]) if shade else (name, 1.0)
    rgb = _X11.get(base)
    if rgb is None:
        if base not in ImageColor.colormap:
            raise Unsupported(f"it names an unknown colour: {name[:40]}")
        # By its name: what the table holds becomes a tuple when it was asked for once.
        rgb = ImageColor.getrgb(base)[:3]
    return (*(int(part * scale + 0.5) for part in rgb), 255)
