"""What `pregen failures` tells people and programs. Pure."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import click

from pregen.failures.model import GROUPS, UNEXPLAINED, Now
from pregen.model import Kind
from pregen.progress import units
from pregen.progress.records import VERSION, path_fields
from pregen.progress.text import printable, shown
from pregen.progress.words import WORDS

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from pregen.errors import ExitCode
    from pregen.failures.model import Failed

_SHOWN = 10
_MORE = {
    Kind.VANISHED.value: "put them back, or take them off the list; a link may lead nowhere",
    Kind.NEEDS_EXTRA.value: "get the extra",
    Kind.UNSUPPORTED.value: "`pregen formats` lists what is read",
    UNEXPLAINED: "--retry tries whether pregen can; --program NAME --forget deletes the records",
}
_NOW = {
    Now.SAME: "",
    Now.CHANGED: "has changed since: the next run tries it",
    Now.GONE: "gone",
    Now.AWAY: "not there now",
    Now.UNKNOWN: "",
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
    yield click.style(units.plural(len(failed), "failure"), bold=True)
    for group in GROUPS:
        members = [each for each in failed if each.why == group]
        if not members:
            continue
        yield ""
        yield from _group_head(group, len(members), install)
        for each in members if verbose else members[:_SHOWN]:
            yield _line(each)
        if not verbose and len(members) > _SHOWN:
            more = units.count(len(members) - _SHOWN)
            yield click.style(f"  ... and {more} more: -v names them", dim=True)


def _group_head(group: str, number: int, install: str) -> Iterator[str]:
    words = None if group == UNEXPLAINED else WORDS[Kind(group)]
    meaning = words.meaning if words else "a program left a fail record, which does not say why"
    title = click.style(f"{group}: {units.count(number)}", fg="red")
    yield f"{title}  {meaning}"
    todo = (words.todo if words else "") or _MORE.get(group, "")
    if group == Kind.NEEDS_EXTRA.value and install:
        todo = f"{install}, and run again"
    if todo:
        yield click.style(f"  {printable(todo)}", fg="yellow")


def _line(failed: Failed) -> str:
    whose = shown(failed.path) if failed.path is not None else printable(failed.uri)
    when = units.moment(failed.at_ns).partition(".")[0]
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
