"""Video through FFmpeg (PyAV): one telling keyframe, upright, in its true shape and colours.

Keyframes are tried at a tenth of the length and further on, until one is neither black nor flat.
Only what they need is read. Sound is shown by its cover; without one it is no picture.
"""

from __future__ import annotations

from itertools import chain, islice
from typing import TYPE_CHECKING, Final, Literal, NamedTuple, cast

import av
import av.error
import av.logging
import numpy as np
from av.sidedata.sidedata import Type
from av.stream import Disposition
from av.video.reformatter import ColorRange, Colorspace, Interpolation

from pregen.imaging.containers import isobmff
from pregen.imaging.decoders import embedded
from pregen.imaging.decoders.base import Opened, Request
from pregen.imaging.faults import InvalidPicture, NotPicture, TruncatedPicture, Unsupported
from pregen.imaging.pixels import colour
from pregen.imaging.pixels.resample import Plain
from pregen.imaging.source_bytes import MAX_FILE_BYTES

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from av.container import InputContainer
    from av.packet import Packet
    from av.sidedata.sidedata import SideDataContainer
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream

    from pregen.imaging.pixels.resample import Rgba
    from pregen.imaging.source_bytes import SourceStream

    _Skip = Literal["NONKEY", "NONREF", "DEFAULT"]

# FFmpeg has much to say about damaged files; outcomes say what matters.
av.logging.set_level(av.logging.PANIC)

#: What PyAV raises for files that FFmpeg does not like.
_ERRORS: Final = (av.error.FFmpegError, ValueError, OverflowError)
_NO_DECODER: Final = (
    av.error.DecoderNotFoundError,
    av.error.DemuxerNotFoundError,
    av.error.PatchWelcomeError,
    av.error.NotImplementedError,
)
_COVER: Final = Disposition.attached_pic
#: How FFmpeg tells the kind of a cover (ID3v2.4, 4.14).
_FRONT: Final = "front"
_MOST_COVERS: Final = 4
#: FFmpeg gives covers before anything else.
_MOST_SEARCHED: Final = 16
#: Of containers for films that hold none, as shared-mime-info names them.
_SOUND: Final = {
    "video/mp4": "audio/mp4", "video/x-ms-wmv": "audio/x-ms-wma",
    "video/x-matroska": "audio/x-matroska", "video/webm": "audio/webm",
    "video/3gpp": "audio/3gpp", "video/3gpp2": "audio/3gpp2",
}  # fmt: skip
#: What begins with an ID3 tag is told by what is behind it.
_OF_ID3: Final = "audio/mpeg"
_AFTER_ID3: Final = {"flac": "audio/flac", "aac": "audio/aac", "tta": "audio/x-tta"}
#: Anamorphic video has pixels of 1.8 to 1 at most; more is damage.
_MAX_PIXEL_ASPECT: Final = 8
#: Where to look, as shares of the length. The very first picture is often black.
_SHARES: Final = (0.1, 0.3, 0.5, 0.0)
#: Standard deviation of the luma, in levels of 255, below which a picture shows nothing. Fades and
#: slates have 0 to 3; the flattest photo of fog in the corpus has 12.
_FLAT_LEVELS: Final = 6.0
#: Between keyframes a fade is met half-way; this much of it is over with.
_FADED_LEVELS: Final = 24.0
_PROBE_PX: Final = 64
#: Packets until the picture of a keyframe is out: FFmpeg holds back 16 frames, each in two fields.
_MAX_DELAY: Final = 40
#: Packets from a place in the file to the next keyframe: ten seconds of interlaced video.
_MAX_SEARCH: Final = 600
#: Without a keyframe that shows anything, every eighth frame is looked at, until so many pixels
#: were decoded: 300 frames of 720p, which take a second.
_STEP: Final = 8
_FURTHER_PX: Final = 300 * 1280 * 720
#: Twice the box is all that Lanczos-3 needs.
_MARGIN: Final = 2
#: Bytes of memory for each pixel of a film: 4:2:0 of 10 bits, and the few frames a decoder holds.
_BYTES_PER_PX: Final = 12
#: Unlabelled video is BT.601 below this height, BT.709 from it on: what all players assume.
_HD_PX: Final = 720
_MATRICES: Final = {
    1: Colorspace.ITU709, 4: Colorspace.FCC, 5: Colorspace.ITU601, 6: Colorspace.ITU601,
    7: Colorspace.SMPTE240M, 9: Colorspace.BT2020, 10: Colorspace.BT2020,
}  # fmt: skip
#: Signs of the display matrix' a, b, c, d (ISO/IEC 14496-12, 6.2.2) -> EXIF orientation.
_ORIENTATIONS: Final = {
    (1, 0, 0, 1): 1, (-1, 0, 0, 1): 2, (-1, 0, 0, -1): 3, (1, 0, 0, -1): 4,
    (0, 1, 1, 0): 5, (0, 1, -1, 0): 6, (0, -1, -1, 0): 7, (0, -1, 1, 0): 8,
}  # fmt: skip


