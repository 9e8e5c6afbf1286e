from __future__ import annotations

import io
import struct
import zlib
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, PngImagePlugin

from pregen import __version__
from pregen.thumbspec import pngbuild
from pregen.thumbspec.pngchunks import PngError
from pregen.thumbspec.pngtext import read_head
from tests.support.files.pictures import (
    encode,
    image,
    interlaced_png,
    palette_png_with_alpha,
    png16,
)
from tests.support.judges import png_walk
from tests.thumbspec import samples
from tests.thumbspec.samples import FACTS, MTIME_NS, SIZE_BYTES, URI, WHOLE_MTIME_NS

if TYPE_CHECKING:
    from tests.support.files.photo import Pixels

_TEXT = {b"tEXt", b"zTXt", b"iTXt"}


def _said(png: bytes) -> list[samples.Said]:
    return [text[:3] for text in png_walk.texts(png)]


def _pixels(png: bytes) -> Pixels:
    with Image.open(io.BytesIO(png)) as picture:
        return np.asarray(picture.convert("RGBA"))


def test_the_texts_stand_in_the_order_every_desktop_needs() -> None:
    facts = FACTS._replace(pages=3, movie_length_s=61, extra=(("X-A", "b"), ("X-C", "\u5199")))
    assert _said(samples.own(facts)) == [
        *samples.IDENTITY,
        ("tEXt", "Thumb::Mimetype", "image/jpeg"),
        ("tEXt", "Thumb::Image::Width", "4032"),
        ("tEXt", "Thumb::Image::Height", "3024"),
        ("tEXt", "Thumb::Document::Pages", "3"),
        ("tEXt", "Thumb::Movie::Length", "61"),
        ("tEXt", "Software", f"pregen {__version__}"),
        ("tEXt", "X-A", "b"),
        ("iTXt", "X-C", "\u5199"),
    ]


def test_what_is_unknown_is_not_written_and_whole_seconds_are_said_once() -> None:
    assert _said(samples.own(pngbuild.SourceFacts(URI, WHOLE_MTIME_NS, 0))) == [
        ("tEXt", "Thumb::URI", URI),
        ("tEXt", "Thumb::MTime", "1700000000"),
        ("tEXt", "Thumb::Size", "0"),
        ("tEXt", "Software", f"pregen {__version__}"),
    ]


def test_before_1970_the_signed_number_stands_in_front_and_behind() -> None:
    said = [
        one for one in _said(samples.own(FACTS._replace(mtime_ns=-1))) if one[1] == "Thumb::MTime"
    ]
    assert said == [
        ("iTXt", "Thumb::MTime", "-1"),
        ("tEXt", "Thumb::MTime", "18446744073709551615"),
        ("iTXt", "Thumb::MTime", "-1"),
    ]


def test_keys_of_the_standard_are_not_taken_from_the_extra() -> None:
    extra = (("Thumb::URI", "file:///other"), ("Software", "x"), ("Description", "a cat"))
    said = _said(samples.own(FACTS._replace(extra=extra)))
    assert said == [*_said(samples.own()), ("tEXt", "Description", "a cat")]


def test_the_software_never_starts_as_kdes_does() -> None:
    (software,) = [value for _, key, value in _said(samples.own()) if key == "Software"]
    assert software == f"pregen {__version__}"
    assert not software.startswith("KDE Thumbnail Generator")


@given(samples.facts())
def test_what_is_written_is_read_back_by_two_other_readers(facts: pngbuild.SourceFacts) -> None:
    png = samples.own(facts, 3, 2)
    walked = _said(png)
    assert [(str(text.kind), text.key, text.value) for text in read_head(png).texts] == walked
    assert all(text.before_idat for text in png_walk.texts(png))
    with Image.open(io.BytesIO(png)) as picture:
        picture.load()
        assert picture.size == (3, 2)
        assert picture.text == {key: value for _, key, value in walked}  # type: ignore[attr-defined]  # PngImageFile has it


@given(samples.facts())
def test_all_text_chunks_are_side_by_side_right_behind_the_header(
    facts: pngbuild.SourceFacts,
) -> None:
    kinds = [kind for kind, _ in png_walk.chunks(samples.own(facts, 3, 2))]
    plain = [at for at, kind in enumerate(kinds) if kind == b"tEXt"]
    assert plain == list(range(plain[0], plain[-1] + 1))
    assert kinds[0] == b"IHDR"
    assert kinds[-2:] == [b"IDAT", b"IEND"]
    assert set(kinds[1:-2]) <= {b"tEXt", b"iTXt"}


@given(samples.facts())
def test_the_identity_is_what_an_entry_begins_with(facts: pngbuild.SourceFacts) -> None:
    png = samples.own(facts, 3, 2)
    texts = pngbuild.identity_texts(*facts[:3])
    assert png[33:].startswith(pngbuild.leading_chunks(*facts[:3]))
    keys = {"Thumb::URI", "Thumb::MTime", "Thumb::Size"}
    assert texts == tuple(text for text in read_head(png).texts if text.key in keys)


