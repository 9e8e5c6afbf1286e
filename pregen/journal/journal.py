"""The record of runs and outcomes: one writer, and one reader for the thread that plans.

Disk is the truth; losing the journal costs time only. So nothing here raises: what goes wrong is
said once, through `warn`, and the journal is inert from then on. It never waits long either: what
finds the file locked is kept and written a second later.
"""

from __future__ import annotations

import json
import os
import socket
import sqlite3
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final, TypeVar

from pregen import __version__
from pregen.journal import database, fingerprints, folders, known_files, listings, places, rows
from pregen.journal.database import OF_NOTE
from pregen.journal.places import VaultMemory
from pregen.journal.rows import RecordedFailure, RecordedRun, RunState, RunTotals, fits, in_list
from pregen.model import REMEMBERED, Kin, Kind
from pregen.processes import born_s

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from pregen.filesystems.identity import FileSystem
    from pregen.journal.known_files import KnownFile
    from pregen.journal.rows import SourceHistory
    from pregen.model import Flavor, KnownFolder, Outcome

T = TypeVar("T")

#: A transaction takes at most this many outcomes (6 ms) ...
BATCH_OUTCOMES: Final = 500
#: ... and keeps them for so long at most.
BATCH_NS: Final = 1_000_000_000
#: Outcomes kept while the file is locked: 10 MB. Past that the journal is given up.
_KEPT_OUTCOMES: Final = 20_000

_NOTHING_NEW: Final = frozenset({Kind.INTERRUPTED, Kind.FRESH, Kind.PRIVATE})
#: Remembered for the version that met them only: the next one may do better, or know more formats.
VERSION_BOUND: Final = REMEMBERED - {Kind.SMALL}
#: ... and for the libraries that decoded only: another version may not die of the file.
_LIBRARY_BOUND: Final = frozenset({Kind.CRASHED, Kind.TIMED_OUT})
_REMEMBERED: Final = {kind.value: kind for kind in REMEMBERED}

_FROM_NOTED = f"FROM sources WHERE {OF_NOTE} AND kind IN"
_ANY_REMEMBERED: Final = f"SELECT 1 {_FROM_NOTED} {in_list(REMEMBERED)} LIMIT 1"
_HINT_SHAPE: Final = (int, int, str, int)
_HINT: Final = "SELECT size_bytes, mtime_ns, kind, run_id FROM sources WHERE path = ?"
_COLUMNS = ", ".join(rows.SOURCE_COLUMNS)
_MARKS = ", ".join("?" for _ in rows.SOURCE_COLUMNS)
_RECORD: Final = f"INSERT OR REPLACE INTO sources ({_COLUMNS}) VALUES ({_MARKS})"  # noqa: S608 - constants
_LAST_RUNS: Final = (
    f"SELECT {rows.RUN_COLUMNS} FROM runs WHERE (?1 IS NULL OR id = ?1)"  # noqa: S608 - likewise
    " AND (?2 IS NULL OR filled IN (?2, x'')) ORDER BY id DESC LIMIT ?3"
)
_ALL_PATHS: Final = "SELECT path FROM sources"
_TWO: Final = (bytes, bytes)
#: Not those that other machines call by another name.
_OWN_FOLDERS: Final = "SELECT path, names FROM folders WHERE substr(path, 1, 1) = x'2f'"
_OWN_RUN_SHAPE: Final = (int, str)
_OWN_RUNS: Final = "SELECT id, libraries FROM runs WHERE version = ?"
#: By the run of a row of `sources`.
_FILLED: Final = "coalesce((SELECT filled FROM runs WHERE id = run_id), x'')"
_FORGET: Final = "DELETE FROM sources WHERE path = ?"
_BEGIN: Final = (
    "INSERT INTO runs (started_at_ns, version, libraries, host, pid, cwd, arguments, filled)"
    " VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
)
_END: Final = (
    "UPDATE runs SET ended_at_ns = ?, exit_code = ?, counts = ?, bytes_read = ?,"
    " bytes_written = ?, entries_written = ?, wall_ns = ? WHERE id = ?"
)
_SPARE: Final = (
    f"UPDATE sources SET kind = '{Kind.DISTURBED.value}'"  # noqa: S608 - constants
    f" WHERE run_id = ? AND kind IN {in_list(_LIBRARY_BOUND)}"
)
#: SQLite holds no larger ones.
_MOST_INODE: Final = 2**63
#: The system's idea of when a process began moves a little when the clock is set.
_CLOCK_SLACK_S = 60.0


