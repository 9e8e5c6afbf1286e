from __future__ import annotations

import ctypes

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pregen.thumbspec import refusals

_LIBC = ctypes.CDLL(None)
_LIBC.strtol.restype = ctypes.c_long
_LIBC.strtol.argtypes = [ctypes.c_char_p, ctypes.c_void_p, ctypes.c_int]
_LIBC.strtod.restype = ctypes.c_double
_LIBC.strtod.argtypes = [ctypes.c_char_p, ctypes.c_void_p]

_NUMBERISH = st.text("0123456789+-. \tex", max_size=30) | st.integers().map(str)


@given(_NUMBERISH)
def test_strtol_reads_as_the_c_library_does(text: str) -> None:
    assert refusals.strtol(text) == _LIBC.strtol(text.encode(), None, 10)


# Hexadecimal numbers, infinities and NaN are left out: nobody writes a time in them.
@given(st.text("0123456789+-. \te", max_size=30))
def test_strtod_reads_decimal_numbers_as_the_c_library_does(text: str) -> None:
    assert refusals.strtod(text) == _LIBC.strtod(text.encode(), None)


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("5", 5),
        (" -5 ", -5),
        ("5.5", 0),
        ("2147483647", 2**31 - 1),
        ("2147483648", 0),
        ("-2147483648", -(2**31)),
        ("", 0),
    ],
)
def test_qts_int_has_32_bits(text: str, number: int) -> None:
    assert refusals.qt_int(text) == number


@pytest.mark.parametrize(
    ("text", "signed", "unsigned", "vala"),
    [
        ("5", 5, 5, 5),
        (" 5 ", 5, 5, None),
        ("+5", 5, 5, 5),
        ("-5", -5, 0, -5),
        ("005", 5, 5, 5),
        ("5.5", 0, 0, None),
        ("5x", 0, 0, None),
        ("", 0, 0, None),
        ("9223372036854775807", 2**63 - 1, 2**63 - 1, 2**63 - 1),
        ("9223372036854775808", 0, 2**63, 2**63 - 1),
        ("18446744073709551616", 0, 0, 2**63 - 1),
        ("9" * 5000, 0, 0, 2**63 - 1),
        ("-" + "9" * 5000, 0, 0, -(2**63)),
    ],
)
def test_qt_and_vala_want_the_whole_text_to_be_a_number(
    text: str, signed: int, unsigned: int, vala: int | None
) -> None:
    assert refusals.qt_signed(text) == signed
    assert refusals.qt_unsigned(text) == unsigned
    assert refusals.vala_int64(text) == vala
