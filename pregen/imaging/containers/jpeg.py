"""The segments of a JPEG before its first scan: size, kind, orientation, profile.

Reads the marker structure only (ITU T.81, Annex B) and decodes nothing. Damage ends the walk:
what was found before it counts, and the decoder has the last word.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from pregen.imaging.containers import tiff as tiffhead

if TYPE_CHECKING:
    from collections.abc import Iterator


_ORIENTATION = 0x0112
_EXIF = b"Exif\x00\x00"
_ICC = b"ICC_PROFILE\x00"
#: Start-of-frame markers that libjpeg-turbo decodes: baseline, extended and progressive Huffman.
_HUFFMAN_FRAMES = frozenset({0xC0, 0xC1, 0xC2})
_FRAMES = frozenset({*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC})
_PROGRESSIVE = 0xC2
_SOS = 0xDA
_EOI = 0xD9
_APP1 = 0xE1
_APP2 = 0xE2
#: Markers that stand alone, without a length: TEM, RST0-7, SOI.
_ALONE = frozenset({0x01, *range(0xD0, 0xD9)})


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
    orientation: int
    """EXIF's, 1 when there is none or it is nonsense."""
    profile: bytes
    """ICC, put together from its segments; empty when absent or incomplete."""
    scan_at: int
    """Offset of the first SOS marker; -1 when there is none."""


def segments(data: bytes) -> Iterator[Segment]:
    """Yield the segments from SOI on, the first SOS included, until one makes no sense."""
    at = 2
    while at + 4 <= len(data):
        if data[at] != 0xFF:  # noqa: PLR2004 - every marker begins so
            return
        marker = data[at + 1]
        if marker == 0xFF:  # noqa: PLR2004 - fill bytes may precede a marker
            at += 1
            continue
        if marker in _ALONE:
            at += 2
            continue
        length = int.from_bytes(data[at + 2 : at + 4], "big")
        if marker == _EOI or length < 2:  # noqa: PLR2004 - the length counts itself
            return
        yield Segment(marker, at + 4, at + 2 + length)
        if marker == _SOS:
            return
        at += 2 + length


def read(data: bytes) -> JpegHead | None:
    """Return the head of a JPEG, None when there is no frame header in `data`."""
    frame: Segment | None = None
    orientation = 1
    parts: dict[int, bytes] = {}
    count = 0
    scan_at = -1
    for segment in segments(data):
        marker, begin, end = segment
        if marker == _APP1 and orientation == 1 and data.startswith(_EXIF, begin):
            orientation = _orientation(data[begin + len(_EXIF) : end])
        elif marker == _APP2 and data.startswith(_ICC, begin) and begin + 14 <= end <= len(data):
            number, count = data[begin + 12], data[begin + 13]
            parts[number] = data[begin + 14 : end]
        elif marker in _FRAMES and frame is None:
            frame = segment
        elif marker == _SOS:
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
        progressive=frame.marker == _PROGRESSIVE,
        orientation=orientation,
        profile=profile,
        scan_at=scan_at,
    )


def _orientation(tiff: bytes) -> int:
    value = tiffhead.first_ifd(tiff).get(_ORIENTATION, 1) if tiff[:4] in tiffhead.MAGICS else 1
    return value if 1 <= value <= 8 else 1  # noqa: PLR2004 - EXIF 2.3


# --- Where a file's data is lost: what was allocated on a disk and never written reads as zeros
#
# Interrupted copies and worn memory cards leave such files. A decoder takes zeros for codes and
# paints on, so the loss must be seen before. Long runs of zeros are ordinary in some sound files
# (flat areas with optimised tables); those of a disk begin and end where its sectors do.


#: The smallest unit of loss, and the step at which it is looked for.
_SECTOR_BYTES = 512
_STEP_BYTES = 2048
#: A sound file may end its last sector before a hole with some zeros of its own.
_SLACK_BYTES = 8


def before_the_first(data: bytes, begin: int) -> bytes:
    """Return `data` up to the first hole behind `begin`; all of it where there is none."""
    samples = np.frombuffer(data, np.uint8)[-(-begin // _STEP_BYTES) * _STEP_BYTES :: _STEP_BYTES]
    first = -(-begin // _STEP_BYTES) * _STEP_BYTES
    for index in np.flatnonzero(samples == 0):
        at = first + int(index) * _STEP_BYTES
        if data.startswith(_ZEROS, at):
            start, end = _run(data, at)
            if _like_a_disk(start, end, len(data)) and start > begin:
                return data[:start]
    return data


_ZEROS = bytes(_STEP_BYTES)


def _run(data: bytes, at: int) -> tuple[int, int]:
    """The run of zeros around `at`."""
    start = len(data[:at].rstrip(b"\0"))
    end = at
    while data.startswith(_ZEROS, end):
        end += _STEP_BYTES
    while end < len(data) and data[end] == 0:
        end += 1
    return start, end


def _like_a_disk(start: int, end: int, size_bytes: int) -> bool:
    begins = start % _SECTOR_BYTES == 0 or start % _SECTOR_BYTES >= _SECTOR_BYTES - _SLACK_BYTES
    return end == size_bytes or (begins and end % _SECTOR_BYTES == 0)
