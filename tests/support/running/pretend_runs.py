"""Runs that never happened, told to the counters of a real one on a clock of our own."""

from __future__ import annotations

from typing import Any

from pregen.display.printer import RunReport, View
from pregen.display.state import Rates, RunCounts
from pregen.errors import ExitCode
from pregen.model import Kind, Outcome, Skip, Stages, WorkerView

MS_NS = 1_000_000


class Clock:
    """Time that passes when it is told to."""

    def __init__(self) -> None:
        self.now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


def outcome(kind: Kind = Kind.MADE, path: bytes = b"/photos/a.jpg", **fields: Any) -> Outcome:
    """Return an outcome like that of an ordinary 12 Mpx picture, where it was made."""
    plain = Outcome(0, path, kind, worker_pid=11)
    if kind is Kind.MADE:
        plain = plain._replace(
            loader="turbo",
            mime="image/jpeg",
            width_px=4000,
            height_px=3000,
            entries_written=2,
            bytes_written=120_000,
            bytes_read=3_000_000,
            stages=Stages(1 * MS_NS, 10 * MS_NS, 4 * MS_NS, 2 * MS_NS, 1 * MS_NS),
        )
    return plain._replace(**fields)


class Story:
    """A state that is told of a run, and reports about it."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.state = RunCounts(self.clock)

    def jobs(self, *outcomes: Outcome) -> Story:
        """Plan and finish jobs."""
        for each in outcomes:
            self.state.planned()
            self.state.finished(each)
        return self

    def skips(self, *skips: Skip) -> Story:
        """Meet sources that need no job."""
        for each in skips:
            self.state.skipped(each)
        return self

    def after(self, seconds: float) -> Story:
        """Let time pass."""
        self.clock.now_s += seconds
        return self

    def walked(self) -> Story:
        """End the walk."""
        self.state.walk_ended()
        return self

    def report(self, exit_code: ExitCode = ExitCode.DONE, error: str = "") -> RunReport:
        """End the run."""
        findings = self.state.findings()
        install = f"pip install 'pregen[{','.join(sorted(findings.extras))}]'"
        return RunReport(
            self.state.snapshot(),
            findings,
            exit_code,
            error,
            install=install if findings.extras else "",
        )

    def view(
        self,
        *workers: WorkerView,
        rates: Rates = Rates(),  # noqa: B008 - a constant: it cannot be changed
        eta_s: float | None = None,
    ) -> View:
        """Look at the run as it is."""
        return View(self.state.snapshot(), rates, eta_s, workers)