class _FoundFrame(NamedTuple):
    """A frame that could be shown."""

    frame: VideoFrame
    levels: float
    """How much there is to see: the standard deviation of its luma."""


class Film(Opened):
    """A film whose header has been read. What turns it is known once a frame was decoded."""

    loader = "ffmpeg"
    always = True

    def __init__(
        self,
        request: Request,
        file: SourceStream,
        container: InputContainer,
        films: list[VideoStream],
    ) -> None:
        self._request = request
        self._file = file
        self._container = container
        self._stream = _known(films)
        self._stream.codec_context.thread_count = 1
        self.width_px, self.height_px = _shape(self._stream)
        if min(self.width_px, self.height_px) < 1:
            raise self._fault_of(None)
        self.movie_length_s = _length_s(self._container.duration)

    def decode(self, box_px: int) -> Plain:
        """See `base.Opened`."""
        self._request.reserve(self.width_px * self.height_px * _BYTES_PER_PX)
        frame = self._telling_frame()
        self.orientation = _orientation(frame)
        scale = min(1.0, _MARGIN * box_px / max(self.width_px, self.height_px))
        width_px = max(1, round(self.width_px * scale))
        height_px = max(1, round(self.height_px * scale))
        if frame.interlaced_frame:
            # One row of two fields is the mean of both moments; as they are, they make a comb.
            height_px = min(height_px, max(1, frame.height // 2))
        try:
            samples = _rgbx(frame, width_px, height_px)
        except _ERRORS as error:
            raise self._fault_of(error) from error
        self._container.close()
        return Plain(samples, (width_px, height_px))

    def _telling_frame(self) -> VideoFrame:
        """Return the first keyframe that shows something, or else the one that shows most."""
        best: _FoundFrame | None = None
        trouble: Exception | None = None
        seen: set[int | None] = set()
        for share in _SHARES if self._container.duration else (0.0,):
            try:
                frame = self._keyframe(share)
                if frame is None or frame.pts in seen:
                    continue
                seen.add(frame.pts)
                found = _FoundFrame(frame, _levels(frame))
            except _ERRORS as error:
                trouble = error
                continue
            if found.levels >= _FLAT_LEVELS:
                return frame
            if best is None or found.levels > best.levels:
                best = found
        if best is None:
            raise self._fault_of(trouble) from trouble
        try:
            return self._further(best)
        except _ERRORS:
            return best.frame

    def _further(self, best: _FoundFrame) -> VideoFrame:
        """Look between the keyframes, which are all flat or only one: short clips have no other."""
        self._container.seek(min(0, self._container.start_time or 0))
        context = self._stream.codec_context
        context.flush_buffers()
        context.skip_frame = "NONREF"
        frames = (one for packet in self._packets() for one in context.decode(packet))
        last = min(_MAX_SEARCH, _FURTHER_PX // (self.width_px * self.height_px))
        for frame in islice(frames, _STEP - 1, last, _STEP):
            found = _FoundFrame(frame, _levels(frame))
            if found.levels >= _FADED_LEVELS:
                return frame
            best = max(best, found, key=lambda one: one.levels)
        return best.frame

    def _keyframe(self, share: float) -> VideoFrame | None:
        """Return the keyframe at or before a share of the length; None where there is none."""
        container = self._container
        start = container.start_time or 0
        # Transport streams find the beginning only when asked for a time before it.
        container.seek(start + int((container.duration or 0) * share) if share else min(0, start))
        packets = self._packets()
        key = next((one for one in islice(packets, _MAX_SEARCH) if one.is_keyframe), None)
        if key is None:
            if share:
                return None
            # Cut out of a broadcast, without a keyframe: the first picture that is whole.
            container.seek(min(0, start))
            return self._first_of(islice(self._packets(), _MAX_SEARCH), "DEFAULT")
        frame = self._first_of([key], "NONKEY")
        if frame is None or frame.interlaced_frame:
            # Its second field may come as a packet of its own, and not as a keyframe.
            frame = self._first_of(chain([key], islice(packets, _MAX_DELAY)), "NONREF") or frame
        return frame

    def _packets(self) -> Iterator[Packet[VideoStream]]:
        return (packet for packet in self._container.demux(self._stream) if packet.size)

    def _first_of(self, packets: Iterable[Packet[VideoStream]], skip: _Skip) -> VideoFrame | None:
        """Return the first sound frame that packets give, preferably a keyframe's."""
        context = self._stream.codec_context
        context.flush_buffers()
        context.skip_frame = skip
        found: VideoFrame | None = None
        for packet in chain(packets, [None]):
            for frame in context.decode(packet):
                if frame.is_corrupt:
                    continue
                if frame.key_frame or skip == "DEFAULT":
                    return frame
                found = found or frame
        return found

    def _fault_of(self, error: Exception | None) -> Exception:
        return _fault_of(error, self._file, self._request.source.size_bytes)


def open_picture(request: Request) -> Opened:
    """Read the header, of a film or of the cover of sound.

    Raises:
        NotPicture: there are no pictures.
        Fault: FFmpeg refuses it.
    """
    file = request.source.as_file()
    try:
        container = av.open(file, "r", metadata_errors="ignore")
        streams = container.streams.video
        films = [one for one in streams if not one.disposition & _COVER]
        if films:
            return Film(request, file, container, films)
        mime = _sound_mime(request.format.mime, container.format.name)
        cover = _cover(container, [one for one in streams if one.disposition & _COVER])
    except _ERRORS as error:
        raise _fault_of(error, file, request.source.size_bytes) from error
    if file.error is not None:
        raise file.error
    if not cover:
        raise NotPicture("it contains sound but no pictures", mime)
    return embedded.open_stored(request, embedded.Stored(cover, mime=mime))


def _fault_of(error: Exception | None, file: SourceStream, size_bytes: int) -> Exception:
    """What an error of FFmpeg's stands for; None: nothing came out, and no error either."""
    if file.error is not None:
        return file.error
    if isinstance(error, MemoryError):
        return MemoryError(str(error))
    if isinstance(error, _NO_DECODER):
        return Unsupported(f"FFmpeg cannot decode this variant ({error.strerror})")
    if file.exhausted:
        return InvalidPicture(f"no picture was found in {MAX_FILE_BYTES >> 20} MiB")
    declared = isobmff.declared_bytes(file.read_at, size_bytes)
    if declared > size_bytes:
        return TruncatedPicture(
            "the file ends before its film does: "
            f"{size_bytes / declared:.0%} of its bytes are present"
        )
    why = getattr(error, "strerror", None) or str(error or "no picture can be decoded")
    return InvalidPicture(f"FFmpeg cannot read it ({why})")


def _cover(container: InputContainer, covers: list[VideoStream]) -> bytes:
    """Return the picture of the front of a record, or else the first; empty where there is none."""
    covers.sort(key=lambda one: _FRONT not in one.metadata.get("comment", "").lower())
    for cover in covers[:_MOST_COVERS]:
        for packet in islice(container.demux(cover), _MOST_SEARCHED):
            if packet.size:
                return bytes(packet)
    return b""


def _sound_mime(mime: str, container: str) -> str:
    """Return what a file without a film is called, of which only the container was known."""
    if mime == _OF_ID3:
        return _AFTER_ID3.get(container, mime)
    return _SOUND.get(mime, mime)


def _known(films: list[VideoStream]) -> VideoStream:
    """Return the first stream that FFmpeg knows how to decode."""
    # PyAV gives a stream whose codec FFmpeg does not know no context.
    known = [one for one in films if one.codec_context is not None]  # type: ignore[redundant-expr]  # PyAV's stubs promise one
    if not known:
        raise Unsupported("FFmpeg has no decoder for its pictures")
    return known[0]


def _shape(stream: VideoStream) -> tuple[int, int]:
    """Return width and height with square pixels."""
    width, height = stream.codec_context.width, stream.codec_context.height
    aspect = float(stream.sample_aspect_ratio or 1)
    if not 1 / _MAX_PIXEL_ASPECT <= aspect <= _MAX_PIXEL_ASPECT:
        aspect = 1.0
    return (round(width * aspect), height) if aspect >= 1 else (width, round(height / aspect))


def _length_s(duration_us: int | None) -> int:
    """Return the length of a film; a short one has a second, an unknown one none."""
    return max(1, round(duration_us / 1e6)) if duration_us and duration_us > 0 else 0


def _orientation(frame: VideoFrame) -> int:
    """Return the display matrix as EXIF's orientation; one that is neither is left alone."""
    try:
        # The stubs of PyAV 18 take a frame's side data for a stream's.
        matrix = cast("SideDataContainer", frame.side_data)[Type.DISPLAYMATRIX]
    except KeyError:
        return 1
    a, b, _, c, d = np.sign(np.frombuffer(bytes(matrix), "=i4")[:5]).tolist()
    return _ORIENTATIONS.get((a, b, c, d), 1)


def _levels(frame: VideoFrame) -> float:
    small = frame.reformat(
        _PROBE_PX, _PROBE_PX, "gray", interpolation=Interpolation.AREA, threads=1
    )
    return float(small.to_ndarray().std())


def _rgbx(frame: VideoFrame, width_px: int, height_px: int) -> Rgba:
    """Return the frame in sRGB at a size, rows x columns x 4."""
    rgb = frame.format.is_rgb
    hd = frame.height >= _HD_PX
    usual = Colorspace.ITU709 if hd else Colorspace.ITU601
    full = frame.color_range == ColorRange.JPEG or frame.format.name.startswith("yuvj") or rgb
    deep = frame.color_trc in {colour.PQ, colour.HLG}
    small = frame.reformat(
        width_px,
        height_px,
        "rgb48le" if deep else "rgba",
        src_colorspace=None if rgb else _MATRICES.get(frame.colorspace, usual),
        src_color_range=ColorRange.JPEG if full else ColorRange.MPEG,
        dst_color_range=ColorRange.JPEG,
        interpolation=Interpolation.AREA,
        threads=1,  # each writes beyond the end of its last row, into another's first
    )
    if not deep:
        return np.ascontiguousarray(small.to_ndarray(), np.uint8)
    rgbx = np.full((height_px, width_px, 4), 255, np.uint8)
    rgbx[..., :3] = colour.hdr_to_srgb(
        np.asarray(small.to_ndarray(), np.float32) / 65535, frame.color_trc
    )
    return rgbx
