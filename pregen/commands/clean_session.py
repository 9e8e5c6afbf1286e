"""One call of `pregen clean`, from parsed flags to an exit code: lock, plan, question, deleting."""

from __future__ import annotations

import os
import re
import sys
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import click

from pregen.clean.cleaner import Cleaner
from pregen.clean.selection import Area, Selection, area_of
from pregen.commands.cache_session import acquire, told_aloud
from pregen.commands.clean_record import entry_record, summary_record
from pregen.commands.clean_text import entry_line, plan_lines, question, result_lines
from pregen.commands.style import print_lines, print_record
from pregen.errors import ExitCode, UsageError
from pregen.originals.examiner import Examiner
from pregen.originals.system import read_mounts
from pregen.progress.text import printable
from pregen.storage.inventory import Inventory
from pregen.storage.lock import CacheLock
from pregen.thumbspec.naming import clean_path, thumbnails_root
from pregen.walk.roots import working_directory

if TYPE_CHECKING:
    from pregen.clean.plan import Doomed, Plan
    from pregen.originals.mounts import Mounts

_URI = re.compile(rb"[A-Za-z][A-Za-z0-9+.-]*:/")


@dataclass(frozen=True, slots=True, kw_only=True)
class CleanFlags:
    """The command line of `pregen clean`, parsed. A field for every flag."""

    missing: bool
    stale: bool
    corrupt: bool
    older_than: float | None
    max_size: int | None
    under: tuple[bytes, ...]
    not_under: tuple[bytes, ...]
    local: bool
    remote: bool
    fail: bool
    program: tuple[str, ...]
    yes: bool
    dry_run: bool
    wait: bool
    mount_timeout: float
    json: bool
    verbose: bool


def clean_session(flags: CleanFlags) -> ExitCode:
    """Plan, show, ask, delete.

    Raises:
        PregenError: what ended it before its time; the message says whether to run it again.
    """
    selection = _selection(flags)
    root = thumbnails_root(os.environ, os.path.expanduser("~"))
    if not os.path.isdir(root):
        if flags.json:
            print_record(summary_record(None, None, dry_run=flags.dry_run))
        else:
            print_lines([f"There is no cache at {printable(os.fsdecode(root))}: nothing to do."])
        return ExitCode.DONE
    asks = not (flags.yes or flags.dry_run)
    if asks and not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise UsageError(
            "nothing was deleted: there is no terminal to ask on. Add --yes to delete without "
            "being asked, or --dry-run to see what would go."
        )
    lock = CacheLock(root)
    with (
        Inventory(root) as inventory,
        Examiner(_mounts(), flags.mount_timeout) as examiner,
        told_aloud() as told,
    ):
        if not flags.dry_run:
            acquire(lock, wait=flags.wait)
        try:
            now_ns = int(datetime.now(UTC).timestamp() * 1e9)
            cleaner = Cleaner(inventory, examiner, selection, now_ns)
            plan = cleaner.plan(told)
            told(-1)
            if not flags.json:
                print_lines(plan_lines(root, plan, dry_run=flags.dry_run))
            if flags.dry_run or not plan.doomed:
                return _tell_only(plan, flags)
            if asks:
                lock.release()  # a run need not wait for the answer: all is looked at once more
                if not click.confirm(question(plan), err=True):
                    return ExitCode.DONE
                acquire(lock, wait=flags.wait)
            return _delete(cleaner, plan, flags)
        finally:
            lock.release()


def _tell_only(plan: Plan, flags: CleanFlags) -> ExitCode:
    for each in plan.doomed:
        if flags.json:
            print_record(entry_record(each, deleted=False))
        elif flags.verbose:
            print_lines([entry_line(each)])
    if flags.json:
        print_record(summary_record(plan, None, dry_run=flags.dry_run))
    return ExitCode.DONE


def _delete(cleaner: Cleaner, plan: Plan, flags: CleanFlags) -> ExitCode:
    def done(each: Doomed, deleted: bool) -> None:  # noqa: FBT001 - the cleaner's signature
        if flags.json:
            print_record(entry_record(each, deleted=deleted))
        elif flags.verbose and deleted:
            print_lines([entry_line(each)])

    tally = cleaner.delete(plan, _mounts, done)
    if flags.json:
        print_record(summary_record(plan, tally, dry_run=False))
    else:
        print_lines(result_lines(tally))
    return ExitCode.DONE


def _selection(flags: CleanFlags) -> Selection:
    if flags.local and flags.remote:
        raise UsageError("--local and --remote exclude each other: choose one, or neither.")
    return Selection(
        missing=flags.missing,
        stale=flags.stale,
        corrupt=flags.corrupt,
        older_than_s=flags.older_than,
        max_size_bytes=flags.max_size,
        under=tuple(map(_area, flags.under)),
        not_under=tuple(map(_area, flags.not_under)),
        remote=flags.remote if flags.local or flags.remote else None,
        fail=flags.fail,
        programs=flags.program,
    ).or_default()


def _area(text: bytes) -> Area:
    """Return what a path or a URI names. Nothing is looked up: the path may be on a dead share."""
    if _URI.match(text):
        return area_of(os.fsdecode(text))
    return Area(clean_path(text, working_directory(os.environ)))


def _mounts() -> Mounts:
    return read_mounts(os.environ)
