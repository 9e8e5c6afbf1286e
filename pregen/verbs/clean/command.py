"""`pregen clean`: deletes entries by reason. Its options, its session, its words and records."""

from __future__ import annotations

import os
import shlex
import sys
from contextlib import nullcontext
from datetime import UTC, datetime
from itertools import chain
from typing import TYPE_CHECKING, Any

import click

from pregen.argument_types import age_s, flavors, raw_bytes, size_bytes
from pregen.commandline import Command, Option, agreed, print_lines, print_record, under
from pregen.display import text
from pregen.display.records import VERSION, path_fields
from pregen.display.text import printable, shown
from pregen.display.words import thumbnails
from pregen.errors import ExitCode, UsageError
from pregen.options import option
from pregen.session import Session, acquire, cache_option, mount_timeout_option
from pregen.verbs.clean.cleaner import Cleaner, CleanTally
from pregen.verbs.clean.selection import CleanReason, Kept, Selection, area_named

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pregen.journal import Journal
    from pregen.model import Flavor
    from pregen.verbs.clean.cleaner import Doomed, Plan


@click.pass_obj
def _clean(
    session: Session,
    /,
    *,
    yes: bool,
    dry_run: bool,
    wait: bool,
    mount_timeout: float,
    json: bool,
    verbose: bool,
    **chosen: Any,
) -> ExitCode:
    """Delete thumbnails and fail records of all programs, chosen by reason.

    Without flags: those whose file no longer exists, and corrupt ones. A file on a disk or share
    that is not mounted now never counts as deleted, nor do many files of a folder that vanished
    together, and thumbnails whose file cannot be examined stay. Shows what would be deleted, and
    asks.

    A thumbnail or fail record is deleted if any of the given reasons and all of the given limits
    apply. Limits alone suffice: `pregen clean --local` deletes every thumbnail of a file on a
    local disk, and keeps those of network files. `pregen clean --under FOLDER` deletes those of
    the files in one folder.
    """
    vaults: tuple[bytes, ...] = chosen.pop("vaults")
    selection = _selection(session, vaults, **chosen)
    root = session.cache_root
    if not os.path.isdir(root):
        if json:
            print_record(summary_record(None, None, dry_run=dry_run))
        else:
            print_lines([f"There is no cache at {printable(os.fsdecode(root))}: nothing to do."])
        return ExitCode.DONE
    asks = not (yes or dry_run)
    if asks and not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise UsageError(
            "nothing was deleted: there is no terminal to ask on. Use --yes to delete "
            "without a question, or --dry-run to see what would be deleted."
        )
    from pregen.cache.opening import OpenPolicy  # noqa: PLC0415 - no --help needs it
    from pregen.cache.store import Cache  # noqa: PLC0415 - likewise

    with (
        Cache(root, policy=OpenPolicy.WITHOUT_LINKS) as cache,
        session.journal() as journal,
        session.examiner(mount_timeout, journal.file_system_of) as examiner,
        session.entry_count() as told,
        nullcontext() if dry_run else session.locked(wait=wait) as lock,
    ):
        now_ns = int(datetime.now(UTC).timestamp() * 1e9)
        named = [session.clean(path) for path in vaults]
        places = session.private_places(journal, named)
        cleaner = Cleaner(cache, examiner, selection, now_ns, places)
        plan = cleaner.plan(told)
        told(-1)
        if not json:
            print_lines(plan_lines(root, plan, session.cache_flag, dry_run=dry_run))
        if dry_run or not plan.doomed:
            _tell_only(plan, dry_run=dry_run, json=json, verbose=verbose)
            if not dry_run:
                _forget(journal, cleaner, plan, named)
            return ExitCode.DONE
        if asks and lock is not None:
            lock.release()  # a run need not wait for the answer: all is looked at once more
            if not agreed(question(plan)):
                print_lines(["Nothing was deleted."] if not json else [])
                return ExitCode.DONE
            acquire(lock, wait=wait)
        _delete(session, cleaner, plan, json=json, verbose=verbose)
        _forget(journal, cleaner, plan, named)
    return ExitCode.DONE


