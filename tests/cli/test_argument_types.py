"""What the text of a flag becomes."""

from __future__ import annotations

import click
import pytest

from pregen.argument_types import (
    Number,
    WholeNumber,
    age_s,
    flavors,
    pixels,
    raw_bytes,
    size_bytes,
)
from pregen.model import Flavor


@pytest.mark.parametrize(
    ("text", "number"),
    [("500M", 500_000_000), ("1G", 10**9), ("2.5k", 2500), ("123", 123), (" 7 ", 7)],
)
def test_pixels_may_have_a_decimal_prefix(text: str, number: int) -> None:
    assert pixels(text) == number


@pytest.mark.parametrize("text", ["", "0", "-5", "5m", "1e9", "M", "5 M", "0.1", "NaN"])
def test_other_numbers_of_pixels_are_refused(text: str) -> None:
    with pytest.raises(click.BadParameter, match="500M"):
        pixels(text)


def test_flavors_come_once_each_and_small_to_large() -> None:
    assert flavors("x-large, normal,x-large") == (Flavor.NORMAL, Flavor.X_LARGE)


@pytest.mark.parametrize("text", ["", "normal,", "huge", "Normal"])
def test_unknown_flavors_are_refused_with_those_there_are(text: str) -> None:
    with pytest.raises(click.BadParameter, match="normal, large, x-large, xx-large"):
        flavors(text)


def test_bytes_come_as_the_shell_gave_them() -> None:
    assert raw_bytes("caf\udce9 \n.jpg") == b"caf\xe9 \n.jpg"
    with pytest.raises(click.BadParameter, match="empty"):
        raw_bytes("")


@pytest.mark.parametrize(
    ("text", "size"),
    [("0", 0), ("2G", 2 * 10**9), ("500MB", 5 * 10**8), ("1.5k", 1500), ("2Gi", 2**31)],
)
def test_sizes_are_read(text: str, size: int) -> None:
    assert size_bytes(text) == size


@pytest.mark.parametrize(
    ("text", "seconds"), [("30d", 30 * 86400), ("12h", 43200), ("1.5m", 90), ("4w", 28 * 86400)]
)
def test_ages_are_read(text: str, seconds: float) -> None:
    assert age_s(text) == seconds


@pytest.mark.parametrize("text", ["", "G", "-1", "2 G", "30", "d", "1y"])
def test_what_is_no_age_is_refused(text: str) -> None:
    with pytest.raises(click.BadParameter, match="30d"):
        age_s(text)


@pytest.mark.parametrize("text", ["", "G", "-1", "many", "2X", "2gb"])
def test_what_is_no_size_is_refused(text: str) -> None:
    with pytest.raises(click.BadParameter, match="2G"):
        size_bytes(text)


@pytest.mark.parametrize(
    ("kind", "text", "says"),
    [
        (WholeNumber(1, 4096), "abc", "'abc' is not a whole number from 1 to 4096."),
        (WholeNumber(1), "0", "'0' is not a whole number of at least 1."),
        (Number(0, min_open=True), "0", "'0' is not a number above 0."),
        (Number(max=2), "3", "'3' is not a number of at most 2."),
        (Number(), "inf", "'inf' is not a number."),
    ],
)
def test_numbers_out_of_bounds_are_refused_in_plain_words(
    kind: WholeNumber | Number, text: str, says: str
) -> None:
    with pytest.raises(click.BadParameter) as caught:
        kind.convert(text, None, None)
    assert caught.value.message == says
