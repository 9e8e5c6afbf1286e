"""FFmpeg (PyAV): its own decoders of HEVC, JPEG 2000, BMP, TGA, PCX, QOI and many more.

A file is handed to one named decoder as one packet: no demuxer looks at it, and no other decoder.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Any, Final, NamedTuple, cast

import av
import numpy as np
from av.sidedata.sidedata import Type
from av.video.reformatter import ColorRange

from pregen.imaging.containers import heif, jp2
from pregen.imaging.containers.heif import Colour
from pregen.imaging.decoders import bmp, psd
from pregen.imaging.faults import Fault
from pregen.imaging.pixels.resample import image_of
from pregen.imaging.runtime import pyvips
from pregen.imaging.source_bytes import DamagedError
from pregen.imaging.witnesses import photoshop
from pregen.imaging.witnesses.base import NoWitness, Question, Sight

if TYPE_CHECKING:
    from av.sidedata.sidedata import SideDataContainer
    from av.video.frame import VideoFrame

    from pregen.imaging.containers.heif import HeifItem, Meta
    from pregen.imaging.source_bytes import SourceBytes
    from pregen.imaging.witnesses.base import Samples

_CODECS: Final = {
    "bmp": "bmp", "tga": "targa", "pcx": "pcx", "qoi": "qoi", "jp2": "jpeg2000", "j2k": "jpeg2000",
    "psd": "psd", "jpeg": "mjpeg", "png": "png", "tiff": "tiff", "webp": "webp",
}  # fmt: skip
_PNM: Final = {
    b"P1": "pbm", b"P4": "pbm", b"P2": "pgm", b"P5": "pgm", b"P3": "ppm", b"P6": "ppm",
}  # fmt: skip
_JPEG_2000: Final = frozenset({"jp2", "j2k"})
#: Enumerated spaces that it knows; -1: none is told.
_JPEG_2000_SPACES: Final = frozenset({-1, jp2.GREY, jp2.SRGB, jp2.SYCC})
_EIGHT: Final = 8
#: What swscale spreads over all levels has as many bits at least.
_LEAST: Final = 5
#: H.273's matrix -> the share of red and of blue in luma (table 4).
_WEIGHTS: Final = {1: (0.2126, 0.0722), 5: (0.299, 0.114), 6: (0.299, 0.114), 9: (0.2627, 0.0593)}
#: Coded pictures of HEIF: the decoder, and the property that configures it.
_HEIF: Final = {b"hvc1": ("hevc", b"hvcC"), b"av01": ("libdav1d", b"av1C")}
#: More tiles than a picture of 500 Mpx has in tiles of 512 x 512.
_MAX_TILES: Final = 4096


def look(question: Question) -> Sight:
    """Decode a source. Raises NoWitness, TooLarge, MemoryError."""
    request = question.request
    name = request.format.name
    try:
        if name in {"heic", "avif"}:
            return _heif(question)
        if name == "psd":
            photoshop.check(request.source.head, {1: 1, 3: 3}, {8, 16})
        if name in _JPEG_2000:
            _check_jp2(request.source)
        codec = _PNM.get(request.source.head[:2], "") if name == "ppm" else _CODECS[name]
        frame = _decoded(codec, request.source.whole(), question)
        colour = _colour(name, request.source, frame)
    except (av.FFmpegError, ValueError, DamagedError, Fault) as error:
        raise NoWitness(f"FFmpeg: {error}") from error
    # sYCC fills its range (ISO 15444-1, I.5.3.3).
    samples, space = _samples(frame, _Luma(5, full=True) if codec == "jpeg2000" else None)
    return Sight(samples, space, frame.width, frame.height, question.orientation, colour)


def _decoded(codec: str, data: bytes, question: Question, extra: bytes = b"") -> VideoFrame:
    """Return the first frame of a packet. Raises NoWitness where there is none, av.FFmpegError."""
    context: Any = av.CodecContext.create(codec, "r")
    # A bound for what a header claims; the decoder refuses what is larger.
    context.options = {"max_pixels": str(question.max_pixels), "err_detect": "explode"}
    context.thread_count = 1
    if extra:
        context.extradata = extra
    for packet in (av.Packet(data), None):
        for frame in context.decode(packet):
            if frame.is_corrupt:
                raise NoWitness("FFmpeg: the data is damaged")
            question.check(frame.width, frame.height)
            found: VideoFrame = frame
            return found
    raise NoWitness("FFmpeg: no picture")


def _check_jp2(source: SourceBytes) -> None:
    """Raise NoWitness for samples that FFmpeg takes for others. Raises DamagedError."""
    file = jp2.read(source.read_at, source.size_bytes)
    if file.meaning.space not in _JPEG_2000_SPACES or file.meaning.profile[16:20] == b"CMYK":
        raise NoWitness("FFmpeg: JPEG 2000 in another space than grey, sRGB or sYCC")
    depths = [component.depth for component in file.codestream.components]
    if any(depth.signed or depth.bits < _EIGHT for depth in depths):
        raise NoWitness("FFmpeg: few bits, which it does not spread over all levels, or signs")


def _colour(name: str, source: SourceBytes, frame: VideoFrame) -> Colour:
    """Return how a picture is meant. Raises DamagedError, Fault."""
    if name == "psd":
        return Colour(psd.profile_of(source))
    if name == "bmp":
        return Colour(bmp.read(source).profile)
    if name in _JPEG_2000:
        return Colour(jp2.read(source.read_at, source.size_bytes).meaning.profile)
    for one in cast("SideDataContainer", frame.side_data):
        if one.type is Type.ICC_PROFILE:
            return Colour(bytes(one))
    return Colour()


def _samples(
    frame: VideoFrame, told: _Luma | None = None, *, coded: bool = False
) -> tuple[Samples, str]:
    """Return a frame's colours, rows x columns x bands, and their space.

    Args:
        frame: as its decoder gave it.
        told: what its container says of its luma and chroma; otherwise it says so itself.
        coded: grey is luma, which need not fill its range.
    """
    kind = frame.format
    grey = kind.name.startswith(("gray", "ya", "mono"))
    deep = max((part.bits for part in kind.components), default=_EIGHT) > _EIGHT
    alpha = (
        kind.has_palette or kind.name.startswith(("ya8", "ya16")) or len(kind.components) == 4  # noqa: PLR2004 - R, G, B and alpha
    )
    if not (kind.is_rgb or kind.has_palette or (grey and not coded)):
        full = kind.name.startswith("yuvj") or frame.color_range == ColorRange.JPEG
        luma = told or _Luma(frame.colorspace, full)
        if alpha:
            raise NoWitness("FFmpeg: PyAV hands over no luma with transparency")
        name = "yuv444p16le" if deep else "yuv444p"
        # The same range twice: nothing is stretched, and chroma is brought to the size of luma.
        wide = {"src_color_range": ColorRange.JPEG, "dst_color_range": ColorRange.JPEG}
        samples = frame.reformat(format=name, threads=1, **wide).to_ndarray()
        # PyAV puts the planes first for 8 bits, and last for 16.
        return _rgb(samples if deep else np.moveaxis(samples, 0, -1), luma), "srgb"
    if not grey and not kind.has_palette and min(part.bits for part in kind.components) < _LEAST:
        raise NoWitness("FFmpeg: so few bits that it does not spread them over all levels")
    name = {(False, False): "rgb24", (False, True): "rgba", (True, False): "rgb48le",
            (True, True): "rgba64le"}[deep, alpha]  # fmt: skip
    samples = frame.reformat(format=name, threads=1).to_ndarray()
    if not grey:
        return samples, "srgb"
    return samples[..., [0, 3] if alpha else [0]], "b-w"


class _Luma(NamedTuple):
    """How luma and chroma are to be read."""

    matrix: int
    """H.273's number."""
    full: bool
    """They fill their range."""


