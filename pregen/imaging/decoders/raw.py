"""Camera RAWs: the smallest embedded preview that covers what is wanted, read by its byte range.

That takes no extra. Where there is none of the right shape, LibRaw (`libraw`) has a try.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pregen.imaging.containers import isobmff
from pregen.imaging.decoders import jpeg
from pregen.imaging.decoders.base import Opened, Request, import_decoder
from pregen.imaging.faults import Fault, TruncatedPicture
from pregen.imaging.pixels.resample import samples_of
from pregen.imaging.previews import raw
from pregen.imaging.previews.layout import Layout, is_plausible, pick
from pregen.imaging.source_bytes import DamagedError

if TYPE_CHECKING:
    from pregen.imaging.pixels.resample import Pixels, Plain


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
        preview = pick(self._layout, box_px)
        if preview is not None:
            try:
                inner = jpeg.open_preview(self._request, preview)
                pixels = inner.decode(box_px)
            except Fault:
                pass  # LibRaw develops the picture itself
            else:
                if not is_plausible(samples_of(pixels)):
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
    source = request.source
    try:
        layout = raw.layout(source)
    except DamagedError:
        return _developed(request)
    end = layout.sensor[1]
    if request.format is isobmff.CR3:
        end = max(end, isobmff.declared_bytes(source.read_at, source.size_bytes))
    if end > source.size_bytes:
        raise TruncatedPicture(
            f"the sensor data end at byte {end:,}, the file at {source.size_bytes:,}"
        )
    if min(layout.width_px, layout.height_px) < 1:
        return _developed(request)
    return RawPicture(request, layout)


def _developed(request: Request) -> Opened:
    """Leave it to LibRaw. NeedsExtra where that is not installed."""
    libraw = import_decoder("libraw", "raw", request.format.mime)
    opened: Opened = libraw.LibrawPicture(request)
    return opened
