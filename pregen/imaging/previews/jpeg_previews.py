"""Smaller pictures inside a JPEG: the second directory of its EXIF, and its MPF (CIPA DC-007).

Of a multi-picture file only what calls itself a thumbnail is one: a gain map, a depth map, the
other eye of a stereo pair and the frames of a panorama are not. Both are told of before the first
scan.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pregen.imaging.containers import jpeg, tiff
from pregen.imaging.previews.layout import Layout, Preview, sized
from pregen.imaging.source_bytes import DamagedError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pregen.imaging.containers.jpeg import JpegHead
    from pregen.imaging.source_bytes import SourceBytes

_MPF: Final = b"MPF\x00"
#: CIPA DC-007, tables 3 and 4: the entries, 16 bytes each.
_MP_ENTRIES: Final = 0xB002
_MP_ENTRY_BYTES: Final = 16
#: CIPA DC-007, 5.2.3.3.1: the low 24 bits of an entry's attribute.
_TYPE_BITS: Final = 0xFFFFFF
_THUMBNAILS: Final = frozenset({0x010001, 0x010002})
#: A camera writes two; a panorama has twenty frames, none of them thumbnails.
_MAX_ENTRIES: Final = 64


def layout(source: SourceBytes, data: bytes, head: JpegHead) -> Layout:
    """Return the previews of a JPEG that lie in the file, with their sizes.

    Args:
        source: the file.
        data: its beginning, up to the first scan at least.
        head: of the main picture.
    """
    found = sized(source, _told_of(source, data))
    return Layout(head.width_px, head.height_px, head.orientation, tuple(found))


def _told_of(source: SourceBytes, data: bytes) -> Iterator[Preview]:
    for segment in jpeg.segments(data):
        try:
            if segment.marker == jpeg.APP1 and data.startswith(jpeg.EXIF, segment.begin):
                yield from _of_exif(source, segment.begin + len(jpeg.EXIF))
            elif segment.marker == jpeg.APP2 and data.startswith(_MPF, segment.begin):
                yield from _of_mpf(source, segment.begin + len(_MPF))
        except DamagedError:
            continue


def _of_exif(source: SourceBytes, at: int) -> Iterator[Preview]:
    """IFD1, which is there for the thumbnail alone (EXIF 2.3, 4.5.5)."""
    first = tiff.first_ifd(source, at)
    if first.next:
        thumbnail = tiff.Ifd(source, first.order, first.next, at)
        offset, size_bytes = thumbnail.number(tiff.JPEG_OFFSET), thumbnail.number(tiff.JPEG_BYTES)
        if offset and size_bytes:
            yield Preview(at + offset, size_bytes)


def _of_mpf(source: SourceBytes, at: int) -> Iterator[Preview]:
    index = tiff.first_ifd(source, at)
    entries = index.bytes(_MP_ENTRIES, _MAX_ENTRIES * _MP_ENTRY_BYTES)
    for start in range(0, len(entries) - _MP_ENTRY_BYTES + 1, _MP_ENTRY_BYTES):
        attribute, size_bytes, offset = (
            int.from_bytes(entries[start + field : start + field + 4], index.order)
            for field in (0, 4, 8)
        )
        if attribute & _TYPE_BITS in _THUMBNAILS and offset:
            yield Preview(at + offset, size_bytes)
