"""Short films made with FFmpeg's own encoders: any codec, matrix, range and rotation."""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import av
import numpy as np
from av.video.reformatter import ColorRange, Colorspace

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from fractions import Fraction

    from tests.support.files.photo import Pixels

av.logging.set_level(av.logging.PANIC)

#: What H.273 calls the matrices, and PyAV's names for converting into them.
_MATRICES = {1: Colorspace.ITU709, 6: Colorspace.ITU601, 9: Colorspace.BT2020}
#: It searches less; pictures between others, references and filters are there all the same.
_SEARCH = {codec: {"preset": "veryfast"} for codec in ("libx264", "libx265")}
_FRAMES_PER_S = 10
_SAMPLES_PER_S = 8000


@dataclass(frozen=True)
class Look:
    """How pictures are coded."""

    pix_fmt: str = "yuv420p"
    matrix: int = 1
    """H.273, table 4; the file says the same."""
    told_matrix: int = -1
    """What the file says instead, if not -1."""
    full_range: bool = False
    transfer: int = 1
    """H.273, table 3. The pictures are taken to be coded like that already."""
    aspect: Fraction | None = None
    """Of a pixel."""


def film(
    pictures: Iterable[Pixels],
    container: str = "mp4",
    codec: str = "libx264",
    look: Look | None = None,
    *,
    gop: int = 5,
    turn: Callable[[Any], None] | None = None,
    sound: bool = False,
) -> bytes:
    """Return a film of these RGB pictures, ten a second.

    `turn` is given the stream, to set a display matrix.
    """
    look = look or Look()
    out = io.BytesIO()
    with av.open(out, "w", format=container) as writer:
        voice: Any = writer.add_stream("aac", rate=_SAMPLES_PER_S) if sound else None
        stream: Any = None
        for picture in pictures:
            if stream is None:
                stream = writer.add_stream(codec, _FRAMES_PER_S, options=_SEARCH.get(codec))
                stream.height, stream.width = picture.shape[:2]
                _prepare(stream, look, gop)
                if turn is not None:
                    turn(stream)
            writer.mux(stream.encode(_frame(picture, look)))
        if stream is not None:
            writer.mux(stream.encode(None))
        if voice is not None:
            writer.mux([*voice.encode(_silence()), *voice.encode(None)])
    return out.getvalue()


def _prepare(stream: Any, look: Look, gop: int) -> None:
    stream.pix_fmt = look.pix_fmt
    context = stream.codec_context
    context.gop_size = gop
    if look.pix_fmt.startswith("yuv"):
        context.colorspace = look.matrix if look.told_matrix < 0 else look.told_matrix
        context.color_trc = look.transfer
        context.color_range = 2 if look.full_range else 1
    if look.aspect is not None:
        context.sample_aspect_ratio = look.aspect


def _frame(picture: Pixels, look: Look) -> av.VideoFrame:
    frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), format="rgb24")
    return frame.reformat(
        format=look.pix_fmt,
        dst_colorspace=_MATRICES[look.matrix],
        src_color_range=ColorRange.JPEG,
        dst_color_range=ColorRange.JPEG if look.full_range else ColorRange.MPEG,
    )


def _silence() -> av.AudioFrame:
    frame = av.AudioFrame(format="fltp", layout="mono", samples=1024)
    frame.rate = _SAMPLES_PER_S
    for plane in frame.planes:
        plane.update(bytes(plane.buffer_size))
    return frame


def sound_only(container: str = "mp4") -> bytes:
    """Return a file with sound and no pictures."""
    return film((), container, sound=True)


def flat(colour: tuple[int, int, int], width_px: int = 320, height_px: int = 240) -> Pixels:
    """Return one picture of one colour."""
    return np.full((height_px, width_px, 3), colour, np.uint8)
