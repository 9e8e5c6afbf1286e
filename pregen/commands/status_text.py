"""What `pregen status` tells a person. Pure but for the local time zone."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from pregen.errors import ExitCode
from pregen.journal import RunState
from pregen.model import FAILURES, Kind
from pregen.progress import units
from pregen.progress.text import printable, shown
from pregen.progress.words import WORDS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pregen.commands.status_facts import StatusFacts
    from pregen.journal import Run

_TO_THE_SECOND = len("2026-11-21 02:19:44")
#: More is for `--json`.
_FAILURES_SHOWN = 20
_ENDINGS: dict[int, str] = {
    ExitCode.DONE: "done",
    ExitCode.SOME_FAILED: "done, some failed",
    ExitCode.USAGE: "wrong call",
    ExitCode.CACHE: "cache full or not writable",
    ExitCode.INTERRUPTED: "stopped",
    ExitCode.TERMINATED: "stopped",
    ExitCode.READER_GONE: "reader left",
}


def status_lines(facts: StatusFacts) -> Iterator[str]:
    """Yield the lines, coloured."""
    yield click.style(f"Cache {shown(facts.root)}", bold=True)
    yield from _census_lines(facts)
    yield ""
    yield from _run_lines(facts)
    yield from _failure_lines(facts)
    for warning in facts.warnings:
        yield ""
        yield click.style(printable(warning), fg="yellow")


def _census_lines(facts: StatusFacts) -> Iterator[str]:
    folders = facts.census.flavors
    width = max(len(units.count(folder.entries)) for folder in folders)
    for folder in folders:
        what = "entry" if folder.entries == 1 else "entries"
        size = f"  {units.size(folder.size_bytes)}" if folder.entries else ""
        others = f"  and {units.plural(folder.others, 'other file')}" if folder.others else ""
        line = f"  {folder.name:<8}  {units.count(folder.entries):>{width}} {what}{size}{others}"
        yield line if folder.entries else click.style(line, dim=True)
    records = [
        f"{units.count(folder.entries)} of {printable(folder.name)}"
        for folder in facts.census.fail_records
        if folder.entries
    ]
    yield f"  fail records: {', '.join(records) or 'none'}"


def _run_lines(facts: StatusFacts) -> Iterator[str]:
    if not facts.runs:
        yield "No run is on record."
        return
    yield click.style("Last runs", bold=True)
    for run in facts.runs:
        yield f"  {units.moment(run.started_at_ns)[:_TO_THE_SECOND]}  {_how(run)}"
        counts = _counts(run)
        if counts:
            yield f"      {counts}"


def _how(run: Run) -> str:
    if run.state is not RunState.ENDED:
        where = f" on {printable(run.host)}" if run.state is RunState.ELSEWHERE else ""
        colour = "red" if run.state is RunState.KILLED else "cyan"
        return click.style(f"{run.state.value}{where} (process {run.pid})", fg=colour)
    word = _ENDINGS.get(run.exit_code or 0, f"exit code {run.exit_code}")
    parts = [word, units.duration(run.wall_ns / 1e9)]
    images = run.counts.get(Kind.MADE.value, 0)
    if images and run.wall_ns:
        parts.append(f"{units.number(images / (run.wall_ns / 1e9))} images/s")
        parts.append(f"{units.size(run.bytes_read / (run.wall_ns / 1e9))}/s read")
    return ", ".join(parts)


def _counts(run: Run) -> str:
    """Return the counts of a run: first what was done, failures together at the end."""
    known = {kind.value: kind for kind in WORDS}
    failed = sum(run.counts.get(kind.value, 0) for kind in FAILURES)
    parts = [
        f"{units.count(run.counts[value])} {WORDS[kind].label}"
        for value, kind in known.items()
        if kind not in FAILURES and run.counts.get(value)
    ]
    return ", ".join(parts + ([f"{units.count(failed)} failed"] if failed else []))


def _failure_lines(facts: StatusFacts) -> Iterator[str]:
    if not facts.failures:
        return
    each = ", ".join(
        f"{units.count(number)} {WORDS[kind].label}"
        for kind, number in facts.failure_counts.items()
    )
    yield ""
    yield click.style(f"Failed when last tried: {each}", fg="red")
    for failure in facts.failures[:_FAILURES_SHOWN]:
        why = printable(failure.message) or WORDS[failure.kind].meaning
        yield f"  {shown(failure.path)}: {why}"
    hidden = len(facts.failures) - _FAILURES_SHOWN
    if hidden > 0:
        yield click.style(f"  ... and {units.count(hidden)} more; --json lists all", dim=True)
