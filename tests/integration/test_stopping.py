"""Stopping a run: the first signal drains, the second kills, and nobody is left behind."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

import psutil
import pytest

from pregen.cache.atomic import HOST
from tests.support.files import foreign_entries
from tests.support.files.source_trees import many_slow
from tests.support.judges import png_walk
from tests.support.running.program import Running, run_pregen

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = [pytest.mark.usefixtures("no_leaks"), pytest.mark.xdist_group("timing")]

COUNT = 2000
#: <linux/prctl.h>
PR_SET_CHILD_SUBREAPER = 36
CODES = {signal.SIGINT: 130, signal.SIGTERM: 143}


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """More work than any test here waits for: some thirty seconds on two cores."""
    folder = tmp_path_factory.mktemp("photos")
    many_slow(folder, COUNT)
    return folder


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / "cache"


def start(photos: Path, cache: Path, *more: str) -> Running:
    return Running("run", "--json", "-v", "--workers", "2", *more, photos, cache=cache)


def progress(records: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [record for record in records if record["type"] == "progress"]


def assert_all_whole(cache: Path) -> None:
    assert not foreign_entries.leftovers(cache)
    for path in foreign_entries.files(cache):
        if path.suffix == ".png":
            png_walk.chunks(path.read_bytes())


@pytest.mark.parametrize("number", CODES, ids=lambda number: number.name)
@pytest.mark.parametrize("to_group", [False, True], ids=["program", "group"])
def test_the_first_signal_lets_work_in_flight_finish(
    photos: Path, cache: Path, number: signal.Signals, *, to_group: bool
) -> None:
    with start(photos, cache) as running:
        running.wait_for_outcomes()
        if to_group:
            running.send_to_group(number)
        else:
            running.send(number)
        done = running.end()
        assert not running.survivors(5)
    assert done.code == CODES[number], done
    kinds = done.summary["kinds"]
    assert done.summary["exit_code"] == CODES[number]
    assert 0 < kinds["made"] < COUNT
    assert set(kinds) <= {"made", "interrupted"}, "nobody was killed in the middle of its work"
    assert "Traceback" not in done.err
    assert_all_whole(cache)
    # One outcome for each source accepted, and both entries of each that was made.
    made = [path for path, record in done.outcomes.items() if record["kind"] == "made"]
    assert len(made) == kinds["made"]
    assert len(list((cache / "thumbnails" / "large").iterdir())) == len(made)
    assert len(list((cache / "thumbnails" / "normal").iterdir())) == len(made)


@pytest.mark.parametrize("number", CODES, ids=lambda number: number.name)
def test_a_signal_to_everybody_below_the_run_ends_nobody(
    photos: Path, cache: Path, number: signal.Signals
) -> None:
    """Only the run itself heeds them: not the workers, nor the process that starts those."""
    with start(photos, cache) as running:
        workers = set(running.wait_for_workers())
        below = psutil.Process(running.process.pid).children(recursive=True)
        for process in below:
            process.send_signal(number)
        # Whoever died of it was missed or replaced before the run has told its progress twice.
        told = len(progress(running.wait_for_records(bool)))
        records = running.wait_for_records(lambda records: len(progress(records)) >= told + 2)
        assert {worker["pid"] for worker in progress(records)[-1]["workers"]} >= workers
        assert all(process.status() != psutil.STATUS_ZOMBIE for process in below)
        running.send(signal.SIGINT)
        done = running.end()
    assert set(done.summary["kinds"]) == {"made", "interrupted"}


@pytest.mark.parametrize("number", CODES, ids=lambda number: number.name)
def test_the_second_signal_ends_it_at_once(
    photos: Path, cache: Path, number: signal.Signals
) -> None:
    with start(photos, cache) as running:
        workers = running.wait_for_workers()
        # Workers that never finish: a drain would wait for them until their deadline.
        for pid in workers:
            os.kill(pid, signal.SIGSTOP)
        running.send(number)
        running.wait_for_stderr("again")
        assert running.process.poll() is None
        # Two signals in a row count as one: timeout(1) and some terminals send them doubled.
        time.sleep(0.3)
        began = time.monotonic()
        running.send(number)
        done = running.end()
        took_s = time.monotonic() - began
        assert not running.survivors(5)
    assert done.code == CODES[number], done
    assert took_s < 5, "it waited for the work in flight"
    assert done.summary["kinds"]["interrupted"] >= len(workers)
    assert_all_whole(cache)


def test_a_stopped_run_goes_on_from_there(photos: Path, cache: Path) -> None:
    with start(photos, cache) as running:
        running.wait_for_outcomes(3)
        running.send(signal.SIGINT)
        first = running.end()
    sources = [path for path, record in first.outcomes.items() if record["kind"] == "made"]
    second = run_pregen("run", "--json", "-v", *sources, cache=cache)
    assert second.summary["kinds"] == {"fresh": len(sources)}


#: Dies in the middle of a commit, as a worker does that is killed there.
HALF_A_COMMIT = """
import os, pathlib, signal, sys
from pregen.cache.atomic import temp_name
half = pathlib.Path(sys.argv[1]) / temp_name("0123456789abcdef0123456789abcdef")
half.write_bytes(bytes(5000))
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_killed_parent_takes_its_workers_along_and_the_next_run_sweeps(
    photos: Path, cache: Path
) -> None:
    with start(photos, cache) as running:
        running.wait_for_outcomes()
        assert len(running.survivors(0)) >= 3, "the program and two workers"
        running.send(signal.SIGKILL)
        running.process.wait(10)
        assert not running.survivors(5)
    folder = cache / "thumbnails" / "large"
    subprocess.run([sys.executable, "-c", HALF_A_COMMIT, folder], check=False)
    assert foreign_entries.leftovers(cache)

    few_sources = sorted(photos.iterdir())[:6]
    again = run_pregen("run", "--json", *few_sources, cache=cache)
    assert again.code == 0, again
    assert_all_whole(cache)
    # the sources are links to one file: where one of them was done, the others may take it over
    assert set(again.summary["kinds"]) <= {"made", "fresh", "reused"}


