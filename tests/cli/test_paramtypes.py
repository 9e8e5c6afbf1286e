"""What the text of a flag becomes."""

from __future__ import annotations

import click
import pytest

from pregen.commands.paramtypes import flavors, pixels, raw_bytes
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
