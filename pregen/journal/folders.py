"""What is known of whole folders, as rows: one for each folder, because a re-run asks for a folder.

A row holds the names, which cannot contain a zero byte, and as many packed numbers. A row of
another version of pregen, of other flavors or of the wrong length counts as none: the sources are
looked at, and the row is written anew. Pure: SQL and bytes, no connection.
"""

from __future__ import annotations

import os
import sqlite3
import struct
from contextlib import closing
from typing import TYPE_CHECKING, Final

from pregen.journal import database as files

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from pregen.model import Flavor, Known


READ: Final = "SELECT version, flavors, names, facts FROM folders WHERE path = ?"
WRITE: Final = (
    "INSERT OR REPLACE INTO folders (path, version, flavors, names, facts) VALUES (?, ?, ?, ?, ?)"
)

FORGET: Final = "DELETE FROM folders WHERE path = ?"
#: A folder of more sources is not remembered: its row is written anew each time something in it
#: is learned (0.1 s for so many), and its sources are looked at in full.
MOST_NAMES: Final = 50_000

FolderRow = tuple[bytes, str, str, bytes, bytes]


def flavors_text(flavors: Sequence[Flavor]) -> str:
    """Return the flavors as a row holds them."""
    return ",".join(flavor.directory for flavor in flavors)


def read(
    row: tuple[str, str, bytes, bytes] | None, version: str, flavors: str
) -> dict[bytes, Known]:
    """Return what a row of `READ` knows, by name of the source; nothing where it does not fit."""
    if row is None or row[:2] != (version, flavors):
        return {}
    names, facts = row[2].split(b"\0"), row[3]
    layout = _layout(flavors)
    if len(names) * layout.size != len(facts):
        return {}
    return dict(zip(names, layout.iter_unpack(facts), strict=True))


def row(path: bytes, version: str, flavors: str, known: dict[bytes, Known]) -> FolderRow:
    """Return a row for `WRITE`. What does not fit (a mtime beyond 64 bits) is left out."""
    layout = _layout(flavors)
    names: list[bytes] = []
    facts: list[bytes] = []
    for name, numbers in known.items():
        try:
            facts.append(layout.pack(*numbers))
        except struct.error:
            continue
        names.append(name)
    return path, version, flavors, b"\0".join(names), b"".join(facts)


def _layout(flavors: str) -> struct.Struct:
    return struct.Struct("<qq16s" + "Qqq" * len(flavors.split(",")))


# --- What the journal knows of a folder that may be gone: for those who look for what it left
# behind
#
# Reads with a connection of its own, and finds nothing where the journal cannot be read.


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
                    known = read(tuple(row), row[0], row[1])
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