clean = Command(
    "clean",
    callback=_clean,
    params=[
        click.Argument(["vaults"], metavar="[VAULT]...", type=raw_bytes, nargs=-1),
        *under(
            "Reasons",
            Option(["--missing"], is_flag=True, help="The file no longer exists."),
            Option(
                ["--stale"],
                is_flag=True,
                help="The file has changed since. (`pregen run` recreates such thumbnails.)",
            ),
            Option(
                ["--corrupt"],
                is_flag=True,
                help="Not a PNG, cut off, or without a URI. `pregen verify` finds damage "
                "within the picture.",
            ),
            Option(
                ["--private"],
                is_flag=True,
                help="The file lies in an encrypted vault or disk, open or locked, and the cache "
                "does not. VAULTs are folders that count as vaults, too: those that pregen cannot "
                "find itself.",
            ),
            Option(
                ["--older-than", "older_than_s"],
                metavar="TIME",
                type=age_s,
                help="Not used for this long, and the file cannot be looked up: other "
                "schemes (http:, smb:, ...) and removable media. 30d, 4w, 12h.",
            ),
            Option(
                ["--max-size", "max_size_bytes"],
                metavar="SIZE",
                type=size_bytes,
                help="Delete the least recently used until the whole cache has at most this "
                "size. 2G, 500M.",
            ),
        ),
        *under(
            "Limits",
            Option(
                ["--under"],
                metavar="PATH",
                type=raw_bytes,
                multiple=True,
                help="Only thumbnails of files in this folder, or with URIs below this one; may be "
                "repeated.",
            ),
            Option(
                ["--not-under"],
                metavar="PATH",
                type=raw_bytes,
                multiple=True,
                help="Only thumbnails of files elsewhere; may be repeated.",
            ),
            Option(
                ["--local"],
                is_flag=True,
                help="Only thumbnails of files on file systems of this machine.",
            ),
            Option(
                ["--remote"],
                is_flag=True,
                help="Only thumbnails of files that come over a network (NFS, SMB, sshfs, gvfs, "
                "...).",
            ),
            Option(["--fail"], is_flag=True, help="Only fail records."),
            Option(
                ["--flavor"],
                metavar="SIZE",
                type=flavors,
                multiple=True,
                help="Only thumbnails of this size: normal, large, x-large or xx-large; may be "
                "repeated.",
            ),
            Option(
                ["--program", "programs"],
                metavar="NAME",
                multiple=True,
                help="Only those written by a program whose name starts with NAME; may be "
                "repeated.",
            ),
        ),
        *under(
            "How",
            Option(["-y", "--yes"], is_flag=True, help="Delete without asking."),
            option("dry-run", help="Show what would be deleted; delete nothing."),
            cache_option(),
            option("wait"),
            mount_timeout_option(),
        ),
        option(
            "json",
            help="Write a JSON object per line: everything deleted, and a final summary.",
        ),
        option("verbose", help="List everything deleted."),
    ],
    help=_clean.__doc__,
    epilog="Examples: `pregen clean --dry-run`; `pregen clean --missing --not-under ~/Archive "
    "--yes`; `pregen clean --max-size 2G`; `pregen clean --older-than 30d`; "
    "`pregen clean --fail --program gnome`; `pregen clean --flavor x-large`; "
    "`pregen clean --private`.",
)


def _forget(journal: Journal, cleaner: Cleaner, plan: Plan, named: list[bytes]) -> None:
    """Have the journal know nothing of what lies in vaults whose entries were to go."""
    keys = [each.name.removesuffix(".png") for each in plan.doomed]
    journal.forget_below([*cleaner.private_places, *named], keys)


def _tell_only(plan: Plan, *, dry_run: bool, json: bool, verbose: bool) -> None:
    for each in plan.doomed:
        if json:
            print_record(entry_record(each, deleted=False))
        elif verbose:
            print_lines([entry_line(each)])
    if json:
        print_record(summary_record(plan, None, dry_run=dry_run))
    else:
        print_lines(["", verdict(plan)])


def _delete(session: Session, cleaner: Cleaner, plan: Plan, *, json: bool, verbose: bool) -> None:
    def done(each: Doomed, deleted: bool) -> None:  # noqa: FBT001 - the cleaner's signature
        if json:
            print_record(entry_record(each, deleted=deleted))
        elif verbose and deleted:
            print_lines([entry_line(each)])

    tally = cleaner.delete(plan, session.mounts, done)
    if json:
        print_record(summary_record(plan, tally, dry_run=False))
    else:
        print_lines(result_lines(tally))


