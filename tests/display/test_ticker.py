"""The thread that drives a printer."""

from __future__ import annotations

import threading

import pytest

from pregen.display.listener import Ticker


def test_it_ticks_by_itself_until_it_is_closed() -> None:
    ticks = threading.Semaphore(0)
    ticker = Ticker(lambda _asked: ticks.release(), 0.001)
    ticker.start()
    for _ in range(3):
        assert ticks.acquire(timeout=10)
    ticker.close()
    while ticks.acquire(blocking=False):
        pass
    assert not ticks.acquire(timeout=0.05)


def test_without_an_interval_it_ticks_only_when_asked() -> None:
    asked: list[bool] = []
    ticked = threading.Event()
    looked = threading.Semaphore(0)

    def tick(was_asked: bool) -> None:  # noqa: FBT001 - the ticker's one argument
        asked.append(was_asked)
        ticked.set()

    ticker = Ticker(tick, None)
    ticker.poll = looked.release
    ticker.start()
    assert looked.acquire(timeout=10)
    assert looked.acquire(timeout=10)
    assert asked == []
    ticker.ask()
    assert ticked.wait(10)
    ticker.close()
    assert asked == [True]


def test_what_a_tick_raises_comes_out_at_the_end() -> None:
    raised = threading.Event()

    def tick(_asked: bool) -> None:  # noqa: FBT001 - the ticker's one argument
        raised.set()
        raise ZeroDivisionError("a bug in a display")

    ticker = Ticker(tick, 0.001)
    ticker.start()
    assert raised.wait(10)
    with pytest.raises(ZeroDivisionError, match="a bug in a display"):
        ticker.close()
    ticker.close()


def test_one_that_never_started_can_be_closed() -> None:
    Ticker(lambda _asked: None, 0.001).close()
    Ticker(lambda _asked: None, None).close()
