"""A journal that cannot be used warns once and stops nothing; no outcome of it is an exception."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import threading
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING

import pytest

from pregen.cache.folder import FolderCount
from pregen.journal import Journal, RunTotals, database, journal
from pregen.journal.database import MIGRATIONS
from pregen.journal.folders import known_below
from pregen.model import FAILURES, Flavor, Kind, Outcome
from pregen.thumbspec.naming import key
from pregen.thumbspec.uri import file_uri
from pregen.verbs.status import StatusFacts, status_lines, status_record
from tests.support.running.capabilities import Capability, needs
from tests.support.trials.damaged_journal import damage

if TYPE_CHECKING:
    from collections.abc import Iterator

FACTS = (1000, 1_600_000_000_000_000_000)
NOBODY = 65534


def use(path: Path) -> tuple[bool, list[str]]:
    """Do all a run does with its journal; tell whether it was usable to the end, and warnings."""
    warnings: list[str] = []
    found = Journal.open(os.fsencode(path), warnings.append, version="1.0.0")
    found.begin_run(b"/", ["run"])
    found.hint(b"/a", *FACTS)
    found.record(Outcome(0, b"/a", Kind.SMALL), *FACTS)
    found.tick()
    found.end_run(0, RunTotals({Kind.SMALL: 1}))
    found.last_runs(3)
    found.last_runs(3, cache=b"/cache")
    found.outcomes(FAILURES)
    usable = found.usable
    found.close()
    found.record(Outcome(0, b"/b", Kind.SMALL), *FACTS)
    found.close()
    return usable, warnings


def sound(path: Path) -> bool:
    """Tell whether the file is a whole journal with the source that `use` notes."""
    connection = sqlite3.connect(path)
    try:
        [check] = connection.execute("PRAGMA integrity_check").fetchone()
        return check == "ok" and connection.execute("SELECT path FROM sources").fetchall() == [
            (b"/a",)
        ]
    finally:
        connection.close()


def test_the_tests_below_would_see_a_journal_that_works(tmp_path: Path) -> None:
    assert use(tmp_path / "journal.sqlite3") == (True, [])
    assert sound(tmp_path / "journal.sqlite3")


# -- a place that will not do -------------------------------------------------------------------


@pytest.mark.parametrize("obstacle", ["file for a folder", "folder for a file", "fifo", "no such"])
def test_a_place_that_will_not_do_is_one_warning(tmp_path: Path, obstacle: str) -> None:
    path = tmp_path / "state" / "journal.sqlite3"
    if obstacle == "file for a folder":
        path.parent.write_bytes(b"")
    elif obstacle == "folder for a file":
        path.mkdir(parents=True)
    elif obstacle == "fifo":
        path.parent.mkdir()
        os.mkfifo(path, 0o600)
    else:
        path = Path("/proc/nothing/pregen/journal.sqlite3")
    usable, [warning] = use(path)
    assert not usable
    assert str(path) in warning
    assert "continues without it" in warning


@pytest.fixture
def shared_place() -> Iterator[Path]:
    """A folder another user reaches (pytest's are root's alone)."""
    place = Path(tempfile.mkdtemp(dir="/tmp"))
    place.chmod(0o755)
    yield place
    shutil.rmtree(place)


@pytest.mark.parametrize("closed", ["folder", "file", "parent"])
def test_a_place_that_may_not_be_written_is_one_warning(shared_place: Path, closed: str) -> None:
    place = shared_place / "state"
    path = place / "journal.sqlite3"
    if closed == "folder":
        place.mkdir(0o555)
    elif closed == "file":
        assert use(path) == (True, [])
        path.chmod(0o444)
        place.chmod(0o555)
    else:
        shared_place.chmod(0o555)
    was_root = os.geteuid() == 0
    try:
        if was_root:
            os.seteuid(NOBODY)
        usable, [warning] = use(path)
    finally:
        if was_root:
            os.seteuid(0)
        shared_place.chmod(0o755)
    assert not usable
    assert str(path) in warning
    assert "cannot be written" in warning or "Permission denied" in warning


@needs(Capability.MOUNT)
def test_a_filesystem_mounted_for_reading_is_one_warning(tmp_path: Path) -> None:
    path = tmp_path / "mounted" / "journal.sqlite3"
    path.parent.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "none", path.parent], check=True)
    try:
        assert use(path) == (True, [])
        subprocess.run(["mount", "-o", "remount,ro", path.parent], check=True)
        usable, [warning] = use(path)
    finally:
        subprocess.run(["umount", path.parent], check=True)
    assert not usable
    assert "cannot be written" in warning


# -- a full disk --------------------------------------------------------------------------------


@needs(Capability.MOUNT)
@pytest.mark.parametrize("size", ["4k", "16k", "48k", "200k"])
def test_a_full_disk_is_one_warning_whenever_it_fills(tmp_path: Path, size: str) -> None:
    mounted = tmp_path / "mounted"
    mounted.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "none", mounted], check=True)
    warnings: list[str] = []
    try:
        found = Journal.open(os.fsencode(mounted / "journal.sqlite3"), warnings.append)
        found.begin_run(b"/", ["run"])
        for number in range(3 * journal.BATCH_OUTCOMES):
            found.record(Outcome(0, b"/%d" % number, Kind.SMALL, "x" * 100), *FACTS)
        found.end_run(0, RunTotals({}))
        assert not found.usable
        found.close()
    finally:
        subprocess.run(["umount", mounted], check=True)
    assert len(warnings) == 1


def test_a_file_that_may_not_grow_is_one_warning_and_stays_sound(tmp_path: Path) -> None:
    program = """
