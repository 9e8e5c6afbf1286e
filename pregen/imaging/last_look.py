"""A last look before a picture is stored, or a file called damaged: another decoder is asked.

A wrong thumbnail is worse than none, for it counts as fresh and every desktop shows it. Decoders
that lose their way without an error leave pictures of one colour, or nothing visible; so
do white pages and empty layers. What is suspicious is decoded by another library, and stored only
if that sees the same. Likewise, what one library refuses may be damaged, or beyond that library.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Final

import numpy as np

from pregen.imaging import witness_names
from pregen.imaging.faults import Fault, InvalidPicture, RefusedPicture, Unsupported
from pregen.imaging.pixels import flatness
from pregen.imaging.second_opinion import second_opinion, witnesses_of
from pregen.imaging.source_bytes import WHOLE_FILE_BYTES

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pregen.imaging.decoders.base import Opened, Request
    from pregen.imaging.pixels.resample import Rgba
    from pregen.model import Flavor

#: Formats of which a library decodes what is damaged without a word: it acquits no file.
_FORGIVING: Final = frozenset({("webp", "ffmpeg")})
#: Decoders that ask a library by another name.
_LIBRARIES: Final = {
    "png": "vips", "tiff": "vips", "webp": "vips", "bmp": "pillow", "avif": "pillow",
    "heic": "libheif",
}  # fmt: skip
#: A small picture will do, to learn whether there is one.
_BOX_PX: Final = 128
#: A smaller picture of one colour is an ordinary thing.
_LARGE_PIXELS: Final = 256 * 256
#: One colour takes less in every format that packs at all: a flat JPEG a 70th of a byte a pixel.
_TINY_BYTES_PER_PIXEL: Final = 1 / 50
#: Decoders round differently, and one may know a profile better than the other.
_SAME_LEVELS: Final = 12.0


def check(made: Mapping[Flavor, Rgba], opened: Opened, request: Request, max_pixels: int) -> None:
    """Look at what is about to be stored, and ask another decoder where that is suspicious.

    Where no other one can decode the source, or it is too large to be held in memory, what was made
    is taken as it is.

    Args:
        made: The pictures, of any flavors.
        opened: What made them.
        request: The source.
        max_pixels: No larger picture is decoded.

    Raises:
        InvalidPicture: Another decoder sees something else.
        MemoryError, OSError: As `second_opinion`.
    """
    smallest = min(made, key=lambda flavor: flavor.box_px)
    seen = flatness.seen(made[smallest])
    if seen is flatness.Seen.PICTURE or opened.scalable:
        return
    pixels = opened.width_px * opened.height_px
    tiny = request.source.size_bytes < pixels * _TINY_BYTES_PER_PIXEL
    if seen is flatness.Seen.COLOUR and (pixels < _LARGE_PIXELS or tiny):
        return
    if request.source.size_bytes > WHOLE_FILE_BYTES:
        return
    box_px = smallest.box_px
    opinion = second_opinion(request, opened.loader, box_px, max_pixels, opened.orientation)
    if opinion is None or _agrees(made[smallest], opinion.rgba):
        return
    what = "nothing visible" if seen is flatness.Seen.NOTHING else "nothing but one colour"
    other = witness_names.LIBRARIES[opinion.by]
    raise InvalidPicture(
        f"it decodes to {what}, but {other} shows a picture: probably damaged; open it in another "
        "program"
    )


def _agrees(ours: Rgba, theirs: Rgba) -> bool:
    """Tell whether both show the same one colour, or nothing."""
    nothing = not theirs[..., 3].any()
    if nothing or not ours[..., 3].any():
        return nothing == (not ours[..., 3].any())
    apart = np.abs(theirs.astype(np.int16) - ours[0, 0].astype(np.int16))
    spread = theirs.std(axis=(0, 1))
    return max(float(apart.mean()), float(spread.max())) <= _SAME_LEVELS


def judged(fault: Fault, request: Request, max_pixels: int) -> Fault:
    """Return what is to be said of a source that was refused.

    Of what a library refused (`RefusedPicture`), another one is asked before it is called damaged.

    Raises:
        OSError: The source cannot be read.
    """
    if not isinstance(fault, RefusedPicture) or request.source.size_bytes > WHOLE_FILE_BYTES:
        return fault
    refuser = _LIBRARIES.get(request.format.decoder, request.format.decoder)
    others = _installed(request.format.name, refuser)
    try:
        opinion = second_opinion(request, refuser, _BOX_PX, max_pixels)
    except MemoryError:
        return fault
    if opinion is not None and opinion.whole:
        if (request.format.name, opinion.by) in _FORGIVING:
            return InvalidPicture(str(fault))
        return Unsupported(
            f"{fault}; {witness_names.LIBRARIES[opinion.by]} reads it, so it is not damaged"
        )
    if not others:
        return InvalidPicture(
            f"{fault}; no other decoder is installed that could confirm the damage"
        )
    *first, last = (witness_names.LIBRARIES[other] for other in others)
    called = f"{', '.join(first)} and {last}" if first else last
    refuse = "refuses" if len(others) == 1 else "refuse"
    return InvalidPicture(f"{fault}; {called} {refuse} it, too")


def _installed(name: str, refuser: str) -> list[str]:
    """Return the witnesses whose libraries are here."""
    found = []
    for witness in witnesses_of(name, refuser):
        try:
            importlib.import_module(f"pregen.imaging.witnesses.{witness}")
        except ImportError:
            continue
        found.append(witness)
    return found
