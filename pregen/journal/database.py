"""The journal's file: where it is, its tables, how it is opened, and what to do with a damaged one.

Errors leave here as they are (OSError, sqlite3.Error) or as UnusableError; `Journal` makes warnings
of them.
"""

from __future__ import annotations

import errno
import os
import sqlite3
import threading
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from itertools import chain
from typing import TYPE_CHECKING, Any, Final

from pregen.private_folders import make_folders

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

#: How long a lock of another process is waited for. Little: the run waits as well, and what could
#: not be written is kept for the next time.
BUSY_S = 0.1
#: ... and when the run begins or has ended.
PATIENT_S = 3.0
#: 16 MB of log between checkpoints, which are the only times this waits for the disk.
_CHECKPOINT_PAGES = 4_000
#: Beside the file itself, SQLite keeps its log and the log's index.
_PARTS = (b"", b"-wal", b"-shm")


def state_dir(environ: Mapping[str, str], home: str) -> bytes:
    """Return pregen's state directory, absolute; it may not exist.

    `$XDG_STATE_HOME` that is unset, blank or relative counts as `~/.local/state` (XDG base
    directory specification).
    """
    state = environ.get("XDG_STATE_HOME", "")
    if not state.startswith("/"):
        state = home.rstrip("/") + "/.local/state"
    return os.fsencode(state.rstrip("/") + "/pregen")


def journal_path(environ: Mapping[str, str], home: str) -> bytes:
    """Return the path of the journal itself."""
    return state_dir(environ, home) + b"/journal.sqlite3"


# Tables, version by version. A new version is a script more in `MIGRATIONS`; those that were
# released never change. Each runs in a transaction of its own. `PRAGMA user_version` counts the
# scripts a file has been through. The SQL is for SQLite 3.34, which some systems still give to
# Python 3.11 (so no STRICT tables).
#
# Times are nanoseconds since 1970, paths are the bytes the walk found.


#: "Pgen" as a big-endian number: tells our file from other SQLite files (`PRAGMA application_id`).
APPLICATION_ID: Final = 0x5067656E

#: Outcomes of which there are many, never asked for by kind. The index leaves them out, and a
#: query that shall use the index must repeat this condition to the letter.
OF_NOTE: Final = "kind NOT IN ('made', 'refitted', 'reused', 'tidied')"

_VERSION_1: Final = f"""
PRAGMA application_id = {APPLICATION_ID};

CREATE TABLE runs (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    started_at_ns INTEGER NOT NULL,
    ended_at_ns INTEGER,          -- NULL while it goes on, and for ever when it was killed
    version TEXT NOT NULL,
    host TEXT NOT NULL,
    pid INTEGER NOT NULL,
    cwd BLOB NOT NULL,
    arguments TEXT NOT NULL,      -- JSON list
    exit_code INTEGER,
    counts TEXT,                  -- JSON object: sources by kind, skips included
    bytes_read INTEGER,
    bytes_written INTEGER,
    entries_written INTEGER,
    wall_ns INTEGER               -- by the monotonic clock
);

-- The last outcome of every source. Without rowid: a million sources take 176 MB instead of 230,
-- are written in 7.5 s instead of 13.9, and looked up in 4.2 us instead of 4.7.
CREATE TABLE sources (
    path BLOB NOT NULL PRIMARY KEY,
    size_bytes INTEGER NOT NULL,  -- as planned: what the next walk will compare
    mtime_ns INTEGER NOT NULL,
    kind TEXT NOT NULL,
    message TEXT NOT NULL,
    loader TEXT NOT NULL,
    mime TEXT NOT NULL,
    width_px INTEGER NOT NULL,
    height_px INTEGER NOT NULL,
    entries_written INTEGER NOT NULL,
    bytes_written INTEGER NOT NULL,
    bytes_read INTEGER NOT NULL,
    read_ns INTEGER NOT NULL,
    decode_ns INTEGER NOT NULL,
    resize_ns INTEGER NOT NULL,
    encode_ns INTEGER NOT NULL,
    commit_ns INTEGER NOT NULL,
    worker_pid INTEGER NOT NULL,
    run_id INTEGER NOT NULL,
    seen_at_ns INTEGER NOT NULL
) WITHOUT ROWID;

CREATE INDEX sources_of_note ON sources (kind) WHERE kind NOT IN ('made', 'refitted', 'tidied');
"""

