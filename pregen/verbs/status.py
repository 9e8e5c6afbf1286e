"""`pregen status`: what the cache holds, what the last runs did, what failed."""

from __future__ import annotations

from collections import Counter
from itertools import groupby, islice
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from pregen.argument_types import WholeNumber
from pregen.commandline import Command, Option, print_lines, print_record, under
from pregen.display import text
from pregen.display.records import VERSION, path_fields
from pregen.display.text import printable, shown
from pregen.display.words import WORDS, Named, named_lines
from pregen.errors import ExitCode, meaning
from pregen.model import ALL_FLAVORS, FAILURES, Kind
from pregen.options import option
from pregen.session import Session, cache_option

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from pregen.cache.folder import FolderCount
    from pregen.journal import RecordedFailure, RecordedRun


#: A week of nightly runs, and they fit on a screen with the rest.
_RUNS = 7


@click.pass_obj
def _status(session: Session, /, *, runs: int, json: bool) -> ExitCode:
    """Show the thumbnails of each size, the last runs on this cache, and what failed.

    Reads names and sizes in the cache, and the journal. To see whether thumbnails are up to date,
    use `pregen show FILE` or `pregen run --dry-run`.
    """
    facts = gather(session, runs)
    if json:
        print_record(status_record(facts))
    else:
        print_lines(status_lines(facts, session.cache_flag))
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
                type=WholeNumber(0),
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


class StatusFacts(NamedTuple):
    """All that is told."""

    root: bytes
    """The thumbnails directory."""
    journal: bytes
    """The journal's file, which need not exist."""
    flavors: dict[str, FolderCount]
    """Of every standard flavor, also an empty one, by name."""
    fail_records: dict[str, FolderCount]
    """By the program that left them."""
    runs: tuple[RecordedRun, ...]
    """Newest first; each of a watch's is one."""
    runs_wanted: int
    """So many are shown, those of a watch as one."""
    failures: tuple[RecordedFailure, ...]
    """Sources whose last outcome was a failure, by path."""
    warnings: tuple[str, ...]


def gather(session: Session, runs: int) -> StatusFacts:
    """Gather the facts about the cache and the last `runs` runs.

    Of the cache names, types and sizes only: whether entries are fresh takes their sources
    (`pregen show`, `pregen run`).

    Raises:
        CacheError: a folder of the cache cannot be listed.
    """
    from pregen.cache.opening import OpenPolicy  # noqa: PLC0415 - no --help needs it
    from pregen.cache.store import Cache  # noqa: PLC0415 - likewise
    from pregen.verbs.failures.model import failed_here  # noqa: PLC0415 - likewise

    root, path = session.cache_root, session.journal_path
    warnings: list[str] = []
    with Cache(root, policy=OpenPolicy.AS_FOUND) as cache:
        flavors = {flavor.directory: cache.folder(flavor).count() for flavor in ALL_FLAVORS}
        fail_records = {folder.program: folder.count() for folder in cache.fail_folders()}
        with session.journal(warnings.append) as journal:
            last = tuple(journal.last_runs(runs * _ROWS_PER_RUN, cache=root))
            failures = tuple(failed_here(journal, cache, FAILURES))
    return StatusFacts(root, path, flavors, fail_records, last, runs, failures, tuple(warnings))


# The same for people. Pure but for the local time zone


_TO_THE_SECOND = len("2026-11-21 02:19:44")
#: So that the numbers stay on the screen; `pregen failures` has all.
_FAILURES_SHOWN = 5
#: A watch does a run for each group of changes: so many rows may be one line.
_ROWS_PER_RUN = 50


def status_lines(facts: StatusFacts, cache_flag: str = "") -> Iterator[str]:
    """Yield the lines, coloured; `cache_flag` is for the commands in them."""
    yield click.style(f"Cache {shown(facts.root)}", bold=True)
    yield from _cache_lines(facts)
    yield ""
    yield from _run_lines(facts)
    yield from _failure_lines(facts)
    for warning in facts.warnings:
        yield ""
        yield click.style(printable(warning), fg="yellow")
    yield ""
    yield click.style(_verdict(facts, cache_flag), bold=True)


def _verdict(facts: StatusFacts, cache_flag: str) -> str:
    """Return the last line: how much there is, how the last run ended, how many files failed."""
    entries = sum(folder.entries for folder in facts.flavors.values())
    size_bytes = sum(folder.size_bytes for folder in facts.flavors.values())
    parts = [f"{text.plural(entries, 'thumbnail')}, {text.size(size_bytes)}."]
    if facts.runs:
        # That some failed is said behind it.
        how = _state(facts.runs[0]).removesuffix(", some failed")
        parts.append(f"Last run: {how}.")
    elif facts.runs_wanted and not facts.warnings:
        parts.append(f"No run yet: pregen run FOLDER{cache_flag}")
    if facts.failures:
        failed = text.plural(len(facts.failures), "file")
        parts.append(f"{failed} failed: pregen failures{cache_flag}")
    elif facts.runs:
        parts.append("No file failed.")
    return " ".join(parts)


