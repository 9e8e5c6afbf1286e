"""What signals do to a run, delivered to this very process."""

from __future__ import annotations

import io
import signal
import time
from typing import TYPE_CHECKING

import pytest

from pregen import session as module
from pregen.display.listener import Watch
from pregen.display.plain import PlainPrinter
from pregen.display.printer import Output
from pregen.engines.base import StopLevel
from pregen.errors import ExitCode
from pregen.model import WorkerView
from pregen.pipeline import RunStop
from pregen.session import Signals

if TYPE_CHECKING:
    from collections.abc import Iterator


class Fixture:
    """Signals installed for a run of two workers, one of them busy."""

    def __init__(self) -> None:
        self.stderr = io.StringIO()
        self.stop = RunStop()
        self.watch = Watch(PlainPrinter(Output(self.stderr)))
        self.watch.watch_workers(
            lambda: [WorkerView(1, b"/a", 0.1, 0), WorkerView(2, None, 0.0, 0)]
        )
        self.signals = Signals(self.stop, self.watch)

    def level(self) -> int:
        return self.stop.level

    def told(self) -> list[str]:
        self.signals.announce()
        return self.stderr.getvalue().splitlines()


@pytest.fixture
def fixture(monkeypatch: pytest.MonkeyPatch) -> Iterator[Fixture]:
    monkeypatch.setattr(module, "_DOUBLED_S", 0.0)
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    made = Fixture()
    with made.signals:
        yield made
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == before


def test_without_a_signal_nothing_is_told(fixture: Fixture) -> None:
    assert fixture.told() == []
    assert not fixture.stop.is_set()


@pytest.mark.parametrize(
    ("number", "code", "again"),
    [
        (signal.SIGINT, ExitCode.INTERRUPTED, "press Ctrl-C again"),
        (signal.SIGTERM, ExitCode.TERMINATED, "send it again"),
    ],
)
def test_the_first_drains_and_the_second_kills(
    fixture: Fixture, number: signal.Signals, code: ExitCode, again: str
) -> None:
    signal.raise_signal(number)
    assert fixture.level() == StopLevel.DRAIN
    first = f"finishing 1 picture in flight; {again} to stop at once"
    assert fixture.told() == [first]
    assert fixture.told() == [first], "told once"
    signal.raise_signal(number)
    assert fixture.level() == StopLevel.KILL
    assert fixture.stop.code is code
    assert fixture.told() == [first, "stopping at once"]


def test_the_first_signal_decides_about_the_exit_code(fixture: Fixture) -> None:
    signal.raise_signal(signal.SIGTERM)
    signal.raise_signal(signal.SIGINT)
    assert fixture.stop.code is ExitCode.TERMINATED


def test_a_signal_that_comes_doubled_counts_once(
    fixture: Fixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_DOUBLED_S", 60.0)
    signal.raise_signal(signal.SIGTERM)
    signal.raise_signal(signal.SIGTERM)
    assert fixture.stop.level is StopLevel.DRAIN


def test_who_asks_is_answered(fixture: Fixture) -> None:
    fixture.watch.start()
    signal.raise_signal(signal.SIGUSR1)
    deadline_s = time.monotonic() + 10
    while "files so far" not in fixture.stderr.getvalue():
        assert time.monotonic() < deadline_s
        time.sleep(0.01)
    fixture.watch.finish(ExitCode.DONE)
