"""Where the first picture of a GIF lies on its screen (GIF89a, 18 to 26)."""

from __future__ import annotations

from typing import Final, NamedTuple

_SCREEN_BYTES: Final = 13
_HAS_TABLE: Final = 0x80
_TABLE_SIZE: Final = 7
#: In the flags of a picture.
INTERLACED: Final = 0x40
_EXTENSION: Final = 0x21
_IMAGE: Final = 0x2C
#: Of a picture: what it is, its place, its flags (20).
DESCRIPTOR_BYTES: Final = 10


class GifPlace(NamedTuple):
    """The part of a screen that a picture covers, in pixels."""

    left: int
    top: int
    width_px: int
    height_px: int


def first_place(data: bytes) -> GifPlace | None:
    """Return where the first picture lies; None when `data` does not go so far."""
    at = first_picture_at(data)
    if at is None:
        return None
    numbers = (int.from_bytes(data[at + n : at + n + 2], "little") for n in (1, 3, 5, 7))
    return GifPlace(*numbers)


def first_picture_at(data: bytes) -> int | None:
    """Return where the descriptor of the first picture begins; None when it is not in `data`."""
    if len(data) < _SCREEN_BYTES:
        return None
    at = _SCREEN_BYTES + table_bytes(data[10])
    while at + DESCRIPTOR_BYTES <= len(data):
        if data[at] == _IMAGE:
            return at
        if data[at] != _EXTENSION:
            return None
        at += 2
        while at < len(data) and data[at]:
            at += 1 + data[at]
        at += 1
    return None


def table_bytes(flags: int) -> int:
    """Return the size of the colour table that the flags of a screen or a picture promise."""
    return 3 * (2 << (flags & _TABLE_SIZE)) if flags & _HAS_TABLE else 0
