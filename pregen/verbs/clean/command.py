"""`pregen clean`: deletes entries by reason. Its options, its session, its words and records."""

from __future__ import annotations

import os
import sys
from contextlib import nullcontext
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import click

from pregen.argument_types import age_s, raw_bytes, size_bytes
from pregen.commandline import Command, Option, print_lines, print_record, under
from pregen.display import text
from pregen.display.records import VERSION, path_fields
from pregen.display.text import printable, shown
from pregen.errors import ExitCode, UsageError
from pregen.options import option
from pregen.session import Session, acquire, cache_option, mount_timeout_option
from pregen.verbs.clean.cleaner import Cleaner, CleanTally
from pregen.verbs.clean.selection import CleanReason, Kept, Selection, area_named

if TYPE_CHECKING:
    from collections.abc import Iterator

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
    """Delete entries of the thumbnail cache, and fail records, of any program, by reason.

    Without flags: those whose original is gone, and those that are corrupt. An original on a disk
    or share that is not mounted now is never taken for gone, and one that cannot be examined
    keeps its entries. Shows what would go, and asks.

    An entry goes if one of the reasons you name applies, and all of the limits. Limits without a
    reason are reason enough: `pregen clean --local` deletes every entry of a file on a local disk
    and keeps what took long to make over the network.
    """
    if chosen["local"] and chosen["remote"]:
        raise UsageError("--local and --remote exclude each other: choose one, or neither.")
    selection = _selection(session, **chosen)
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
            "nothing was deleted: there is no terminal to ask on. Add --yes to delete without "
            "being asked, or --dry-run to see what would go."
        )
    from pregen.cache.opening import OpenPolicy  # noqa: PLC0415 - no --help needs it
    from pregen.cache.store import Cache  # noqa: PLC0415 - likewise

    with (
        Cache(root, policy=OpenPolicy.WITHOUT_LINKS) as cache,
        session.examiner(mount_timeout) as examiner,
        session.entry_count() as told,
        nullcontext() if dry_run else session.locked(wait=wait) as lock,
    ):
        now_ns = int(datetime.now(UTC).timestamp() * 1e9)
        cleaner = Cleaner(cache, examiner, selection, now_ns)
        plan = cleaner.plan(told)
        told(-1)
        if not json:
            print_lines(plan_lines(root, plan, dry_run=dry_run))
        if dry_run or not plan.doomed:
            _tell_only(plan, dry_run=dry_run, json=json, verbose=verbose)
            return ExitCode.DONE
        if asks and lock is not None:
            lock.release()  # a run need not wait for the answer: all is looked at once more
            if not click.confirm(question(plan), err=True):
                return ExitCode.DONE
            acquire(lock, wait=wait)
        _delete(session, cleaner, plan, json=json, verbose=verbose)
    return ExitCode.DONE


clean = Command(
    "clean",
    callback=_clean,
    params=[
        *under(
            "Reasons",
            Option(["--missing"], is_flag=True, help="The original is gone."),
            Option(
                ["--stale"],
                is_flag=True,
                help="The original has changed since. (`pregen run` makes such entries again.)",
            ),
            Option(
                ["--corrupt"],
                is_flag=True,
                help="It is not a PNG, is cut off, or does not say whose it is. Damage within the "
                "picture is found by `pregen verify`.",
            ),
            Option(
                ["--older-than", "older_than_s"],
                metavar="TIME",
                type=age_s,
                help="Not used for this long, and its original cannot be looked up: other schemes "
                "(http:, smb:, ...) and removable media. 30d, 4w, 12h.",
            ),
            Option(
                ["--max-size", "max_size_bytes"],
                metavar="SIZE",
                type=size_bytes,
                help="There is no room for it: the least recently used go until the whole cache "
                "has at most this size. 2G, 500M.",
            ),
        ),
        *under(
            "Limits",
            Option(
                ["--under"],
                metavar="PATH",
                type=raw_bytes,
                multiple=True,
                help="Only entries of files in this folder, or with URIs below this one; may be "
                "repeated.",
            ),
            Option(
                ["--not-under"],
                metavar="PATH",
                type=raw_bytes,
                multiple=True,
                help="Only entries of files elsewhere; may be repeated.",
            ),
            Option(
                ["--local"],
                is_flag=True,
                help="Only entries of files on file systems of this machine.",
            ),
            Option(
                ["--remote"],
                is_flag=True,
                help="Only entries of files that come over a network (NFS, SMB, sshfs, gvfs, ...).",
            ),
            Option(["--fail"], is_flag=True, help="Only fail records."),
            Option(
                ["--program", "programs"],
                metavar="NAME",
                multiple=True,
                help="Only what was made by a program whose name begins like this; may be "
                "repeated.",
            ),
        ),
        *under(
            "How",
            Option(["-y", "--yes"], is_flag=True, help="Delete without asking."),
            option("dry-run", short="-n", help="Show what would go; delete nothing."),
            cache_option(),
            option("wait"),
            mount_timeout_option(),
        ),
        option(
            "json",
            help="Write a JSON object per line: every entry that goes, a summary at the end.",
        ),
        option("verbose", help="Name every entry that goes."),
    ],
    help=_clean.__doc__,
    epilog="Examples: `pregen clean --dry-run`; `pregen clean --missing --not-under ~/Archive "
    "--yes`; `pregen clean --max-size 2G`; `pregen clean --older-than 30d`; "
    "`pregen clean --fail --program gnome`.",
)


