"""Previews found in a file -> pixels: JPEGs by the JPEG decoder, bare samples as they are."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from pregen.imaging import sniff
from pregen.imaging.decoders import jpeg
from pregen.imaging.decoders.base import WHOLE_FILE_BYTES, Opened, Pixels, Plain, Request
from pregen.imaging.faults import InvalidPicture, TruncatedPicture

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pregen.imaging.previews.layout import Preview


def read_at(request: Request, offset: int, count: int) -> bytes:
    """Return bytes of a source, from what is known of it where they are there; counts the rest."""
    head = request.head
    if 0 <= offset <= offset + count <= len(head):
        return head[offset : offset + count]
    return request.read_at(offset, count)


def opened(request: Request, preview: Preview) -> Opened:
    """Read a preview, and nothing else of the file. Raises Fault when its header makes no sense."""
    if preview.size_bytes > WHOLE_FILE_BYTES:
        raise InvalidPicture("its preview is larger than any camera makes them")
    data = read_at(request, preview.offset, preview.size_bytes)
    if len(data) < preview.size_bytes:
        raise TruncatedPicture("the file ends within its preview")
    return Samples(data, preview) if preview.rgb else jpeg_of(request, data)


def jpeg_of(request: Request, data: bytes) -> Opened:
    """Read the header of a JPEG that lay in a source. Raises Fault when it makes no sense."""
    inner = Request(-1, len(data), data, sniff.JPEG, request.reserve, request.decoder)
    return jpeg.open_picture(inner)


def samples_of(pixels: Pixels | Plain) -> NDArray[np.uint8]:
    """Return decoded pixels as rows x columns x bands."""
    if isinstance(pixels, Plain):
        return pixels.samples
    image = pixels.image
    samples = np.frombuffer(image.write_to_memory(), np.uint8)
    return samples.reshape(image.height, image.width, image.bands)


class Samples(Opened):
    """Red, green and blue, eight bits each, in rows."""

    loader = "samples"
    orientation = 1

    def __init__(self, data: bytes, preview: Preview) -> None:
        self._data = data
        self.width_px = preview.width_px
        self.height_px = preview.height_px

    def decode(self, box_px: int) -> Pixels | Plain:
        """See `base.Opened`."""
        del box_px
        shape = self.height_px, self.width_px
        pixels = np.full((*shape, 4), 255, np.uint8)
        pixels[..., :3] = np.frombuffer(self._data, np.uint8).reshape(*shape, 3)
        return Plain(pixels, (self.width_px, self.height_px))
