"""`--json`: one object per line on standard output, for programs. See `records` for the keys."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from pregen.display.printer import Printer
from pregen.display.records import (
    Record,
    line,
    outcome_record,
    progress_record,
    skip_record,
    summary_record,
    warning_record,
)
from pregen.display.text import printable
from pregen.model import FAILURES, Outcome, Skip

if TYPE_CHECKING:
    from pregen.display.output import Output
    from pregen.display.printer import RunReport, View

#: Often enough for a program that draws a bar; a thousand lines in 20 minutes.
INTERVAL_S = 1.0
#: A system call for each of a thousand records a second would cost more than the records.
_FLUSH_S = 0.1


class JsonPrinter(Printer):
    """Writes records; sources that need no job only when `verbose`, as they may be millions."""

    interval_s: float | None = INTERVAL_S

    def __init__(self, output: Output, people: Output, *, verbose: bool = False) -> None:
        super().__init__(verbose=verbose)
        self._output = output
        self._people = people
        self._flushed_s = time.monotonic()

    def outcome(self, outcome: Outcome) -> None:
        """Write what became of a job."""
        self._write_soon(outcome_record(outcome))

    def skip(self, skip: Skip) -> None:
        """Write what became of a source without a job: always when it failed."""
        if self.verbose or skip.kind in FAILURES:
            self._write_soon(skip_record(skip))

    def warning(self, message: str) -> None:
        """Write a warning."""
        self._write(warning_record(message))

    def note(self, message: str) -> None:
        """Tell people, who may sit before a pipe."""
        self._people.write(f"{printable(message)}\n")

    def tick(self, view: View, *, asked: bool) -> None:  # noqa: ARG002 - asked or not, one record
        """Write how far the run is."""
        self._write(progress_record(view))

    def finish(self, report: RunReport) -> None:
        """Write the summary."""
        self._write(summary_record(report))

    def _write_soon(self, record: Record) -> None:
        """Write one of many: what is not flushed here the next tick flushes."""
        now_s = time.monotonic()
        due = now_s - self._flushed_s >= _FLUSH_S
        if due:
            self._flushed_s = now_s
        self._output.write(line(record), flush=due)

    def _write(self, record: Record) -> None:
        self._output.write(line(record))
