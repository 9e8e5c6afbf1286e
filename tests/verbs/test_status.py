"""`pregen status`: the cache and the journal at a glance."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from pregen import __version__
from pregen.journal import RecordedRun, RunState
from pregen.verbs.status import StatusFacts, _run_lines
from tests.support.files.pictures import put
from tests.support.files.source_trees import few
from tests.support.running.program import run_pregen

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / "cache"


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    few(tmp_path / "photos")
    put(tmp_path / "photos" / "broken\x1b[31m.jpg", b"\xff\xd8\xff\xe0 broken")
    return tmp_path / "photos"


def _status(cache: Path, *more: str) -> dict[str, Any]:
    done = run_pregen("status", "--json", *more, cache=cache)
    assert done.code == 0, done
    record: dict[str, Any] = json.loads(done.out)
    return record


def test_an_empty_home_has_nothing_and_stays_empty(cache: Path, tmp_path: Path) -> None:
    record = _status(cache)
    assert record["flavors"]["large"] == {"entries": 0, "bytes": 0, "others": 0}
    assert record["runs"] == []
    assert record["warnings"] == []
    out = run_pregen("status", cache=cache).out
    assert out.splitlines()[-1] == "0 thumbnails, 0 B. No run yet: pregen run FOLDER"
    assert list(tmp_path.iterdir()) == []


def test_entries_runs_and_failures_are_told(photos: Path, cache: Path) -> None:
    assert run_pregen("run", photos, cache=cache).code == 3
    put(cache / "thumbnails" / "large" / "notes.txt", b"mine")
    put(cache / "thumbnails" / "fail" / "other" / f"{'0' * 32}.png", b"1234")
    record = _status(cache)
    sizes = [path.stat().st_size for path in (cache / "thumbnails" / "large").glob("*.png")]
    assert record["flavors"]["large"] == {"entries": 4, "bytes": sum(sizes), "others": 1}
    assert record["flavors"]["normal"]["entries"] == 4
    assert record["flavors"]["xx-large"]["entries"] == 0
    assert record["fail_records"]["other"] == {"entries": 1, "bytes": 4, "others": 0}
    (run,) = record["runs"]
    assert (run["state"], run["exit_code"], run["version"]) == ("ended", 3, __version__)
    assert run["kinds"] == {"made": 4, "invalid": 1}
    assert run["entries_written"] == 8
    assert run["arguments"] == ["run", str(photos)]
    assert record["failure_counts"] == {"invalid": 1}
    assert record["failures"][0]["path"] == f"{photos}/broken\x1b[31m.jpg"


def test_a_person_is_told_the_same(photos: Path, cache: Path) -> None:
    run_pregen("run", photos, cache=cache)
    out = run_pregen("status", cache=cache).out
    assert "large     4 thumbnails" in out
    assert "done, some failed" in out
    assert "4 created, 1 failed" in out
    assert r"broken\x1b[31m.jpg" in out
    last = out.splitlines()[-1]
    assert last.startswith("8 thumbnails, ")
    assert last.endswith(". Last run: done. 1 file failed: pregen failures")
    assert "\x1b" not in out


def test_a_watch_is_one_run_and_each_has_its_number() -> None:
    def run(number: int, pid: int, verb: str, made: int) -> RecordedRun:
        started_ns = number * 10**9
        return RecordedRun(
            number, RunState.ENDED, started_ns, started_ns, "1", "host", pid, b"/", [verb], 0,
            {"made": made}, 0, 0, made, 10**9,
        )  # fmt: skip

    runs = (run(9, 5, "run", 1), run(8, 4, "watch", 2), run(7, 4, "watch", 3), run(6, 3, "run", 4))
    lines = list(_run_lines(StatusFacts(b"", b"", {}, {}, runs, 3, (), ())))
    assert [line.split()[0] for line in lines[1::2]] == ["9", "8", "6"]
    assert [line.split()[0] for line in lines[2::2]] == ["1", "5", "4"]
    assert "watch: done, 2.0 s" in lines[3]
    fewer = list(_run_lines(StatusFacts(b"", b"", {}, {}, runs, 2, (), ())))
    assert fewer == lines[:5]


def test_only_so_many_runs_are_told(photos: Path, cache: Path) -> None:
    for _ in range(3):
        run_pregen("run", photos, cache=cache)
    assert len(_status(cache, "--runs", "2")["runs"]) == 2
    assert _status(cache, "--runs", "0")["runs"] == []


def test_a_damaged_journal_is_told_and_the_cache_counted(photos: Path, cache: Path) -> None:
    run_pregen("run", photos, cache=cache)
    (journal,) = cache.with_name(f"{cache.name}-state").rglob("*.sqlite3")
    journal.write_bytes(b"garbage " * 4096)
    record = _status(cache)
    assert record["flavors"]["large"]["entries"] == 4
    assert len(record["warnings"]) == 1
    assert str(journal) in record["warnings"][0]
