"""Why a source did not become a picture: exceptions that end one source, never a run.

    Fault                    `kind` says which outcome it becomes
     +- NotPicture           the content is no picture, video or document at all
     +- Unsupported          recognised, but nothing here can decode it
     +- NeedsExtra           recognised, and an extra that is not installed can decode it
     +- InvalidPicture       claims to be a picture and cannot be decoded
     +- TruncatedPicture     ends before enough of it is there
     +- TooLarge             more pixels than the limit

Running out of memory is Python's own MemoryError, whichever library met it.
"""

from __future__ import annotations

from pregen.model import Kind


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


class TruncatedPicture(Fault):
    """The data ends before about three quarters of the rows are there."""

    kind = Kind.TRUNCATED


class TooLarge(Fault):
    """The header promises more pixels than the limit allows."""

    kind = Kind.TOO_LARGE

    def __init__(self, width_px: int, height_px: int, limit_pixels: int) -> None:
        super().__init__(
            f"{width_px} x {height_px} pixels ({width_px * height_px / 1e6:,.0f} Mpx) are more than"
            f" the limit of {limit_pixels / 1e6:,.0f} Mpx; raise it with --max-pixels if you trust"
            " the file"
        )
