"""What the live display says, for a given width and height: a view in, lines of text out.

Names go into `Text` objects, never into markup. What does not fit is left out by importance. What
the run takes from the machine is measured here, too, of the processes that are named.
"""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, NamedTuple

import psutil
from rich.text import Text

from pregen.display import text
from pregen.display.text import cells, printable, shorten, shown
from pregen.display.words import WORDS, label, rate_texts, reading_texts
from pregen.model import FAILURES, Kind, WorkerView

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from pregen.display.printer import View


_DONE = (Kind.MADE, Kind.REFITTED, Kind.REUSED, Kind.TIDIED)
#: A worker this long at one file is looked at first, and shown in another colour.
_LONG_S = 3.0
#: More rows than this say nothing more.
_MAX_WORKER_ROWS = 16
_MIN_BAR = 8
#: The kernel counts processor time in ticks of 10 ms: over less than this the share jumps.
_MIN_SPAN_S = 0.9


class Glyphs(NamedTuple):
    """The characters of the display beyond letters."""

    done: str
    half: str
    rest: str
    dot: str


UNICODE = Glyphs("━", "╸", "━", " · ")
ASCII = Glyphs("#", "-", "-", " | ")


def screen(
    view: View, load: Load, cores: int, width: int, height: int, glyphs: Glyphs = UNICODE
) -> list[Text]:
    """Return the lines of the display: at most `height`, each at most `width` columns."""
    head = [
        _progress_line(view, width, glyphs),
        _joined(_speed_parts(view, load, cores), width, glyphs),
        _joined(_count_parts(view), width, glyphs),
    ]
    head = [line for line in head if line.plain.strip()][: max(height, 1)]
    room = height - len(head)
    rows = _worker_rows(view.workers, width, min(room, _MAX_WORKER_ROWS)) if room > 0 else []
    return head + rows


def _progress_line(view: View, width: int, glyphs: Glyphs) -> Text:
    now = view.now
    if now.walking:
        right = f"searching ... {text.plural(now.found, 'file')} found"
        share = None
    else:
        done, jobs = text.count(now.jobs_done), text.count(now.jobs)
        share = now.jobs_done / now.jobs if now.jobs else 1.0
        right = f"{int(100 * share):3d}%  {done} / {jobs}"
        if view.eta_s is not None and now.jobs_done < now.jobs:
            right += f"  {text.about(max(view.eta_s, 1))} left"
    line = Text(no_wrap=True)
    bar = width - cells(right) - 2
    if bar >= _MIN_BAR:
        line.append_text(_bar(share, now.elapsed_s, bar, glyphs)).append("  ")
    return line.append(shorten(right, width), "bold")


