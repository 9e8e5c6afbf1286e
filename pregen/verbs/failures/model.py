"""Failed sources: what the journal and the fail records of all programs say of them."""

from __future__ import annotations

import os
from enum import Enum
from typing import TYPE_CHECKING, Final, NamedTuple

from pregen.model import FAILURES, REMEMBERED, Kind
from pregen.originals.mounts import is_below_any
from pregen.originals.status import UNKNOWN, Original, OriginalState
from pregen.thumbspec.naming import OWN_PROGRAMS, key, made_by, source_path
from pregen.thumbspec.pngbuild import number
from pregen.thumbspec.pngchunks import PngError
from pregen.thumbspec.pngtext import MTIME, SIZE, URI
from pregen.thumbspec.uri import file_uri

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from pregen.cache.folder import CacheFile
    from pregen.cache.store import Cache
    from pregen.journal import Journal, RecordedFailure
    from pregen.originals.examiner import Examiner


#: Outcomes to be told: failures, and what waits for something else than a run.
TOLD: Final = FAILURES | {Kind.VANISHED, Kind.NEEDS_EXTRA, Kind.UNSUPPORTED}


class SourceState(Enum):
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


class FailureRecord(NamedTuple):
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
    """None: the reason is not known."""
    message: str
    at_ns: int
    programs: tuple[str, ...]
    """Whose fail records it has."""
    now: SourceState

    @property
    def why(self) -> str:
        """The group it belongs to, as `--kind` names it."""
        return self.kind.value if self.kind else UNEXPLAINED


#: Of a fail record that no journal explains.
UNEXPLAINED: Final = "recorded"
#: All groups, in the order they are told.
GROUPS: Final = (*(kind.value for kind in Kind if kind in TOLD), UNEXPLAINED)


def joined(said: Iterable[FailureRecord], originals: dict[bytes, Original]) -> list[Failed]:
    """Return one failure for each source, by path.

    Args:
        said: By the journal and by fail records, in any order.
        originals: What is known of the sources now, by path.
    """
    by_source: dict[bytes | str, list[FailureRecord]] = {}
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
        if is_below_any(each.path, paths)
        and (not kinds or each.why in kinds)
        and (not programs or any(made_by(name, programs) for name in each.programs))
    ]


def _failed(said: list[FailureRecord], originals: dict[bytes, Original]) -> Failed:
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


def _is_ours(said: FailureRecord) -> bool:
    return said.program.startswith(OWN_PROGRAMS)


def _now(said: FailureRecord, original: Original) -> SourceState:
    if original.state is OriginalState.GONE:
        return SourceState.GONE
    if original.state in {OriginalState.OFFLINE, OriginalState.TIMED_OUT}:
        return SourceState.AWAY
    if original.state is not OriginalState.THERE:
        return SourceState.UNKNOWN
    if said.kind is Kind.VANISHED:
        return SourceState.CHANGED  # it is back
    size_differs = said.size_bytes is not None and said.size_bytes != original.size_bytes
    mtime_differs = said.mtime_s is not None and said.mtime_s != original.mtime_ns // 10**9
    return SourceState.CHANGED if size_differs or mtime_differs else SourceState.SAME


def gather(journal: Journal, cache: Cache, examiner: Examiner) -> list[Failed]:
    """Return everything that failed in runs on this cache and has not been made since, by path.

    Raises:
        CacheError: the cache cannot be read.
    """
    said = [*_from_journal(journal, cache), *from_records(cache)]
    written_ns: dict[bytes, int] = {}
    for each in said:
        if each.path is not None:
            written_ns[each.path] = max(each.at_ns, written_ns.get(each.path, 0))
    asked = [(path, "", failed_ns) for path, failed_ns in written_ns.items()]
    return joined(said, dict(zip(written_ns, examiner.originals(asked), strict=True)))


def from_records(cache: Cache) -> Iterator[FailureRecord]:
    """Yield what fail records say; those that cannot be read say nothing.

    Raises:
        CacheError: the cache cannot be read.
    """
    for item in records(cache):
        try:
            head = item.head()
        except (OSError, PngError):
            continue
        uri = head.first(URI)
        size = head.first(SIZE)
        seconds = number(head.first(MTIME).partition(".")[0])
        if uri:
            yield FailureRecord(
                source_path(uri),
                uri,
                None,
                "",
                item.stat.st_mtime_ns,
                number(size) if size else None,
                seconds or None,
                item.folder.program,
            )


def records(cache: Cache) -> Iterator[CacheFile]:
    """Yield the fail records of all programs.

    Raises:
        CacheError: the cache cannot be read.
    """
    for folder in cache.fail_folders():
        yield from folder.entries()


def failed_here(
    journal: Journal, cache: Cache, kinds: frozenset[Kind] = TOLD
) -> Iterator[RecordedFailure]:
    """Yield what the journal says of sources that failed in runs on this cache, by path.

    It remembers of a source what the last run said. Where that was one on another cache, the fail
    record tells that it failed here, too. What crashed or timed out fails for every cache: no run
    tries it again unasked.

    Raises:
        CacheError: the cache cannot be read.
    """
    own = {item.key for item in records(cache) if item.folder.program.startswith(OWN_PROGRAMS)}
    here = os.path.realpath(cache.root)
    for row in journal.outcomes(kinds):
        concerns_this = row.cache in {b"", here} or row.kind in REMEMBERED
        if concerns_this or key(file_uri(row.path)) in own:
            yield row


def _from_journal(journal: Journal, cache: Cache) -> Iterator[FailureRecord]:
    for row in failed_here(journal, cache):
        # One that was gone, or could not be looked at, has no size and no time.
        looked = row.kind not in {Kind.VANISHED, Kind.UNREADABLE}
        yield FailureRecord(
            row.path,
            file_uri(row.path),
            row.kind,
            row.message,
            row.seen_at_ns,
            row.size_bytes if looked else None,
            row.mtime_ns // 10**9 if looked else None,
        )
