"""JPEG XL through pylibjxl (libjxl): the first frame, turned by libjxl as its header says.

EXIF's orientation does not count (ISO/IEC 18181-2, Annex on Exif): the codestream's does.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import pylibjxl

from pregen.imaging.containers import isobmff
from pregen.imaging.decoders.base import Opened, Request
from pregen.imaging.faults import Fault, InvalidPicture, TruncatedPicture, fault_of_message
from pregen.imaging.pixels import colour
from pregen.imaging.pixels.resample import averaged, image_of
from pregen.imaging.source_bytes import DamagedError, EndsEarlyError

if TYPE_CHECKING:
    from pregen.imaging.pixels.resample import Pixels

#: libjxl works in floats: 172 MB were measured for 21 Mpx.
_BYTES_PER_PIXEL: Final = 12
_CONTAINER: Final = b"\x00\x00\x00\x0cJXL "
#: One thread, as everywhere; kept, for its pool is built once.
_CODEC: Final = pylibjxl.JXL(threads=1, pool_size=1)


class JxlPicture(Opened):
    """A picture whose header libjxl has read."""

    loader = "libjxl"

    def __init__(self, request: Request) -> None:
        request.check_size("a JPEG XL")
        self._request = request
        try:
            header = pylibjxl.probe(request.source.whole())
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
            samples, told = _CODEC.decode(self._request.source.whole(), metadata=True)
        except MemoryError:
            raise
        except Exception as error:  # as above
            raise self._fault_of(error) from error
        colours = samples.ndim > 2 and samples.shape[2] > 2  # noqa: PLR2004 - not grey and its alpha
        image = image_of(samples, "srgb" if colours else "b-w")
        if profile := told.get("icc_profile"):
            colour.attach(image, profile)
        return averaged(image, box_px)

    def _fault_of(self, error: Exception) -> Fault | MemoryError:
        """What an error stands for; libjxl's words do not tell damage from an early end."""
        if self._ends_early():
            return TruncatedPicture()
        fault = fault_of_message(str(error))
        if isinstance(fault, InvalidPicture):
            return InvalidPicture(f"it is damaged or ends early ({error})")
        return fault

    def _ends_early(self) -> bool:
        """Tell by the boxes around the picture; one without them does not say how long it is."""
        source = self._request.source
        if not source.head.startswith(_CONTAINER):
            return False
        try:
            boxes = isobmff.boxes(source.read_at, 0, source.size_bytes)
            return any(box.end > source.size_bytes for box in boxes)
        except DamagedError as error:
            return isinstance(error, EndsEarlyError)


def open_picture(request: Request) -> JxlPicture:
    """Read the header. Raises Fault when libjxl refuses it."""
    return JxlPicture(request)
