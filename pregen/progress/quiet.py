"""`--quiet`: nothing at all when all went well; else which files failed, why, and what to do."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pregen.progress.lines import status_line
from pregen.progress.summary import failure_lines, plain_text

if TYPE_CHECKING:
    from pregen.model import Outcome, Skip
    from pregen.progress.base import Report, View
    from pregen.progress.output import Output


class QuietPrinter:
    """Writes failures to standard error, at the end. Made for cron, which mails what is written."""

    interval_s: float | None = None

    def __init__(self, output: Output) -> None:
        self._output = output

    @property
    def verbose(self) -> bool:
        """Whether every source is shown."""
        return False

    def start(self) -> None:
        """Nothing."""

    def outcome(self, outcome: Outcome) -> None:
        """Nothing: failures are told together, at the end."""

    def skip(self, skip: Skip) -> None:
        """Nothing."""

    def warning(self, message: str) -> None:
        """Nothing: a warning is no error."""

    def note(self, message: str) -> None:
        """Nothing."""

    def tick(self, view: View, *, asked: bool) -> None:
        """Answer a person who asked with SIGUSR1."""
        if asked:
            self._output.write(f"{status_line(view)}\n")

    def finish(self, report: Report) -> None:
        """Write the failures, if there are any."""
        self._output.write(plain_text(failure_lines(report)))
