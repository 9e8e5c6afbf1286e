"""Which preview may stand for a picture: it covers what is wanted and has the picture's shape."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from pregen.imaging.previews.layout import Layout, Preview

#: Letterboxed, squeezed and turned previews are further off than this, honest ones within 1 %
#: (formats-and-decoders, section 6).
_ASPECT_TOLERANCE: Final = 0.02


def choose(layout: Layout, box_px: int) -> Preview | None:
    """Return the smallest preview that covers a box and has the right shape, None without one."""
    return next(
        (
            preview
            for preview in sorted(layout.previews, key=lambda each: each.long_px)
            if preview.long_px >= box_px
            and same_shape(
                (preview.width_px, preview.height_px), (layout.width_px, layout.height_px)
            )
        ),
        None,
    )


def same_shape(one: tuple[int, int], other: tuple[int, int]) -> bool:
    """Tell whether two pictures have one aspect, within 2 %; True when the other is not known."""
    if min(other) <= 0:
        return True
    here, there = one[0] * other[1], one[1] * other[0]
    return abs(here - there) <= _ASPECT_TOLERANCE * there
