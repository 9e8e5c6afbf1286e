"""Which entries of older versions are to be made again: each mend of a decoder, with its number.

An entry says which revision of its decoder made it (`pngbuild.REVISION`). One of an older revision
than that of the last mend for its type of file is looked at again, once: a worker asks the source,
by a bounded read of its header and without decoding, whether it is one of those that the mend is
about. Of the rest nothing changes, not a byte.

To say that a mend made pictures right is one line in `MENDS`: the next number (or the same, as long
as no version with it was released), the types, and what is concerned. What moves a picture by less
than a level (mean of all samples) is no such mend. The process of a run imports this, so nothing
here imports a picture library before a source is asked.
"""

from __future__ import annotations

import os
import re
import struct
import zlib
from typing import TYPE_CHECKING, Final, NamedTuple

from pregen.imaging.source_bytes import DamagedError, ReadAt, SourceBytes
from pregen.model import SMALL_BOX_PX

if TYPE_CHECKING:
    from collections.abc import Callable

    from pregen.model import Maker

#: What is read at first; parsers read on where they have to.
HEAD_BYTES: Final = 4096
#: Where a format keeps what is asked for anywhere near its beginning.
_MOST_HEAD_BYTES: Final = 64 * 1024


class Suspect(NamedTuple):
    """A source whose entry an older revision made."""

    source: SourceBytes
    entry: bytes
    """The PNG; empty where it is not at hand."""


class Mend(NamedTuple):
    """One mend of a decoder that made pictures right."""

    revision: int
    """Of what decodes these types, from the mend on."""
    mimes: frozenset[str]
    """`UNKNOWN` among them: files that were refused because nothing was recognised."""
    concerns: Callable[[Suspect], bool] | None
    """Tells of a source whether its picture may have been wrong. May raise DamagedError.

    None: no picture was wrong, but more is read.
    """
    reads_more: bool = False
    """What was refused before is read now: failures are tried again."""


# What is asked of a source ---------------------------------------------------------------------


def _always(_: Suspect) -> bool:
    """No header tells. What comes out as it was stays, to the byte."""
    return True


# PNG

_PNG_START: Final = 8
_CHUNK_HEAD_BYTES: Final = 8
#: Chunks before the pixels; a program that stores its settings as texts writes some dozens.
_MOST_CHUNKS: Final = 1000
_DEPTH_AT: Final = 24
_DEEP_BITS: Final = 16
#: What may stand behind the pixels: EXIF, with its own thumbnail, and texts.
_TAIL_BYTES: Final = 72 * 1024


def _deep_png_with_profile(suspect: Suspect) -> bool:
    """16 bits a sample with an ICC profile came out white."""
    head = suspect.source.head
    return head[_DEPTH_AT : _DEPTH_AT + 1] == b"\x10" and b"iCCP" in _leading_chunks(suspect.source)


def _exif_behind_pixels(suspect: Suspect) -> bool:
    """An orientation behind the pixels was passed over."""
    from pregen.imaging.containers import tiff  # noqa: PLC0415 - see the module

    source = suspect.source
    if b"eXIf" in _leading_chunks(source):
        return False
    size_bytes = source.size_bytes
    tail = source.read_at(max(0, size_bytes - _TAIL_BYTES), min(size_bytes, _TAIL_BYTES))
    for found in re.finditer(b"eXIf", tail):
        at = found.start() - 4
        length = int.from_bytes(tail[at : at + 4], "big") if at >= 0 else 0
        if 0 < length <= len(tail) - at and _chunks_to_end(tail, at):
            begin = at + _CHUNK_HEAD_BYTES
            return tiff.orientation(tail[begin : begin + length]) > 1
    return False


def _leading_chunks(source: SourceBytes) -> set[bytes]:
    """Return the kinds of the chunks before the pixels."""
    kinds: set[bytes] = set()
    at = _PNG_START
    for _ in range(_MOST_CHUNKS):
        head = source.read_at(at, _CHUNK_HEAD_BYTES)
        if len(head) < _CHUNK_HEAD_BYTES or head[4:] == b"IDAT":
            break
        kinds.add(head[4:])
        at += _CHUNK_HEAD_BYTES + int.from_bytes(head[:4], "big") + 4
    return kinds


