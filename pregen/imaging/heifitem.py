"""What the properties of a HEIF item mean: size, orientation, colour; and an item as a file.

Pure; ISO/IEC 23008-12, 6.5 and ISO/IEC 14496-12, 12.1.5. Nonsense counts as absent.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pregen.imaging.heifmeta import Extent, Item, Meta

#: The corners of a picture (top left, top right, bottom left, bottom right), each by the number of
#: the stored corner that is shown there -> EXIF's orientation.
_ORIENTATIONS: Final = {
    (0, 1, 2, 3): 1, (1, 0, 3, 2): 2, (3, 2, 1, 0): 3, (2, 3, 0, 1): 4,
    (0, 2, 1, 3): 5, (2, 0, 3, 1): 6, (3, 1, 2, 0): 7, (1, 3, 0, 2): 8,
}  # fmt: skip
_TURNS: Final = frozenset({b"irot", b"imir"})
_MAX_EDGE_PX: Final = 1 << 20


class Cicp(NamedTuple):
    """Coding-independent code points (ITU-T H.273)."""

    primaries: int
    transfer: int


class Colour(NamedTuple):
    """How the numbers of a picture are meant; both may be absent."""

    profile: bytes = b""
    """ICC. Where there is one, it decides (ISO/IEC 23000-22, 7.3.6.4)."""
    cicp: Cicp | None = None


def size(item: Item) -> tuple[int, int] | None:
    """Width and height as stored, the clean aperture applied; None when it is not told."""
    body = item.first(b"ispe")
    if body is None or len(body) < 12:  # noqa: PLR2004 - version and flags, width, height
        return None
    width, height = struct.unpack_from(">II", body, 4)
    if (clap := item.first(b"clap")) is not None and len(clap) >= 16:  # noqa: PLR2004 - two fractions
        wide, by, high, of = struct.unpack_from(">IIII", clap)
        width, height = round(wide / (by or 1)), round(high / (of or 1))
    return (width, height) if 0 < width < _MAX_EDGE_PX and 0 < height < _MAX_EDGE_PX else None


def shown_size(item: Item) -> tuple[int, int] | None:
    """Width and height after its own rotation; None when they are not told."""
    stored = size(item)
    if stored is None or (orientation(item) or 1) < 5:  # noqa: PLR2004 - those that turn by a quarter
        return stored
    return stored[1], stored[0]


def orientation(item: Item) -> int | None:
    """EXIF's orientation for its rotation and mirroring; None when it has neither."""
    corners = (0, 1, 2, 3)
    turned = False
    for kind, body, *_ in item.properties:
        if kind not in _TURNS or not body:
            continue
        turned = True
        tl, tr, bl, br = corners
        if kind == b"imir":
            corners = (tr, tl, br, bl) if body[0] & 1 else (bl, br, tl, tr)
        for _ in range(body[0] & 3 if kind == b"irot" else 0):
            # Anticlockwise: what was at the right comes to the top.
            tl, tr, bl, br = corners
            corners = (tr, br, tl, bl)
    return _ORIENTATIONS[corners] if turned else None


def colour(item: Item) -> Colour:
    """Return what the `colr` properties of an item say."""
    found = Colour()
    for kind, body, *_ in item.properties:
        if kind != b"colr":
            continue
        if body[:4] in {b"prof", b"rICC"}:
            found = found._replace(profile=body[4:])
        elif body[:4] == b"nclx" and len(body) >= 10:  # noqa: PLR2004 - three numbers of 16 bits
            found = found._replace(cicp=Cicp(*struct.unpack_from(">HH", body, 4)))
    return found


def present(extents: Iterable[Extent], size_bytes: int) -> tuple[int, int]:
    """Return how many bytes of some extents a file holds, and how many there should be."""
    there = wanted = 0
    for offset, count in extents:
        length = count or max(1, size_bytes - offset)
        wanted += length
        there += max(0, min(size_bytes, offset + length) - offset)
    return there, wanted


def share_present(meta: Meta, number: int, size_bytes: int) -> float:
    """Return how much of the data of an item and its parts a file of a size holds, 0 to 1."""
    there, wanted = present(
        (extent for item in meta.parts(number) for extent in item.extents), size_bytes
    )
    return there / wanted if wanted else 1.0


def as_file(item: Item, data: bytes, brand: bytes) -> bytes:
    """Return a file whose only picture is a coded item.

    Args:
        item: whose data depends on no other item.
        data: of the item.
        brand: of the file, as its decoder wants it.
    """
    properties = item.properties[:127]  # more have no number of seven bits
    associations = bytes(index | (one.essential << 7) for index, one in enumerate(properties, 1))
    entry = _full(b"infe", struct.pack(">HH4sB", 1, 0, item.kind, 0), version=2)
    meta = (
        _full(b"hdlr", struct.pack(">I4s12xB", 0, b"pict", 0)),
        _full(b"pitm", struct.pack(">H", 1)),
        _full(b"iinf", struct.pack(">H", 1) + entry),
        _box(
            b"iprp",
            _box(b"ipco", *(_box(one.kind, one.body) for one in properties)),
            _full(b"ipma", struct.pack(">IHB", 1, 1, len(properties)) + associations),
        ),
    )
    ftyp = _box(b"ftyp", struct.pack(">4sI8s", brand, 0, b"mif1" + brand))
    where = len(ftyp) + len(_meta(meta, 0, 0)) + 8
    return ftyp + _meta(meta, where, len(data)) + _box(b"mdat", data)


def _meta(parts: Iterable[bytes], offset: int, count: int) -> bytes:
    iloc = struct.pack(">HHHHHII", 0x4400, 1, 1, 0, 1, offset, count)
    return _full(b"meta", b"".join(parts) + _full(b"iloc", iloc))


def _box(kind: bytes, *body: bytes) -> bytes:
    joined = b"".join(body)
    return struct.pack(">I4s", 8 + len(joined), kind) + joined


def _full(kind: bytes, body: bytes, version: int = 0) -> bytes:
    return _box(kind, struct.pack(">I", version << 24), body)
