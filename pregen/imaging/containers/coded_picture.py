"""HEIF pictures that are one coded picture, or a grid of such: what their boxes say, all of it.

ISO/IEC 23008-12, 6.6.2.3 and 7.3. A decoder of HEVC or AV1 makes the whole picture of these. All
else is for libheif and libavif, which put pictures together in more ways: transparency, parts of
pictures, layers, overlays, tiles of several sizes, and properties that are unknown here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from pregen.imaging.containers import heif
from pregen.imaging.containers.heif import Colour, LumaCoding

if TYPE_CHECKING:
    from pregen.imaging.containers.heif import HeifItem, Meta
    from pregen.imaging.source_bytes import ReadAt

#: Kinds of coded pictures -> the property that sets their decoder up.
_SETUPS: Final = {b"hvc1": b"hvcC", b"av01": b"av1C"}
#: What an essential property of a picture may be: its set-up, size, colours, depth, and turning.
_UNDERSTOOD: Final = frozenset(
    {b"hvcC", b"av1C", b"ispe", b"colr", b"pixi", b"irot", b"imir", b"pasp", b"clli", b"mdcv"}
)
#: What makes another picture of a coded one, essential or not: a part of it, some of its layers.
_CHOOSING: Final = frozenset({b"clap", b"lsel", b"a1op", b"a1lx"})
_TURNS: Final = frozenset({b"irot", b"imir"})
#: More tiles than a picture of 500 Mpx has in tiles of 512 x 512.
_MAX_TILES: Final = 4096
#: As large as any file that a library wants whole.
_MAX_ITEM_BYTES: Final = 512 * 1024 * 1024


class LeftAloneError(Exception):
    """This picture is for libheif or libavif; the message says why."""


class CodedPicture(NamedTuple):
    """A picture as its boxes describe it."""

    parts: tuple[HeifItem, ...]
    """Its tiles, row by row; the item itself where it has none. They have one kind and size."""
    across: int
    """Tiles in a row."""
    width_px: int
    """As stored, before it is turned."""
    height_px: int
    coding: LumaCoding | None
    """None: the coded picture says so itself."""
    told: Colour
    """How its colours are meant."""
    read_at: ReadAt
    size_bytes: int
    """Of the file."""

    @property
    def kind(self) -> bytes:
        """Of its parts: `hvc1` or `av01`."""
        return self.parts[0].kind

    @property
    def tile_px(self) -> tuple[int, int]:
        """Width and height of each part."""
        return heif.size(self.parts[0]) or (self.width_px, self.height_px)

    def setup(self, part: HeifItem) -> bytes:
        """Return what sets up the decoder of a part."""
        return part.first(_SETUPS[part.kind]) or b""

    def data(self, part: HeifItem) -> bytes:
        """Return a coded picture. Raises LeftAloneError where the file does not hold it."""
        return _data(part, self.read_at, self.size_bytes)


def described(meta: Meta, item: HeifItem, read_at: ReadAt, size_bytes: int) -> CodedPicture | None:
    """Return what the boxes of a file say of a picture.

    Args:
        meta: All boxes.
        item: The picture.
        read_at: Reads the file.
        size_bytes: Of the file.

    Returns:
        None: It is coded otherwise, has transparency, or something is not understood.
    """
    try:
        return _described(meta, item, read_at, size_bytes)
    except LeftAloneError:
        return None


def _described(meta: Meta, item: HeifItem, read_at: ReadAt, size_bytes: int) -> CodedPicture:
    size = heif.size(item)
    if size is None:
        raise LeftAloneError("its size is missing")
    across = 1
    parts: tuple[HeifItem, ...] = (item,)
    if item.kind == b"grid":
        found = heif.grid(_data(item, read_at, size_bytes))
        numbers = item.refers_to(b"dimg")
        if found is None or size != (found.width_px, found.height_px):
            raise LeftAloneError("its grid and its size differ")
        whole = len(numbers) == found.across * found.down <= _MAX_TILES
        if not whole or any(number not in meta.items for number in numbers):
            raise LeftAloneError("its grid has holes")
        across, parts = found.across, tuple(meta.items[number] for number in numbers)
    _check(item, parts)
    if meta.with_alpha() & {item.number, *(part.number for part in parts)}:
        raise LeftAloneError("it has transparency")
    if sum(max(each.size_bytes, 1) for part in parts for each in part.extents) > size_bytes:
        raise LeftAloneError("its tiles share their data")
    codings = {coding for one in (item, *parts) if (coding := heif.luma_coding(one))}
    if len(codings) > 1:
        raise LeftAloneError("its parts differ in what their numbers mean")
    # Phones write the profile to the tiles, and not to the picture that is made of them.
    told = [heif.colour(one) for one in (item, parts[0])]
    return CodedPicture(
        parts,
        across,
        *size,
        coding=next(iter(codings), None),
        told=next((one for one in told if one != Colour()), Colour()),
        read_at=read_at,
        size_bytes=size_bytes,
    )


def _check(item: HeifItem, parts: tuple[HeifItem, ...]) -> None:
    """Raise LeftAloneError where they are more than coded pictures of one kind and size."""
    kind, size = parts[0].kind, heif.size(parts[0])
    if (
        size is None
        or kind not in _SETUPS
        or any(part.kind != kind or heif.size(part) != size for part in parts)
    ):
        raise LeftAloneError("its parts differ, or are coded otherwise")
    for one in {id(one): one for one in (item, *parts)}.values():
        kinds = {each.kind for each in one.properties}
        essential = {each.kind for each in one.properties if each.essential}
        if kinds & _CHOOSING or not essential <= _UNDERSTOOD or one.refers_to(b"prem"):
            raise LeftAloneError("it shows only a part of its data, or in an unknown way")
        if one is not item and kinds & _TURNS:
            raise LeftAloneError("its tiles are turned")


def _data(item: HeifItem, read_at: ReadAt, size_bytes: int) -> bytes:
    places = [(offset, count or size_bytes - offset) for offset, count in item.extents]
    if any(count < 1 or offset + count > size_bytes for offset, count in places):
        raise LeftAloneError("its file ends early")
    total = sum(count for _, count in places)
    if not 0 < total <= min(size_bytes, _MAX_ITEM_BYTES):
        raise LeftAloneError("its data is not there, or more than the file")
    data = b"".join(read_at(offset, count) for offset, count in places)
    if len(data) != total:
        raise LeftAloneError("its file became shorter")
    return data
