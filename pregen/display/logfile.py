"""`--log`: what a run says, with times, into a file that is rotated; beside whatever is shown."""

from __future__ import annotations

import io
import time
from datetime import datetime
from logging import LogRecord
from logging.handlers import RotatingFileHandler
from typing import TYPE_CHECKING, Final, TextIO, cast

from pregen.display.output import Output
from pregen.display.plain import PlainPrinter
from pregen.display.printer import Printer
from pregen.display.words import outcome_line, skip_line
from pregen.model import FAILURES

if TYPE_CHECKING:
    from pregen.display.printer import RunReport, View
    from pregen.model import Outcome, Skip

#: Sixty lines an hour and the failures: an ordinary night is 50 KB.
INTERVAL_S: Final = 60.0
#: A night in which everything fails, and some more to look back.
_MOST_BYTES: Final = 10_000_000
_KEPT: Final = 4


class LogStream(io.TextIOBase):
    """A text stream into a file that is put aside when it has grown, four times at most.

    Raises:
        OSError: the file cannot be opened.
    """

    def __init__(self, path: str) -> None:
        self._handler = RotatingFileHandler(
            path,
            maxBytes=_MOST_BYTES,
            backupCount=_KEPT,
            encoding="utf-8",
            errors="backslashreplace",
        )
        self._handler.terminator = ""

    def write(self, text: str, /) -> int:
        """Write whole lines, each with the time before it."""
        stamp = f"{datetime.now().astimezone():%Y-%m-%d %H:%M:%S}"
        lines = "".join(f"{stamp}  {line}\n" for line in text.splitlines() if line)
        if lines:
            record = LogRecord("pregen", 0, "", 0, lines, None, None)
            if self._handler.shouldRollover(record):
                self._handler.doRollover()
            if self._handler.stream is not None:
                self._handler.stream.write(lines)
        return len(text)

    def flush(self) -> None:
        """Hand over to the system."""
        if self._handler.stream is not None:
            self._handler.flush()

    def close(self) -> None:
        """Close the file."""
        self._handler.close()
        super().close()


class TeePrinter(Printer):
    """Shows a run with one printer, and writes a log of it."""

    def __init__(self, shown: Printer, stream: LogStream) -> None:
        super().__init__(verbose=shown.verbose)
        self._shown = shown
        self._stream = stream
        self._output = Output(cast("TextIO", stream))
        self._log = PlainPrinter(self._output)
        self._due_s = time.monotonic() + INTERVAL_S
        self._shows_ticks = shown.interval_s is not None
        # That of what is shown; for a printer without one, that of the log.
        self.interval_s = shown.interval_s if self._shows_ticks else INTERVAL_S

    def start(self) -> None:
        """Begin both."""
        self._shown.start()
        self._output.write("begins\n")

    def outcome(self, outcome: Outcome) -> None:
        """Show it; log what failed, or all when verbose."""
        self._shown.outcome(outcome)
        if self.verbose or outcome.kind in FAILURES:
            self._output.write(f"{outcome_line(outcome)}\n")

    def skip(self, skip: Skip) -> None:
        """Show it; log what failed, or all when verbose."""
        self._shown.skip(skip)
        if self.verbose or skip.kind in FAILURES:
            self._output.write(f"{skip_line(skip)}\n")

    def warning(self, message: str) -> None:
        """Show and log it."""
        self._shown.warning(message)
        self._log.note(f"warning: {message}")

    def note(self, message: str) -> None:
        """Show and log it."""
        self._shown.note(message)
        self._log.note(message)

    def tick(self, view: View, *, asked: bool) -> None:
        """Show it when the shown printer wants that; log it once a minute."""
        if self._shows_ticks or asked:
            self._shown.tick(view, asked=asked)
        now_s = time.monotonic()
        if now_s >= self._due_s:
            self._due_s = now_s + INTERVAL_S
            self._log.tick(view, asked=False)

    def finish(self, report: RunReport) -> None:
        """Show and log the end."""
        try:
            self._shown.finish(report)
        finally:
            self._log.finish(report)
            self._stream.close()
