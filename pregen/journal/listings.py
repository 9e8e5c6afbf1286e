"""What a walk saw in folders, as rows: one for each, because a walk asks for a folder.

Believed by a walk that shall ask a server for no file's attributes (`--check folders`), as long as
the folder's mtime is the same: then no file came, went or was replaced. What was written to in
place cannot be seen so.
"""

from __future__ import annotations

import os
import sqlite3
import struct
import time
from contextlib import closing, suppress
from typing import TYPE_CHECKING, Final

from pregen.journal import database

if TYPE_CHECKING:
    from collections.abc import Mapping

_READ: Final = "SELECT mtime_ns, names, facts FROM listings WHERE folder = ?"
_SHAPE: Final = (int, bytes, bytes)
_WRITE: Final = (
    "INSERT OR REPLACE INTO listings (folder, mtime_ns, names, facts) VALUES (?, ?, ?, ?)"
)
#: A folder of a cache that had no temps, which no walk looks into: a row without names.
SWEPT: Final = "SELECT mtime_ns FROM listings WHERE folder = ? AND names = x''"
_FACTS: Final = struct.Struct("<qq")
#: What happens in a folder within one step of its server's clock does not change its mtime again
#: (FAT counts in steps of two seconds), and clocks differ.
SETTLED_NS: Final = 10_000_000_000
_AT_ONCE: Final = 256
#: Larger folders are looked at, file by file: a row is written whole.
MOST_NAMES: Final = 50_000


def write_swept(connection: sqlite3.Connection, folder: bytes, mtime_ns: int) -> None:
    """Note that a folder of a cache had no temps when its mtime was this."""
    connection.execute(_WRITE, (folder, mtime_ns, b"", b""))


class FolderListings:
    """What is known of folders, and what is learned. For the thread that walks.

    Nothing is raised: what cannot be read or written is looked at by the next walk.

    Args:
        path: of the journal; where there is none, nothing is known.
        learns: what is seen is noted.
    """

    def __init__(self, path: bytes, *, learns: bool = True) -> None:
        self._path = path
        self._learns = learns
        self._reader = database.SharedReader(path)
        self._learned: list[tuple[bytes, int, bytes, bytes]] = []

    def known(self, folder: bytes, mtime_ns: int) -> dict[bytes, tuple[int, int]]:
        """Return size in bytes and mtime in ns of the files in a folder whose mtime is this.

        Empty: they are to be looked at.
        """
        if not os.path.lexists(self._path):
            return {}
        for then_ns, names, facts in self._reader.rows(_SHAPE, _READ, folder):
            split = names.split(b"\0") if names else []
            if then_ns == mtime_ns and len(split) * _FACTS.size == len(facts):
                return dict(zip(split, _FACTS.iter_unpack(facts), strict=True))
        return {}

    def learn(self, folder: bytes, mtime_ns: int, files: Mapping[bytes, tuple[int, int]]) -> None:
        """Note what was seen of the files in a folder: size in bytes, mtime in ns.

        The folder's own `mtime_ns` was asked for before it was listed.
        """
        settled = time.time_ns() - mtime_ns >= SETTLED_NS
        if not (self._learns and settled) or not 0 < len(files) <= MOST_NAMES:
            return
        with suppress(struct.error):  # a mtime beyond 64 bits
            facts = b"".join(_FACTS.pack(*one) for one in files.values())
            self._learned.append((folder, mtime_ns, b"\0".join(files), facts))
        if len(self._learned) >= _AT_ONCE:
            self._write()

    def _write(self) -> None:
        with (
            suppress(sqlite3.Error),
            closing(database.connect(self._path, database.PATIENT_S)) as connection,
            database.transaction(connection),
        ):
            connection.executemany(_WRITE, self._learned)
        self._learned = []

    def close(self) -> None:
        """Write what was learned; nothing is known from then on."""
        if self._learned:
            self._write()
        self._reader.close()
