"""What the journal remembers, against a dictionary, and how it says it."""

from __future__ import annotations

import os
import sqlite3
import stat
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pregen.journal import (
    Journal,
    RunState,
    RunTotals,
    fingerprints,
    journal,
    journal_path,
    state_dir,
)
from pregen.journal.database import MIGRATIONS, OF_NOTE, insert
from pregen.journal.rows import in_list
from pregen.model import FAILURES, REMEMBERED, Flavor, Kin, Kind, Outcome, Stages

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pregen.model import KnownFolder

FACTS = (1000, 1_600_000_000_123_456_789)


def refuse(message: str) -> None:
    """Nothing in these tests deserves a warning."""
    raise AssertionError(message)


def opened(place: Path, version: str = "1.0.0") -> Journal:
    found = Journal.open(os.fsencode(place / "journal.sqlite3"), refuse, version=version)
    assert found.usable
    return found


def outcome(path: bytes, kind: Kind, message: str = "") -> Outcome:
    return Outcome(0, path, kind, message)


def stored(place: Path, query: str) -> list[tuple[object, ...]]:
    """Ask the file itself, with nothing of the journal's between."""
    database = sqlite3.connect(place / "journal.sqlite3")
    try:
        return database.execute(query).fetchall()
    finally:
        database.close()


# -- places and modes ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({}, b"/home/me/.local/state/pregen"),
        ({"XDG_STATE_HOME": ""}, b"/home/me/.local/state/pregen"),
        ({"XDG_STATE_HOME": "relative"}, b"/home/me/.local/state/pregen"),
        ({"XDG_STATE_HOME": "/var/state/"}, b"/var/state/pregen"),
        ({"XDG_STATE_HOME": "/caf\udce9"}, b"/caf\xe9/pregen"),
    ],
)
def test_the_state_directory_is_where_xdg_says(environ: dict[str, str], expected: bytes) -> None:
    assert state_dir(environ, "/home/me") == expected
    assert journal_path(environ, "/home/me") == expected + b"/journal.sqlite3"


@pytest.mark.parametrize("umask", [0o000, 0o077])
def test_the_journal_is_for_its_owner_whatever_the_umask(tmp_path: Path, umask: int) -> None:
    place = tmp_path / "new" / "state"
    before = os.umask(umask)
    try:
        found = opened(place)
        found.begin_run(b"/", [])
        modes = {entry.name: stat.S_IMODE(entry.stat().st_mode) for entry in place.iterdir()}
    finally:
        os.umask(before)
    assert stat.S_IMODE(place.stat().st_mode) == 0o700
    assert "journal.sqlite3-wal" in modes
    assert set(modes.values()) == {0o600}
    found.close()


def test_modes_that_are_too_wide_are_mended(tmp_path: Path) -> None:
    place = tmp_path / "state"
    opened(place).close()
    place.chmod(0o755)
    (place / "journal.sqlite3").chmod(0o644)
    opened(place).close()
    assert stat.S_IMODE(place.stat().st_mode) == 0o700
    assert stat.S_IMODE((place / "journal.sqlite3").stat().st_mode) == 0o600


def test_a_folder_of_any_name_will_do(tmp_path: Path) -> None:
    path = os.fsencode(tmp_path) + b"/caf\xe9 ?#%41/journal.sqlite3"
    found = Journal.open(path, refuse)
    found.begin_run(b"/", [])
    found.close()
    assert os.path.lexists(path)


def test_asking_does_not_make_a_journal(tmp_path: Path) -> None:
    path = tmp_path / "state" / "journal.sqlite3"
    found = Journal.open(os.fsencode(path), refuse, create=False)
    assert not found.usable
    assert found.last_runs(5) == []
    assert not path.parent.exists()


# -- outcomes -----------------------------------------------------------------------------------


def test_an_outcome_is_kept_with_all_it_tells(tmp_path: Path) -> None:
    found = opened(tmp_path)
    found.begin_run(b"/", [])
    told = Outcome(
        7, b"/a\xff.jpg", Kind.MADE, "so \udcff", "turbo", "image/jpeg", 40, 30, 2, 5000, 3_000,
        Stages(1, 2, 3, 4, 5), 123,
    )  # fmt: skip
    found.record(told, 3000, 42)
    found.close()
    [row] = stored(tmp_path, "SELECT * FROM sources")
    assert row[:19] == (
        b"/a\xff.jpg", 3000, 42, "made", "so \\udcff", "turbo", "image/jpeg", 40, 30, 2, 5000,
        3000, 1, 2, 3, 4, 5, 123, 1,
    )  # fmt: skip
    assert abs(int(str(row[19])) - time.time_ns()) < 60 * 10**9


