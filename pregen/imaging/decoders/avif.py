"""AVIF: opened by Pillow (libavif), decoded by dav1d alone where FFmpeg is installed.

Pillow makes RGB of every pixel, of 8 bits. dav1d's planes are reduced first, and keep their bits.
What is more than a coded picture or a grid of them (transparency, layers, frames), or has colours
that are told in an unusual way, stays with Pillow; without FFmpeg, what has more than 8 bits and an
ICC profile goes to libvips.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pregen.imaging.containers import coded_picture, heif
from pregen.imaging.decoders import base
from pregen.imaging.decoders.deep_avif import DeepAvif
from pregen.imaging.decoders.pillow import PillowPicture
from pregen.imaging.source_bytes import DamagedError

if TYPE_CHECKING:
    from pregen.imaging.containers.coded_picture import CodedPicture
    from pregen.imaging.decoders.base import Opened, Request
    from pregen.imaging.pixels.resample import Pixels, Plain

_BY_FFMPEG: Final = "coded_planes"


class AvifPicture(base.Opened):
    """An AVIF whose header Pillow has read, and whose boxes are understood.

    Args:
        opened: what decodes it where FFmpeg does not.
    """

    def __init__(self, request: Request, opened: Opened, coded: CodedPicture) -> None:
        self._request = request
        self._opened = opened
        self._coded = coded
        self._take()

    def decode(self, box_px: int) -> Pixels | Plain:
        """See `base.Opened`."""
        module = base.optional_module(_BY_FFMPEG)
        if module is not None:
            pixels: Pixels | None = module.pixels(self._coded, self._request, box_px)
            if pixels is not None:
                self.loader = "ffmpeg"
                return pixels
        found = self._opened.decode(box_px)
        self._take()
        return found

    def _take(self) -> None:
        opened = self._opened
        self.loader = opened.loader
        self.width_px, self.height_px = opened.width_px, opened.height_px
        self.orientation = opened.orientation


def open_picture(request: Request) -> Opened:
    """Read the header. Raises Fault when Pillow refuses it."""
    source = request.source
    deep = heif.is_deep_under_profile(source)
    opened = DeepAvif(request) if deep else PillowPicture(request)
    if opened.frames or base.optional_module(_BY_FFMPEG) is None:
        return opened
    try:
        meta = heif.read(source.read_at, source.size_bytes)
    except DamagedError:
        return opened
    main = meta.items.get(meta.primary)
    coded = main and coded_picture.described(meta, main, source.read_at, source.size_bytes)
    if not coded or (coded.width_px, coded.height_px) != (opened.width_px, opened.height_px):
        return opened
    return AvifPicture(request, opened, coded)