def test_an_entry_is_an_8_bit_rgba_picture_with_its_pixels() -> None:
    pixels = np.asarray(image(256, 171).convert("RGBA"))
    rows = b"".join(b"\0" + row.tobytes() for row in pixels)
    png = pngbuild.assemble(256, 171, pngbuild.entry_chunks(FACTS), zlib.compress(rows))
    header = dict(png_walk.chunks(png))[b"IHDR"]
    assert header == struct.pack(">IIBBBBB", 256, 171, 8, 6, 0, 0, 0)
    with Image.open(io.BytesIO(png)) as picture:
        assert picture.mode == "RGBA"
    assert np.array_equal(_pixels(png), pixels)


def test_a_fail_record_is_one_transparent_pixel_with_the_same_texts() -> None:
    record = pngbuild.fail_record(FACTS)
    with Image.open(io.BytesIO(record)) as picture:
        assert (picture.size, picture.mode, picture.getpixel((0, 0))) == ((1, 1), "RGBA", (0,) * 4)
    assert _said(record) == _said(samples.own())


def _with_colour_chunks(png: bytes) -> bytes:
    """Return a PNG with chunks around its picture, which is in several IDAT."""
    header, (_, rows), end = png_walk.chunks(png)
    before = [(b"gAMA", struct.pack(">I", 45455)), (b"pHYs", bytes(9)), (b"prVt", b"private")]
    cut = len(rows) // 3
    pieces = [(b"IDAT", rows[:cut]), (b"IDAT", b""), (b"IDAT", rows[cut:])]
    return png_walk.build([header, *before, *pieces, (b"tIME", bytes(7)), end])


_PICTURES = {
    "rgb": encode(image(100, 60), "PNG"),
    "grey with alpha": encode(image(100, 60).convert("LA"), "PNG"),
    "palette": palette_png_with_alpha(100, 60),
    "16 bit": png16(100, 60),
    "interlaced": interlaced_png(100, 60),
    "with colour chunks": _with_colour_chunks(encode(image(100, 60), "PNG")),
}


@pytest.mark.parametrize("name", _PICTURES)
def test_new_texts_leave_every_other_chunk_as_it_was(name: str) -> None:
    before = [
        ("zTXt", "Thumb::URI", URI),
        ("tEXt", "Thumb::MTime", "1"),
        ("iTXt", "Title", "\u5199" * 50),
        ("tEXt", "Software", "KDE Thumbnail Generator Images (v4)"),
    ]
    parts = png_walk.chunks(png_walk.with_texts(_PICTURES[name], before))
    behind = samples.text_part("tEXt", "Description", "behind")
    old = png_walk.build([*parts[:-1], behind, parts[-1]])
    new = pngbuild.retext(old, FACTS)
    parts = png_walk.chunks(new)
    kept = [part for part in png_walk.chunks(old) if part[0] not in _TEXT]
    texts = png_walk.texts(new)
    assert [parts[0], *parts[1 + len(texts) :]] == kept
    assert np.array_equal(_pixels(new), _pixels(old))
    assert [text[:3] for text in texts] == [
        *_said(samples.own()),
        ("tEXt", "Description", "behind"),
        ("tEXt", "X-Pregen::Refitted-From", "KDE Thumbnail Generator Images (v4)"),
        ("iTXt", "Title", "\u5199" * 50),
    ]


def test_what_pillow_wrote_keeps_its_pixels_and_its_colour_chunks() -> None:
    info = PngImagePlugin.PngInfo()
    info.add_text("Thumb::URI", URI, zip=True)
    info.add_itxt("Thumb::MTime", "1700000000", zip=True)
    info.add(b"sRGB", b"\0")
    out = io.BytesIO()
    image(100, 60).save(out, "PNG", pnginfo=info, dpi=(300, 300))
    new = pngbuild.retext(out.getvalue(), FACTS)
    assert {b"sRGB", b"pHYs"} <= {kind for kind, _ in png_walk.chunks(new)}
    assert np.array_equal(_pixels(new), _pixels(out.getvalue()))
    assert _said(new) == _said(samples.own())


