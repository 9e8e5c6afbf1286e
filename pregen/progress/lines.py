"""Single lines for people: how far a run is, what became of one source. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pregen.progress import units
from pregen.progress.text import printable, shown
from pregen.progress.words import label

if TYPE_CHECKING:
    from pregen.model import Outcome, Skip
    from pregen.progress.base import View

#: Width of the longest label ("needs an extra"), so that paths stand in one column.
_LABEL_WIDTH = 14


def status_line(view: View) -> str:
    """Return one line that tells how far the run is, how fast, and how long it will take."""
    now = view.now
    if now.walking:
        place = (
            f"walking, {units.plural(now.found, 'file')} so far; {units.count(now.jobs_done)} done"
        )
    else:
        share = f" ({100 * now.jobs_done // now.jobs} %)" if now.jobs else ""
        place = f"{units.count(now.jobs_done)} / {units.count(now.jobs)}{share}"
    parts = [place]
    if view.rates.done_per_s:
        parts.append(rates_text(view))
    if now.failed:
        parts.append(f"{units.count(now.failed)} failed")
    if view.eta_s is not None:
        parts.append(f"about {units.about(max(view.eta_s, 1))} left")
    return "; ".join(parts)


def rates_text(view: View) -> str:
    """Return images/s, MB/s read and Mpx/s of the last seconds."""
    rates = view.rates
    return (
        f"{units.number(rates.images_per_s)} images/s, "
        f"{units.size(rates.bytes_per_s)}/s read, "
        f"{units.megapixels(rates.pixels_per_s)}/s"
    )


def outcome_line(outcome: Outcome) -> str:
    """Return what became of one job, for `-v`."""
    facts = []
    if outcome.loader:
        facts.append(outcome.loader)
    if outcome.width_px:
        facts.append(f"{outcome.width_px}x{outcome.height_px}")
    if outcome.entries_written:
        facts.append(units.plural(outcome.entries_written, "entry", "entries"))
    if outcome.stages.total_ns:
        facts.append(units.duration(outcome.stages.total_ns / 1e9))
    told = f" ({', '.join(facts)})" if facts else ""
    return _line(label(outcome.kind), outcome.path, told, outcome.message)


def skip_line(skip: Skip) -> str:
    """Return what became of one source without a job, for `-v`."""
    return _line(label(skip.kind), skip.path, "", skip.message)


def _line(word: str, path: bytes, told: str, message: str) -> str:
    said = f": {printable(message)}" if message else ""
    return f"{word:<{_LABEL_WIDTH}} {shown(path)}{told}{said}"
