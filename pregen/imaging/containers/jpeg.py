"""The segments of a JPEG: size, kind, orientation, profile; and where a file's data is lost.

Reads the marker structure only (ITU T.81, Annex B) and decodes nothing. Damage ends the walk:
what was found before it counts, and the decoder has the last word.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from pregen.imaging.containers import tiff
from pregen.imaging.source_bytes import DamagedError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from pregen.imaging.source_bytes import SourceBytes

SOI: Final = b"\xff\xd8\xff"
"""How a JPEG begins: its first marker, and the beginning of the next."""
EXIF: Final = b"Exif\x00\x00"
_ICC: Final = b"ICC_PROFILE\x00"
#: Start-of-frame markers that libjpeg-turbo decodes: baseline, extended and progressive Huffman.
_HUFFMAN_FRAMES: Final = frozenset({0xC0, 0xC1, 0xC2})
_LOSSLESS_FRAMES: Final = frozenset({0xC3, 0xC7, 0xCB, 0xCF})
_FRAMES: Final = frozenset({*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC})
SOF2: Final = 0xC2
SOS: Final = 0xDA
EOI: Final = 0xD9
DQT: Final = 0xDB
APP1: Final = 0xE1
APP2: Final = 0xE2
#: Markers that stand alone, without a length: TEM, RST0-7, SOI.
_ALONE: Final = frozenset({0x01, *range(0xD0, 0xD9)})
#: A segment's marker and length, and a frame's size: all that is wanted of a preview.
_PREVIEW_HEADER_BYTES: Final = 9
#: Segments before the frame header of a preview: a camera writes ten to twenty, with a large
#: profile sixty.
_MAX_PREVIEW_SEGMENTS: Final = 200


class Segment(NamedTuple):
    """One marker segment: its body is `data[begin:end]`."""

    marker: int
    begin: int
    end: int


class JpegHead(NamedTuple):
    """What stands before the first scan."""

    width_px: int
    height_px: int
    components: int
    sample_bits: int
    huffman: bool
    progressive: bool
    lossless: bool
    """Not of blocks, so it cannot be decoded smaller."""
    orientation: int
    """EXIF's, 1 when there is none or it is nonsense."""
    profile: bytes
    """ICC, put together from its segments; empty when absent or incomplete."""
    scan_at: int
    """Offset of the first SOS marker; -1 when there is none."""


def segments(data: bytes) -> Iterator[Segment]:
    """Yield the segments from SOI on, the first SOS included, until one makes no sense."""
    return _walk(lambda at: data[at : at + 4], 2, len(data))


def _walk(header_at: Callable[[int], bytes], at: int, most: int) -> Iterator[Segment]:
    """Yield the segments from `at` on, of at most so many markers.

    Args:
        header_at: gives the four bytes of marker and length, or more; fewer end the walk.
        at: where the first marker stands.
        most: fill bytes count as well.
    """
    for _ in range(most):
        header = header_at(at)
        if len(header) < 4 or header[0] != 0xFF:  # noqa: PLR2004 - every marker begins so
            return
        marker = header[1]
        if marker == 0xFF:  # noqa: PLR2004 - fill bytes may precede a marker
            at += 1
        elif marker in _ALONE:
            at += 2
        else:
            length = header[2] << 8 | header[3]
            if marker == EOI or length < 2:  # noqa: PLR2004 - the length counts itself
                return
            yield Segment(marker, at + 4, at + 2 + length)
            if marker == SOS:
                return
            at += 2 + length


def size_at(source: SourceBytes, offset: int, size_bytes: int) -> tuple[int, int]:
    """Return width and height of a JPEG within a file; zeros when it is none that can be shown.

    The lossless JPEGs (SOF3) that hold sensor data are none (ITU T.81, table B.1).
    """
    end = min(offset + size_bytes, source.size_bytes) - _PREVIEW_HEADER_BYTES

    def header_at(at: int) -> bytes:
        return source.piece(at, _PREVIEW_HEADER_BYTES) if at <= end else b""

    try:
        if begins_at(source, offset):
            for marker, begin, _ in _walk(header_at, offset + 2, _MAX_PREVIEW_SEGMENTS):
                if marker in _FRAMES:
                    height_px, width_px = (source.uint(begin + skip, 2) for skip in (1, 3))
                    return (width_px, height_px) if marker in _HUFFMAN_FRAMES else (0, 0)
    except DamagedError:
        pass
    return 0, 0