def test_an_interrupted_source_keeps_what_was_known_of_it(tmp_path: Path) -> None:
    found = opened(tmp_path)
    found.record(outcome(b"/a", Kind.CRASHED), *FACTS)
    found.record(outcome(b"/a", Kind.INTERRUPTED), *FACTS)
    found.record(outcome(b"/b", Kind.INTERRUPTED), *FACTS)
    found.close()
    assert stored(tmp_path, "SELECT path, kind FROM sources") == [(b"/a", "crashed")]


def test_many_outcomes_are_written_without_waiting_for_the_end(tmp_path: Path) -> None:
    found = opened(tmp_path)
    found.begin_run(b"/", [])
    for number in range(journal.BATCH_OUTCOMES):
        found.record(outcome(b"/%d" % number, Kind.MADE), *FACTS)
    assert stored(tmp_path, "SELECT count(*) FROM sources") == [(journal.BATCH_OUTCOMES,)]
    found.close()


@pytest.mark.parametrize("most_values", [32_766, 999, 9, 2])
def test_rows_are_inserted_whatever_one_statement_may_hold(
    tmp_path: Path, most_values: int
) -> None:
    rows = [(number, f"{number}") for number in range(250)]
    connection = sqlite3.connect(tmp_path / "some.sqlite3")
    connection.setlimit(sqlite3.SQLITE_LIMIT_VARIABLE_NUMBER, most_values)
    connection.execute("CREATE TABLE some (number INTEGER PRIMARY KEY, name TEXT)")
    for portion in ([], rows[:1], rows[:100], rows):
        insert(connection, "INSERT OR REPLACE INTO some (number, name) VALUES (?, ?)", portion)
        assert connection.execute("SELECT * FROM some ORDER BY number").fetchall() == portion
    connection.close()


def test_few_outcomes_are_written_when_their_time_is_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = opened(tmp_path)
    found.begin_run(b"/", [])
    found.record(outcome(b"/a", Kind.MADE), *FACTS)
    found.tick()
    assert stored(tmp_path, "SELECT count(*) FROM sources") == [(0,)]
    later = time.monotonic_ns() + journal.BATCH_NS
    monkeypatch.setattr(time, "monotonic_ns", lambda: later)
    found.tick()
    assert stored(tmp_path, "SELECT count(*) FROM sources") == [(1,)]
    found.record(outcome(b"/b", Kind.MADE), *FACTS)
    later += journal.BATCH_NS
    found.record(outcome(b"/c", Kind.MADE), *FACTS)
    assert stored(tmp_path, "SELECT count(*) FROM sources") == [(3,)]
    found.close()


_texts = st.text(max_size=8) | st.sampled_from(["\udcff", "\0", "'; DROP TABLE sources; --"])
_paths = st.sampled_from([b"/a", b"/b", b"/\xff", b"/new\nline", b"/'"])
_numbers = st.integers(0, 2**63 - 1)
_times = st.integers(-(10**18), 2 * 10**19)
_notes = st.lists(
    st.tuples(_paths, st.sampled_from(Kind), _texts, _numbers, _times, st.booleans()), max_size=30
)


@given(_notes)
def test_the_journal_remembers_what_a_dictionary_does(
    notes: list[tuple[bytes, Kind, str, int, int, bool]],
) -> None:
    model: dict[bytes, tuple[Kind, int, int]] = {}
    with tempfile.TemporaryDirectory(dir="/dev/shm") as folder:  # Where opening costs no fsync.
        found = opened(Path(folder))
        found.begin_run(b"/", [])
        for path, kind, message, size_bytes, mtime_ns, reopen in notes:
            found.record(outcome(path, kind, message), size_bytes, mtime_ns)
            if kind not in {Kind.INTERRUPTED, Kind.FRESH, Kind.PRIVATE}:
                model[path] = (kind, size_bytes, mtime_ns)
            if reopen:
                found.close()
                found = opened(Path(folder))
                found.begin_run(b"/", [])
        found.close()
        found = opened(Path(folder))
        for path, (kind, size_bytes, mtime_ns) in model.items():
            expected = kind if kind in REMEMBERED else None
            assert found.hint(path, size_bytes, mtime_ns) == expected
            assert found.hint(path, size_bytes + 1, mtime_ns) is None
        failed = {path: kind for path, (kind, _, _) in model.items() if kind in FAILURES}
        assert {failure.path: failure.kind for failure in found.outcomes(FAILURES)} == failed
        found.close()


