"""What `pregen clean` tells a person. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from pregen.clean.selection import Kept, Reason
from pregen.progress import units
from pregen.progress.text import printable, shown

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pregen.clean.plan import Doomed, Plan, Tally

#: More places than this are counted only.
_PLACES_SHOWN = 5
_REASONS = {
    Reason.CORRUPT: "no whole PNG, or it does not say whose it is",
    Reason.MISSING: "the original is gone",
    Reason.STALE: "the original has changed",
    Reason.OLD: "not used for long, its original cannot be looked up",
    Reason.CHOSEN: "within the limits",
    Reason.OVER_SIZE: "least recently used, no room",
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
    held = f"{_entries(plan.total)}, {units.size(plan.total_bytes)}"
    yield click.style(f"Cache {shown(root)}: {held}", bold=True)
    going = plan.going
    if plan.doomed:
        yield click.style("Would be deleted" if dry_run else "To be deleted", fg="red")
        yield from _table(going, _REASONS)
    if plan.kept.total:
        yield "Kept" if plan.doomed else "Nothing to delete; kept"
        yield from _table(plan.kept, _KEPT)
    yield from _place_lines(plan)
    for link in plan.links:
        yield click.style(f"Not looked into: {shown(link)} is a symbolic link", fg="yellow")


def question(plan: Plan) -> str:
    """Return what a person is asked."""
    going = plan.going
    return f"Delete {_entries(going.total)} ({units.size(going.total_bytes)})?"


def result_lines(tally: Tally) -> Iterator[str]:
    """Yield what was done."""
    kept, kept_bytes = tally.entries[Kept.CHANGED], tally.size_bytes[Kept.CHANGED]
    deleted = tally.total - kept
    yield f"Deleted {_entries(deleted)}, {units.size(tally.total_bytes - kept_bytes)}."
    if kept:
        yield f"Kept {_entries(kept)} after all: {_KEPT[Kept.CHANGED]}."


def entry_line(each: Doomed) -> str:
    """Return a line about one entry."""
    place = f"{each.folder.name}/{shown(each.name)}"
    return f"  {each.reason.value:<9}  {printable(place)}  {printable(each.uri)}".rstrip()


def _table(tally: Tally, words: dict[Reason, str] | dict[Kept, str]) -> Iterator[str]:
    rows = [
        (units.count(tally.entries[why]), units.size(tally.size_bytes[why]), why.value, meaning)
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
        yield click.style(f"  ... and {units.plural(more, 'other place')}", dim=True)


def _entries(number: int) -> str:
    return units.plural(number, "entry", "entries")
