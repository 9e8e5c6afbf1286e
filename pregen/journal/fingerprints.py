"""What entries were made of, as rows: found by size and time of a source, the latest first.

A row is a hint. The entry says itself what it was made of, and may have gone or changed since.
"""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing, suppress
from typing import TYPE_CHECKING, Final

from pregen.journal import database
from pregen.thumbspec import mtime

if TYPE_CHECKING:
    from collections.abc import Iterable

#: Files of one size and second are few, or uncompressed pictures from one program by the thousand:
#: to try them all would take longer than to decode.
MOST_KIN: Final = 16
#: The run of entries that were found in a cache: before all that are known.
_NO_RUN: Final = 0

WRITE: Final = (
    "INSERT OR REPLACE INTO fingerprints (size_bytes, mtime_s, run_id, key, fingerprint)"
    " VALUES (?, ?, ?, ?, ?)"
)
READ: Final = (
    "SELECT key, fingerprint FROM fingerprints WHERE size_bytes = ? AND mtime_s = ?"
    " ORDER BY run_id DESC, key DESC LIMIT ?"
)
READ_SHAPE: Final = (bytes, str)
SURVEYED: Final = "SELECT 1 FROM surveys WHERE cache = ?"
SURVEYED_SHAPE: Final = (int,)
_NOTE_SURVEY: Final = "INSERT OR REPLACE INTO surveys (cache) VALUES (?)"
_FORGET_SURVEY: Final = "DELETE FROM surveys WHERE cache = ?"

PrintRow = tuple[int, int, int, bytes, str]


def row(
    key: str, fingerprint: str, size_bytes: int, mtime_ns: int, run_id: int = _NO_RUN
) -> PrintRow:
    """Return a row for `WRITE`."""
    return (*place(size_bytes, mtime_ns), run_id, bytes.fromhex(key), fingerprint)


def place(size_bytes: int, mtime_ns: int) -> tuple[int, int]:
    """Return what rows are found by."""
    return size_bytes, mtime.whole_s(mtime_ns)


def forget_survey(path: bytes, cache_root: bytes) -> None:
    """Have a cache asked once more what its entries say: others came. Nothing where that fails."""
    if not os.path.lexists(path):
        return
    with suppress(sqlite3.Error), closing(database.connect(path, database.PATIENT_S)) as writer:
        writer.execute(_FORGET_SURVEY, (cache_root,))


def write_survey(path: bytes, cache_root: bytes, rows: Iterable[PrintRow]) -> None:
    """Write what the entries of a cache say, all at once. Raises sqlite3.Error."""
    with (
        closing(database.connect(path, database.PATIENT_S)) as writer,
        database.transaction(writer),
    ):
        writer.executemany(WRITE, rows)
        writer.execute(_NOTE_SURVEY, (cache_root,))
