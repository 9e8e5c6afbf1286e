"""What the journal knows of a folder that may be gone: for those who look for what it left behind.

Reads with a connection of its own, and finds nothing where the journal cannot be read.
"""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING, Final

from pregen.journal import database as files
from pregen.journal import folders

if TYPE_CHECKING:
    from collections.abc import Iterable

#: Names sort as bytes, and `0` follows `/`: all below a folder lies between the two.
_SOURCES: Final = "SELECT path FROM sources WHERE path = ? OR (path >= ? AND path < ?)"
_FOLDERS: Final = (
    "SELECT path, version, flavors, names, facts FROM folders"
    " WHERE path = ? OR (path >= ? AND path < ?)"
)
_FORGET_SOURCE: Final = "DELETE FROM sources WHERE path = ?"


def known_below(journal_path: bytes, places: Iterable[bytes]) -> dict[bytes, str]:
    """Return the sources known at, or anywhere below, some places.

    Returns:
        Path to key: 32 hex digits where an entry is known under it, else empty.
    """
    found: dict[bytes, str] = {}
    if not os.path.lexists(journal_path):
        return found
    try:
        with closing(files.connect(journal_path, files.BUSY_S)) as database:
            for place in places:
                bounds = place, place + b"/", place + b"0"
                for (path,) in database.execute(_SOURCES, bounds):
                    found.setdefault(path, "")
                for folder, *row in database.execute(_FOLDERS, bounds):
                    known = folders.read(tuple(row), row[0], row[1])
                    for name, facts in known.items():
                        found[folder + b"/" + name] = facts[2].hex()
    except sqlite3.Error:
        return found
    return found


def forget(journal_path: bytes, paths: Iterable[bytes]) -> None:
    """Remove sources that are gone. What cannot be removed costs space only."""
    if not os.path.lexists(journal_path):
        return
    try:
        with closing(files.connect(journal_path, files.BUSY_S)) as database:
            database.execute("BEGIN IMMEDIATE")
            database.executemany(_FORGET_SOURCE, [(path,) for path in paths])
            database.execute("COMMIT")
    except sqlite3.Error:
        return
