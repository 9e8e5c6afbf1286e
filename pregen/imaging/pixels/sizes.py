"""The size of an entry's picture."""

from __future__ import annotations

from typing import Final, NamedTuple

#: EXIF orientations that turn by a quarter: rows become columns.
QUARTER_TURNS: Final = frozenset({5, 6, 7, 8})


class Size(NamedTuple):
    """Width and height in pixels."""

    width_px: int
    height_px: int


def fit(width_px: int, height_px: int, box_px: int) -> Size:
    """Size of a picture in a box: the long edge is the box exactly, never larger than it was."""
    long_px = max(width_px, height_px)
    if long_px <= box_px:
        return Size(width_px, height_px)
    scale = box_px / long_px
    short_px = max(1, int(min(width_px, height_px) * scale + 0.5))
    return Size(box_px, short_px) if width_px >= height_px else Size(short_px, box_px)


def block(width_px: int, height_px: int, box_px: int) -> int:
    """How many pixels, across and down, may be averaged before a picture is reduced to a box.

    At least twice the box remains, which is all that Lanczos-3 needs (the split that `vips_resize`
    makes as well).
    """
    return max(1, max(width_px, height_px) // (2 * box_px))
