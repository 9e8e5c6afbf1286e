"""Every parser of our own that reads hostile bytes: how to call it, and what it may do.

For property tests, for the coverage-guided `scripts/fuzz-parsers`, and for replaying its finds. A
new parser needs an entry here: bytes in, its own errors swallowed, everything else let through.
"""

from __future__ import annotations

import contextlib
import gzip
import io
import struct
import sys
import tarfile
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pylibjxl

import pregen
from pregen.filesystems import mounttable, protection
from pregen.imaging import compiled, revisions, sniff
from pregen.imaging.containers import (
    coded_picture,
    gcode,
    gif,
    heif,
    icns,
    isobmff,
    jp2,
    jpeg,
    jpeg_scans,
    jxl,
    markup,
    png,
    tiff,
    tiff_layout,
    webp,
)
from pregen.imaging.containers import zip as zip_file
from pregen.imaging.decoders import bmp, gif_damage, pcx, pillow, tiff_damage
from pregen.imaging.decoders import jpeg as jpeg_decoder
from pregen.imaging.faults import Fault, fault_of_message
from pregen.imaging.pixels import colour
from pregen.imaging.previews import jpeg_previews, layout, raw
from pregen.imaging.revisions import Suspect
from pregen.imaging.source_bytes import MAX_PIECE_BYTES, DamagedError, SourceBytes
from pregen.model import Flavor
from pregen.originals import vaults
from pregen.thumbspec import (
    pngbuild,
    pngchunks,
    pngtext,
    refusals,
    validity,
    wholeness,
)
from pregen.verbs.transfer import ustar
from tests.support.files import exchanged, heifs, pictures, plain_writers, profiles, raws, stored
from tests.support.files.camera_jpegs import UNDEFINED, VGA, with_ifd1, with_mpf
from tests.support.files.pairs import pair
from tests.support.files.pictures import encode, image
from tests.support.judges import decoding, png_walk

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import CodeType, FrameType

#: Lines of Python a parser may run for these bytes: it may look at each of them a few times, and
#: at a bounded number of parts besides.
_STEPS = 200_000
_STEPS_PER_BYTE = 100

#: How the names of our own files begin.
OURS = f"{Path(pregen.__file__).parent}/"

Edge = tuple["CodeType", int, int]
"""Two lines of one function, run one after the other."""


class Parser(NamedTuple):
    """One parser, and inputs that it understands."""

    run: Callable[[bytes], object]
    samples: Callable[[], list[bytes]]


class EndlessError(AssertionError):
    """A parser takes far more steps than its input can be worth."""


def traced(parser: Parser, data: bytes) -> set[Edge]:
    """Run a parser; return the pairs of lines of ours that were run one after the other.

    Raises:
        EndlessError: It loops.
    """
    edges: set[Edge] = set()
    left = _STEPS + _STEPS_PER_BYTE * len(data)

    def enter(frame: FrameType, event: str, _: object) -> object:
        code = frame.f_code
        if event != "call" or not code.co_filename.startswith(OURS):
            return None
        last = 0

        def line(frame: FrameType, event: str, _: object) -> object:
            nonlocal last, left
            left -= 1
            if left < 0:
                raise EndlessError(f"{code.co_qualname} at line {frame.f_lineno}")
            if event == "line":
                edges.add((code, last, frame.f_lineno))
                last = frame.f_lineno
            return line

        return line

    before = sys.gettrace()
    sys.settrace(enter)  # type: ignore[arg-type]  # typeshed wants a trace function to return one
    try:
        parser.run(data)
    finally:
        sys.settrace(before)
    return edges


_MTIME_NS = 1_700_000_000_123_456_789

# --- how each is called -------------------------------------------------------------------------


def _jpeg_segments(data: bytes) -> None:
    for segment in jpeg.segments(data):
        assert 0 < segment.begin <= segment.end
    head = jpeg.read(data)
    if head is not None:
        assert 1 <= head.orientation <= 8
        assert -1 <= head.scan_at < len(data)
        assert 0 <= head.width_px <= 0xFFFF
        assert len(head.profile) <= len(data)


def _jpeg_scans(data: bytes) -> None:
    head = jpeg.read(data)
    if head is None or head.scan_at < 0:
        return
    with contextlib.suppress(jpeg_scans.Incomplete, ValueError):
        assert len(jpeg_scans.reduced(data, head)) <= len(data) + 2
    jpeg_scans.shows_all_rows(data, head)


