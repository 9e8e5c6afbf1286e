"""Passes of the real engine and of the whole program: counted right, stopped at once."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import pytest

from pregen.config import EngineConfig, WorkConfig
from pregen.engines.base import StopLevel, make_work
from pregen.errors import CacheError, ExitCode, PregenError
from pregen.model import Kind, Source
from pregen.pipeline import RunStop
from pregen.verbs.bench.environment import drop, resident_share
from pregen.verbs.bench.measure import BenchStoppedError, Course, measure, run_s
from tests.support.files.pictures import put
from tests.support.files.source_trees import few, many_slow
from tests.support.judges import png_walk

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.xdist_group("timing")

TWO = EngineConfig(workers=2)


def sources_of(paths: list[Path]) -> list[Source]:
    facts = [path.stat() for path in paths]
    return [
        Source(bytes(path), each.st_size, each.st_mtime_ns)
        for path, each in zip(paths, facts, strict=True)
    ]


@pytest.fixture
def photos(tmp_path: Path) -> list[Source]:
    return sources_of(few(tmp_path / "photos", 3))


@pytest.fixture
def work(tmp_path: Path) -> WorkConfig:
    return WorkConfig(bytes(tmp_path / "scratch" / "thumbnails"), "0.1.0")


def test_a_pass_does_every_job_once_all_workers_are_ready(
    photos: list[Source], work: WorkConfig, tmp_path: Path
) -> None:
    calls: list[int] = []
    warm_entries: set[Path] = set()

    def before() -> None:
        calls.append(1)
        warm_entries.update((tmp_path / "scratch").rglob("*.png"))

    done = measure(Course(photos, 4, photos[:1]), make_work, work, TWO, RunStop(), before)
    assert calls == [1]
    assert sorted(each.path for each in done.outcomes) == sorted([one.path for one in photos] * 4)
    assert {outcome.kind for outcome in done.outcomes} == {Kind.MADE}
    assert (done.workers, done.repeats) == (2, 4)
    assert 0 <= done.idle_ns <= done.wall_ns
    entries = set((tmp_path / "scratch").rglob("*.png")) - warm_entries
    assert len(entries) == 3 * 4 * 2, "each copy got entries of its own"
    for entry in entries:
        png_walk.chunks(entry.read_bytes())


def test_a_cache_that_takes_nothing_ends_the_pass(photos: list[Source], tmp_path: Path) -> None:
    put(tmp_path / "file", b"in the way")
    work = WorkConfig(bytes(tmp_path / "file" / "thumbnails"), "0.1.0")
    with pytest.raises(CacheError):
        measure(Course(photos), make_work, work, TWO, RunStop())


@pytest.mark.usefixtures("no_leaks")
def test_a_stop_ends_a_pass(tmp_path: Path, work: WorkConfig) -> None:
    stop = RunStop()
    slow = sources_of(many_slow(tmp_path / "photos", 60))

    def end() -> None:
        stop.raise_to(StopLevel.KILL)

    with pytest.raises(BenchStoppedError) as raised:
        measure(Course(slow, 1, slow[:1]), make_work, work, TWO, stop, end)
    assert raised.value.exit_code is ExitCode.INTERRUPTED


def test_the_program_is_timed_and_writes_only_where_it_is_told(
    photos: list[Source], work: WorkConfig, tmp_path: Path, home: Path
) -> None:
    folder = tmp_path / "run"
    folder.mkdir()
    assert run_s(photos, bytes(folder), work, TWO, RunStop()) > 0
    assert len(list((folder / "cache" / "thumbnails" / "large").iterdir())) == 3
    assert (folder / "state").is_dir()
    assert not (tmp_path / "scratch").exists()
    assert list(home.iterdir()) == []


def test_settings_in_the_environment_do_not_reach_it(
    photos: list[Source], work: WorkConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PREGEN_DRY_RUN", "1")
    run_s(photos, bytes(tmp_path), work, TWO, RunStop())
    assert len(list((tmp_path / "cache" / "thumbnails" / "large").iterdir())) == 3


def test_a_program_that_fails_is_told_with_its_last_words(
    photos: list[Source], work: WorkConfig, tmp_path: Path
) -> None:
    with pytest.raises(PregenError, match=r"(?s)ended with 2: .*--workers"):
        run_s(photos, bytes(tmp_path), work, EngineConfig(workers=0), RunStop())


@pytest.mark.usefixtures("no_leaks")
def test_a_stop_ends_the_program_and_its_workers(tmp_path: Path, work: WorkConfig) -> None:
    stop = RunStop()
    slow = sources_of(many_slow(tmp_path / "photos", 60))
    folder = tmp_path / "run"
    folder.mkdir()

    def end_it_once_it_works() -> None:
        while not any(folder.rglob("*.png")) and not over.wait(0.02):
            pass
        stop.raise_to(StopLevel.KILL)

    over = threading.Event()
    watcher = threading.Thread(target=end_it_once_it_works)
    watcher.start()
    try:
        with pytest.raises(BenchStoppedError):
            run_s(slow, bytes(folder), work, TWO, stop)
    finally:
        over.set()
        watcher.join()


def test_files_are_put_out_of_memory_and_what_vanished_is_left_alone(
    photos: list[Source],
) -> None:
    gone = Source(photos[0].path + b".gone", 1, 1)
    drop([*photos, gone])
    assert 0 <= resident_share([*photos, gone]) <= 1
    assert resident_share([gone]) == 0