def _tell_only(plan: Plan, *, dry_run: bool, json: bool, verbose: bool) -> None:
    for each in plan.doomed:
        if json:
            print_record(entry_record(each, deleted=False))
        elif verbose:
            print_lines([entry_line(each)])
    if json:
        print_record(summary_record(plan, None, dry_run=dry_run))


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
    *,
    under: tuple[bytes, ...],
    not_under: tuple[bytes, ...],
    local: bool,
    remote: bool,
    **chosen: Any,
) -> Selection:
    """Return what the options choose; most are named as in a `Selection`."""
    return Selection(
        under=tuple(area_named(text, session.clean) for text in under),
        not_under=tuple(area_named(text, session.clean) for text in not_under),
        remote=remote if local or remote else None,
        **chosen,
    ).or_default()


# What it tells a person. Pure


#: More places than this are counted only.
_PLACES_SHOWN = 5
_REASON_WORDS = {
    CleanReason.CORRUPT: "no whole PNG, or it does not say whose it is",
    CleanReason.MISSING: "the original is gone",
    CleanReason.STALE: "the original has changed",
    CleanReason.OLD: "not used for long, its original cannot be looked up",
    CleanReason.CHOSEN: "within the limits",
    CleanReason.OVER_SIZE: "least recently used, no room",
}
_KEPT = {
    Kept.FINE: "no reason to go",
    Kept.OUTSIDE: "not within the limits",
    Kept.OFFLINE: "what the original lies on is not there now",
    Kept.UNREADABLE: "the original cannot be examined (no permission, or its disk or server fails)",
    Kept.TIMED_OUT: "what the original lies on does not answer",
    Kept.OTHER_SCHEME: "the original is no file of this machine; --older-than takes them",
    Kept.ENTRY_UNREADABLE: "the entry itself cannot be read",
    Kept.CHANGED: "it or its original changed meanwhile",
}


def plan_lines(root: bytes, plan: Plan, *, dry_run: bool) -> Iterator[str]:
    """Yield the plan, coloured."""
    held = f"{_entries(plan.total)}, {text.size(plan.total_bytes)}"
    yield click.style(f"Cache {shown(root)}: {held}", bold=True)
    going = plan.going
    if plan.doomed:
        yield click.style("Would be deleted" if dry_run else "To be deleted", fg="red")
        yield from _table(going, _REASON_WORDS)
    if plan.kept.total:
        yield "Kept" if plan.doomed else "Nothing to delete; kept"
        yield from _table(plan.kept, _KEPT)
    yield from _place_lines(plan)
    for link in plan.links:
        yield click.style(f"Not looked into: {shown(link)} is a symbolic link", fg="yellow")


def question(plan: Plan) -> str:
    """Return what a person is asked."""
    going = plan.going
    return f"Delete {_entries(going.total)} ({text.size(going.total_bytes)})?"


def result_lines(tally: CleanTally) -> Iterator[str]:
    """Yield what was done."""
    kept, kept_bytes = tally.entries[Kept.CHANGED], tally.size_bytes[Kept.CHANGED]
    deleted = tally.total - kept
    yield f"Deleted {_entries(deleted)}, {text.size(tally.total_bytes - kept_bytes)}."
    if kept:
        yield f"Kept {_entries(kept)} after all: {_KEPT[Kept.CHANGED]}."


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


def _place_lines(plan: Plan) -> Iterator[str]:
    for point in plan.hung:
        yield click.style(f"  {shown(point)} does not answer", fg="yellow")
    absent = plan.offline.copy()
    for point in plan.hung:
        absent.pop(point, None)
    for place, number in absent.most_common(_PLACES_SHOWN):
        yield f"  {shown(place)} is not there now: {_entries(number)} kept"
    more = len(absent) - _PLACES_SHOWN
    if more > 0:
        yield click.style(f"  ... and {text.plural(more, 'other place')}", dim=True)


def _entries(number: int) -> str:
    return text.plural(number, "entry", "entries")


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
        "hung": [path_fields(point) for point in plan.hung] if plan else [],
        "links": [path_fields(link) for link in plan.links] if plan else [],
    }


def _count(tally: CleanTally, why: CleanReason | Kept) -> dict[str, int]:
    return {"entries": tally.entries[why], "bytes": tally.size_bytes[why]}
