"""HEIC files with thumbnail items and with every mixture of irot and EXIF, made by libheif."""

from __future__ import annotations

import io
from typing import Any

import pillow_heif
from PIL import Image

from tests.support.files import pictures

RED, GREEN, BLUE, WHITE = (220, 30, 30), (30, 160, 30), (30, 30, 220), (240, 240, 240)


def corners(width_px: int, height_px: int) -> Image.Image:
    """Return a picture of four quarters: red, green / blue, white."""
    picture = Image.new("RGB", (2, 2))
    picture.putdata([RED, GREEN, BLUE, WHITE])
    return picture.resize((width_px, height_px), Image.Resampling.NEAREST)


def heic(picture: Image.Image, **options: Any) -> bytes:
    """Return a HEIC file; options are pillow-heif's."""
    file = io.BytesIO()
    pillow_heif.from_pillow(picture).save(file, **({"quality": 90} | options))
    return file.getvalue()


def turned(picture: Image.Image, *, irot: bool, exif: int = 6, **options: Any) -> bytes:
    """Return a HEIC whose pixels are stored a quarter turn away.

    Args:
        picture: as stored.
        irot: it says so by a property (270 degrees anticlockwise, which is EXIF's 6).
        exif: what its EXIF says.
        options: pillow-heif's.
    """
    data = bytearray(heic(picture, exif=pictures.exif(6), **options))
    _set_exif(data, exif)
    if not irot:
        _drop_irot(data)
    return bytes(data)


def _set_exif(data: bytearray, orientation: int) -> None:
    """Write EXIF's orientation, which libheif sets to 1 where it writes irot."""
    at = max(
        data.find(b"\x01\x12\x00\x03\x00\x00\x00\x01"),
        data.find(b"\x12\x01\x03\x00\x01\x00\x00\x00"),
    )
    assert at > 0
    if data[at] == 1:
        data[at + 8 : at + 12] = orientation.to_bytes(2, "big") + b"\0\0"
    else:
        data[at + 8 : at + 12] = orientation.to_bytes(4, "little")


def _drop_irot(data: bytearray) -> None:
    """Associate no item with the rotation: index 0 is none (ISO/IEC 14496-12, 8.11.14)."""
    properties = data.find(b"ipco")
    end = properties - 4 + int.from_bytes(data[properties - 4 : properties], "big")
    at, index, number = properties + 4, 0, 0
    while at < end:
        index += 1
        if data[at + 4 : at + 8] == b"irot":
            number = index
        at += int.from_bytes(data[at : at + 4], "big")
    assert number
    ipma = data.find(b"ipma")
    last = ipma - 4 + int.from_bytes(data[ipma - 4 : ipma], "big")
    place = data.find(bytes([0x80 | number]), ipma + 12, last)
    assert place > 0
    while place > 0:
        data[place] = 0
        place = data.find(bytes([0x80 | number]), ipma + 12, last)
