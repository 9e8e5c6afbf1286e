"""Outcomes and runs as rows, and rows as what people ask for. Pure."""

from __future__ import annotations

import json
from enum import Enum
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from pregen.model import FAILURES, Kind

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pregen.model import Outcome

Row = tuple[Any, ...]

#: The order of `outcome_row`.
SOURCE_COLUMNS: Final = (
    "path, size_bytes, mtime_ns, kind, message, loader, mime, width_px, height_px,"
    " entries_written, bytes_written, bytes_read,"
    " read_ns, decode_ns, resize_ns, encode_ns, commit_ns, worker_pid, run_id, seen_at_ns"
)
RUN_COLUMNS: Final = (
    "id, started_at_ns, ended_at_ns, version, host, pid, cwd, arguments, exit_code, counts,"
    " bytes_read, bytes_written, entries_written, wall_ns"
)
FAILURE_COLUMNS: Final = "path, kind, message, size_bytes, mtime_ns, run_id, seen_at_ns"

_INT64 = 2**63


def fits(number: int) -> int:
    """Return `number`, or the nearest that SQLite holds: ext4 and XFS keep times beyond 2262."""
    return max(-_INT64, min(number, _INT64 - 1))


def clean(text: str) -> str:
    """Return `text` as SQLite takes it: names in messages may hold bytes that are no UTF-8."""
    return text.encode("utf-8", "backslashreplace").decode()


def outcome_row(
    outcome: Outcome, size_bytes: int, mtime_ns: int, run_id: int, seen_at_ns: int
) -> Row:
    """Return the row of `sources` for an outcome."""
    return (
        outcome.path,
        fits(size_bytes),
        fits(mtime_ns),
        outcome.kind.value,
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


def run_from_row(row: Row, state: RunState) -> RecordedRun:
    """Return the run of a row of `RUN_COLUMNS`."""
    return RecordedRun(
        run_id=row[0],
        state=state,
        started_at_ns=row[1],
        ended_at_ns=row[2],
        version=row[3],
        host=row[4],
        pid=row[5],
        cwd=row[6],
        arguments=json.loads(row[7]),
        exit_code=row[8],
        counts=json.loads(row[9] or "{}"),
        bytes_read=row[10] or 0,
        bytes_written=row[11] or 0,
        entries_written=row[12] or 0,
        wall_ns=row[13] or 0,
    )


class RecordedFailure(NamedTuple):
    """A source whose last outcome was a failure."""

    path: bytes
    kind: Kind
    message: str
    size_bytes: int
    mtime_ns: int
    run_id: int
    seen_at_ns: int


def failure_from_row(row: Row) -> RecordedFailure:
    """Return the failure of a row of `FAILURE_COLUMNS`."""
    path, kind, *rest = row
    return RecordedFailure(path, Kind(kind), *rest)


def in_list(kinds: frozenset[Kind]) -> str:
    """Return kinds as an SQL list; their values are ours and hold no quotes."""
    return "(" + ", ".join(f"'{value}'" for value in sorted(kind.value for kind in kinds)) + ")"


FAILURE_LIST: Final = in_list(FAILURES)