def _rgb(samples: Samples, luma: _Luma) -> Samples:
    """Make RGB of luma and chroma (H.273, 8.3); swscale's own way is two levels off in blue."""
    red, blue = _WEIGHTS.get(luma.matrix, _WEIGHTS[6])
    green = 1 - red - blue
    unit = 257 if samples.itemsize > 1 else 1
    step = 256 if samples.itemsize > 1 else 1
    floor, tall, wide = (0, 255, 255) if luma.full else (16, 219, 224)
    height, width = (255 * unit / (part * (unit if luma.full else step)) for part in (tall, wide))
    from_red, from_blue = 2 * (1 - red) * width, 2 * (1 - blue) * width
    matrix = np.array(
        [
            [height, 0, from_red],
            [height, -from_blue * blue / green, -from_red * red / green],
            [height, from_blue, 0],
        ]
    )
    offset = -matrix @ (np.array([floor, 128, 128]) * step) + 0.5
    planes = image_of(samples, "srgb" if samples.itemsize == 1 else "rgb16")
    image = planes.recomb(pyvips.Image.new_from_array(matrix.tolist()))
    image = image.linear([1, 1, 1], offset.tolist()).cast(planes.format)
    return np.frombuffer(image.write_to_memory(), samples.dtype).reshape(samples.shape)


