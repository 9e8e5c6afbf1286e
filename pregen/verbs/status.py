"""`pregen status`: what the cache holds, what the last runs did, what failed."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from pregen.commandline import Command, Option, print_lines, print_record, under
from pregen.display import text
from pregen.display.records import VERSION, path_fields
from pregen.display.text import printable, shown
from pregen.display.words import WORDS
from pregen.errors import CacheError, ExitCode
from pregen.model import ALL_FLAVORS, FAILURES, Kind
from pregen.options import option
from pregen.session import Session, cache_option

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from pregen.journal import RecordedFailure, RecordedRun


#: A week of nightly runs, and they fit on a screen with the rest.
_RUNS = 7


@click.pass_obj
def _status(session: Session, /, *, runs: int, json: bool) -> ExitCode:
    """Show the entries and bytes of each flavor, the last runs, and what failed.

    Looks at the names and sizes in the cache and at the journal; whether entries are up to date
    is for `pregen show FILE` and `pregen run --dry-run` to tell.
    """
    facts = gather(session, runs)
    if json:
        print_record(status_record(facts))
    else:
        print_lines(status_lines(facts))
    return ExitCode.DONE


status = Command(
    "status",
    callback=_status,
    params=[
        *under(
            "Options",
            cache_option(),
            Option(
                ["--runs"],
                metavar="NUMBER",
                type=click.IntRange(0),
                default=_RUNS,
                show_default=True,
                help="How many of the last runs to show.",
            ),
            option("json", help="Write one JSON object."),
        )
    ],
    help=_status.__doc__,
    epilog="Example: pregen status --runs 20",
)


# What is in the cache, by flavor and by program: names and sizes only
#
# Whether entries are fresh it cannot tell: that takes their sources (`pregen show`, `pregen run`).


#: Standard, Thumbnail Saving: an md5 in hex digits.
_ENTRY = re.compile(r"[0-9a-f]{32}\.png")


class FolderCount(NamedTuple):
    """What one folder of the cache holds."""

    name: str
    entries: int
    size_bytes: int
    """Of the entries; the disk may take more, in whole blocks."""
    others: int
    """What is no entry by its name: temps of a run under way, or somebody's files."""


class Census(NamedTuple):
    """What the whole cache holds."""

    flavors: tuple[FolderCount, ...]
    """Every standard flavor, also an empty one."""
    fail_records: tuple[FolderCount, ...]
    """By the program that left them."""


def take_census(root: bytes) -> Census:
    """Count what the cache at `root` holds.

    Raises:
        CacheError: a folder is there and cannot be listed.
    """
    flavors = tuple(
        _count(os.path.join(root, os.fsencode(flavor.directory)), flavor.directory)
        for flavor in ALL_FLAVORS
    )
    fail = os.path.join(root, b"fail")
    programs = sorted(entry.name for entry in _listed(fail) if entry.is_dir(follow_symlinks=False))
    return Census(flavors, tuple(_count(os.path.join(fail, p), os.fsdecode(p)) for p in programs))


def _count(folder: bytes, name: str) -> FolderCount:
    entries = size_bytes = others = 0
    for item in _listed(folder):
        if not _ENTRY.fullmatch(os.fsdecode(item.name)):
            others += 1
            continue
        try:
            size_bytes += item.stat(follow_symlinks=False).st_size
        except FileNotFoundError:  # removed or replaced this moment
            continue
        entries += 1
    return FolderCount(name, entries, size_bytes, others)


def _listed(folder: bytes) -> Iterator[os.DirEntry[bytes]]:
    try:
        with os.scandir(folder) as items:
            yield from items
    except (FileNotFoundError, NotADirectoryError):
        return
    except OSError as error:
        shown = folder.decode("utf-8", "backslashreplace")
        raise CacheError(
            f"{shown} cannot be listed ({error.strerror}). Check its owner and permissions."
        ) from error


# What is shown, gathered from the cache and the journal. Reads only


class StatusFacts(NamedTuple):
    """All that is told."""

    root: bytes
    """The thumbnails directory."""
    journal: bytes
    """The journal's file, which need not exist."""
    census: Census
    runs: tuple[RecordedRun, ...]
    """Newest first."""
    failure_counts: Mapping[Kind, int]
    failures: tuple[RecordedFailure, ...]
    """Sources whose last outcome was a failure, by path."""
    warnings: tuple[str, ...]


def gather(session: Session, runs: int) -> StatusFacts:
    """Gather the facts about the cache and the last `runs` runs.

    Raises:
        CacheError: a folder of the cache cannot be listed.
    """
    from pregen.journal import Journal  # noqa: PLC0415 - no --help needs it

    root, path = session.cache_root, session.journal_path
    warnings: list[str] = []
    census = take_census(root)
    journal = Journal.open(path, warnings.append, create=False)
    try:
        last, counts = tuple(journal.last_runs(runs)), journal.failure_counts()
        failures = tuple(journal.failures())
    finally:
        journal.close()
    return StatusFacts(root, path, census, last, counts, failures, tuple(warnings))


