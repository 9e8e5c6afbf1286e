"""AVIF of more than 8 bits under an ICC profile, through libvips (libheif), which keeps the bits.

For what FFmpeg does not decode: all of it where that is not installed, and what has transparency.
Pillow hands over 8 bits, to which libavif cuts luma and chroma instead of rounding them. That is a
level of a picture in sRGB, and several in the dark parts of one in linear light or ProPhoto.
"""

from __future__ import annotations

from typing import Final

from pregen.imaging.containers import heif
from pregen.imaging.decoders import vips
from pregen.imaging.decoders.pillow import PillowPicture
from pregen.imaging.pixels import colour
from pregen.imaging.pixels.resample import Pixels, averaged
from pregen.imaging.pixels.sizes import QUARTER_TURNS
from pregen.imaging.runtime import pyvips

#: Planes of 16 bits as decoded, and RGBA of 16 bits.
_BYTES_PER_PIXEL: Final = 16
_GREEN: Final = 1
_ALPHA: Final = 3


class DeepAvif(PillowPicture):
    """An AVIF whose header Pillow has read, and which it decodes where libvips cannot."""

    def decode(self, box_px: int) -> Pixels:
        """See `base.Opened`."""
        self._request.reserve(self.width_px * self.height_px * _BYTES_PER_PIXEL)
        try:
            image = self._with_all_bits()
        except pyvips.Error as error:
            if isinstance(fault := vips.fault_of(error), MemoryError):
                raise fault from error
            image = None
        if image is None:
            return super().decode(box_px)
        # libheif has turned it.
        self.loader, self.orientation = "vips", 1
        self.width_px, self.height_px = image.width, image.height
        source = self._request.source
        if heif.is_premultiplied(source):
            image = image.unpremultiply().rint().cast(image.format)
        profile = heif.avif_colour(source).profile
        if profile[16:20] == b"GRAY":
            # Three equal bands, which a profile of grey does not fit.
            alpha = image[_ALPHA:] if image.hasalpha() else None
            image = image[_GREEN].copy(interpretation="grey16")
            image = image.bandjoin(alpha) if alpha is not None else image
        return colour.managed(averaged(image, box_px), heif.Colour(profile))

    def _with_all_bits(self) -> pyvips.Image | None:
        """Decode; None where libheif shows something else than Pillow's header says."""
        data = self._request.source.whole()
        page = vips.field(pyvips.Image.heifload_buffer(data), "heif-primary", 0)
        image = pyvips.Image.heifload_buffer(data, page=page, fail_on="error")
        size = (self.width_px, self.height_px)
        upright = size[::-1] if self.orientation in QUARTER_TURNS else size
        if (image.width, image.height) != upright or image.interpretation != "rgb16":
            return None
        return image.copy_memory()