# -- hints --------------------------------------------------------------------------------------


def remembered(place: Path, kind: Kind, version: str) -> None:
    found = opened(place, version)
    found.begin_run(b"/", [])
    found.record(outcome(b"/a", kind), *FACTS)
    found.close()


@pytest.mark.parametrize("kind", [kind for kind in Kind if kind in REMEMBERED])
def test_a_hint_holds_for_the_same_file_only(tmp_path: Path, kind: Kind) -> None:
    remembered(tmp_path, kind, "1.0.0")
    size_bytes, mtime_ns = FACTS
    found = opened(tmp_path)
    assert found.hint(b"/a", size_bytes, mtime_ns) is kind
    assert found.hint(b"/a", size_bytes + 1, mtime_ns) is None
    assert found.hint(b"/a", size_bytes, mtime_ns - 1) is None
    assert found.hint(b"/b", size_bytes, mtime_ns) is None
    found.close()
    assert found.hint(b"/a", size_bytes, mtime_ns) is None


def test_what_another_version_could_not_do_is_tried_again(tmp_path: Path) -> None:
    held = {}
    for kind in REMEMBERED:
        remembered(tmp_path, kind, "1.0.0")
        found = opened(tmp_path, "1.0.1")
        held[kind] = found.hint(b"/a", *FACTS)
        found.close()
    assert held == {kind: kind if kind is Kind.SMALL else None for kind in REMEMBERED}


def test_what_killed_another_version_of_a_library_is_tried_again(tmp_path: Path) -> None:
    path = os.fsencode(tmp_path / "journal.sqlite3")
    held = {}
    for kind in REMEMBERED:
        for libraries in ("pillow-1 av-1", "pillow-1 av-2"):
            found = Journal.open(path, refuse, version="1.0.0", libraries=libraries)
            if libraries.endswith("1"):
                found.begin_run(b"/", [])
                found.record(outcome(b"/a", kind), *FACTS)
            held[kind] = found.hint(b"/a", *FACTS)
            found.close()
    again = {Kind.CRASHED, Kind.TIMED_OUT}
    assert held == {kind: None if kind in again else kind for kind in REMEMBERED}


def test_what_an_older_decoder_found_is_asked_again(tmp_path: Path) -> None:
    path = os.fsencode(tmp_path / "journal.sqlite3")
    flavors = (Flavor.NORMAL,)
    known: KnownFolder = {b"a": ((1, 2, bytes(16), 3, 4, 5),)}
    held = {}
    for kind in REMEMBERED:
        for revision in (1, 2):
            found = Journal.open(path, refuse, version="1.0.0", libraries="av-1", revision=revision)
            if revision == 1:
                found.begin_run(b"/", [])
                found.record(outcome(b"/a", kind), *FACTS)
                found.learn(b"/", flavors, known)
            else:
                assert found.recall(b"/", flavors) == {}
            held[kind] = found.hint(b"/a", *FACTS)
            found.close()
    assert held == {kind: kind if kind is Kind.SMALL else None for kind in REMEMBERED}
    found = Journal.open(path, refuse, version="1.0.0", libraries="av-1", revision=1)
    assert found.recall(b"/", flavors) == known
    found.close()


def test_deaths_that_were_the_machines_are_not_remembered(tmp_path: Path) -> None:
    for _ in range(2):
        remembered(tmp_path, Kind.CRASHED, "1.0.0")
        found = opened(tmp_path)
        assert found.hint(b"/a", *FACTS) is Kind.CRASHED
        found.begin_run(b"/", [])
        for number, kind in enumerate((Kind.CRASHED, Kind.TIMED_OUT, Kind.SMALL)):
            found.record(outcome(b"/new%d" % number, kind), *FACTS)
        found.spare()
        found.close()
    found = opened(tmp_path)
    hints = [found.hint(path, *FACTS) for path in (b"/a", b"/new0", b"/new1", b"/new2")]
    assert hints == [Kind.CRASHED, None, None, Kind.SMALL]
    assert [failure.kind for failure in found.outcomes(FAILURES)][1:] == [Kind.DISTURBED] * 2
    found.close()


@pytest.mark.parametrize("kind", [kind for kind in Kind if kind not in REMEMBERED])
def test_no_other_outcome_spares_a_look(tmp_path: Path, kind: Kind) -> None:
    remembered(tmp_path, Kind.SMALL, "1.0.0")
    found = opened(tmp_path)
    found.record(outcome(b"/b", kind), *FACTS)
    found.close()
    found = opened(tmp_path)
    assert found.hint(b"/b", *FACTS) is None
    found.close()


