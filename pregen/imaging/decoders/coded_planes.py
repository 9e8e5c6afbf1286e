"""Coded pictures of HEIF and AVIF by FFmpeg, which hands over planes: HEVC, and AV1 by dav1d.

A picture, or each tile of one, is handed to one named decoder as one packet; no demuxer sees the
file. What comes out has to be as its boxes say: a picture that is not is left to libheif and
libavif. Needs PyAV (the extra `video`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

import av
import av.logging
import numpy as np
from av.video.reformatter import ColorRange

from pregen.imaging.containers.coded_picture import LeftAloneError
from pregen.imaging.containers.heif import LumaCoding
from pregen.imaging.faults import ENOUGH_ROWS, InvalidPicture
from pregen.imaging.pixels import colour, planes
from pregen.imaging.pixels.planes import Planes
from pregen.imaging.pixels.resample import Pixels, image_of
from pregen.imaging.pixels.sizes import fit

if TYPE_CHECKING:
    from collections.abc import Iterator

    from av.video.frame import VideoFrame

    from pregen.imaging.containers.coded_picture import CodedPicture
    from pregen.imaging.containers.heif import HeifItem
    from pregen.imaging.decoders.base import Request
    from pregen.imaging.pixels.planes import Plane, Signal

# FFmpeg has much to say about damaged files; outcomes say what matters.
av.logging.set_level(av.logging.PANIC)

_HEVC: Final = b"hvc1"
#: Kind of item -> FFmpeg's decoder, and how it is told to look for damage. dav1d then looks where
#: the codes of each tile end (AV1, 8.2.4): damaged ones take more bytes or fewer than there are.
_DECODERS: Final = {
    _HEVC: ("hevc", {"err_detect": "explode"}),
    b"av01": ("libdav1d", {"strict": "1"}),
}
#: Cameras of Sony and Canon code whole blocks of a stored thumbnail and do not say in HEVC how many
#: rows of the last ones are picture; a block has 64 pixels at most (H.265, 7.4.3.2.1).
_PADDING_PX: Final = 63
#: What a decoder holds of a picture, and the planes that are put together.
_BYTES_PER_PIXEL: Final = 8
#: Where a picture is reduced by this, what HEVC's filters do at the edges of blocks is not seen: 55
#: to 70 dB without them, for a twentieth of the time.
_UNSEEN: Final = 4
#: Of 1, how far the worst part of a sound picture may be beyond what can be shown.
_STRANGE: Final = 0.02
#: Nothing of a sound one is anywhere near this.
_LOST: Final = 0.1
#: Of a picture. Beside what has impossible colours some is wrong as well: 3 % of one of 500 damaged
#: ones, of which 24.7 % had them.
_MOST_LOST: Final = 1 - ENOUGH_ROWS - 0.05
_EIGHT: Final = 8
_GREY: Final = "gray"
#: Layouts of FFmpeg's, without their ending for more than 8 bits -> chroma has half the columns,
#: half the rows; None for grey.
_HALVED: Final = {
    _GREY: None, "yuv420p": (True, True), "yuv422p": (True, False), "yuv444p": (False, False),
    "yuvj420p": (True, True), "yuvj422p": (True, False), "yuvj444p": (False, False),
}  # fmt: skip
_DEEP: Final = ("10le", "12le")


def pixels(
    picture: CodedPicture, request: Request, box_px: int, *, padded: bool = False
) -> Pixels | None:
    """Decode a picture and reduce it to a box; not yet turned.

    Args:
        picture: as its boxes describe it.
        request: of the file.
        box_px: what the result fits in.
        padded: the coded picture may have more rows and columns, which are padding.

    Returns:
        None: FFmpeg refuses it, or shows something else than the boxes say.

    Raises:
        InvalidPicture: most of it is damaged.
        MemoryError: there was not enough memory.
    """
    request.reserve(picture.width_px * picture.height_px * _BYTES_PER_PIXEL)
    try:
        return _pixels(picture, box_px, padded=padded)
    except LeftAloneError:
        return None


def _pixels(picture: CodedPicture, box_px: int, *, padded: bool) -> Pixels:
    reduction = max(picture.width_px, picture.height_px) / box_px
    decoded, coding = _decoded(picture, padded=padded, smooth=reduction < _UNSEEN)
    told = picture.told
    grey = told.profile[16:20] == b"GRAY"
    if grey and decoded.chroma is not None:
        raise LeftAloneError("it has colours, and a profile of grey")
    # Tones are mapped before the last reduction.
    margin = 2 if colour.maps_tones(told) else 1
    size = fit(picture.width_px, picture.height_px, margin * box_px)
    signal = planes.signal_of(decoded, coding, size)
    if picture.kind == _HEVC:
        _check_colours(signal)
    np.clip(signal, 0.0, 1.0, out=signal)
    if told.profile and not grey and signal.shape[2] == 1:
        signal = np.repeat(signal, 3, axis=2)
    # A level of 8 bits is several in the dark parts of linear light.
    deep = decoded.bits > _EIGHT and not colour.is_plain(told)
    samples = np.asarray(signal * (65535 if deep else 255) + 0.5, np.uint16 if deep else np.uint8)
    names = ("grey16", "rgb16") if deep else ("b-w", "srgb")
    image = image_of(samples, names[samples.shape[2] > 1])
    return colour.managed(Pixels(image.copy_memory()), told)


def _check_colours(signal: Signal) -> None:
    """Tell whether the decoder has lost its way: FFmpeg says nothing of damaged codes.

    Raises:
        InvalidPicture: much of the picture has colours that no RGB has.
        LeftAloneError: some of it has. libheif finds its way again with each row of blocks of some
            writers, and libde265 tells of damage (`hevc_damage`).
    """
    beyond = planes.excess(signal)
    lost = float((beyond > _LOST).mean())
    if lost > _MOST_LOST:
        raise InvalidPicture(
            f"its data is damaged: {lost:.0%} of the picture have impossible colours"
        )
    if beyond.max() > _STRANGE:
        raise LeftAloneError("it shows colours outside of RGB")


def _decoded(picture: CodedPicture, *, padded: bool, smooth: bool) -> tuple[Planes, LumaCoding]:
    """Decode all parts into planes."""
    across, parts = picture.across, picture.parts
    context: Any = None
    setup: bytes | None = None
    whole: list[Plane] = []
    layout = _Layout("", 0, 0)
    coding = LumaCoding(0, full=False)
    for index, part in enumerate(parts):
        if context is None or picture.setup(part) != setup:
            context, setup = _context(picture, part, smooth=smooth), picture.setup(part)
        frames = list(_frames(context, picture.data(part)))
        if len(frames) != 1:
            raise LeftAloneError("it is not exactly one picture")
        frame = frames[0]
        if not index:
            layout, coding = _layout(frame, picture, padded=padded), _coding(frame, picture)
        elif layout != _Layout(frame.format.name, frame.width, frame.height):
            raise LeftAloneError("its tiles differ")
        elif picture.coding is None and coding != _coding(frame, picture):
            raise LeftAloneError("its tiles differ in what their numbers mean")
        if len(parts) == 1:
            whole = [_plane(frame, number) for number in range(len(frame.planes))]
            break
        if not whole:
            whole = [
                np.empty((down_px * len(parts) // across, across_px * across), layout.dtype)
                for across_px, down_px in layout.edges()
            ]
        for number, (across_px, down_px) in enumerate(layout.edges()):
            top, left = index // across * down_px, index % across * across_px
            tile = _plane(frame, number)[:down_px, :across_px]
            whole[number][top : top + down_px, left : left + across_px] = tile
    luma, *chroma = whole
    return Planes(
        luma,
        (chroma[0], chroma[1]) if chroma else None,
        picture.width_px,
        picture.height_px,
        layout.halved or (False, False),
        layout.bits,
    ), coding


class _Layout(NamedTuple):
    """What the frames of all tiles have in common."""

    name: str
    """FFmpeg's, of the pixels."""
    width_px: int
    height_px: int

    @property
    def _ending(self) -> str:
        return next((end for end in _DEEP if self.name.endswith(end)), "")

    @property
    def bits(self) -> int:
        return int(self._ending[:2] or _EIGHT)

    @property
    def dtype(self) -> type[np.uint8 | np.uint16]:
        return np.uint16 if self._ending else np.uint8

    @property
    def halved(self) -> tuple[bool, bool] | None:
        return _HALVED[self.name.removesuffix(self._ending)]

    def is_known(self) -> bool:
        return self.name.removesuffix(self._ending) in _HALVED

    def edges(self) -> list[tuple[int, int]]:
        """Columns and rows of each plane."""
        edges = [(self.width_px, self.height_px)]
        if self.halved is not None:
            columns = -(-self.width_px // (1 + self.halved[0]))
            rows = -(-self.height_px // (1 + self.halved[1]))
            edges += [(columns, rows)] * 2
        return edges


def _context(picture: CodedPicture, part: HeifItem, *, smooth: bool) -> Any:
    codec, options = _DECODERS[picture.kind]
    if not smooth and picture.kind == _HEVC:
        options = options | {"skip_loop_filter": "all"}
    context: Any = av.CodecContext.create(codec, "r")
    context.thread_count = 1
    # A bound for what the coded picture claims; the decoder refuses what is larger.
    width_px, height_px = picture.tile_px
    most = (width_px + _PADDING_PX) * (height_px + _PADDING_PX)
    context.options = {"max_pixels": str(most), **options}
    if setup := picture.setup(part):
        context.extradata = setup
    return context


def _frames(context: Any, data: bytes) -> Iterator[VideoFrame]:
    """Yield what one coded picture decodes to. Raises LeftAloneError."""
    try:
        context.flush_buffers()
        for packet in (av.Packet(data), None):
            for frame in context.decode(packet):
                if frame.is_corrupt:
                    raise LeftAloneError("it is damaged")
                yield frame
    except (av.FFmpegError, ValueError) as error:
        # It says that memory ran out of a picture larger than `max_pixels`. Where that is so, the
        # other decoder will say it, too.
        raise LeftAloneError(str(error)) from error


def _layout(frame: VideoFrame, picture: CodedPicture, *, padded: bool) -> _Layout:
    """Raise LeftAloneError where a frame is not what the boxes say."""
    found = _Layout(frame.format.name, frame.width, frame.height)
    if not found.is_known():
        raise LeftAloneError(f"its pixels are {found.name}")
    across, down = picture.across, len(picture.parts) // picture.across
    more = (found.width_px - picture.tile_px[0], found.height_px - picture.tile_px[1])
    most = _PADDING_PX if padded and len(picture.parts) == 1 else 0
    if min(more) < 0 or max(more) > most:
        raise LeftAloneError("it is not as large as it says")
    beyond = (
        across * found.width_px - picture.width_px,
        down * found.height_px - picture.height_px,
    )
    if not (0 <= beyond[0] < found.width_px and 0 <= beyond[1] < found.height_px):
        raise LeftAloneError("its tiles do not cover it")
    edges = ((across, found.width_px), (down, found.height_px))
    for (count, edge_px), halved in zip(edges, found.halved or (False, False), strict=True):
        if halved and count > 1 and edge_px % 2:
            raise LeftAloneError("its tiles share chroma")
    return found


def _coding(frame: VideoFrame, picture: CodedPicture) -> LumaCoding:
    """Return how luma and chroma are meant, by the boxes or else by the coded picture."""
    full = frame.color_range == ColorRange.JPEG or frame.format.name.startswith("yuvj")
    found = picture.coding or LumaCoding(int(frame.colorspace), full)
    if found.matrix not in planes.WEIGHTS:
        raise LeftAloneError(f"its matrix is {found.matrix}")
    if picture.kind == _HEVC and frame.format.name.startswith(_GREY):
        # Nothing of grey tells damage; and libheif takes its luma as it is.
        raise LeftAloneError("it is grey")
    return found


def _plane(frame: VideoFrame, number: int) -> Plane:
    """Return a plane with the padding of its rows."""
    plane = frame.planes[number]
    kind = np.uint8 if frame.format.components[0].bits == _EIGHT else np.uint16
    samples: Plane = np.frombuffer(plane, kind)  # type: ignore[call-overload]  # a plane is a buffer
    return samples.reshape(plane.height, -1)
