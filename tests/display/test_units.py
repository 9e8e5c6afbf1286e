"""Numbers for people."""

from __future__ import annotations

import pytest

from pregen.display.text import about, clock, duration, plural, size


@pytest.mark.parametrize(
    ("size_bytes", "text"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1000, "1.0 kB"),
        (999_400, "999 kB"),
        (999_600, "1.0 MB"),
        (12_345_678, "12 MB"),
        (3.5e12, "3.5 TB"),
        (2e15, "2,000 TB"),
    ],
)
def test_sizes_use_decimal_units(size_bytes: float, text: str) -> None:
    assert size(size_bytes) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.254, "0.25 s"),
        (4.24, "4.2 s"),
        (42.4, "42 s"),
        (59.7, "1 min 00 s"),
        (185, "3 min 05 s"),
        (3720, "1 h 02 min"),
        (183_600, "2 d 03 h"),
    ],
)
def test_durations_have_two_units_at_most(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_an_estimate_has_no_decimals() -> None:
    assert about(4.24) == "4 s"


@pytest.mark.parametrize(("seconds", "text"), [(4.9, "0:04"), (725, "12:05"), (3729, "1:02:09")])
def test_a_clock_counts_up(seconds: float, text: str) -> None:
    assert clock(seconds) == text


def test_one_file_and_two_files() -> None:
    assert plural(1, "file") == "1 file"
    assert plural(2000, "entry", "entries") == "2,000 entries"
