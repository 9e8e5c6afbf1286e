"""Plain lines, without colours and escapes: for pipes, for cron (`--quiet`), for `--log`.

What a run says while it works goes to standard error. Its summary goes to standard output when
that is not a terminal (`pregen run ~/Pictures > summary.txt`); warnings stay on standard error.
"""

from __future__ import annotations

import time
from datetime import datetime
from typing import TYPE_CHECKING, Final, TextIO, cast

from pregen.display.printer import Output, Printer
from pregen.display.summary import failure_lines, plain_text, summary, warning_lines, wrapped
from pregen.display.text import printable
from pregen.display.words import outcome_line, status_line
from pregen.model import FAILURES

if TYPE_CHECKING:
    from pregen.display.printer import RunReport, View
    from pregen.model import Outcome, Skip


#: What an overnight run writes to a file stays readable: 720 lines in an hour.
INTERVAL_S: Final = 5.0
#: Sixty lines an hour and the failures: the log of an ordinary night is 50 KB.
LOG_INTERVAL_S: Final = 60.0
#: A night in which everything fails, and some more to look back.
_MOST_BYTES: Final = 10_000_000
_KEPT: Final = 4


class PlainPrinter(Printer):
    """Writes a line every few seconds, and the summary; one for every outcome when `verbose`.

    Args:
        output: writes to standard error, or into a log.
        verbose: write a line for every source.
        results: where the summary goes; None: to `output`, too.
    """

    interval_s: float | None = INTERVAL_S

    def __init__(
        self, output: Output, *, verbose: bool = False, results: Output | None = None
    ) -> None:
        super().__init__(verbose=verbose)
        self._output = output
        self._results = results

    def outcome(self, outcome: Outcome | Skip) -> None:
        """Write a line when verbose."""
        if self.verbose:
            self._line(outcome_line(outcome))

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
        if self._results is None:
            self._output.write(plain_text(summary(report)))
            return
        # both may lead to one file, in which the verdict comes last
        self._output.write(plain_text(warning_lines(report)))
        if not wrote_results(self._results, report):
            self._output.write(plain_text(summary(report, warnings=False)))

    def _line(self, text: str) -> None:
        self._output.write(f"{text}\n")


def wrote_results(results: Output, report: RunReport) -> bool:
    """Write the summary without its warnings; False: it could not be written there."""
    results.write(plain_text(summary(report, warnings=False)))
    return not results.broken


class QuietPrinter(Printer):
    """Writes which files failed, why, and what to do, at the end; nothing when all went well.

    Made for cron, which mails what is written.

    Args:
        output: writes to standard error.
        columns: how wide the terminal is; 0: there is none.
    """

    def __init__(self, output: Output, columns: int = 0) -> None:
        super().__init__()
        self._output = output
        self._columns = columns

    def tick(self, view: View, *, asked: bool) -> None:
        """Answer a person who asked with SIGUSR1."""
        if asked:
            self._output.write(f"{status_line(view)}\n")

    def finish(self, report: RunReport) -> None:
        """Write the failures, if there are any."""
        lines = failure_lines(report)
        self._output.write(plain_text(wrapped(lines, self._columns) if self._columns else lines))


class LogStream:
    """A stream of text into a file that is put aside when it has grown, four times at most.

    Raises:
        OSError: the file cannot be opened.
    """

    def __init__(self, path: str) -> None:
        from logging import makeLogRecord  # noqa: PLC0415 - takes long, seldom needed
        from logging.handlers import RotatingFileHandler  # noqa: PLC0415 - likewise

        self._handler = RotatingFileHandler(
            path,
            maxBytes=_MOST_BYTES,
            backupCount=_KEPT,
            encoding="utf-8",
            errors="backslashreplace",
        )
        self._record = makeLogRecord({})

    def write(self, text: str) -> None:
        """Write whole lines, each with the time before it."""
        stamp = f"{datetime.now().astimezone():%Y-%m-%d %H:%M:%S}"
        lines = "".join(f"{stamp}  {line}\n" for line in text.splitlines() if line)
        if lines:
            self._record.msg = lines
            if self._handler.shouldRollover(self._record):
                self._handler.doRollover()
            if self._handler.stream is not None:
                self._handler.stream.write(lines)

    def flush(self) -> None:
        """Hand over to the system."""
        if self._handler.stream is not None:
            self._handler.flush()

    def close(self) -> None:
        """Close the file."""
        self._handler.close()


class LoggedPrinter(PlainPrinter):
    """Shows a run with another printer, and writes a log of it, with what failed."""

    def __init__(self, shown: Printer, stream: LogStream) -> None:
        super().__init__(Output(cast("TextIO", stream)), verbose=shown.verbose)
        self._shown = shown
        self._stream = stream
        self._due_s = time.monotonic() + LOG_INTERVAL_S
        # That of what is shown; for a printer without one, that of the log.
        self.interval_s = LOG_INTERVAL_S if shown.interval_s is None else shown.interval_s

    def start(self) -> None:
        """Begin both."""
        self._shown.start()
        self._line("begins")

    def outcome(self, outcome: Outcome | Skip) -> None:
        """Show it; log what failed, or all when verbose."""
        self._shown.outcome(outcome)
        if self.verbose or outcome.kind in FAILURES:
            self._line(outcome_line(outcome))

    def warning(self, message: str) -> None:
        """Show and log it."""
        self._shown.warning(message)
        self._line(f"warning: {printable(message)}")

    def note(self, message: str) -> None:
        """Show and log it."""
        self._shown.note(message)
        super().note(message)

    def tick(self, view: View, *, asked: bool) -> None:
        """Show it when the shown printer wants that; log it once a minute."""
        if asked or self._shown.interval_s is not None:
            self._shown.tick(view, asked=asked)
        now_s = time.monotonic()
        if now_s >= self._due_s:
            self._due_s = now_s + LOG_INTERVAL_S
            super().tick(view, asked=False)

    def finish(self, report: RunReport) -> None:
        """Show and log the end."""
        try:
            self._shown.finish(report)
        finally:
            super().finish(report)
            self._stream.close()
