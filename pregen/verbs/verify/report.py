"""What `pregen verify` reports, to a person and with `--json`. Pure."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from pregen.commandline import style
from pregen.display import text
from pregen.display.records import VERSION, path_fields
from pregen.display.text import printable, shown
from pregen.display.words import thumbnails
from pregen.originals.status import OriginalState
from pregen.verbs.verify.anatomy import Flaw
from pregen.verbs.verify.checker import Cure

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pregen.errors import ExitCode
    from pregen.verbs.verify.checker import Checked
    from pregen.verbs.verify.verification import Verified


_CURES = {
    Cure.MENDED: "repaired",
    Cure.REMOVED: "removed",
    Cure.KEPT: "kept: its file is not available",
    Cure.LEFT: "left: it has changed meanwhile, or cannot be changed",
    Cure.SAME: "left: two decoders disagree about its file, and a new one would be the same",
}
_AWAY = {
    OriginalState.GONE: "their file no longer exists (`pregen clean` deletes them)",
    OriginalState.OFFLINE: "their file's volume is not mounted",
    OriginalState.UNREADABLE: "their file cannot be examined",
    OriginalState.TIMED_OUT: "their file's volume does not answer",
    OriginalState.OTHER_SCHEME: "not local files",
}
_SHOWN = 20


def bad_lines(root: bytes, checked: Checked) -> Iterator[str]:
    """Yield lines about one thing that is bad."""
    where = checked.path.removeprefix(root).lstrip(b"/") or checked.path
    for finding in checked.findings:
        flaw = style(finding.flaw.value, fg="red")
        yield f"{shown(where)}  {flaw}  {printable(finding.reason)}"
    whose = shown(checked.source) if checked.source is not None else printable(checked.uri)
    if whose:
        yield style(f"    of {whose}", dim=True)
    if checked.cure and checked.cure not in {Cure.MENDED, Cure.REMOVED}:
        yield style(f"    {_CURES[checked.cure]}", fg="yellow")


def end_lines(result: Verified, cache_flag: str, *, repair: bool) -> Iterator[str]:
    """Yield the summary; its last line says how it ended and what to do."""
    details = [*_detail_lines(result), *(_repair_lines(result) if repair else ())]
    yield from details
    if details or result.bad:
        yield ""
    yield style(_verdict(result, cache_flag, repair=repair), bold=True)


def _verdict(result: Verified, cache_flag: str, *, repair: bool) -> str:
    compared = f", {text.plural(result.compared, 'picture')} compared" if result.compared else ""
    looked = f"{thumbnails(result.entries, result.fail_records)} checked{compared}"
    if not result.bad:
        return f"{looked}: all correct." if result.entries else "No thumbnails to check."
    bad = f"{looked}: {text.count(len(result.bad))} bad"
    if not repair:
        can = any(Flaw.DISPUTED not in each.flaws for each in result.bad)
        return f"{bad}. To repair them: pregen verify{cache_flag} --repair" if can else f"{bad}."
    cured = sum(each.cure in {Cure.MENDED, Cure.REMOVED} for each in result.bad)
    left = len(result.bad) - cured + len(result.still_bad)
    return f"{bad}, {text.count(left)} still bad." if left else f"{bad}, all repaired or removed."


def _detail_lines(result: Verified) -> Iterator[str]:
    if result.alone:
        kinds = ", ".join(f"{mime} {count}" for mime, count in sorted(result.alone.items()))
        alone = text.plural(sum(result.alone.values()), "picture")
        yield f"  {alone} compared with what the same decoder makes now:"
        yield f"    no other decoder reads these files ({kinds})"
    for state, words in _AWAY.items():
        if number := result.originals.get(state):
            yield f"  {text.plural(number, 'thumbnail')} not compared: {words}"
    for point in result.hung:
        yield style(f"  {shown(point)} does not answer", fg="yellow")
    for link in result.links:
        yield style(f"  Skipped: {shown(link)} is a symbolic link", fg="yellow")


def _repair_lines(result: Verified) -> Iterator[str]:
    for kind, words in _CURES.items():
        if number := sum(bad.cure is kind for bad in result.bad):
            yield f"  {text.count(number)} {words}"
    for each in result.not_made[:_SHOWN]:
        yield f"  not recreated: {shown(each.path)}  {each.kind.value}: {printable(each.message)}"
    if (more := len(result.not_made) - _SHOWN) > 0:
        yield f"  ... and {text.count(more)} more not recreated"
    for checked in result.still_bad[:_SHOWN]:
        yield style(f"  still bad: {shown(checked.path)}", fg="red")
    if result.unknown:
        yield (
            f"  {text.plural(result.unknown, 'removed thumbnail')} of unknown "
            "files: `pregen run` over your folders recreates missing thumbnails"
        )


# Records. Scripts rely on them: add keys, never rename


def bad_record(checked: Checked) -> dict[str, Any]:
    """Return what is wrong with one thing in the cache."""
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
        "cure": checked.cure and checked.cure.value,
    }


def summary_record(result: Verified, code: ExitCode) -> dict[str, Any]:
    """Return the last object."""
    flaws = Counter(flaw.value for bad in result.bad for flaw in bad.flaws)
    cures = Counter(bad.cure.value for bad in result.bad if bad.cure)
    return {
        "v": VERSION,
        "type": "summary",
        "exit_code": int(code),
        "entries": result.entries,
        "compared": result.compared,
        "compared_alone": dict(result.alone),
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
