"""Pictures stored in documents, books, comics, packages, scenes and songs."""

from __future__ import annotations

import io
import struct
import zipfile
from typing import TYPE_CHECKING

import numpy as np
import pytest

from pregen.imaging import faults
from pregen.imaging.decoders import archive
from pregen.model import Flavor
from tests.support.files import pictures, stored
from tests.support.files.pictures import encode, image
from tests.support.judges.decoding import large, make, pixels_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

PICTURE = image(300, 200, seed=3)
PNG = encode(PICTURE, "PNG")
JPEG = encode(PICTURE, "JPEG", quality=95)
OTHER = encode(image(120, 120, seed=4), "JPEG")
_OFFICE = "application/vnd.openxmlformats-officedocument."
_KRITA = "application/x-krita"
_OPENRASTER = "image/openraster"


def _distance(data: bytes) -> float:
    """How far the entry is from the picture, in levels."""
    pixels = large(data)[..., :3].astype(int)
    wanted = large(PNG)[..., :3].astype(int)
    assert pixels.shape == wanted.shape
    return float(np.abs(pixels - wanted).mean())


FILES = {
    "a.odt": (stored.document(("Thumbnails/thumbnail.png", PNG)),
              "application/vnd.oasis.opendocument.text"),
    "a.odg": (stored.document(("Thumbnails/thumbnail.png", PNG), kind="graphics"),
              "application/vnd.oasis.opendocument.graphics"),
    "a.kra": (stored.painting(_KRITA, ("preview.png", OTHER), ("mergedimage.png", PNG)), _KRITA),
    "old.kra": (stored.painting(_KRITA, ("preview.png", PNG)), _KRITA),
    "a.ora": (stored.painting(_OPENRASTER, ("Thumbnails/thumbnail.png", OTHER),
                              ("mergedimage.png", PNG)), _OPENRASTER),
    "a.epub": (stored.book(JPEG), "application/epub+zip"),
    "a.cbz": (stored.zipped(("b10.jpg", OTHER), ("b2.jpg", JPEG), stored=True),
              "application/vnd.comicbook+zip"),
    "a.docx": (stored.package(JPEG), _OFFICE + "wordprocessingml.document"),
    "a.xlsx": (stored.package(JPEG, folder="xl"), _OFFICE + "spreadsheetml.sheet"),
    "a.pptx": (stored.package(JPEG, folder="ppt", first_bytes=80_000),
               _OFFICE + "presentationml.presentation"),
    "a.3mf": (stored.package(JPEG, folder="3D"), "model/3mf"),
    "a.gcode": (stored.gcode((16, 16, OTHER), (300, 200, PNG)), "text/x.gcode"),
    "jpg.gcode": (stored.gcode((300, 200, JPEG), begin="thumbnail_JPG begin"), "text/x.gcode"),
    "qoi.gcode": (stored.gcode((300, 200, encode(PICTURE, "QOI")), begin="thumbnail_QOI begin"),
                  "text/x.gcode"),
    "a.mp3": (stored.song("mp3", "libmp3lame", JPEG), "audio/mpeg"),
    "png.mp3": (stored.song("mp3", "libmp3lame", PNG, "png"), "audio/mpeg"),
    "a.flac": (stored.song("flac", "flac", JPEG), "audio/flac"),
    "a.m4a": (stored.song("mp4", "aac", JPEG).replace(b"ftypisom", b"ftypM4A ", 1), "audio/mp4"),
    "isom.m4a": (stored.song("mp4", "aac", JPEG), "audio/mp4"),
    "a.opus": (stored.song("opus", "libopus", JPEG), "audio/x-opus+ogg"),
    "a.ogg": (stored.song("ogg", "flac", JPEG), "audio/x-flac+ogg"),
    "a.wma": (stored.windows_media(JPEG), "audio/x-ms-wma"),
    **{
        f"{version}.{packed or 'plain'}.blend": (
            stored.blend(PICTURE, version=version, packed=packed), "application/x-blender",
        )
        for version in ("-v293", "_v279", "-V248", "17-01v0500")
        for packed in ("", "gzip", "zstd")
    },
}  # fmt: skip


@pytest.mark.parametrize("name", FILES)
def test_the_picture_comes_out_and_the_type_is_told(name: str) -> None:
    data, mime = FILES[name]
    made = make(data)
    assert made.mime == mime
    assert _distance(data) < 1.6
    # What is a picture itself tells its size; others have none that would be true of them.
    sized = mime in {_KRITA, _OPENRASTER} and name != "old.kra"
    assert (made.width_px, made.height_px) == ((300, 200) if sized else (0, 0))
    assert made.fingerprint