def test_facts_left_open_are_taken_over_from_the_old_texts() -> None:
    old = samples.foreign(
        [
            ("tEXt", "Thumb::Image::Width", "300"),
            ("zTXt", "Thumb::Image::Height", "200"),
            ("tEXt", "Thumb::Mimetype", "image/x-canon-cr2"),
            ("tEXt", "Thumb::Document::Pages", "7"),
            ("tEXt", "Thumb::Movie::Length", "12.5"),
        ]
    )
    said = _said(pngbuild.retext(old, pngbuild.SourceFacts(URI, MTIME_NS, SIZE_BYTES)))
    assert said == [
        *samples.IDENTITY,
        ("tEXt", "Thumb::Mimetype", "image/x-canon-cr2"),
        ("tEXt", "Thumb::Image::Width", "300"),
        ("tEXt", "Thumb::Image::Height", "200"),
        ("tEXt", "Thumb::Document::Pages", "7"),
        ("tEXt", "Software", f"pregen {__version__}"),
    ]
    known = _said(pngbuild.retext(old, FACTS))
    assert ("tEXt", "Thumb::Image::Width", "4032") in known
    assert ("tEXt", "Thumb::Mimetype", "image/jpeg") in known


def test_nonsense_in_the_old_texts_is_not_taken_over() -> None:
    old = samples.foreign(
        [
            ("tEXt", "Thumb::Image::Width", "9" * 5000),
            ("tEXt", "Thumb::Image::Height", "-5"),
            ("iTXt", "Thumb::Mimetype", "\u5199"),
        ]
    )
    facts = pngbuild.SourceFacts(URI, MTIME_NS, SIZE_BYTES)
    assert _said(pngbuild.retext(old, facts)) == _said(samples.own(facts))


@given(samples.facts(), samples.facts())
def test_new_texts_on_our_own_entry_are_the_texts_of_a_new_one(
    old: pngbuild.SourceFacts, new: pngbuild.SourceFacts
) -> None:
    bare = old._replace(mime="", width_px=0, height_px=0, pages=0, movie_length_s=0, extra=())
    assert pngbuild.retext(samples.own(bare, 3, 2), new) == samples.own(new, 3, 2)


@given(samples.facts(), samples.facts())
def test_doing_it_twice_changes_nothing(
    old: pngbuild.SourceFacts, new: pngbuild.SourceFacts
) -> None:
    foreign = samples.own(old._replace(software="GNOME::ThumbnailFactory"), 3, 2)
    once = pngbuild.retext(foreign, new)
    assert pngbuild.retext(once, new) == once


def test_the_maker_of_the_pixels_is_remembered_over_several_refits() -> None:
    first = pngbuild.retext(samples.own(FACTS._replace(software="Nautilus")), FACTS)
    second = pngbuild.retext(first, FACTS._replace(uri="file:///elsewhere"))
    assert ("tEXt", "X-Pregen::Refitted-From", "Nautilus") in _said(second)
    remade = [
        ("tEXt", key, "tumbler" if key == "Software" else value) for _, key, value in _said(second)
    ]
    third = pngbuild.retext(png_walk.with_texts(second, remade), FACTS)
    makers = [value for _, key, value in _said(third) if key == pngbuild.REFITTED_FROM]
    assert makers == ["tumbler"]


def test_the_same_text_twice_is_kept_once_and_different_ones_both() -> None:
    notes = [("tEXt", "X-Note", value) for value in ("a", "a", "b")]
    said = _said(pngbuild.retext(samples.foreign(notes), FACTS))
    assert said == [*_said(samples.own()), ("tEXt", "X-Note", "a"), ("tEXt", "X-Note", "b")]


def test_a_nul_in_a_value_is_left_out() -> None:
    old = samples.foreign([("tEXt", "X-A", "b\0c"), ("iTXt", "X-D", "\u5199\0e")])
    said = _said(pngbuild.retext(old, FACTS))
    assert said[-2:] == [("tEXt", "X-A", "bc"), ("iTXt", "X-D", "\u5199e")]


def test_what_follows_the_end_is_dropped() -> None:
    assert pngbuild.retext(samples.own() + b"garbage", FACTS) == samples.own()


def test_a_picture_cut_off_anywhere_is_refused() -> None:
    png = samples.own(FACTS, 32, 8)
    for length in range(len(png)):
        with pytest.raises(PngError):
            pngbuild.retext(png[:length], FACTS)


@given(st.integers(0, len(samples.own(FACTS, 32, 8)) - 1), st.integers(1, 255))
def test_a_picture_with_one_wrong_byte_is_refused(at: int, flip: int) -> None:
    png = samples.own(FACTS, 32, 8)
    with pytest.raises(PngError):
        pngbuild.retext(png[:at] + bytes([png[at] ^ flip]) + png[at + 1 :], FACTS)


def test_a_png_without_a_picture_is_refused() -> None:
    with pytest.raises(PngError, match="no picture"):
        pngbuild.retext(png_walk.build([(b"IHDR", samples.ihdr()), (b"IEND", b"")]), FACTS)


@given(st.binary() | st.binary().map(samples.own()[:200].__add__))
def test_any_bytes_get_new_texts_or_a_png_error(data: bytes) -> None:
    try:
        new = pngbuild.retext(data, FACTS)
    except PngError:
        return
    assert png_walk.texts(new)
