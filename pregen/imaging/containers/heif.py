"""The `meta` box of HEIC and AVIF: items, where their data lies, what their properties mean.

ISO/IEC 14496-12, 8.11 and ISO/IEC 23008-12. Every list is bounded by the bytes it is read from.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Final, NamedTuple

from pregen.imaging.containers.isobmff import Box, Cursor, boxes, boxes_within
from pregen.imaging.source_bytes import DamagedError, EndsEarlyError, SourceBytes

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from pregen.imaging.source_bytes import ReadAt

#: The box of a 200 Mpx photo in 512 px tiles has 50 KB; one that is larger than this is a lie.
_MAX_META_BYTES: Final = 4 * 1024 * 1024
#: An extent can take no byte at all in `iloc`, so that their number must be bounded by itself.
_MAX_EXTENTS: Final = 65_536
#: Items that are no picture: EXIF, XMP, references, and tone mapping (ISO/IEC 21496-1).
_TONE_MAP: Final = b"tmap"
_METADATA: Final = frozenset({b"Exif", b"mime", b"uri ", _TONE_MAP})
_MAX_BRANDS_BYTES: Final = 1024
#: What EXIF of JPEG can have (Exif 2.32, 4.7.2).
_MAX_EXIF_BYTES: Final = 64 * 1024
_ALPHA: Final = (b"urn:mpeg:mpegB:cicp:systems:auxiliary:alpha", b"urn:mpeg:hevc:2015:auxid:1")


class Extent(NamedTuple):
    """A part of an item's data, by its place in the file."""

    offset: int
    size_bytes: int
    """0 for all up to the end of the file."""


class Property(NamedTuple):
    """One property as it is associated with one item."""

    kind: bytes
    body: bytes
    essential: bool
    """A reader that does not know it must not show the item."""


class HeifItem(NamedTuple):
    """One item: a coded picture, a grid of them, metadata."""

    number: int
    kind: bytes
    extents: tuple[Extent, ...] = ()
    """Empty when its data is built from that of other items."""
    properties: tuple[Property, ...] = ()
    references: tuple[tuple[bytes, tuple[int, ...]], ...] = ()
    """(kind, items) that this item refers to."""

    def refers_to(self, kind: bytes) -> tuple[int, ...]:
        """Return the items that a reference of a kind leads to."""
        return tuple(to for name, items in self.references if name == kind for to in items)

    def first(self, kind: bytes) -> bytes | None:
        """Return the body of its first property of a kind, None when it has none."""
        return next((one.body for one in self.properties if one.kind == kind), None)


class Meta(NamedTuple):
    """All that a file says of its items."""

    primary: int
    """0 when there is no main picture: image sequences."""
    items: dict[int, HeifItem]
    film: bool = False
    """There is a `moov` box before the items, or there are no items: an image sequence."""

    def referring(self, kind: bytes, to: int) -> list[HeifItem]:
        """Return the items that refer to an item in a certain way."""
        return [item for item in self.items.values() if to in item.refers_to(kind)]

    def alpha_of(self, number: int) -> HeifItem | None:
        """Return the transparency plane of an item, None when it has none."""
        return next(
            (
                item
                for item in self.referring(b"auxl", number)
                if (item.first(b"auxC") or b"").startswith(_ALPHA, 4)
            ),
            None,
        )

    def with_alpha(self) -> set[int]:
        """Return the items that have a transparency plane."""
        planes = (
            one for one in self.items.values() if (one.first(b"auxC") or b"").startswith(_ALPHA, 4)
        )
        return {to for plane in planes for to in plane.refers_to(b"auxl")}

    def exif(self) -> Extent | None:
        """Return where the EXIF of the main picture begins, at most so much as counts."""
        for item in self.referring(b"cdsc", self.primary):
            if item.kind == b"Exif" and item.extents:
                offset, count = item.extents[0]
                return Extent(offset, min(count or _MAX_EXIF_BYTES, _MAX_EXIF_BYTES))
        return None

    def parts(self, number: int) -> list[HeifItem]:
        """Return the item and all that it is put together from, each once."""
        found: dict[int, HeifItem] = {}
        ahead = [number]
        while ahead:
            one = ahead.pop()
            if one in self.items and one not in found:
                found[one] = self.items[one]
                ahead.extend(self.items[one].refers_to(b"dimg"))
        return list(found.values())


