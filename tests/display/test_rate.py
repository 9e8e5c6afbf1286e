"""Rates over a window, on a clock of our own."""

from __future__ import annotations

import pytest

from pregen.display.state import MIN_SPAN_S, WINDOW_S, RatePoint, Rates, RateWindow
from tests.support.running.pretend_runs import Story, outcome

MB = 1_000_000


def _feed(window: RateWindow, until_s: float, per_s: float, start_s: float = 0.0) -> None:
    """Ten samples a second at an even pace."""
    for tick in range(round(start_s * 10) + 1, round(until_s * 10) + 1):
        now_s = tick / 10
        done = int(per_s * now_s)
        window.add(now_s, RatePoint(done, done, done * 1000, done * 12_000_000, work_bytes=done))


def test_an_even_pace_is_seen_as_it_is() -> None:
    window = RateWindow(0.0)
    _feed(window, 60, 50)
    rates = window.rates()
    assert rates.done_per_s == pytest.approx(50, rel=0.02)
    assert rates.bytes_per_s == pytest.approx(50_000, rel=0.02)
    assert rates.pixels_per_s == pytest.approx(600e6, rel=0.02)


def test_nothing_is_said_before_there_is_enough_to_say() -> None:
    window = RateWindow(0.0)
    _feed(window, MIN_SPAN_S - 0.1, 1000)
    assert window.rates() == Rates()
    assert window.eta_s(10_000) is None


def test_what_is_older_than_the_window_is_forgotten() -> None:
    window = RateWindow(0.0)
    _feed(window, 100, 1000)
    stalled = RatePoint(100_000, 100_000, 0, 0)
    for second in range(101, 101 + int(WINDOW_S) + 2):
        window.add(float(second), stalled)
    assert window.rates().done_per_s == 0


def test_a_stall_is_seen_while_it_lasts() -> None:
    window = RateWindow(0.0)
    _feed(window, 20, 100)
    before = window.rates().done_per_s
    window.add(25.0, RatePoint(2000, 2000, 0, 0))
    assert 0 < window.rates().done_per_s < before


def test_the_estimate_counts_what_is_left() -> None:
    window = RateWindow(0.0)
    _feed(window, 30, 10)
    assert window.eta_s(300 + 450) == pytest.approx(45, rel=0.05)
    assert window.eta_s(300) == 0


def test_an_estimate_counts_bytes_as_large_files_come_first() -> None:
    """With `--order newest` a later camera's photos of 16 MB come before those of 1 MB."""
    story = Story()
    window = RateWindow(story.clock.now_s)
    sizes = [16 * MB] * 100 + [MB] * 400
    for each in sizes:
        story.state.planned(each)
    for each in sizes[:50]:
        story.state.finished(outcome(), each)
        story.after(0.2)
        window.add(story.clock.now_s, story.state.snapshot().point)
    eta_s = window.eta_s(story.state.snapshot().work_bytes)
    assert eta_s == pytest.approx(10 + 400 * 0.2 / 13, rel=0.05)
    assert eta_s is not None
    assert eta_s < 450 * 0.2 / 4, "by files it would be four times as long"


def test_a_film_is_no_more_work_than_what_is_read_of_one() -> None:
    story = Story()
    story.state.planned(1000 * MB)
    film = story.state.snapshot().work_bytes
    story.state.planned(40 * MB)
    assert story.state.snapshot().work_bytes == 2 * film


def test_no_estimate_is_made_of_two_files() -> None:
    window = RateWindow(0.0)
    window.add(5.0, RatePoint(2, 2, 0, 0, work_bytes=2))
    assert window.eta_s(100) is None


def test_memory_is_bounded_by_the_window() -> None:
    window = RateWindow(0.0)
    _feed(window, 3600, 10)
    assert len(window._samples) < 3 * WINDOW_S


def test_the_time_workers_take_to_start_does_not_count() -> None:
    window = RateWindow(0.0)
    for second in range(1, 11):
        window.add(float(second), RatePoint(0, 0, 0, 0))
    window.add(12.0, RatePoint(20, 20, 0, 0))
    assert window.rates().done_per_s == pytest.approx(10)
