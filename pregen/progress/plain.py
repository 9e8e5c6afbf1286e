"""For logs and pipes: a line every few seconds, and the summary. No colours, no escapes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pregen.progress.lines import outcome_line, skip_line, status_line
from pregen.progress.summary import plain_text, summary
from pregen.progress.text import printable

if TYPE_CHECKING:
    from pregen.model import Outcome, Skip
    from pregen.progress.base import Report, View
    from pregen.progress.output import Output

#: A log of an overnight run stays readable: 720 lines in an hour.
INTERVAL_S = 5.0


class PlainPrinter:
    """Writes lines to standard error; one for every outcome when `verbose`."""

    interval_s: float | None = INTERVAL_S

    def __init__(self, output: Output, *, verbose: bool = False) -> None:
        self._output = output
        self._verbose = verbose

    @property
    def verbose(self) -> bool:
        """Whether every source is shown."""
        return self._verbose

    def start(self) -> None:
        """Nothing is shown before there is something to say."""

    def outcome(self, outcome: Outcome) -> None:
        """Write a line when verbose."""
        if self._verbose:
            self._line(outcome_line(outcome))

    def skip(self, skip: Skip) -> None:
        """Write a line when verbose."""
        if self._verbose:
            self._line(skip_line(skip))

    def warning(self, message: str) -> None:
        """Write it now when verbose; the summary tells it anyway."""
        if self._verbose:
            self._line(f"warning: {printable(message)}")

    def note(self, message: str) -> None:
        """Write a line."""
        self._line(printable(message))

    def tick(self, view: View, *, asked: bool) -> None:  # noqa: ARG002 - asked or not, one line
        """Write how far the run is."""
        self._line(status_line(view))

    def finish(self, report: Report) -> None:
        """Write the summary."""
        self._output.write(plain_text(summary(report)))

    def _line(self, text: str) -> None:
        self._output.write(f"{text}\n")
