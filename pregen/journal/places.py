"""Where originals lay, as rows: on which file systems, and at which places vaults were met.

Of a vault's place only a salted hash is kept, which tells it when it is asked for and says nothing
to who reads the file: a mount point of removable media bears the label of what is encrypted.
"""

from __future__ import annotations

import hashlib
import json
import os
from typing import TYPE_CHECKING, Final, NamedTuple

from pregen.filesystems.identity import FileSystem
from pregen.filesystems.mounttable import is_below
from pregen.journal.database import DamagedJournalError, fitting
from pregen.journal.rows import json_value

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable, Mapping, Sequence
    from typing import Any

_SALT_BYTES: Final = 16
_HASH_BYTES: Final = 16

#: Stands in a command line for a name that must not be kept.
PRIVATE: Final = "(private)"
_COMMANDS: Final = "SELECT id, cwd, arguments FROM runs"
_RETELL: Final = "UPDATE runs SET cwd = ?, arguments = ? WHERE id = ?"
READ_SYSTEM: Final = "SELECT kind, identity FROM file_systems WHERE folder = ?"
_WRITE_SYSTEM: Final = (
    "INSERT INTO file_systems (folder, kind, identity) VALUES (?, ?, ?)"
    " ON CONFLICT (folder) DO UPDATE SET kind = excluded.kind, identity = excluded.identity"
    " WHERE kind != excluded.kind OR identity != excluded.identity"
)
#: Names sort as bytes, and `0` follows `/`: all below a folder lies between the two.
_FORGET: Final = tuple(
    f"DELETE FROM {table} WHERE {column} = ? OR ({column} >= ? AND {column} < ?)"  # noqa: S608 - constants
    for table, column in (
        ("sources", "path"),
        ("folders", "path"),
        ("file_systems", "folder"),
        ("listings", "folder"),
    )
)
_GONE: Final = "CREATE TEMP TABLE gone (key BLOB NOT NULL PRIMARY KEY) WITHOUT ROWID"
_NOTE_GONE: Final = "INSERT OR IGNORE INTO gone (key) VALUES (?)"
_FORGET_GONE: Final = tuple(
    f"DELETE FROM {table} WHERE key IN (SELECT key FROM gone)"  # noqa: S608 - likewise
    for table in ("fingerprints", "known_files")
)


def salted(salt: bytes, place: bytes) -> bytes:
    """Return what is kept of a place."""
    return hashlib.blake2b(place, digest_size=_HASH_BYTES, key=salt).digest()


class VaultMemory(NamedTuple):
    """Where vaults were met."""

    salt: bytes = b""
    hashes: frozenset[bytes] = frozenset()

    def holds(self, place: bytes) -> bool:
        """Tell whether a vault was met at exactly this path."""
        return bool(self.hashes) and salted(self.salt, place) in self.hashes


def read_salt(connection: sqlite3.Connection) -> bytes:
    """Return this journal's salt; empty: it has met no vault. Raises DamagedJournalError."""
    row = connection.execute("SELECT salt FROM salts LIMIT 1").fetchone()
    if row is None:
        return b""
    salt = bytes(fitting(row, (bytes,))[0])
    if len(salt) != _SALT_BYTES:
        raise DamagedJournalError("a row holds no salt")
    return salt


def write_vaults(connection: sqlite3.Connection, places: Iterable[bytes]) -> None:
    """Note where vaults were met."""
    salt = read_salt(connection)
    if not salt:
        salt = os.urandom(_SALT_BYTES)
        connection.execute("INSERT INTO salts (salt) VALUES (?)", (salt,))
    rows = [(salted(salt, place),) for place in places]
    connection.executemany("INSERT OR IGNORE INTO vaults (place) VALUES (?)", rows)


def read_vaults(connection: sqlite3.Connection) -> frozenset[bytes]:
    """Return the hashes of all places."""
    found = connection.execute("SELECT place FROM vaults")
    return frozenset(fitting(row, (bytes,))[0] for row in found)


def file_system(row: Iterable[Any]) -> FileSystem:
    """Return what a row of `READ_SYSTEM` says. Raises DamagedJournalError."""
    return FileSystem(*fitting(row, (str, str)))


def write_systems(connection: sqlite3.Connection, systems: Mapping[bytes, FileSystem]) -> None:
    """Note on which file system each folder with sources lies; what is known is not written."""
    rows = [(folder, *system) for folder, system in systems.items()]
    connection.executemany(_WRITE_SYSTEM, rows)


def forget_below(
    connection: sqlite3.Connection, places: Sequence[bytes], keys: Iterable[str]
) -> None:
    """Forget every name at and below some places.

    Args:
        connection: to the journal, in a transaction.
        places: absolute paths.
        keys: of the entries that there were of files there, 32 hex digits.
    """
    for place in places:
        below = place.rstrip(b"/")
        for statement in _FORGET:
            connection.execute(statement, (place, below + b"/", below + b"0"))
    connection.execute(_GONE)
    connection.executemany(_NOTE_GONE, ((bytes.fromhex(key),) for key in keys))
    for statement in _FORGET_GONE:
        connection.execute(statement)
    connection.execute("DROP TABLE gone")
    for row in connection.execute(_COMMANDS).fetchall():
        run_id, cwd, arguments = fitting(row, (int, bytes, str))
        told = json.dumps([_without(str(text), places) for text in json_value(arguments, list)])
        where = b"" if any(is_below(cwd, place) for place in places) else cwd
        if (where, told) != (cwd, arguments):
            connection.execute(_RETELL, (where, told, run_id))


def _without(argument: str, places: Sequence[bytes]) -> str:
    """Return an argument of a command line unless it names something in one of these places."""
    names = [os.fsencode(each) for each in (argument, *argument.split("="))]
    named = any(is_below(name, place) for name in names for place in places)
    return PRIVATE if named else argument
