"""Whether a WebP shows what was written, which libwebp does not tell.

Its codes are arithmetic or of changing lengths: damaged ones mean something as well, and take more
bytes or fewer than there are. Lossy pictures are decoded once more without their last bytes, which
must fail. The codes of their first partition are counted (`vp8.h`), and those of lossless ones and
of alpha (`vp8l.h`).

What is left are lossless pictures of which a few codes are wrong and make as many pixels. Pixels
are differences from those before, so that all that follow are off by some levels of one colour or
the other, and jump over an end of the range: from 250 to 5, while the other colours hardly change.
Drawings have such edges, too. But from one row on, all the way down, and nowhere above, in a
picture that has few other edges, only damage makes them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from pregen.imaging import compiled
from pregen.imaging.containers import webp
from pregen.imaging.decoders import libwebp
from pregen.imaging.faults import InvalidPicture, fault_of_message
from pregen.imaging.runtime import pyvips

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pregen.imaging.decoders.base import Request
    from pregen.imaging.pixels.resample import Pixels

#: Of a picture in full: what libwebp decodes, and what libvips makes of it.
_BYTES_PER_PIXEL: Final = 8
_COLOURS: Final = 3
#: In the reduced picture: the change from a pixel to the next of one colour, that of another, and
#: the share of such pixels. Photos have 0.3 %, a fourth of all pictures more than this; after
#: damage it is 0.9 % at least. Only these are looked at.
_COLOURED, _PLAIN, _SUSPICIOUS = 48, 16, 0.006
#: The picture is looked at in so many bands, each of so many rows at most.
_BANDS: Final = 64
_ROWS: Final = 16
#: What is a jump over the end, an ordinary edge, and how much other colours may change at a jump.
_JUMP_LEVELS: Final = 208
_EDGE_LEVELS: Final = (80, 176)
_OTHER_LEVELS: Final = 40
#: A band is damaged where so many pixels jump in one or two colours, few others have edges, and
#: most are no flat areas.
_JUMPS: Final = 0.004
_EDGES_PER_JUMP: Final = 2
_ALIVE: Final = 0.5
#: Above the first such band hardly any jumps in any way; below, so many bands are like it, and
#: they are so much of the picture. Of 1,343 sound pictures of all kinds none comes near all of
#: this; of 200 damaged ones whose codes are counted right, 192 do.
_JUMPS_ABOVE: Final = 0.01
_OF_THE_REST: Final = 0.4
_OF_ALL: Final = 0.125


def check(data: bytes, pixels: Pixels, request: Request, options: dict[str, Any]) -> None:
    """Raise InvalidPicture where a WebP that libwebp decoded is damaged.

    Args:
        data: a whole WebP.
        pixels: what was decoded, reduced to some hundred pixels.
        request: of the file; asked before its picture is decoded in full.
        options: of libvips' loader, for a picture of any size.

    Raises:
        InvalidPicture: see above.
        MemoryError: there was not enough memory.
    """
    picture = webp.first_picture(data)
    if picture is None:
        return
    codes = picture.lossless
    sound, predicted = _counted(codes) if codes else (None, False)
    if picture.kind == webp.LOSSY or sound is None:
        sound = sound is not False and _needs_its_end(picture, options)
    if picture.kind == webp.LOSSY:
        sound = sound and libwebp.reads_first_partition(picture.data)
    if sound and predicted and picture.kind == webp.LOSSLESS and _is_suspicious(pixels):
        image = pyvips.Image.webpload_buffer(data, access="sequential")
        request.reserve(image.width * image.height * _BYTES_PER_PIXEL)
        sound = not _jumps_from_a_row_on(image)
    if not sound:
        raise InvalidPicture("its data is damaged, and a part of the picture would be wrong")


def _counted(codes: webp.LosslessCodes) -> tuple[bool | None, bool]:
    """Tell whether codes are those that were written, and whether pixels are differences.

    None: they are not counted.
    """
    if not compiled.IS_HERE or not codes.width_px or not codes.height_px:
        return None, False
    return compiled.lossless(*codes)


def _needs_its_end(picture: webp.CodedWebp, options: dict[str, Any]) -> bool:
    """Tell whether libwebp reads all of a picture, as it does where nothing is damaged."""
    part = picture.without_end()
    if part is None:
        return True
    try:
        image = pyvips.Image.webpload_buffer(part, access="sequential", fail_on="error", **options)
        image.avg()
    except pyvips.Error as error:
        if isinstance(fault := fault_of_message(str(error)), MemoryError):
            raise fault from error
        return True
    return False


def _is_suspicious(pixels: Pixels) -> bool:
    """Tell whether a reduced picture has many coloured edges."""
    image = pixels.image
    if image.bands < _COLOURS:
        return False
    samples = image.extract_band(0, n=_COLOURS).numpy().astype(np.int16)
    shares = []
    for axis in (0, 1):
        apart = np.abs(np.diff(samples, axis=axis))
        coloured = (apart.max(-1) >= _COLOURED) & (apart.min(-1) <= _PLAIN)
        shares.append(float(coloured.mean()) if coloured.size else 0.0)
    return sum(shares) / 2 > _SUSPICIOUS


def _jumps_from_a_row_on(image: pyvips.Image) -> bool:
    """Tell whether all below some row looks as after damage, and nothing above."""
    region = pyvips.Region.new(image)
    count = min(_BANDS, image.height)
    found = []
    for band in range(count):
        top, end = (image.height * n // count for n in (band, band + 1))
        rows = min(_ROWS, end - top)
        data = region.fetch(0, top, image.width, rows)
        samples = np.frombuffer(data, np.uint8).reshape(rows, image.width, image.bands)
        found.append(_band(samples[..., :_COLOURS].astype(np.int16)))
    jumps, single, edges, alive = np.array(found).T
    damaged = (single >= _JUMPS) & (edges <= _EDGES_PER_JUMP * single) & (alive >= _ALIVE)
    first = int(np.argmax(damaged))
    return bool(
        first
        and jumps[:first].mean() < _JUMPS_ABOVE
        and alive[:first].mean() >= _ALIVE
        and damaged[first:].mean() >= _OF_THE_REST
        and damaged.mean() >= _OF_ALL
    )


def _band(samples: NDArray[np.int16]) -> tuple[Any, ...]:
    """Return shares of pixels of rows x columns x 3 that differ from the one before.

    By a jump, by a jump of one or two colours while others stay, by an ordinary edge, at all.
    """
    apart = np.abs(np.diff(samples, axis=1))
    if not apart.size:
        return (0.0, 0.0, 0.0, 0.0)
    jump = apart >= _JUMP_LEVELS
    least, most = _EDGE_LEVELS
    single = jump.any(-1) & ~jump.all(-1) & (np.where(jump, 0, apart).max(-1) <= _OTHER_LEVELS)
    edge = ((apart >= least) & (apart <= most)).any(-1)
    return jump.any(-1).mean(), single.mean(), edge.mean(), apart.any(-1).mean()
