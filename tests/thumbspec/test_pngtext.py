from __future__ import annotations

import io
import struct
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, PngImagePlugin

from pregen.thumbspec.pngchunks import HEADER_BYTES, PngError
from pregen.thumbspec.pngtext import MAX_TEXT_BYTES, Text, TextKind, read_head
from tests.support.files.pictures import (
    encode,
    image,
    interlaced_png,
    palette_png_with_alpha,
    png16,
)
from tests.support.judges import png_walk
from tests.thumbspec import samples

IEND = (b"IEND", b"")
IDAT = (b"IDAT", samples.rows(256, 192))
PNG = samples.foreign(samples.IDENTITY)


def _with(*parts: tuple[bytes, bytes], header: bytes | None = None) -> bytes:
    return png_walk.build([(b"IHDR", header or samples.ihdr()), *parts])


def test_all_three_kinds_of_text_are_read_in_file_order() -> None:
    said = [
        ("iTXt", "Thumb::MTime", "1700000000.123456"),
        ("zTXt", "Thumb::URI", samples.URI),
        ("tEXt", "Description", "caf\u00e9"),
        ("iTXt", "Title", "\u5199\u771f"),
        ("iTXt", "Comment", "\u5199" * 60),
        ("tEXt", "Description", "again"),
    ]
    head = read_head(samples.foreign(said))
    assert [(str(text.kind), text.key, text.value) for text in head.texts] == said
    assert head.complete
    assert head.first("Description") == "caf\u00e9"
    assert head.values("Description") == ["caf\u00e9", "again"]
    assert head.first("Absent") == ""


def test_text_behind_the_picture_is_read_when_asked_for() -> None:
    png = samples.foreign([("tEXt", "A", "1")], [("tEXt", "B", "2")])
    before = Text(TextKind.TEXT, "A", "1")
    behind = Text(TextKind.TEXT, "B", "2", before_image=False, apart=True)
    head = read_head(png)
    assert (head.texts, head.complete, head.ended) == ((before,), True, False)
    head = read_head(png, past_image=True)
    assert (head.texts, head.complete, head.ended) == ((before, behind), True, True)


@pytest.mark.parametrize(
    ("png", "said"),
    [
        (interlaced_png(60, 40), (60, 40, 8, 2, True)),
        (png16(60, 40), (60, 40, 16, 2, False)),
        (palette_png_with_alpha(60, 40), (60, 40, 8, 3, False)),
        (encode(image(60, 40).convert("1"), "PNG"), (60, 40, 1, 0, False)),
        (encode(image(60, 40).convert("LA"), "PNG"), (60, 40, 8, 4, False)),
    ],
)
def test_every_kind_of_png_has_a_head(png: bytes, said: tuple[int, int, int, int, bool]) -> None:
    assert read_head(png)[:5] == said


def test_what_pillow_writes_in_its_own_way_is_read_back() -> None:
    info = PngImagePlugin.PngInfo()
    info.add_text("Thumb::URI", samples.URI, zip=True)
    info.add_text("Thumb::MTime", "1700000000")
    info.add_itxt("Comment", "\u5199\u771f", "ja", "\u6ce8\u91c8")
    info.add_itxt("Long", "\u5199" * 100, zip=True)
    out = io.BytesIO()
    image(20, 10).save(out, "PNG", pnginfo=info)
    assert {text.key: (str(text.kind), text.value) for text in read_head(out.getvalue()).texts} == {
        "Thumb::URI": ("zTXt", samples.URI),
        "Thumb::MTime": ("tEXt", "1700000000"),
        "Comment": ("iTXt", "\u5199\u771f"),
        "Long": ("iTXt", "\u5199" * 100),
    }


def test_a_png_cut_off_anywhere_gives_what_is_there() -> None:
    whole = read_head(PNG, past_image=True)
    for length in range(HEADER_BYTES, len(PNG)):
        head = read_head(PNG[:length], past_image=True)
        assert head.texts == whole.texts[: len(head.texts)]
        assert not head.ended
        assert read_head(PNG[:length]).complete == (b"IDAT" in PNG[:length])


def test_a_chunk_that_runs_past_the_data_is_not_guessed_at() -> None:
    cut = PNG.index(b"Thumb::URI") + 12
    head = read_head(PNG[:cut])
    assert [text.key for text in head.texts] == ["Thumb::MTime"]
    assert not head.complete


@pytest.mark.parametrize(
    ("png", "why"),
    [
        (b"", "does not start like a PNG"),
        (b"\x89PNG\r\n\x1a", "does not start like a PNG"),
        (b"GIF89a" + bytes(100), "does not start like a PNG"),
        (PNG[: HEADER_BYTES - 1], "cut off within its header"),
        (png_walk.build([(b"IDAT", b"x"), IEND]), "does not start like a PNG"),
        (_with(IDAT, IEND, header=samples.ihdr(0, 10)), "dimensions"),
        (_with(IDAT, IEND, header=samples.ihdr(10, 0)), "dimensions"),
        (_with(IDAT, IEND, header=samples.ihdr(2**31, 10)), "dimensions"),
        (_with(IDAT, IEND, header=samples.ihdr(10, 10, 3, 6, 0, 0, 0)), "impossible header"),
        (_with(IDAT, IEND, header=samples.ihdr(10, 10, 8, 5, 0, 0, 0)), "impossible header"),
        (_with(IDAT, IEND, header=samples.ihdr(10, 10, 8, 6, 1, 0, 0)), "impossible header"),
        (_with(IDAT, IEND, header=samples.ihdr(10, 10, 8, 6, 0, 1, 0)), "impossible header"),
        (_with(IDAT, IEND, header=samples.ihdr(10, 10, 8, 6, 0, 0, 2)), "impossible header"),
        (_with((b"IHDR", samples.ihdr()), IDAT, IEND), "critical chunk IHDR"),
        (_with((b"CgBI", bytes(4)), IDAT, IEND), "critical chunk CgBI"),
        (_with((b"t\xc9Xt", bytes(4)), IDAT, IEND), "no chunk at byte"),
        (_with(IEND), "no picture"),
        (_with(IDAT, IEND, header=samples.ihdr(10, 10, 8, 3, 0, 0, 0)), "no palette"),
        (PNG[:HEADER_BYTES] + b"\x80\0\0\0tEXt" + bytes(100), "no chunk at byte"),
        (PNG.replace(b"Thumb::Size", b"Thumb::Sizf"), "damaged tEXt"),
        (PNG[:20] + b"\7" + PNG[21:], "damaged header"),
    ],
)
def test_what_no_desktop_could_show_is_an_error(png: bytes, why: str) -> None:
    with pytest.raises(PngError, match=why):
        read_head(png)


