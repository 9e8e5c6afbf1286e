"""The strict reader of `verify`: it never trips, and no byte of an entry can change unseen."""

from __future__ import annotations

import io

from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from pregen.imaging import review
from pregen.verbs.verify.anatomy import dissect
from tests.support.files.photo import photo
from tests.support.files.pictures import encode, every_format, interlaced_png, png16
from tests.support.judges import png_walk


def entry() -> bytes:
    texts = [
        ("iTXt", "Thumb::MTime", "1700000000.123456"),
        ("tEXt", "Thumb::URI", "file:///a"),
        ("zTXt", "Comment", "x" * 100),
    ]
    return png_walk.with_texts(encode(photo(16, 12), "PNG"), texts)


@given(st.binary(max_size=300), st.integers(0, 120))
def test_it_takes_any_bytes(data: bytes, kept: int) -> None:
    dissect(data)
    dissect(entry()[:kept] + data)


@given(st.integers(0, len(entry()) * 8 - 1))
def test_no_bit_can_flip_unseen(bit: int) -> None:
    data = bytearray(entry())
    data[bit // 8] ^= 1 << bit % 8
    assert dissect(bytes(data)).findings


@given(st.integers(0, len(entry()) - 1))
def test_no_entry_can_end_early_unseen(length: int) -> None:
    assert dissect(entry()[:length]).findings


def test_whole_pngs_of_every_kind_are_sound() -> None:
    modes = ("RGB", "RGBA", "L", "LA", "P", "1", "I;16")
    picture = Image.open(io.BytesIO(encode(photo(33, 20), "PNG")))
    made = [encode(picture.convert(mode), "PNG") for mode in modes]
    made += [png16(33, 20), interlaced_png(33, 20), entry()]
    made += [data for name, data in every_format().items() if name.endswith(".png")]
    assert len(made) > 10
    assert [dissect(data).findings for data in made] == [()] * len(made)
    assert [review.refusal(data) for data in made] == [""] * len(made)


def test_its_texts_are_those_that_are_there() -> None:
    head = dissect(entry()).head
    assert head
    assert [(text.kind.value.decode(), text.key, text.value) for text in head.texts] == [
        (text.kind, text.key, text.value) for text in png_walk.texts(entry())
    ]
