"""Opens the journal's file: modes, version, migrations, and what to do with a damaged one.

Errors leave here as they are (OSError, sqlite3.Error) or as Unusable; `Journal` makes warnings of
them.
"""

from __future__ import annotations

import errno
import os
import sqlite3
from contextlib import suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from pregen.journal.schema import APPLICATION_ID, MIGRATIONS

if TYPE_CHECKING:
    from collections.abc import Iterator

#: How long a lock of another process is waited for. Little: the run waits as well, and what could
#: not be written is kept for the next time.
BUSY_S = 0.1
#: ... and when the run begins or has ended.
PATIENT_S = 3.0
#: 16 MB of log between checkpoints, which are the only times this waits for the disk.
_CHECKPOINT_PAGES = 4_000
#: Beside the file itself, SQLite keeps its log and the log's index.
_PARTS = (b"", b"-wal", b"-shm")


class UnusableError(Exception):
    """The file is sound, but nothing for this program."""


def connect(path: bytes, timeout_s: float) -> sqlite3.Connection:
    """Open the file, which must exist. Transactions are begun and ended by hand."""
    return sqlite3.connect(
        path, timeout=timeout_s, isolation_level=None, check_same_thread=False, cached_statements=16
    )


def open_database(path: bytes) -> sqlite3.Connection:
    """Open the journal for writing, making or migrating it as needed.

    Raises:
        OSError: the file or its directory cannot be made.
        sqlite3.Error: it cannot be read or written; see `is_damage`.
        UnusableError: it is another program's, or a newer pregen's.
    """
    _make_file(path)
    database = connect(path, PATIENT_S)
    try:
        _check_owner(database)
        if database.execute("PRAGMA journal_mode").fetchone() != ("wal",):
            # Where there can be no shared memory, SQLite keeps the mode it has: slower, as good.
            database.execute("PRAGMA journal_mode = WAL")
        database.execute("PRAGMA synchronous = NORMAL")
        database.execute(f"PRAGMA wal_autocheckpoint = {_CHECKPOINT_PAGES}")
        while _version(database) < len(MIGRATIONS):
            _migrate(database)
    except BaseException:
        database.close()
        raise
    return database


def _make_file(path: bytes) -> None:
    directory = os.path.dirname(path)
    os.makedirs(directory, 0o700, exist_ok=True)
    _close_to_others(directory)
    try:
        # Never opened when it exists: closing it would drop the locks SQLite holds on it in this
        # process (POSIX advisory locks).
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    except FileExistsError:
        pass
    else:
        os.close(descriptor)
    _close_to_others(path)
    for place in (directory, path):
        # SQLite would say "unable to open" at best.
        if not os.access(place, os.W_OK, effective_ids=True):
            raise PermissionError(errno.EACCES, "it may not be written")


def _close_to_others(path: bytes) -> None:
    """Take all rights from group and others; the owner's are the owner's affair."""
    mode = os.stat(path).st_mode & 0o777
    if mode & 0o077:
        with suppress(OSError):  # Another owner's, or read-only: what that means is seen later.
            os.chmod(path, mode & 0o700)


def _version(database: sqlite3.Connection) -> int:
    [version] = database.execute("PRAGMA user_version").fetchone()
    return int(version)


def _check_owner(database: sqlite3.Connection) -> None:
    # One transaction, one state of the file: another run may be making it at this moment.
    database.execute("BEGIN")
    [tables] = database.execute("SELECT count(*) FROM sqlite_master").fetchone()
    version = _version(database)
    [application] = database.execute("PRAGMA application_id").fetchone()
    database.execute("COMMIT")
    if (version or tables) and application != APPLICATION_ID:
        raise UnusableError("it is the database of another program")
    if version > len(MIGRATIONS):
        raise UnusableError("it was made by a newer pregen; update this one to use it")


def _migrate(database: sqlite3.Connection) -> None:
    """Bring the file one version on, unless another process has done so meanwhile.

    Whatever is raised ends the connection, and with it the transaction.
    """
    database.execute("BEGIN IMMEDIATE")
    version = _version(database)
    if version < len(MIGRATIONS):
        for statement in _statements(MIGRATIONS[version]):
            database.execute(statement)
        database.execute(f"PRAGMA user_version = {version + 1}")
    database.execute("COMMIT")


def _statements(script: str) -> Iterator[str]:
    statement = ""
    for line in script.splitlines(keepends=True):
        statement += line
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""


def roll_back(database: sqlite3.Connection) -> None:
    """End a failed transaction; SQLite may have ended it already."""
    with suppress(sqlite3.Error):
        if database.in_transaction:
            database.execute("ROLLBACK")


def _code(error: BaseException) -> int:
    # Errors of the Python module itself carry no code; extended codes hold ours in the low byte.
    return int(getattr(error, "sqlite_errorcode", 0)) & 0xFF


def is_damage(error: BaseException) -> bool:
    """Tell whether the file's content is broken."""
    return _code(error) in {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}


def is_busy(error: BaseException) -> bool:
    """Tell whether another process holds the lock: later may do."""
    return _code(error) in {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}


def identity(path: bytes) -> tuple[int, int] | None:
    """Return what tells the file from one put in its place."""
    try:
        status = os.stat(path)
    except OSError:
        return None
    return status.st_dev, status.st_ino


def set_aside(path: bytes, damaged: tuple[int, int] | None) -> bytes | None:
    """Rename a damaged journal and return its new name; None when another process has done so.

    Raises OSError when it cannot be renamed.
    """
    if damaged is None or identity(path) != damaged:
        return None
    stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ").encode()
    aside = path + b".corrupt-" + stamp
    for part in _PARTS:
        with suppress(FileNotFoundError):
            os.replace(path + part, aside + part)
    return aside