def test_damage_in_the_picture_shows_only_to_who_reads_past_it() -> None:
    at = PNG.index(b"IDAT") + 50
    damaged = PNG[:at] + bytes([PNG[at] ^ 1]) + PNG[at + 1 :]
    assert read_head(damaged).complete
    with pytest.raises(PngError, match="damaged IDAT"):
        read_head(damaged, past_image=True)


@pytest.mark.parametrize(
    "part",
    [
        (b"tEXt", b"no separator"),
        (b"tEXt", b"\0no key"),
        (b"tEXt", b"k" * 80 + b"\0too long a key"),
        (b"zTXt", b"Key\0"),
        (b"zTXt", b"Key\0\0no zlib stream"),
        (b"zTXt", b"Key\0\0" + zlib.compress(b"cut off" * 99)[:-5]),
        (b"zTXt", b"Key\0\1" + zlib.compress(b"unknown method")),
        (b"zTXt", b"Key\0\0" + zlib.compress(bytes(MAX_TEXT_BYTES + 1))),
        (b"zTXt", b"Key\0\0" + zlib.compress(bytes(2**24))),
        (b"iTXt", b"Key\0"),
        (b"iTXt", b"Key\0\0\0\0no second field"),
        (b"iTXt", b"Key\0\2\0\0\0unknown flag"),
        (b"iTXt", b"Key\0\1\1\0\0" + zlib.compress(b"unknown method")),
        (b"iTXt", b"Key\0\1\0\0\0" + zlib.compress(bytes(2**24))),
    ],
)
def test_a_text_that_cannot_be_read_is_passed_over(part: tuple[bytes, bytes]) -> None:
    head = read_head(_with(part, samples.text_part("tEXt", "Next", "one"), IDAT, IEND))
    assert [(text.key, text.value) for text in head.texts] == [("Next", "one")]
    assert head.complete


def test_text_of_just_the_longest_length_is_read() -> None:
    part = (b"zTXt", b"Key\0\0" + zlib.compress(b"x" * MAX_TEXT_BYTES))
    assert read_head(_with(part, IDAT, IEND)).first("Key") == "x" * MAX_TEXT_BYTES


def test_many_small_bombs_do_not_add_up() -> None:
    bomb = (b"zTXt", b"Key\0\0" + zlib.compress(b"x" * MAX_TEXT_BYTES, 9))
    head = read_head(_with(*[bomb] * 500, IDAT, IEND))
    assert sum(len(text.value) for text in head.texts) <= 2**20
    assert head.complete


def test_broken_utf8_in_itxt_is_replaced_not_fatal() -> None:
    assert (
        read_head(_with((b"iTXt", b"Key\0\0\0\0\0a\xffb"), IDAT, IEND)).first("Key") == "a\ufffdb"
    )


def test_other_chunks_before_the_picture_do_no_harm() -> None:
    parts = [(b"gAMA", struct.pack(">I", 45455)), (b"tIME", bytes(7)), (b"prVt", b"anything")]
    assert (
        read_head(_with(*parts, samples.text_part("tEXt", "A", "1"), IDAT, IEND)).first("A") == "1"
    )


_CHUNKS = st.tuples(
    st.sampled_from([b"tEXt", b"zTXt", b"iTXt", b"IDAT", b"IEND", b"PLTE", b"gAMA", b"ABCD"]),
    st.binary(max_size=60),
)


@given(
    st.binary()
    | st.binary().map(png_walk.SIGNATURE.__add__)
    | st.lists(_CHUNKS, max_size=6).map(lambda parts: _with(*parts))
    | st.tuples(st.lists(_CHUNKS, max_size=4), st.binary()).map(lambda two: _with(*two[0]) + two[1])
)
def test_any_bytes_are_a_head_or_a_png_error(data: bytes) -> None:
    for past_image in (False, True):
        try:
            head = read_head(data, past_image=past_image)
        except PngError:
            continue
        assert head.width_px == 256
        assert head.complete or not head.ended


@given(st.integers(0, len(PNG) - 1), st.integers(1, 255))
def test_one_wrong_byte_before_the_picture_never_goes_unnoticed(at: int, flip: int) -> None:
    damaged = PNG[:at] + bytes([PNG[at] ^ flip]) + PNG[at + 1 :]
    try:
        head = read_head(damaged)
    except PngError:
        return
    # A wrong length can make the file look cut off; a wrong type hides a chunk only with its CRC.
    assert not head.complete or at >= PNG.index(b"IDAT") - 4 or head == read_head(PNG)


def test_pillow_finds_the_same_texts() -> None:
    with Image.open(io.BytesIO(samples.own())) as picture:
        picture.load()
        seen = dict(picture.text)  # type: ignore[attr-defined]  # PngImageFile has it
    head = read_head(samples.own())
    assert seen == {text.key: text.value for text in head.texts}