# The same for people. Pure but for the local time zone


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
    width = max(len(text.count(folder.entries)) for folder in folders)
    for folder in folders:
        what = "entry" if folder.entries == 1 else "entries"
        size = f"  {text.size(folder.size_bytes)}" if folder.entries else ""
        others = f"  and {text.plural(folder.others, 'other file')}" if folder.others else ""
        line = f"  {folder.name:<8}  {text.count(folder.entries):>{width}} {what}{size}{others}"
        yield line if folder.entries else click.style(line, dim=True)
    records = [
        f"{text.count(folder.entries)} of {printable(folder.name)}"
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
        yield f"  {text.moment(run.started_at_ns)[:_TO_THE_SECOND]}  {_how(run)}"
        counts = _counts(run)
        if counts:
            yield f"      {counts}"


def _how(run: RecordedRun) -> str:
    from pregen.journal import RunState  # noqa: PLC0415 - no --help needs it

    if run.state is not RunState.ENDED:
        where = f" on {printable(run.host)}" if run.state is RunState.ELSEWHERE else ""
        colour = "red" if run.state is RunState.KILLED else "cyan"
        return click.style(f"{run.state.value}{where} (process {run.pid})", fg=colour)
    word = _ENDINGS.get(run.exit_code or 0, f"exit code {run.exit_code}")
    parts = [word, text.duration(run.wall_ns / 1e9)]
    images = run.counts.get(Kind.MADE.value, 0)
    if images and run.wall_ns:
        parts.append(f"{text.number(images / (run.wall_ns / 1e9))} images/s")
        parts.append(f"{text.size(run.bytes_read / (run.wall_ns / 1e9))}/s read")
    return ", ".join(parts)


def _counts(run: RecordedRun) -> str:
    """Return the counts of a run: first what was done, failures together at the end."""
    known = {kind.value: kind for kind in WORDS}
    failed = sum(run.counts.get(kind.value, 0) for kind in FAILURES)
    parts = [
        f"{text.count(run.counts[value])} {WORDS[kind].label}"
        for value, kind in known.items()
        if kind not in FAILURES and run.counts.get(value)
    ]
    return ", ".join(parts + ([f"{text.count(failed)} failed"] if failed else []))


def _failure_lines(facts: StatusFacts) -> Iterator[str]:
    if not facts.failures:
        return
    each = ", ".join(
        f"{text.count(number)} {WORDS[kind].label}" for kind, number in facts.failure_counts.items()
    )
    yield ""
    yield click.style(f"Failed when last tried: {each}", fg="red")
    for failure in facts.failures[:_FAILURES_SHOWN]:
        why = printable(failure.message) or WORDS[failure.kind].meaning
        yield f"  {shown(failure.path)}: {why}"
    hidden = len(facts.failures) - _FAILURES_SHOWN
    if hidden > 0:
        yield click.style(f"  ... and {text.count(hidden)} more; --json lists all", dim=True)


# The same for `--json`. Pure


def status_record(facts: StatusFacts) -> dict[str, Any]:
    """Return the one object."""
    return {
        "v": VERSION,
        "type": "status",
        "cache": path_fields(facts.root),
        "journal": path_fields(facts.journal),
        "flavors": {count.name: _folder(count) for count in facts.census.flavors},
        "fail_records": {count.name: _folder(count) for count in facts.census.fail_records},
        "runs": [_run(run) for run in facts.runs],
        "failure_counts": {kind.value: number for kind, number in facts.failure_counts.items()},
        "failures": [_failure(failure) for failure in facts.failures],
        "warnings": list(facts.warnings),
    }


def _folder(count: FolderCount) -> dict[str, Any]:
    return {"entries": count.entries, "bytes": count.size_bytes, "others": count.others}


def _run(run: RecordedRun) -> dict[str, Any]:
    return {
        "id": run.run_id,
        "state": run.state.value,
        "started_at_ns": run.started_at_ns,
        "ended_at_ns": run.ended_at_ns,
        "version": run.version,
        "host": run.host,
        "pid": run.pid,
        "cwd": path_fields(run.cwd),
        "arguments": list(run.arguments),
        "exit_code": run.exit_code,
        "kinds": dict(run.counts),
        "bytes_read": run.bytes_read,
        "bytes_written": run.bytes_written,
        "entries_written": run.entries_written,
        "wall_ns": run.wall_ns,
    }


def _failure(failure: RecordedFailure) -> dict[str, Any]:
    return {
        **path_fields(failure.path),
        "kind": failure.kind.value,
        "message": failure.message,
        "size": failure.size_bytes,
        "mtime_ns": failure.mtime_ns,
        "run": failure.run_id,
        "seen_at_ns": failure.seen_at_ns,
    }
