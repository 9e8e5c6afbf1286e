from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pregen.thumbspec import mtime
from tests.thumbspec.samples import MTIME_NS, MTIMES_NS, ORDINARY_MTIMES_NS, WHOLE_MTIME_NS


@pytest.mark.parametrize(
    ("mtime_ns", "leading", "integer", "trailing"),
    [
        (MTIME_NS, "1700000000.123456", "1700000000", ""),
        (WHOLE_MTIME_NS, "", "1700000000", ""),
        (WHOLE_MTIME_NS + 999, "", "1700000000", ""),
        (WHOLE_MTIME_NS + 1000, "1700000000.000001", "1700000000", ""),
        (WHOLE_MTIME_NS + 999_999_999, "1700000000.999999", "1700000000", ""),
        (0, "", "0", ""),
        (-1, "-1", "18446744073709551615", "-1"),
        (-4_500_000_000, "-5", "18446744073709551611", "-5"),
    ],
)
def test_the_texts_for_a_time_are_these(
    mtime_ns: int, leading: str, integer: str, trailing: str
) -> None:
    assert mtime.leading_text(mtime_ns) == leading
    assert mtime.integer_text(mtime_ns) == integer
    assert mtime.trailing_text(mtime_ns) == trailing


@given(MTIMES_NS)
def test_seconds_and_microseconds_are_rounded_down(mtime_ns: int) -> None:
    below = mtime.whole_s(mtime_ns) * 10**9 + mtime.usec(mtime_ns) * 1000
    assert below <= mtime_ns < below + 1000
    assert 0 <= mtime.usec(mtime_ns) < 10**6


@given(ORDINARY_MTIMES_NS | st.integers(1000, 2**17 * 10**9))
@example(3_000)
@example(65_535_000_003_000)
def test_tumbler_and_atol_both_read_the_leading_text_right(mtime_ns: int) -> None:
    text = mtime.leading_text(mtime_ns)
    if not text:
        assert mtime.usec(mtime_ns) == 0
        return
    assert float(text) == mtime.tumbler_s(mtime_ns)
    assert int(text.partition(".")[0]) == mtime.whole_s(mtime_ns)


@given(MTIMES_NS)
def test_every_text_we_write_agrees_with_its_time(mtime_ns: int) -> None:
    for make in (mtime.leading_text, mtime.integer_text, mtime.trailing_text):
        text = make(mtime_ns)
        assert not text or mtime.agrees(text, mtime_ns)


@given(MTIMES_NS, MTIMES_NS)
def test_a_text_of_another_second_never_agrees(mtime_ns: int, other_ns: int) -> None:
    if mtime.whole_s(mtime_ns) != mtime.whole_s(other_ns):
        assert not mtime.agrees(mtime.integer_text(other_ns), mtime_ns)
        assert not mtime.agrees(mtime.leading_text(other_ns) or "x", mtime_ns)


@given(st.integers(2**16, 2**32), st.integers(0, 999_999), st.integers(0, 999_999))
def test_another_microsecond_never_agrees(seconds: int, usec: int, other: int) -> None:
    mtime_ns = seconds * 10**9 + usec * 1000
    assert mtime.agrees(f"{seconds}.{other:06}", mtime_ns) == (usec == other)


@pytest.mark.parametrize(
    "text",
    [
        "1700000000",
        " 1700000000 ",
        "+1700000000",
        "00001700000000",
        "1700000000.123456",
        "1700000000.123456789",
        "1700000000.1234560",
    ],
)
def test_other_spellings_of_the_time_agree(text: str) -> None:
    assert mtime.agrees(text, MTIME_NS)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "-1700000000",
        "1699999999",
        "1700000001",
        "1700000000.0",
        "1700000000.",
        "1700000000.123457",
        "1700000000.123455",
        "1700000000.12345",
        "1.7e9",
        "0x6553f100",
        "nan",
        "1700000000 s",
        "1700000000,123456",
        "１７００００００００",  # noqa: RUF001 - full-width digits are no digits to any client
        "1" * 5000,
        "1700000000." + "1" * 5000,
    ],
)
def test_what_is_another_time_or_none_does_not_agree(text: str) -> None:
    assert not mtime.agrees(text, MTIME_NS)


@given(st.text(), MTIMES_NS)
def test_any_text_agrees_or_does_not(text: str, mtime_ns: int) -> None:
    assert mtime.agrees(text, mtime_ns) in {True, False}


def test_a_fraction_of_zero_agrees_with_a_whole_second() -> None:
    assert mtime.agrees("1700000000.000000", WHOLE_MTIME_NS)
    assert mtime.agrees("1700000000.0", WHOLE_MTIME_NS)


def test_before_1970_glibs_number_and_the_signed_one_both_agree() -> None:
    assert mtime.agrees("-5", -5 * 10**9)
    assert mtime.agrees("18446744073709551611", -5 * 10**9)
    assert not mtime.agrees("5", -5 * 10**9)
