"""Outcomes and runs as rows, and rows as what people ask for."""

from __future__ import annotations

import json
from enum import Enum
from types import NoneType
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from pregen.journal import database
from pregen.model import Kind, Stages

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterator, Mapping, Sequence

    from pregen.model import Outcome

_INT64 = 2**63
#: To ask an enum for its value is a call of Python.
KIND_VALUES: Final = {kind: kind.value for kind in Kind}


def fits(number: int) -> int:
    """Return `number`, or the nearest that SQLite holds: ext4 and XFS keep times beyond 2262."""
    return number if -_INT64 <= number < _INT64 else -_INT64 if number < 0 else _INT64 - 1


def clean(text: str) -> str:
    """Return `text` as SQLite takes it: names in messages may hold bytes that are not UTF-8."""
    return text if text.isascii() else text.encode("utf-8", "backslashreplace").decode()


#: The columns of `sources`, in the order of `source_row`.
SOURCE_COLUMNS: Final = (
    "path", "size_bytes", "mtime_ns", "kind", "message", "loader", "mime", "width_px", "height_px",
    "entries_written", "bytes_written", "bytes_read", *Stages._fields, "worker_pid", "run_id",
    "seen_at_ns",
)  # fmt: skip


def source_row(
    outcome: Outcome, size_bytes: int, mtime_ns: int, run_id: int, seen_at_ns: int
) -> tuple[Any, ...]:
    """Return the row of `sources` for an outcome."""
    return (
        outcome.path,
        fits(size_bytes),
        fits(mtime_ns),
        KIND_VALUES[outcome.kind],
        clean(outcome.message),
        clean(outcome.loader),
        clean(outcome.mime),
        outcome.width_px,
        outcome.height_px,
        outcome.entries_written,
        outcome.bytes_written,
        outcome.bytes_read,
        *outcome.stages,
        outcome.worker_pid,
        run_id,
        seen_at_ns,
    )


class RunTotals(NamedTuple):
    """What a run did in all, as the summary says it."""

    counts: Mapping[Kind, int]
    """Sources by what became of them, skips included."""
    bytes_read: int = 0
    bytes_written: int = 0
    entries_written: int = 0
    wall_ns: int = 0


class RunState(Enum):
    """How a run stands."""

    ENDED = "ended"
    RUNNING = "running"
    KILLED = "killed"
    """It never said that it ended, and is not there any more."""
    ELSEWHERE = "elsewhere"
    """On another machine, and not ended as far as is known here."""


class RecordedRun(NamedTuple):
    """A run as the journal remembers it."""

    run_id: int
    state: RunState
    started_at_ns: int
    ended_at_ns: int | None
    version: str
    host: str
    pid: int
    cwd: bytes
    arguments: Sequence[str]
    exit_code: int | None
    counts: Mapping[str, int]
    """By `Kind` value; a newer pregen may have written values this one does not know."""
    bytes_read: int
    bytes_written: int
    entries_written: int
    wall_ns: int
    cache: bytes = b""
    """That it filled, without links; empty: none, or not known."""


_RUN_NAMES: Final = tuple(name for name in RecordedRun._fields if name != "state")
_MAYBE: Final = (int, NoneType)
#: In the order of `_RUN_NAMES`.
_RUN_SHAPE: Final = (
    int, int, _MAYBE, str, str, int, bytes, str, _MAYBE, (str, NoneType), int, int, int, int, bytes,
)  # fmt: skip
#: What `recorded_run` takes.
RUN_COLUMNS: Final = (
    "id AS run_id, started_at_ns, ended_at_ns, version, host, pid, cwd, arguments, exit_code,"
    " counts, coalesce(bytes_read, 0) AS bytes_read, coalesce(bytes_written, 0) AS bytes_written,"
    " coalesce(entries_written, 0) AS entries_written, coalesce(wall_ns, 0) AS wall_ns,"
    " filled AS cache"
)


