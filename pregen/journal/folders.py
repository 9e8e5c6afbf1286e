"""What is known of whole folders, as rows: one for each folder, because a re-run asks for a folder.

A row holds the names, which cannot contain a zero byte, and as many packed numbers. A source that
has entries under several keys stands there once for each. A row of another version of pregen, of
other flavors or keys, or of the wrong length counts as none: the sources are looked at, and the row
is written anew.
"""

from __future__ import annotations

import os
import sqlite3
import struct
import threading
from collections import defaultdict
from contextlib import closing
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

from pregen.journal import database

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from pregen.model import Flavor, Known, KnownFolder


READ: Final = "SELECT version, flavors, names, facts FROM folders WHERE path = ?"
READ_SHAPE: Final = (str, str, bytes, bytes)
WRITE: Final = (
    "INSERT OR REPLACE INTO folders (path, version, flavors, names, facts) VALUES (?, ?, ?, ?, ?)"
)

FORGET: Final = "DELETE FROM folders WHERE path = ?"
#: A folder of more sources is not remembered: its row is written anew each time something in it
#: is learned (0.1 s for so many), and its sources are looked at in full.
MOST_NAMES: Final = 50_000
#: What is learned is written this often: each time costs the whole folder anew.
_WRITE_EVERY_NS: Final = 10_000_000_000
#: ... or when this many sources have been learned.
_WRITE_SOURCES: Final = 20_000
#: While another run writes, so many are kept (30 MB); past that they are not remembered.
_KEPT_SOURCES: Final = 100_000

#: Names sort as bytes, and `0` follows `/`: all below a folder lies between the two.
_SOURCES: Final = "SELECT path FROM sources WHERE path = ? OR (path >= ? AND path < ?)"
_FOLDERS: Final = (
    "SELECT path, version, flavors, names, facts FROM folders"
    " WHERE path = ? OR (path >= ? AND path < ?)"
)

#: What a look at an entry finds: raised when it finds more, so that every entry gets one such look.
_LOOKED: Final = "ends"
_FOLDER_SHAPE: Final = (bytes, *READ_SHAPE)

FolderRow = tuple[bytes, str, str, bytes, bytes]


def judged_by(version: str) -> str:
    """Return what a row says of who judged its entries."""
    return f"{version} {_LOOKED}"


@lru_cache(maxsize=16)
def _flavors_text(flavors: tuple[Flavor, ...], keys: str) -> str:
    return f"{','.join(flavor.directory for flavor in flavors)} {keys}".rstrip()


def flavors_text(flavors: Sequence[Flavor], keys: str = "") -> str:
    """Return the flavors as a row holds them, and what tells its keys from those of other runs."""
    return _flavors_text(tuple(flavors), keys)


def packed(row: Iterable[Any] | None, version: str, flavors: str) -> tuple[bytes, bytes] | None:
    """Return what a row of `READ` holds, names and numbers; None where it does not fit.

    Args:
        row: Of `READ_SHAPE`, or None.
        version: As `judged_by` gives it.
        flavors: As `flavors_text` gives them.
    """
    if row is None:
        return None
    row_version, row_flavors, names, facts = row
    return (names, facts) if (row_version, row_flavors) == (version, flavors) else None


def read(row: Iterable[Any] | None, version: str, flavors: str) -> KnownFolder:
    """Return what a row knows, by name of the source; nothing where it does not fit (`packed`)."""
    held = packed(row, version, flavors)
    if held is None:
        return {}
    joined_names, facts = held
    names = joined_names.split(b"\0")
    layout = _layout(flavors)
    if len(names) * layout.size != len(facts):
        return {}
    found: KnownFolder = dict(zip(names, zip(layout.iter_unpack(facts), strict=True), strict=True))
    if len(found) < len(names):
        several: dict[bytes, list[Known]] = defaultdict(list)
        for name, numbers in zip(names, layout.iter_unpack(facts), strict=True):
            several[name].append(numbers)
        found = {name: tuple(each) for name, each in several.items()}
    return found


