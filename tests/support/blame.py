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
from typing import NamedTuple

_DONE = ("made", "refitted", "tidied", "reused", "fresh")
_FAILED = f"SELECT run_id, path, kind, message FROM sources WHERE kind NOT IN {_DONE}"  # noqa: S608 - constants
_BLAMED_FOR = 2


class _Failure(NamedTuple):
    """A row of the journal."""

    run_id: int
    path: bytes
    kind: str
    message: str


class Blame:
    """What is known of the failures in a journal and the fail records of a cache."""

    def __init__(self, cache: Path, journal: Path) -> None:
        self._cache, self._journal = cache, journal
        self._seen: set[tuple[int, bytes]] = set()
        self._records: set[Path] = set()
        self.tally: Counter[str] = Counter()
        self.found = 0
        """Failures so far, with and without a reason."""

    def look(self, kills: int) -> list[str]:
        """Return what is wrong with the failures of the run that has just ended.

        Args:
            kills: how many of its processes were killed one by one.
        """
        wrong = []
        for failure in self._failures():
            self._seen.add(failure[:2])
            self.found += 1
            if failure.kind == "changed":
                self.tally["sources replaced while they were read"] += 1
            elif (
                failure.kind == "out-of-memory"
                and "SIGKILL" in failure.message
                and kills >= _BLAMED_FOR
            ):
                self.tally["sources that two kills met"] += 1
            else:
                self.tally["sources wrongly blamed"] += 1
                wrong.append(
                    f"blamed after {kills} kills: {os.fsdecode(failure.path)}: {failure.kind}:"
                    f" {failure.message}"
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