def recorded_run(row: sqlite3.Row, state: RunState) -> RecordedRun:
    """Return the run of a row of `RUN_COLUMNS`.

    Raises:
        DamagedJournalError: The row is not as it was written.
    """
    found = dict(zip(_RUN_NAMES, database.fitting(row, _RUN_SHAPE), strict=True))
    found["arguments"] = json_value(found["arguments"], list)
    counts = found["counts"] = json_value(found["counts"] or "{}", dict)
    if not all(isinstance(number, int) for number in counts.values()):
        raise database.DamagedJournalError("a row holds invalid counts")
    return RecordedRun(**found, state=state)


def json_value(text: str, kind: type[Any]) -> Any:
    """Return what a column of JSON holds. Raises DamagedJournalError: nothing of this kind."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise database.DamagedJournalError("a row holds no JSON") from error
    if not isinstance(value, kind):
        raise database.DamagedJournalError("a row holds unexpected JSON")
    return value


class RecordedFailure(NamedTuple):
    """A source whose last outcome was a failure."""

    path: bytes
    kind: Kind
    message: str
    size_bytes: int
    mtime_ns: int
    run_id: int
    seen_at_ns: int
    cache: bytes
    """That the run filled; empty: none, or not known."""


#: Of a row of its fields.
_FAILURE_SHAPE: Final = (bytes, str, str, int, int, int, int, bytes)


def recorded_failure(row: sqlite3.Row) -> RecordedFailure:
    """Return the failure of a row of its fields.

    Raises:
        DamagedJournalError: The row is not as it was written.
    """
    found = RecordedFailure(*database.fitting(row, _FAILURE_SHAPE))
    return found._replace(path=a_path(found.path), kind=known_kind(found.kind))


def a_path(path: bytes) -> bytes:
    """Return a path that can be one.

    Raises:
        DamagedJournalError: The walk cannot have found it.
    """
    if not path.startswith(b"/") or b"\0" in path:
        raise database.DamagedJournalError("a row holds an invalid path")
    return path


def known_kind(value: object) -> Kind:
    """Return the kind of this value, which a query asked for.

    Raises:
        DamagedJournalError: There is none.
    """
    kind = _KINDS.get(str(value))
    if kind is None:
        raise database.DamagedJournalError("a row holds an invalid outcome")
    return kind


class SourceHistory(NamedTuple):
    """What became of a source, and when.

    A source has one row, that of the last run which had to do something about it. So an older
    run's rows become fewer as later ones touch the same sources.
    """

    path: bytes
    size_bytes: int
    kind: Kind
    message: str
    loader: str
    mime: str
    width_px: int
    height_px: int
    bytes_written: int
    bytes_read: int
    stages: Stages
    worker_pid: int
    seen_at_ns: int


_KINDS: Final = {kind.value: kind for kind in Kind}
_STAGES: Final = Stages._fields
_COLUMNS: Final = (*(name for name in SourceHistory._fields if name != "stages"), *_STAGES)
_SOURCE_SHAPE: Final = (
    bytes, int, str, str, str, str, *[int] * (len(_COLUMNS) - 6),
)  # fmt: skip
_SOURCES: Final = f"SELECT {', '.join(_COLUMNS)} FROM sources WHERE run_id = ?"  # noqa: S608 - names


def sources_of(connection: sqlite3.Connection, run_id: int) -> Iterator[SourceHistory]:
    """Yield the sources of which this run was the last to say something, in no order.

    Raises:
        sqlite3.Error: the journal cannot be read.
    """
    for row in connection.execute(_SOURCES, (run_id,)):
        found = dict(zip(_COLUMNS, database.fitting(row, _SOURCE_SHAPE), strict=True))
        found["path"] = a_path(found["path"])
        found["stages"] = Stages(**{name: found.pop(name) for name in _STAGES})
        found["kind"] = _KINDS.get(found["kind"])
        if found["kind"] is not None:  # else a newer pregen's
            yield SourceHistory(**found)


def in_list(kinds: frozenset[Kind]) -> str:
    """Return kinds as an SQL list; their values are ours and hold no quotes."""
    return "(" + ", ".join(f"'{value}'" for value in sorted(kind.value for kind in kinds)) + ")"