class _ItemLocation(NamedTuple):
    """An entry of `iloc`."""

    method: int
    extents: tuple[Extent, ...]


def read(read_at: ReadAt, size_bytes: int) -> Meta:
    """Find and read the `meta` box of a file; one without it has no items.

    Raises:
        DamagedError: it makes no sense; EndsEarlyError: the file ends before it does.
    """
    film = False
    for box in boxes(read_at, 0, size_bytes):
        film = film or box.kind == b"moov"
        if box.kind == b"meta":
            if box.end > size_bytes:
                raise EndsEarlyError("the file ends before the list of its pictures does")
            if box.end - box.begin > _MAX_META_BYTES:
                raise DamagedError("the list of its pictures is too long")
            return parse(read_at(box.begin, box.end - box.begin), box.begin)._replace(film=film)
        if box.end > size_bytes and box.kind != b"moov":
            raise EndsEarlyError("the file ends before the list of its pictures")
    return Meta(0, {}, film)


def parse(body: bytes, origin: int) -> Meta:
    """Read the body of a `meta` box that stands at `origin` in its file. Raises DamagedError."""
    found: dict[bytes, Box] = {}
    for box in boxes_within(body, 4, len(body)):
        found.setdefault(box.kind, box)
    kinds = _item_kinds(body, found.get(b"iinf"))
    places = _places(body, found.get(b"iloc"))
    properties = _properties(body, found.get(b"iprp"))
    references = _references(body, found.get(b"iref"))
    idat = found.get(b"idat")
    return Meta(
        _primary(body, found.get(b"pitm")),
        {
            number: HeifItem(
                number,
                kind,
                _extents(places.get(number), idat, origin),
                tuple(properties.get(number, ())),
                tuple(references.get(number, ())),
            )
            for number, kind in kinds.items()
        },
    )


def _extents(place: _ItemLocation | None, idat: Box | None, origin: int) -> tuple[Extent, ...]:
    """Bring the extents of an item to places in the file."""
    if place is None:
        return ()
    if place.method == 0:
        return place.extents
    if place.method == 1 and idat is not None:
        return tuple(
            Extent(origin + idat.begin + offset, count or idat.end - idat.begin - offset)
            for offset, count in place.extents
            if offset <= idat.end - idat.begin
        )
    return ()


def _primary(body: bytes, box: Box | None) -> int:
    if box is None:
        return 0
    cursor = Cursor(body, box.begin, box.end)
    version, _ = cursor.version_and_flags()
    return cursor.uint(2 if version == 0 else 4)


def _item_kinds(body: bytes, box: Box | None) -> dict[int, bytes]:
    return {} if box is None else {number: kind for number, kind, _ in _entries(body, box)}


def _entries(body: bytes, box: Box) -> Iterator[tuple[int, bytes, int]]:
    """Yield number, kind and the place of the kind in `body` of each item that `iinf` lists."""
    cursor = Cursor(body, box.begin, box.end)
    version, _ = cursor.version_and_flags()
    cursor.uint(2 if version == 0 else 4)
    for entry in boxes_within(body, cursor.at, box.end):
        if entry.kind != b"infe":
            continue
        cursor = Cursor(body, entry.begin, entry.end)
        version, _ = cursor.version_and_flags()
        if version in {2, 3}:  # older ones belong to no picture
            number = cursor.uint(2 if version == 2 else 4)  # noqa: PLR2004 - 8.11.6
            cursor.take(2)
            at = cursor.at
            yield number, cursor.take(4), at


def _places(body: bytes, box: Box | None) -> dict[int, _ItemLocation]:
    if box is None:
        return {}
    cursor = Cursor(body, box.begin, box.end)
    version, _ = cursor.version_and_flags()
    sizes = cursor.uint(2)
    offset_bytes, length_bytes, base_bytes, index_bytes = (
        sizes >> shift & 15 for shift in (12, 8, 4, 0)
    )
    wide = 2 if version < 2 else 4  # noqa: PLR2004 - 8.11.3
    places: dict[int, _ItemLocation] = {}
    left = _MAX_EXTENTS
    for _ in range(cursor.uint(wide)):
        number = cursor.uint(wide)
        method = cursor.uint(2) & 15 if version else 0
        cursor.take(2)
        base = cursor.uint(base_bytes)
        count = cursor.uint(2)
        left -= count
        if left < 0:
            raise DamagedError("its items lie in too many parts")
        extents = []
        for _ in range(count):
            cursor.take(index_bytes if version else 0)
            extents.append(Extent(base + cursor.uint(offset_bytes), cursor.uint(length_bytes)))
        places[number] = _ItemLocation(method, tuple(extents))
    return places


