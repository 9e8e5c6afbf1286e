"""What `pregen verify` reports, to a person and with `--json`. Pure."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from pregen.commandline import style
from pregen.display import text
from pregen.display.records import VERSION, path_fields
from pregen.display.text import printable, shown
from pregen.originals.status import OriginalState
from pregen.verbs.verify.checker import Cure

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pregen.errors import ExitCode
    from pregen.verbs.verify.verification import Bad, Verified


_CURES = {
    Cure.MENDED: "mended",
    Cure.REMOVED: "removed",
    Cure.KEPT: "kept: its file is not there now",
    Cure.LEFT: "left: it has changed meanwhile, or may not be changed",
}
_AWAY = {
    OriginalState.GONE: "their file is gone (pregen clean deletes them)",
    OriginalState.OFFLINE: "what their file lies on is not there now",
    OriginalState.UNREADABLE: "their file cannot be examined",
    OriginalState.TIMED_OUT: "what their file lies on does not answer",
    OriginalState.OTHER_SCHEME: "their file is not one of this machine",
}
_SHOWN = 20


def bad_lines(root: bytes, bad: Bad) -> Iterator[str]:
    """Yield lines about one thing that is bad."""
    checked = bad.checked
    where = checked.path.removeprefix(root).lstrip(b"/") or checked.path
    for finding in checked.findings:
        flaw = style(finding.flaw.value, fg="red")
        yield f"{shown(where)}  {flaw}  {printable(finding.reason)}"
    whose = shown(checked.source) if checked.source is not None else printable(checked.uri)
    if whose:
        yield style(f"    of {whose}", dim=True)
    if bad.cure and bad.cure not in {Cure.MENDED, Cure.REMOVED}:
        yield style(f"    {_CURES[bad.cure]}", fg="yellow")


def end_lines(result: Verified, *, repair: bool) -> Iterator[str]:
    """Yield the summary."""
    compared = f", {text.plural(result.compared, 'picture')} compared" if result.compared else ""
    looked = f"{text.plural(result.entries, 'entry', 'entries')} looked at{compared}"
    if result.bad:
        yield style(f"{looked}: {text.count(len(result.bad))} bad", bold=True)
    else:
        yield style(f"{looked}: all as they should be", bold=True)
    for state, words in _AWAY.items():
        if number := result.originals.get(state):
            yield f"  {text.plural(number, 'entry', 'entries')} not compared: {words}"
    for point in result.hung:
        yield style(f"  {shown(point)} does not answer", fg="yellow")
    for link in result.links:
        yield style(f"  Not looked into: {shown(link)} is a symbolic link", fg="yellow")
    if repair:
        yield from _repair_lines(result)
    elif result.bad:
        yield "Mend it with: pregen verify --repair"


def _repair_lines(result: Verified) -> Iterator[str]:
    for kind, words in _CURES.items():
        if number := sum(bad.cure is kind for bad in result.bad):
            yield f"  {text.count(number)} {words}"
    for each in result.not_made[:_SHOWN]:
        yield f"  not made: {shown(each.path)}  {each.kind.value}: {printable(each.message)}"
    if (more := len(result.not_made) - _SHOWN) > 0:
        yield f"  ... and {text.count(more)} more not made"
    for checked in result.still_bad[:_SHOWN]:
        yield style(f"  still bad: {shown(checked.path)}", fg="red")
    if result.unknown:
        yield (
            f"  Whose {text.plural(result.unknown, 'removed entry', 'removed entries')} were is "
            "not known: pregen run over your folders makes what is missing"
        )


# Records. Scripts rely on them: add keys, never rename


def bad_record(bad: Bad) -> dict[str, Any]:
    """Return what is wrong with one thing in the cache."""
    checked = bad.checked
    source = checked.source
    return {
        "v": VERSION,
        "type": "bad",
        **path_fields(checked.path),
        "folder": checked.item.folder.name if checked.item else None,
        "uri": checked.uri or None,
        "source": None if source is None else path_fields(source),
        "source_state": checked.original.state.value,
        "flaws": [
            {"flaw": finding.flaw.value, "reason": finding.reason} for finding in checked.findings
        ],
        "cure": bad.cure and bad.cure.value,
    }


def summary_record(result: Verified, code: ExitCode) -> dict[str, Any]:
    """Return the last object."""
    flaws = Counter(flaw.value for bad in result.bad for flaw in bad.checked.flaws)
    cures = Counter(bad.cure.value for bad in result.bad if bad.cure)
    return {
        "v": VERSION,
        "type": "summary",
        "exit_code": int(code),
        "entries": result.entries,
        "compared": result.compared,
        "bad": len(result.bad),
        "flaws": dict(flaws.most_common()),
        "cures": dict(cures),
        "still_bad": [path_fields(each.path) for each in result.still_bad],
        "not_made": [
            {**path_fields(each.path), "kind": each.kind.value, "message": each.message}
            for each in result.not_made
        ],
        "source_unknown": result.unknown,
        "source_states": {state.value: number for state, number in result.originals.items()},
        "hung": [path_fields(point) for point in result.hung],
        "links": [path_fields(link) for link in result.links],
    }