def is_lossless(source: SourceBytes) -> bool:
    """Tell whether a JPEG is stored without loss (ITU T.81, table B.1). Raises as `piece`."""
    frames = (
        marker
        for marker, *_ in _walk(lambda at: source.read_at(at, 4), 2, _MAX_PREVIEW_SEGMENTS)
        if marker in _FRAMES
    )
    return next(frames, 0) in _LOSSLESS_FRAMES


def begins_at(source: SourceBytes, offset: int) -> bool:
    """True when a JPEG begins there."""
    try:
        return source.piece(offset, len(SOI)) == SOI
    except DamagedError:
        return False


def read(data: bytes) -> JpegHead | None:
    """Return the head of a JPEG, None when there is no frame header in `data`."""
    frame: Segment | None = None
    orientation = 1
    parts: dict[int, bytes] = {}
    count = 0
    scan_at = -1
    for segment in segments(data):
        marker, begin, end = segment
        if marker == APP1 and orientation == 1 and data.startswith(EXIF, begin):
            orientation = tiff.orientation(data[begin + len(EXIF) : end])
        elif marker == APP2 and data.startswith(_ICC, begin) and begin + 14 <= end <= len(data):
            number, count = data[begin + 12], data[begin + 13]
            parts[number] = data[begin + 14 : end]
        elif marker in _FRAMES and frame is None:
            frame = segment
        elif marker == SOS:
            scan_at = begin - 4
    if frame is None or frame.begin + 6 > len(data):
        return None
    body = data[frame.begin : frame.begin + 6]
    profile = b"".join(parts[n] for n in sorted(parts)) if len(parts) == count else b""
    return JpegHead(
        width_px=int.from_bytes(body[3:5], "big"),
        height_px=int.from_bytes(body[1:3], "big"),
        components=body[5],
        sample_bits=body[0],
        huffman=frame.marker in _HUFFMAN_FRAMES,
        progressive=frame.marker == SOF2,
        lossless=frame.marker in _LOSSLESS_FRAMES,
        orientation=orientation,
        profile=profile,
        scan_at=scan_at,
    )


def is_scalable(data: bytes) -> bool:
    """Tell whether libjpeg-turbo may be asked for a reduced scale.

    Of a picture without loss there is none: simplejpeg gets room for the small picture, and the
    whole one is written into it.
    """
    head = read(data)
    return head is not None and not head.lossless


# Runs of zeros: what was allocated on a disk and never written -------------------------------
#
# Interrupted copies and worn memory cards leave such files. A decoder takes zeros for codes and
# paints on, so the loss must be seen before. Long runs of zeros are ordinary in some sound files
# (flat areas with optimised tables); those of a disk begin and end where its sectors do.

#: The smallest unit of loss, and the step at which it is looked for.
_SECTOR_BYTES = 512
_STEP_BYTES = 2048
#: A sound file may end its last sector before such a run with some zeros of its own.
_SLACK_BYTES = 8
_ZEROS = bytes(_STEP_BYTES)


def before_zero_run(data: bytes, begin: int) -> bytes:
    """Return `data` up to the first loss behind `begin`; all of it where nothing is lost."""
    first = -(-begin // _STEP_BYTES) * _STEP_BYTES
    samples = data[first::_STEP_BYTES]
    index = samples.find(0)
    while index >= 0:
        at = first + index * _STEP_BYTES
        if data.startswith(_ZEROS, at):
            start, end = _zero_run(data, at)
            if _lies_in_sectors(start, end, len(data)) and start > begin:
                return data[:start]
        index = samples.find(0, index + 1)
    return data


def _zero_run(data: bytes, at: int) -> tuple[int, int]:
    """Return where the run of zeros around `at` begins and ends."""
    start = len(data[:at].rstrip(b"\0"))
    end = at
    while data.startswith(_ZEROS, end):
        end += _STEP_BYTES
    while end < len(data) and data[end] == 0:
        end += 1
    return start, end


def _lies_in_sectors(start: int, end: int, size_bytes: int) -> bool:
    begins = start % _SECTOR_BYTES == 0 or start % _SECTOR_BYTES >= _SECTOR_BYTES - _SLACK_BYTES
    return end == size_bytes or (begins and end % _SECTOR_BYTES == 0)
