"""What libvips' errors mean, and how much of a picture that ends early is there.

libvips is lazy: an error is raised by whatever runs the pipeline, not by the call that loads.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from pregen.imaging.faults import Fault, InvalidPicture, TruncatedPicture, Unsupported
from pregen.imaging.runtime import pyvips

if TYPE_CHECKING:
    from collections.abc import Callable

#: A picture with this share of its rows is worth showing; below it a thumbnail would mislead
#: (issue A, imaging: "about 3/4 of the rows").
ENOUGH_ROWS = 0.75
#: How many steps the rows are counted in: libvips reports an error per strip, not per row.
_STRIPS = 64

#: libvips names the C function that met the error; nobody who has photos knows it.
_FUNCTION = re.compile(r"^[A-Za-z0-9_]+: +")
_OUT_OF_MEMORY = re.compile(r"out of memory|unable to allocate|cannot allocate", re.IGNORECASE)
_NO_DECODER = re.compile(
    r"not configured|not supported|not been built in|not implemented"
    r"|unsupported (?:bit|compression|colou?r|mode|bands|depth|BMP bitfields)",
    re.IGNORECASE,
)
_ENDS_EARLY = re.compile(
    r"premature end|unexpected end|end of file|truncat|read error|not enough data|short read"
    r"|unable to parse image|invalid strip|read past end|eof",
    re.IGNORECASE,
)


def fault_of(error: pyvips.Error) -> Fault | MemoryError:
    """The fault that a libvips error stands for; MemoryError when memory ran out."""
    return fault_of_words(_words(error))


def fault_of_words(text: str) -> Fault | MemoryError:
    """The fault that a decoder's message stands for; MemoryError when memory ran out."""
    if _OUT_OF_MEMORY.search(text):
        return MemoryError(text)
    if _NO_DECODER.search(text):
        return Unsupported(text)
    if _ENDS_EARLY.search(text):
        return TruncatedPicture(f"the file ends before the picture does ({text})")
    return InvalidPicture(text)


def recover(error: pyvips.Error, load: Callable[[str], pyvips.Image]) -> pyvips.Image:
    """Begin a decode that leaves missing rows as they are, if most of the rows are there.

    Args:
        error: what a strict decode raised.
        load: begins a decode anew, with the given `fail_on`.

    Raises:
        Fault: too little is there, or the error was of another kind.
        MemoryError: the error was for want of memory.
    """
    fault = fault_of(error)
    if not isinstance(fault, TruncatedPicture):
        raise fault from error
    share = _share_of_rows(load("truncated"))
    if share < ENOUGH_ROWS:
        raise TruncatedPicture(
            f"the file ends early: {share:.0%} of the rows are there, {ENOUGH_ROWS:.0%} are needed;"
            " copy it again from its origin if you can"
        ) from error
    return load("none")


def _share_of_rows(image: pyvips.Image) -> float:
    """How much of a lazy image can be read before the error comes, 0 to 1."""
    step = max(1, image.height // _STRIPS)
    region = pyvips.Region.new(image)
    for top in range(0, image.height, step):
        try:
            region.fetch(0, top, image.width, min(step, image.height - top))
        except pyvips.Error:
            return float(top / image.height)
    return 1.0


def _words(error: pyvips.Error) -> str:
    """What libvips says, in one line: the last line is the cause, the first only names the call."""
    lines = [
        _FUNCTION.sub("", line.strip()) for line in f"{error.message}\n{error.detail}".splitlines()
    ]
    told = [line for line in lines if line and not line.startswith("unable to ")]
    return told[-1] if told else "its header is damaged"