def _references(body: bytes, box: Box | None) -> dict[int, list[tuple[bytes, tuple[int, ...]]]]:
    if box is None:
        return {}
    version, _ = Cursor(body, box.begin, box.end).version_and_flags()
    wide = 2 if version == 0 else 4
    found: dict[int, list[tuple[bytes, tuple[int, ...]]]] = {}
    for entry in boxes_within(body, box.begin + 4, box.end):
        cursor = Cursor(body, entry.begin, entry.end)
        number = cursor.uint(wide)
        items = tuple(cursor.uint(wide) for _ in range(cursor.uint(2)))
        found.setdefault(number, []).append((entry.kind, items))
    return found


def _properties(body: bytes, box: Box | None) -> dict[int, list[Property]]:
    if box is None:
        return {}
    known: list[Box] = []
    found: dict[int, list[Property]] = {}
    for part in boxes_within(body, box.begin, box.end):
        if part.kind == b"ipco":
            known = list(boxes_within(body, part.begin, part.end))
        elif part.kind == b"ipma":
            _associate(body, part, known, found)
    return found


def _associate(body: bytes, box: Box, known: list[Box], found: dict[int, list[Property]]) -> None:
    """Read one `ipma` box into `found`."""
    cursor = Cursor(body, box.begin, box.end)
    version, flags = cursor.version_and_flags()
    wide = 2 if flags & 1 else 1
    for _ in range(cursor.uint(4)):
        number = cursor.uint(2 if version == 0 else 4)
        for _ in range(cursor.uint(1)):
            value = cursor.uint(wide)
            index = value & (1 << (8 * wide - 1)) - 1
            if 1 <= index <= len(known):
                kind, begin, end = known[index - 1]
                found.setdefault(number, []).append(Property(kind, body[begin:end], value != index))


# What the properties of an item mean ---------------------------------------------------------
#
# ISO/IEC 23008-12, 6.5 and ISO/IEC 14496-12, 12.1.5. Nonsense counts as absent.

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


def size(item: HeifItem) -> tuple[int, int] | None:
    """Width and height as stored, the clean aperture applied; None when it is not told."""
    body = item.first(b"ispe")
    if body is None or len(body) < 12:  # noqa: PLR2004 - version and flags, width, height
        return None
    width, height = struct.unpack_from(">II", body, 4)
    if (clap := item.first(b"clap")) is not None and len(clap) >= 16:  # noqa: PLR2004 - two fractions
        wide, by, high, of = struct.unpack_from(">IIII", clap)
        width, height = round(wide / (by or 1)), round(high / (of or 1))
    return (width, height) if 0 < width < _MAX_EDGE_PX and 0 < height < _MAX_EDGE_PX else None


def shown_size(item: HeifItem) -> tuple[int, int] | None:
    """Width and height after its own rotation; None when they are not told."""
    stored = size(item)
    if stored is None or (orientation(item) or 1) < 5:  # noqa: PLR2004 - those that turn by a quarter
        return stored
    return stored[1], stored[0]


def orientation(item: HeifItem) -> int | None:
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


def colour(item: HeifItem) -> Colour:
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


class LumaCoding(NamedTuple):
    """How the numbers of luma and chroma are meant (H.273, 8.3)."""

    matrix: int
    """H.273's number."""
    full: bool
    """They fill their range."""


def luma_coding(item: HeifItem) -> LumaCoding | None:
    """Return what `colr` says of luma and chroma (ISO/IEC 14496-12, 12.1.5); None for nothing."""
    for kind, body, *_ in item.properties:
        if kind == b"colr" and body[:4] == b"nclx" and len(body) >= 11:  # noqa: PLR2004 - three numbers and a flag
            return LumaCoding(int.from_bytes(body[8:10], "big"), bool(body[10] & 0x80))
    return None


class Grid(NamedTuple):
    """A picture of tiles (ISO/IEC 23008-12, 6.6.2.3)."""

    across: int
    down: int
    width_px: int
    """Of the picture, which the tiles may go beyond at its right and lower edge."""
    height_px: int