def _chunks_to_end(tail: bytes, at: int) -> bool:
    """Tell whether whole chunks follow from `at` on, up to the last."""
    for _ in range(_MOST_CHUNKS):
        head = tail[at : at + _CHUNK_HEAD_BYTES]
        if len(head) < _CHUNK_HEAD_BYTES:
            return False
        if head[4:] == b"IEND":
            return True
        at += _CHUNK_HEAD_BYTES + int.from_bytes(head[:4], "big") + 4
    return False


# TIFF

_ICC_TAG: Final = 34675
_ORDINARY_BITS: Final = frozenset({1, 2, 4, 8, 16})
_INKS: Final = 4
#: As many as the decoder looks at.
_MOST_SUB_IFDS: Final = 31


def _unusual_tiff(suspect: Suspect) -> bool:
    """Samples that libvips does not understand by itself, and pictures below a preview.

    What came out right: whole numbers without a sign, of 8 bits or fewer, and of 16 without a
    profile; grey, RGB, a palette, inks, and YCbCr as JPEG.
    """
    from pregen.imaging.containers import tiff, tiff_layout  # noqa: PLC0415 - see the module

    first = tiff.first_ifd(suspect.source)
    layout = tiff_layout.read(suspect.source, first)
    photometric = layout.photometric
    ordinary = (
        layout.kind == tiff_layout.UNSIGNED
        and layout.bits in _ORDINARY_BITS
        and layout.compression != tiff_layout.OLD_JPEG
        and photometric <= tiff_layout.YCBCR
        and (photometric != tiff_layout.YCBCR or layout.compression == tiff_layout.JPEG)
        and tiff.PHOTOMETRIC in first
    )
    if not ordinary:
        return True
    inks = photometric == tiff_layout.INKS
    if inks and first.number(tiff.INK_SET, tiff.CMYK) != tiff.CMYK:
        return True
    if layout.bits == _DEEP_BITS:
        if layout.samples > _INKS if inks else _ICC_TAG in first:
            return True
    elif layout.bits < 8 and layout.samples > 1:  # noqa: PLR2004 - bits
        return True
    long_px = max(layout.width_px, layout.height_px)
    below = (first.at(offset) for offset in first.numbers(tiff.SUB_IFDS)[:_MOST_SUB_IFDS])
    return any(max(ifd.number(tiff.WIDTH), ifd.number(tiff.HEIGHT)) > long_px for ifd in below)


# JPEG


def _lossless_jpeg(suspect: Suspect) -> bool:
    """Of a picture without loss, which cannot be decoded smaller, an enlarged corner was shown."""
    from pregen.imaging.containers import jpeg  # noqa: PLC0415 - numpy: not for a run's process

    return jpeg.is_lossless(suspect.source)


# Any format

#: The part of its rows that a stored picture may lack.
_LOST: Final = 0.25


def _has_flat_band(suspect: Suspect) -> bool:
    """What a decoder painted where the data was damaged has one colour, across the picture."""
    if not suspect.entry:
        return False
    from pregen.imaging.pixels import flatness  # noqa: PLC0415 - numpy: as above

    return flatness.flat_band(suspect.entry) >= _LOST


# Photoshop

_PSD_FACTS: Final = 26
#: By mode, as far as colours were right; those of CIELab (9) never were.
_PSD_CHANNELS: Final = {0: 1, 1: 1, 2: 1, 3: 3, 4: 4, 8: 1}
_PSD_EXIF: Final = b"8BIM\x04\x22"
#: Behind a resource's number: a name without letters, and the length.
_PSD_BODY: Final = 6