def test_a_killed_worker_is_replaced_and_its_work_done(photos: Path, cache: Path) -> None:
    sources = sorted(photos.iterdir())[:150]
    with Running("run", "--json", "--workers", "2", *sources, cache=cache) as running:
        os.kill(running.wait_for_workers()[0], signal.SIGKILL)
        done = running.end()
    assert done.code == 0, done
    assert done.summary["kinds"] == {"made": len(sources)}
    assert_all_whole(cache)


@pytest.fixture
def orphans_stay() -> Iterator[None]:
    """Orphans come to this process, which does not look after them until the end of the test.

    So they do below a first process that is slow to look, or never does.
    """
    before = {process.pid for process in psutil.Process().children()}
    adopt_orphans(yes=True)
    try:
        yield
    finally:
        adopt_orphans(yes=False)
        for process in psutil.Process().children():
            if process.pid not in before and process.status() == psutil.STATUS_ZOMBIE:
                os.waitpid(process.pid, 0)


def adopt_orphans(*, yes: bool) -> None:
    """Be the one to whom orphans among our descendants come, or no more."""
    assert ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, int(yes), 0, 0, 0) == 0


@pytest.mark.usefixtures("orphans_stay")
def test_a_run_sweeps_at_its_end_what_workers_left_that_nobody_has_buried(
    photos: Path, cache: Path
) -> None:
    sources = sorted(photos.iterdir())[:150]
    with Running("run", "--json", "--workers", "2", *sources, cache=cache) as running:
        worker = psutil.Process(running.wait_for_workers()[0])
        half = f".pregen-{HOST}-{worker.pid}-12345-01234567.tmp"
        (cache / "thumbnails" / "large" / half).touch()
        os.kill(worker.ppid(), signal.SIGKILL)  # the fork server
        done = running.end()
    assert worker.status() == psutil.STATUS_ZOMBIE
    assert done.code == 0, done
    assert done.summary["kinds"] == {"made": len(sources)}
    assert_all_whole(cache)


def test_progress_is_told_on_request(photos: Path, cache: Path) -> None:
    with Running("run", "--workers", "2", photos, cache=cache) as running:
        while running.process.poll() is None and not any(cache.glob("thumbnails/large/*.png")):
            time.sleep(0.01)
        running.send(signal.SIGUSR1)
        running.wait_for_stderr("/")
        running.send(signal.SIGINT)
        assert running.end().code == 130
