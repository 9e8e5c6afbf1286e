"""What a run would do: `--dry-run` adds up jobs instead of doing them. Pure.

Whether a file is a picture, and how large, is only known when it is opened, which a dry run does
not do: the numbers are what can be needed at most.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pregen.display import text
from pregen.display.summary import Line, Style, count_lines, failure_lines
from pregen.model import Action, Flavor, Kind

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from pregen.display.printer import RunReport
    from pregen.journal import RecordedRun
    from pregen.model import Job


@dataclass(frozen=True, slots=True)
class Experience:
    """What earlier runs tell about the next one."""

    images_per_s: float | None = None
    """None: there was no run to learn from."""


#: A month of nightly runs.
RUNS_TO_LEARN_FROM = 30
#: In a smaller run, starting took longer than working.
_ENOUGH_IMAGES = 50


def experience_of(runs: Iterable[RecordedRun]) -> Experience:
    """Return what the newest run that made enough entries tells; `runs` come newest first."""
    for run in runs:
        images = run.counts.get(Kind.MADE.value, 0)
        if images >= _ENOUGH_IMAGES and run.wall_ns:
            return Experience(images / (run.wall_ns / 1e9))
    return Experience()


class Forecast:
    """Counts what jobs would do."""

    def __init__(self) -> None:
        self.sources = 0
        """Files to be decoded."""
        self.bytes_to_read = 0
        self.entries: Counter[Flavor] = Counter()
        """Entries to be made."""
        self.refits = 0
        self.removals = 0

    def add(self, job: Job) -> None:
        """Count one job."""
        actions = Counter(step.action for step in job.steps)
        if actions[Action.MAKE]:
            self.sources += 1
            self.bytes_to_read += job.size_bytes
            self.entries.update(step.flavor for step in job.steps if step.action is Action.MAKE)
        self.refits += actions[Action.REFIT]
        self.removals += actions[Action.DELETE]

    @property
    def bytes_to_write(self) -> int:
        """Disk space of the entries to be made, about."""
        return sum(_ENTRY_BYTES[flavor] * number for flavor, number in self.entries.items())


#: Mean size of the entries of the corpus' camera pictures.
_ENTRY_BYTES: Mapping[Flavor, int] = {
    Flavor.NORMAL: 27_000,
    Flavor.LARGE: 101_000,
    Flavor.X_LARGE: 379_000,
    Flavor.XX_LARGE: 1_394_000,
}


def forecast_lines(forecast: Forecast, experience: Experience, report: RunReport) -> list[Line]:
    """Return what a dry run tells a person."""
    lines = [Line("Nothing was written. A run would:", Style.HEAD), *_deeds(forecast)]
    counts = list(count_lines(report.totals, not_begun=0))
    if counts:
        lines += [Line(), Line("Nothing is to be done for:", Style.HEAD), *counts]
    failures = list(failure_lines(report))
    if failures:
        lines += [Line(), *failures]
    if forecast.sources:
        lines += [Line(), _duration_line(forecast, experience)]
    return lines


def _deeds(forecast: Forecast) -> list[Line]:
    made = sum(forecast.entries.values())
    lines = []
    if forecast.sources:
        files = text.plural(forecast.sources, "file")
        entries = text.plural(made, "entry", "entries")
        lines += [
            Line(f"  decode at most {files}, {text.size(forecast.bytes_to_read)} to read"),
            Line(f"  write at most {entries}, about {text.size(forecast.bytes_to_write)}"),
        ]
    if forecast.refits:
        entries = text.plural(forecast.refits, "entry", "entries")
        lines.append(Line(f"  rewrite the text of {entries}, decoding nothing"))
    if forecast.removals:
        entries = text.plural(forecast.removals, "stale entry", "stale entries")
        lines.append(Line(f"  remove {entries} of other flavors"))
    return lines or [Line("  do nothing", Style.GOOD)]


def _duration_line(forecast: Forecast, experience: Experience) -> Line:
    if not experience.images_per_s:
        return Line("How long it would take is unknown: there was no run to learn from.", Style.DIM)
    took = text.about(forecast.sources / experience.images_per_s)
    speed = text.number(experience.images_per_s)
    return Line(f"It would take about {took}, as fast as the last run ({speed} images/s).")


def forecast_record(forecast: Forecast, experience: Experience) -> dict[str, Any]:
    """Return the forecast for `--json`, as the `would` of the summary."""
    rate = experience.images_per_s
    return {
        "decode": forecast.sources,
        "bytes_to_read": forecast.bytes_to_read,
        "entries": {flavor.directory: number for flavor, number in forecast.entries.items()},
        "bytes_to_write": forecast.bytes_to_write,
        "refit": forecast.refits,
        "remove": forecast.removals,
        "seconds": round(forecast.sources / rate, 1) if rate else None,
    }