def _unusual_psd(suspect: Suspect) -> bool:
    """CIELab, channels besides those of the mode, one bit, or EXIF that turns it."""
    from pregen.imaging.containers import tiff  # noqa: PLC0415 - see the module

    head = suspect.source.first(_MOST_HEAD_BYTES)
    if len(head) < _PSD_FACTS:
        return True
    channels, bits, mode = (int.from_bytes(head[at : at + 2], "big") for at in (12, 22, 24))
    if bits == 1 or channels != _PSD_CHANNELS.get(mode):
        return True
    at = head.find(_PSD_EXIF)
    exif = head[at + len(_PSD_EXIF) + _PSD_BODY :] if at >= 0 else b""
    return tiff.orientation(exif.removeprefix(b"Exif\0\0")) > 1


# JPEG XL


def _unusual_jxl(suspect: Suspect) -> bool:
    """Samples that do not mean what the profile says, alpha that is multiplied in, or frames.

    Of these the last was shown.
    """
    from pregen.imaging.containers import jxl  # noqa: PLC0415 - see the module

    header = jxl.read(suspect.source)
    if header.animated:
        return True
    if header.premultiplied or header.icc:
        return header.premultiplied or header.xyb
    plain = jxl.JxlHeader()
    return (header.transfer, header.gamma, header.white, header.primaries) != (
        plain.transfer, plain.gamma, plain.white, plain.primaries,
    )  # fmt: skip


# HEIC and AVIF


def _deep_heic(suspect: Suspect) -> bool:
    """Of more than 8 bits a sample, libheif cut off luma and chroma; grey ones came out black."""
    from pregen.imaging.containers import heif  # noqa: PLC0415 - see the module

    return heif.is_deep(heif.read(suspect.source.read_at, suspect.source.size_bytes))


def _deep_avif_with_profile(suspect: Suspect) -> bool:
    """Likewise, by libavif, and several levels where a profile makes much of little."""
    from pregen.imaging.containers import heif  # noqa: PLC0415 - see the module

    return heif.is_deep_under_profile(suspect.source)


#: A profile's colour space, and its signature (ICC.1:2022, 7.2).
_GREY_PROFILE: Final = re.compile(rb"GRAY.{16}acsp", re.DOTALL)


def _avif_with_grey_profile(suspect: Suspect) -> bool:
    """The profile of a grey picture did not count."""
    return bool(_GREY_PROFILE.search(suspect.source.first(_MOST_HEAD_BYTES)))


_MOST_XMP_BYTES: Final = 64 * 1024


def _avif_turned_by_xmp(suspect: Suspect) -> bool:
    """An orientation in XMP counted, which other decoders do not take from there."""
    from pregen.imaging.containers import heif  # noqa: PLC0415 - see the module

    source = suspect.source
    meta = heif.read(source.read_at, source.size_bytes)
    places = [
        item.extents[0]
        for item in meta.referring(b"cdsc", meta.primary)
        if item.kind == b"mime" and item.extents
    ]
    return any(
        b"tiff:Orientation" in source.read_at(at, min(count or _MOST_XMP_BYTES, _MOST_XMP_BYTES))
        for at, count in places
    )


# GIF

_GIF_SCREEN: Final = struct.Struct("<6xHHB2x")
_GIF_PICTURE: Final = struct.Struct("<xHHHH")
_EXTENSION, _IMAGE = 0x21, 0x2C
#: Blocks before the first picture: comments and what programs keep there.
_MOST_BLOCKS: Final = 2000


def _gif_beside_its_screen(suspect: Suspect) -> bool:
    """What the first picture left free was black, and one larger than the screen was cut."""
    source = suspect.source
    screen_width_px, screen_height_px, flags = _GIF_SCREEN.unpack(source.piece(0, _GIF_SCREEN.size))
    at = _GIF_SCREEN.size + (3 << (flags % 8 + 1) if flags >> 7 else 0)
    for _ in range(_MOST_BLOCKS):
        kind = source.uint(at, 1)
        if kind == _IMAGE:
            place = _GIF_PICTURE.unpack(source.piece(at, _GIF_PICTURE.size))
            return place != (0, 0, screen_width_px, screen_height_px)
        if kind != _EXTENSION:
            return True
        at += 2
        while count := source.uint(at, 1):
            at += 1 + count
        at += 1
    return True


# BMP