import resource, sys
from pregen.journal import Journal, RunTotals
from pregen.model import Kind, Outcome
warnings = []
journal = Journal.open(sys.argv[1].encode(), warnings.append)
journal.begin_run(b"/", [])
journal.record(Outcome(0, b"/a", Kind.SMALL), 1000, 5)
journal.end_run(0, RunTotals({}))
assert journal.usable
free = resource.getrlimit(resource.RLIMIT_FSIZE)
resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, free[1]))
journal.begin_run(b"/", [])
for number in range(3_000):
    journal.record(Outcome(0, b"/%d" % number, Kind.SMALL, "x" * 200), 1, 1)
assert not journal.usable
journal.end_run(0, RunTotals({}))
journal.close()
assert len(warnings) == 1, warnings
resource.setrlimit(resource.RLIMIT_FSIZE, free)
"""
    path = tmp_path / "journal.sqlite3"
    root = Path(__file__).resolve().parents[2]
    subprocess.run([sys.executable, "-c", program, path], check=True, cwd=root, timeout=60)
    found = Journal.open(os.fsencode(path), pytest.fail)
    assert found.hint(b"/a", 1000, 5) is Kind.SMALL
    found.close()


# -- damage -------------------------------------------------------------------------------------


def put_aside(path: Path) -> list[Path]:
    return sorted(path.parent.glob("journal.sqlite3.corrupt-*Z"))


@pytest.mark.parametrize(
    "content",
    [b"garbage", b"garbage" * 10_000, bytes(5_000), b"SQLite format 3\0" + b"\xff" * 9_000],
    ids=["short", "long", "zeros", "header"],
)
def test_a_file_of_garbage_is_put_aside_and_a_new_one_begun(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "journal.sqlite3"
    path.write_bytes(content)
    usable, [warning] = use(path)
    assert usable
    assert sound(path)
    [aside] = put_aside(path)
    assert aside.read_bytes() == content
    assert str(path) in warning
    assert str(aside) in warning
    assert use(path) == (True, [])


def test_an_empty_file_is_a_new_journal(tmp_path: Path) -> None:
    (tmp_path / "journal.sqlite3").write_bytes(b"")
    assert use(tmp_path / "journal.sqlite3") == (True, [])


def test_a_damaged_file_leaves_no_log_to_the_new_one(tmp_path: Path) -> None:
    path = tmp_path / "journal.sqlite3"
    path.write_bytes(b"garbage" * 1_000)
    (tmp_path / "journal.sqlite3-wal").write_bytes(b"the log" * 10_000)
    assert use(path)[0]
    assert sound(path)


def test_the_log_is_put_aside_with_the_file(tmp_path: Path) -> None:
    path = os.fsencode(tmp_path / "journal.sqlite3")
    for part in ("", "-wal", "-shm"):
        (tmp_path / f"journal.sqlite3{part}").write_text(part)
    aside = database.set_aside(path, database.identity(path))
    assert aside is not None
    kept = os.fsdecode(aside)
    assert [Path(kept + part).read_text() for part in ("", "-wal", "-shm")] == ["", "-wal", "-shm"]
    assert len(list(tmp_path.iterdir())) == 3


def filled(path: Path, sources: int = 3_000) -> None:
    found = Journal.open(os.fsencode(path), pytest.fail, version="1.0.0")
    found.begin_run(b"/", [])
    for number in range(sources):
        found.record(Outcome(0, b"/%04d" % number, Kind.SMALL, "x" * 50), *FACTS)
    found.close()


def spoil(path: Path) -> None:
    """Overwrite the leaves of the tables; the first pages, which opening reads, stay."""
    kept_bytes = 24 * 4096
    size = path.stat().st_size
    with path.open("r+b") as file:
        file.seek(kept_bytes)
        file.write(b"\xaa" * (size - kept_bytes))


def test_damage_found_while_asking_is_one_warning_at_the_next_occasion(tmp_path: Path) -> None:
    path = tmp_path / "journal.sqlite3"
    filled(path)
    spoil(path)
    warnings: list[str] = []
    found = Journal.open(os.fsencode(path), warnings.append, version="1.0.0")
    assert found.usable
    asking = threading.Thread(
        target=lambda: [found.hint(b"/%04d" % number, *FACTS) for number in range(3_000)]
    )
    asking.start()
    asking.join()
    assert warnings == []
    found.close()
    assert len(warnings) == 1
    assert len(put_aside(path)) == 1
    assert use(path) == (True, [])


def test_damage_that_cannot_be_put_aside_is_one_warning(shared_place: Path) -> None:
    place = shared_place / "state"
    path = place / "journal.sqlite3"
    filled(path)
    spoil(path)
    warnings: list[str] = []
    found = Journal.open(os.fsencode(path), warnings.append, version="1.0.0")
    for number in range(3_000):
        found.hint(b"/%04d" % number, *FACTS)
    place.chmod(0o555)
    was_root = os.geteuid() == 0
    try:
        if was_root:
            os.seteuid(NOBODY)
        found.close()
    finally:
        if was_root:
            os.seteuid(0)
        place.chmod(0o700)
    [warning] = warnings
    assert "cannot be renamed" in warning
    assert put_aside(path) == []


def test_damage_found_while_writing_is_one_warning(tmp_path: Path) -> None:
    path = tmp_path / "journal.sqlite3"
    filled(path)
    spoil(path)
    warnings: list[str] = []
    found = Journal.open(os.fsencode(path), warnings.append, version="1.0.0")
    for number in range(3_000):
        found.record(Outcome(0, b"/%04d" % number, Kind.MADE), *FACTS)
    assert not found.usable
    found.end_run(0, RunTotals({}))
    found.close()
    assert len(warnings) == 1
    assert len(put_aside(path)) == 1


def test_damage_that_another_run_has_dealt_with_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "journal.sqlite3"
    path.write_bytes(b"garbage")
    damaged = database.identity(os.fsencode(path))
    other = tmp_path / "other"
    filled(other, 1)
    other.replace(path)
    assert database.set_aside(os.fsencode(path), damaged) is None
    assert put_aside(path) == []


def everything(path: Path) -> list[str]:
    """Do all that runs and verbs do with a journal; return the warnings."""
    warnings: list[str] = []
    found = Journal.open(os.fsencode(path), warnings.append, version="1.0.0")
    found.begin_run(b"/", ["run"])
    for number in range(0, 60, 7):
        found.hint(b"/d/%04d" % number, *FACTS)
        found.kin(1000 + number, FACTS[1])
    for folder in (b"/d", b"/e"):
        for entries in found.recall(folder, (Flavor.LARGE,)).values():
            assert all(isinstance(fact, int | bytes) for known in entries for fact in known)
    found.surveyed(b"/cache")
    found.learn(b"/d", (Flavor.LARGE,), {b"0000": ((1, 2, bytes(16), 3, 4, 5),)})
    found.record(Outcome(0, b"/d/a", Kind.MADE, fingerprint="f"), *FACTS, key="0" * 32)
    found.end_run(0, RunTotals({Kind.MADE: 1}))
    root = b"/nowhere/thumbnails"
    runs, failures = tuple(found.last_runs(9, cache=root)), tuple(found.outcomes(FAILURES))
    facts = StatusFacts(root, b"/j", {"large": FolderCount()}, {}, runs, 9, failures, ())
    list(status_lines(facts))
    json.dumps(status_record(facts))
    for source in found.sources():
        key(file_uri(source))
    list(found.sources_of(1))
    found.forget([b"/d/0003"])
    found.close()
    known_below(os.fsencode(path), [b"/d"])
    return warnings


@pytest.mark.parametrize("first", range(0, 240, 40))
def test_no_damage_raises_and_the_next_journal_is_sound(tmp_path: Path, first: int) -> None:
    made = tmp_path / "made.sqlite3"
    found = Journal.open(os.fsencode(made), pytest.fail, version="1.0.0")
    found.begin_run(b"/", ["run"])
    for number in range(60):
        kind = (Kind.MADE, Kind.SMALL, Kind.INVALID, Kind.CRASHED)[number % 4]
        outcome = Outcome(0, b"/d/%04d" % number, kind, "x" * 50, fingerprint=f"{number:032x}:9")
        found.record(outcome, 1000 + number, FACTS[1], key=f"{number:032x}")
        found.learn(b"/e", (Flavor.LARGE,), {b"%d" % number: ((1, 2, bytes(16), 3, 4, 5),)})
    found.survey(b"/cache", ())
    found.end_run(3, RunTotals({Kind.MADE: 15}))
    found.close()
    for seed in range(first, first + 40):
        path = tmp_path / str(seed) / "journal.sqlite3"
        path.parent.mkdir()
        shutil.copy(made, path)
        how = damage(path, Random(seed))  # noqa: S311 - damage, not secrets
        said = [everything(path), everything(path), everything(path)]
        assert all(len(warnings) <= 2 for warnings in said), f"seed {seed}, {how}: {said}"
        last = said[-1]
        assert not last or "newer pregen" in last[0], f"seed {seed}, {how}: {said}"


# -- other versions -----------------------------------------------------------------------------


def test_a_newer_schema_is_left_untouched(tmp_path: Path) -> None:
    path = tmp_path / "journal.sqlite3"
    assert use(path) == (True, [])
    connection = sqlite3.connect(path)
    connection.execute(f"PRAGMA user_version = {len(MIGRATIONS) + 1}")
    connection.close()
    before = path.read_bytes()
    usable, [warning] = use(path)
    assert not usable
    assert "newer pregen" in warning
    assert path.read_bytes() == before


@pytest.mark.parametrize("version", [0, 1, 7])
def test_the_database_of_another_program_is_left_untouched(tmp_path: Path, version: int) -> None:
    path = tmp_path / "journal.sqlite3"
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE runs (id INTEGER)")
    connection.execute(f"PRAGMA user_version = {version}")
    connection.close()
    before = path.read_bytes()
    usable, [warning] = use(path)
    assert not usable
    assert "another program" in warning
    assert path.read_bytes() == before


_NEXT = """
-- A comment; with a semicolon.
ALTER TABLE sources ADD COLUMN fingerprint BLOB;
CREATE TABLE places (
    host TEXT NOT NULL,  -- ; here too
    path BLOB
);
UPDATE sources SET fingerprint = path;
"""


def test_an_older_journal_is_brought_up_to_date_with_all_it_holds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "journal.sqlite3"
    filled(path, 100)
    later = "CREATE INDEX by_fingerprint ON sources (fingerprint);"
    monkeypatch.setattr(database, "MIGRATIONS", (*MIGRATIONS, _NEXT, later))
    found = Journal.open(os.fsencode(path), pytest.fail, version="1.0.0")
    assert found.hint(b"/0042", *FACTS) is Kind.SMALL
    assert len(found.last_runs(5)) == 1
    found.close()
    connection = sqlite3.connect(path)
    assert connection.execute("PRAGMA user_version").fetchone() == (len(MIGRATIONS) + 2,)
    assert connection.execute(
        "SELECT count(*) FROM sources INDEXED BY by_fingerprint WHERE fingerprint = x'2F30303432'"
    ).fetchone() == (1,)
    connection.close()


def test_a_migration_that_fails_changes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "journal.sqlite3"
    filled(path, 10)
    monkeypatch.setattr(database, "MIGRATIONS", (*MIGRATIONS, _NEXT + "DROP TABLE nothing;"))
    usable, [warning] = use(path)
    assert not usable
    assert "nothing" in warning
    monkeypatch.undo()
    found = Journal.open(os.fsencode(path), pytest.fail, version="1.0.0")
    assert found.hint(b"/0003", *FACTS) is Kind.SMALL
    found.close()


def test_a_migration_another_process_has_done_is_not_done_again(tmp_path: Path) -> None:
    path = tmp_path / "journal.sqlite3"
    filled(path, 10)
    connection = database.connect(os.fsencode(path), 1)
    database._migrate(connection)
    assert list(connection.execute("PRAGMA user_version").fetchone()) == [len(MIGRATIONS)]
    connection.close()


def test_runs_that_begin_together_make_one_journal(tmp_path: Path) -> None:
    program = """
