"""JPEG XL through pylibjxl (libjxl): the first frame, turned by libjxl as its header says.

EXIF's orientation does not count (ISO/IEC 18181-2, Annex on Exif): the codestream's does.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
import pylibjxl

from pregen.imaging.containers import isobmff
from pregen.imaging.decoders import vips
from pregen.imaging.decoders.base import Opened, Pixels, Request
from pregen.imaging.decoders.vips import averaged
from pregen.imaging.faults import Fault, InvalidPicture, TruncatedPicture
from pregen.imaging.pixels import colour
from pregen.imaging.runtime import pyvips

if TYPE_CHECKING:
    from numpy.typing import NDArray

#: pylibjxl reads a file whole; as for HEIC.
_MAX_BYTES: Final = 512 * 1024 * 1024
#: libjxl works in floats: 172 MB were measured for 21 Mpx.
_BYTES_PER_PIXEL: Final = 12
_CONTAINER: Final = b"\x00\x00\x00\x0cJXL "
#: One thread, as everywhere; kept, for its pool is built once.
_CODEC: Final = pylibjxl.JXL(threads=1, pool_size=1)


class JxlPicture(Opened):
    """A picture whose header libjxl has read."""

    loader = "libjxl"
    orientation = 1

    def __init__(self, request: Request) -> None:
        if request.size_bytes > _MAX_BYTES:
            raise InvalidPicture(f"a JPEG XL of {request.size_bytes / 1e6:.0f} MB is not read")
        self._request = request
        try:
            header = pylibjxl.probe(request.whole())
        except MemoryError:
            raise
        except Exception as error:  # RuntimeError today; the library is young
            raise self._fault_of(error) from error
        # Of the picture as it is shown: libjxl has applied the orientation.
        self.width_px, self.height_px = int(header["width"]), int(header["height"])

    def decode(self, box_px: int) -> Pixels:
        """See `base.Opened`."""
        self._request.reserve(self.width_px * self.height_px * _BYTES_PER_PIXEL)
        try:
            samples, told = _CODEC.decode(self._request.whole(), metadata=True)
        except MemoryError:
            raise
        except Exception as error:  # as above
            raise self._fault_of(error) from error
        return averaged(_to_vips(samples, told.get("icc_profile") or b""), box_px)

    def _fault_of(self, error: Exception) -> Fault | MemoryError:
        """What an error stands for; libjxl's words do not tell damage from an early end."""
        if self._ends_early():
            return TruncatedPicture(
                "the file ends before the picture does; copy it again from its origin if you can"
            )
        fault = vips.fault_of_words(str(error))
        if isinstance(fault, InvalidPicture):
            return InvalidPicture(f"it is damaged or ends early ({error})")
        return fault

    def _ends_early(self) -> bool:
        """Tell by the boxes around the picture; one without them does not say how long it is."""
        data = self._request.whole()
        if not data.startswith(_CONTAINER):
            return False
        try:
            return any(
                box.end > len(data)
                for box in isobmff.top(lambda at, count: data[at : at + count], len(data))
            )
        except isobmff.EndsEarlyError:
            return True
        except isobmff.BoxError:
            return False


def open_picture(request: Request) -> JxlPicture:
    """Read the header. Raises Fault when libjxl refuses it."""
    return JxlPicture(request)


def _to_vips(samples: NDArray[np.uint8], profile: bytes) -> pyvips.Image:
    samples = np.ascontiguousarray(samples)
    height_px, width_px = samples.shape[:2]
    bands = 1 if samples.ndim == 2 else samples.shape[2]  # noqa: PLR2004 - rows and columns only
    image = pyvips.Image.new_from_memory(samples.data, width_px, height_px, bands, "uchar").copy(
        interpretation="srgb" if bands > 2 else "b-w"  # noqa: PLR2004 - R, G, B
    )
    if profile:
        colour.attach(image, profile)
    return image
