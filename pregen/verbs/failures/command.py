"""`pregen failures`: what failed, when and why. Parses and hands over; no work of its own."""

from __future__ import annotations

import os
import re
import sys
from collections import Counter
from contextlib import closing
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING, Any

import click

from pregen.cache.lock import CacheLock
from pregen.cache.opening import OpenPolicy
from pregen.cache.store import Cache
from pregen.commandline import Command, Option, print_lines, print_record, raw_bytes
from pregen.display import text
from pregen.display.records import VERSION, path_fields
from pregen.display.text import printable, shown
from pregen.display.words import WORDS
from pregen.errors import ExitCode, UsageError
from pregen.installation import install_command
from pregen.journal import Journal, journal_path
from pregen.model import Kind
from pregen.originals.examiner import DEFAULT_TIMEOUT_S, Examiner
from pregen.originals.mounts import read_mounts
from pregen.session import acquire
from pregen.thumbspec.naming import OWN_PROGRAMS, clean_path, key, made_by, thumbnails_root
from pregen.thumbspec.uri import all_uris
from pregen.verbs.failures.model import (
    GROUPS,
    UNEXPLAINED,
    Failed,
    SourceState,
    chosen,
    gather,
    records,
)
from pregen.verbs.run import flags_for_files, run_over
from pregen.walk import working_directory

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from pregen.verbs.failures.model import Failed


def _failures(**flags: Any) -> ExitCode:
    """Tell which files have no thumbnail because something went wrong: what, when, and what to do.

    With PATHs: only files there. Known from the journal of all runs, and from the fail records in
    the cache: ours, and those of other programs, which do not say why. A failure is forgotten
    when the file has got its thumbnail.
    """
    return failures_session(FailuresFlags(**flags))


_WHICH = (
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
        help="Only files with a fail record of a program whose name begins like this.",
    ),
)
_WHAT = (
    Option(["--retry"], is_flag=True, help="Try them again: a run over these files."),
    Option(
        ["--forget"],
        is_flag=True,
        help="Delete what is remembered of them, pregen's fail records too, so that the next run "
        "tries them. Records of other programs only with --program.",
    ),
    Option(["--paths", "only_paths"], is_flag=True, help="Write the paths alone, one on a line."),
    Option(["-0", "--null"], is_flag=True, help="As --paths, with a zero byte behind each."),
    Option(["--wait"], is_flag=True, help="When a run fills this cache, wait for its end."),
    Option(
        ["--mount-timeout"],
        metavar="SECONDS",
        type=click.FloatRange(0, min_open=True),
        default=f"{DEFAULT_TIMEOUT_S:g}",
        show_default=True,
        help="How long a mount may take to answer.",
    ),
)
_OUTPUT = (
    Option(["--json"], is_flag=True, help="Write a JSON object per line: failures, a summary."),
    Option(["-v", "--verbose"], is_flag=True, help="Name all files, not some of each kind."),
)
_PANELS = {"Which": _WHICH, "What to do": _WHAT, "Output": _OUTPUT}

failures = Command(
    "failures",
    callback=_failures,
    params=[
        click.Argument(["paths"], metavar="[PATH]...", type=raw_bytes, nargs=-1),
        *chain.from_iterable(_PANELS.values()),
    ],
    help=_failures.__doc__,
    epilog="Examples: `pregen failures ~/Pictures`; `pregen failures --kind timed-out --retry`; "
    "`pregen failures --kind truncated -0 | xargs -0 ls -l`; `pregen failures --program gnome "
    "--forget`; `pregen failures --kind timed-out -0 | pregen run --files-from - -0 --retry-failed "
    "--timeout 600`.",
)
failures.panels = _PANELS


# --- What `pregen failures` tells people and programs. Pure


_SHOWN = 10
_MORE = {
    Kind.VANISHED.value: "put them back, or take them off the list; a link may lead nowhere",
    Kind.NEEDS_EXTRA.value: "get the extra",
    Kind.UNSUPPORTED.value: "`pregen formats` lists what is read",
    UNEXPLAINED: "--retry tries whether pregen can; --program NAME --forget deletes the records",
}
_NOW = {
    SourceState.SAME: "",
    SourceState.CHANGED: "has changed since: the next run tries it",
    SourceState.GONE: "gone",
    SourceState.AWAY: "not there now",
    SourceState.UNKNOWN: "",
}