import sys
from pregen.journal import Journal
sys.stdin.readline()
warnings = []
journal = Journal.open(sys.argv[1].encode(), warnings.append)
journal.begin_run(b"/", [])
journal.close()
sys.exit(str(warnings) if warnings else 0)
"""
    path = tmp_path / "state" / "journal.sqlite3"
    root = Path(__file__).resolve().parents[2]
    runs = [
        subprocess.Popen([sys.executable, "-c", program, path], stdin=subprocess.PIPE, cwd=root)
        for _ in range(6)
    ]
    for run in runs:
        assert run.stdin is not None
        run.stdin.write(b"\n")
        run.stdin.flush()
    for run in runs:
        run.communicate(timeout=60)
    assert [run.returncode for run in runs] == [0] * 6
    found = Journal.open(os.fsencode(path), pytest.fail)
    assert len(found.last_runs(10)) == 6
    found.close()


# -- locks --------------------------------------------------------------------------------------

_HOLDS = """
import sqlite3, sys
database = sqlite3.connect(sys.argv[1], isolation_level=None)
database.execute(sys.argv[2])
print("held", flush=True)
sys.stdin.readline()
"""


class Holder:
    """Another process that holds the file's lock."""

    def __init__(self, path: Path, how: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", _HOLDS, path, how],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        assert self.process.stdout is not None
        assert self.process.stdout.readline() == b"held\n"

    def release(self) -> None:
        self.process.communicate(b"\n", timeout=60)


def test_outcomes_wait_while_another_process_holds_the_lock(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "BUSY_S", 0.01)
    path = tmp_path / "journal.sqlite3"
    found = Journal.open(os.fsencode(path), pytest.fail)
    found.begin_run(b"/", [])
    holder = Holder(path, "BEGIN IMMEDIATE")
    for number in range(3 * journal.BATCH_OUTCOMES):
        found.record(Outcome(0, b"/%d" % number, Kind.SMALL), *FACTS)
    assert found.usable
    assert len(found._rows) == 3 * journal.BATCH_OUTCOMES
    holder.release()
    found.end_run(0, RunTotals({}))
    found.close()
    found = Journal.open(os.fsencode(path), pytest.fail)
    assert found.hint(b"/0", *FACTS) is Kind.SMALL
    assert found.hint(b"/%d" % (3 * journal.BATCH_OUTCOMES - 1), *FACTS) is Kind.SMALL
    found.close()


def test_a_lock_does_not_hold_up_every_outcome(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "BUSY_S", 0.01)
    path = tmp_path / "journal.sqlite3"
    found = Journal.open(os.fsencode(path), pytest.fail)
    found.begin_run(b"/", [])
    holder = Holder(path, "BEGIN IMMEDIATE")
    tries: list[float] = []
    flush = found._flush

    def counted(timeout_s: float) -> None:
        tries.append(timeout_s)
        flush(timeout_s)

    monkeypatch.setattr(found, "_flush", counted)
    monkeypatch.setattr(journal, "BATCH_NS", 10**15)
    found._due_ns = 10**18
    for number in range(3 * journal.BATCH_OUTCOMES):
        found.record(Outcome(0, b"/%d" % number, Kind.SMALL), *FACTS)
    assert len(tries) == 1
    holder.release()
    found.close()


def test_a_lock_that_is_never_released_ends_in_one_warning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "BUSY_S", 0.01)
    monkeypatch.setattr(database, "PATIENT_S", 0.01)
    monkeypatch.setattr(journal, "_KEPT_OUTCOMES", 60)
    monkeypatch.setattr(journal, "BATCH_NS", 0)
    path = tmp_path / "journal.sqlite3"
    warnings: list[str] = []
    found = Journal.open(os.fsencode(path), warnings.append)
    found.begin_run(b"/", [])
    holder = Holder(path, "BEGIN IMMEDIATE")
    for number in range(70):
        found.record(Outcome(0, b"/%d" % number, Kind.SMALL), *FACTS)
    assert not found.usable
    holder.release()
    found.close()
    [warning] = warnings
    assert "locked" in warning


def test_a_journal_locked_at_the_start_is_one_warning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "PATIENT_S", 0.01)
    path = tmp_path / "journal.sqlite3"
    assert use(path) == (True, [])
    holder = Holder(path, "BEGIN IMMEDIATE")
    usable, [warning] = use(path)
    holder.release()
    assert not usable
    assert "locked" in warning
    assert use(path) == (True, [])