#: One row for each folder: a re-run over 100,000 sources asks 100 times instead of 100,000.
_VERSION_2: Final = """
CREATE TABLE folders (
    path BLOB NOT NULL PRIMARY KEY,
    version TEXT NOT NULL,        -- of the pregen that judged the entries
    flavors TEXT NOT NULL,        -- the wanted ones, in the order of the stamps
    names BLOB NOT NULL,          -- of the sources, a zero byte between two
    facts BLOB NOT NULL           -- packed, see journal/folders.py
);
"""

#: What entries are made of. Whole seconds: copies lose the rest on many file systems.
_VERSION_3: Final = f"""
CREATE TABLE fingerprints (
    size_bytes INTEGER NOT NULL,
    mtime_s INTEGER NOT NULL,
    run_id INTEGER NOT NULL,      -- to find the latest first
    key BLOB NOT NULL,            -- 16 bytes: the md5 of the entries' URI
    fingerprint TEXT NOT NULL,    -- as the entries say it, see thumbspec/fingerprint.py
    PRIMARY KEY (size_bytes, mtime_s, run_id, key)
) WITHOUT ROWID;

-- The caches whose entries have been asked for what the table does not know.
CREATE TABLE surveys (
    cache BLOB NOT NULL PRIMARY KEY
) WITHOUT ROWID;

DROP INDEX sources_of_note;
CREATE INDEX sources_of_note ON sources (kind) WHERE {OF_NOTE};
"""

_VERSION_4: Final = """
-- What decoded, with versions: a file that ended one library's process may not end the next one's.
ALTER TABLE runs ADD COLUMN libraries TEXT NOT NULL DEFAULT '';
"""

_VERSION_5: Final = """
-- On which file system the originals of a folder lay: where another one is now, they are away.
CREATE TABLE file_systems (
    folder BLOB NOT NULL PRIMARY KEY,
    kind TEXT NOT NULL,
    identity TEXT NOT NULL        -- see filesystems/identity.py
) WITHOUT ROWID;

-- Where vaults were met, as salted hashes: see journal/places.py.
CREATE TABLE vaults (
    place BLOB NOT NULL PRIMARY KEY
) WITHOUT ROWID;
CREATE TABLE salts (
    salt BLOB NOT NULL
);
"""

_VERSION_6: Final = """
-- Files by number, on file systems that number them for good, so that they are known again under
-- another name: see journal/known_files.py. The key is the md5 of the entries' URI, 16 bytes, or
-- empty where there are none; brief is a part of their fingerprint.
CREATE TABLE known_files (
    file_system INTEGER NOT NULL,
    inode INTEGER NOT NULL,
    size_bytes INTEGER NOT NULL,
    mtime_ns INTEGER NOT NULL,
    ctime_ns INTEGER NOT NULL,
    kind TEXT NOT NULL,
    key BLOB NOT NULL,
    brief INTEGER NOT NULL,
    run_id INTEGER NOT NULL,
    PRIMARY KEY (file_system, inode)
) WITHOUT ROWID;

-- What a walk saw in folders, for walks that believe it (--check folders): see journal/listings.py.
CREATE TABLE listings (
    folder BLOB NOT NULL PRIMARY KEY,
    mtime_ns INTEGER NOT NULL,
    names BLOB NOT NULL,
    facts BLOB NOT NULL
) WITHOUT ROWID;
"""

_VERSION_7: Final = """
-- The cache that a run filled, without links; empty: none, or of a run before this version.
ALTER TABLE runs ADD COLUMN filled BLOB NOT NULL DEFAULT x'';
"""

#: Of every version.
_OUR_TABLES: Final = frozenset({"runs", "sources"})
#: Words in the declarations of tables, and since which version they stand there: a file that has
#: them and says it is older would be brought up to date in vain.
_SINCE: Final = (
    ("runs", "", 1), ("folders", "", 2), ("fingerprints", "", 3), ("runs", "libraries", 4),
    ("file_systems", "", 5), ("vaults", "", 5), ("salts", "", 5),
    ("known_files", "", 6), ("listings", "", 6), ("runs", "filled", 7),
)  # fmt: skip

MIGRATIONS: Final[tuple[str, ...]] = (
    _VERSION_1,
    _VERSION_2,
    _VERSION_3,
    _VERSION_4,
    _VERSION_5,
    _VERSION_6,
    _VERSION_7,
)


