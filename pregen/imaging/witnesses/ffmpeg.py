"""FFmpeg (PyAV): its own decoders of HEVC, JPEG 2000, BMP, TGA, PCX, QOI and many more.

A file is handed to one named decoder as one packet: no demuxer looks at it, and no other decoder.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Any, Final, cast

import av
import numpy as np
from av.sidedata.sidedata import Type
from av.video.reformatter import ColorRange, Colorspace

from pregen.imaging.containers import heif
from pregen.imaging.containers.heif import Colour
from pregen.imaging.source_bytes import DamagedError
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
_EIGHT: Final = 8
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
        codec = _PNM.get(request.source.head[:2], "") if name == "ppm" else _CODECS[name]
        frame = _decoded(codec, request.source.whole(), question)
    except (av.FFmpegError, ValueError, DamagedError) as error:
        raise NoWitness(f"FFmpeg: {error}") from error
    samples, space = _samples(frame)
    return Sight(samples, space, frame.width, frame.height, question.orientation, _profile(frame))


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


def _profile(frame: VideoFrame) -> Colour:
    for one in cast("SideDataContainer", frame.side_data):
        if one.type is Type.ICC_PROFILE:
            return Colour(bytes(one))
    return Colour()


def _samples(
    frame: VideoFrame, matrix: int | None = None, *, full: bool = False
) -> tuple[Samples, str]:
    """Return a frame in the colours it is in, rows x columns x bands, and their space."""
    kind = frame.format
    bits = max((part.bits for part in kind.components), default=_EIGHT)
    grey = kind.name.startswith(("gray", "ya", "mono"))
    own = kind.is_rgb or kind.has_palette or grey
    full = full or own or kind.name.startswith("yuvj") or frame.color_range == ColorRange.JPEG
    options: dict[str, Any] = {}
    if not own:
        options["src_colorspace"] = Colorspace.ITU601 if matrix is None else matrix
        options["src_color_range"] = ColorRange.JPEG if full else ColorRange.MPEG
        options["dst_color_range"] = ColorRange.JPEG
    alpha = kind.has_palette or kind.name.startswith(("ya8", "ya16")) or len(kind.components) == 4  # noqa: PLR2004 - R, G, B and alpha
    deep = bits > _EIGHT
    name = {(False, False): "rgb24", (False, True): "rgba", (True, False): "rgb48le",
            (True, True): "rgba64le"}[deep, alpha]  # fmt: skip
    samples = frame.reformat(format=name, **options).to_ndarray()
    if not grey:
        return samples, "srgb"
    return samples[..., [0, 3] if alpha else [0]], "b-w"


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
        alpha, _ = _item(meta, veil, question, full=True)
        if alpha.shape[:2] != samples.shape[:2] or alpha.dtype != samples.dtype:
            raise NoWitness("FFmpeg: its transparency has another size than its picture")
        samples = np.concatenate([samples, alpha[..., :1]], axis=-1)
    height_px, width_px = samples.shape[:2]
    if (width_px, height_px) != shown:
        raise NoWitness("FFmpeg: the picture is not as large as its boxes say")
    turn = heif.orientation(main) or question.orientation
    return Sight(samples, space, width_px, height_px, turn, heif.colour(main))


def _item(
    meta: Meta, item: HeifItem, question: Question, *, full: bool = False
) -> tuple[Samples, str]:
    """Decode a coded picture, or a grid of them (ISO/IEC 23008-12, 6.6.2.3)."""
    data = _data(question.request.source, item)
    if item.kind in _HEIF:
        return _coded(item, data, question, full=full)
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
        samples, space = _coded(tile, _data(question.request.source, tile), question, full=full)
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


def _coded(item: HeifItem, data: bytes, question: Question, *, full: bool) -> tuple[Samples, str]:
    if item.kind not in _HEIF:
        raise NoWitness(f"FFmpeg: {item.kind!r}")
    codec, setup = _HEIF[item.kind]
    extra = item.first(setup) or b""
    frame = _decoded(codec, data, question, extra)
    matrix, told_full = _numbers(item)
    return _samples(frame, matrix, full=full or told_full)


def _numbers(item: HeifItem) -> tuple[int | None, bool]:
    """The matrix (as swscale numbers it) and the range that `colr` tells of a coded picture."""
    for kind, body, *_ in item.properties:
        if kind == b"colr" and body[:4] == b"nclx" and len(body) >= 11:  # noqa: PLR2004 - three numbers and a flag
            number = int.from_bytes(body[8:10], "big")
            # H.273's 1, 5, 6 and 9 have the same numbers there.
            return (number if number in {1, 5, 6, 9} else None), bool(body[10] & 0x80)
    return None, False


def _data(source: SourceBytes, item: HeifItem) -> bytes:
    parts = []
    for offset, count in item.extents:
        length = count or source.size_bytes - offset
        part = source.read_at(offset, length)
        if len(part) != length:
            raise NoWitness("FFmpeg: the file ends early")
        parts.append(part)
    return b"".join(parts)
