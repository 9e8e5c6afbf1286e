"""What every decoder gives: a header first, pixels on request.

A decoder is a module with `open_picture(request) -> Opened`. The header is read there, so that
the size can be checked before anything is decoded; `Opened.decode` then makes the pixels.
"""

from __future__ import annotations

import mmap
import os
from typing import TYPE_CHECKING, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from pregen.config import Decoder
from pregen.imaging.runtime import pyvips
from pregen.thumbspec.fingerprint import ReadRanges

if TYPE_CHECKING:
    from collections.abc import Callable

    from pregen.imaging.formats import Format

Rgba = NDArray[np.uint8]
"""Rows x columns x 4, contiguous."""

#: Below this a decode needs no leave: every worker may hold that much at any time. A 12 Mpx
#: picture as 8-bit RGB is 36 MB.
FREE_BYTES = 64 * 1024 * 1024

#: Files up to this size are read in one piece, which is the fewest reads on a network share;
#: larger ones are streamed, so that no worker's memory grows with its sources.
WHOLE_FILE_BYTES = 64 * 1024 * 1024


class Request:
    """An open source, what is known of it, and what was read of it so far."""

    def __init__(
        self,
        fd: int,
        size_bytes: int,
        head: bytes,
        found: Format,
        ask: Callable[[int], None],
        decoder: Decoder = Decoder.AUTO,
        *,
        previews: bool = False,
    ) -> None:
        self._fd = fd
        self.size_bytes = size_bytes
        self.format = found
        self.decoder = decoder
        """The user's choice between decoders of the same format."""
        self.previews = previews
        """A JPEG's own preview will do."""
        self.bytes_read = len(head)
        """For the record: what a network share had to deliver."""
        self._ask = ask
        self._known = head
        self._seen = ReadRanges()
        self._all_told = True
        self._stream: pyvips.Source | None = None
        """Kept for libvips, which calls back into it as long as it decodes."""

    @property
    def head(self) -> bytes:
        """The first bytes; all of them when the file is shorter than `sniff.HEAD_BYTES`."""
        return self._known

    @property
    def fd(self) -> int:
        """For libraries that read by themselves: what they look at is not known then."""
        self._all_told = False
        return self._fd

    @property
    def fingerprint(self) -> str:
        """What was looked at, so far; empty where that is not known (`thumbspec.fingerprint`)."""
        return self._seen.fingerprint(self._known) if self._all_told else ""

    def read_at(self, offset: int, count: int) -> bytes:
        """`count` bytes from anywhere, fewer at the end of the file.

        Raises:
            OSError: the file cannot be read.
        """
        data = os.pread(self._fd, count, offset)
        count = min(count, self.size_bytes - offset)
        while len(data) < count and (
            more := os.pread(self._fd, count - len(data), offset + len(data))
        ):
            data += more
        self.bytes_read += len(data)
        self._seen.add(offset, data)
        return data

    def reserve(self, size_bytes: int) -> None:
        """Wait for room when a decode takes more memory than every worker may hold anyway."""
        if size_bytes > FREE_BYTES:
            self._ask(size_bytes)

    def whole(self) -> bytes:
        """All bytes of the source, in one read if the kernel allows."""
        return self.first(self.size_bytes)

    def first(self, count: int) -> bytes:
        """At least the first `count` bytes, or all there are.

        What is known already is read again: copying 64 KiB from the kernel costs less than
        joining megabytes.
        """
        count = min(count, self.size_bytes)
        if len(self._known) < count:
            data = os.pread(self._fd, count, 0)
            while len(data) < count and (more := os.pread(self._fd, count - len(data), len(data))):
                data += more
            self.bytes_read += len(data) - len(self._known)
            self._known = data
        return self._known

    def streamed(self) -> pyvips.Source:
        """The source as libvips reads it piece by piece, for what is too large to hold."""
        self.bytes_read = self.size_bytes
        self._all_told = False
        self._stream = (
            pyvips.Source.new_from_descriptor(self._fd)
            if _can_be_mapped(self._fd)
            else _in_pieces(self._fd, self.size_bytes)
        )
        return self._stream


def _can_be_mapped(fd: int) -> bool:
    """Tell whether there is address space for the whole file: libvips maps it and does not ask."""
    try:
        mmap.mmap(fd, 0, prot=mmap.PROT_READ).close()
    except (OSError, ValueError):
        return False
    return True


def _in_pieces(fd: int, size_bytes: int) -> pyvips.SourceCustom:
    """A source of 4 KiB reads: a third slower for a PNG, and all that is left for 10 GB."""
    at = 0

    def read(count: int) -> bytes:
        nonlocal at
        try:
            data = os.pread(fd, count, at)
        except OSError:
            return b""  # the end, for libvips; who asks why, reads again (`SourceFile.probe`)
        at += len(data)
        return data

    def seek(offset: int, whence: int) -> int:
        nonlocal at
        at = {os.SEEK_SET: 0, os.SEEK_CUR: at, os.SEEK_END: size_bytes}[whence] + offset
        return at

    source = pyvips.SourceCustom()
    source.on_read(read)
    source.on_seek(seek)
    return source


class Pixels(NamedTuple):
    """A decoded picture in memory: not yet turned, not yet sRGB, a little larger than wanted."""

    image: pyvips.Image
    premultiplied: bool = False
    """The colours are already multiplied by the alpha (0 to 255), as floats."""
    extent: tuple[float, float] | None = None
    """Where the picture ends, in pixels of `image`, when that is within its last column or row:
    2322 rows at 1/8 are 290.25, and a picture taken for 291 high shows shifted by a third of a
    pixel (ARCHITECTURE.md, Decisions)."""


class Plain(NamedTuple):
    """A decoded picture that is opaque, 8-bit and sRGB already, as most photos are."""

    samples: Rgba
    """Rows x columns x 4; the fourth band means nothing."""
    extent: tuple[float, float]
    """As in `Pixels`."""


class Opened(Protocol):
    """A picture whose header has been read. To be derived from: the facts have defaults."""

    loader: str
    width_px: int
    height_px: int
    """As stored, before orientation."""
    orientation: int
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
    always: bool = False
    """It needs an entry however small it is: no desktop shows it as it is, like a picture."""

    def decode(self, box_px: int) -> Pixels | Plain:
        """Decode at a scale that covers a box of `box_px`.

        Raises:
            Fault: the content cannot be decoded, or not enough of it is there.
            MemoryError: there was not enough memory.
        """
        ...