#: No release has had nearly so many: a file that says so is damaged, and of no newer pregen.
_MOST_VERSIONS: Final = 1000
#: Codes of a file that is not what it was. Our own SQL is right, so SQLITE_ERROR says that a table
#: or a column has gone, and the others that its declaration has changed.
_DAMAGE: Final = frozenset(
    {
        sqlite3.SQLITE_CORRUPT,
        sqlite3.SQLITE_NOTADB,
        sqlite3.SQLITE_ERROR,
        sqlite3.SQLITE_SCHEMA,
        sqlite3.SQLITE_TOOBIG,
        sqlite3.SQLITE_CONSTRAINT,
        sqlite3.SQLITE_MISMATCH,
        sqlite3.SQLITE_FORMAT,
        sqlite3.SQLITE_RANGE,
        sqlite3.SQLITE_AUTH,
    }
)
#: What the Python module says, without a code, of a text in a row.
_NO_TEXT: Final = "Could not decode to UTF-8"


#: 0.6 ms of work.
_ROWS_AT_ONCE: Final = 100


class UnusableError(Exception):
    """The file is sound, but nothing for this program."""


class DamagedJournalError(sqlite3.DatabaseError):
    """The file holds what pregen never writes there; SQLite itself may take it for sound."""


class _Cursor(sqlite3.Cursor):
    """Raises sqlite3.Error only.

    The module decodes what SQLite says of a damaged file, and lets the UnicodeDecodeError through
    where damaged names stand in it.
    """

    def execute(self, *arguments: Any) -> _Cursor:
        try:
            super().execute(*arguments)
        except _OTHER_FAULTS as error:
            raise _as_sqlite(error) from error
        return self

    def executemany(self, *arguments: Any) -> _Cursor:
        try:
            super().executemany(*arguments)
        except _OTHER_FAULTS as error:
            raise _as_sqlite(error) from error
        return self

    def __next__(self) -> Any:
        try:
            return super().__next__()
        except _OTHER_FAULTS as error:
            raise _as_sqlite(error) from error

    def fetchone(self) -> Any:
        try:
            return super().fetchone()
        except _OTHER_FAULTS as error:
            raise _as_sqlite(error) from error

    def fetchall(self) -> list[Any]:
        try:
            return super().fetchall()
        except _OTHER_FAULTS as error:
            raise _as_sqlite(error) from error


_OTHER_FAULTS: Final = (UnicodeDecodeError, MemoryError)


def _as_sqlite(error: Exception) -> sqlite3.Error:
    if isinstance(error, MemoryError):
        return sqlite3.OperationalError("out of memory")
    return DamagedJournalError("its tables have damaged names")


class _Connection(sqlite3.Connection):
    """Its cursors raise sqlite3.Error only."""

    def execute(self, *arguments: Any) -> _Cursor:
        return self.cursor(_Cursor).execute(*arguments)

    def executemany(self, *arguments: Any) -> _Cursor:
        return self.cursor(_Cursor).executemany(*arguments)


Shape = tuple[type | tuple[type, ...], ...]
"""Which types the values of a row have, in order."""


def fitting(row: Iterable[Any], shape: Shape) -> tuple[Any, ...]:
    """Return the values of a row, each of the type it was written with.

    SQLite gives any type for any column, and keeps what another program wrote there.

    Raises:
        DamagedJournalError: One is of another type, or there are more or fewer.
    """
    values = tuple(row)
    if len(values) != len(shape) or not all(map(isinstance, values, shape)):
        raise DamagedJournalError("a row holds values of wrong types")
    return values


def connect(path: bytes, timeout_s: float) -> sqlite3.Connection:
    """Open the file, which must exist. Transactions are begun and ended by hand."""
    connection = sqlite3.connect(
        path,
        timeout=timeout_s,
        isolation_level=None,
        check_same_thread=False,
        cached_statements=16,
        factory=_Connection,
    )
    connection.row_factory = sqlite3.Row
    return connection


@contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """Write all that is written within, or nothing of it. Raises sqlite3.Error."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except (sqlite3.Error, UnusableError):
        with suppress(sqlite3.Error):  # SQLite may have ended it already
            if connection.in_transaction:
                connection.execute("ROLLBACK")
        raise


def insert(connection: sqlite3.Connection, statement: str, rows: Sequence[tuple[Any, ...]]) -> None:
    """Insert rows, many in one step. Raises sqlite3.Error.

    The module gives the interpreter's lock away for each step. Where other threads want it, as they
    do while files are taken over, it is long in coming back: longer than a row takes.

    Args:
        connection: in a transaction.
        statement: for one row; ends with `VALUES (?, ...)`.
        rows: as long as that is.
    """
    if not rows:
        return
    one = statement[statement.rindex("(") :]
    most = connection.getlimit(sqlite3.SQLITE_LIMIT_VARIABLE_NUMBER) // len(rows[0])
    at_once = max(1, min(_ROWS_AT_ONCE, most))
    for start in range(0, len(rows), at_once):
        portion = rows[start : start + at_once]
        values = ", ".join([one] * (len(portion) - 1))
        many = f"{statement}, {values}" if values else statement
        connection.execute(many, list(chain.from_iterable(portion)))


class SharedReader:
    """Looks rows up for any thread, with a connection of its own, opened when it is first used.

    It never raises and never waits long.
    """

    def __init__(self, path: bytes) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._connection: sqlite3.Connection | None = None
        self._closed = False
        self.failed = False
        """A question was not answered, be it because of a lock."""
        self.error: sqlite3.Error | None = None
        """Why no more questions are answered."""

    def rows(self, shape: Shape, query: str, *values: Any) -> list[tuple[Any, ...]]:
        """Return what `query` finds, rows of this shape; nothing when that cannot be told."""
        with self._lock:
            if self._closed or self.error is not None:
                return []
            try:
                if self._connection is None:
                    self._connection = connect(self._path, BUSY_S)
                found = self._connection.execute(query, values).fetchall()
                return [fitting(row, shape) for row in found]
            except sqlite3.Error as error:
                self.failed = True
                self.error = None if is_busy(error) else error
                return []

    def close(self) -> None:
        """Close the connection; nothing is found from then on."""
        with self._lock:
            self._closed = True
            if self._connection is not None:
                with suppress(sqlite3.Error):
                    self._connection.close()


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
        [mode] = database.execute("PRAGMA journal_mode").fetchone()
        if mode != "wal":
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
    make_folders(directory)
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
            raise PermissionError(errno.EACCES, "it cannot be written")


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
    tables = dict(map(tuple, database.execute("SELECT name, sql FROM sqlite_master")))
    version = _version(database)
    [application] = database.execute("PRAGMA application_id").fetchone()
    database.execute("COMMIT")
    if (version or tables) and application != APPLICATION_ID:
        if _OUR_TABLES.issubset(tables):
            raise DamagedJournalError("its header is damaged")
        raise UnusableError("it is the database of another program")
    newest = max(
        (since for name, word, since in _SINCE if name in tables and word in str(tables[name])),
        default=0,
    )
    if not 0 <= version <= _MOST_VERSIONS or version < newest:
        raise DamagedJournalError("its version is damaged")
    if version > len(MIGRATIONS):
        raise UnusableError("it was written by a newer pregen: update this one to use it")


def _migrate(database: sqlite3.Connection) -> None:
    """Bring the file one version on, unless another process has done so meanwhile."""
    with transaction(database):
        version = _version(database)
        if version < len(MIGRATIONS):
            try:
                for statement in _statements(MIGRATIONS[version]):
                    database.execute(statement)
            except sqlite3.Error as error:
                if _code(error) == sqlite3.SQLITE_ERROR:  # ours, not the file's
                    raise UnusableError(f"it cannot be brought up to date: {error}") from error
                raise
            database.execute(f"PRAGMA user_version = {version + 1}")


def _statements(script: str) -> Iterator[str]:
    statement = ""
    for line in script.splitlines(keepends=True):
        statement += line
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""


def _code(error: BaseException) -> int:
    # Errors of the Python module itself carry no code; extended codes hold ours in the low byte.
    return int(getattr(error, "sqlite_errorcode", 0)) & 0xFF


def is_damage(error: BaseException) -> bool:
    """Tell whether the file's content is broken."""
    if isinstance(error, DamagedJournalError) or _code(error) in _DAMAGE:
        return True
    # A file that may be written (`_make_file`) and yet is read-only by its own header.
    if getattr(error, "sqlite_errorcode", 0) == sqlite3.SQLITE_READONLY:
        return True
    return isinstance(error, sqlite3.OperationalError) and str(error).startswith(_NO_TEXT)


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
