"""How much of a JPEG's picture is sound: its codes counted, and seams looked at in its pixels.

Our C code counts (`sound.h`): damaged codes make more blocks or fewer than there have to be.
Where by chance they make as many, the blocks behind them are all brighter or darker, or of another
colour. The edge where that begins follows the blocks: from one of them to the right border, then
one row lower from the left border up to it. It is as sharp as none in a picture: one line of
pixels, exactly between two blocks, in all its length.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np
import simplejpeg

from pregen.imaging import compiled
from pregen.imaging.faults import ENOUGH_ROWS, InvalidPicture, TruncatedPicture

if TYPE_CHECKING:
    from numpy.typing import NDArray

#: Lines of pixels on both sides of an edge.
_LINES: Final = 4
#: The smallest shift that is looked for, in levels: less is hardly seen in a thumbnail.
_LEAST_SHIFT: Final = 8
#: Next to a shift the picture changes by less than this share of it from line to line.
_AROUND: Final = 1 / 4
#: As JFIF has them: what each of red, green and blue adds to Y, Cb and Cr.
_YCC: Final = ((0.299, 0.587, 0.114), (-0.169, -0.331, 0.5), (0.5, -0.419, -0.081))
_COLOURS: Final = 3


class _Seam(NamedTuple):
    """Where all that follows may be shifted: from this pixel on to the right, and all below."""

    component: int
    left_px: int
    top_px: int
    height_px: int
    """Of a row of blocks: to the left of `left_px` the shift begins that much lower."""


def check(data: bytes) -> bool:
    """Tell whether a JPEG ends early; a fault where less than `ENOUGH_ROWS` is there and sound.

    Args:
        data: a whole JPEG, or what is to be decoded of it.

    Raises:
        InvalidPicture: it is damaged.
        TruncatedPicture: it ends early.
        MemoryError: there was not enough memory.
    """
    if not compiled.IS_HERE:
        return False
    share, ends_early, seams = compiled.account(data)
    if share >= ENOUGH_ROWS and seams:
        share = min(share, _share_before(data, [_Seam(*seam) for seam in seams]))
        ends_early = ends_early and share >= ENOUGH_ROWS
    if share >= ENOUGH_ROWS:
        return ends_early
    if ends_early:
        raise TruncatedPicture(f"{share:.0%} of the picture is present, {ENOUGH_ROWS:.0%} needed")
    raise InvalidPicture(
        f"its data is damaged: {share:.0%} of the picture is certainly intact, {ENOUGH_ROWS:.0%} "
        "needed"
    )


def _share_before(data: bytes, seams: list[_Seam]) -> float:
    """Return the share of the picture before the first shift; 1 where none is in the pixels."""
    try:
        # Colour as it is stored: an edge in it is as sharp as the blocks are.
        pixels = simplejpeg.decode_jpeg(data, "RGB", fastupsample=True, strict=False)
    except ValueError:
        return 1.0  # its decoder says what is wrong
    rows, columns, _ = pixels.shape
    found = [
        ((seam.top_px + seam.height_px / 2) * columns) / (rows * columns)
        for seam in seams
        if _is_shifted(pixels, seam)
    ]
    return min(found, default=1.0)


def _is_shifted(pixels: NDArray[np.uint8], seam: _Seam) -> bool:
    """Tell whether both parts of an edge are between two lines, and of the same height."""
    left, lower = seam.left_px, seam.top_px + seam.height_px
    parts = [_steps(pixels[:, left:], seam.top_px, seam.component)]
    if lower + _LINES < len(pixels):
        parts.append(_steps(pixels[:, :left], lower, seam.component))
    shift = parts[0][_LINES - 1]
    for steps in parts:
        around = np.delete(steps, _LINES - 1)
        if abs(shift) < _LEAST_SHIFT or not 1 / 2 < steps[_LINES - 1] / shift < 2:  # noqa: PLR2004 - half and twice
            return False
        if np.abs(around).max() > abs(shift) * _AROUND:
            return False
    return True


def _steps(pixels: NDArray[np.uint8], line: int, component: int) -> NDArray[np.float64]:
    """Return what each line of pixels around one adds to the one before, in the middle of it."""
    weights = np.array(_YCC[component] if component < _COLOURS else _YCC[0])
    lines = pixels[line - _LINES : line + _LINES].astype(np.float64) @ weights
    steps: NDArray[np.float64] = np.median(np.diff(lines, axis=0), axis=1)
    return steps
