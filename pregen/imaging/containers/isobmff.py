"""The boxes of an ISO base media file (ISO/IEC 14496-12, 4.2), read without trust.

A walk moves forward by at least a header at every step, and reads only within its bounds. What is
wrong raises `DamagedError`, and nothing else.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Final, NamedTuple

from pregen.imaging.formats import Format
from pregen.imaging.source_bytes import DamagedError, EndsEarlyError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pregen.imaging.source_bytes import ReadAt

_HEADER_BYTES: Final = 8
_LARGE_HEADER_BYTES: Final = 16
#: Pictures have about five boxes at the top; fragmented films have thousands: not read here.
_MAX_BOXES: Final = 1000


class Box(NamedTuple):
    """One box: its body is `[begin, end)` of what was walked."""

    kind: bytes
    begin: int
    end: int


def boxes(read_at: ReadAt, begin: int, end: int, most: int = _MAX_BOXES) -> Iterator[Box]:
    """Yield the boxes from `begin` on, reading their headers only.

    The last one may go on past `end`; a film's pictures, which are not read here, often do.

    Raises:
        DamagedError: there is no box where one should be; EndsEarlyError: only a part of one.
    """
    at = begin
    for _ in range(most):
        if at >= end:
            return
        header = read_at(at, min(_LARGE_HEADER_BYTES, end - at))
        if len(header) < _HEADER_BYTES:
            raise EndsEarlyError(f"the header of the box at {at} is cut off")
        size_bytes, least = int.from_bytes(header[:4], "big"), _HEADER_BYTES
        if size_bytes == 1:
            size_bytes, least = int.from_bytes(header[8:16], "big"), _LARGE_HEADER_BYTES
        elif size_bytes == 0:
            size_bytes = end - at
        if size_bytes < least:
            raise DamagedError(f"the box at {at} has {size_bytes} bytes")
        yield Box(header[4:8], at + least, at + size_bytes)
        at += size_bytes
    raise DamagedError("there are too many boxes")


def sound_boxes(read_at: ReadAt, begin: int, end: int, most: int = _MAX_BOXES) -> Iterator[Box]:
    """Yield the boxes up to the first that makes no sense."""
    with suppress(DamagedError):
        yield from boxes(read_at, begin, end, most)


def boxes_within(data: bytes, begin: int, end: int) -> Iterator[Box]:
    """Yield the boxes of a body in memory. Raises DamagedError when one does not fit in it."""
    end = min(end, len(data))
    try:
        for box in boxes(lambda at, count: data[at : at + count], begin, end, len(data)):
            if box.end > end:
                raise DamagedError(f"the box at {box.begin} does not fit")
            yield box
    except EndsEarlyError as error:
        # All of the body is there: not the file, but what is written in it is cut short.
        raise DamagedError(str(error)) from error


class Cursor:
    """Reads big-endian numbers one after the other, within bounds."""

    def __init__(self, data: bytes, begin: int = 0, end: int | None = None) -> None:
        self._data = data
        self.at = begin
        self.end = len(data) if end is None else min(end, len(data))

    def uint(self, size_bytes: int) -> int:
        """Return an unsigned number of so many bytes; 0 for none, as `iloc` wants it."""
        return int.from_bytes(self.take(size_bytes), "big")

    def take(self, count: int) -> bytes:
        """Return the next bytes. Raises DamagedError where there are fewer."""
        if not 0 <= count <= self.end - self.at:
            raise DamagedError(f"{count} bytes are wanted at {self.at}, which are missing")
        self.at += count
        return self._data[self.at - count : self.at]

    def version_and_flags(self) -> tuple[int, int]:
        """Read the head of a FullBox."""
        head = self.uint(4)
        return head >> 24, head & 0xFFFFFF


# The family told apart (HEIC, AVIF, CR3, MP4, MOV, ...) --------------------------------------
#
# By nothing but the brands in the `ftyp` box (ISO/IEC 14496-12, 4.3; 23008-12, Annex B).

AVIF = Format("avif", "image/avif", "avif")
HEIC = Format("heic", "image/heif", "heic", "heic")
CR3 = Format("raw", "image/x-canon-cr3", "raw", "raw")

_AVIF = frozenset({b"avif", b"avis"})
_HEVC = frozenset({b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs"})
_IMAGE = frozenset({b"mif1", b"mif2", b"msf1", b"miaf", b"jpeg", b"j2ki"})
_AUDIO = frozenset({b"M4A ", b"M4B ", b"M4P "})
#: Sound, of which a cover may be shown.
SOUND = Format("audio", "audio/mp4", "video", "video")
AUDIOBOOK = Format("audio", "audio/x-m4b", "video", "video")
SOUNDS = (SOUND, AUDIOBOOK)
#: What old QuickTime files begin with instead of `ftyp`.
_QUICKTIME_BOXES = frozenset({b"moov", b"mdat", b"wide", b"pnot"})
QUICKTIME = Format("video", "video/quicktime", "video", "video")
_VIDEO_MIMES = {
    b"qt  ": "video/quicktime",
    b"M4V ": "video/mp4",
    b"mj2s": "video/mj2",
    b"mjp2": "video/mj2",
}
#: All that `sniff` can answer.
PICTURES = (HEIC, AVIF, CR3)
VIDEOS = (
    QUICKTIME,
    *(
        Format("video", f"video/{kind}", "video", "video")
        for kind in ("mp4", "3gpp", "3gpp2", "mj2")
    ),
)
#: An `ftyp` lists few brands; a larger box is a lie.
_MAX_FTYP_BYTES = 1024


def sniff(head: bytes) -> Format | None:
    """Return the format of an ISO base media file, None when `head` is not the start of one."""
    box = head[4:8]
    if box in _QUICKTIME_BOXES:
        return QUICKTIME
    if box != b"ftyp":
        return None
    size_bytes = int.from_bytes(head[:4], "big")
    if not 16 <= size_bytes <= _MAX_FTYP_BYTES:  # noqa: PLR2004 - header, major brand, version
        return None
    major = head[8:12]
    brands = [major, *(head[at : at + 4] for at in range(16, min(size_bytes, len(head)), 4))]
    return _by_brands(major, brands)


def _by_brands(major: bytes, brands: list[bytes]) -> Format | None:
    if major == b"crx ":
        return CR3
    if major in _AUDIO:
        return AUDIOBOOK if major == b"M4B " else SOUND
    if major in _HEVC or (major in _IMAGE and not _AVIF.intersection(brands)):
        return HEIC
    if _AVIF.intersection(brands):
        return AVIF
    if _HEVC.intersection(brands):
        return HEIC
    phone = {b"3gp": "video/3gpp", b"3g2": "video/3gpp2"}.get(major[:3], "video/mp4")
    mime = _VIDEO_MIMES.get(major, phone)
    return Format("video", mime, "video", "video")


# How long a file says it is ------------------------------------------------------------------
#
# For telling cut-off files from others. Moves forward only, in a bounded number of steps.

#: A fragmented film has a box every second or so at its top; more than a day of them is a lie.
_MAX_FRAGMENTS: Final = 10_000
_CONTAINER_HEADER_BYTES: Final = 16
_ISO_BOXES: Final = frozenset(
    {b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip", b"pnot", b"uuid", b"meta", b"moof"}
)
_EBML: Final = b"\x1aE\xdf\xa3"
_SEGMENT: Final = b"\x18S\x80g"


def declared_bytes(read_at: ReadAt, size_bytes: int) -> int:
    """Return the length the container claims; 0 where it says nothing that can be used.

    ISO base media (ISO/IEC 14496-12, 4.2), RIFF, and Matroska (RFC 8794, 5 and 6).
    """
    head = read_at(0, _CONTAINER_HEADER_BYTES)
    if head[:4] == b"RIFF":
        return 8 + int.from_bytes(head[4:8], "little")
    if head[:4] == _EBML:
        return _matroska_bytes(read_at)
    if head[4:8] not in _ISO_BOXES:
        return 0
    boxes_found = sound_boxes(read_at, 0, size_bytes, _MAX_FRAGMENTS)
    return max((box.end for box in boxes_found), default=0)


def _matroska_bytes(read_at: ReadAt) -> int:
    header, skip = _vint(read_at(4, 8))
    if header < 0:
        return 0
    at = 4 + skip + header
    if read_at(at, 4) != _SEGMENT:
        return 0
    segment, skip = _vint(read_at(at + 4, 8))
    return at + 4 + skip + segment if segment >= 0 else 0


def _vint(data: bytes) -> tuple[int, int]:
    """Return value and length of a variable-size integer; -1 for one that is unknown or broken."""
    if not data or not data[0]:
        return -1, 0
    length = 9 - data[0].bit_length()
    if len(data) < length:
        return -1, 0
    mask = (1 << (7 * length)) - 1
    value = int.from_bytes(data[:length], "big") & mask
    return (-1, length) if value == mask else (value, length)
