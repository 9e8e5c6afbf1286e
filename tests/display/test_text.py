"""Names and messages on their way to a screen."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pregen.display.text import cells, printable, shorten, shown


@pytest.mark.parametrize(
    ("path", "text"),
    [
        (b"/photos/plain [1] 100%.jpg", "/photos/plain [1] 100%.jpg"),
        ("/photos/é 写真.jpg".encode(), "/photos/é 写真.jpg"),
        (b"/a\nb\tc\rd.jpg", r"/a\nb\tc\rd.jpg"),
        (b"/\x1b[31mred\x1b]0;title\x07.jpg", r"/\x1b[31mred\x1b]0;title\x07.jpg"),
        (b"/\x9b31m and \xff.jpg", r"/\x9b31m and \xff.jpg"),
        ("/\u202egpj.exe".encode(), r"/\u202egpj.exe"),
        ("/\u2028line\u200b\U000e0001".encode(), r"/\u2028line\u200b\U000e0001"),
        (rb"/back\x1bslash", r"/back\\x1bslash"),
    ],
)
def test_a_hostile_name_is_shown_escaped(path: bytes, text: str) -> None:
    assert shown(path) == text


@given(st.binary(max_size=60))
def test_no_name_disturbs_a_terminal(path: bytes) -> None:
    text = shown(path)
    assert not {unicodedata.category(char) for char in text} & {"Cc", "Cf", "Cs", "Zl", "Zp"}
    text.encode()


@given(st.binary(max_size=20), st.binary(max_size=20))
def test_two_names_are_never_shown_alike(one: bytes, other: bytes) -> None:
    assert (shown(one) == shown(other)) == (one == other)


def test_a_message_keeps_its_backslashes() -> None:
    assert printable("C:\\x\n") == "C:\\x\\n"


@given(st.text(max_size=40), st.integers(0, 50))
def test_a_shortened_text_fits(text: str, width: int) -> None:
    text = printable(text)
    short = shorten(text, width)
    assert cells(short) <= width
    assert short == text or cells(text) > width


def test_the_middle_is_left_out_and_both_ends_stay() -> None:
    assert shorten("IMG_20190704_211533_long_name.jpg", 16) == "IMG_201…name.jpg"


def test_a_wide_character_takes_two_columns_and_a_combining_one_none() -> None:
    assert cells("写e\u0301") == 3