def grid(data: bytes) -> Grid | None:
    """Read the data of an item of the kind `grid`; None where it makes no sense."""
    if len(data) < 8 or data[0]:  # noqa: PLR2004 - version, flags, counts, two sizes
        return None
    wide = bool(data[1] & 1)
    if len(data) < (12 if wide else 8):
        return None
    width, height = struct.unpack_from(">II" if wide else ">HH", data, 4)
    if not (0 < width < _MAX_EDGE_PX and 0 < height < _MAX_EDGE_PX):
        return None
    return Grid(data[3] + 1, data[2] + 1, width, height)


def share_present(meta: Meta, number: int, size_bytes: int) -> float:
    """Return how much of the data of an item and its parts a file of a size holds, 0 to 1."""
    there = wanted = 0
    for item in meta.parts(number):
        for offset, count in item.extents:
            length = count or max(1, size_bytes - offset)
            wanted += length
            there += max(0, min(size_bytes, offset + length) - offset)
    return there / wanted if wanted else 1.0


def as_file(item: HeifItem, data: bytes, brand: bytes) -> bytes:
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


# What Pillow does not tell of an AVIF --------------------------------------------------------

#: How a part is coded -> bytes that tell its depth, and bits that are set for more than 8 a sample:
#: `high_bitdepth` (AV1 Codec ISO Media File Format Binding, 2.3.3), and what luma and chroma have
#: above 8 (ISO/IEC 14496-15, 8.3.3.1.2).
_DEPTHS: Final = {b"av1C": (slice(2, 3), 0x40), b"hvcC": (slice(17, 19), 0x07)}


def avif_colour(source: SourceBytes) -> Colour:
    """Return how the colours of the main picture are meant; nothing when it is not told."""
    try:
        meta = read(source.read_at, source.size_bytes)
    except DamagedError:
        return Colour()
    main = meta.items.get(meta.primary)
    return colour(main) if main else Colour()


def is_deep_under_profile(source: SourceBytes) -> bool:
    """True when the main picture has an ICC profile, and more than 8 bits a sample."""
    try:
        meta = read(source.read_at, source.size_bytes)
    except DamagedError:
        return False
    main = meta.items.get(meta.primary)
    return main is not None and bool(colour(main).profile) and is_deep(meta)


def is_deep(meta: Meta) -> bool:
    """True when the main picture, or a part of it, has more than 8 bits a sample."""
    return any(
        byte & bits
        for part in meta.parts(meta.primary)
        for kind, (place, bits) in _DEPTHS.items()
        for byte in (part.first(kind) or b"")[place]
    )


def without_metadata(source: SourceBytes) -> bytes | None:
    """Return a whole file in which items that are not pictures are of an unknown kind.

    A decoder ignores them then, also damaged ones: EXIF, XMP, and how to brighten a
    picture for a better screen. None where there are none.
    """
    try:
        for box in boxes(source.read_at, 0, source.size_bytes):
            if box.kind == b"meta" and box.end - box.begin <= _MAX_META_BYTES:
                break
        else:
            return None
        body = source.read_at(box.begin, box.end - box.begin)
        lists = [one for one in boxes_within(body, 4, len(body)) if one.kind == b"iinf"]
        places = [at for one in lists for _, kind, at in _entries(body, one) if kind in _METADATA]
    except DamagedError:
        return None
    data = bytearray(source.whole())
    for at in places:
        data[box.begin + at : box.begin + at + 4] = b"skip"
    # A file of this brand has to have what the brand promises.
    for at in range(8, min(int.from_bytes(data[:4], "big"), _MAX_BRANDS_BYTES), 4):
        if data[at : at + 4] == _TONE_MAP:
            data[at : at + 4] = b"mif1"
    return bytes(data) if places else None


def is_premultiplied(source: SourceBytes) -> bool:
    """True when the colours of the main picture are multiplied by its alpha (`prem`)."""
    try:
        meta = read(source.read_at, source.size_bytes)
    except DamagedError:
        return False
    main = meta.items.get(meta.primary)
    return bool(main and main.refers_to(b"prem"))


def ends_early(source: SourceBytes) -> bool:
    """True when the file is shorter than its boxes say."""
    try:
        meta = read(source.read_at, source.size_bytes)
    except DamagedError as error:
        return isinstance(error, EndsEarlyError)
    return share_present(meta, meta.primary, source.size_bytes) < 1
