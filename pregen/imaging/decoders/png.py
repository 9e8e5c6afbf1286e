"""PNG: of 8 bits a sample in C (`boxed`), by libvips what that leaves."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pregen.imaging.containers import png
from pregen.imaging.decoders import boxed
from pregen.imaging.decoders.vips import VipsPicture
from pregen.imaging.faults import InvalidPicture
from pregen.imaging.pixels import resample, srgb_profiles

if TYPE_CHECKING:
    from pregen.imaging.decoders.base import Opened, Request
    from pregen.imaging.pixels.resample import Pixels, Plain


class PngPicture(VipsPicture):
    """A PNG whose header has been read."""

    def decode(self, box_px: int) -> Pixels | Plain:  # type: ignore[override]  # as `Opened` has it
        """See `base.Opened`. What is not plain, or not sound, libvips is asked for."""
        return self._boxed(box_px) or super().decode(box_px)

    def _boxed(self, box_px: int) -> Pixels | Plain | None:
        head = png.read(self.data) if self.data else None
        if head is None or (head.width_px, head.height_px) != (self.width_px, self.height_px):
            return None
        averaged = boxed.png_picture(self._request, head, box_px, clear=head.clear)
        if averaged is None:
            return None
        self.loader = boxed.PNG_LOADER
        profile = b"" if srgb_profiles.is_srgb(head.profile) else head.profile
        return resample.of_averaged(averaged, profile)


def open_picture(request: Request) -> Opened:
    """Read the header. Raises Fault when libvips refuses it."""
    picture = PngPicture(request)
    if picture.width_px < 1 or picture.height_px < 1:
        raise InvalidPicture("the header says it has no pixels")
    return picture
