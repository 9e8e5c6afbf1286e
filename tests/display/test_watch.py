"""The run's one listener."""

from __future__ import annotations

import io
import threading
from typing import TYPE_CHECKING

import pytest

from pregen.display.listener import Watch
from pregen.display.plain import QuietPrinter
from pregen.display.printer import Output
from pregen.errors import ExitCode
from pregen.model import Kind, Skip, WorkerView
from tests.support.running.pretend_runs import outcome

if TYPE_CHECKING:
    from pregen.display.printer import RunReport, View


class Notes(QuietPrinter):
    """A printer that remembers what it was told."""

    interval_s: float | None = 0.001

    def __init__(self) -> None:
        super().__init__(Output(io.StringIO()))
        self.views: list[View] = []
        self.reports: list[RunReport] = []
        self.seen = threading.Event()

    def tick(self, view: View, *, asked: bool) -> None:  # noqa: ARG002 - both alike
        self.views.append(view)
        self.seen.set()

    def finish(self, report: RunReport) -> None:
        self.reports.append(report)


def test_what_happens_is_counted_and_shown() -> None:
    printer = Notes()
    watch = Watch(printer)
    watch.watch_workers(lambda: [WorkerView(1, b"/a", 0.1, 0), WorkerView(2, None, 0.0, 0)])
    watch.planned()
    watch.finished(outcome())
    watch.skipped(Skip(b"/b", Kind.FRESH))
    watch.walk_ended()
    watch.warn("odd")
    watch.start()
    assert printer.seen.wait(10)
    report = watch.finish(ExitCode.DONE)
    assert printer.views[0].now.kinds == {Kind.MADE: 1, Kind.FRESH: 1}
    assert len(printer.views[0].workers) == 2
    assert watch.busy() == 1
    assert printer.reports == [report]
    assert report.findings.warnings == ("odd",)


def test_the_end_is_shown_although_a_display_has_a_bug() -> None:
    class Buggy(Notes):
        def tick(self, view: View, *, asked: bool) -> None:
            super().tick(view, asked=asked)
            raise ZeroDivisionError

    printer = Buggy()
    watch = Watch(printer)
    watch.start()
    assert printer.seen.wait(10)
    with pytest.raises(ZeroDivisionError):
        watch.finish(ExitCode.DONE)
    assert len(printer.reports) == 1


def test_no_estimate_is_shown_while_the_walk_goes_on() -> None:
    printer = Notes()
    watch = Watch(printer)
    for _ in range(10):
        watch.planned()
        watch.finished(outcome())
    watch.start()
    assert printer.seen.wait(10)
    watch.finish(ExitCode.DONE)
    assert printer.views[0].eta_s is None
