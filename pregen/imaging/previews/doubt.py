"""Whether the pixels of a preview show a picture: not black, and no bars where the picture ends.

Cameras write previews for their own screens: a 3:2 photo between black bars in 4:3, or nothing but
black when the battery ran out. A photo of the night may look so, too; then the main picture is
decoded, which is the truth anyway.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

#: JPEG leaves black bars within a few levels of it.
_BLACK: Final = 16
#: Bars are as wide as shapes differ: 3:2 in 4:3 leaves 5.5 % on each side, 16:9 in 3:2 7.8 %.
#: Of 240 rows 3 % lie within the first row of blocks, which the picture beside a bar of 13 does not
#: reach with its ringing.
_BAR: Final = 0.03


def is_doubtful(samples: NDArray[np.uint8]) -> bool:
    """Tell whether these are no picture to be shown.

    Args:
        samples: rows x columns x bands; of more than three bands the first three count.
    """
    # The mean, because colour is coarser than brightness in a JPEG and bleeds into the bars.
    brightest = samples[..., :3].max(axis=2)
    rows, columns = brightest.mean(axis=1) <= _BLACK, brightest.mean(axis=0) <= _BLACK
    return bool(rows.all()) or _between_bars(rows) or _between_bars(columns)


def _between_bars(black: NDArray[np.bool_]) -> bool:
    wide = max(2, int(len(black) * _BAR))
    return bool(black[:wide].all() and black[-wide:].all())
