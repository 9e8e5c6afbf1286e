"""`--json`: one object per line, for programs. Scripts rely on the keys: add some, never rename.

Every object has `"v": 1` and a `"type"`: `outcome`, `progress`, `warning`, and a last `summary`.
"""

from __future__ import annotations

import base64
import json
import time
from typing import TYPE_CHECKING, Any

from pregen.display.bottleneck import bottleneck, long_enough
from pregen.display.printer import Printer
from pregen.display.text import printable
from pregen.display.words import is_named
from pregen.model import FAILURES, Outcome, Skip, WorkerView

if TYPE_CHECKING:
    from pregen.display.bottleneck import Spent
    from pregen.display.printer import Output, RunReport, View
    from pregen.display.state import Snapshot

VERSION = 1
#: Often enough for a program that draws a bar; a thousand lines in 20 minutes.
INTERVAL_S = 1.0
#: A system call for each of a thousand records a second would cost more than the records.
_FLUSH_S = 0.1

Record = dict[str, Any]


class JsonPrinter(Printer):
    """Writes records; sources that need no job only when `verbose`, as they may be millions."""

    interval_s: float | None = INTERVAL_S

    def __init__(self, output: Output, people: Output, *, verbose: bool = False) -> None:
        super().__init__(verbose=verbose)
        self._output = output
        self._people = people
        self._flushed_s = time.monotonic()

    def outcome(self, outcome: Outcome | Skip) -> None:
        """Write what became of a job; of a source without one when it failed, or when verbose."""
        if self.verbose or isinstance(outcome, Outcome) or outcome.kind in FAILURES:
            self._write_soon(outcome_record(outcome))

    def warning(self, message: str) -> None:
        """Write a warning."""
        self._write(warning_record(message))

    def note(self, message: str) -> None:
        """Tell people, who may sit before a pipe."""
        self._people.write(f"{printable(message)}\n")

    def tick(self, view: View, *, asked: bool) -> None:  # noqa: ARG002 - asked or not, one record
        """Write how far the run is."""
        self._write(progress_record(view))

    def finish(self, report: RunReport) -> None:
        """Write the summary."""
        self._write(summary_record(report))

    def _write_soon(self, record: Record) -> None:
        """Write one of many: what is not flushed here the next tick flushes."""
        now_s = time.monotonic()
        due = now_s - self._flushed_s >= _FLUSH_S
        if due:
            self._flushed_s = now_s
        self._output.write(line(record), flush=due)

    def _write(self, record: Record) -> None:
        self._output.write(line(record))


def line(record: Record) -> str:
    """Return one line of output; ASCII only, so that no locale can spoil it."""
    return json.dumps(record, separators=(",", ":")) + "\n"


def path_fields(path: bytes) -> Record:
    """Return `path`, and `path_b64` with the exact bytes when U+FFFD had to stand for some."""
    try:
        return {"path": path.decode()}
    except UnicodeDecodeError:
        return {
            "path": path.decode("utf-8", "replace"),
            "path_b64": base64.b64encode(path).decode("ascii"),
        }


def outcome_record(outcome: Outcome | Skip) -> Record:
    """Return what became of a source, with or without a job: the same keys."""
    named = is_named(outcome)
    if isinstance(outcome, Skip):
        outcome = outcome.as_outcome()
    return {
        **_head("outcome"),
        **(path_fields(outcome.path) if named else {"path": None}),
        "kind": outcome.kind.value,
        "message": outcome.message,
        "loader": outcome.loader,
        "mime": outcome.mime,
        "width": outcome.width_px,
        "height": outcome.height_px,
        "entries_written": outcome.entries_written,
        "bytes": outcome.bytes_written,
        "bytes_read": outcome.bytes_read,
        "extra": outcome.extra,
        "ns": _stages(outcome.stages._asdict()),
    }


def warning_record(message: str) -> Record:
    """Return something that is wrong but does not end the run."""
    return {**_head("warning"), "message": message}


def progress_record(view: View) -> Record:
    """Return how far the run is. `eta_s` is null as long as it cannot be said."""
    return {
        **_head("progress"),
        **_counters(view.now),
        "walking": view.now.walking,
        "paused": view.now.paused or None,
        "ns": _stages(view.now.stages._asdict()),
        "images_per_s": round(view.rates.images_per_s, 2),
        "bytes_read_per_s": round(view.rates.bytes_per_s),
        "pixels_per_s": round(view.rates.pixels_per_s),
        "share_bytes_read_per_s": round(view.rates.share_bytes_per_s),
        "limit": _limit(view.rates.spent, view.now),
        "eta_s": None if view.eta_s is None else round(view.eta_s, 1),
        "workers": [_worker(worker) for worker in view.workers],
    }


def summary_record(report: RunReport) -> Record:
    """Return the last object of every run, however it ended."""
    totals, findings = report.totals, report.findings
    dry = {} if report.would is None else {"would": report.would}
    return {
        **_head("summary"),
        "exit_code": int(report.exit_code),
        "error": report.error or None,
        "ended_because": report.ended_because or None,
        "flavors": [flavor.directory for flavor in report.flavors],
        "flavors_because": report.flavors_because or None,
        **_counters(totals),
        "failed": totals.failed,
        "ns": _stages(totals.stages._asdict()),
        "limit": _limit(totals.spent, totals) if long_enough(totals.spent) else None,
        "needs_extra": dict(findings.extras),
        "install": report.install or None,
        "unsupported": dict(findings.unsupported),
        "slowest": [
            {**path_fields(slow.path), "seconds": round(slow.seconds, 3)}
            for slow in findings.slowest
        ],
        "warnings": findings.warning_count,
        **dry,
    }


def _head(kind: str) -> Record:
    return {"v": VERSION, "type": kind}


def _counters(totals: Snapshot) -> Record:
    return {
        "elapsed_s": round(totals.elapsed_s, 3),
        "found": totals.found,
        "passed_over": totals.passed_over,
        "jobs": totals.jobs,
        "jobs_done": totals.jobs_done,
        "kinds": {kind.value: number for kind, number in totals.kinds.items()},
        "images": totals.images,
        "entries_written": totals.entries_written,
        "bytes_read": totals.bytes_read,
        "bytes_written": totals.bytes_written,
        "pixels": totals.pixels,
        "share_bytes": totals.share_bytes,
        "share_bytes_done": totals.share_bytes_done,
        "share_bytes_read": totals.share_bytes_read,
    }


def _limit(spent: Spent, totals: Snapshot) -> str | None:
    """Return what limits: "link", "disk", "cpu" or "both"; null where that cannot be told."""
    limit = bottleneck(spent, share=bool(totals.share_jobs))
    return limit.value if limit else None


def _stages(stages: dict[str, int]) -> Record:
    return {name.removesuffix("_ns"): spent for name, spent in stages.items()}


def _worker(worker: WorkerView) -> Record:
    fields: Record = {"path": None} if worker.path is None else path_fields(worker.path)
    return {"pid": worker.pid, **fields, "busy_s": round(worker.busy_s, 3), "done": worker.done}
