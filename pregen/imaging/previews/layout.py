"""What a container holds: the smaller pictures, and which of them may stand for the picture."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from pregen.imaging.containers import jpeg

if TYPE_CHECKING:
    from collections.abc import Iterable

    import numpy as np
    from numpy.typing import NDArray

    from pregen.imaging.source_bytes import SourceBytes

#: Letterboxed, squeezed and turned previews are further off than this, honest ones within 1 %.
_ASPECT_TOLERANCE: Final = 0.02
#: JPEG leaves black bars within a few levels of it.
_BLACK: Final = 16
#: Bars are as wide as shapes differ: 3:2 in 4:3 leaves 5.5 % on each side, 16:9 in 3:2 7.8 %.
#: Of 240 rows 3 % lie within the first row of blocks, which the picture beside a bar of 13 does not
#: reach with its ringing.
_BAR: Final = 0.03


class Preview(NamedTuple):
    """A smaller picture inside the file."""

    offset: int
    size_bytes: int
    width_px: int = 0
    """As stored; 0 when only its own header tells."""
    height_px: int = 0
    rgb: bool = False
    """Bare samples, 8 bits each of red, green and blue; otherwise a JPEG."""

    @property
    def long_px(self) -> int:
        """Its longer edge."""
        return max(self.width_px, self.height_px)


class Layout(NamedTuple):
    """What was found in a RAW."""

    width_px: int = 0
    """Of the full picture as stored, before orientation; 0 when not told."""
    height_px: int = 0
    orientation: int = 0
    """EXIF's 1 to 8; 0 when not told."""
    previews: tuple[Preview, ...] = ()
    sensor: tuple[int, int] = (0, 0)
    """Where the sensor data begins and ends, in bytes; zeros when not told."""


def sized(source: SourceBytes, previews: Iterable[Preview]) -> list[Preview]:
    """Return the previews that lie in the file with their sizes, the smallest first."""
    found = []
    for preview in previews:
        inside = 0 < preview.offset <= preview.offset + preview.size_bytes <= source.size_bytes
        if not inside or not preview.size_bytes:
            continue
        if not preview.width_px or not preview.height_px:
            width_px, height_px = jpeg.size_at(source, preview.offset, preview.size_bytes)
            preview = preview._replace(width_px=width_px, height_px=height_px)  # noqa: PLW2901 - the same, with its size
        if preview.width_px and preview.height_px:
            found.append(preview)
    return sorted(found, key=lambda each: (each.long_px, each.size_bytes))


def pick(layout: Layout, box_px: int) -> Preview | None:
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


def is_plausible(samples: NDArray[np.uint8]) -> bool:
    """Tell whether these pixels of a preview show a picture: not black, and without bars.

    Cameras write previews for their own screens: a 3:2 photo between black bars in 4:3, or nothing
    but black when the battery ran out. A photo of the night may look so, too; then the main picture
    is decoded, which is the truth anyway.

    Args:
        samples: rows x columns x bands; of more than three bands the first three count.
    """
    # The mean, because colour is coarser than brightness in a JPEG and bleeds into the bars.
    brightest = samples[..., :3].max(axis=2)
    rows, columns = brightest.mean(axis=1) <= _BLACK, brightest.mean(axis=0) <= _BLACK
    return not (rows.all() or _between_bars(rows) or _between_bars(columns))


def _between_bars(black: NDArray[np.bool_]) -> bool:
    wide = max(2, int(len(black) * _BAR))
    return bool(black[:wide].all() and black[-wide:].all())
