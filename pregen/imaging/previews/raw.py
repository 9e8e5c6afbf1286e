"""Where camera RAWs keep their previews, and how large the picture and its sensor data are."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pregen.imaging.containers import jpeg
from pregen.imaging.containers.isobmff import sound_boxes
from pregen.imaging.containers.tiff import (
    COMPRESSION,
    EXIF_IFD,
    HEIGHT,
    JPEG_BYTES,
    JPEG_OFFSET,
    MAKER_NOTE,
    PHOTOMETRIC,
    SUB_IFDS,
    WIDTH,
    Ifd,
    first_ifd,
)
from pregen.imaging.previews.layout import Layout, Preview, sized
from pregen.imaging.source_bytes import DamagedError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pregen.imaging.containers.isobmff import Box
    from pregen.imaging.source_bytes import SourceBytes

_TIFF: Final = frozenset({b"II", b"MM"})


def layout(source: SourceBytes) -> Layout:
    """Return what a RAW holds. DamagedError when it is of no known kind, or contradicts itself."""
    head = source.head
    if head.startswith(b"FUJIFILM"):
        return find_raf(source)
    if head[4:8] == b"ftyp":
        return find_cr3(source)
    if head[:2] in _TIFF and head[6:10] != b"HEAP":
        return find_tiff(source)
    raise DamagedError("an unknown container")


# TIFFs in all but name -----------------------------------------------------------------------
#
# CR2, NEF, NRW, ARW, DNG, ORF, RW2, PEF, SRW, 3FR, IIQ, after ExifTool's tables "EXIF",
# "PanasonicRaw" and "Olympus".

_BITS: Final = 0x0102
_STRIPS: Final = (0x0111, 0x0117)
_TILES: Final = (0x0144, 0x0145)
_CROP_SIZE: Final = 0xC620
_EXIF_SIZE: Final = (0xA002, 0xA003)
_RGB: Final = 2
#: TIFF 6.0's two kinds of JPEG, and DNG's lossy one.
_JPEGS: Final = frozenset({6, 7, 34892})
#: Panasonic's own tags: the preview; where the picture lies (top, left, bottom, right).
_RW2_JPEG: Final = 0x002E
_RW2_BORDERS: Final = (4, 5, 6, 7)
#: Where its sensor data begin; the tag of TIFF is all ones beside it.
_RW2_START: Final = 0x0118
_RW2_MAGIC: Final = b"IIU\0"
#: Of Olympus: how a maker note begins, where its directory is, and whether offsets count from it.
_OLYMPUS: Final = ((b"OLYMPUS\0", 12, True), (b"OM SYSTEM\0", 16, True), (b"OLYMP\0", 8, False))
_OLYMPUS_SETTINGS: Final = 0x2020
_OLYMPUS_PREVIEW: Final = (0x0101, 0x0102)
#: The most at hand are a CR2's four in a chain and a DNG's nine below one.
_MAX_IFDS: Final = 24


def find_tiff(source: SourceBytes) -> Layout:
    """Return what a TIFF-like RAW holds. DamagedError when it is no TIFF."""
    top = first_ifd(source)
    exif = top.child(EXIF_IFD)
    ifds = list(_all(source, top))
    previews = [preview for ifd in ifds for preview in _previews(source, ifd)]
    if exif is not None:
        previews += _olympus(source, exif)
    sensors = [ifd for ifd in ifds if _is_sensor(ifd)]
    sensor = max(sensors, key=_area, default=None)
    width_px, height_px = _size(source, top, sensor, exif)
    if sensor is None:
        # CR2's has no tags but its strip; elsewhere all that is stored must be there.
        sensor = ifds[-1]
    return Layout(
        width_px, height_px, top.orientation, tuple(sized(source, previews)), _extent(sensor)
    )


def _all(source: SourceBytes, top: Ifd) -> Iterator[Ifd]:
    """The chain of directories, each followed by those below it."""
    seen: set[int] = set()
    waiting: list[Ifd] = [top]
    while waiting and len(seen) < _MAX_IFDS:
        ifd = waiting.pop(0)
        yield ifd
        for at in (*ifd.numbers(SUB_IFDS)[:_MAX_IFDS], ifd.next):
            if at and at not in seen and len(seen) < _MAX_IFDS:
                seen.add(at)
                try:
                    waiting.append(Ifd(source, ifd.order, at))
                except DamagedError:
                    continue


def _previews(source: SourceBytes, ifd: Ifd) -> Iterator[Preview]:
    if _RW2_JPEG in ifd:
        yield Preview(*ifd.place(_RW2_JPEG))
    if JPEG_OFFSET in ifd:
        yield Preview(ifd.number(JPEG_OFFSET), ifd.number(JPEG_BYTES))
    starts, counts = ifd.numbers(_STRIPS[0]), ifd.numbers(_STRIPS[1])
    if len(starts) != 1 or len(counts) != 1 or _is_sensor(ifd):
        return
    compression = ifd.number(COMPRESSION)
    if compression in _JPEGS and jpeg.begins_at(source, starts[0]):
        yield Preview(starts[0], counts[0])
    elif (
        compression == 1
        and ifd.number(PHOTOMETRIC) == _RGB
        and ifd.numbers(_BITS) == (8, 8, 8)
        and 0 < counts[0] == 3 * _area(ifd)
    ):
        yield Preview(starts[0], counts[0], ifd.number(WIDTH), ifd.number(HEIGHT), rgb=True)


def _olympus(source: SourceBytes, exif: Ifd) -> list[Preview]:
    """Return the preview that a maker note of Olympus points to."""
    at, _ = exif.place(MAKER_NOTE)
    note = exif.bytes(MAKER_NOTE, 16)
    for magic, skip, own_base in _OLYMPUS:
        if not note.startswith(magic):
            continue
        base = at if own_base else 0
        try:
            settings = Ifd(source, exif.order, at + skip, base).child(_OLYMPUS_SETTINGS)
        except DamagedError:
            return []
        if settings is None:
            return []
        start, count = (settings.number(tag) for tag in _OLYMPUS_PREVIEW)
        return [Preview(base + start, count)] if start else []
    return []


def _is_sensor(ifd: Ifd) -> bool:
    return ifd.is_sensor or _RW2_BORDERS[0] in ifd


def _area(ifd: Ifd) -> int:
    return ifd.number(WIDTH) * ifd.number(HEIGHT)


def _size(source: SourceBytes, top: Ifd, sensor: Ifd | None, exif: Ifd | None) -> tuple[int, int]:
    """Width and height of the picture as it is meant to be shown, before orientation."""
    if sensor is not None and source.piece(0, 4) == _RW2_MAGIC:
        above, left, below, right = (sensor.number(tag) for tag in _RW2_BORDERS)
        if above < below and left < right:
            return right - left, below - above
    if sensor is not None:
        crop = sensor.numbers(_CROP_SIZE)
        if len(crop) == 2 and min(crop) > 0:  # noqa: PLR2004 - width and height
            return crop[0], crop[1]
        if _area(sensor) > 0:
            return sensor.number(WIDTH), sensor.number(HEIGHT)
    if exif is not None:
        width_px, height_px = (exif.number(tag) for tag in _EXIF_SIZE)
        if width_px > 0 < height_px:
            return width_px, height_px
    return max(0, top.number(WIDTH)), max(0, top.number(HEIGHT))


def _extent(ifd: Ifd) -> tuple[int, int]:
    if _RW2_START in ifd:
        start = ifd.number(_RW2_START)
        return start, start + ifd.number(_STRIPS[1])
    for starts_tag, counts_tag in (_TILES, _STRIPS):
        parts = list(zip(ifd.numbers(starts_tag), ifd.numbers(counts_tag), strict=False))
        if parts:
            return min(parts)[0], max(start + count for start, count in parts)
    return 0, 0


# CR3: Canon's in ISO base media boxes, after the analysis at lclevy/canon_cr3 -----------------

_METADATA: Final = bytes.fromhex("85c0b687820f11e08111f4ce462b6a48")
_PREVIEW: Final = bytes.fromhex("eaf42b5e1c984b88b9fbb7dc406e4d16")
#: What stands between the second uuid and the boxes in it.
_PREVIEW_SKIP: Final = 8
_UUID_BYTES: Final = 16
#: A picture begins within so many bytes of its box's body.
_PICTURE_HEADER_BYTES: Final = 32


def find_cr3(source: SourceBytes) -> Layout:
    """Return what a CR3 holds. DamagedError when it has no boxes."""
    width_px = height_px = turned = 0
    previews: list[Preview] = []
    end = 0
    for box in _boxes(source, 0, source.size_bytes):
        end = box.end
        if box.kind == b"moov":
            for inner in _canon(source, box):
                if inner.kind == b"CMT1":
                    width_px, height_px, turned = _cr3_size(source, inner)
                else:
                    previews += _picture(source, inner)
        elif box.kind == b"uuid" and source.piece(box.begin, _UUID_BYTES) == _PREVIEW:
            begin = box.begin + _UUID_BYTES + _PREVIEW_SKIP
            for inner in _boxes(source, begin, box.end):
                previews += _picture(source, inner)
    if not end:
        raise DamagedError("it has no boxes")
    return Layout(width_px, height_px, turned, tuple(sized(source, previews)), (0, end))


def _boxes(source: SourceBytes, begin: int, end: int) -> Iterator[Box]:
    return sound_boxes(source.piece, begin, min(end, source.size_bytes))


def _canon(source: SourceBytes, moov: Box) -> Iterator[Box]:
    for box in _boxes(source, moov.begin, moov.end):
        if box.kind == b"uuid" and source.piece(box.begin, _UUID_BYTES) == _METADATA:
            yield from _boxes(source, box.begin + _UUID_BYTES, box.end)


def _cr3_size(source: SourceBytes, box: Box) -> tuple[int, int, int]:
    """Return width, height and orientation; zeros where they are not told."""
    try:
        tags = first_ifd(source, box.begin)
    except DamagedError:
        return 0, 0, 0
    return max(0, tags.number(WIDTH)), max(0, tags.number(HEIGHT)), tags.orientation


def _picture(source: SourceBytes, box: Box) -> list[Preview]:
    if box.kind not in {b"THMB", b"PRVW"} or box.end > source.size_bytes:
        return []
    skip = source.piece(box.begin, min(_PICTURE_HEADER_BYTES, box.end - box.begin)).find(jpeg.SOI)
    return [Preview(box.begin + skip, box.end - box.begin - skip)] if skip >= 0 else []


# RAF: Fujifilm's ------------------------------------------------------------------------------
#
# A table near its beginning says where the preview and the sensor data lie, in big-endian numbers.
# The preview is a whole JPEG with its own EXIF, which has the orientation.

#: Where the table has offset and length of preview, directory and sensor data.
_PREVIEW_AT: Final = 84
_DIRECTORY_AT: Final = 92
_SENSOR_AT: Final = 100
#: Height and width of the picture as it is meant to be shown.
_CROPPED_SIZE: Final = 0x0111
_MAX_TAGS: Final = 256


def find_raf(source: SourceBytes) -> Layout:
    """Return what a RAF holds. DamagedError when it ends within its table."""
    preview = Preview(*_place(source, _PREVIEW_AT))
    width_px, height_px = _raf_size(source)
    start, count = _place(source, _SENSOR_AT)
    end = start + count if start else preview.offset + preview.size_bytes
    previews = tuple(sized(source, [preview]))
    return Layout(width_px, height_px, 0, previews, (start, end))


def _place(source: SourceBytes, at: int) -> tuple[int, int]:
    return source.uint(at, 4), source.uint(at + 4, 4)


def _raf_size(source: SourceBytes) -> tuple[int, int]:
    at, _ = _place(source, _DIRECTORY_AT)
    try:
        tags = source.uint(at, 4)
        at += 4
        for _ in range(min(tags, _MAX_TAGS)):
            tag, size_bytes = source.uint(at, 2), source.uint(at + 2, 2)
            if tag == _CROPPED_SIZE:
                return source.uint(at + 6, 2), source.uint(at + 4, 2)
            at += 4 + size_bytes
    except DamagedError:
        pass
    return 0, 0
