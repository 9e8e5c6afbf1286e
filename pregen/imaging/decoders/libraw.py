"""RAWs that have no preview we can use, through LibRaw (rawpy): its own preview, or half the size.

LibRaw shows a grey picture where data are missing; its callers judge that first.
"""

from __future__ import annotations

import io
import os
from typing import TYPE_CHECKING, Final

import rawpy

from pregen.imaging.decoders import jpeg
from pregen.imaging.decoders.base import Opened, Request
from pregen.imaging.faults import Fault, InvalidPicture, TruncatedPicture, Unsupported
from pregen.imaging.pixels.resample import opaque, samples_of
from pregen.imaging.previews.layout import is_plausible, same_shape

if TYPE_CHECKING:
    from pregen.imaging.pixels.resample import Pixels, Plain, Samples

#: LibRaw's flip -> EXIF's orientation.
_TURNS: Final = {0: 1, 3: 3, 5: 8, 6: 6}
#: Half size keeps 16-bit sensor data, four colours of a quarter of them, and the result.
_BYTES_PER_PIXEL: Final = 6


class LibrawPicture(Opened):
    """A RAW whose metadata LibRaw has read."""

    loader = "libraw"

    def __init__(self, request: Request) -> None:
        self._request = request
        source = request.source
        source.bytes_read = source.size_bytes
        try:
            self._raw = open_raw(request)
        except rawpy.LibRawError as error:
            raise _fault(error) from error
        sizes = self._raw.sizes
        self.width_px, self.height_px = sizes.width, sizes.height
        self.orientation = _TURNS.get(sizes.flip, 1)
        if min(self.width_px, self.height_px) < 1:
            raise InvalidPicture("the header says it has no pixels")

    def decode(self, box_px: int) -> Pixels | Plain:
        """See `base.Opened`."""
        with self._raw:
            found = self._preview(box_px)
            return found if found is not None else self._half()

    def _preview(self, box_px: int) -> Pixels | Plain | None:
        try:
            thumb = self._raw.extract_thumb()
            if thumb.format != rawpy.ThumbFormat.JPEG:
                return None
            inner = jpeg.open_embedded(self._request, bytes(thumb.data))
            size = inner.width_px, inner.height_px
            if max(size) < box_px or not same_shape(size, (self.width_px, self.height_px)):
                return None
            pixels = inner.decode(box_px)
        except (rawpy.LibRawError, Fault):
            return None
        if not is_plausible(samples_of(pixels)):
            return None
        self.loader = "libraw-preview"
        return pixels

    def _half(self) -> Plain:
        self._request.reserve(self.width_px * self.height_px * _BYTES_PER_PIXEL)
        try:
            rgb: Samples = self._raw.postprocess(
                half_size=True, use_camera_wb=True, user_flip=0, output_bps=8
            )
        except rawpy.LibRawError as error:
            raise _fault(error) from error
        return opaque(rgb)


def open_raw(request: Request) -> rawpy.RawPy:
    """Have LibRaw open a source.

    By descriptor, so that it reads what it needs; a name is never handed on. The kernel opens the
    file once more for that, which a worker may not do to one outside its walls (links, lists of
    files): it is read whole then.

    Raises:
        Fault: it would have to be read whole, and is too large for that.
        rawpy.LibRawError: LibRaw refuses it.
        OSError: it cannot be read.
    """
    source = request.source
    path = f"/proc/self/fd/{source.fd}"
    if _may_be_opened(path):
        return rawpy.imread(path)
    request.check_size("a RAW outside the folders of the run")
    request.reserve(2 * source.size_bytes)
    return rawpy.imread(io.BytesIO(source.whole()))


def _may_be_opened(path: str) -> bool:
    try:
        os.close(os.open(path, os.O_RDONLY | os.O_CLOEXEC))
    except PermissionError:
        return False
    return True


def _fault(error: rawpy.LibRawError) -> Fault | MemoryError:
    words = str(error.args[0].decode() if isinstance(error.args[0], bytes) else error)
    match type(error).__name__:
        case "LibRawFileUnsupportedError" | "LibRawNotImplementedError":
            return Unsupported(f"LibRaw does not support this camera: {words}")
        case "LibRawIOError" | "LibRawInputClosedError":
            return TruncatedPicture(f"the file ends too early: {words}")
        case "LibRawUnsufficientMemoryError":
            return MemoryError(words)
        case _:
            return InvalidPicture(f"LibRaw: {words}")
