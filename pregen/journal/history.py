"""All that the journal has of one run, row by row: for those who look back.

A source has one row, that of the last run which had to do something about it. So an older run's
rows become fewer as later ones touch the same sources.
"""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING, Final, NamedTuple

from pregen.journal import database
from pregen.model import Kind, Stages

if TYPE_CHECKING:
    from collections.abc import Iterator

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


_STAGES: Final = Stages._fields
_COLUMNS: Final = (*(name for name in SourceHistory._fields if name != "stages"), *_STAGES)
_SOURCES: Final = f"SELECT {', '.join(_COLUMNS)} FROM sources WHERE run_id = ?"  # noqa: S608 - names


def sources_of(journal_path: bytes, run_id: int) -> Iterator[SourceHistory]:
    """Yield the sources of which this run was the last to say something, in no order.

    Raises:
        sqlite3.Error: the journal cannot be read.
    """
    with closing(database.connect(journal_path, database.PATIENT_S)) as connection:
        for row in connection.execute(_SOURCES, (run_id,)):
            found = dict(row)
            found["stages"] = Stages(**{name: found.pop(name) for name in _STAGES})
            found["kind"] = _KINDS.get(found["kind"])
            if found["kind"] is not None:  # else a newer pregen's
                yield SourceHistory(**found)
