"""The fork server: when it is started, what it inherits, what is not started beside it."""

from __future__ import annotations

import gc
import json
import os
import subprocess
import sys
import time
from multiprocessing import shared_memory
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil
import pytest

from pregen import entry_point
from pregen.config import Decoder, EngineConfig, Previews
from pregen.engines.base import WORK_MODULE, Stop, needs_libraries
from pregen.engines.local import server
from pregen.engines.local.engine import LocalEngine
from tests.support.faults import harmful_work
from tests.support.faults.harmful_work import job

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.xdist_group("faults")

#: In a process of its own, where nothing else has used `multiprocessing`.
_ALONE = """\
import json, os, psutil
from multiprocessing import resource_tracker
from tests.engines import test_server
seen = test_server.commands_during_a_run()
print(json.dumps([seen, vars(resource_tracker._resource_tracker)["_fd"]]))
"""


@pytest.fixture(autouse=True)
def _no_server() -> Iterator[None]:
    yield
    server.end()


def engine() -> LocalEngine:
    settings = EngineConfig(workers=1, timeout_s=30.0)
    return LocalEngine(
        harmful_work.make_saboteur,
        harmful_work.CONFIG,
        settings,
        ("tests.support.faults.harmful_work",),
    )


def servers() -> set[int]:
    """Return the fork servers of this process; a zombie has no command."""
    children = psutil.Process().children()
    return {each.pid for each in children if "forkserver" in " ".join(each.cmdline())}


def started_servers() -> set[int]:
    """Return the same, once there is one: until its exec it looks like this process."""
    began_s = time.monotonic()
    while not (found := servers()):
        assert time.monotonic() - began_s < 60
        time.sleep(0.01)
    return found


def commands_during_a_run() -> list[str]:
    """Return the commands of all processes below this one while a worker is there."""
    seen: list[str] = []
    for _ in engine().run(iter([job(0)]), Stop()):
        seen += [" ".join(each.cmdline()) for each in psutil.Process().children(recursive=True)]
    return seen


def test_a_run_starts_a_fork_server_and_nothing_else_beside_its_workers() -> None:
    done = subprocess.run([sys.executable, "-c", _ALONE], capture_output=True, check=True)
    seen, tracker = json.loads(done.stdout)
    assert any("forkserver" in command for command in seen)
    assert not any("resource_tracker" in command for command in seen)
    assert tracker is None


def test_what_others_have_tracked_is_tracked_still() -> None:
    """A program that uses pregen may share memory, before a run and after it."""
    list(engine().run(iter([job(0)]), Stop()))
    for _ in range(2):
        block = shared_memory.SharedMemory(create=True, size=10)
        list(engine().run(iter([job(0)]), Stop()))
        block.close()
        block.unlink()


def test_an_ended_server_is_gone_and_the_next_run_has_another() -> None:
    list(engine().run(iter([job(0)]), Stop()))
    first = servers()
    server.end()
    assert servers() == set()
    server.end()  # there is none: nothing happens
    outcomes = list(engine().run(iter([job(1)]), Stop()))
    assert [outcome.job_id for outcome in outcomes] == [1]
    assert servers()
    assert servers().isdisjoint(first)


def test_a_server_that_was_started_early_is_the_one_that_is_used() -> None:
    server.start_early([harmful_work.__name__])
    early = started_servers()
    list(engine().run(iter([job(0)]), Stop()))
    assert len(early) == 1
    assert servers() == early


def test_a_server_that_was_killed_meanwhile_is_replaced() -> None:
    server.start_early([harmful_work.__name__])
    [pid] = started_servers()
    os.kill(pid, 9)
    outcomes = list(engine().run(iter([job(7)]), Stop()))
    assert [outcome.job_id for outcome in outcomes] == [7]


def test_what_the_program_has_imported_early_is_what_work_needs() -> None:
    assert entry_point.WORK_MODULE == WORK_MODULE


def test_the_library_leaves_the_search_for_garbage_alone() -> None:
    before = gc.get_threshold(), gc.isenabled()
    list(engine().run(iter([job(0)]), Stop()))
    assert (gc.get_threshold(), gc.isenabled()) == before


@pytest.mark.parametrize("arguments", [(), ("--version",), ("status",), ("run",), ("run", "-h")])
def test_without_something_to_do_no_worker_is_needed(arguments: tuple[str, ...]) -> None:
    assert not entry_point.needs_workers(list(arguments))


def test_workers_are_needed_for_what_came_after_the_last_entry(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    photos = tmp_path / "photos"
    photos.mkdir()
    monkeypatch.setenv("PREGEN_CACHE", str(tmp_path / "cache"))
    assert entry_point.needs_workers(["run", str(photos)])
    (tmp_path / "cache" / "normal").mkdir(parents=True)
    while not _changed_after(tmp_path / "cache" / "normal", photos):
        (tmp_path / "cache" / "normal" / "entry").write_text("")
        (tmp_path / "cache" / "normal" / "entry").unlink()
    assert not entry_point.needs_workers(["run", str(photos)])
    assert not entry_point.needs_workers(["run", str(photos / "not there"), "a\0b"])
    while not _changed_after(photos, tmp_path / "cache" / "normal"):
        (photos / "new").write_text("")
        (photos / "new").unlink()
    assert entry_point.needs_workers(["run", "--json", str(photos)])


def _changed_after(one: Path, other: Path) -> bool:
    return one.stat().st_ctime_ns > other.stat().st_ctime_ns


def maps_numpy(pid: int) -> bool:
    """Tell whether a process has imported numpy."""
    return "_multiarray_umath" in Path(f"/proc/{pid}/maps").read_text()


@pytest.mark.parametrize("name", [b"/a/photo.tif", b"/a/photo.JPG"])
def test_the_server_has_the_libraries_where_a_picture_needs_them(name: bytes) -> None:
    """Told before it has imported all else, as a run tells it that has started it early."""
    server.start_early([WORK_MODULE])
    photo = job(0)._replace(path=name, size_bytes=3_000_000)
    needed = needs_libraries(photo, harmful_work.CONFIG)
    assert needed is name.endswith(b".tif")
    list(engine().run(iter([photo]), Stop()))
    [pid] = servers()
    if needed:
        assert maps_numpy(pid)
    assert psutil.Process(pid).is_running()


@pytest.mark.parametrize(
    ("job_is", "config_is"),
    [
        ({"path": b"/a/b.jpg.orig"}, {}),
        ({"path": b"/a/b.heic"}, {}),
        ({"size_bytes": 20_000}, {}),
        ({}, {"decoder": Decoder.VIPS}),
        ({}, {"previews": Previews.AUTO}),
    ],
)
def test_what_is_no_photo_of_a_camera_needs_the_libraries(
    job_is: dict[str, Any], config_is: dict[str, Any]
) -> None:
    photo = job(0)._replace(path=b"/a/b.jpeg", size_bytes=3_000_000)
    assert not needs_libraries(photo, harmful_work.CONFIG)
    assert needs_libraries(photo._replace(**job_is), harmful_work.CONFIG._replace(**config_is))
