"""The seam between a run and what shows it: one printer, told facts, driven by a ticker."""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING, Any, NamedTuple, TextIO

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from pregen.display.state import Findings, Rates, Snapshot
    from pregen.errors import ExitCode
    from pregen.model import Flavor, Outcome, Skip, WorkerView


class View(NamedTuple):
    """The run at one moment."""

    now: Snapshot
    rates: Rates
    eta_s: float | None
    """None: cannot be said yet (the walk goes on, or too little was done)."""
    workers: tuple[WorkerView, ...]


class RunReport(NamedTuple):
    """How a run ended, and all it counted."""

    totals: Snapshot
    findings: Findings
    exit_code: ExitCode
    error: str = ""
    """Why the run ended before its time; empty when it did not."""
    would: Mapping[str, Any] | None = None
    """A dry run: what a run would do (`summary.forecast_record`)."""
    install: str = ""
    """The command that gets the extras some sources wait for; empty when none does."""
    compile: str = ""
    """The command that makes JPEGs faster; empty when nothing is missing, or it did not matter."""
    ended_because: str = ""
    """Why the run ended before it was done, as it was asked to; empty when it was done."""
    flavors: tuple[Flavor, ...] = ()
    """What it made entries of; empty: it did not come so far."""
    flavors_because: str = ""
    """Why these; empty: the user named them."""
    cache_flag: str = ""
    """What commands need that are to work on the same cache (`session.Session.cache_flag`)."""
    again: str = "--retry-failed"
    """The flag or the command that tries again what failed earlier."""


class Printer:
    """Shows a run; this one shows nothing. Others override what they show.

    `outcome` comes from the run's thread, of a source without a job from the feed's, `tick` from
    the ticker's, all between `start` and `finish`; `note` and `warning` from any.

    Args:
        verbose: Every source is shown, those that need nothing as well.
    """

    interval_s: float | None = None
    """Seconds between two ticks; None: tick only when asked."""

    def __init__(self, *, verbose: bool = False) -> None:
        self.verbose = verbose

    def start(self) -> None:
        """Begin to show."""

    def outcome(self, outcome: Outcome | Skip) -> None:
        """A job ended, or a source needs none."""

    def warning(self, message: str) -> None:
        """Something is wrong that does not end the run."""

    def note(self, message: str) -> None:
        """A person should know this now."""

    def tick(self, view: View, *, asked: bool) -> None:
        """Show how far the run is; `asked` by a person who wants to see a line (SIGUSR1)."""

    def finish(self, report: RunReport) -> None:
        """Stop showing and print the end. Called once, also when `start` never was."""


class Output:
    """Writes whole texts to a stream from any thread, until the first failure.

    A terminal is closed, the reader of a pipe leaves, a disk fills: a run's purpose is the cache,
    not its messages. A failure is remembered, not raised.
    """

    def __init__(
        self, stream: TextIO, on_failure: Callable[[OSError], None] = lambda _error: None
    ) -> None:
        self._stream = stream
        self._on_failure = on_failure
        self._lock = threading.Lock()
        self._broken = False

    @property
    def broken(self) -> bool:
        """Whether a write has failed."""
        return self._broken

    def write(self, text: str, *, flush: bool = True) -> None:
        """Write `text`; do nothing when an earlier write failed."""
        with self._lock:
            if self._broken or not text:
                return
            try:
                self._stream.write(text)
                if flush:
                    self._stream.flush()
            except OSError as error:
                self._broken = True
                self._on_failure(error)


def silence(stream: TextIO) -> None:
    """Make a stream that takes no more lead nowhere.

    What is left in its buffer would raise once more when the interpreter ends.
    """
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, stream.fileno())
    os.close(nowhere)