def _bar(share: float | None, elapsed_s: float, width: int, glyphs: Glyphs) -> Text:
    """Return a bar; without a share, a piece that runs along to show that there is life."""
    bar = Text(no_wrap=True)
    if share is None:
        piece = max(width // 5, 1)
        start = int(elapsed_s * 10) % (width + piece) - piece
        left, right = max(start, 0), min(start + piece, width)
        bar.append(glyphs.rest * left, "bright_black")
        bar.append(glyphs.done * (right - left), "cyan")
        return bar.append(glyphs.rest * (width - right), "bright_black")
    halves = int(2 * width * min(share, 1.0))
    bar.append(glyphs.done * (halves // 2), "green")
    bar.append(glyphs.half * (halves % 2), "green")
    return bar.append(glyphs.rest * (width - (halves + 1) // 2), "bright_black")


def _speed_parts(view: View, load: Load, cores: int) -> list[Text]:
    rates = view.rates
    parts = []
    if rates.done_per_s:
        parts = list(map(Text, rate_texts(rates), ("bold cyan", "cyan", "cyan")))
        parts += [Text(each, "yellow") for each in reading_texts(view.now, rates)]
    parts.append(Text(text.clock(view.now.elapsed_s)))
    if load.memory_bytes:
        parts.append(Text(f"{load.cores:.1f} of {text.plural(cores, 'core')}", "dim"))
        parts.append(Text(text.size(load.memory_bytes), "dim"))
    return parts


def _count_parts(view: View) -> list[Text]:
    """Return the counts: what was done, then what failed (it must not fall off), then the rest."""
    now = view.now
    done = [kind for kind in _DONE if now.count(kind)]
    rest = [kind for kind in WORDS if kind not in {*done, *FAILURES} and now.count(kind)]
    parts = [Text(f"{text.count(now.count(kind))} {label(kind)}", "green") for kind in done]
    if now.failed:
        parts.append(Text(f"{text.count(now.failed)} failed", "bold red"))
    return parts + [
        Text(
            f"{text.count(now.count(kind))} {label(kind)}",
            "yellow" if kind is Kind.NEEDS_EXTRA else "dim",
        )
        for kind in rest
    ]


def _joined(parts: Sequence[Text], width: int, glyphs: Glyphs) -> Text:
    """Return as many of `parts` as fit, from the first."""
    line = Text(no_wrap=True)
    for part in parts:
        gap = glyphs.dot if line.plain else ""
        if line.cell_len + len(gap) + part.cell_len > width:
            break
        line.append(gap, "bright_black").append_text(part)
    return line


def _worker_rows(workers: Sequence[WorkerView], width: int, room: int) -> list[Text]:
    """Return a row per worker; when there are too many, those that hang at a file come first."""
    if len(workers) <= room:
        return [_worker_row(index, worker, width) for index, worker in enumerate(workers, 1)]
    numbered = list(enumerate(workers, 1))
    numbered.sort(key=lambda each: each[1].busy_s < _LONG_S)
    chosen = sorted(numbered[: room - 1], key=lambda each: each[0])
    rows = [_worker_row(index, worker, width) for index, worker in chosen]
    hidden = text.plural(len(workers) - len(rows), "more worker")
    return [*rows, Text(shorten(f"    + {hidden}", width), "dim", no_wrap=True)]


def _worker_row(index: int, worker: WorkerView, width: int) -> Text:
    row = Text(f"{index:3d} "[:width], "bright_black", no_wrap=True)
    if worker.path is None:
        return row.append(shorten("idle", width - row.cell_len), "dim")
    took = f"  {text.about(worker.busy_s)}" if worker.busy_s >= 1 else ""
    name = shorten(printable(shown(worker.path)), width - row.cell_len - len(took))
    row.append(name, "yellow" if worker.busy_s >= _LONG_S else "")
    return row.append(shorten(took, width - row.cell_len), "dim")


class Load(NamedTuple):
    """What some processes take together."""

    cores: float
    """Processor seconds per second."""
    memory_bytes: int
    """Resident; pages that processes share count once for each."""


#: Before there is something to compare with.
NOTHING = Load(0.0, 0)


class LoadMeter:
    """Measures the load of processes between two calls, at most about once a second."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._processes: dict[int, psutil.Process] = {}
        self._spent_s: dict[int, float] = {}
        self._measured_s = clock()
        self._load = NOTHING

    def load(self, pids: Iterable[int]) -> Load:
        """Return the load of the processes `pids` and of this one."""
        now_s = self._clock()
        span_s = now_s - self._measured_s
        if span_s >= _MIN_SPAN_S:
            self._load = self._measure({os.getpid(), *pids}, span_s)
            self._measured_s = now_s
        return self._load

    def _measure(self, pids: set[int], span_s: float) -> Load:
        spent_s, memory_bytes, added_s = {}, 0, 0.0
        for pid in pids:
            try:
                process = self._processes.get(pid) or psutil.Process(pid)
                with process.oneshot():
                    times = process.cpu_times()
                    memory_bytes += process.memory_info().rss
            except psutil.Error:  # it ended: what it spent since the last call is not counted
                continue
            self._processes[pid] = process
            spent_s[pid] = times.user + times.system
            added_s += max(spent_s[pid] - self._spent_s.get(pid, spent_s[pid]), 0.0)
        first = not self._spent_s
        self._processes = {pid: self._processes[pid] for pid in spent_s}
        self._spent_s = spent_s
        return NOTHING if first else Load(added_s / span_s, memory_bytes)
