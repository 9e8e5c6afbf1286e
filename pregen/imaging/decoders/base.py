"""What every decoder gives: a header first, pixels on request.

A decoder is a module with `open_picture(request) -> Opened`. The header is read there, so that
the size can be checked before anything is decoded; `Opened.decode` then makes the pixels.
"""

from __future__ import annotations

import importlib
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, NamedTuple

from pregen.config import Decoder
from pregen.imaging.faults import InvalidPicture, NeedsExtra

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType

    from pregen.imaging.formats import Format
    from pregen.imaging.pixels.resample import Pixels, Plain
    from pregen.imaging.source_bytes import SourceBytes

#: Below this a decode needs no leave: every worker may hold that much at any time. A 12 Mpx
#: picture as 8-bit RGB is 36 MB.
FREE_BYTES = 64 * 1024 * 1024
#: For libraries that want a file whole. One of 500 Mpx at 8 bits a pixel, far more than any camera
#: makes.
MAX_WHOLE_BYTES = 512 * 1024 * 1024


class Request(NamedTuple):
    """An open source and what is wanted of it."""

    source: SourceBytes
    format: Format
    ask: Callable[[int], None]
    """Called before a large decode, with its size in bytes; returns when there is room."""
    decoder: Decoder = Decoder.AUTO
    """The user's choice between decoders of the same format."""
    previews: bool = False
    """A JPEG's own preview will do."""

    def reserve(self, size_bytes: int) -> None:
        """Wait for room when a decode takes more memory than every worker may hold anyway."""
        if size_bytes > FREE_BYTES:
            self.ask(size_bytes)

    def check_size(self, name: str, limit_bytes: int = MAX_WHOLE_BYTES) -> None:
        """Raise InvalidPicture for a file that is too large to be read whole."""
        size_bytes = self.source.size_bytes
        if size_bytes > limit_bytes:
            raise InvalidPicture(f"{name} of {size_bytes / 1e6:.0f} MB is too large")


class Opened(ABC):
    """A picture whose header has been read."""

    loader: str
    width_px: int
    height_px: int
    """As stored, before orientation."""
    orientation: int = 1
    """EXIF's 1 to 8: how the stored picture is to be turned. Asked for after `decode`."""
    pages: int = 0
    """Of a document; 0 where pages make no sense."""
    frames: int = 0
    """Of an animation; 0 where there is one picture only."""
    movie_length_s: int = 0
    """Of a video, in whole seconds; 0 where it is not known or makes no sense."""

    scalable: bool = False
    """It is drawn at the size that is wanted, so it is never too large."""
    unsized: bool = False
    """It has no pixels of its own: `width_px` and `height_px` are its proportions in large numbers,
    and its entries tell no size."""
    mime: str = ""
    """What a container turned out to be; empty for what its first bytes said."""
    always: bool = False
    """It needs an entry however small it is: no desktop shows it as it is, like a picture."""

    @abstractmethod
    def decode(self, box_px: int) -> Pixels | Plain:
        """Decode at a scale that covers a box of `box_px`.

        Raises:
            Fault: the content cannot be decoded, or not enough of it is there.
            MemoryError: there was not enough memory.
        """


def import_decoder(name: str, extra: str, mime: str) -> ModuleType:
    """Import a module of `imaging.decoders`, and with it its library.

    Args:
        name: of the module.
        extra: of pregen, that brings the library; empty when the core does.
        mime: of the source, for the message.

    Raises:
        NeedsExtra: the extra is not installed, or the library does not load.
    """
    try:
        return importlib.import_module(f"pregen.imaging.decoders.{name}")
    except ImportError as error:
        if not extra or (error.name or "").partition(".")[0] == "pregen":
            raise
        missing = isinstance(error, ModuleNotFoundError)
        raise NeedsExtra(extra, mime, "" if missing else str(error)) from error


def optional_module(name: str) -> ModuleType | None:
    """Import a module of `imaging.decoders` for what another one decodes as well.

    Returns:
        None: its library belongs to an extra that is not installed, or does not load.
    """
    try:
        return import_decoder(name, "optional", "")
    except NeedsExtra:
        return None