def _cache_lines(facts: StatusFacts) -> Iterator[str]:
    width = max(len(text.count(folder.entries)) for folder in facts.flavors.values())
    for name, folder in facts.flavors.items():
        what = "thumbnail" if folder.entries == 1 else "thumbnails"
        size = f"  {text.size(folder.size_bytes)}" if folder.entries else ""
        others = f"  and {text.plural(folder.others, 'other file')}" if folder.others else ""
        line = f"  {name:<8}  {text.count(folder.entries):>{width}} {what}{size}{others}"
        yield line if folder.entries else click.style(line, dim=True)
    records = [
        f"{text.count(folder.entries)} of {printable(program)}"
        for program, folder in facts.fail_records.items()
        if folder.entries
    ]
    yield f"  fail records: {', '.join(records) or 'none'}"


def _run_lines(facts: StatusFacts) -> Iterator[str]:
    if not facts.runs:
        yield "No runs recorded."
        return
    yield click.style("Last runs", bold=True)
    shown_runs = list(islice(_watches_joined(facts.runs), facts.runs_wanted))
    width = max(len(str(run.run_id)) for run in shown_runs)
    for run in shown_runs:
        started = text.moment(run.started_at_ns)[:_TO_THE_SECOND]
        what = "watch: " if _is_watch(run) else ""
        yield f"  {run.run_id:>{width}}  {started}  {what}{_how(run)}"
        counts = _counts(run)
        if counts:
            yield f"  {'':{width}}      {counts}"


def _is_watch(run: RecordedRun) -> bool:
    return tuple(run.arguments[:1]) == ("watch",)


def _watches_joined(runs: Iterable[RecordedRun]) -> Iterator[RecordedRun]:
    """Yield runs, newest first; those of one watch as one, with the number of its last."""
    of_one = groupby(runs, lambda run: (_is_watch(run) and (run.host, run.pid)) or run.run_id)
    for _, group in of_one:
        last, *earlier = group
        if not earlier:
            yield last
            continue
        every = (last, *earlier)
        counts: Counter[str] = Counter()
        for run in every:
            counts.update(run.counts)
        yield last._replace(
            started_at_ns=earlier[-1].started_at_ns,
            counts=counts,
            bytes_read=sum(run.bytes_read for run in every),
            wall_ns=sum(run.wall_ns for run in every),
        )


def _state(run: RecordedRun) -> str:
    """Return how a run ended, or that it goes on."""
    from pregen.journal import RunState  # noqa: PLC0415 - no --help needs it

    if run.state is RunState.ENDED:
        return meaning(run.exit_code or 0)
    where = f" on {printable(run.host)}" if run.state is RunState.ELSEWHERE else ""
    return f"{run.state.value}{where} (process {run.pid})"


def _how(run: RecordedRun) -> str:
    from pregen.journal import RunState  # noqa: PLC0415 - as above

    if run.state is not RunState.ENDED:
        return click.style(_state(run), fg="red" if run.state is RunState.KILLED else "cyan")
    parts = [_state(run), text.duration(run.wall_ns / 1e9)]
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


def _by_kind(failures: Iterable[RecordedFailure]) -> dict[Kind, int]:
    """Return how many failures there are of each kind, in the order of the words."""
    counts = Counter(each.kind for each in failures)
    return {kind: counts[kind] for kind in WORDS if counts[kind]}


def _failure_lines(facts: StatusFacts) -> Iterator[str]:
    if not facts.failures:
        return
    each = ", ".join(
        f"{text.count(number)} {WORDS[kind].label}"
        for kind, number in _by_kind(facts.failures).items()
    )
    yield ""
    yield click.style(f"Failed when last tried: {each}", fg="red")
    yield from named_lines(
        Named(failure.path, failure.message or WORDS[failure.kind].meaning)
        for failure in facts.failures[:_FAILURES_SHOWN]
    )
    hidden = len(facts.failures) - _FAILURES_SHOWN
    if hidden > 0:
        yield click.style(f"  ... and {text.count(hidden)} more", dim=True)


# The same for `--json`. Pure


def status_record(facts: StatusFacts) -> dict[str, Any]:
    """Return the one object."""
    return {
        "v": VERSION,
        "type": "status",
        "cache": path_fields(facts.root),
        "journal": path_fields(facts.journal),
        "flavors": {name: _folder(count) for name, count in facts.flavors.items()},
        "fail_records": {name: _folder(count) for name, count in facts.fail_records.items()},
        "runs": [_run(run) for run in facts.runs[: facts.runs_wanted]],
        "failure_counts": {kind.value: number for kind, number in _by_kind(facts.failures).items()},
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
        "cache": path_fields(run.cache) if run.cache else None,
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
