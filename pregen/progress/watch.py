"""A run's one listener: counts into the state, tells the printer, drives the ticker.

It does not know what a run is; `pregen.pipeline` tells it what happens.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pregen.model import Kind, Skip
from pregen.progress.base import Printer, Report, View
from pregen.progress.rate import RateWindow, Sample
from pregen.progress.state import Snapshot, State
from pregen.progress.ticker import Ticker

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from pregen.errors import ExitCode
    from pregen.model import Outcome, WorkerView


class Watch:
    """State, rates, ticker and printer of one run."""

    def __init__(self, printer: Printer, state: State | None = None) -> None:
        self._printer = printer
        self._state = state or State()
        self._window = RateWindow(self._state.snapshot().elapsed_s)
        self._ended_because = ""
        self._workers: Callable[[], list[WorkerView]] = list
        self._ticker = Ticker(self._tick, printer.interval_s)

    def start(self) -> None:
        """Begin to show the run."""
        self._printer.start()
        self._ticker.start()

    def watch_workers(self, workers: Callable[[], list[WorkerView]]) -> None:
        """Show what these are doing from now on."""
        self._workers = workers

    def poll(self, look: Callable[[], None]) -> None:
        """Have the ticker call `look` several times a second."""
        self._ticker.poll = look

    def busy(self) -> int:
        """Return how many workers have a source in hand."""
        return sum(worker.path is not None for worker in self._workers())

    def skipped(self, skip: Skip) -> None:
        """A source needs no job."""
        self._state.skipped(skip)
        self._printer.skip(skip)

    def fresh(self, paths: Sequence[bytes]) -> None:
        """Sources need no job and no look: many at once, because of a million there may be none."""
        self._state.fresh(len(paths))
        if self._printer.verbose:
            for path in paths:
                self._printer.skip(Skip(path, Kind.FRESH))

    def planned(self) -> None:
        """A job is on its way to the engine."""
        self._state.planned()

    def walk_ended(self) -> None:
        """The number of jobs is final."""
        self._state.walk_ended()

    def passed_over(self, number: int) -> None:
        """The walk left this much out by rules."""
        self._state.passed_over(number)

    def finished(self, outcome: Outcome) -> None:
        """A job ended."""
        self._state.finished(outcome)
        self._printer.outcome(outcome)

    def warn(self, message: str) -> None:
        """Something is wrong that does not end the run."""
        self._state.warned(message)
        self._printer.warning(message)

    def note(self, message: str) -> None:
        """A person should know this now."""
        self._printer.note(message)

    def paused(self, why: str) -> None:
        """The run waits, or, with an empty text, goes on."""
        self._state.paused(why)
        self._printer.note(f"paused: {why}" if why else "going on")

    def ends_because(self, why: str) -> None:
        """The run ends before it is done, as it was asked to."""
        self._ended_because = why

    def remark(self, message: str) -> None:
        """Someone who wants to know everything should know this."""
        if self._printer.verbose:
            self._printer.note(message)

    def ask(self) -> None:
        """Show a line of progress now. Safe in a signal handler."""
        self._ticker.ask()

    def totals(self) -> Snapshot:
        """Return all counters as they are now."""
        return self._state.snapshot()

    def finish(
        self, exit_code: ExitCode, error: str = "", would: Mapping[str, Any] | None = None
    ) -> Report:
        """Stop showing, print the end, return it. Raises what went wrong in the ticker."""
        totals, findings = self._state.snapshot(), self._state.findings()
        install = _how_to_get(findings.extras) if findings.extras else ""
        report = Report(totals, findings, exit_code, error, would, install, self._ended_because)
        try:
            self._ticker.close()
        finally:
            self._printer.finish(report)
        return report

    def view(self) -> View:
        """Return the run at this moment; between `start` and `finish` for the ticker's thread."""
        now = self._state.snapshot()
        self._window.add(
            now.elapsed_s, Sample(now.jobs_done, now.images, now.bytes_read, now.pixels)
        )
        eta_s = None if now.walking else self._window.eta_s(now.jobs)
        return View(now, self._window.rates(), eta_s, tuple(self._workers()))

    def _tick(self, asked: bool) -> None:  # noqa: FBT001 - the ticker's one argument
        self._printer.tick(self.view(), asked=asked)


def _how_to_get(extras: Iterable[str]) -> str:
    from pregen.installation import install_command  # noqa: PLC0415 - seldom needed, and takes 20 ms

    return install_command(extras)