def _jpegdc(data: bytes) -> None:
    head = jpeg.read(data)
    if head is None or not 0 < head.width_px * head.height_px <= 1 << 22:
        return
    for bands in (1, 3, 4):
        found = jpeg_decoder.decode_dc(data, head.width_px, head.height_px, bands)
        size = -(-head.height_px // 8), -(-head.width_px // 8), bands
        assert found is None or found.shape == size


def _tiff(data: bytes) -> None:
    found = tiff.raw_format(data)
    assert found is None or found.mime
    assert 1 <= tiff.orientation(data) <= 8
    with contextlib.suppress(DamagedError):
        ifd = tiff.first_ifd(SourceBytes.of(data), partial=True)
        for tag in (tiff.WIDTH, tiff.COMPRESSION, tiff.ORIENTATION, tiff.SUB_IFDS):
            assert all(-(1 << 31) <= value < 1 << 32 for value in ifd.numbers(tag))


def _tiff_layout(data: bytes) -> None:
    tiff.ends_early(SourceBytes.of(data))
    with contextlib.suppress(DamagedError):
        source = SourceBytes.of(data)
        found = tiff_layout.read(source, tiff_layout.directory(source))
        assert 0 <= found.share_inside(len(data)) <= 1
        assert found.pieces > 0
        stored = found.stored(source, 0)
        assert len(stored) <= len(data)
        if stored and found.samples * found.bits <= 1 << 10:
            again = SourceBytes.of(found.rebuilt([stored], 1, min(found.width_px, 1 << 16)))
            assert tiff_layout.read(again, tiff_layout.directory(again)).counts == (len(stored),)


def _lzw(data: bytes) -> None:
    share = tiff_damage.lzw_share(data, 1000, 2000)
    assert share is None or 0 <= share <= 1


def _inflated(data: bytes) -> None:
    assert 0 <= tiff_damage.deflate_share(data, 1000) <= 1


class _WatchedBytes(SourceBytes):
    """Bytes of which only the head is known, and what is read of the rest is looked at."""

    def __init__(self, data: bytes, head: bytes, most: int = 8192) -> None:
        super().__init__(-1, len(data), head)
        self._data = data
        self._most = most

    def _pread(self, offset: int, count: int) -> bytes:
        assert 0 <= offset < len(self._data)
        assert 0 < count <= self._most
        return self._data[offset : offset + count]


def _previews(find: Callable[[SourceBytes], layout.Layout]) -> Callable[[bytes], None]:
    def run(data: bytes) -> None:
        for head in (b"", data[:64]):
            try:
                found = find(_WatchedBytes(data, head))
            except DamagedError:
                continue
            assert 0 <= found.orientation <= 8
            assert found.width_px >= 0 <= found.height_px
            for preview in found.previews:
                assert 0 < preview.offset <= preview.offset + preview.size_bytes <= len(data)
                assert not preview.rgb or preview.size_bytes == 3 * (
                    preview.width_px * preview.height_px
                )
            layout.pick(found, 256)

    return run


def _of_jpeg(source: SourceBytes) -> layout.Layout:
    data = source.piece(0, min(source.size_bytes, MAX_PIECE_BYTES))
    head = jpeg.read(data)
    return layout.Layout() if head is None else jpeg_previews.layout(source, data, head)


def _previewed() -> list[bytes]:
    small = encode(image(*_SMALL_PX), "JPEG")
    return [with_ifd1(small, small), with_mpf(small, [(VGA, small), (UNDEFINED, small)])]


def _sniff(data: bytes) -> None:
    found = sniff.sniff(data[: sniff.HEAD_BYTES])
    assert found is None or found.mime
    iso = isobmff.sniff(data)
    assert iso is None or iso.mime


def _declared_length(data: bytes) -> None:
    def read_at(at: int, count: int) -> bytes:
        assert at >= 0
        assert 0 <= count <= 1024
        return data[at : at + count]

    assert isobmff.declared_bytes(read_at, len(data)) >= 0


def _heif(data: bytes) -> None:
    def read_at(at: int, count: int) -> bytes:
        assert 0 <= at <= len(data)
        assert 0 <= count <= max(16, len(data))
        return data[at : at + count]

    grid = heif.grid(data)
    assert grid is None or (min(grid) > 0 and max(grid[:2]) <= 256)
    heif.is_deep_under_profile(SourceBytes.of(data))
    rest = heif.without_metadata(SourceBytes.of(data))
    assert rest is None or len(rest) == len(data)
    with contextlib.suppress(DamagedError):
        meta = heif.read(read_at, len(data))
        for item in meta.items.values():
            shown = heif.shown_size(item)
            assert shown is None or min(shown) > 0
            assert heif.orientation(item) in {None, *range(1, 9)}
            assert len(heif.colour(item).profile) <= len(data)
            heif.as_file(item, b"", b"heic")
            heif.luma_coding(item)
            found = coded_picture.described(meta, item, read_at, len(data))
            if found is not None:
                with contextlib.suppress(coded_picture.LeftAloneError):
                    assert sum(len(found.data(part)) for part in found.parts) <= len(data)
                assert len(found.parts) % found.across == 0
                assert all(found.setup(part) in data for part in found.parts)
        for number in (meta.primary, *list(meta.items)[:8]):
            assert 0 <= heif.share_present(meta, number, len(data)) <= 1
            meta.alpha_of(number)


def _zero_runs(data: bytes) -> None:
    for begin in (0, len(data) // 3, len(data)):
        left = jpeg.before_zero_run(data, begin)
        assert data.startswith(left)
        assert len(left) >= min(begin, len(data))


def _icon(data: bytes) -> None:
    sizes = list(pillow.icon_sizes(data))
    assert len(sizes) <= len(data) // 16
    assert all(width_px >= 0 <= height_px for width_px, height_px in sizes)


def _mounts(data: bytes) -> None:
    for mount in mounttable.parse_mountinfo(data):
        protection.is_vault(mount)
        protection.overlay_folders(mount.options)
    for read in (
        vaults.declared_in_plasma,
        vaults.declared_in_cryptomator,
        vaults.declared_in_pam_mount,
    ):
        for place in read(data, b"/home/me"):
            assert place.startswith(b"/")


def _mount_texts() -> list[bytes]:
    return [
        b"31 22 0:40 / /a\\040b rw shared:1 - fuse.gocryptfs /c rw\n",
        b"43 22 0:60 / /o rw - overlay overlay rw,lowerdir=/e:/l\\134:o,upperdir=/u\n",
        b"[/v]\nmountPoint=/home/me/v\nmountPoint[$e]=$HOME/w\n",
        b"<volume fstype='fuse' path='encfs#/c' mountpoint=\"~/%(USER)\" /><!-- -->",
        b'{"mountPoint": "/m"}',
    ]


def _messages(data: bytes) -> None:
    found = fault_of_message(data.decode(errors="replace"))
    assert isinstance(found, (Fault, MemoryError))


def _jpeg2000(data: bytes) -> None:
    with contextlib.suppress(DamagedError):
        found = jp2.read(SourceBytes.of(data).read_at, len(data))
        assert 0 <= found.begin <= found.end <= len(data)
        assert 0 <= found.codestream.halvings <= 32
        read_at = SourceBytes.of(data[found.begin :]).read_at
        parts = list(jp2.tile_parts(read_at, found.codestream, len(data) - found.begin))
        assert len(parts) <= len(data) // 12


def _jxl_header(data: bytes) -> None:
    with contextlib.suppress(DamagedError):
        header = jxl.read(SourceBytes.of(data))
        colour.srgb_codes(header.transfer, header.gamma)
        colour.is_near_srgb(header.primaries, header.white)
        assert len(colour.profile_of(header.primaries, header.white)) < 1000


def _netpbm(data: bytes) -> None:
    if data[:2] in {b"P5", b"P6", b"P7", b"PF", b"Pf"}:
        with contextlib.suppress(Fault, MemoryError):
            decoding.make(data, max_pixels=1 << 20)


def _png_orientation(data: bytes) -> None:
    assert 1 <= png.orientation(SourceBytes.of(data)) <= 8


def _png_head(data: bytes) -> None:
    head = png.read(data)
    if head is not None:
        assert head.width_px > 0 < head.height_px
        assert 1 <= head.orientation <= 8
        assert all(41 <= begin <= end <= len(data) - 16 for begin, end in head.spans)


def _bmp(data: bytes) -> None:
    if data[:2] in {b"BM", b"BA"}:
        with contextlib.suppress(Fault, MemoryError):
            decoding.make(data, max_pixels=1 << 20)


def _psd(data: bytes) -> None:
    if data[:6] in {b"8BPS\0\1", b"8BPS\0\2"}:
        with contextlib.suppress(Fault, MemoryError):
            decoding.make(data, max_pixels=1 << 20)


def _decoded(*magics: bytes) -> Callable[[bytes], None]:
    """A format that is decoded by code of ours from its first byte to its last."""

    def run(data: bytes) -> None:
        if data.startswith(magics):
            with contextlib.suppress(Fault, MemoryError):
                decoding.make(data, max_pixels=1 << 20)

    return run


def _zip(data: bytes) -> None:
    for first in zip_file.first_members(data):
        assert len(first.name) + len(first.content) <= len(data)
    for source in (SourceBytes.of(data), _WatchedBytes(data, data[:64], most=1 << 20)):
        with contextlib.suppress(DamagedError):
            found = zip_file.members(source)
            assert len(found) <= len(data) // 46
            for member in found[:20]:
                with contextlib.suppress(DamagedError):
                    assert len(zip_file.read(source, member, 10_000)) == member.size_bytes


def _markup(data: bytes) -> None:
    with contextlib.suppress(DamagedError):
        assert len(markup.elements(data)) <= len(data) // 3


def _gcode(data: bytes) -> None:
    with contextlib.suppress(DamagedError):
        found = gcode.largest(SourceBytes.of(data))
        assert found is None or len(found) <= len(data)


def _icns(data: bytes) -> None:
    with contextlib.suppress(DamagedError):
        found = icns.largest(SourceBytes.of(data))
        assert found is None or found in data


def _pngchunks(data: bytes) -> None:
    with contextlib.suppress(pngchunks.PngError):
        header = pngchunks.read_header(data)
        at = pngchunks.HEADER_BYTES
        for _, start, end in pngchunks.walk(data, header.color_type):
            assert at == start < end
            at = end
            if end <= len(data):
                pngchunks.body(data, start, end)


def _pngtext(data: bytes) -> None:
    for past_image in (False, True):
        with contextlib.suppress(pngchunks.PngError):
            head = pngtext.read_head(data, past_image=past_image)
            assert sum(len(text.value) for text in head.texts) <= pngtext.MAX_INFLATED_BYTES + len(
                data
            )


def _pngbuild(data: bytes) -> None:
    facts = pngbuild.SourceFacts("file:///a", _MTIME_NS, 1000, "")
    with contextlib.suppress(pngchunks.PngError):
        again = pngbuild.retext(data, facts)
        assert pngtext.read_head(again, past_image=True).ended


def _wholeness(data: bytes) -> None:
    for strictness in wholeness.Strictness:
        said = wholeness.damage(data, strictness)
        assert said or len(data) > 53
    refusals.EntryAsRead(data).unreadable(refusals.Reads.PICTURE_BUT_END)


def _ustar(data: bytes) -> None:
    read_bytes = 0
    tar = ustar.TarReader(io.BytesIO(data))
    with contextlib.suppress(ustar.TarError):
        for number, member in enumerate(tar, 1):
            assert 0 <= member.size_bytes <= ustar.MOST_MEMBER_BYTES
            assert number * ustar.BLOCK_BYTES <= len(data)
            if number % 2:
                found = tar.read()
                assert len(found) == member.size_bytes
                read_bytes += len(found)
    assert read_bytes <= len(data)


def _validity(data: bytes) -> None:
    for whole in (False, True):
        validity.judge(
            data, Flavor.LARGE, "file:///a", 1_700_000_000_123_456_789, 1000, whole=whole
        )


# --- what they understand -----------------------------------------------------------------------

_SMALL_PX = (24, 17)


def _jpegs() -> list[bytes]:
    picture = image(*_SMALL_PX)
    return [
        encode(picture, "JPEG", exif=pictures.exif(6), icc_profile=b"p" * 40),
        encode(picture, "JPEG", progressive=True, subsampling=2),
        encode(picture, "JPEG", progressive=True, subsampling=0, quality=30),
        encode(picture, "JPEG", restart_marker_blocks=1, optimize=True),
        encode(picture.convert("L"), "JPEG"),
        encode(picture.convert("CMYK"), "JPEG"),
    ]


def _tiffs() -> list[bytes]:
    picture = image(*_SMALL_PX)
    big_endian = struct.pack(">2sHIH", b"MM", 42, 8, 2) + b"".join(
        struct.pack(">HHII", *entry) for entry in ((0x010F, 2, 6, 34), (0xC612, 1, 4, 1 << 24))
    )
    nikon = struct.pack("<2sHIH", b"II", 42, 8, 4) + b"".join(
        struct.pack("<HHII", *entry)
        for entry in (
            (0x00FE, 4, 1, 1),
            (0x0103, 3, 1, 34713),
            (0x010F, 2, 6, 62),
            (0x014A, 4, 1, 9),
        )
    )
    return [
        encode(picture, "TIFF"),
        encode(picture, "TIFF", big_tiff=True),
        big_endian + b"Canon\0",
        nikon + bytes(4) + b"NIKON\0",
        b"IIU\0" + bytes(40),
        b"II*\0\x10\0\0\0CR\2\0" + bytes(20),
    ]


def _compressed_tiff(compression: str) -> bytes:
    picture = image(*_SMALL_PX)
    if compression == "group4":
        picture = picture.convert("1")
    return encode(picture, "TIFF", compression=compression)


def _boxes() -> list[bytes]:
    def box(kind: bytes, body: bytes = b"", *, large: bool = False) -> bytes:
        if large:
            return struct.pack(">I4sQ", 1, kind, len(body) + 16) + body
        return struct.pack(">I4s", len(body) + 8, kind) + body

    ftyp = box(b"ftyp", b"isom\0\0\2\0isommp42")
    return [
        ftyp + box(b"moov", bytes(20)) + box(b"mdat", bytes(30), large=True),
        *(box(b"ftyp", brand + bytes(4) + b"mif1" + brand) for brand in _BRANDS),
        box(b"wide") + box(b"mdat", bytes(9)),
        ftyp + box(b"moof", bytes(8)) * 5 + struct.pack(">I4s", 0, b"mdat") + bytes(9),
        b"\x1aE\xdf\xa3\x8bB\x82\x84webm\x42\x87\x81\2\x18S\x80g\x85hello",
        b"\x1aE\xdf\xa3\x81x\x18S\x80g\x01\xff\xff\xff\xff\xff\xff\xff",
        b"RIFF\x14\0\0\0AVI LIST\4\0\0\0movi",
    ]


_BRANDS = (b"avif", b"heic", b"crx ", b"qt  ", b"mif1", b"M4A ", b"3gp4", b"mjp2")


def _heads() -> list[bytes]:
    picture = image(*_SMALL_PX)
    kinds = ("PNG", "GIF", "WEBP", "BMP", "TGA", "PCX", "PPM", "QOI", "ICO", "JPEG2000")
    stream = bytes([0x47]) + bytes(187)
    return [
        *(encode(picture, kind)[:300] for kind in kinds),
        pictures.svg(),
        gzip.compress(pictures.svg(), mtime=0),
        b'\xef\xbb\xbf<?xml version="1.0"?><!-- a --><s:svg xmlns:s="x">',
        stream * 9,
        (bytes(4) + stream) * 9,
        b"OggS" + bytes(24) + b"\x80theora",
        b"%PDF-1.7\n",
        b"BM" + bytes(12) + b"\x28\0\0\0" + bytes(40),
        b"P1 # c\n4 4\n",
    ]


def _heifs() -> list[bytes]:
    picture = image(*_SMALL_PX)
    return [
        heifs.heic(picture, quality=10)[:2000],
        heifs.turned(picture, irot=True, quality=10)[:2000],
        encode(picture, "AVIF", exif=pictures.exif(6))[:2000],
        encode(pictures.rgba(*_SMALL_PX), "AVIF")[:2000],
        heifs.file_of(
            [heifs.grid(2, 1, (90, 40)), *[heifs.coded(heifs.heic(picture, quality=10))] * 2]
        ),
    ]


def _files_with_zero_runs() -> list[bytes]:
    noise = bytes(range(1, 256)) * 20
    return [
        noise[:2048] + bytes(2048) + noise[:2048],
        noise[:2047] + bytes(4096),
        noise[:1000] + bytes(5000) + noise[:200],
        noise[:5000] + bytes(2048),
    ]


def _icons() -> list[bytes]:
    picture = image(*_SMALL_PX)
    return [
        encode(picture, "ICO", sizes=[(16, 12), (24, 17)]),
        encode(picture, "ICO", sizes=[(16, 12)], bitmap_format="bmp"),
    ]


def _words() -> list[bytes]:
    return [
        b"VipsJpeg: premature end of JPEG image",
        b"out of memory, 300 MB",
        b"not been built in",
        b"VipsForeignLoad: unsupported bit depth",
    ]


def _pngs() -> list[bytes]:
    picture = image(*_SMALL_PX)
    texts = [
        ("tEXt", "Thumb::URI", "file:///a"),
        ("tEXt", "Thumb::MTime", "1700000000"),
        ("zTXt", "Software", "KDE"),
        ("iTXt", "Thumb::MTime", "1700000000.123456"),
        ("tEXt", "Thumb::Image::Width", "4000"),
    ]
    return [
        png_walk.with_texts(encode(picture.resize((8, 5)), "PNG"), texts),
        encode(picture.resize((8, 5)).quantize(4), "PNG"),
        encode(picture.resize((8, 5)).convert("1"), "PNG"),
    ]


def _small_pngs() -> list[bytes]:
    return [
        *_pngs(),
        pictures.interlaced_png(9, 5),
        pictures.png16(9, 5),
        encode(pictures.rgba(9, 5), "PNG"),
    ]


def _tars() -> list[bytes]:
    name, body = f"thumbnails/large/{'0a' * 16}.png", bytes(range(256)) * 3
    plain = ustar.header(name, len(body), 1_700_000_000) + body + bytes(256)
    made = [plain + plain + ustar.END]
    for form in (tarfile.PAX_FORMAT, tarfile.GNU_FORMAT):
        stream = io.BytesIO()
        with tarfile.open(fileobj=stream, mode="w", format=form) as tar:
            member = tarfile.TarInfo("a" * 150 + "/\u00e9.png")
            member.size, member.mtime = len(body), 1.5
            if form == tarfile.GNU_FORMAT:
                member.mtime = 1
            tar.addfile(member, io.BytesIO(body))
        made.append(stream.getvalue())
    return made


def _pnms() -> list[bytes]:
    deep = b"P5 # deep\n130 2 1000\n" + bytes(range(260)[:256]) * 2 + bytes(8)
    return [
        b"P6\n130 2\n255\n" + bytes(780),
        deep,
        b"P5\n140 4 15 " + bytes(560),
        b"P6 0 1 255 ",
        *_maps(),
    ]


def _maps() -> list[bytes]:
    picture = image(*_SMALL_PX).resize((140, 2))
    return [exchanged.pam(picture), exchanged.pfm(picture), exchanged.pfm(picture, ">")]


def _heads_of_pngs() -> list[bytes]:
    picture = image(*_SMALL_PX)
    few = picture.quantize(12)
    return [
        *_turned_pngs(),
        encode(few, "PNG", bits=8, transparency=bytes(range(9))),
        encode(picture, "PNG", icc_profile=profiles.display_p3(gamma=2.2)),
    ]


def _turned_pngs() -> list[bytes]:
    small = image(*_SMALL_PX).resize((8, 5))
    whole = encode(small, "PNG", exif=pictures.exif(6))
    return [whole, pictures.exif_behind(whole)]


def _bmps() -> list[bytes]:
    head = struct.pack("<IiiHHI20x4I", 56, 130, 3, 1, 16, 3, 0xF00, 0xF0, 0xF, 0xF000)
    return [b"BM" + struct.pack("<I4xI", 850, 70) + head + bytes(range(260)[:256]) * 3 + bytes(12)]


def _psds() -> list[bytes]:
    picture = np.asarray(pictures.rgba(140, 5))
    return [
        pictures.psd(140, 5),
        pictures.photoshop(picture, transparent=True),
        pictures.photoshop(picture, big=True, orientation=6),
        pictures.photoshop(picture[..., :1], mode=2),
    ]


def _codestreams() -> list[bytes]:
    picture = image(*_SMALL_PX)
    whole = encode(picture, "JPEG2000", tile_size=(64, 64))
    at = whole.index(b"jp2c") - 4
    palette = b"\0\0\0\x17pclr\0\2\3\7\x8b\7" + bytes(9)
    channels = b"\0\0\0\x14cmap\0\0\1\0\0\0\1\1" + b"\0\0\0\x10cdef\0\1\0\0\0\1\0\0"
    lab = b"\0\0\0\x27colr\1\0\0\0\0\0\x0e" + bytes(24)
    more = palette + channels + lab
    begin = whole.index(b"jp2h") - 4
    size = int.from_bytes(whole[begin : begin + 4], "big")
    header = (size + len(more)).to_bytes(4, "big") + b"jp2h" + more + whole[begin + 8 : at]
    return [
        encode(picture, "JPEG2000", no_jp2=True)[:200],
        whole[:400],
        whole[:begin] + header + whole[at : at + 200],
    ]


_JXL_HEADERS = (
    "ff0af83e9020e4cca828e22528084d89fb267e57c869496807130502712100128802003454d005c93984a981",
    "ff0af83e9090c98d00128802003454d005c93984a981f131256f656b4d2a5de5120000151a9254000c000060",
    "ff0af83e90142d0200128802004cd360c38d91592146b1160550b137310e5de5120000151a92040a0c000060",
    "ff0af83eb084fb850109f300d4cae13e027b755b3a2626415cec6a051af85917624065ad45b0a56619545dd0",
    "ff0af83e9046f70724cc03502b870b3eecd56da9899904d8a6af020dadd6851872adb508a7c571cc4c5b536d",
)


def _jxl_headers() -> list[bytes]:
    """Headers as cjxl writes them: P3 by coordinates and by number, linear grey, a profile."""
    return [
        *(bytes.fromhex(text) + bytes(24) for text in _JXL_HEADERS),
        bytes(pylibjxl.encode(np.asarray(image(*_SMALL_PX)), exif=pictures.exif(6)))[:400],
    ]


def _webp(data: bytes) -> None:
    picture = webp.first_picture(data)
    if picture is None:
        return
    part, codes = picture.without_end(), picture.lossless
    assert part is None or len(part) <= len(data)
    head = webp.read(data)
    assert head is None or 0 <= head.spare < head.end <= len(data)
    if codes is not None and min(codes[1:]):
        compiled.lossless(*codes)


def _webps() -> list[bytes]:
    return [
        encode(image(*_SMALL_PX), "WEBP", lossless=True),
        encode(image(*_SMALL_PX), "WEBP", exif=pictures.exif(6), icc_profile=b"any"),
        encode(pictures.rgba(*_SMALL_PX), "WEBP"),
    ]


def _gif(data: bytes) -> None:
    assert 0 <= gif_damage.share_sound(data) <= 1
    place = gif.first_place(data)
    assert place is None or max(place) < 1 << 16


def _pcx(data: bytes) -> None:
    if data[:1] == b"\n":
        with contextlib.suppress(Fault, MemoryError):
            decoding.make(data, max_pixels=1 << 20)
    assert len(pcx.unpacked(data, 1 << 16)) <= 1 << 16


def _pcxs() -> list[bytes]:
    kinds = (
        ("palette", "2", 2, 1),
        ("palette", "4", 1, 4),
        ("palette", "8", 8, 1),
        ("rgb", "8", 8, 3),
    )
    return [
        plain_writers.pcx(pair(mode, bits, "none", (140, 20)), depth, planes)
        for mode, bits, depth, planes in kinds
    ]


def _bitmap_runs(data: bytes) -> None:
    for bits in (4, 8, 24):
        flat, rows = bmp.unpacked(data, 61, 37, bits)
        assert len(flat) == 61 * 37 * (3 if bits == 24 else 1)
        assert 0 <= rows <= 37


def _more_bmps() -> list[bytes]:
    few, many = pair("palette", "4", "none", (140, 20)), pair("rgb", "8", "none", (140, 20))
    return [
        *_bmps(),
        plain_writers.bmp_rows(few, 4, "os2-1"),
        plain_writers.bmp_rows(few, 4, "os2-2", packed_by="rle"),
        plain_writers.bmp_rows(many, 24, "os2-2", packed_by="rle"),
        plain_writers.bmp_rows(many, 24, "v5"),
        plain_writers.bmp_rows(few, 4, "os2-2-short", array=True),
        plain_writers.bmp_rows(many, 24, packed_by="png"),
    ]


def _more_psds() -> list[bytes]:
    stored = pair("rgb", "8", "none", (140, 20))
    return [
        *_psds(),
        plain_writers.psd(stored, "rgb", packed_by="deflated"),
        plain_writers.psd(stored, "rgb", packed_by="predicted"),
    ]


def _mends(data: bytes) -> None:
    """Every question that is asked of a source whose entry is old."""
    for mend in revisions.MENDS:
        with contextlib.suppress(DamagedError):
            if mend.concerns is not None:
                mend.concerns(Suspect(SourceBytes.of(data), data))


def _old_sources() -> list[bytes]:
    gif = encode(image(*_SMALL_PX), "GIF")[:400]
    return [gif, *_turned_pngs(), *_tiffs(), *_jpegs(), *_psds(), *_codestreams(), *_jxl_headers()]


#: Just larger than what needs no entry, in one direction.
_THIN_PX = (140, 3)


def _zips() -> list[bytes]:
    document = stored.document(("Thumbnails/thumbnail.png", b"picture" * 9))
    return [document, stored.zipped(("a.jpg", b"x" * 99), ("b/", b""), stored=True), document[:-5]]


def _markups() -> list[bytes]:
    return [
        b'<?xml version="1.0"?><a:b xmlns:a="x"><c d="e" a:f="g"/>text<h/></a:b>',
        b'<!DOCTYPE a SYSTEM "a.dtd"><a b="c"><d/></a>',
        b'<!DOCTYPE a [<!ATTLIST a b CDATA "c">]><a/>',
    ]


def _scenes() -> list[bytes]:
    picture = image(*_SMALL_PX).resize(_THIN_PX)
    versions = ("-v293", "_v279", "-V248", "17-01v0500")
    whole = [stored.blend(picture, version=version)[:4000] for version in versions]
    return [*whole, gzip.compress(whole[0], mtime=0)]


def _exchanged(name: str) -> list[bytes]:
    picture = image(*_SMALL_PX).resize(_THIN_PX)
    if name == "dds":
        return [encode(picture, "DDS"), encode(picture.convert("RGBA"), "DDS")]
    if name == "fits":
        grey = np.asarray(picture.convert("L"))
        return [
            exchanged.fits(grey),
            exchanged.fits(grey.astype("f4"), more=("BSCALE  =  2.0 / x",)),
            exchanged.fits(grey.astype("i2"), empty_first=True),
        ]
    if name == "radiance":
        return [exchanged.radiance(picture)]
    few = picture.quantize(5)
    return [exchanged.xpm(few, {0: "None", 1: "gray50"}, characters) for characters in (1, 3)]


PARSERS: dict[str, Parser] = {
    "jpeg-segments": Parser(_jpeg_segments, cache(_jpegs)),
    "jpeg-scans": Parser(_jpeg_scans, cache(_jpegs)),
    "jpegdc": Parser(_jpegdc, cache(_jpegs)),
    "previews-tiff": Parser(
        _previews(raw.find_tiff),
        cache(lambda: [raws.dng([image(*_SMALL_PX)] * 2, (8, 4), 6), *_tiffs()]),
    ),
    "previews-cr3": Parser(
        _previews(raw.find_cr3), cache(lambda: [raws.cr3(image(*_SMALL_PX))[:2000], *_boxes()])
    ),
    "previews-raf": Parser(
        _previews(raw.find_raf), cache(lambda: [raws.raf(image(*_SMALL_PX))[:4000]])
    ),
    "previews-jpeg": Parser(_previews(_of_jpeg), cache(_previewed)),
    "tiff": Parser(_tiff, cache(_tiffs)),
    "tiff-layout": Parser(
        _tiff_layout, cache(lambda: [*_tiffs(), *map(_compressed_tiff, ("group4", "jpeg"))])
    ),
    "lzw": Parser(_lzw, cache(lambda: [_compressed_tiff("tiff_lzw")[8:400]])),
    "deflate": Parser(_inflated, cache(lambda: [_compressed_tiff("tiff_adobe_deflate")[8:400]])),
    "sniff": Parser(_sniff, cache(lambda: _heads() + _boxes())),
    "declared-length": Parser(_declared_length, cache(_boxes)),
    "heif": Parser(_heif, cache(_heifs)),
    "zero-runs": Parser(_zero_runs, cache(_files_with_zero_runs)),
    "icon": Parser(_icon, cache(_icons)),
    "mounts": Parser(_mounts, cache(_mount_texts)),
    "messages": Parser(_messages, cache(_words)),
    "jpeg2000": Parser(_jpeg2000, cache(_codestreams)),
    "jxl-header": Parser(_jxl_header, cache(_jxl_headers)),
    "netpbm": Parser(_netpbm, cache(_pnms)),
    "mends": Parser(_mends, cache(_old_sources)),
    "zip": Parser(_zip, cache(_zips)),
    "markup": Parser(_markup, cache(_markups)),
    "gcode": Parser(
        _gcode, cache(lambda: [stored.gcode((9, 9, b"abc"), (99, 99, b"d" * 99))[:700]])
    ),
    "icns": Parser(
        _icns, cache(lambda: [encode(image(32, 32), "ICNS")[:3000], exchanged.old_icon()[:200]])
    ),
    "blend": Parser(_decoded(b"BLENDER", b"\x1f\x8b"), cache(_scenes)),
    "dds": Parser(_decoded(b"DDS "), cache(lambda: _exchanged("dds"))),
    "fits": Parser(_decoded(b"SIMPLE"), cache(lambda: _exchanged("fits"))),
    "radiance": Parser(_decoded(b"#?R"), cache(lambda: _exchanged("radiance"))),
    "xpm": Parser(_decoded(b"/* XPM */"), cache(lambda: _exchanged("xpm"))),
    "png-head": Parser(_png_head, cache(_heads_of_pngs)),
    "png-orientation": Parser(_png_orientation, cache(_turned_pngs)),
    "bmp": Parser(_bmp, cache(_more_bmps)),
    "bmp-runs": Parser(_bitmap_runs, cache(lambda: [one[-600:] for one in _more_bmps()])),
    "webp": Parser(_webp, cache(_webps)),
    "gif": Parser(_gif, cache(lambda: [encode(image(*_SMALL_PX), "GIF")])),
    "pcx": Parser(_pcx, cache(_pcxs)),
    "psd": Parser(_psd, cache(_more_psds)),
    "pngchunks": Parser(_pngchunks, cache(_pngs)),
    "pngtext": Parser(_pngtext, cache(_pngs)),
    "pngbuild": Parser(_pngbuild, cache(_pngs)),
    "validity": Parser(_validity, cache(_pngs)),
    "wholeness": Parser(_wholeness, cache(_small_pngs)),
    "ustar": Parser(_ustar, cache(_tars)),
}