def _selection(
    session: Session,
    vaults: tuple[bytes, ...],
    *,
    under: tuple[bytes, ...],
    not_under: tuple[bytes, ...],
    local: bool,
    remote: bool,
    flavor: tuple[tuple[Flavor, ...], ...],
    **chosen: Any,
) -> Selection:
    """Return what the options choose; most are named as in a `Selection`."""
    if local and remote:
        raise UsageError("--local and --remote exclude each other: choose one, or neither.")
    if vaults and not chosen["private"]:
        folder = printable(shlex.quote(os.fsdecode(session.clean(vaults[0]))))
        raise UsageError(
            "VAULT is for --private only. To delete the thumbnails of the files in "
            f"{shown(vaults[0])}: pregen clean{session.cache_flag} --under {folder}"
        )
    if flavor and chosen["fail"]:
        raise UsageError("a fail record has no size: choose --fail or --flavor.")
    return Selection(
        flavors=frozenset(chain.from_iterable(flavor)),
        under=tuple(area_named(text, session.clean) for text in under),
        not_under=tuple(area_named(text, session.clean) for text in not_under),
        remote=remote if local or remote else None,
        **chosen,
    ).or_default()


# What it tells a person. Pure


#: More places than this are counted only.
_PLACES_SHOWN = 5
_REASON_WORDS = {
    CleanReason.CORRUPT: "not a whole PNG, or without a URI",
    CleanReason.MISSING: "the file no longer exists",
    CleanReason.STALE: "the file has changed",
    CleanReason.OLD: "not used for a long time; its file cannot be looked up",
    CleanReason.CHOSEN: "within the limits",
    CleanReason.PRIVATE: "the file is encrypted, and the cache is not",
    CleanReason.OVER_SIZE: "least recently used; over --max-size",
}
_KEPT = {
    Kept.FINE: "no reason to delete",
    Kept.OUTSIDE: "not within the limits",
    Kept.OFFLINE: "its volume is not mounted",
    Kept.UNREADABLE: "the file cannot be examined (no permission, or its disk or server fails)",
    Kept.TIMED_OUT: "its volume does not answer",
    Kept.OTHER_SCHEME: "not a local file; --older-than selects these",
    Kept.ENTRY_UNREADABLE: "the thumbnail cannot be read",
    Kept.CHANGED: "the thumbnail or its file changed meanwhile",
}


def plan_lines(root: bytes, plan: Plan, cache_flag: str, *, dry_run: bool) -> Iterator[str]:
    """Yield the plan, coloured; `cache_flag` is for the command in it."""
    held = f"{thumbnails(plan.total, plan.total_fails)}, {text.size(plan.total_bytes)}"
    yield click.style(f"Cache {shown(root)}: {held}", bold=True)
    going = plan.going
    if plan.doomed:
        yield click.style("Would be deleted" if dry_run else "To be deleted", fg="red")
        yield from _table(going, _REASON_WORDS)
    if plan.kept.total:
        yield "Kept"
        yield from _table(plan.kept, _KEPT)
    yield from _place_lines(plan, cache_flag)
    for link in plan.links:
        yield click.style(f"Skipped: {shown(link)} is a symbolic link", fg="yellow")


def verdict(plan: Plan) -> str:
    """Return how it ends when nothing is deleted, coloured."""
    going = plan.going
    if not going.total:
        kept = f": {text.count(plan.kept.total)} kept" if plan.kept.total else ""
        return click.style(f"Nothing to delete{kept}.", fg="green")
    held = f"{_going(going)}, {text.size(going.total_bytes)}"
    return click.style(f"Would delete {held}. Nothing was deleted.", bold=True)


def question(plan: Plan) -> str:
    """Return what a person is asked."""
    going = plan.going
    return f"Delete {_going(going)} ({text.size(going.total_bytes)})?"


def result_lines(tally: CleanTally) -> Iterator[str]:
    """Yield what was done."""
    kept, kept_bytes = tally.entries[Kept.CHANGED], tally.size_bytes[Kept.CHANGED]
    if kept:
        these = thumbnails(kept, tally.fail_records[Kept.CHANGED])
        yield f"Kept {these} after all: {_KEPT[Kept.CHANGED]}."
    yield f"Deleted {_going(tally)}, {text.size(tally.total_bytes - kept_bytes)}."


