from __future__ import annotations

import string
from urllib.parse import unquote_to_bytes

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pregen.thumbspec.naming import key
from pregen.thumbspec.uri import all_uris, file_uri, path_from_uri, qt_uris
from tests.thumbspec.samples import PATHS

#: Seen by running the libraries: GLib, Qt 6.8.3 and later, Qt 5 (None: as GLib).
TABLE: dict[str, tuple[str, str | None, str | None]] = {
    " ": ("%20", None, None),
    **{literal: (literal, None, None) for literal in "!$&'()*+,:=@-._~/"},
    ";": ("%3B", ";", ";"),
    "[": ("%5B", None, "["),
    "]": ("%5D", None, "]"),
    '"': ("%22", None, None),
    "#": ("%23", None, None),
    "%": ("%25", None, None),
    "<": ("%3C", None, None),
    ">": ("%3E", None, None),
    "?": ("%3F", None, None),
    "\\": ("%5C", None, None),
    "^": ("%5E", None, None),
    "`": ("%60", None, None),
    "{": ("%7B", None, None),
    "|": ("%7C", None, None),
    "}": ("%7D", None, None),
}


def _row(byte: int) -> tuple[str, str | None, str | None]:
    char = chr(byte)
    if char in string.ascii_letters + string.digits:
        return char, None, None
    return TABLE.get(char, (f"%{byte:02X}", None, None))


def test_the_table_knows_every_printable_character_that_is_no_letter_or_digit() -> None:
    assert set(TABLE) == set(map(chr, range(32, 127))) - {*string.ascii_letters, *string.digits}


@pytest.mark.parametrize("byte", range(1, 256))
def test_every_byte_is_written_as_glib_and_qt_write_it(byte: int) -> None:
    glib, newer_qt, older_qt = _row(byte)
    path = b"/d/a" + bytes([byte]) + b"b"
    assert file_uri(path) == f"file:///d/a{glib}b"
    expected = [f"file:///d/a{form}b" for form in dict.fromkeys((newer_qt, older_qt)) if form]
    assert list(qt_uris(path)) == expected


@pytest.mark.parametrize(
    ("path", "uri"),
    [
        ("/home/jens/photos/me.png", "file:///home/jens/photos/me.png"),
        ("/d/é", "file:///d/%C3%A9"),
        ("/d/e\u0301", "file:///d/e%CC%81"),
        ("/d/写", "file:///d/%E5%86%99"),
        ("/d/\N{GRINNING FACE}", "file:///d/%F0%9F%98%80"),
        ("/d/%41", "file:///d/%2541"),
        ("/d/-x", "file:///d/-x"),
        ("/", "file:///"),
    ],
)
def test_names_beyond_ascii_are_neither_normalised_nor_decoded(path: str, uri: str) -> None:
    assert file_uri(path.encode()) == uri
    assert all_uris(path.encode()) == (uri,)


def test_the_key_of_the_standards_example_is_the_one_it_prints() -> None:
    assert key(file_uri(b"/home/jens/photos/me.png")) == "c6ee772d9e49320e97ec29a7eb5b1697"


def test_qt_has_one_form_for_semicolons_and_two_where_brackets_join_them() -> None:
    assert all_uris(b"/a;b") == ("file:///a%3Bb", "file:///a;b")
    assert all_uris(b"/a[1]") == ("file:///a%5B1%5D", "file:///a[1]")
    assert all_uris(b"/a;[1]") == ("file:///a%3B%5B1%5D", "file:///a;%5B1%5D", "file:///a;[1]")


def test_an_escape_in_a_name_is_no_character_of_it() -> None:
    assert all_uris(b"/a%3B%5Bb") == ("file:///a%253B%255Bb",)


def test_a_name_that_is_not_utf8_has_glibs_form_only() -> None:
    assert all_uris(b"/caf\xe9;[1]") == ("file:///caf%E9%3B%5B1%5D",)


@given(PATHS)
def test_every_form_leads_back_to_the_path_and_none_is_given_twice(path: bytes) -> None:
    forms = all_uris(path)
    assert len(set(forms)) == len(forms)
    assert all(path_from_uri(form) == path for form in forms)


@given(PATHS)
def test_a_uri_is_ascii_and_means_its_path_to_any_decoder(path: bytes) -> None:
    uri = file_uri(path)
    assert uri.isascii()
    assert unquote_to_bytes(uri.removeprefix("file://")) == path


@pytest.mark.parametrize(
    ("uri", "path"),
    [
        ("file:///a%20b", b"/a b"),
        ("file:///a b/\u00e9", "/a b/é".encode()),
        ("file:/old/kde", b"/old/kde"),
        ("file://localhost/a", b"/a"),
        ("FILE:///a", b"/a"),
        ("file:///%e9", b"/\xe9"),
        ("file:///a|^;[]", b"/a|^;[]"),
    ],
)
def test_forms_of_other_programs_are_read_too(uri: str, path: bytes) -> None:
    assert path_from_uri(uri) == path


@pytest.mark.parametrize(
    "uri",
    [
        "",
        "file:",
        "file://",
        "file:a",
        "file://server/share/a",
        "smb://server/a",
        "http:///a",
        "file:///a%",
        "file:///a%4",
        "file:///a%zz",
        "file:///a%2Fb",
        "file:///a%2fb",
        "file:///a%00b",
        "file:///a\0b",
        "file:///a#b",
        "file:///a?b",
        "./picture.png",
        "file:///\ud800",
    ],
)
def test_what_names_no_local_file_is_none(uri: str) -> None:
    assert path_from_uri(uri) is None


@given(st.text() | st.text().map("file:///".__add__))
def test_any_text_is_a_path_or_none(uri: str) -> None:
    path = path_from_uri(uri)
    assert path is None or (path.startswith(b"/") and b"\0" not in path)
