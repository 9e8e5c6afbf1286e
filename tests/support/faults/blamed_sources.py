"""Sources that runs put down as failing though none of them is bad. For the kill storm.

Two reasons are true all the same: the source was replaced while it was read, or two kills in one
run met it. Looked for after each run, because a later one that succeeds hides it.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
import tempfile
from collections import Counter
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence

_DONE = ("made", "refitted", "tidied", "reused", "fresh")
_FAILED = f"SELECT run_id, path, kind, message, worker_pid FROM sources WHERE kind NOT IN {_DONE}"  # noqa: S608 - constants
_KILLS_EACH = 2


class _Failure(NamedTuple):
    """A row of the journal."""

    run_id: int
    path: bytes
    kind: str
    message: str
    worker_pid: int


class Blame:
    """What is known of the failures in a journal and the fail records of a cache."""

    def __init__(self, cache: Path, journal: Path) -> None:
        self._cache, self._journal = cache, journal
        self._seen: set[tuple[int, bytes]] = set()
        self._records: set[Path] = set()
        self.tally: Counter[str] = Counter()
        self.found = 0
        """Failures so far, with and without a reason."""

    def look(self, killed: Sequence[int]) -> list[str]:
        """Return what is wrong with the failures of the run that has just ended.

        Args:
            killed: its workers that were killed one by one, in that order.
        """
        wrong = []
        kills_left = len(killed)
        for failure in self._failures():
            self._seen.add(failure[:2])
            self.found += 1
            if failure.kind == "changed":
                self.tally["sources replaced while they were read"] += 1
            elif _met_twice(failure, killed) and kills_left >= _KILLS_EACH:
                kills_left -= _KILLS_EACH
                self.tally["sources that two kills met"] += 1
            else:
                self.tally["sources wrongly blamed"] += 1
                wrong.append(
                    f"blamed, and {len(killed)} workers killed:"
                    f" {os.fsdecode(failure.path)}: {failure.kind}: {failure.message}"
                )
        records = {*self._cache.glob("thumbnails/fail/pregen-*/*.png")} - self._records
        self._records |= records
        return [*wrong, *(f"fail record of a sound source: {path}" for path in sorted(records))]

    def _failures(self) -> list[_Failure]:
        """Read the new ones from a copy: to bring the journal's log in order is the next run's."""
        with tempfile.TemporaryDirectory() as folder:
            for ending in ("", "-wal"):
                if (part := Path(f"{self._journal}{ending}")).exists():
                    shutil.copy(part, folder)
            with closing(sqlite3.connect(Path(folder) / self._journal.name)) as database:
                rows = [_Failure(*row) for row in database.execute(_FAILED)]
        return [row for row in rows if row[:2] not in self._seen]


def _met_twice(failure: _Failure, killed: Sequence[int]) -> bool:
    """Tell whether a kill was the last of two: it is not the first, and it hit the worker named."""
    named = failure.kind == "out-of-memory" and "SIGKILL" in failure.message
    return named and failure.worker_pid in killed[1:]
