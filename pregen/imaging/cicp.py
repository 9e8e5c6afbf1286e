"""Colour told by numbers (ITU-T H.273) instead of a profile, as HEIC and AVIF do -> sRGB.

Works on small pictures only.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Final

import numpy as np

from pregen.imaging import colour, hdr
from pregen.imaging.runtime import pyvips

if TYPE_CHECKING:
    from pregen.imaging.decoders.base import Pixels
    from pregen.imaging.heifitem import Colour

#: Colour primaries (H.273, table 2).
_BT2020: Final = 9
_DISPLAY_P3: Final = 12


def managed(pixels: Pixels, told: Colour) -> Pixels:
    """Have a picture come out as it is meant: by its profile if there is one, else by numbers.

    Primaries near sRGB's stay as they are. So do HDR pictures with transparency: none are known.
    """
    image = pixels.image
    if told.profile:
        image = image.copy()
        colour.attach(image, told.profile)
    elif told.cicp is None or image.bands < 3:  # noqa: PLR2004 - R, G, B
        return pixels
    elif told.cicp.primaries == _DISPLAY_P3:
        image = image.copy()
        colour.attach(image, _display_p3())
    elif (
        told.cicp.primaries == _BT2020 or told.cicp.transfer in {hdr.PQ, hdr.HLG}
    ) and image.bands == 3:  # noqa: PLR2004 - no alpha
        image = _by_numbers(image, told.cicp.transfer)
    return pixels._replace(image=image)


def _by_numbers(image: pyvips.Image, transfer: int) -> pyvips.Image:
    most = 65535 if image.format == "ushort" else 255
    rgb = np.ascontiguousarray(hdr.to_srgb(image.numpy().astype(np.float32) / most, transfer))
    return pyvips.Image.new_from_memory(rgb.tobytes(), image.width, image.height, 3, "uchar").copy(
        interpretation="srgb"
    )


@functools.cache
def _display_p3() -> bytes:
    """Display P3 as libvips brings it."""
    return bytes(pyvips.Image.profile_load("p3"))
