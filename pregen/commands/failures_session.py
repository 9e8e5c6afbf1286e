"""One call of `pregen failures`, from parsed flags to an exit code: look, then tell or do."""

from __future__ import annotations

import os
import re
import sys
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING

import click

from pregen.commands.cache_session import acquire
from pregen.commands.failures_text import lines, record, summary
from pregen.commands.rerun import run_over
from pregen.commands.style import print_lines, print_record
from pregen.errors import ExitCode, UsageError
from pregen.failures.gather import gather, records
from pregen.failures.model import OWN_PREFIX, Failed, chosen, made_by
from pregen.installation import install_command
from pregen.journal import Journal, journal_path
from pregen.model import Kind
from pregen.originals.examiner import Examiner
from pregen.originals.system import read_mounts
from pregen.progress import units
from pregen.progress.text import printable
from pregen.storage.inventory import Inventory
from pregen.storage.lock import CacheLock
from pregen.thumbspec.naming import clean_path, key, thumbnails_root
from pregen.thumbspec.uri import all_uris
from pregen.walk import working_directory

if TYPE_CHECKING:
    from collections.abc import Iterable

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
    with (
        Inventory(root, follow_folders=not flags.forget) as inventory,
        Examiner(read_mounts(os.environ), flags.mount_timeout) as examiner,
        closing(Journal.open(path, _warn, create=False)) as journal,
    ):
        cwd = working_directory(os.environ)
        paths = tuple(clean_path(each, cwd) for each in flags.paths)
        failed = gather(journal, inventory, examiner)
        failed = chosen(failed, paths, flags.kind, flags.program)
        forgotten = None
        if flags.forget:
            lock = CacheLock(root)
            if os.path.isdir(root):
                acquire(lock, wait=flags.wait)
            try:
                forgotten = _forget(failed, journal, inventory, flags.program)
            finally:
                lock.release()
    if listing:
        _write_paths(failed, b"\0" if flags.null else b"\n")
        return ExitCode.DONE
    if flags.retry and failed:
        again = [each.path for each in failed if each.path is not None]
        return run_over(again, "--retry-failed", json=flags.json)
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
        fail_records = units.plural(files, "fail record")
        print_lines([f"Forgot {units.plural(rows, 'failure')}, deleted {fail_records}."])
    return ExitCode.DONE


def _forget(
    failed: Iterable[Failed], journal: Journal, inventory: Inventory, programs: tuple[str, ...]
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
    wanted = programs or (OWN_PREFIX,)
    files = sum(
        item.remove()
        for item in records(inventory)
        if item.key in keys and made_by(item.folder.program, wanted)
    )
    rows = 0
    if made_by(OWN_PREFIX, wanted) or any(name.startswith(OWN_PREFIX) for name in wanted):
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
