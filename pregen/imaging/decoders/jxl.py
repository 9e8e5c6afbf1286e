"""JPEG XL through pylibjxl (libjxl): the first frame, turned by libjxl as its header says.

EXIF's orientation does not count (ISO/IEC 18181-2, Annex on Exif): the codestream's does.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pylibjxl

from pregen.imaging.containers import isobmff, jxl
from pregen.imaging.containers.heif import Cicp, Colour
from pregen.imaging.decoders.base import Opened, Request
from pregen.imaging.faults import (
    Fault,
    InvalidPicture,
    RefusedPicture,
    TruncatedPicture,
    fault_of_message,
)
from pregen.imaging.pixels import colour
from pregen.imaging.pixels.resample import averaged, image_of
from pregen.imaging.source_bytes import DamagedError, EndsEarlyError

if TYPE_CHECKING:
    from numpy.typing import NDArray

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
        header = self._header()
        try:
            samples, profile = self._samples(header)
        except MemoryError:
            raise
        except Exception as error:  # as above
            raise self._fault_of(error) from error
        if samples.ndim < 3:  # noqa: PLR2004 - rows, columns, bands
            samples = samples[..., np.newaxis]
        colours = samples.shape[2] > 2  # noqa: PLR2004 - not grey and its alpha
        if header.premultiplied and samples.shape[2] in {2, 4}:
            samples = _unmultiplied(samples)
        meant = Colour()
        if not header.icc:
            samples, meant = _by_numbers(samples, header, colours=colours)
        elif header.xyb:
            samples = _with_srgb_curve(samples, jxl.LINEAR)
        else:
            meant = Colour(profile=profile)
        image = image_of(samples, "srgb" if colours else "b-w")
        return colour.managed(averaged(image, box_px), meant)

    def _samples(self, header: jxl.JxlHeader) -> tuple[NDArray[np.uint8], bytes]:
        """Return the samples of the first frame, and the profile where one is wanted."""
        data = self._request.source.whole()
        if header.animated and not (header.icc and not header.xyb):
            return _CODEC.decode(data), b""
        samples, told = _CODEC.decode(data, metadata=True)
        # Asked for more than the samples, pylibjxl (0.5) goes on to the last frame.
        first = _CODEC.decode(data) if header.animated else samples
        return first, told.get("icc_profile") or b""

    def _header(self) -> jxl.JxlHeader:
        try:
            return jxl.read(self._request.source)
        except DamagedError:
            # What libjxl decodes and we do not understand is taken for sRGB.
            return jxl.JxlHeader()

    def _fault_of(self, error: Exception) -> Fault | MemoryError:
        """What an error stands for; libjxl's words do not tell damage from an early end."""
        if self._ends_early():
            return TruncatedPicture()
        fault = fault_of_message(str(error))
        if isinstance(fault, InvalidPicture):
            return RefusedPicture(f"libjxl cannot read it ({error})")
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


def _unmultiplied(samples: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Take the alpha out of the colours it is multiplied into."""
    alpha = samples[..., -1:]
    whole = samples[..., :-1].astype(np.uint16)
    found = samples.copy()
    found[..., :-1] = np.minimum((whole * 255 + alpha // 2) // np.maximum(alpha, 1), 255)
    return found


def _by_numbers(
    samples: NDArray[np.uint8], header: jxl.JxlHeader, *, colours: bool
) -> tuple[NDArray[np.uint8], Colour]:
    """Bring samples to sRGB's curve, and say what their primaries are."""
    if header.transfer in {colour.PQ, colour.HLG} and not header.gamma:
        return samples, Colour(cicp=Cicp(header.primaries_number, header.transfer))
    samples = _with_srgb_curve(samples, header.transfer, header.gamma)
    if not colours or colour.is_near_srgb(header.primaries, header.white):
        return samples, Colour()
    return samples, Colour(profile=colour.profile_of(header.primaries, header.white))


def _with_srgb_curve(
    samples: NDArray[np.uint8], transfer: int, gamma: float = 0.0
) -> NDArray[np.uint8]:
    """Replace a transfer function (H.273's number, or a gamma) by sRGB's; alpha stays.

    At full size, so that what is reduced are code values, as in every other format.
    """
    codes = colour.srgb_codes(transfer, gamma)
    if codes is None:
        return samples
    found: NDArray[Any] = codes[samples]
    if samples.shape[2] in {2, 4}:
        found[..., -1] = samples[..., -1]
    return found
