"""Why a source did not become a picture: exceptions that end one source, never a run.

    Fault                    `kind` says which outcome it becomes
     +- NotPicture           the content is no picture, video or document at all
     +- Unsupported          recognised, but nothing here can decode it
     +- NeedsExtra           recognised, and an extra that is not installed can decode it
     +- InvalidPicture       claims to be a picture and cannot be decoded
     |   +- RefusedPicture   says a library; another one may do better (`last_look`)
     +- TruncatedPicture     ends before enough of it is there
     +- TooLarge             more pixels than the limit

Running out of memory is Python's own MemoryError, of every library.
"""

from __future__ import annotations

import re

from pregen.model import Kind

#: A picture with this share of its rows is worth showing; below it a thumbnail would mislead.
ENOUGH_ROWS = 0.75

#: What the messages of libvips, Pillow, libheif and libjxl say.
_OUT_OF_MEMORY = re.compile(r"out of memory|unable to allocate|cannot allocate", re.IGNORECASE)
_NO_DECODER = re.compile(
    r"not configured|not supported|not been built in|not implemented"
    r"|unsupported (?:bit|compression|colou?r|mode|bands|depth|BMP bitfields|JPEG data precision"
    r"|SGI image mode)|unimplemented (?:DXGI|pixel) format|unknown pixel format",
    re.IGNORECASE,
)
_ENDS_EARLY = re.compile(
    r"premature end|unexpected end|end of file|truncat|read error|not enough data|short read"
    r"|unable to parse image|invalid strip|read past end|eof",
    re.IGNORECASE,
)


class Fault(Exception):  # noqa: N818 - it is the source that is at fault, not the program
    """A source that does not become a picture; the message is for the user."""

    kind = Kind.INVALID

    def __init__(self, message: str, mime: str = "") -> None:
        super().__init__(message)
        self.mime = mime


class NotPicture(Fault):
    """No magic bytes of any format that pregen knows."""

    kind = Kind.NOT_PICTURE


class Unsupported(Fault):
    """A known format, or a variant of one, for which there is no decoder."""

    kind = Kind.UNSUPPORTED


class NeedsExtra(Fault):
    """A known format whose decoder comes with an extra that is not installed."""

    kind = Kind.NEEDS_EXTRA

    def __init__(self, extra: str, mime: str, trouble: str = "") -> None:
        why = f", which is installed but does not load: {trouble}" if trouble else ""
        super().__init__(f"needs pregen[{extra}]{why}", mime)
        self.extra = extra


class InvalidPicture(Fault):
    """The decoder refused the content."""

    kind = Kind.INVALID


class RefusedPicture(InvalidPicture):
    """A library refused the content, and no other library was asked."""


class TruncatedPicture(Fault):
    """The data ends before `ENOUGH_ROWS` are there."""

    kind = Kind.TRUNCATED

    def __init__(
        self,
        message: str = ("the file ends before the picture does"),
    ) -> None:
        super().__init__(message)


class TooLarge(Fault):
    """The header promises more pixels than the limit allows."""

    kind = Kind.TOO_LARGE

    def __init__(self, width_px: int, height_px: int, limit_pixels: int) -> None:
        super().__init__(
            f"{width_px} x {height_px} pixels ({width_px * height_px / 1e6:,.0f} Mpx), over the "
            f"limit of {limit_pixels / 1e6:,.0f} Mpx (--max-pixels)"
        )


def fault_of_message(text: str) -> Fault | MemoryError:
    """Return the fault that a library's message stands for; MemoryError when memory ran out."""
    if _OUT_OF_MEMORY.search(text):
        return MemoryError(text)
    if _NO_DECODER.search(text):
        return Unsupported(text)
    if _ENDS_EARLY.search(text):
        return TruncatedPicture(f"the file ends before the picture does ({text})")
    return RefusedPicture(text)


def fault_of_error(error: Exception) -> Fault | MemoryError:
    """Return the fault that an exception of a library stands for, by its message."""
    return fault_of_message(str(error) or type(error).__name__)
