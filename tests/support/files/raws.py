"""Camera RAWs made in memory, with sensor data and whatever previews a test wants."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

import numpy as np

from tests.support.files import pictures

if TYPE_CHECKING:
    from collections.abc import Iterable

    from PIL import Image

Tag = tuple[int, int, tuple[int, ...] | bytes]
"""Number, type, values."""

_BYTE, _ASCII, _SHORT, _LONG, _SRATIONAL = 1, 2, 3, 4, 10
_CODES = {_BYTE: "B", _ASCII: "B", _SHORT: "H", _LONG: "I", _SRATIONAL: "i"}
_CFA, _YCBCR = 32803, 6
_COLOURS = (10000, 0, 0, 0, 10000, 0, 0, 0, 10000)


def _ifd(tags: Iterable[Tag], at: int, following: int = 0) -> bytes:
    """Return a directory that lies at `at`, with its values behind it."""
    tags = sorted(tags)
    entries, values = b"", b""
    values_at = at + 6 + 12 * len(tags)
    for number, kind, given in tags:
        data = given if isinstance(given, bytes) else struct.pack(
            f"<{len(given)}{_CODES[kind]}", *given
        )  # fmt: skip
        count = len(given) // (2 if kind == _SRATIONAL else 1)
        if len(data) > 4:
            field = struct.pack("<I", values_at + len(values))
            values += data + bytes(len(data) % 2)
        else:
            field = data.ljust(4, b"\0")
        entries += struct.pack("<HHI", number, kind, count) + field
    return struct.pack("<H", len(tags)) + entries + struct.pack("<I", following) + values


def dng(
    previews: Iterable[Image.Image] = (),
    size: tuple[int, int] = (6000, 4000),
    orientation: int = 1,
) -> bytes:
    """Return an uncompressed 16-bit DNG; its sensor saw the left half red, the right half blue."""
    width_px, height_px = size
    jpegs = [(picture.size, pictures.encode(picture, "JPEG", quality=85)) for picture in previews]
    at = 4096
    tags: list[list[Tag]] = []
    for (columns, rows), data in jpegs:
        tags.append([
            (0xFE, _LONG, (1,)), (0x100, _LONG, (columns,)), (0x101, _LONG, (rows,)),
            (0x102, _SHORT, (8, 8, 8)), (0x103, _SHORT, (7,)), (0x106, _SHORT, (_YCBCR,)),
            (0x111, _LONG, (at,)), (0x115, _SHORT, (3,)), (0x116, _LONG, (rows,)),
            (0x117, _LONG, (len(data),)),
        ])  # fmt: skip
        at += len(data)
    tags.append([
        (0xFE, _LONG, (0,)), (0x100, _LONG, (width_px,)), (0x101, _LONG, (height_px,)),
        (0x102, _SHORT, (16,)), (0x103, _SHORT, (1,)), (0x106, _SHORT, (_CFA,)),
        (0x111, _LONG, (at,)), (0x115, _SHORT, (1,)), (0x116, _LONG, (height_px,)),
        (0x117, _LONG, (2 * width_px * height_px,)), (0x828D, _SHORT, (2, 2)),
        (0x828E, _BYTE, (0, 1, 1, 2)), (0xC61D, _LONG, (65535,)),
    ])  # fmt: skip
    head = bytearray(4096)
    head[:8] = struct.pack("<2sHI", b"II", 42, 8)
    places = [1024 + 384 * index for index in range(len(tags))]
    for place, each in zip(places, tags, strict=True):
        block = _ifd(each, place)
        head[place : place + len(block)] = block
    top: list[Tag] = [
        (0x10F, _ASCII, b"Test\0"), (0x110, _ASCII, b"Camera\0"), (0x112, _SHORT, (orientation,)),
        (0x14A, _LONG, tuple(places)), (0xC612, _BYTE, (1, 4, 0, 0)),
        (0xC614, _ASCII, b"Test Camera\0"), (0xC621, _SRATIONAL, tuple(
            part for value in _COLOURS for part in (value, 10000))), (0xC65A, _SHORT, (21,)),
    ]  # fmt: skip
    block = _ifd(top, 8)
    head[8 : 8 + len(block)] = block
    return bytes(head) + b"".join(data for _, data in jpegs) + _sensor(width_px, height_px)


def _sensor(width_px: int, height_px: int) -> bytes:
    samples = np.full((height_px, width_px), 2000, "<u2")
    half = width_px // 4 * 2
    samples[::2, :half:2] = 40000
    samples[1::2, half + 1 :: 2] = 40000
    return samples.tobytes()


def box(kind: bytes, body: bytes) -> bytes:
    """Return an ISO base media box."""
    return struct.pack(">I4s", len(body) + 8, kind) + body


def cr3(preview: Image.Image, size: tuple[int, int] = (6000, 4000), orientation: int = 1) -> bytes:
    """Return the structure of a CR3; its sensor data are nothing."""
    facts = struct.pack("<2sHI", b"II", 42, 8) + _ifd(
        [(0x100, _LONG, (size[0],)), (0x101, _LONG, (size[1],)), (0x112, _SHORT, (orientation,))], 8
    )
    canon = bytes.fromhex("85c0b687820f11e08111f4ce462b6a48") + box(b"CMT1", facts)
    shown = pictures.encode(preview, "JPEG", quality=85)
    prvw = box(b"PRVW", struct.pack(">IHHHHI", 0, 1, *preview.size, 1, len(shown)) + shown)
    return (
        box(b"ftyp", b"crx \0\0\0\1crx isom")
        + box(b"moov", box(b"uuid", canon))
        + box(b"uuid", bytes.fromhex("eaf42b5e1c984b88b9fbb7dc406e4d16") + bytes(8) + prvw)
        + box(b"mdat", bytes(100_000))
    )


def raf(preview: Image.Image, size: tuple[int, int] = (6000, 4000), orientation: int = 1) -> bytes:
    """Return the structure of a RAF; its sensor data are nothing."""
    shown = pictures.encode(preview, "JPEG", quality=85, exif=pictures.exif(orientation))
    directory = struct.pack(">IHHHH", 1, 0x0111, 4, size[1], size[0])
    at = 160
    head = b"FUJIFILMCCD-RAW 0201FF383501Test".ljust(84, b"\0")
    head += struct.pack(
        ">6I", at, len(shown), at + len(shown), len(directory), at + len(shown) + 12, 100_000
    )
    return head.ljust(at, b"\0") + shown + directory + bytes(100_000)