def _bmp_with_profile(suspect: Suspect) -> bool:
    """The profile did not count."""
    from pregen.imaging.decoders import bmp  # noqa: PLC0415 - numpy: not for a run's process
    from pregen.imaging.faults import Fault  # noqa: PLC0415 - as above

    try:
        return bool(bmp.read(suspect.source).profile)
    except Fault:
        return True


# JPEG 2000

_COMPONENTS_AT: Final = 40
#: Enumerated colour spaces that samples of 8 bits come in (15444-1, table I.10).
_SRGB_OR_GREY: Final = frozenset({16, 17})


def _unusual_jp2(suspect: Suspect) -> bool:
    """More than 8 bits, an alpha, shared colours, a palette, YCbCr, or a profile.

    And what may have been decoded at a reduced resolution: it lay half a pixel of that one off.
    """
    from pregen.imaging.containers import isobmff, jp2  # noqa: PLC0415 - see the module

    source = suspect.source
    at = 0
    codestream = jp2.read(source.read_at, source.size_bytes).codestream
    left, top, right, bottom = codestream.extent(0)
    if codestream.halvings and max(right - left, bottom - top) >= 2 * SMALL_BOX_PX:
        return True
    if not source.head.startswith(jp2.SIGNATURE):
        found = {box.kind: box for box in isobmff.boxes(source.read_at, 0, source.size_bytes)}
        if b"jp2c" not in found or b"jp2h" not in found:
            return True
        at = found[b"jp2c"].begin
        header = found[b"jp2h"]
        below = list(isobmff.boxes(source.read_at, header.begin, header.end))
        colours = [box for box in below if box.kind == b"colr"]
        if len(colours) != 1 or any(box.kind in {b"pclr", b"cdef"} for box in below):
            return True
        method, _, _, *space = source.piece(colours[0].begin, 7)
        if method != 1 or int.from_bytes(bytes(space), "big") not in _SRGB_OR_GREY:
            return True
    count = source.uint(at + _COMPONENTS_AT, 2)
    if count not in {1, 3}:
        return True
    return source.piece(at + _COMPONENTS_AT + 2, 3 * count) != b"\x07\x01\x01" * count


# QOI


def _qoi_that_begins_black(suspect: Suspect) -> bool:
    """Black that came after a first run of it was transparent."""
    from pregen.imaging.decoders import pillow  # noqa: PLC0415 - Pillow: not for a run's process

    return pillow.begins_with_run(suspect.source.head)


# SVG

#: A length in a unit of paper.
_PAPER: Final = re.compile(rb"\d(?:mm|cm|in|pt|pc|Q)\b")
_GZIP: Final = b"\x1f\x8b"


def _drawn_in_units_of_paper(suspect: Suspect) -> bool:
    """An inch had 72 pixels instead of 96: drawings were cut off, and texts too small."""
    text = suspect.source.first(_MOST_HEAD_BYTES)
    if text.startswith(_GZIP):
        try:
            text = zlib.decompressobj(wbits=31).decompress(text, _MOST_HEAD_BYTES)
        except zlib.error:
            return True
    return bool(_PAPER.search(text))


# The mends --------------------------------------------------------------------------------------

_PNG: Final = frozenset({"image/png"})
_TIFF: Final = frozenset({"image/tiff"})
_JPEG: Final = frozenset({"image/jpeg"})
_JPEG_2000: Final = frozenset({"image/jp2", "image/jpx", "image/x-jp2-codestream"})
#: What a fail record has for the type of a file of which nothing was recognised.
UNKNOWN: Final = ""

