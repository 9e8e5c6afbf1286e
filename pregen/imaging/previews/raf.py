"""RAF: Fujifilm's RAW. A table near its beginning says where the preview and the sensor data lie.

Numbers are big-endian. The preview is a whole JPEG with its own EXIF, which has the orientation.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pregen.imaging.previews.layout import DamagedError, Layout, Preview, sized

if TYPE_CHECKING:
    from pregen.imaging.previews.layout import Source

#: Where the table has offset and length of preview, directory and sensor data.
_PREVIEW_AT: Final = 84
_DIRECTORY_AT: Final = 92
_SENSOR_AT: Final = 100
#: Height and width of the picture as it is meant to be shown.
_CROPPED_SIZE: Final = 0x0111
_MAX_TAGS: Final = 256


def find(source: Source) -> Layout:
    """Return what a RAF holds. DamagedError when it ends within its table."""
    preview = Preview(*_place(source, _PREVIEW_AT))
    width_px, height_px = _size(source)
    start, count = _place(source, _SENSOR_AT)
    end = start + count if start else preview.offset + preview.size_bytes
    previews = tuple(sized(source, [preview]))
    return Layout(width_px, height_px, 0, previews, (start, end))


def _place(source: Source, at: int) -> tuple[int, int]:
    return source.number(at, 4, ">"), source.number(at + 4, 4, ">")


def _size(source: Source) -> tuple[int, int]:
    at, _ = _place(source, _DIRECTORY_AT)
    try:
        tags = source.number(at, 4, ">")
        at += 4
        for _ in range(min(tags, _MAX_TAGS)):
            tag, size_bytes = source.number(at, 2, ">"), source.number(at + 2, 2, ">")
            if tag == _CROPPED_SIZE:
                return source.number(at + 6, 2, ">"), source.number(at + 4, 2, ">")
            at += 4 + size_bytes
    except DamagedError:
        pass
    return 0, 0