def row(path: bytes, version: str, flavors: str, known: KnownFolder) -> FolderRow:
    """Return a row for `WRITE`. What does not fit (a mtime beyond 64 bits) is left out."""
    layout = _layout(flavors)
    names: list[bytes] = []
    facts: list[bytes] = []
    for name, entries in known.items():
        try:
            facts.append(b"".join([layout.pack(*numbers) for numbers in entries]))
        except struct.error:
            continue
        names += [name] * len(entries)
    return path, version, flavors, b"\0".join(names), b"".join(facts)


def _layout(flavors: str) -> struct.Struct:
    return struct.Struct("<qq16s" + "Qqq" * len(flavors.partition(" ")[0].split(",")))


class FolderNotes:
    """What a run learns of folders, kept until it is written. For any thread.

    Nothing is raised: what cannot be written is learned again by a later run.
    """

    def __init__(self, path: bytes, version: str) -> None:
        self._path = path
        self._version = judged_by(version)
        self._lock = threading.Lock()
        self._learned: dict[tuple[bytes, str], KnownFolder] = {}
        self._count = 0
        self._due_ns = 0
        self._closed = False

    def learn(
        self, folder: bytes, flavors: Sequence[Flavor], known: KnownFolder, keys: str = ""
    ) -> None:
        """Add to what is known of a folder."""
        with self._lock:
            if not self._closed:
                place = folder, flavors_text(flavors, keys)
                self._learned.setdefault(place, {}).update(known)
                self._count += len(known)
                if self._count >= _WRITE_SOURCES:
                    self._write()

    def tick(self, now_ns: int) -> None:
        """Write what has waited for long; `now_ns` is monotonic."""
        if now_ns >= self._due_ns:
            self._due_ns = now_ns + _WRITE_EVERY_NS
            with self._lock:
                self._write()

    def close(self, *, write: bool) -> None:
        """Learn nothing more; write what was learned, or drop it."""
        with self._lock:
            if write:
                self._write()
            self._closed = True
            self._learned = {}

    def _write(self) -> None:
        if self._closed or not self._learned:
            return
        try:
            with (
                closing(database.connect(self._path, database.BUSY_S)) as connection,
                database.transaction(connection),
            ):
                for (folder, flavors), new in self._learned.items():
                    self._write_folder(connection, folder, flavors, new)
        except sqlite3.Error as error:
            if database.is_busy(error) and self._count < _KEPT_SOURCES:
                return  # another run writes; next time
        self._learned, self._count = {}, 0

    def _write_folder(
        self, connection: sqlite3.Connection, folder: bytes, flavors: str, new: KnownFolder
    ) -> None:
        found = connection.execute(READ, (folder,)).fetchone()
        if found is not None:
            found = database.fitting(found, READ_SHAPE)
        known = read(found, self._version, flavors) | new
        if len(known) > MOST_NAMES:
            connection.execute(FORGET, (folder,))
        else:
            connection.execute(WRITE, row(folder, self._version, flavors, known))


def known_below(journal_path: bytes, places: Iterable[bytes]) -> dict[bytes, tuple[str, ...]]:
    """Return the sources known at, or anywhere below, some places.

    Returns:
        Path to keys: 32 hex digits each, of those under which entries are known.
    """
    found: dict[bytes, tuple[str, ...]] = {}
    if not os.path.lexists(journal_path):
        return found
    try:
        with closing(database.connect(journal_path, database.BUSY_S)) as connection:
            for place in places:
                bounds = place, place + b"/", place + b"0"
                for row in connection.execute(_SOURCES, bounds):
                    [path] = database.fitting(row, (bytes,))
                    found.setdefault(path, ())
                for row in connection.execute(_FOLDERS, bounds):
                    folder, version, flavors, *rest = database.fitting(row, _FOLDER_SHAPE)
                    known = read((version, flavors, *rest), version, flavors)
                    for name, entries in known.items():
                        found[folder + b"/" + name] = tuple(key.hex() for _, _, key, *_ in entries)
    except sqlite3.Error:
        return found
    return found