def test_success_takes_a_hint_back(tmp_path: Path) -> None:
    remembered(tmp_path, Kind.CRASHED, "1.0.0")
    remembered(tmp_path, Kind.MADE, "1.0.0")
    found = opened(tmp_path)
    assert found.hint(b"/a", *FACTS) is None
    found.close()


def test_a_folder_without_temps_is_remembered_once_its_clock_has_moved_on(tmp_path: Path) -> None:
    long_ago, just_now = time.time_ns() - 3600 * 10**9, time.time_ns() - 10**9
    found = opened(tmp_path)
    found.note_swept(b"/cache/large", long_ago)
    found.note_swept(b"/cache/normal", just_now)
    assert found.was_swept(b"/cache/large", long_ago)
    assert not found.was_swept(b"/cache/large", long_ago + 1)
    assert not found.was_swept(b"/cache/normal", just_now)
    found.close()
    again = opened(tmp_path)
    assert again.was_swept(b"/cache/large", long_ago)
    again.close()
    assert not again.was_swept(b"/cache/large", long_ago)


def test_with_nothing_to_remember_the_file_is_not_asked(tmp_path: Path) -> None:
    remembered(tmp_path, Kind.MADE, "1.0.0")
    found = opened(tmp_path)
    assert found.hint(b"/a", *FACTS) is None
    assert found._reader is not None
    assert found._reader._connection is None
    found.close()


def test_hints_are_given_to_another_thread_while_outcomes_are_written(tmp_path: Path) -> None:
    first = opened(tmp_path)
    first.begin_run(b"/", [])
    for number in range(2_000):
        first.record(outcome(b"/%d" % number, Kind.SMALL), *FACTS)
    first.close()
    found = opened(tmp_path)
    found.begin_run(b"/", [])
    hints: list[Kind | None] = []
    thread = threading.Thread(
        target=lambda: hints.extend(found.hint(b"/%d" % n, *FACTS) for n in range(4_000))
    )
    thread.start()
    for number in range(2_000):
        found.record(outcome(b"/x%d" % number, Kind.MADE), *FACTS)
    thread.join()
    found.close()
    assert hints == [Kind.SMALL] * 2_000 + [None] * 2_000


def test_closing_while_another_thread_asks_is_safe(tmp_path: Path) -> None:
    remembered(tmp_path, Kind.SMALL, "1.0.0")
    found = opened(tmp_path)
    asked = threading.Event()
    answers: list[Kind | None] = []

    def ask() -> None:
        while (answer := found.hint(b"/a", *FACTS)) is not None:
            answers.append(answer)
            asked.set()

    thread = threading.Thread(target=ask)
    thread.start()
    assert asked.wait(30)
    found.close()
    thread.join(30)
    assert not thread.is_alive()
    assert set(answers) == {Kind.SMALL}


def test_questions_about_few_kinds_do_not_read_every_source(tmp_path: Path) -> None:
    opened(tmp_path).close()
    failures = f"SELECT path {journal._FROM_NOTED} {in_list(FAILURES)}"
    for query in (journal._ANY_REMEMBERED, failures):
        [(*_, plan)] = stored(tmp_path, f"EXPLAIN QUERY PLAN {query}")
        assert "sources_of_note" in str(plan)
    assert OF_NOTE in failures


# -- runs and failures --------------------------------------------------------------------------


def test_a_run_is_kept_with_its_totals(tmp_path: Path) -> None:
    found = opened(tmp_path, "1.2.3")
    found.begin_run(b"/home/\xff", ["run", "caf\udce9", "--json"])
    totals = RunTotals({Kind.MADE: 3, Kind.INVALID: 1}, 10**10, 2 * 10**9, 6, 5 * 10**9)
    found.end_run(3, totals)
    found.close()
    found = opened(tmp_path)
    [run] = found.last_runs(5)
    found.close()
    assert (run.run_id, run.state, run.version, run.pid) == (
        1, RunState.ENDED, "1.2.3", os.getpid()
    )  # fmt: skip
    assert (run.cwd, run.arguments) == (b"/home/\xff", ["run", "caf\udce9", "--json"])
    assert (run.exit_code, run.counts) == (3, {"made": 3, "invalid": 1})
    assert (run.bytes_read, run.bytes_written) == (10**10, 2 * 10**9)
    assert (run.entries_written, run.wall_ns) == (6, 5 * 10**9)
    assert run.ended_at_ns is not None
    assert 0 < run.started_at_ns <= run.ended_at_ns