# HEIF: the boxes by our own walk, each coded picture by itself -------------------------------


def _heif(question: Question) -> Sight:
    source = question.request.source
    meta = heif.read(source.read_at, source.size_bytes)
    main = meta.items.get(meta.primary)
    shown = heif.size(main) if main else None
    if main is None or shown is None or main.first(b"clap") is not None:
        raise NoWitness("FFmpeg: its boxes name no picture, or a part of one")
    samples, space = _item(meta, main, question)
    if (veil := meta.alpha_of(main.number)) is not None:
        alpha, _ = _item(meta, veil, question)
        if alpha.shape[:2] != samples.shape[:2] or alpha.dtype != samples.dtype:
            raise NoWitness("FFmpeg: its transparency has another size than its picture")
        samples = np.concatenate([samples, alpha[..., :1]], axis=-1)
    height_px, width_px = samples.shape[:2]
    if (width_px, height_px) != shown:
        raise NoWitness("FFmpeg: the picture is not as large as its boxes say")
    turn = heif.orientation(main) or question.orientation
    premultiplied = bool(main.refers_to(b"prem"))
    # Phones write the profile to the tiles, and not to the picture that is made of them.
    told = [heif.colour(part) for part in meta.parts(main.number)]
    colour = next((one for one in told if one != Colour()), Colour())
    return Sight(samples, space, width_px, height_px, turn, colour, premultiplied=premultiplied)


def _item(meta: Meta, item: HeifItem, question: Question) -> tuple[Samples, str]:
    """Decode a coded picture, or a grid of them (ISO/IEC 23008-12, 6.6.2.3)."""
    data = _data(question.request.source, item)
    if item.kind in _HEIF:
        return _coded(item, data, question)
    if item.kind != b"grid" or len(data) < 8:  # noqa: PLR2004 - version, flags, counts, two sizes
        raise NoWitness(f"FFmpeg: {item.kind!r}")
    wide = "II" if data[1] & 1 else "HH"
    down, across = data[2] + 1, data[3] + 1
    width_px, height_px = struct.unpack_from(f">{wide}", data, 4)
    question.check(width_px, height_px)
    numbers = item.refers_to(b"dimg")
    if len(numbers) != down * across or len(numbers) > _MAX_TILES:
        raise NoWitness("FFmpeg: its grid has holes")
    canvas: Samples | None = None
    space, rows, columns = "", 0, 0
    for index, number in enumerate(numbers):
        tile = meta.items[number]
        samples, space = _coded(tile, _data(question.request.source, tile), question)
        if canvas is None:
            rows, columns = samples.shape[:2]
            if rows * down < height_px or columns * across < width_px:
                raise NoWitness("FFmpeg: its tiles do not cover its grid")
            canvas = np.zeros((height_px, width_px, samples.shape[2]), samples.dtype)
        top, left = index // across * rows, index % across * columns
        place = canvas[top : top + rows, left : left + columns]
        if samples.shape[2:] != place.shape[2:] or samples.shape[:2] != (rows, columns):
            raise NoWitness("FFmpeg: its tiles differ in size")
        place[...] = samples[: place.shape[0], : place.shape[1]]
    if canvas is None:
        raise NoWitness("FFmpeg: its grid is empty")
    return canvas, space


def _coded(item: HeifItem, data: bytes, question: Question) -> tuple[Samples, str]:
    if item.kind not in _HEIF:
        raise NoWitness(f"FFmpeg: {item.kind!r}")
    codec, setup = _HEIF[item.kind]
    frame = _decoded(codec, data, question, item.first(setup) or b"")
    return _samples(frame, _luma(item), coded=True)


def _luma(item: HeifItem) -> _Luma | None:
    """What `colr` tells of a coded picture (ISO/IEC 14496-12, 12.1.5)."""
    for kind, body, *_ in item.properties:
        if kind == b"colr" and body[:4] == b"nclx" and len(body) >= 11:  # noqa: PLR2004 - three numbers and a flag
            return _Luma(int.from_bytes(body[8:10], "big"), bool(body[10] & 0x80))
    return None


def _data(source: SourceBytes, item: HeifItem) -> bytes:
    parts = []
    for offset, count in item.extents:
        length = count or source.size_bytes - offset
        part = source.read_at(offset, length)
        if len(part) != length:
            raise NoWitness("FFmpeg: the file ends early")
        parts.append(part)
    return b"".join(parts)
