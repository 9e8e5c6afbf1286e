"""Names of types: those of shared-mime-info, found by content alone."""

from __future__ import annotations

import gzip
import subprocess
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pregen.imaging import sniff
from pregen.imaging.containers import isobmff
from tests.support.files import broken, exchanged, films, pdfs, pictures, stored
from tests.support.files.films import Look
from tests.support.files.photo import photo
from tests.support.files.pictures import encode, image, put
from tests.support.running.capabilities import Capability, needs

if TYPE_CHECKING:
    from pathlib import Path

_REST = bytes(200)
_JP2 = b"\x00\x00\x00\x0cjP  \r\n\x87\n\x00\x00\x00\x14ftyp"


def _ftyp(brand: bytes) -> bytes:
    return b"\0\0\0\x14ftyp%s\0\0\0\0%s" % (brand, brand) + _REST


def _film(container: str, codec: str, pix_fmt: str = "yuv420p") -> bytes:
    return films.film([photo(160, 96, 1)] * 2, container, codec, Look(pix_fmt))


_OFFICE = "application/vnd.openxmlformats-officedocument."
#: name -> (content, the type by its content).
TABLE: dict[str, tuple[bytes, str]] = {
    "a.jpg": (pictures.jpeg(64, 64), "image/jpeg"),
    "a.png": (encode(image(64, 64), "PNG"), "image/png"),
    "a.gif": (encode(image(64, 64), "GIF"), "image/gif"),
    "a.webp": (encode(image(64, 64), "WEBP"), "image/webp"),
    "a.tif": (encode(image(64, 64), "TIFF"), "image/tiff"),
    "a.bmp": (encode(image(64, 64), "BMP"), "image/bmp"),
    "a.tga": (encode(image(64, 64), "TGA"), "image/x-tga"),
    "a.pcx": (encode(image(64, 64), "PCX"), "image/vnd.zbrush.pcx"),
    "a.pbm": (encode(image(64, 64).convert("1"), "PPM"), "image/x-portable-bitmap"),
    "a.pgm": (encode(image(64, 64).convert("L"), "PPM"), "image/x-portable-graymap"),
    "a.ppm": (encode(image(64, 64), "PPM"), "image/x-portable-pixmap"),
    "a.jp2": (encode(image(64, 64), "JPEG2000"), "image/jp2"),
    "a.jpx": (_JP2 + b"jpx " + _REST, "image/jpx"),
    "a.jpm": (_JP2 + b"jpm " + _REST, "image/jpm"),
    "a.j2k": (encode(image(64, 64), "JPEG2000", no_jp2=True), "image/x-jp2-codestream"),
    "a.avif": (encode(image(64, 64), "AVIF", speed=10), "image/avif"),
    "a.qoi": (encode(image(64, 64), "QOI"), "image/qoi"),
    "a.psd": (pictures.psd(), "image/vnd.adobe.photoshop"),
    "a.psb": (b"8BPS\0\2" + _REST, "image/vnd.adobe.photoshop"),
    "a.ico": (encode(image(64, 64), "ICO"), "image/vnd.microsoft.icon"),
    "a.svg": (pictures.svg(), "image/svg+xml"),
    "a.svgz": (gzip.compress(pictures.svg()), "image/svg+xml-compressed"),
    "a.jxl": (b"\xff\x0a" + _REST, "image/jxl"),
    "a.heic": (_ftyp(b"heic"), "image/heif"),
    "a.cr3": (_ftyp(b"crx "), "image/x-canon-cr3"),
    "a.raf": (broken.magic_only()["fuji.raf"], "image/x-fuji-raf"),
    "a.orf": (broken.magic_only()["olympus.orf"], "image/x-olympus-orf"),
    "a.rw2": (broken.magic_only()["panasonic.rw2"], "image/x-panasonic-rw2"),
    "a.cr2": (broken.magic_only()["canon.cr2"], "image/x-canon-cr2"),
    "a.mrw": (b"\0MRM" + _REST, "image/x-minolta-mrw"),
    "a.x3f": (b"FOVb" + _REST, "image/x-sigma-x3f"),
    "a.crw": (b"II\x1a\0\0\0HEAPCCDR" + _REST, "image/x-canon-crw"),
    "a.pdf": (pdfs.pdf(), "application/pdf"),
    "a.mp4": (_film("mp4", "libx264"), "video/mp4"),
    "a.m4v": (_ftyp(b"M4V "), "video/mp4"),
    "a.mov": (_film("mov", "mjpeg", "yuvj420p"), "video/quicktime"),
    "a.3gp": (_film("3gp", "mpeg4"), "video/3gpp"),
    "a.3g2": (_ftyp(b"3g2a"), "video/3gpp2"),
    "a.mj2": (_ftyp(b"mjp2"), "video/mj2"),
    "a.mkv": (_film("matroska", "libx264"), "video/x-matroska"),
    "a.webm": (_film("webm", "libvpx"), "video/webm"),
    "a.avi": (_film("avi", "mpeg4"), "video/vnd.avi"),
    "a.mts": (_film("mpegts", "libx264"), "video/mp2t"),
    "a.flv": (_film("flv", "flv1"), "video/x-flv"),
    "a.wmv": (_film("asf", "wmv2"), "video/x-ms-wmv"),
    "a.mpg": (b"\0\0\1\xba" + _REST, "video/mpeg"),
    "a.rm": (b".RMF\0\0\0\x12" + _REST, "application/vnd.rn-realmedia"),
    "a.dv": (b"\x1f\x07\0\0" + _REST, "video/dv"),
    "a.mxf": (
        b"\x06\x0e\x2b\x34\x02\x05\x01\x01\x0d\x01\x02\x01\x01\x02" + _REST,
        "application/mxf",
    ),
    "a.xcf": (b"gimp xcf file\0" + _REST, "image/x-xcf"),
    "a.exr": (b"\x76\x2f\x31\x01\2\0\0\0" + _REST, "image/x-exr"),
    "a.djvu": (b"AT&TFORM\0\0\0\0DJVU" + _REST, "image/vnd.djvu"),
    "a.dds": (b"DDS " + _REST, "image/x-dds"),
    "a.icns": (b"icns" + _REST, "image/x-icns"),
    "a.odt": (stored.document(), "application/vnd.oasis.opendocument.text"),
    "a.ods": (
        stored.document(kind="spreadsheet"),
        "application/vnd.oasis.opendocument.spreadsheet",
    ),
    "a.kra": (stored.painting("application/x-krita"), "application/x-krita"),
    "a.ora": (stored.painting("image/openraster"), "image/openraster"),
    "a.epub": (stored.book(b""), "application/epub+zip"),
    "a.cbz": (stored.zipped(("1.jpg", b"")), "application/vnd.comicbook+zip"),
    "a.docx": (stored.package(None), f"{_OFFICE}wordprocessingml.document"),
    "a.xlsx": (stored.package(None, folder="xl"), f"{_OFFICE}spreadsheetml.sheet"),
    "a.pptx": (stored.package(None, folder="ppt"), f"{_OFFICE}presentationml.presentation"),
    "a.3mf": (stored.package(None, folder="3D"), "model/3mf"),
    "a.gcode": (stored.gcode((9, 9, b"")), "text/x.gcode"),
    "a.blend": (stored.blend(None), "application/x-blender"),
    "a.mp3": (b"ID3\4\0\0\0\0\0\0\xff\xfb\x90\x44" + _REST, "audio/mpeg"),
    "a.flac": (stored.song("flac", "flac"), "audio/flac"),
    "a.m4a": (_ftyp(b"M4A "), "audio/mp4"),
    "a.m4b": (_ftyp(b"M4B "), "audio/x-m4b"),
    "a.opus": (stored.song("opus", "libopus"), "audio/x-opus+ogg"),
    "a.sgi": (encode(image(64, 64), "SGI"), "image/x-sgi"),
    "a.sun": (exchanged.sun(image(64, 64)), "image/x-sun-raster"),
    "a.xbm": (encode(image(64, 64).convert("1"), "XBM"), "image/x-xbitmap"),
    "named.xbm": (
        encode(image(64, 64).convert("1"), "XBM").replace(b"im_", b"a.xbm_"),
        "image/x-xbitmap",
    ),
    "a.xpm": (exchanged.xpm(image(64, 64)), "image/x-xpixmap"),
    "a.hdr": (exchanged.radiance(image(64, 64)), "image/vnd.radiance"),
    "a.pam": (exchanged.pam(image(64, 64)), "image/x-portable-anymap"),
    "a.pfm": (exchanged.pfm(image(64, 64)), "image/x-pfm"),
    "a.flc": (exchanged.fli(image(64, 64)), "video/x-flic"),
    "a.wmf": (b"\xd7\xcd\xc6\x9a" + _REST, "image/wmf"),
}
#: Renamed in shared-mime-info 2.3 and 2.4, which name the old ones as aliases; and what only newer
#: databases know.
_RENAMED = {"video/x-msvideo": "video/vnd.avi", "application/octet-stream": "image/qoi"}

