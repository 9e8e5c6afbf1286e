"""One failed source from what the journal and fail records say of it. Pure."""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING, Final, NamedTuple

from pregen.model import FAILURES, Kind
from pregen.originals.mounts import is_below
from pregen.originals.sight import UNKNOWN, Original, State

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

#: Outcomes to be told: failures, and what waits for something else than a run.
TOLD: Final = FAILURES | {Kind.VANISHED, Kind.NEEDS_EXTRA, Kind.UNSUPPORTED}
#: How the folders of our own fail records begin (`naming.fail_program`).
OWN_PREFIX: Final = "pregen-"


class Now(Enum):
    """How a failed source stands now. The values appear in `--json`: never rename."""

    SAME = "same"
    """As it was when it failed."""
    CHANGED = "changed"
    """It has changed since: the next run tries it again."""
    GONE = "gone"
    AWAY = "away"
    """What it lies on is not there now, or does not answer."""
    UNKNOWN = "unknown"
    """Not a file of this machine."""


class Said(NamedTuple):
    """What the journal says, or one fail record."""

    path: bytes | None
    """Of the source; None: not a file of this machine, or the record does not say."""
    uri: str
    kind: Kind | None
    """None: a fail record, which says that it failed, not why."""
    message: str
    at_ns: int
    """When it failed, since 1970."""
    size_bytes: int | None
    """Of the source when it failed; None: not told."""
    mtime_s: int | None
    program: str = ""
    """Whose fail record; empty: the journal says it."""


class Failed(NamedTuple):
    """A source without a thumbnail."""

    path: bytes | None
    uri: str
    kind: Kind | None
    """None: nobody says why."""
    message: str
    at_ns: int
    programs: tuple[str, ...]
    """Whose fail records it has."""
    now: Now

    @property
    def why(self) -> str:
        """The group it belongs to, as `--kind` names it."""
        return self.kind.value if self.kind else UNEXPLAINED


#: Of a fail record that no journal explains.
UNEXPLAINED: Final = "recorded"
#: All groups, in the order they are told.
GROUPS: Final = (*(kind.value for kind in Kind if kind in TOLD), UNEXPLAINED)


def joined(said: Iterable[Said], originals: dict[bytes, Original]) -> list[Failed]:
    """Return one failure for each source, by path.

    Args:
        said: By the journal and by fail records, in any order.
        originals: What is known of the sources now, by path.
    """
    by_source: dict[bytes | str, list[Said]] = {}
    for each in said:
        by_source.setdefault(each.uri if each.path is None else each.path, []).append(each)
    failed = [_failed(all_said, originals) for all_said in by_source.values()]
    return sorted(failed, key=lambda each: (each.path is None, each.path or b"", each.uri))


def chosen(
    failed: Iterable[Failed],
    paths: Sequence[bytes] = (),
    kinds: Sequence[str] = (),
    programs: Sequence[str] = (),
) -> list[Failed]:
    """Return those at or below the paths, of the kinds, and recorded by the programs; () is all."""
    return [
        each
        for each in failed
        if (not paths or _is_below_any(each.path, paths))
        and (not kinds or each.why in kinds)
        and (not programs or any(made_by(name, programs) for name in each.programs))
    ]


def made_by(program: str, beginnings: Sequence[str]) -> bool:
    """Tell whether a program's name begins with one of these, upper or lower case alike."""
    return any(program.casefold().startswith(name.casefold()) for name in beginnings)


def _failed(said: list[Said], originals: dict[bytes, Original]) -> Failed:
    # The journal knows why; of records our own is the one that was made for that.
    best = min(said, key=lambda each: (bool(each.program), not _is_ours(each), -each.at_ns))
    original = originals.get(best.path, UNKNOWN) if best.path is not None else UNKNOWN
    programs = sorted({each.program for each in said if each.program})
    return Failed(
        best.path,
        best.uri,
        best.kind,
        best.message,
        best.at_ns,
        tuple(programs),
        _now(best, original),
    )


def _is_ours(said: Said) -> bool:
    return said.program.startswith(OWN_PREFIX)


def _now(said: Said, original: Original) -> Now:
    if original.state is State.GONE:
        return Now.GONE
    if original.state in {State.OFFLINE, State.TIMED_OUT}:
        return Now.AWAY
    if original.state is not State.THERE:
        return Now.UNKNOWN
    if said.kind is Kind.VANISHED:
        return Now.CHANGED  # it is back
    size_differs = said.size_bytes is not None and said.size_bytes != original.size_bytes
    mtime_differs = said.mtime_s is not None and said.mtime_s != original.mtime_ns // 10**9
    return Now.CHANGED if size_differs or mtime_differs else Now.SAME


def _is_below_any(path: bytes | None, above: Sequence[bytes]) -> bool:
    return path is not None and any(is_below(path, one) for one in above)