def lines(failed: Sequence[Failed], install: str, *, verbose: bool) -> Iterator[str]:
    """Yield failures by kind, coloured.

    Args:
        failed: By path.
        install: The command that gets the extras some wait for.
        verbose: Name all of them.
    """
    if not failed:
        yield "No failures are known."
        return
    yield click.style(text.plural(len(failed), "failure"), bold=True)
    for group in GROUPS:
        members = [each for each in failed if each.why == group]
        if not members:
            continue
        yield ""
        yield from _group_head(group, len(members), install)
        for each in members if verbose else members[:_SHOWN]:
            yield _line(each)
        if not verbose and len(members) > _SHOWN:
            more = text.count(len(members) - _SHOWN)
            yield click.style(f"  ... and {more} more: -v names them", dim=True)


def _group_head(group: str, number: int, install: str) -> Iterator[str]:
    words = None if group == UNEXPLAINED else WORDS[Kind(group)]
    meaning = words.meaning if words else "a program left a fail record, which does not say why"
    title = click.style(f"{group}: {text.count(number)}", fg="red")
    yield f"{title}  {meaning}"
    todo = (words.todo if words else "") or _MORE.get(group, "")
    if group == Kind.NEEDS_EXTRA.value and install:
        todo = f"{install}, and run again"
    if todo:
        yield click.style(f"  {printable(todo)}", fg="yellow")


def _line(failed: Failed) -> str:
    whose = shown(failed.path) if failed.path is not None else printable(failed.uri)
    when = text.moment(failed.at_ns).partition(".")[0]
    # Our own record is no news beside what the journal says.
    others = [name for name in failed.programs if failed.kind is None or "pregen" not in name]
    notes = [failed.message, _NOW[failed.now], ", ".join(others)]
    return "  ".join(["", when, whose, *(printable(note) for note in notes if note)])


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


# --- One call of `pregen failures`, from parsed flags to an exit code: look, then tell or do


#: As `imaging.faults.NeedsExtra` names it; the journal keeps the words only.
_EXTRA = re.compile(r"pregen\[([a-z0-9-]+)\]")


@dataclass(frozen=True, slots=True, kw_only=True)
class FailuresFlags:
    """The command line of `pregen failures`, parsed. A field for every flag."""

    paths: tuple[bytes, ...]
    kind: tuple[str, ...]
    program: tuple[str, ...]
    retry: bool
    forget: bool
    only_paths: bool
    null: bool
    wait: bool
    mount_timeout: float
    json: bool
    verbose: bool


def failures_session(flags: FailuresFlags) -> ExitCode:
    """Tell, retry or forget.

    Raises:
        PregenError: what ended it before its time.
    """
    listing = flags.only_paths or flags.null
    if flags.retry + flags.forget + listing > 1:
        raise UsageError("--retry, --forget and --paths exclude each other: choose one.")
    if listing and flags.json:
        raise UsageError("--json has the paths already: leave --paths out.")
    home = os.path.expanduser("~")
    root = thumbnails_root(os.environ, home)
    path = journal_path(os.environ, home)
    policy = OpenPolicy.WITHOUT_LINKS if flags.forget else OpenPolicy.AS_FOUND
    with (
        Cache(root, policy=policy) as cache,
        Examiner(read_mounts(os.environ), flags.mount_timeout) as examiner,
        closing(Journal.open(path, _warn, create=False)) as journal,
    ):
        cwd = working_directory(os.environ)
        paths = tuple(clean_path(each, cwd) for each in flags.paths)
        failed = gather(journal, cache, examiner)
        failed = chosen(failed, paths, flags.kind, flags.program)
        forgotten = None
        if flags.forget:
            lock = CacheLock(root)
            if os.path.isdir(root):
                acquire(lock, wait=flags.wait)
            try:
                forgotten = _forget(failed, journal, cache, flags.program)
            finally:
                lock.release()
    if listing:
        _write_paths(failed, b"\0" if flags.null else b"\n")
        return ExitCode.DONE
    if flags.retry and failed:
        again = dict.fromkeys(each.path for each in failed if each.path is not None)
        return run_over(again, flags_for_files(retry_failed=True, json=flags.json))
    return _tell(failed, forgotten, flags)


def _tell(
    failed: list[Failed], forgotten: tuple[int, int] | None, flags: FailuresFlags
) -> ExitCode:
    waiting = [each.message for each in failed if each.kind is Kind.NEEDS_EXTRA]
    extras = {name for message in waiting for name in _EXTRA.findall(message)}
    install = install_command(extras) if extras else ""
    if flags.json:
        for each in failed:
            print_record(record(each))
        print_record(summary(failed, ExitCode.DONE, install, forgotten))
    elif forgotten is None:
        print_lines(lines(failed, install, verbose=flags.verbose))
    else:
        rows, files = forgotten
        fail_records = text.plural(files, "fail record")
        print_lines([f"Forgot {text.plural(rows, 'failure')}, deleted {fail_records}."])
    return ExitCode.DONE


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
        for uri in (each.uri, *(all_uris(each.path) if each.path is not None else ()))
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