MENDS: Final = (
    Mend(1, _PNG, _deep_png_with_profile),
    Mend(1, _PNG, _exif_behind_pixels),
    Mend(1, _TIFF, _unusual_tiff, reads_more=True),
    Mend(1, _TIFF, _has_flat_band),
    Mend(1, _JPEG, _lossless_jpeg, reads_more=True),
    Mend(1, _JPEG, _has_flat_band),
    Mend(1, frozenset({"image/vnd.adobe.photoshop"}), _unusual_psd, reads_more=True),
    Mend(1, frozenset({"image/jxl"}), _unusual_jxl),
    Mend(1, frozenset({"image/avif"}), _avif_with_grey_profile, reads_more=True),
    Mend(1, frozenset({"image/avif"}), _deep_avif_with_profile),
    Mend(1, frozenset({"image/avif"}), _avif_turned_by_xmp),
    Mend(1, frozenset({"image/heif"}), _deep_heic),
    Mend(1, frozenset({"image/gif"}), _gif_beside_its_screen),
    Mend(1, frozenset({"image/bmp"}), _bmp_with_profile, reads_more=True),
    # Runs that go on in the next row: what came last was missing.
    Mend(1, frozenset({"image/vnd.zbrush.pcx"}), _always, reads_more=True),
    Mend(1, _JPEG_2000, _unusual_jp2, reads_more=True),
    # Transparency of cursors, and of several pictures of one size the one of fewest colours.
    Mend(
        1, frozenset({"image/vnd.microsoft.icon", "image/x-win-bitmap"}), _always, reads_more=True
    ),
    Mend(1, frozenset({"image/qoi"}), _qoi_that_begins_black),
    Mend(1, frozenset({"image/svg+xml", "image/svg+xml-compressed"}), _drawn_in_units_of_paper),
    # Arrays of bitmaps.
    Mend(1, frozenset({UNKNOWN}), None, reads_more=True),
)
"""Every mend since revisions are counted, the oldest first."""

#: Of the decoders as a whole: what earlier runs found right is asked for again when it grows.
REVISION: Final = max(mend.revision for mend in MENDS)
_IN_ORDER: Final = sorted(MENDS, key=lambda mend: mend.revision)
# Of mends of one type, the last counts.
_LATEST: Final = {mime: mend.revision for mend in _IN_ORDER for mime in mend.mimes}
_MENDED: Final = {mime: mend.revision for mend in _IN_ORDER if mend.concerns for mime in mend.mimes}
_READS_MORE: Final = {
    mime: mend.revision for mend in _IN_ORDER if mend.reads_more for mime in mend.mimes
}


def latest(mime: str) -> int:
    """Return the revision of what decodes a type today; 0 where none of it was ever mended."""
    return _LATEST.get(mime, 0)


def is_outdated(maker: Maker) -> bool:
    """Tell whether pictures of this type were mended since. Asked for every entry of a cache."""
    mime, revision = maker
    return revision < _MENDED.get(mime, 0)


def reads_more(maker: Maker) -> bool:
    """Tell whether files of this type that were refused then may be read today."""
    return maker.revision < _READS_MORE.get(maker.mime, 0)


class Recheck:
    """Asks one open source whether entries of it may show it wrongly, reading its header once."""

    def __init__(self, fd: int, size_bytes: int, read: ReadAt | None = None) -> None:
        self._read = read
        self._fd = fd
        self._size_bytes = size_bytes
        self._source: SourceBytes | None = None
        self._answers: dict[Maker, bool] = {}

    @property
    def bytes_read(self) -> int:
        """Of the source, for the record."""
        return self._source.bytes_read if self._source else 0

    def concerns(self, maker: Maker, entry: bytes = b"") -> bool:
        """Tell whether the source is to be decoded once more.

        Args:
            maker: What the entry says of its making. Those of one making share an answer.
            entry: The PNG; empty where it is not at hand.

        Raises:
            OSError: The source cannot be read.
        """
        if not is_outdated(maker):
            return False
        if maker not in self._answers:
            if self._source is None:
                read = self._read
                head = read(0, HEAD_BYTES) if read else os.pread(self._fd, HEAD_BYTES, 0)
                self._source = SourceBytes(self._fd, self._size_bytes, head, read)
            self._answers[maker] = _is_concerned(maker, Suspect(self._source, entry))
        return self._answers[maker]


def _is_concerned(maker: Maker, suspect: Suspect) -> bool:
    try:
        return any(
            mend.concerns(suspect)
            for mend in MENDS
            if mend.concerns and maker.revision < mend.revision and maker.mime in mend.mimes
        )
    except DamagedError:
        return True  # its decoder of then did not go by the book