def test_a_small_cover_is_an_entry_all_the_same() -> None:
    small = encode(image(60, 40), "PNG")
    made = make(stored.document(("Thumbnails/thumbnail.png", small)))
    assert (made.pictures[Flavor.LARGE].width_px, made.pictures[Flavor.LARGE].height_px) == (60, 40)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_cover_is_turned_as_it_says(orientation: int) -> None:
    turned = pictures.oriented(PICTURE, orientation)
    for data in (stored.book(turned), stored.song("mp3", "libmp3lame", turned)):
        assert _distance(data) < 4


def test_little_is_read_of_a_large_file() -> None:
    filler = np.random.default_rng(1).bytes(3_000_000)
    for data in (
        stored.zipped(
            ("mimetype", "application/vnd.oasis.opendocument.text"),
            ("Pictures/a", filler), ("Thumbnails/thumbnail.png", JPEG), ("Pictures/b", filler),
        ),
        stored.package(JPEG, first_bytes=3_000_000),
        stored.blend(PICTURE)[:-4] + filler,
        stored.gcode((300, 200, PNG)) + b"G1 X1\n" * 500_000,
        stored.song("mp3", "libmp3lame", JPEG) + filler,
    ):  # fmt: skip
        assert make(data).bytes_read < 700_000 < len(data)


# What has no picture in it ----------------------------------------------------------------------

_BOOK_WITHOUT = '<package><manifest><item id="a" href="a.xhtml"/></manifest></package>'


@pytest.mark.parametrize(
    "data",
    [
        stored.document(),
        stored.package(None),
        stored.package(None, first_bytes=80_000),
        stored.book(JPEG, _BOOK_WITHOUT),
        stored.zipped(("mimetype", "application/epub+zip")),
        stored.song("mp3", "libmp3lame"),
        stored.song("flac", "flac"),
        stored.song("opus", "libopus"),
        stored.song("mp4", "aac"),
        stored.song("asf", "wmav2"),
        stored.blend(None),
        stored.blend(None, packed="zstd"),
        stored.zipped(("page.jpg", JPEG), ("a.py", b""), ("b.py", b""), ("c.py", b"")),
        stored.zipped(("a.class", b"java"), ("b.jpg", JPEG)),
        stored.zipped(("mimetype", "application/x-unheard-of"), ("a.png", PNG)),
    ],
)
def test_what_holds_no_picture_is_no_picture_and_not_damaged(data: bytes) -> None:
    with pytest.raises(faults.NotPicture):
        make(data)


@pytest.mark.parametrize(
    "data",
    [
        stored.document(("Thumbnails/thumbnail.png", PNG[:2000])),
        stored.document(("Thumbnails/thumbnail.png", b"\0" * 100)),
        stored.song("mp3", "libmp3lame", b"<html>404</html>" * 100),
        stored.gcode((300, 200, PNG[:500])),
        stored.gcode((300, 200, PNG)).replace(b"; thumbnail end", b"", 1),
        stored.book(JPEG[:900]),
    ],
)
def test_a_damaged_cover_does_not_make_the_document_damaged(data: bytes) -> None:
    with pytest.raises(faults.NotPicture):
        make(data)


def test_a_painting_whose_picture_is_damaged_shows_its_preview_or_is_damaged() -> None:
    broken = ("mergedimage.png", PNG[:50])
    assert _distance(stored.painting(_KRITA, broken, ("preview.png", PNG))) < 1
    with pytest.raises(faults.InvalidPicture):
        make(stored.painting(_KRITA, broken))


def test_a_picture_in_a_picture_in_a_picture_is_not_looked_for() -> None:
    inner = stored.painting(_OPENRASTER, ("mergedimage.png", PNG))
    for data in (
        stored.document(("Thumbnails/thumbnail.png", inner)),
        stored.painting(_KRITA, ("mergedimage.png", inner)),
        stored.document(("Thumbnails/thumbnail.png", stored.song("mp3", "libmp3lame", JPEG))),
    ):
        with pytest.raises(faults.Unsupported):
            make(data)


def test_a_line_of_blanks_in_code_takes_no_longer_than_others() -> None:
    # The square of this length would be minutes.
    line = b"; thumbnail begin 1" + b" " * 60_000 + b"\n"
    with pytest.raises(faults.NotPicture):
        make(line + b"; thumbnail begin 1x1 4\n" + line * 60)