def test_the_newest_runs_come_first(tmp_path: Path) -> None:
    found = opened(tmp_path)
    for number in range(4):
        found.begin_run(b"/", [str(number)])
        found.end_run(0, RunTotals({}))
    assert [run.arguments for run in found.last_runs(2)] == [["3"], ["2"]]
    assert [run.arguments for run in found.last_runs(1, 2)] == [["1"]]
    assert found.last_runs(1, 5) == []
    found.close()


def test_it_is_known_which_cache_a_run_filled(tmp_path: Path) -> None:
    one, two, link = (os.fsencode(tmp_path / name) for name in ("one", "two", "link"))
    (tmp_path / "link").symlink_to("one")
    found = opened(tmp_path)
    for cache, path in ((b"", b"/before"), (one, b"/x"), (two, b"/y"), (two, b"/x")):
        found.begin_run(b"/", [], cache)
        found.record(outcome(path, Kind.INVALID), *FACTS)
        found.end_run(3, RunTotals({}))
    assert [run.cache for run in found.last_runs(9)] == [two, two, one, b""]
    for cache, runs in ((one, [2, 1]), (link, [2, 1]), (two, [4, 3, 1])):
        assert [run.run_id for run in found.last_runs(9, cache=cache)] == runs
    assert [run.run_id for run in found.last_runs(1, 2, two)] == []
    failures = [(failure.path, failure.cache) for failure in found.outcomes(FAILURES)]
    assert failures == [(b"/before", b""), (b"/x", two), (b"/y", two)]
    found.close()


def test_a_run_that_goes_on_is_seen_by_others(tmp_path: Path) -> None:
    found = opened(tmp_path)
    found.begin_run(b"/", [])
    other = opened(tmp_path)
    assert [run.state for run in other.last_runs(1)] == [RunState.RUNNING]
    other.close()
    found.close()


def test_a_run_whose_number_another_process_has_now_was_killed(tmp_path: Path) -> None:
    found = opened(tmp_path)
    found.begin_run(b"/", [])
    long_ago_ns = int((psutil.Process().create_time() - 3600) * 1e9)
    found.close()
    database = sqlite3.connect(tmp_path / "journal.sqlite3")
    with database:
        database.execute("UPDATE runs SET started_at_ns = ?", (long_ago_ns,))
    database.close()
    found = opened(tmp_path)
    assert [run.state for run in found.last_runs(1)] == [RunState.KILLED]
    found.close()


def test_a_run_that_was_killed_is_known_as_such_before_its_parent_notices(tmp_path: Path) -> None:
    found = opened(tmp_path)
    found.begin_run(b"/", [])
    found.close()
    with subprocess.Popen([sys.executable, "-c", ""]) as run:
        os.waitid(os.P_PID, run.pid, os.WEXITED | os.WNOWAIT)
        database = sqlite3.connect(tmp_path / "journal.sqlite3")
        with database:
            database.execute("UPDATE runs SET pid = ?", (run.pid,))
        database.close()
        found = opened(tmp_path)
        assert [run.state for run in found.last_runs(1)] == [RunState.KILLED]
        found.close()


def test_a_run_on_another_machine_may_go_on(tmp_path: Path) -> None:
    found = opened(tmp_path)
    found.begin_run(b"/", [])
    found.close()
    database = sqlite3.connect(tmp_path / "journal.sqlite3")
    with database:
        database.execute("UPDATE runs SET host = 'nas'")
    database.close()
    found = opened(tmp_path)
    assert [run.state for run in found.last_runs(1)] == [RunState.ELSEWHERE]
    found.close()


def test_failures_are_listed_by_path_with_their_reasons(tmp_path: Path) -> None:
    found = opened(tmp_path)
    found.begin_run(b"/", [])
    for path, kind in (
        (b"/b", Kind.INVALID), (b"/a", Kind.CRASHED), (b"/c", Kind.SMALL), (b"/d", Kind.MADE),
        (b"/e", Kind.INVALID),
    ):  # fmt: skip
        found.record(outcome(path, kind, f"about {path.decode()}"), *FACTS)
    found.end_run(3, RunTotals({}))
    assert [
        (failure.path, failure.kind, failure.message) for failure in found.outcomes(FAILURES)
    ] == [
        (b"/a", Kind.CRASHED, "about /a"),
        (b"/b", Kind.INVALID, "about /b"),
        (b"/e", Kind.INVALID, "about /e"),
    ]
    assert [failure.path for failure in found.outcomes(FAILURES)][:1] == [b"/a"]
    assert found.outcomes(FAILURES)[0][3:6] == (*FACTS, 1)
    found.record(outcome(b"/b", Kind.MADE), *FACTS)
    found.close()
    found = opened(tmp_path)
    assert [failure.path for failure in found.outcomes(FAILURES)] == [b"/a", b"/e"]
    found.close()