#: Not in the databases of 2022.
_NEW = {"a.hdr", "a.pam", "a.pfm"}


@pytest.mark.parametrize("name", TABLE)
def test_the_type_is_told_by_content(name: str) -> None:
    data, mime = TABLE[name]
    found = sniff.sniff(data[: sniff.HEAD_BYTES])
    assert found is not None
    assert found.mime == mime


@needs(Capability.MIME)
@pytest.mark.desktop
def test_shared_mime_info_names_them_alike(tmp_path: Path) -> None:
    files = [str(put(tmp_path / name, data)) for name, (data, _) in TABLE.items()]
    asked = ["gio", "info", "-a", "standard::content-type", *files]
    told = subprocess.run(asked, capture_output=True, text=True, check=True).stdout
    types = [line.split()[-1] for line in told.splitlines() if "standard::content-type:" in line]
    assert len(types) == len(TABLE)
    for name, theirs in zip(TABLE, types, strict=True):
        mime = TABLE[name][1]
        assert theirs == mime or _RENAMED.get(theirs) == mime or name in _NEW, name


@given(st.binary(max_size=300))
def test_any_bytes_have_a_type_or_none(data: bytes) -> None:
    found = sniff.sniff(data)
    assert found is None or found.mime


@given(st.binary(max_size=300), st.sampled_from(sorted(TABLE)), st.integers(0, 250))
def test_damaged_heads_have_a_type_or_none(noise: bytes, name: str, at: int) -> None:
    data = TABLE[name][0]
    found = sniff.sniff(data[:at] + noise + data[at + len(noise) :])
    assert found is None or found.mime


@given(
    st.one_of(
        st.binary(max_size=400),
        st.builds(
            lambda head, rest: head + rest,
            st.sampled_from([TABLE[name][0][:64] for name in ("a.mp4", "a.mkv", "a.avi", "a.mov")]),
            st.binary(max_size=400),
        ),
    )
)
def test_declared_lengths_are_numbers_and_found_in_few_steps(data: bytes) -> None:
    reads = []

    def read_at(offset: int, count: int) -> bytes:
        assert offset >= 0
        reads.append(offset)
        return data[offset : offset + count]

    assert isobmff.declared_bytes(read_at, len(data)) >= 0
    assert len(reads) <= len(data) // 8 + 5


@pytest.mark.parametrize("name", ["a.mp4", "a.mov", "a.3gp", "a.mkv", "a.avi"])
def test_a_whole_film_declares_its_own_length(name: str) -> None:
    data = TABLE[name][0]
    declared = isobmff.declared_bytes(lambda at, count: data[at : at + count], len(data))
    assert declared == len(data)