# Books and comics -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "package",
    [
        (
            '<package><metadata><meta name="cover" content="c"/></metadata><manifest>'
            '<item id="a" href="images/a.jpg" media-type="image/jpeg"/>'
            '<item id="c" href="images/the%20cover.jpg" media-type="image/jpeg"/>'
            "</manifest></package>"
        ),
        (
            '<package><metadata><meta content="images/the%20cover.jpg" name="cover"/></metadata>'
            '<manifest><item id="x" href="images/the%20cover.jpg" media-type="image/jpeg"/>'
            "</manifest></package>"
        ),
        (
            '<opf:package xmlns:opf="http://www.idpf.org/2007/opf"><opf:manifest>'
            '<opf:item id="c" href="../OPS/./images/the%20cover.jpg" media-type="image/jpeg"'
            ' properties="svg cover-image"/></opf:manifest></opf:package>'
        ),
        (
            "<package><manifest>"
            '<item id="x" href="images/the%20cover.jpg" media-type="image/jpeg"/>'
            "</manifest></package>"
        ),
        (
            '<!DOCTYPE package SYSTEM "http://example.org/oeb12.dtd"><package><manifest>'
            '<item id="c" href="images/the%20cover.jpg" media-type="image/jpeg"'
            ' properties="cover-image"/></manifest>&nbsp;</package>'
        ),
    ],
)
def test_covers_of_books_are_found_as_they_are_named(package: str) -> None:
    assert _distance(stored.book(JPEG, package)) < 1.6


def test_comic_info_names_the_front() -> None:
    info = (
        '<ComicInfo><Pages><Page Image="0" Type="Other"/><Page Image="2" Type="FrontCover"/>'
        "</Pages></ComicInfo>"
    )
    pages = [("p1.jpg", OTHER), ("p2.jpg", OTHER), ("p3.jpg", JPEG)]
    assert _distance(stored.zipped(("ComicInfo.xml", info), *pages)) < 1.6
    lies = info.replace('"2"', '"77"')
    assert make(stored.zipped(*pages[::-1], ("ComicInfo.xml", lies))).pictures


def test_litter_is_no_page() -> None:
    data = stored.zipped(
        ("book/", b""), ("book/02.jpg", OTHER), ("book/1.jpg", JPEG),
        ("__MACOSX/book/._0.jpg", b"litter"), ("book/.DS_Store", b"litter"),
    )  # fmt: skip
    assert _distance(data) < 1.6


@pytest.mark.parametrize("digits", [1, 30, 5000])
def test_numbers_of_any_length_have_an_order(digits: int) -> None:
    names = [b"p" + b"0" * digits + b"2.jpg", b"p" + b"1" * digits + b"0.jpg"]
    assert archive._natural(names[0]) < archive._natural(names[1])


# Hostile ZIP files ------------------------------------------------------------------------------


def _lying(data: bytes, field: int, value: int, size: str = "<I") -> bytes:
    """Return a ZIP file whose last member has another number in the directory."""
    at = data.rindex(b"PK\1\2")
    changed = bytearray(data)
    struct.pack_into(size, changed, at + field, value)
    return bytes(changed)


_DOCUMENT = stored.document(("Thumbnails/thumbnail.png", PNG))
_PACKED, _SIZE, _HEADER, _NAME, _EXTRA, _METHOD, _FLAGS = 20, 24, 42, 28, 30, 10, 8


