"""HEIC files with thumbnail items and with every mixture of irot and EXIF, coded by libheif.

`file_of` puts coded pictures into boxes of any kind, which no library writes.
"""

from __future__ import annotations

import io
import struct
from typing import TYPE_CHECKING, Any, NamedTuple

import pillow_heif
from PIL import Image

from pregen.imaging.containers import heif
from tests.support.files import pictures

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

#: What x265 does by itself: libheif's "slow" takes three times as long.
AS_X265: Mapping[str, Any] = {"enc_params": {"preset": "medium"}}
RED, GREEN, BLUE, WHITE = (220, 30, 30), (30, 160, 30), (30, 30, 220), (240, 240, 240)


def corners(width_px: int, height_px: int) -> Image.Image:
    """Return a picture of four quarters: red, green / blue, white."""
    picture = Image.new("RGB", (2, 2))
    picture.putdata([RED, GREEN, BLUE, WHITE])
    return picture.resize((width_px, height_px), Image.Resampling.NEAREST)


def heic(picture: Image.Image, **options: Any) -> bytes:
    """Return a HEIC file; options are pillow-heif's."""
    file = io.BytesIO()
    pillow_heif.from_pillow(picture).save(file, **({"quality": 90, **AS_X265} | options))
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


class Part(NamedTuple):
    """An item of a file that is written box by box."""

    kind: bytes
    data: bytes
    properties: tuple[tuple[bytes, bytes, bool], ...]
    """Kind, body, whether a reader has to know it."""
    references: tuple[tuple[bytes, tuple[int, ...]], ...] = ()

    def sized(self, width_px: int, height_px: int) -> Part:
        """Return it with another size in its boxes."""
        return self.said(b"ispe", bytes(4) + struct.pack(">II", width_px, height_px))

    def said(self, kind: bytes, body: bytes, *, essential: bool = False) -> Part:
        """Return it with a property, in the place of one of that kind."""
        kept = tuple(one for one in self.properties if one[0] != kind)
        return self._replace(properties=(*kept, (kind, body, essential)))


def coded(data: bytes) -> Part:
    """Return the main picture of a HEIC or AVIF that is one coded picture."""
    meta = heif.read(lambda at, count: data[at : at + count], len(data))
    item = meta.items[meta.primary]
    body = b"".join(data[at : at + count] for at, count in item.extents)
    return Part(item.kind, body, tuple(tuple(one) for one in item.properties))  # type: ignore[misc]  # three fields


def grid(
    across: int, down: int, size: tuple[int, int], *properties: tuple[bytes, bytes, bool]
) -> Part:
    """Return a picture of tiles, which are to be the items behind it."""
    data = struct.pack(">BBBBHH", 0, 0, down - 1, across - 1, *size)
    tiles = tuple(range(2, 2 + across * down))
    return Part(b"grid", data, properties, ((b"dimg", tiles),)).sized(*size)


def file_of(parts: Sequence[Part], brand: bytes = b"heic", method: int = 0) -> bytes:
    """Return a file of items numbered from 1; the first is its picture."""
    entries = b"".join(
        _full(b"infe", struct.pack(">HH4sB", number, 0, part.kind, 0), 2)
        for number, part in enumerate(parts, 1)
    )
    known: list[tuple[bytes, bytes]] = []
    rows = b""
    for number, part in enumerate(parts, 1):
        indices = b""
        for kind, body, essential in part.properties:
            if (kind, body) not in known:
                known.append((kind, body))
            indices += struct.pack(">H", known.index((kind, body)) + 1 | essential << 15)
        rows += struct.pack(">HB", number, len(part.properties)) + indices
    references = b"".join(
        _box(kind, struct.pack(f">HH{len(to)}H", number, len(to), *to))
        for number, part in enumerate(parts, 1)
        for kind, to in part.references
    )
    ftyp = _box(b"ftyp", brand + bytes(4) + b"mif1" + brand)

    def meta(begin: int) -> bytes:
        places, at = b"", begin
        for number, part in enumerate(parts, 1):
            places += struct.pack(">HHHHII", number, method, 0, 1, at, len(part.data))
            at += len(part.data)
        return _full(
            b"meta",
            _full(b"hdlr", struct.pack(">I4s12xB", 0, b"pict", 0))
            + _full(b"pitm", struct.pack(">H", 1))
            + _full(b"iinf", struct.pack(">H", len(parts)) + entries)
            + _box(
                b"iprp",
                _box(b"ipco", *(_box(kind, body) for kind, body in known))
                + _full(b"ipma", struct.pack(">I", len(parts)) + rows, flags=1),
            )
            + _full(b"iref", references)
            + _full(b"iloc", struct.pack(">HH", 0x4400, len(parts)) + places, 1),
        )

    begin = len(ftyp) + len(meta(0)) + 8
    return ftyp + meta(begin) + _box(b"mdat", *(part.data for part in parts))


def camera_hif(main: bytes, thumbnail: bytes, shown_px: tuple[int, int]) -> bytes:
    """Return a HIF as Sony and Canon write it: its thumbnail has more rows than its boxes say.

    Args:
        main: a HEIC that is one coded picture.
        thumbnail: likewise, with its padding.
        shown_px: what the boxes say of the thumbnail.
    """
    small = coded(thumbnail)._replace(references=((b"thmb", (1,)),)).sized(*shown_px)
    return file_of([coded(main), small])


def _box(kind: bytes, *body: bytes) -> bytes:
    joined = b"".join(body)
    return struct.pack(">I4s", 8 + len(joined), kind) + joined


def _full(kind: bytes, body: bytes, version: int = 0, flags: int = 0) -> bytes:
    return _box(kind, struct.pack(">I", version << 24 | flags), body)
