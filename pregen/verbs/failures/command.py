"""`pregen failures`: what failed, when and why. Its options, its session, its words and records."""

from __future__ import annotations

import os
import re
import sys
from collections import Counter
from typing import TYPE_CHECKING, Any

import click

from pregen.argument_types import raw_bytes
from pregen.commandline import (
    Command,
    Option,
    print_lines,
    print_record,
    terminal_columns,
    under,
)
from pregen.display import text
from pregen.display.records import VERSION, path_fields
from pregen.display.text import printable, shown
from pregen.display.words import WORDS, Named, advice, named_lines
from pregen.errors import ExitCode, UsageError
from pregen.installation import install_command
from pregen.model import Kind
from pregen.options import option
from pregen.session import Session, cache_option, mount_timeout_option
from pregen.thumbspec.clients import every_uri
from pregen.thumbspec.naming import OWN_PROGRAMS, key, made_by
from pregen.verbs.failures.model import (
    GROUPS,
    UNEXPLAINED,
    Failed,
    SourceState,
    chosen,
    gather,
    records,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from pregen.cache.store import Cache
    from pregen.journal import Journal
    from pregen.verbs.failures.model import Failed


@click.pass_obj
def _failures(  # noqa: PLR0913 - an argument for each option
    session: Session,
    /,
    *,
    paths: tuple[bytes, ...],
    kind: tuple[str, ...],
    program: tuple[str, ...],
    retry: bool,
    forget: bool,
    only_paths: bool,
    null: bool,
    wait: bool,
    mount_timeout: float,
    json: bool,
    verbose: bool,
) -> ExitCode:
    """List files whose thumbnail failed: why, when, and what to do.

    With PATHs: only files there. Sources: the journal of the runs on this cache, and the fail
    records in it, of pregen and of other programs (which give no reason). A failure is forgotten
    once the file has a thumbnail.
    """
    from pregen.cache.opening import OpenPolicy  # noqa: PLC0415 - no --help needs it
    from pregen.cache.store import Cache  # noqa: PLC0415 - likewise
    from pregen.verbs.run import run_over, values_for_files  # noqa: PLC0415 - likewise

    listing = only_paths or null
    if retry + forget + listing > 1:
        raise UsageError("--retry, --forget and --paths exclude each other: choose one.")
    if listing and json:
        raise UsageError("--json includes the paths: omit --paths.")
    policy = OpenPolicy.WITHOUT_LINKS if forget else OpenPolicy.AS_FOUND
    with (
        Cache(session.cache_root, policy=policy) as cache,
        session.examiner(mount_timeout) as examiner,
        session.journal(_warn) as journal,
    ):
        places = tuple(session.clean(each) for each in paths)
        failed = chosen(gather(journal, cache, examiner), places, kind, program)
        forgotten = None
        if forget and os.path.isdir(session.cache_root):
            with session.locked(wait=wait):
                forgotten = _forget(failed, journal, cache, program)
        elif forget:
            forgotten = _forget(failed, journal, cache, program)
    if listing:
        _write_paths(failed, b"\0" if null else b"\n")
        return ExitCode.DONE
    if retry and failed:
        again = dict.fromkeys(each.path for each in failed if each.path is not None)
        values = values_for_files(session, retry_failed=True, json=json)
        return run_over(session, again, values)
    _tell(failed, places, forgotten, session.cache_flag, json=json, verbose=verbose)
    return ExitCode.DONE


failures = Command(
    "failures",
    callback=_failures,
    params=[
        click.Argument(["paths"], metavar="[PATH]...", type=raw_bytes, nargs=-1),
        *under(
            "Which",
            Option(
                ["--kind"],
                type=click.Choice(GROUPS),
                multiple=True,
                metavar="KIND",
                help=f"Only failures of this kind; may be repeated. {', '.join(GROUPS)}.",
            ),
            Option(
                ["--program"],
                metavar="NAME",
                multiple=True,
                help="Only files with a fail record of a program whose name starts with NAME.",
            ),
        ),
        *under(
            "What to do",
            Option(
                ["--retry"],
                is_flag=True,
                help="Retry them: a run over these files.",
            ),
            Option(
                ["--forget"],
                is_flag=True,
                help="Forget them and delete pregen's fail records, so that the next run "
                "tries them. Records of other programs only with --program.",
            ),
            Option(
                ["--paths", "only_paths"],
                is_flag=True,
                help="Print only the paths, one per line.",
            ),
            Option(
                ["-0", "--null"],
                is_flag=True,
                help="Like --paths, with a zero byte after each.",
            ),
            cache_option(),
            option("wait"),
            mount_timeout_option(),
        ),
        option("json", help="Write a JSON object per line: failures, a summary."),
        option("verbose", help="List all files, not just some of each kind."),
    ],
    help=_failures.__doc__,
    epilog="Examples: `pregen failures ~/Pictures`; `pregen failures --kind timed-out --retry`; "
    "`pregen failures --kind truncated -0 | xargs -0 ls -l`; `pregen failures --program gnome "
    "--forget`; `pregen failures --kind timed-out -0 | pregen run --files-from - -0 --retry-failed "
    "--timeout 600`.",
)


#: As `imaging.faults.NeedsExtra` names it; the journal keeps the words only.
_EXTRA = re.compile(r"pregen\[([a-z0-9-]+)\]")


def _tell(
    failed: list[Failed],
    places: Iterable[bytes],
    forgotten: tuple[int, int] | None,
    cache_flag: str,
    *,
    json: bool,
    verbose: bool,
) -> None:
    waiting = [each.message for each in failed if each.kind is Kind.NEEDS_EXTRA]
    extras = {name for message in waiting for name in _EXTRA.findall(message)}
    install = install_command(extras) if extras else ""
    if json:
        for each in failed:
            print_record(record(each))
        print_record(summary(failed, ExitCode.DONE, install, forgotten))
    elif forgotten is None and not failed:
        there = ", ".join(map(shown, places))
        print_lines([f"No known failures in {there}." if places else "No known failures."])
    elif forgotten is None:
        again = f"pregen failures{cache_flag} --retry"
        print_lines(lines(failed, install, again, terminal_columns(), verbose=verbose))
    else:
        rows, files = forgotten
        fail_records = text.plural(files, "fail record")
        print_lines([f"Forgot {text.plural(rows, 'failure')}, deleted {fail_records}."])


def _forget(
    failed: Iterable[Failed], journal: Journal, cache: Cache, programs: tuple[str, ...]
) -> tuple[int, int]:
    """Delete rows and fail records; return how many of each.

    With `programs`, only their records are meant, and the journal only when pregen is one of them.
    """
    failed = list(failed)
    keys = {
        key(uri)
        for each in failed
        for uri in (each.uri, *(every_uri(each.path) if each.path is not None else ()))
    }
    wanted = programs or (OWN_PROGRAMS,)
    files = sum(
        item.remove()
        for item in records(cache)
        if item.key in keys and made_by(item.folder.program, wanted)
    )
    rows = 0
    if made_by(OWN_PROGRAMS, wanted) or any(name.startswith(OWN_PROGRAMS) for name in wanted):
        paths = [each.path for each in failed if each.path is not None and each.kind is not None]
        rows = journal.forget(paths)
    return rows, files


def _write_paths(failed: Iterable[Failed], end: bytes) -> None:
    """Write the exact bytes: what `xargs -0` or `pregen run --files-from - -0` reads."""
    sys.stdout.flush()
    for each in failed:
        if each.path is not None:
            sys.stdout.buffer.write(each.path + end)
    sys.stdout.buffer.flush()


def _warn(message: str) -> None:
    click.echo(f"pregen: {printable(message)}", err=True)


# What it tells people and programs. Pure


_SHOWN = 10
_MORE = {
    Kind.VANISHED.value: "restore them or remove them from the list; links may be dangling",
    Kind.NEEDS_EXTRA.value: "install the extra",
    Kind.UNSUPPORTED.value: "`pregen formats` lists supported formats",
    UNEXPLAINED: "--retry lets pregen try; --program NAME --forget deletes the records",
}
_NOW = {
    SourceState.SAME: "",
    SourceState.CHANGED: "has changed since: the next run retries it",
    SourceState.GONE: "gone",
    SourceState.AWAY: "not available",
    SourceState.UNKNOWN: "",
}


def lines(
    failed: Sequence[Failed], install: str, again: str, columns: int, *, verbose: bool
) -> Iterator[str]:
    """Yield failures by kind, coloured.

    Args:
        failed: One or more, by path.
        install: The command that gets the extras some wait for.
        again: The command that tries them all again.
        columns: How wide the terminal is; 0: there is none.
        verbose: Name all of them.
    """
    groups = {group: [each for each in failed if each.why == group] for group in GROUPS}
    kinds = [Kind(group) for group in groups if groups[group] and group != UNEXPLAINED]
    todos = {kind.value: todo for kind, todo in advice(kinds, last=False).items()}
    for group, members in groups.items():
        if not members:
            continue
        todo = todos.get(group, "") or _MORE.get(group, "")
        if group == Kind.NEEDS_EXTRA.value and install:
            todo = f"{install}, and run again"
        yield from _group_head(group, len(members), todo)
        yield from _rows(members if verbose else members[:_SHOWN], columns)
        if not verbose and len(members) > _SHOWN:
            more = text.count(len(members) - _SHOWN)
            yield click.style(f"  ... and {more} more: -v lists them", dim=True)
        yield ""
    number = text.plural(len(failed), "failure")
    yield click.style(f"{number}. To try them again: {again}", bold=True)


def _group_head(group: str, number: int, todo: str) -> Iterator[str]:
    words = None if group == UNEXPLAINED else WORDS[Kind(group)]
    meaning = words.meaning if words else "a program left a fail record, which gives no reason"
    title = click.style(f"{group}: {text.count(number)}", fg="red")
    yield f"{title}  {meaning}"
    if todo:
        yield click.style(f"  -> {printable(todo)}", fg="yellow")


def _rows(members: Sequence[Failed], columns: int) -> Iterator[str]:
    """Yield a row for each: in a file or a pipe with all that is known of it."""
    rows = list(map(_named, members))
    if columns:
        yield from named_lines(rows)
        return
    for path, why, lead in rows:
        yield f"  {lead}{shown(path)}  {printable(why)}".rstrip()


def _named(failed: Failed) -> Named:
    """Return which file, when it was, and what is known of it."""
    path = failed.path if failed.path is not None else failed.uri.encode("utf-8", "surrogateescape")
    when = text.moment(failed.at_ns).partition(".")[0]
    # Our own record is no news beside what the journal says.
    others = [name for name in failed.programs if failed.kind is None or "pregen" not in name]
    notes = [failed.message, _NOW[failed.now], ", ".join(others)]
    return Named(path, "  ".join(note for note in notes if note), f"{when}  ")


def record(failed: Failed) -> dict[str, Any]:
    """Return what is known of one failure."""
    path: dict[str, Any] = {"path": None} if failed.path is None else path_fields(failed.path)
    return {
        "v": VERSION,
        "type": "failure",
        **path,
        "uri": failed.uri,
        "kind": failed.why,
        "message": failed.message,
        "at_ns": failed.at_ns,
        "programs": list(failed.programs),
        "now": failed.now.value,
    }


def summary(
    failed: Sequence[Failed], code: ExitCode, install: str, forgotten: tuple[int, int] | None
) -> dict[str, Any]:
    """Return the last object."""
    kinds = Counter(each.why for each in failed)
    return {
        "v": VERSION,
        "type": "summary",
        "exit_code": int(code),
        "failures": len(failed),
        "kinds": {group: kinds[group] for group in GROUPS if kinds[group]},
        "install": install or None,
        "forgotten": forgotten and {"journal": forgotten[0], "fail_records": forgotten[1]},
    }
