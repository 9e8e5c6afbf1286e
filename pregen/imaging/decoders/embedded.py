"""Files that are shown by a picture stored in them: what they have in common.

The stored picture goes through the ordinary decoders, with its orientation and profile, and within
the same limits. It is looked into once: a picture that is itself a container is none.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Final, NamedTuple

from pregen.imaging import sniff
from pregen.imaging.decoders.base import Opened, Request, import_decoder
from pregen.imaging.faults import (
    Fault,
    InvalidPicture,
    NeedsExtra,
    NotPicture,
    TooLarge,
    Unsupported,
)
from pregen.imaging.source_bytes import SourceBytes

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pregen.imaging.pixels.resample import Pixels, Plain

#: What may lie in another file: formats of one picture, by their names.
_STILLS: Final = frozenset(
    {"jpeg", "png", "gif", "webp", "tiff", "bmp", "avif", "heic", "jxl", "jp2", "j2k", "qoi", "svg"}
)


class Stored(NamedTuple):
    """A picture that lies in a file."""

    data: bytes
    sized: bool = False
    """It shows all of the file's picture in its full size, so its size is the original's."""
    vital: bool = False
    """The file is about this picture; one that is damaged there is a damaged file. A document or
    a song without its cover is as good as it was."""
    always: bool = True
    """As in `Opened`."""
    mime: str = ""
    """What the file turned out to be; empty for what its first bytes said."""


class EmbeddedPicture(Opened):
    """A file whose stored picture has been opened.

    Args:
        inner: that picture.
        stored: where it comes from.
    """

    def __init__(self, inner: Opened, stored: Stored) -> None:
        self.others: Iterator[EmbeddedPicture] = iter(())
        """Other pictures of the same file, for when this one cannot be decoded."""
        self._show(inner, stored)

    def _show(self, inner: Opened, stored: Stored) -> None:
        self._inner = inner
        self._stored = stored
        self.always = stored.always
        self.mime = stored.mime
        self.unsized = not stored.sized
        self._take()

    def decode(self, box_px: int) -> Pixels | Plain:
        """See `base.Opened`."""
        try:
            pixels = self._inner.decode(box_px)
        except Fault as fault:
            for other in self.others:
                with suppress(Fault):
                    pixels = other.decode(box_px)
                    self._show(other._inner, other._stored)  # noqa: SLF001 - of its own kind
                    return pixels
            raise _about(fault, vital=self._stored.vital) from fault
        self._take()
        return pixels

    def _take(self) -> None:
        inner = self._inner
        self.loader = inner.loader
        self.width_px, self.height_px = inner.width_px, inner.height_px
        self.orientation = inner.orientation
        self.scalable = inner.scalable


def open_stored(request: Request, stored: Stored) -> EmbeddedPicture:
    """Read the header of a picture that lies in a source.

    Raises:
        NotPicture: it cannot be decoded, and the file is about something else.
        Fault: it cannot be decoded, or not here.
    """
    data = stored.data
    found = sniff.sniff(data[: sniff.HEAD_BYTES])
    if found is None:
        fault = InvalidPicture("the picture stored in it is of an unknown kind")
        raise _about(fault, vital=stored.vital)
    if found.name not in _STILLS:
        raise Unsupported(f"the picture stored in it is {found.mime}")
    request.reserve(2 * len(data))
    inner = request._replace(source=SourceBytes.of(data), format=found, previews=False)
    try:
        decoder = import_decoder(found.decoder, found.extra, found.mime)
        opened: Opened = decoder.open_picture(inner)
    except Fault as fault:
        raise _about(fault, vital=stored.vital) from fault
    return EmbeddedPicture(opened, stored)


def _about(fault: Fault, *, vital: bool) -> Fault:
    """Say of a fault that it is not the file's but that of a picture in it."""
    if isinstance(fault, NeedsExtra | TooLarge | Unsupported):
        return fault
    words = f"the picture stored in it cannot be decoded: {fault}"
    return InvalidPicture(words) if vital else NotPicture(words)
