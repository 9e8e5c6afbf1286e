"""What `pregen verify` tells a person. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from pregen.originals.sight import State
from pregen.progress import units
from pregen.progress.text import printable, shown
from pregen.verify.mending import Cure

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pregen.commands.verify_record import Bad, Verified

_CURES = {
    Cure.MENDED: "mended",
    Cure.REMOVED: "removed",
    Cure.KEPT: "kept: its file is not there now",
    Cure.LEFT: "left: it has changed meanwhile, or may not be changed",
}
_AWAY = {
    State.GONE: "their file is gone (pregen clean deletes them)",
    State.OFFLINE: "what their file lies on is not there now",
    State.UNREADABLE: "their file cannot be examined",
    State.TIMED_OUT: "what their file lies on does not answer",
    State.OTHER_SCHEME: "their file is not one of this machine",
}
_SHOWN = 20


def bad_lines(root: bytes, bad: Bad) -> Iterator[str]:
    """Yield lines about one thing that is bad."""
    checked = bad.checked
    where = checked.path.removeprefix(root).lstrip(b"/") or checked.path
    for finding in checked.findings:
        flaw = click.style(finding.flaw.value, fg="red")
        yield f"{shown(where)}  {flaw}  {printable(finding.reason)}"
    whose = shown(checked.source) if checked.source is not None else printable(checked.uri)
    if whose:
        yield click.style(f"    of {whose}", dim=True)
    if bad.cure and bad.cure not in {Cure.MENDED, Cure.REMOVED}:
        yield click.style(f"    {_CURES[bad.cure]}", fg="yellow")


def end_lines(result: Verified, *, repair: bool) -> Iterator[str]:
    """Yield the summary."""
    compared = f", {units.plural(result.compared, 'picture')} compared" if result.compared else ""
    looked = f"{units.plural(result.entries, 'entry', 'entries')} looked at{compared}"
    if result.bad:
        yield click.style(f"{looked}: {units.count(len(result.bad))} bad", bold=True)
    else:
        yield click.style(f"{looked}: all as they should be", bold=True)
    for state, words in _AWAY.items():
        if number := result.originals.get(state):
            yield f"  {units.plural(number, 'entry', 'entries')} not compared: {words}"
    for point in result.hung:
        yield click.style(f"  {shown(point)} does not answer", fg="yellow")
    for link in result.links:
        yield click.style(f"  Not looked into: {shown(link)} is a symbolic link", fg="yellow")
    if repair:
        yield from _repair_lines(result)
    elif result.bad:
        yield "Mend it with: pregen verify --repair"


def _repair_lines(result: Verified) -> Iterator[str]:
    for cure, words in _CURES.items():
        if number := sum(bad.cure is cure for bad in result.bad):
            yield f"  {units.count(number)} {words}"
    for each in result.not_made[:_SHOWN]:
        yield f"  not made: {shown(each.path)}  {each.kind}: {printable(each.message)}"
    if (more := len(result.not_made) - _SHOWN) > 0:
        yield f"  ... and {units.count(more)} more not made"
    for checked in result.still_bad[:_SHOWN]:
        yield click.style(f"  still bad: {shown(checked.path)}", fg="red")
    if result.unknown:
        yield (
            f"  Whose {units.plural(result.unknown, 'removed entry', 'removed entries')} were is "
            "not known: pregen run over your folders makes what is missing"
        )
