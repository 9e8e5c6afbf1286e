"""The seam between a run and what shows it: one printer, told facts, driven by a ticker."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pregen.display.state import Findings, Snapshot
    from pregen.errors import ExitCode
    from pregen.model import Outcome, Skip, WorkerView


class View(NamedTuple):
    """The run at one moment."""

    now: Snapshot
    rates: Rates
    eta_s: float | None
    """None: cannot be said yet (the walk goes on, or too little was done)."""
    workers: tuple[WorkerView, ...]


@dataclass(frozen=True, slots=True)
class RunReport:
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


class Printer:
    """Shows a run; this one shows nothing. Others override what they show.

    `outcome` comes from the run's thread, `skip` from the feed's, `tick` from the ticker's, all
    between `start` and `finish`; `note` and `warning` from any.

    Args:
        verbose: Every source is shown, those that need nothing as well.
    """

    interval_s: float | None = None
    """Seconds between two ticks; None: tick only when asked."""

    def __init__(self, *, verbose: bool = False) -> None:
        self.verbose = verbose

    def start(self) -> None:
        """Begin to show."""

    def outcome(self, outcome: Outcome) -> None:
        """A job ended."""

    def skip(self, skip: Skip) -> None:
        """A source needs no job."""

    def warning(self, message: str) -> None:
        """Something is wrong that does not end the run."""

    def note(self, message: str) -> None:
        """A person should know this now."""

    def tick(self, view: View, *, asked: bool) -> None:
        """Show how far the run is; `asked` by a person who wants to see a line (SIGUSR1)."""

    def finish(self, report: RunReport) -> None:
        """Stop showing and print the end. Called once, also when `start` never was."""


# --- How fast it goes now, and how long it will take. Pure: the caller brings the time
#
# A mean since the start lies for hours after a slow folder; a mean over a second jumps. So: a
# window of the last seconds.


#: Long enough to even out one slow 100 Mpx file among 64 fast ones, short enough to show within
#: half a minute that the walk came to a slower folder or a colder cache.
WINDOW_S = 20.0
#: A network share serves in bursts of about a second; a rate over less is noise.
MIN_SPAN_S = 1.0
#: Samples closer than this add nothing to a window of 20 s, only memory.
_SPACING_S = 0.5
#: An estimate from fewer finished jobs is a guess.
_MIN_DONE = 3


class RatePoint(NamedTuple):
    """Totals since the start of the run."""

    done: int
    images: int
    bytes_read: int
    pixels: int


class Rates(NamedTuple):
    """What happens in one second, by the window."""

    done_per_s: float = 0.0
    """Jobs that ended, whatever became of them: what the ETA needs."""
    images_per_s: float = 0.0
    """Sources that got their entries."""
    bytes_per_s: float = 0.0
    pixels_per_s: float = 0.0


class RateWindow:
    """Rates over the last `WINDOW_S` seconds."""

    def __init__(self, start_s: float) -> None:
        self._samples: deque[tuple[float, RatePoint]] = deque([(start_s, RatePoint(0, 0, 0, 0))])
        self._last: tuple[float, RatePoint] = self._samples[0]

    def add(self, now_s: float, sample: RatePoint) -> None:
        """Note the totals as they are at `now_s`."""
        self._last = (now_s, sample)
        if not sample.done:
            # workers are starting: counted in, that would halve the first minute's rates
            self._samples = deque([self._last])
            return
        if now_s - self._samples[-1][0] >= _SPACING_S:
            self._samples.append(self._last)
        # one sample older than the window stays, so that the window is always full
        while len(self._samples) > 1 and self._samples[1][0] <= now_s - WINDOW_S:
            self._samples.popleft()

    def rates(self) -> Rates:
        """Return the rates between the oldest sample of the window and the latest one."""
        oldest_s, oldest = self._samples[0]
        latest_s, latest = self._last
        span_s = latest_s - oldest_s
        if span_s < MIN_SPAN_S:
            return Rates()
        return Rates(*((new - old) / span_s for new, old in zip(latest, oldest, strict=True)))

    def eta_s(self, jobs: int) -> float | None:
        """Return the seconds until `jobs` jobs are done; None when that cannot be said yet."""
        done = self._last[1].done
        per_s = self.rates().done_per_s
        if done < _MIN_DONE or per_s <= 0:
            return None
        return max(jobs - done, 0) / per_s