class Journal:
    """See the module. Made by `Journal.open`; for one thread, unless a method says otherwise."""

    def __init__(
        self,
        path: bytes,
        warn: Callable[[str], None],
        version: str,
        libraries: str,
        revision: int = 0,
    ) -> None:
        self._path = path
        self._warn = warn
        self._version = version
        self._revision = f" pregen-{revision}"
        self._libraries = libraries + self._revision
        self._judge = f"{version} {revision}"
        """Whose judgement of entries is remembered."""
        self._identity: tuple[int, int] | None = None
        self._database: sqlite3.Connection | None = None
        self._reader: database.SharedReader | None = None
        self._folders: folders.FolderNotes | None = None
        self._run_id = 0
        self._rows: list[tuple[Any, ...]] = []
        self._prints: list[fingerprints.PrintRow] = []
        self._files: list[known_files.FileRow] = []
        self._due_ns = 0
        self._locked_out = False
        self._remembers = False
        self._own_runs: dict[int, bool] = {}
        """Runs of this version and revision, and whether their libraries were these."""

    @classmethod
    def open(
        cls,
        path: bytes,
        warn: Callable[[str], None],
        *,
        version: str = __version__,
        libraries: str = "",
        revision: int = 0,
        create: bool = True,
    ) -> Journal:
        """Open the journal, or an inert one where that cannot be done.

        Args:
            path: of the file; its directory is made if need be.
            warn: told once when the journal cannot be used, in words for the user.
            version: of the pregen that runs.
            libraries: that decode, with their versions (`installation.decoding_libraries`).
            revision: of our own decoders (`imaging.revisions`): what an older one found right, or
                no picture, or died of, is looked at again.
            create: False leaves a journal that is not there unmade, without a warning.
        """
        journal = cls(path, warn, version, libraries, revision)
        if create or os.path.lexists(path):
            journal._open(again=True)
        return journal

    def _open(self, *, again: bool) -> None:
        self._identity = database.identity(self._path)
        try:
            self._database = database.open_database(self._path)
            self._identity = database.identity(self._path)
            self._remembers = self._database.execute(_ANY_REMEMBERED).fetchone() is not None
            own = self._database.execute(_OWN_RUNS, (self._version,))
            self._own_runs = {
                run_id: found == self._libraries
                for run_id, found in (database.fitting(row, _OWN_RUN_SHAPE) for row in own)
                if found.endswith(self._revision)
            }
        except sqlite3.Error as error:
            self._give_up(error)
            # Where the damaged file could be put aside, there is room for a new one.
            if again and database.is_damage(error) and not os.path.lexists(self._path):
                self._open(again=False)
        except (OSError, database.UnusableError) as error:
            self._give_up(error)
        else:
            self._reader = database.SharedReader(self._path)
            self._folders = folders.FolderNotes(self._path, self._judge)

    @property
    def usable(self) -> bool:
        """False once the journal is inert."""
        return self._database is not None

    # Writing.

    def begin_run(
        self,
        cwd: bytes,
        arguments: Sequence[str],
        cache: bytes = b"",
    ) -> None:
        """Note that a run has begun, at once: a run that is killed leaves this behind.

        Args:
            cwd: the working directory.
            arguments: the command line.
            cache: that it fills; empty: none, but folders beside the pictures.
        """
        host, pid, words = socket.gethostname(), os.getpid(), json.dumps(list(arguments))
        cache = _without_links(cache)
        row = time.time_ns(), self._version, self._libraries, host, pid, cwd, words, cache
        cursor = self._attempt(lambda connection: connection.execute(_BEGIN, row))
        self._run_id = 0 if cursor is None else cursor.lastrowid or 0
        self._due_ns = time.monotonic_ns() + BATCH_NS

    def record(
        self,
        outcome: Outcome,
        size_bytes: int,
        mtime_ns: int,
        key: str = "",
        system: FileSystem | None = None,
    ) -> None:
        """Note what became of a source; `size_bytes` and `mtime_ns` are those of its job.

        With the `key` of its entries, what they were made of is noted too, and with the `system`
        on which it lies, which numbers its files, how it will be known again.

        One that was interrupted, or found to be as it should, is not: nothing new is known of it.
        Nor is a private one.
        """
        if self._database is None or outcome.kind in _NOTHING_NEW:
            return
        facts = size_bytes, mtime_ns, self._run_id, time.time_ns()
        self._rows.append(rows.source_row(outcome, *facts))
        if key and outcome.fingerprint:
            found = key, outcome.fingerprint, size_bytes, mtime_ns
            self._prints.append(fingerprints.row(*found, self._run_id))
        if system is not None:
            place = system, size_bytes, mtime_ns, key, self._run_id
            if known := known_files.row(outcome, *place):
                self._files.append(known)
        self.tick()

    def tick(self) -> None:
        """Write what has waited for a second, or is many. To be called every now and then."""
        many = len(self._rows) >= BATCH_OUTCOMES and not self._locked_out
        now = time.monotonic_ns()
        if many or now >= self._due_ns:
            self._due_ns = now + BATCH_NS
            self._flush(database.BUSY_S)
        if self._folders is not None:
            self._folders.tick(now)

    def learn(
        self, folder: bytes, flavors: Sequence[Flavor], known: KnownFolder, keys: str = ""
    ) -> None:
        """Add to what is known of a folder (`reuse.memory.Memory`). For any thread.

        Args:
            folder: its path.
            flavors: the wanted ones.
            known: by name of the source.
            keys: tells the keys of its sources from those that other runs may make.
        """
        notes = self._folders
        if notes is not None:
            notes.learn(folder, flavors, known, keys)

    def survey(self, cache_root: bytes, prints: Iterable[fingerprints.PrintRow]) -> None:
        """Note what all entries of a cache say, now or never. For any thread."""
        if self._database is not None:
            with suppress(sqlite3.Error):  # the entries stay as they are: next time
                fingerprints.write_survey(self._path, cache_root, prints)

    def _flush(self, timeout_s: float) -> None:
        if self._reader is not None and self._reader.error is not None:
            self._give_up(self._reader.error)
        connection, waiting = self._database, self._rows
        if connection is None or not waiting:
            return
        try:
            _wait_for_locks(connection, timeout_s)
            with database.transaction(connection):
                database.insert(connection, _RECORD, waiting)
                database.insert(connection, fingerprints.WRITE, self._prints)
                database.insert(connection, known_files.WRITE, self._files)
        except sqlite3.Error as error:
            self._locked_out = database.is_busy(error)
            if not self._locked_out or len(waiting) >= _KEPT_OUTCOMES:
                self._give_up(error)
        else:
            self._locked_out = False
            self._rows, self._prints, self._files = [], [], []

    def note_swept(self, folder: bytes, mtime_ns: int) -> None:
        """Note that a folder of a cache had no temps (`cache.store.SweepMemory`)."""
        if time.time_ns() - mtime_ns >= listings.SETTLED_NS:
            self._write(lambda connection: listings.write_swept(connection, folder, mtime_ns))

    def note_vaults(self, vaults: Iterable[bytes]) -> None:
        """Note where vaults were met: no names, but what knows them when it is asked."""
        met = tuple(vaults)
        if met:
            self._write(lambda connection: places.write_vaults(connection, met))

    def note_file_systems(self, systems: Mapping[bytes, FileSystem]) -> None:
        """Note on which file system each of these folders lies."""
        if systems:
            self._write(lambda connection: places.write_systems(connection, systems))

    def forget_below(self, below: Sequence[bytes], keys: Iterable[str] = ()) -> None:
        """Forget every name at and below some places, so that the file does not hold it any more.

        Args:
            below: absolute paths.
            keys: of the entries that there were of files there.
        """
        if not below:
            return
        self._write(lambda connection: places.forget_below(connection, below, keys))
        # pages that are free hold names, too, of rows written anew long before; so does the log
        self._attempt(lambda connection: connection.execute("VACUUM"))
        self._attempt(
            lambda connection: connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
        )

    def _write(self, action: Callable[[sqlite3.Connection], None]) -> None:
        def write(connection: sqlite3.Connection) -> None:
            with database.transaction(connection):
                action(connection)

        self._flush(database.PATIENT_S)
        self._attempt(write)

    def spare(self) -> None:
        """Hold against no source that it crashed or timed out in this run: it was the machine."""
        self._flush(database.PATIENT_S)
        self._attempt(lambda connection: connection.execute(_SPARE, (self._run_id,)))

    def end_run(self, exit_code: int, totals: RunTotals) -> None:
        """Note how the run ended, after all its outcomes."""
        self._flush(database.PATIENT_S)
        counts = {kind.value: count for kind, count in totals.counts.items()}
        row = (
            time.time_ns(),
            exit_code,
            json.dumps(counts),
            *map(fits, (totals.bytes_read, totals.bytes_written, totals.entries_written)),
            totals.wall_ns,
            self._run_id,
        )
        self._attempt(lambda connection: connection.execute(_END, row))

    def close(self) -> None:
        """Write what is left and close the file. Nothing is noted or remembered from then on."""
        self._flush(database.PATIENT_S)
        self._close(write=True)

    # Reading.

    def was_swept(self, folder: bytes, mtime_ns: int) -> bool:
        """Tell whether a folder of a cache had no temps when its mtime was this."""
        reader = self._reader
        return reader is not None and any(
            then_ns == mtime_ns for (then_ns,) in reader.rows((int,), listings.SWEPT, folder)
        )

    def hint(self, path: bytes, size_bytes: int, mtime_ns: int) -> Kind | None:
        """Return why an unchanged source needs no look, None when it needs one. For any thread.

        That it is small holds for good; that it is not a picture, for the version that found it
        so; that it crashed or timed out, for its libraries too.
        """
        reader = self._reader
        if reader is None or not self._remembers or reader.failed:
            return None
        for known_size, known_mtime_ns, value, run_id in reader.rows(_HINT_SHAPE, _HINT, path):
            kind = _REMEMBERED.get(value)
            alike = self._own_runs.get(run_id)
            bound = (kind in VERSION_BOUND and alike is None) or (
                kind in _LIBRARY_BOUND and not alike
            )
            if (known_size, known_mtime_ns) == (size_bytes, fits(mtime_ns)) and not bound:
                return kind
        return None

    def recall(self, folder: bytes, flavors: Sequence[Flavor], keys: str = "") -> KnownFolder:
        """Return what is known of a folder's sources (`reuse.memory.Memory`). For any thread."""
        return folders.read(*self._folder_row(folder, flavors, keys))

    def recall_packed(
        self, folder: bytes, flavors: Sequence[Flavor], keys: str = ""
    ) -> tuple[bytes, bytes] | None:
        """Return the same as the journal holds it (`folders.packed`). For any thread."""
        return folders.packed(*self._folder_row(folder, flavors, keys))

    def _folder_row(
        self, folder: bytes, flavors: Sequence[Flavor], keys: str
    ) -> tuple[tuple[Any, ...] | None, str, str]:
        row = next(iter(self._look_up(folders.READ_SHAPE, folders.READ, folder)), None)
        return row, folders.judged_by(self._judge), folders.flavors_text(flavors, keys)

    def file_system_of(self, folder: bytes) -> FileSystem | None:
        """Return on which file system a folder's originals lay when a run last saw them."""
        return next(iter(self._rows_of(places.file_system, places.READ_SYSTEM, folder)), None)

    def vaults(self) -> VaultMemory:
        """Return what tells where vaults were met."""
        salt = self._attempt(places.read_salt) or b""
        return VaultMemory(salt, self._attempt(places.read_vaults) or frozenset())

    def kin(self, size_bytes: int, mtime_ns: int) -> tuple[Kin, ...]:
        """Return entries of sources of this size and time, the latest first. For any thread."""
        place = fingerprints.place(size_bytes, mtime_ns)
        shape, most = fingerprints.READ_SHAPE, fingerprints.MOST_KIN
        rows = self._look_up(shape, fingerprints.READ, *place, most)
        return tuple(Kin(key.hex(), fingerprint) for key, fingerprint in rows)

    def numbered(self, system: FileSystem) -> int | None:
        """Return what files of this file system are found by; None: none is known.

        For any thread.
        """
        number = known_files.number_of(system)
        return number if self._look_up(known_files.ANY_SHAPE, known_files.ANY, number) else None

    def known_files(self, system: int, inode: int, count: int) -> list[KnownFile]:
        """Return what is known of files by their numbers, from one on. For any thread.

        Args:
            system: as `numbered` gives it.
            inode: the first number.
            count: how many at most; fewer: there are no more.
        """
        if inode >= _MOST_INODE:
            return []
        found = self._look_up(known_files.READ_SHAPE, known_files.READ, system, inode, count)
        files = [known_files.known_file(row) for row in found]
        return [
            file._replace(kind=None)
            if file.kind in VERSION_BOUND and file.run_id not in self._own_runs
            else file
            for file in files
        ]

    def surveyed(self, cache_root: bytes) -> bool:
        """Tell whether all is known that this cache's entries say. For any thread."""
        shape = fingerprints.SURVEYED_SHAPE
        return bool(self._look_up(shape, fingerprints.SURVEYED, cache_root))

    def _look_up(self, shape: database.Shape, query: str, *values: Any) -> list[tuple[Any, ...]]:
        reader = self._reader
        return [] if reader is None else reader.rows(shape, query, *values)

    def last_runs(
        self, count: int, run_id: int | None = None, cache: bytes | None = None
    ) -> list[RecordedRun]:
        """Return the newest runs, newest first.

        Args:
            count: so many at most.
            run_id: that one alone, if there is such a run.
            cache: only those that filled this one, or none that is known.
        """
        filled = None if cache is None else _without_links(cache)
        return self._rows_of(_recorded_run, _LAST_RUNS, run_id, filled, count)

    def sources_of(self, run_id: int) -> Iterator[SourceHistory]:
        """Yield the sources of which this run was the last to say something, in no order.

        They end early where the journal cannot be read any more.
        """
        if self._database is None:
            return
        try:
            _wait_for_locks(self._database, database.PATIENT_S)
            yield from rows.sources_of(self._database, run_id)
        except sqlite3.Error as error:
            self._give_up(error)

    def outcomes(self, kinds: frozenset[Kind]) -> list[RecordedFailure]:
        """Return sources whose last outcome was of one of these kinds, by path.

        Those of which there are many (`database.OF_NOTE`) are not found.
        """
        *fields, _ = RecordedFailure._fields
        query = (
            f"SELECT {', '.join(fields)}, {_FILLED} {_FROM_NOTED} {in_list(kinds)} ORDER BY path"
        )
        return self._rows_of(rows.recorded_failure, query)

    def forget(self, paths: Sequence[bytes]) -> int:
        """Forget the last outcomes of these sources; return how many there were."""
        return self._attempt(lambda connection: _forget(connection, paths)) or 0

    def sources(self) -> Iterator[bytes]:
        """Yield the path of every source that is known, some twice."""
        yield from self._rows_of(lambda row: database.fitting(row, (bytes,))[0], _ALL_PATHS)
        for folder, names in self._rows_of(lambda row: database.fitting(row, _TWO), _OWN_FOLDERS):
            for name in names.split(b"\0"):
                yield folder + b"/" + name

    def _rows_of(self, convert: Callable[[sqlite3.Row], T], query: str, *values: Any) -> list[T]:
        """Return what a query finds, converted; nothing where that cannot be done any more."""
        return self._attempt(lambda opened: [*map(convert, opened.execute(query, values))]) or []

    # Faults.

    def _attempt(self, action: Callable[[sqlite3.Connection], T]) -> T | None:
        """Do something with the file; None when that cannot be done any more."""
        if self._database is None:
            return None
        try:
            _wait_for_locks(self._database, database.PATIENT_S)
            return action(self._database)
        except sqlite3.Error as error:
            self._give_up(error)
            return None

    def _give_up(self, error: Exception) -> None:
        """Become inert and say why; a damaged file makes room for a new one."""
        self._close(write=False)
        shown = self._path.decode("utf-8", "backslashreplace")
        reason = getattr(error, "strerror", None) or str(error)
        message = f"The journal {shown} cannot be used ({reason}); pregen continues without it."
        if database.is_damage(error):
            try:
                aside = database.set_aside(self._path, self._identity)
            except OSError as fault:
                message += f" It is damaged but cannot be renamed ({fault.strerror}); remove it."
            else:
                if aside is not None:
                    message = (
                        f"The journal {shown} is damaged ({reason}). It is kept as "
                        f"{aside.decode('utf-8', 'backslashreplace')}, and a new journal is "
                        "started. Thumbnails are not affected."
                    )
        self._warn(message)

    def _close(self, *, write: bool) -> None:
        connection, self._database = self._database, None
        reader, self._reader = self._reader, None
        notes, self._folders = self._folders, None
        if reader is not None:
            reader.close()
        if notes is not None:
            notes.close(write=write and connection is not None)
        if connection is not None:
            with suppress(sqlite3.Error):
                connection.close()
        self._rows, self._prints, self._files = [], [], []


def _wait_for_locks(connection: sqlite3.Connection, timeout_s: float) -> None:
    connection.execute(f"PRAGMA busy_timeout = {round(timeout_s * 1000)}")


def _forget(connection: sqlite3.Connection, paths: Sequence[bytes]) -> int:
    with database.transaction(connection):
        return connection.executemany(_FORGET, [(path,) for path in paths]).rowcount


def _without_links(cache: bytes) -> bytes:
    """Return how a cache is noted: one place, one name."""
    return cache and os.path.realpath(cache)


def _recorded_run(row: sqlite3.Row) -> RecordedRun:
    found = rows.recorded_run(row, RunState.ENDED)
    return found._replace(state=_state(found))


def _state(run: RecordedRun) -> RunState:
    """Tell how a run stands."""
    if run.ended_at_ns is not None:
        return RunState.ENDED
    if run.host != socket.gethostname():
        return RunState.ELSEWHERE
    born = born_s(run.pid)
    # A process that began after the run did has only inherited its number.
    runs = born is not None and born <= run.started_at_ns / 1e9 + _CLOCK_SLACK_S
    return RunState.RUNNING if runs else RunState.KILLED