def entry_line(each: Doomed) -> str:
    """Return a line about one entry."""
    place = f"{each.folder.name}/{each.name}"
    return f"  {each.reason.value:<9}  {printable(place)}  {printable(each.uri)}".rstrip()


def _table(tally: CleanTally, words: dict[CleanReason, str] | dict[Kept, str]) -> Iterator[str]:
    rows = [
        (text.count(tally.entries[why]), text.size(tally.size_bytes[why]), why.value, meaning)
        for why, meaning in words.items()
        if tally.entries[why]
    ]
    widths = [max(len(row[column]) for row in rows) for column in range(3)] if rows else []
    for number, size, name, meaning in rows:
        yield f"  {number:>{widths[0]}}  {size:>{widths[1]}}  {name:<{widths[2]}}  {meaning}"


def _place_lines(plan: Plan, cache_flag: str) -> Iterator[str]:
    for point in plan.hung:
        yield click.style(f"  {shown(point)} does not answer", fg="yellow")
    absent = plan.offline.copy()
    for point in plan.hung:
        absent.pop(point, None)
    for place, number in absent.most_common(_PLACES_SHOWN):
        yield f"  {shown(place)} is not mounted: {text.count(number)} kept"
    for place, number in plan.emptied.most_common(_PLACES_SHOWN):
        yield f"  {shown(place)} has lost all its files at once: {text.count(number)} kept"
    if absent or plan.emptied:
        command = f"`pregen clean{cache_flag} --under PATH`"
        yield click.style(f"  Gone for good? {command} deletes these.", dim=True)
    more = len(absent) - _PLACES_SHOWN
    if more > 0:
        yield click.style(f"  ... and {text.plural(more, 'other place')}", dim=True)


def _going(tally: CleanTally) -> str:
    """Return how many go, or went."""
    kept = tally.entries[Kept.CHANGED], tally.fail_records[Kept.CHANGED]
    return thumbnails(tally.total - kept[0], tally.fail_records.total() - kept[1])


# What `--json` writes. Pure. Scripts rely on it: add keys, never rename


def entry_record(each: Doomed, *, deleted: bool) -> dict[str, Any]:
    """Return what became, or would become, of one entry."""
    return {
        "v": VERSION,
        "type": "entry",
        **path_fields(each.path),
        "folder": each.folder.name,
        "uri": each.uri,
        "reason": each.reason.value,
        "bytes": each.size_bytes,
        "deleted": deleted,
    }


def summary_record(plan: Plan | None, done: CleanTally | None, *, dry_run: bool) -> dict[str, Any]:
    """Return the last object.

    Args:
        plan: None: there is no cache.
        done: What was really deleted; None: nothing was.
        dry_run: Nothing was to be deleted.
    """
    kept = plan.kept if plan else CleanTally()
    planned = plan.going if plan else CleanTally()
    return {
        "v": VERSION,
        "type": "summary",
        "exit_code": int(ExitCode.DONE),
        "dry_run": dry_run,
        "entries": plan.total if plan else 0,
        "bytes": plan.total_bytes if plan else 0,
        "planned": {reason.value: _count(planned, reason) for reason in CleanReason},
        "deleted": {reason.value: _count(done or CleanTally(), reason) for reason in CleanReason},
        "kept": {
            why.value: _count(done or CleanTally() if why is Kept.CHANGED else kept, why)
            for why in Kept
        },
        "offline": [
            {**path_fields(place), "entries": number, "hung": place in plan.hung}
            for place, number in plan.offline.most_common()
        ]
        if plan
        else [],
        "emptied": [
            {**path_fields(place), "entries": number}
            for place, number in plan.emptied.most_common()
        ]
        if plan
        else [],
        "hung": [path_fields(point) for point in plan.hung] if plan else [],
        "links": [path_fields(link) for link in plan.links] if plan else [],
    }


def _count(tally: CleanTally, why: CleanReason | Kept) -> dict[str, int]:
    return {"entries": tally.entries[why], "bytes": tally.size_bytes[why]}
