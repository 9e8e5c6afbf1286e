"""The smaller pictures in a HEIF file that may stand for the main one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pregen.imaging.containers import heif
from pregen.imaging.previews.layout import same_shape
from pregen.model import SMALL_BOX_PX

if TYPE_CHECKING:
    from pregen.imaging.containers.heif import HeifItem, Meta

#: Thumbnails have 5 to 60 KB, those of 1616 x 1080 pixels 200.
_MAX_THUMBNAIL_BYTES: Final = 8 * 1024 * 1024


def usable(meta: Meta, main: HeifItem, size: tuple[int, int]) -> list[HeifItem]:
    """Return the thumbnails that show what the main picture does, smallest first."""
    if meta.alpha_of(main.number) is not None:
        return []  # thumbnails have none
    found = []
    for item in meta.referring(b"thmb", main.number):
        shown = heif.shown_size(item)
        if (
            item.kind == b"hvc1"
            and shown is not None
            and max(shown) > SMALL_BOX_PX
            and item.extents
            and all(extent.size_bytes for extent in item.extents)
            and sum(extent.size_bytes for extent in item.extents) <= _MAX_THUMBNAIL_BYTES
            # One that says less of its turning than the main picture cannot be trusted.
            and heif.orientation(item) == heif.orientation(main)
            and same_shape(shown, size)
        ):
            found.append((max(shown), item))
    return [item for _, item in sorted(found, key=lambda each: each[0])]


def covers(item: HeifItem, box_px: int) -> bool:
    """Tell whether a thumbnail is large enough for a box."""
    size = heif.size(item)
    return size is not None and max(size) >= box_px
