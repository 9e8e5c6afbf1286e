"""Tells profiles that are sRGB in other words. It needs no picture library: most photos do not.

By effect, not by name: there are dozens of sRGB profiles, and profiles called sRGB that are not.
Those of cameras, phones and programs for photos say by a matrix and three curves what light a pixel
stands for (ICC.1:2022, 8.3.3 and F.3). Where that is what sRGB says, nothing has to be done. What
is built in another way, unusual or damaged is for a transform.
"""

from __future__ import annotations

import functools
import operator
import struct
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

#: A transform that moves no colour by more than this many levels is not worth running.
_SAME_LEVELS: Final = 1
#: Every fifth level, 0 and 255 among them.
_LEVELS: Final = tuple(level / 255 for level in range(0, 256, 5))
#: XYZ under D50 -> linear sRGB: the inverse of the colorants that IEC 61966-2-1 has in a profile,
#: 0.4361 0.3851 0.1431, 0.2225 0.7169 0.0606, 0.0139 0.0971 0.7141.
_TO_SRGB: Final = (
    (3.13414, -1.61739, -0.49066),
    (-0.97880, 1.91628, 0.03346),
    (0.07195, -0.22898, 1.40539),
)
_COLORANTS: Final = (b"rXYZ", b"gXYZ", b"bXYZ")
_CURVES: Final = (b"rTRC", b"gTRC", b"bTRC")
#: Tables that go before matrix and curves where there are any (ICC.1:2022, 8.10).
_TABLES: Final = frozenset({b"A2B0", b"A2B1", b"D2B0", b"D2B1"})
#: Screens, cameras, and colour spaces (7.2.5); others have no matrix, or are no profiles of pixels.
_DEVICES: Final = frozenset({b"mntr", b"scnr", b"spac"})
_HEADER_BYTES: Final = 128
_RGB: Final = 3
#: More than any profile has; a table of them is read to its end.
_MOST_TAGS: Final = 100
#: As many values a parametric curve of each type has (ICC.1:2022, 10.18).
_PARAMETERS: Final = (1, 3, 4, 5, 7)


def means_srgb(profile: bytes, bands: int) -> bool:
    """Tell whether the samples of a picture are those of sRGB, or of its grey.

    Args:
        profile: ICC; empty where the picture has none.
        bands: of the picture, without alpha.
    """
    return not profile or (bands == _RGB and is_srgb(profile))


@functools.lru_cache(maxsize=64)
def is_srgb(profile: bytes) -> bool:
    """Tell whether a profile of RGB does to any colour what sRGB does: nothing.

    Remembered, because a camera writes the same profile into every picture.
    """
    try:
        tags = _tags(profile)
        columns = [_xyz(tags[name]) for name in _COLORANTS]
        curves = [_curve(tags[name]) for name in _CURVES]
        return not tags.keys() & _TABLES and _moves_levels(columns, curves) <= _SAME_LEVELS
    except (ArithmeticError, KeyError, ValueError, struct.error):
        return False


def _tags(profile: bytes) -> dict[bytes, bytes]:
    """Return the tags of a profile from RGB to XYZ. Raises ValueError, struct.error."""
    device, *rest = struct.unpack_from("12x4s4s4s12x4s", profile)
    if device not in _DEVICES or rest != [b"RGB ", b"XYZ ", b"acsp"]:
        raise ValueError("no profile from RGB to XYZ")
    (count,) = struct.unpack_from(">I", profile, _HEADER_BYTES)
    if count > _MOST_TAGS:
        raise ValueError("too many tags")
    tags = {}
    for number in range(count):
        name, start, size = struct.unpack_from(">4sII", profile, _HEADER_BYTES + 4 + 12 * number)
        if name in tags or start + size > len(profile):
            raise ValueError("a tag that is there twice, or beyond the end")
        tags[name] = profile[start : start + size]
    return tags


def _xyz(tag: bytes) -> tuple[float, ...]:
    """Return X, Y and Z (10.31). Raises ValueError, struct.error."""
    if tag[:4] != b"XYZ ":
        raise ValueError("no XYZ")
    return _fixed(tag, 8, 3)


def _curve(tag: bytes) -> Callable[[float], float]:
    """Return a curve from 0 to 1 to light (10.6, 10.18). Raises ValueError, struct.error."""
    kind, number = struct.unpack_from(">4s4xH", tag)
    if kind == b"para" and number < len(_PARAMETERS):
        return _parametric(number, _fixed(tag, 12, _PARAMETERS[number]))
    if kind != b"curv":
        raise ValueError("no curve")
    (count,) = struct.unpack_from(">I", tag, 8)
    if count < 2:  # noqa: PLR2004 - none, and one for an exponent: neither is sRGB's
        raise ValueError("an exponent")
    return _sampled(struct.unpack_from(f">{count}H", tag, 12))


def _sampled(table: Sequence[int]) -> Callable[[float], float]:
    last = len(table) - 1

    def light(value: float) -> float:
        place = min(int(value * last), last - 1)
        low, high = table[place], table[place + 1]
        return (low + (high - low) * (value * last - place)) / 65535

    return light


def _parametric(number: int, values: Sequence[float]) -> Callable[[float], float]:
    """Return the curve of table 68; only those that could be sRGB's. Raises ValueError."""
    if number not in {3, 4}:
        raise ValueError("a curve without a straight beginning")
    exponent, a, b, c, d, e, f = (*values, 0.0, 0.0)[:7]

    def light(value: float) -> float:
        return max(a * value + b, 0.0) ** exponent + e if value >= d else c * value + f

    return light


def _fixed(tag: bytes, start: int, count: int) -> tuple[float, ...]:
    """Return s15Fixed16Numbers. Raises struct.error."""
    return tuple(each / 65536 for each in struct.unpack_from(f">{count}i", tag, start))


def _moves_levels(
    columns: Sequence[Sequence[float]], curves: Sequence[Callable[[float], float]]
) -> float:
    """Return by how many levels a channel of any colour may move.

    Light adds up, so a channel moves most where each other one is full or empty.
    """
    most = 0.0
    for channel, row in enumerate(_TO_SRGB):
        shares = [sum(map(operator.mul, row, column)) for column in columns]
        own = shares.pop(channel)
        least, greatest = sum(min(each, 0) for each in shares), sum(max(each, 0) for each in shares)
        for level in _LEVELS:
            light = own * curves[channel](level)
            for beside in (least, greatest):
                most = max(most, abs(_srgb_level(light + beside) - level * 255))
    return most


def _srgb_level(light: float) -> float:
    """Return the level of 0 to 255 for linear light (IEC 61966-2-1)."""
    light = min(max(light, 0.0), 1.0)
    coded = 12.92 * light if light <= 0.0031308 else 1.055 * light ** (1 / 2.4) - 0.055  # noqa: PLR2004 - IEC 61966-2-1
    return 255 * coded
