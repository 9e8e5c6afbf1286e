"""For logs and pipes: a line every few seconds, and the summary. No colours, no escapes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pregen.display.printer import Printer
from pregen.display.summary import failure_lines, plain_text, summary
from pregen.display.text import printable
from pregen.display.words import outcome_line, skip_line, status_line

if TYPE_CHECKING:
    from pregen.display.output import Output
    from pregen.display.printer import RunReport, View
    from pregen.model import Outcome, Skip


#: A log of an overnight run stays readable: 720 lines in an hour.
INTERVAL_S = 5.0


class PlainPrinter(Printer):
    """Writes lines to standard error; one for every outcome when `verbose`."""

    interval_s: float | None = INTERVAL_S

    def __init__(self, output: Output, *, verbose: bool = False) -> None:
        super().__init__(verbose=verbose)
        self._output = output

    def outcome(self, outcome: Outcome) -> None:
        """Write a line when verbose."""
        if self.verbose:
            self._line(outcome_line(outcome))

    def skip(self, skip: Skip) -> None:
        """Write a line when verbose."""
        if self.verbose:
            self._line(skip_line(skip))

    def warning(self, message: str) -> None:
        """Write it now when verbose; the summary tells it anyway."""
        if self.verbose:
            self._line(f"warning: {printable(message)}")

    def note(self, message: str) -> None:
        """Write a line."""
        self._line(printable(message))

    def tick(self, view: View, *, asked: bool) -> None:  # noqa: ARG002 - asked or not, one line
        """Write how far the run is."""
        self._line(status_line(view))

    def finish(self, report: RunReport) -> None:
        """Write the summary."""
        self._output.write(plain_text(summary(report)))

    def _line(self, text: str) -> None:
        self._output.write(f"{text}\n")


# --- `--quiet`: nothing at all when all went well; else which files failed, why, and what to do


class QuietPrinter(Printer):
    """Writes failures to standard error, at the end. Made for cron, which mails what is written."""

    def __init__(self, output: Output) -> None:
        super().__init__()
        self._output = output

    def tick(self, view: View, *, asked: bool) -> None:
        """Answer a person who asked with SIGUSR1."""
        if asked:
            self._output.write(f"{status_line(view)}\n")

    def finish(self, report: RunReport) -> None:
        """Write the failures, if there are any."""
        self._output.write(plain_text(failure_lines(report)))
