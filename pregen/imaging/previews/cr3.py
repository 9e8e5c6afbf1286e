"""CR3: Canon's RAW in ISO base media boxes. The preview lies in a box of its own near the head.

Boxes as in ISO/IEC 14496-12, 4.2; Canon's after the analysis at lclevy/canon_cr3.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from pregen.imaging.previews import ifd
from pregen.imaging.previews.layout import DamagedError, Layout, Preview, sized

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pregen.imaging.previews.layout import Source

_METADATA: Final = bytes.fromhex("85c0b687820f11e08111f4ce462b6a48")
_PREVIEW: Final = bytes.fromhex("eaf42b5e1c984b88b9fbb7dc406e4d16")
#: What stands between the second uuid and the boxes in it.
_PREVIEW_SKIP: Final = 8
_UUID_BYTES: Final = 16
#: A picture begins within so many bytes of its box's body.
_PICTURE_HEADER_BYTES: Final = 32
_SOI: Final = b"\xff\xd8\xff"
#: A CR3 has five at its top, and thirteen in Canon's own.
_MAX_BOXES: Final = 64


class _Box(NamedTuple):
    kind: bytes
    begin: int
    """Of its body."""
    end: int


def find(source: Source) -> Layout:
    """Return what a CR3 holds. DamagedError when it has no boxes."""
    width_px = height_px = turned = 0
    previews: list[Preview] = []
    end = 0
    for box in _boxes(source, 0, source.size_bytes):
        end = box.end
        if box.kind == b"moov":
            for inner in _canon(source, box):
                if inner.kind == b"CMT1":
                    width_px, height_px, turned = _facts(source, inner)
                else:
                    previews += _picture(source, inner)
        elif box.kind == b"uuid" and source.get(box.begin, _UUID_BYTES) == _PREVIEW:
            begin = box.begin + _UUID_BYTES + _PREVIEW_SKIP
            for inner in _boxes(source, begin, box.end):
                previews += _picture(source, inner)
    if not end:
        raise DamagedError("it has no boxes")
    return Layout(width_px, height_px, turned, tuple(sized(source, previews)), (0, end))


def _boxes(source: Source, at: int, end: int) -> Iterator[_Box]:
    """Yield the boxes from `at` on; a last one that goes on past the end of the file, too."""
    for _ in range(_MAX_BOXES):
        if at + 8 > min(end, source.size_bytes):
            return
        size_bytes, header_bytes = source.number(at, 4, ">"), 8
        kind = source.get(at + 4, 4)
        if size_bytes == 1:
            size_bytes, header_bytes = source.number(at + 8, 8, ">"), 16
        elif size_bytes == 0:
            size_bytes = end - at
        if size_bytes < header_bytes:
            return
        yield _Box(kind, at + header_bytes, at + size_bytes)
        at += size_bytes


def _canon(source: Source, moov: _Box) -> Iterator[_Box]:
    for box in _boxes(source, moov.begin, moov.end):
        if box.kind == b"uuid" and source.get(box.begin, _UUID_BYTES) == _METADATA:
            yield from _boxes(source, box.begin + _UUID_BYTES, box.end)


def _facts(source: Source, box: _Box) -> tuple[int, int, int]:
    try:
        tags = ifd.first(source, box.begin)
    except DamagedError:
        return 0, 0, 0
    width_px, height_px = max(0, tags.number(ifd.WIDTH)), max(0, tags.number(ifd.HEIGHT))
    return width_px, height_px, ifd.orientation(tags)


def _picture(source: Source, box: _Box) -> list[Preview]:
    if box.kind not in {b"THMB", b"PRVW"} or box.end > source.size_bytes:
        return []
    skip = source.get(box.begin, min(_PICTURE_HEADER_BYTES, box.end - box.begin)).find(_SOI)
    return [Preview(box.begin + skip, box.end - box.begin - skip)] if skip >= 0 else []
