"""Camera RAWs: the smallest embedded preview that covers what is wanted, read by its byte range.

That takes no extra. Where there is none of the right shape, LibRaw (`libraw`) has a try.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

from pregen.imaging.containers import isobmff
from pregen.imaging.decoders import jpeg
from pregen.imaging.decoders.base import Opened, Pixels, Plain, Request
from pregen.imaging.faults import Fault, NeedsExtra, TruncatedPicture
from pregen.imaging.previews import raw
from pregen.imaging.previews.layout import ByteSource, DamagedError, Layout, choose, is_doubtful

if TYPE_CHECKING:
    from collections.abc import Callable

_TIFF = frozenset({b"II", b"MM"})


class RawPicture(Opened):
    """A RAW whose structure has been read."""

    loader = "preview"

    def __init__(self, request: Request, layout: Layout) -> None:
        self._request = request
        self._layout = layout
        self.width_px, self.height_px = layout.width_px, layout.height_px
        self.orientation = layout.orientation or 1

    def decode(self, box_px: int) -> Pixels | Plain:
        """See `base.Opened`."""
        preview = choose(self._layout, box_px)
        if preview is not None:
            try:
                inner = jpeg.opened(self._request, preview)
                pixels = inner.decode(box_px)
            except Fault:
                pass  # LibRaw develops the picture itself
            else:
                if is_doubtful(jpeg.samples_of(pixels)):
                    return self._develop(box_px)
                self.orientation = self._layout.orientation or inner.orientation
                return pixels
        return self._develop(box_px)

    def _develop(self, box_px: int) -> Pixels | Plain:
        developed = _developed(self._request)
        pixels = developed.decode(box_px)
        self.loader = developed.loader
        self.orientation = developed.orientation
        return pixels


def open_picture(request: Request) -> Opened:
    """Read the structure. Raises Fault when the file ends early, or LibRaw refuses it."""

    def read_at(offset: int, count: int) -> bytes:
        return jpeg.read_at(request, offset, count)

    head = request.head
    try:
        layout = _finder(head)(ByteSource(read_at, request.size_bytes, head))
    except DamagedError:
        return _developed(request)
    end = max(layout.sensor[1], _declared(request, read_at))
    if end > request.size_bytes:
        raise TruncatedPicture(
            f"the sensor data end at byte {end:,}, the file at {request.size_bytes:,}"
        )
    if min(layout.width_px, layout.height_px) < 1:
        return _developed(request)
    return RawPicture(request, layout)


def _declared(request: Request, read_at: Callable[[int, int], bytes]) -> int:
    boxes = request.format.mime == "image/x-canon-cr3"
    return isobmff.declared_bytes(read_at, request.size_bytes) if boxes else 0


def _finder(head: bytes) -> Callable[[ByteSource], Layout]:
    if head.startswith(b"FUJIFILM"):
        return raw.find_raf
    if head[4:8] == b"ftyp":
        return raw.find_cr3
    if head[:2] in _TIFF and head[6:10] != b"HEAP":
        return raw.find_tiff
    return _unknown


def _unknown(_: ByteSource) -> Layout:
    raise DamagedError("a container we do not know")


def _developed(request: Request) -> Opened:
    """Leave it to LibRaw. NeedsExtra where that is not installed."""
    try:
        libraw = importlib.import_module("pregen.imaging.decoders.libraw")
    except ImportError as error:
        if (error.name or "").partition(".")[0] == "pregen":
            raise
        missing = isinstance(error, ModuleNotFoundError)
        trouble = "" if missing else str(error)
        raise NeedsExtra("raw", request.format.mime, trouble) from error
    opened: Opened = libraw.LibrawPicture(request)
    return opened
