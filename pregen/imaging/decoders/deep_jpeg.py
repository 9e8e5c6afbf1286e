"""JPEG of more than 8 bits a sample, as scanners and medical devices write it, through FFmpeg.

The builds of libjpeg-turbo in Pillow, libvips and simplejpeg have no door to their code for more
than 8 bits. FFmpeg's decoder reads 12 bits of the sequential kind, and up to 16 without loss.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import av
import av.error
import av.logging
import numpy as np
from av.video.reformatter import ColorRange, Colorspace

from pregen.imaging.decoders.base import Opened, Request
from pregen.imaging.faults import InvalidPicture, TruncatedPicture, Unsupported
from pregen.imaging.pixels import colour
from pregen.imaging.pixels.resample import averaged, image_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pregen.imaging.containers.jpeg import JpegHead
    from pregen.imaging.pixels.resample import Pixels

av.logging.set_level(av.logging.PANIC)

_EOI: Final = b"\xff\xd9"
#: Planes of 16 bits as decoded, RGB of 16 bits, and what is lent in between.
_BYTES_PER_PIXEL: Final = 20
_DEPTH: Final = 16
_GREY: Final = 1
#: What PyAV raises for files that FFmpeg does not like.
_ERRORS: Final = (av.error.FFmpegError, ValueError, OverflowError)
_NO_DECODER: Final = (av.error.PatchWelcomeError, av.error.NotImplementedError)


class DeepJpeg(Opened):
    """A JPEG of 9 to 16 bits whose segments have been read."""

    loader = "ffmpeg"

    def __init__(self, request: Request, head: JpegHead) -> None:
        self._request = request
        self._head = head
        self.width_px, self.height_px = head.width_px, head.height_px
        self.orientation = head.orientation

    def decode(self, box_px: int) -> Pixels:
        """See `base.Opened`."""
        head = self._head
        self._request.check_size("a JPEG of more than 8 bits")
        self._request.reserve(head.width_px * head.height_px * _BYTES_PER_PIXEL)
        samples = self._samples(self._request.source.whole())
        name = "grey16" if samples.ndim == 2 else "rgb16"  # noqa: PLR2004 - rows and columns
        image = image_of(samples, name)
        if head.profile:
            colour.attach(image, head.profile)
        return averaged(image, box_px)

    def _samples(self, data: bytes) -> NDArray[np.uint16]:
        """Decode all of it; there is no way to tell how much of a damaged one is right."""
        head = self._head
        context = av.CodecContext.create("mjpeg", "r")
        context.thread_count = 1
        context.options = {"err_detect": "explode"}
        try:
            frames = context.decode(av.Packet(data))
            frame = frames[0] if frames else next(iter(context.decode(None)), None)
        except _ERRORS as error:
            if data.rfind(_EOI, head.scan_at) < 0:
                raise TruncatedPicture from error
            known = head.lossless or (head.huffman and not head.progressive)
            if isinstance(error, _NO_DECODER) or not known:
                raise Unsupported(
                    f"FFmpeg cannot decode this JPEG of {head.sample_bits} bits a sample"
                ) from error
            raise InvalidPicture(f"its data is damaged (FFmpeg: {error})") from error
        if frame is None or (frame.width, frame.height) != (head.width_px, head.height_px):
            raise InvalidPicture("FFmpeg finds no picture in it")
        rgb = bool(frame.format.is_rgb)
        grey = head.components == _GREY
        plain = frame.reformat(
            format="gray16le" if grey else "rgb48le",
            src_colorspace=None if rgb or grey else Colorspace.ITU601,
            src_color_range=ColorRange.JPEG,
            dst_color_range=ColorRange.JPEG,
            threads=1,
        )
        samples = np.asarray(plain.to_ndarray(), np.uint16)
        bits = head.sample_bits
        if rgb:
            # Of those without loss FFmpeg leaves RGB where it was, all else it shifts to the top.
            samples = samples << np.uint16(_DEPTH - bits)
        return samples | samples >> np.uint16(bits)


def open_picture(request: Request, head: JpegHead) -> DeepJpeg:
    """Take a JPEG whose segments are read. Raises Fault for what FFmpeg does not read either."""
    if head.components not in {_GREY, 3} or not 8 < head.sample_bits <= _DEPTH:  # noqa: PLR2004 - grey, colours; bits
        raise Unsupported(
            f"JPEG of {head.sample_bits} bits a sample and {head.components} components is "
            "not supported"
        )
    if min(head.width_px, head.height_px) < 1:
        raise InvalidPicture("the header says it has no pixels")
    return DeepJpeg(request, head)
