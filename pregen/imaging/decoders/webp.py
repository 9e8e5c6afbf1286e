"""WebP: by libwebp itself, at a smaller size; by libvips what that leaves, animations among it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from pregen.imaging.containers import webp
from pregen.imaging.decoders import libwebp, webp_damage
from pregen.imaging.decoders.vips import VipsPicture
from pregen.imaging.faults import InvalidPicture
from pregen.imaging.pixels import colour
from pregen.imaging.pixels.resample import Pixels, image_of

if TYPE_CHECKING:
    from pregen.imaging.decoders.base import Opened, Request

_RGB: Final = 3


class WebpPicture(VipsPicture):
    """A WebP whose header has been read."""

    def decode(self, box_px: int) -> Pixels:
        """See `base.Opened`. What libwebp refuses, libvips is asked for."""
        return self._by_libwebp(box_px) or super().decode(box_px)

    def _by_libwebp(self, box_px: int) -> Pixels | None:
        head = webp.read(self.data) if self.data and not self.frames else None
        # Codes of lossless pictures and of alpha are counted when libvips has decoded them.
        if self.data is None or head is None or head.lossless or head.alpha:
            return None
        if (head.width_px, head.height_px) != (self.width_px, self.height_px):
            return None
        self._request.reserve(self._decode_bytes())
        small = libwebp.decode(self.data, head, box_px)
        if small is None:
            return None
        self.loader = libwebp.LOADER
        samples = np.frombuffer(small.rgba, np.uint8).reshape(small.rows, small.columns, -1)
        image = image_of(samples[..., :_RGB], "srgb")
        if head.profile:
            colour.attach(image, head.profile)
        return Pixels(image)

    def _scale(self, box_px: int) -> dict[str, Any]:
        """Options that have libwebp make the picture smaller while it decodes."""
        scale = box_px * libwebp.MARGIN / max(self.width_px, self.height_px)
        return {"scale": scale} if scale < 1 else {}

    def _check(self, options: dict[str, Any], pixels: Pixels) -> None:
        """Raise a fault where libwebp decoded damage without a word."""
        if self.data is not None:
            webp_damage.check(self.data, pixels, self._request, options)


def open_picture(request: Request) -> Opened:
    """Read the header. Raises Fault when libvips refuses it."""
    picture = WebpPicture(request)
    if picture.width_px < 1 or picture.height_px < 1:
        raise InvalidPicture("the header says it has no pixels")
    return picture
