"""All that the journal has of one run, row by row: for those who look back.

A source has one row, that of the last run which had to do something about it. So an older run's
rows become fewer as later ones touch the same sources.
"""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING, Final, NamedTuple

from pregen.journal import database as files
from pregen.journal.rows import SOURCE_COLUMNS
from pregen.model import Kind, Stages

if TYPE_CHECKING:
    from collections.abc import Iterator

_SOURCES: Final = f"SELECT {SOURCE_COLUMNS} FROM sources WHERE run_id = ?"  # noqa: S608 - constants
_KINDS: Final = {kind.value: kind for kind in Kind}


class SourceHistory(NamedTuple):
    """What became of a source, and when."""

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


def sources_of(journal_path: bytes, run_id: int) -> Iterator[SourceHistory]:
    """Yield the sources of which this run was the last to say something, in no order.

    Raises:
        sqlite3.Error: the journal cannot be read.
    """
    with closing(files.connect(journal_path, files.PATIENT_S)) as database:
        for row in database.execute(_SOURCES, (run_id,)):
            kind = _KINDS.get(row[3])
            if kind is not None:  # else a newer pregen's
                yield SourceHistory(
                    path=row[0],
                    size_bytes=row[1],
                    kind=kind,
                    message=row[4],
                    loader=row[5],
                    mime=row[6],
                    width_px=row[7],
                    height_px=row[8],
                    bytes_written=row[10],
                    bytes_read=row[11],
                    stages=Stages(*row[12:17]),
                    worker_pid=row[17],
                    seen_at_ns=row[19],
                )