# -- death --------------------------------------------------------------------------------------

_DIES = """
import os, sys
from pregen.journal import Journal
from pregen.model import Kind, Outcome
journal = Journal.open(sys.argv[1].encode(), print, version="1.0.0")
journal.begin_run(b"/", ["run"])
for number in range(500):
    journal.record(Outcome(0, b"/written/%d" % number, Kind.SMALL), 1, 1)
database = journal._database
database.execute("PRAGMA cache_size = 1")
database.execute("BEGIN IMMEDIATE")
database.execute("DELETE FROM sources")
for number in range(5_000):
    database.execute("INSERT INTO runs (started_at_ns, version, host, pid, cwd, arguments)"
                     " VALUES (0, '', '', 0, x'', ?)", ("x" * 500,))
print("in mid-transaction", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def dying(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-c", _DIES, str(tmp_path / "journal.sqlite3")]
    root = Path(__file__).resolve().parents[2]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=root
    ) as process:
        yield process
        process.kill()


def test_a_run_killed_in_mid_transaction_leaves_what_was_written(
    tmp_path: Path, dying: subprocess.Popen[str]
) -> None:
    assert dying.stdout is not None
    assert dying.stdout.readline() == "in mid-transaction\n"
    assert (tmp_path / "journal.sqlite3-wal").stat().st_size > 1_000_000
    dying.kill()
    dying.wait()
    found = opened(tmp_path)
    [run] = found.last_runs(5)
    assert (run.state, run.ended_at_ns, run.exit_code) == (RunState.KILLED, None, None)
    assert found.hint(b"/written/499", 1, 1) is Kind.SMALL
    found.close()
    assert stored(tmp_path, "SELECT count(*) FROM sources") == [(500,)]
    assert stored(tmp_path, "PRAGMA integrity_check") == [("ok",)]


# -- fingerprints -------------------------------------------------------------------------------


def test_a_journal_of_the_version_before_is_brought_on_with_all_it_knew(tmp_path: Path) -> None:
    old = sqlite3.connect(tmp_path / "journal.sqlite3")
    for script in MIGRATIONS[:2]:
        old.executescript(script)
    old.execute("PRAGMA user_version = 2")
    marks = ", ".join(["1"] * 19)
    old.execute(f"INSERT INTO sources VALUES (CAST('/a' AS BLOB), {marks})")  # noqa: S608 - ones
    old.execute("UPDATE sources SET kind = 'crashed'")
    old.commit()
    old.close()
    now = opened(tmp_path)
    assert [failure.path for failure in now.outcomes(FAILURES)] == [b"/a"]
    now.record(outcome(b"/b", Kind.MADE)._replace(fingerprint="f:1"), *FACTS, "ab" * 16)
    now.close()
    assert opened(tmp_path).kin(*FACTS) == (Kin("ab" * 16, "f:1"),)


def test_the_latest_of_many_with_one_size_and_time_are_told(tmp_path: Path) -> None:
    for number in range(20):
        found = opened(tmp_path)
        found.begin_run(b"/", [])
        made = outcome(b"/%d" % number, Kind.MADE)._replace(fingerprint=f"f:{number}")
        found.record(made, *FACTS, f"{number:032x}")
        found.close()
    found = opened(tmp_path)
    assert [kin.key for kin in found.kin(*FACTS)] == [f"{n:032x}" for n in range(19, 3, -1)]
    assert found.kin(FACTS[0], FACTS[1] + 10**9) == ()
    assert len(found.kin(FACTS[0], FACTS[1] + 1000)) == 16


def test_a_cache_is_surveyed_once(tmp_path: Path) -> None:
    found = opened(tmp_path)
    assert not found.surveyed(b"/cache")
    found.survey(b"/cache", [fingerprints.row("cd" * 16, "f:2", *FACTS)])
    assert found.surveyed(b"/cache")
    assert not found.surveyed(b"/other")
    assert found.kin(*FACTS) == (Kin("cd" * 16, "f:2"),)