@pytest.mark.parametrize(
    ("data", "fault"),
    [
        (_lying(_DOCUMENT, _SIZE, 5), faults.InvalidPicture),
        (_lying(_DOCUMENT, _SIZE, 50_000_000), faults.InvalidPicture),
        (_lying(_DOCUMENT, _SIZE, 2_000_000_000), faults.Unsupported),
        (_lying(_DOCUMENT, _PACKED, 1_000_000), faults.InvalidPicture),
        (_lying(_DOCUMENT, _HEADER, 0), faults.InvalidPicture),
        (_lying(_DOCUMENT, _HEADER, 0xFFFFFFFE), faults.InvalidPicture),
        (_lying(_DOCUMENT, _HEADER, 0xFFFFFFFF), faults.InvalidPicture),
        (_lying(_DOCUMENT, _NAME, 0xFFFF, "<H"), faults.InvalidPicture),
        (_lying(_DOCUMENT, _EXTRA, 0xFFFF, "<H"), faults.InvalidPicture),
        (_lying(_DOCUMENT, _METHOD, 12, "<H"), faults.Unsupported),
        (_lying(_DOCUMENT, _FLAGS, 1, "<H"), faults.Unsupported),
        (_DOCUMENT[: len(_DOCUMENT) // 2], faults.TruncatedPicture),
        (_DOCUMENT[:-22], faults.TruncatedPicture),
        (_DOCUMENT.replace(b"PK\1\2", b"PK\1\3"), faults.InvalidPicture),
    ],
)
def test_lies_in_a_directory_end_as_the_files_fault(data: bytes, fault: type[faults.Fault]) -> None:
    with pytest.raises(fault):
        make(data)


def _of_64_bits(size_bytes: int, directory_at: int = -1) -> bytes:
    """Return a ZIP file that tells a member's size, and its directory's place, in 64 bits."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as file:
        file.writestr(zipfile.ZipInfo("mimetype"), "image/openraster")
        file.writestr(zipfile.ZipInfo("mergedimage.png"), PNG)
        at = file.start_dir = out.tell()
        file.filelist[-1].extra = b""
    data = out.getvalue()
    begin = data.rindex(b"PK\1\2")
    end = data.rindex(b"PK\5\6")
    entry = bytearray(data[begin:end])
    struct.pack_into("<II", entry, _PACKED, 0xFFFFFFFF, 0xFFFFFFFF)
    struct.pack_into("<H", entry, _EXTRA, 20)
    entry += struct.pack("<HHQQ", 1, 16, size_bytes, size_bytes)
    directory = data[at:begin] + entry
    place = at if directory_at < 0 else directory_at
    large = struct.pack("<4sQ2H2I4Q", b"PK\6\6", 44, 45, 45, 0, 0, 2, 2, len(directory), place)
    locator = struct.pack("<4sIQI", b"PK\6\7", 0, at + len(directory), 1)
    last = struct.pack("<4s4H2IH", b"PK\5\6", 0, 0, 0xFFFF, 0xFFFF, 0xFFFFFFFF, 0xFFFFFFFF, 0)
    return data[:at] + directory + large + locator + last


def test_numbers_of_64_bits_are_read_and_their_lies_found() -> None:
    assert _distance(_of_64_bits(len(PNG))) == 0
    for lie in (1 << 40, (1 << 64) - 1):
        with pytest.raises(faults.Unsupported):
            make(_of_64_bits(lie))
        with pytest.raises(faults.InvalidPicture):
            make(_of_64_bits(len(PNG), directory_at=lie))
    with pytest.raises(faults.InvalidPicture):
        make(_of_64_bits(len(PNG) + 1))


@pytest.mark.parametrize(
    "markup",
    [
        '<!DOCTYPE a [<!ENTITY b "bbbb"><!ENTITY c "&b;&b;&b;&b;">]><package>&c;</package>',
        '<!DOCTYPE a [<!ENTITY % b SYSTEM "file:///etc/passwd">%b;]><package/>',
        '<!DOCTYPE a [<!ENTITY b SYSTEM "file:///etc/passwd">]><package>&b;</package>',
        "<package>" + "<item/>" * 200_000 + "</package>",
        "<package>" + " " * 5_000_000 + "</package>",
        "\0" * 100,
    ],
)
def test_markup_that_would_unfold_is_refused(markup: str) -> None:
    for faulty in (stored.book(JPEG, markup), stored.package(None).replace(b"?", b"?")):
        with pytest.raises((faults.InvalidPicture, faults.Unsupported, faults.NotPicture)):
            make(faulty)


@pytest.mark.parametrize(
    "lie",
    [
        struct.pack("<2i", 1 << 30, 1 << 30),
        struct.pack("<2i", -300, -200),
        struct.pack("<2i", 1024, 1024),
        struct.pack("<2i", 0, 200),
    ],
)
@pytest.mark.parametrize("packed", ["", "gzip", "zstd"])
def test_a_scene_whose_picture_lies_about_its_size_is_refused(lie: bytes, packed: str) -> None:
    import gzip  # noqa: PLC0415 - for one test

    import imagecodecs  # noqa: PLC0415 - likewise

    data = stored.blend(PICTURE).replace(struct.pack("<2i", 300, 200), lie, 1)
    if packed:
        data = gzip.compress(data) if packed == "gzip" else bytes(imagecodecs.zstd_encode(data))
    with pytest.raises(faults.InvalidPicture):
        make(data)


@pytest.mark.parametrize("length", [-1, -(1 << 31), 8, (1 << 31) - 1])
def test_a_scene_whose_blocks_lie_about_their_length_ends(length: int) -> None:
    data = bytearray(stored.blend(PICTURE))
    struct.pack_into("<i", data, 16, length)
    with pytest.raises((faults.InvalidPicture, faults.NotPicture)):
        make(bytes(data))


def _samples(data: bytes) -> NDArray[np.uint8]:
    return pixels_of(make(data).pictures[Flavor.LARGE])


def test_an_icon_is_believed_by_what_its_picture_says() -> None:
    big = encode(image(1000, 1000).resize((3000, 3000)), "PNG")
    icon = b"icns" + struct.pack(">I", 16 + len(big)) + b"ic07" + struct.pack(">I", 8 + len(big))
    made = make(icon + big)
    assert (made.width_px, made.height_px) == (3000, 3000)
    with pytest.raises(faults.TooLarge):
        make(icon + big, max_pixels=1_000_000)
    old = encode(image(256, 256), "ICNS")
    assert _samples(old).shape == (256, 256, 4)
    with pytest.raises(faults.InvalidPicture):
        make(old[:5000])
