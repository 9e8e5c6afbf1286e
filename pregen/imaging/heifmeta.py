"""The `meta` box of HEIC and AVIF: items, where their data lies, what is said of them.

ISO/IEC 14496-12, 8.11 and ISO/IEC 23008-12. Every list is bounded by the bytes it is read from.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from pregen.imaging import boxes
from pregen.imaging.boxes import Box, BoxError, Cursor

if TYPE_CHECKING:
    from pregen.imaging.boxes import ReadAt

#: The box of a 200 Mpx photo in 512 px tiles has 50 KB; one that is larger than this is a lie.
_MAX_META_BYTES: Final = 4 * 1024 * 1024
#: An extent can take no byte at all in `iloc`, so that their number must be bounded by itself.
_MAX_EXTENTS: Final = 65_536
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


class Item(NamedTuple):
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
    items: dict[int, Item]
    film: bool = False
    """There is a `moov` box before the items, or there are no items: an image sequence."""

    def referring(self, kind: bytes, to: int) -> list[Item]:
        """Return the items that refer to an item in a certain way."""
        return [item for item in self.items.values() if to in item.refers_to(kind)]

    def has_alpha(self, number: int) -> bool:
        """True when the item has a transparency plane."""
        return any(
            (item.first(b"auxC") or b"").startswith(_ALPHA, 4)
            for item in self.referring(b"auxl", number)
        )

    def parts(self, number: int) -> list[Item]:
        """Return the item and all that it is put together from, each once."""
        found: dict[int, Item] = {}
        ahead = [number]
        while ahead:
            one = ahead.pop()
            if one in self.items and one not in found:
                found[one] = self.items[one]
                ahead.extend(self.items[one].refers_to(b"dimg"))
        return list(found.values())


class _Place(NamedTuple):
    """An entry of `iloc`."""

    method: int
    extents: tuple[Extent, ...]


def read(read_at: ReadAt, size_bytes: int) -> Meta:
    """Find and read the `meta` box of a file; one without it has no items.

    Raises:
        BoxError: it makes no sense; EndsEarlyError: the file ends before it does.
    """
    film = False
    for box in boxes.top(read_at, size_bytes):
        film = film or box.kind == b"moov"
        if box.kind == b"meta":
            if box.end > size_bytes:
                raise boxes.EndsEarlyError("the file ends before the list of its pictures does")
            if box.end - box.begin > _MAX_META_BYTES:
                raise BoxError("the list of its pictures is too long")
            return parse(read_at(box.begin, box.end - box.begin), box.begin)._replace(film=film)
        if box.end > size_bytes and box.kind != b"moov":
            raise boxes.EndsEarlyError("the file ends before the list of its pictures")
    return Meta(0, {}, film)


def parse(body: bytes, origin: int) -> Meta:
    """Read the body of a `meta` box that stands at `origin` in its file. Raises BoxError."""
    found: dict[bytes, Box] = {}
    for box in boxes.inside(body, 4, len(body)):
        found.setdefault(box.kind, box)
    kinds = _item_kinds(body, found.get(b"iinf"))
    places = _places(body, found.get(b"iloc"))
    properties = _properties(body, found.get(b"iprp"))
    references = _references(body, found.get(b"iref"))
    idat = found.get(b"idat")
    return Meta(
        _primary(body, found.get(b"pitm")),
        {
            number: Item(
                number,
                kind,
                _extents(places.get(number), idat, origin),
                tuple(properties.get(number, ())),
                tuple(references.get(number, ())),
            )
            for number, kind in kinds.items()
        },
    )


def _extents(place: _Place | None, idat: Box | None, origin: int) -> tuple[Extent, ...]:
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
    if box is None:
        return {}
    cursor = Cursor(body, box.begin, box.end)
    version, _ = cursor.version_and_flags()
    cursor.uint(2 if version == 0 else 4)
    kinds: dict[int, bytes] = {}
    for entry in boxes.inside(body, cursor.at, box.end):
        if entry.kind != b"infe":
            continue
        cursor = Cursor(body, entry.begin, entry.end)
        version, _ = cursor.version_and_flags()
        if version in {2, 3}:  # older ones belong to no picture
            number = cursor.uint(2 if version == 2 else 4)  # noqa: PLR2004 - 8.11.6
            cursor.take(2)
            kinds[number] = cursor.take(4)
    return kinds


def _places(body: bytes, box: Box | None) -> dict[int, _Place]:
    if box is None:
        return {}
    cursor = Cursor(body, box.begin, box.end)
    version, _ = cursor.version_and_flags()
    sizes = cursor.uint(2)
    offset_bytes, length_bytes, base_bytes, index_bytes = (
        sizes >> shift & 15 for shift in (12, 8, 4, 0)
    )
    wide = 2 if version < 2 else 4  # noqa: PLR2004 - 8.11.3
    places: dict[int, _Place] = {}
    left = _MAX_EXTENTS
    for _ in range(cursor.uint(wide)):
        number = cursor.uint(wide)
        method = cursor.uint(2) & 15 if version else 0
        cursor.take(2)
        base = cursor.uint(base_bytes)
        count = cursor.uint(2)
        left -= count
        if left < 0:
            raise BoxError("its items lie in too many parts")
        extents = []
        for _ in range(count):
            cursor.take(index_bytes if version else 0)
            extents.append(Extent(base + cursor.uint(offset_bytes), cursor.uint(length_bytes)))
        places[number] = _Place(method, tuple(extents))
    return places


def _references(body: bytes, box: Box | None) -> dict[int, list[tuple[bytes, tuple[int, ...]]]]:
    if box is None:
        return {}
    version, _ = Cursor(body, box.begin, box.end).version_and_flags()
    wide = 2 if version == 0 else 4
    found: dict[int, list[tuple[bytes, tuple[int, ...]]]] = {}
    for entry in boxes.inside(body, box.begin + 4, box.end):
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
    for part in boxes.inside(body, box.begin, box.end):
        if part.kind == b"ipco":
            known = list(boxes.inside(body, part.begin, part.end))
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
