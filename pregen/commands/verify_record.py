"""What `pregen verify --json` writes. Pure. Scripts rely on it: add keys, never rename."""

from __future__ import annotations

from collections import Counter
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

from pregen.progress.records import VERSION, path_fields

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pregen.commands.rerun import NotMade
    from pregen.errors import ExitCode
    from pregen.originals.sight import State
    from pregen.verify.checker import Checked
    from pregen.verify.mending import Cure


class Bad(NamedTuple):
    """Something bad, and what became of it."""

    checked: Checked
    cure: Cure | None = None
    """None: nothing was to be mended."""


class Verified(NamedTuple):
    """The whole result."""

    root: bytes
    bad: Sequence[Bad]
    entries: int = 0
    """Looked at, fail records included."""
    compared: int = 0
    """Pictures."""
    originals: Mapping[State, int] = MappingProxyType({})
    """What became of the files of sound entries."""
    not_made: Sequence[NotMade] = ()
    still_bad: Sequence[Checked] = ()
    """After the repair."""
    unknown: int = 0
    """Removed entries of which nobody knows whose they were."""
    hung: Sequence[bytes] = ()
    links: Sequence[bytes] = ()


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
            {**path_fields(each.path), "kind": each.kind, "message": each.message}
            for each in result.not_made
        ],
        "source_unknown": result.unknown,
        "source_states": {state.value: number for state, number in result.originals.items()},
        "hung": [path_fields(point) for point in result.hung],
        "links": [path_fields(link) for link in result.links],
    }
