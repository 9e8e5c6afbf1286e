"""The seam between a run and what shows it: one printer, told facts, driven by a ticker."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pregen.errors import ExitCode
    from pregen.model import Outcome, Skip, WorkerView
    from pregen.progress.rate import Rates
    from pregen.progress.state import Findings, Snapshot


class View(NamedTuple):
    """The run at one moment."""

    now: Snapshot
    rates: Rates
    eta_s: float | None
    """None: cannot be said yet (the walk goes on, or too little was done)."""
    workers: tuple[WorkerView, ...]


@dataclass(frozen=True, slots=True)
class Report:
    """How a run ended, and all it counted."""

    totals: Snapshot
    findings: Findings
    exit_code: ExitCode
    error: str = ""
    """Why the run ended before its time; empty when it did not."""
    would: Mapping[str, Any] | None = None
    """A dry run: what a run would do (`forecast.forecast_record`)."""
    install: str = ""
    """The command that gets the extras some sources wait for; empty when none does."""
    ended_because: str = ""
    """Why the run ended before it was done, as it was asked to; empty when it was done."""


class Printer(Protocol):
    """Shows a run.

    `outcome` comes from the run's thread, `skip` from the feed's, `tick` from the ticker's, all
    between `start` and `finish`; `note` and `warning` from any.
    """

    @property
    def interval_s(self) -> float | None:
        """Seconds between two ticks; None: tick only when asked."""
        ...

    @property
    def verbose(self) -> bool:
        """Whether every source is shown, those that need nothing as well."""
        ...

    def start(self) -> None:
        """Begin to show."""
        ...

    def outcome(self, outcome: Outcome) -> None:
        """A job ended."""
        ...

    def skip(self, skip: Skip) -> None:
        """A source needs no job."""
        ...

    def warning(self, message: str) -> None:
        """Something is wrong that does not end the run."""
        ...

    def note(self, message: str) -> None:
        """A person should know this now."""
        ...

    def tick(self, view: View, *, asked: bool) -> None:
        """Show how far the run is; `asked` by a person who wants to see a line (SIGUSR1)."""
        ...

    def finish(self, report: Report) -> None:
        """Stop showing and print the end. Called once, also when `start` never was."""
        ...
