"""Sweeping takes the temps of dead runs and nothing else."""

from __future__ import annotations

import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, NamedTuple

import psutil
import pytest

from pregen.cache.atomic import HOST, System, temp_name
from pregen.cache.folder import Folder
from pregen.cache.store import Cache, sweep
from pregen.model import Flavor

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

#: Processes of this machine cannot have more digits, so no process has this number.
NO_PID = 4_294_967_295
KEY = "0123456789abcdef0123456789abcdef"


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Folder]:
    with Folder(None, bytes(tmp_path)) as folder:
        yield folder


@pytest.fixture(scope="module")
def dead_pid() -> int:
    """The number of a process that has just ended."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait(timeout=60)
    return process.pid


@pytest.fixture(scope="module")
def living_pid() -> Iterator[int]:
    """The number of a process that will live as long as these tests."""
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        yield process.pid


@pytest.fixture(scope="module")
def zombie_pid() -> Iterator[int]:
    """The number of a process that has ended, and whose parent has not noticed yet."""
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        yield process.pid


class Case(NamedTuple):
    """A file in the folder: its name (with numbers in braces), its age, its fate."""

    what: str
    name: str
    age_s: float
    swept: bool


def ours(pid: str, host: str = HOST, tail: str = "7-01234567.tmp") -> str:
    return f".pregen-{host}-{pid}-{tail}"


DAY = timedelta(days=1).total_seconds()
CASES = [
    Case("a dead process", ours("{dead}"), 0, swept=True),
    Case("a dead process nobody has waited for", ours("{zombie}"), 0, swept=True),
    Case("a number no process has", ours(str(NO_PID)), 0, swept=True),
    Case("a number too large for any system", ours("9999999999"), 0, swept=True),
    Case("a living process", ours("{alive}"), 0, swept=False),
    Case("ourselves", ours(str(os.getpid())), 0, swept=False),
    Case("a living process that is younger than the temp", ours("{alive}"), DAY, swept=True),
    Case("our own number, before our time", ours(str(os.getpid())), DAY, swept=True),
    Case("init's number, before its time", ours("1"), 3650 * DAY, swept=True),
    Case("another host, young", ours("{dead}", "elsewhere"), DAY - 600, swept=False),
    Case("another host, old", ours("{alive}", "elsewhere"), DAY + 600, swept=True),
    Case("another host, from the future", ours("{dead}", "elsewhere"), -DAY, swept=False),
    Case("an entry", KEY + ".png", 3650 * DAY, swept=False),
    Case("another ending", ours("{dead}") + ".png", 3650 * DAY, swept=False),
    Case("no dot in front", ours("{dead}")[1:], 3650 * DAY, swept=False),
    Case("another program", ".other" + ours("{dead}")[7:], 3650 * DAY, swept=False),
    Case("a part missing", f".pregen-{HOST}-{{dead}}-7.tmp", 3650 * DAY, swept=False),
    Case("a part too many", ours("{dead}", tail="7-7-01234567.tmp"), 3650 * DAY, swept=False),
    Case("a key that is none", ours("{dead}", tail="7-0123456Z.tmp"), 3650 * DAY, swept=False),
    Case("a line break", ours("{dead}") + "\n", 3650 * DAY, swept=False),
    Case("process 0", ours("0"), 3650 * DAY, swept=False),
]


@pytest.mark.parametrize("case", CASES, ids=[case.what for case in CASES])
def test_only_temps_of_dead_runs_are_swept(
    tmp_path: Path,
    folder: Folder,
    case: Case,
    dead_pid: int,
    living_pid: int,
    zombie_pid: int,
) -> None:
    path = tmp_path / case.name.format(dead=dead_pid, alive=living_pid, zombie=zombie_pid)
    path.write_bytes(b"half a picture")
    then = datetime.now(UTC).timestamp() - case.age_s
    os.utime(path, (then, then))
    assert sweep(folder) == case.swept
    assert path.exists() is not case.swept


@pytest.mark.parametrize("kind", ["folder", "link", "fifo", "foreign"])
def test_what_is_no_regular_file_of_ours_stays(
    tmp_path: Path, folder: Folder, dead_pid: int, kind: str
) -> None:
    path = tmp_path / ours(str(dead_pid))
    victim = tmp_path / "victim"
    victim.write_bytes(b"precious")
    if kind == "folder":
        path.mkdir()
    elif kind == "link":
        path.symlink_to(victim)
    elif kind == "fifo":
        os.mkfifo(path)
    else:
        path.write_bytes(b"x")
        try:
            os.chown(path, os.geteuid() + 1, -1)
        except PermissionError:
            pytest.skip("needs running as root: to give files to another user")
    assert sweep(folder) == 0
    assert os.path.lexists(path)
    assert victim.read_bytes() == b"precious"


def test_a_process_that_started_within_the_clocks_slack_is_not_taken_for_another(
    tmp_path: Path, folder: Folder
) -> None:
    path = tmp_path / temp_name(KEY)
    path.write_bytes(b"x")
    started = psutil.Process().create_time()
    os.utime(path, (started - 3, started - 3))
    assert sweep(folder) == 0


def test_a_whole_cache_is_swept_older_fail_records_included(tmp_path: Path, dead_pid: int) -> None:
    places = ["normal", "large", "x-large", "xx-large", "fail/pregen-1.2", "fail/pregen-0.9"]
    foreign = ["fail/gnome-thumbnail-factory", "fail/pregenesis-1.0", "."]
    for place in places + foreign:
        (tmp_path / place).mkdir(parents=True, exist_ok=True)
        (tmp_path / place / ours(str(dead_pid))).write_bytes(b"x")
        (tmp_path / place / (KEY + ".png")).write_bytes(b"entry")
    with Cache(bytes(tmp_path), "1.2.0") as cache:
        assert cache.sweep_all() == len(places)
        assert cache.sweep_all() == 0
        assert set(cache.folder(Flavor.LARGE).names()) == {KEY + ".png"}
    left = {str(path.parent.relative_to(tmp_path)) for path in tmp_path.rglob("*.tmp")}
    assert left == set(foreign)
    assert sum(1 for _ in tmp_path.rglob(KEY + ".png")) == len(places + foreign)


def test_a_commit_whose_temp_was_swept_is_made_again(tmp_path: Path) -> None:
    """Two machines of one name: the other cannot know that our process lives."""
    with Folder(None, bytes(tmp_path)) as folder:
        real = System.replace
        swept: list[str] = []

        def replace(src: str, dst: str, *, src_dir_fd: int, dst_dir_fd: int) -> None:
            if not swept:
                os.unlink(src, dir_fd=src_dir_fd)
                swept.append(src)
            real(src, dst, src_dir_fd=src_dir_fd, dst_dir_fd=dst_dir_fd)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(System, "replace", staticmethod(replace))
            folder.write(KEY + ".png", b"entry")
    assert swept
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {KEY + ".png": b"entry"}


class Memory:
    """What a journal remembers of sweeps."""

    def __init__(self) -> None:
        self.clean: dict[bytes, int] = {}

    def was_swept(self, folder: bytes, mtime_ns: int) -> bool:
        return self.clean.get(folder) == mtime_ns

    def note_swept(self, folder: bytes, mtime_ns: int) -> None:
        self.clean[folder] = mtime_ns


def test_a_folder_that_has_not_changed_is_not_listed_again(
    tmp_path: Path, dead_pid: int, living_pid: int
) -> None:
    large = tmp_path / "large"
    large.mkdir()
    memory = Memory()
    with Cache(bytes(tmp_path), "1.0") as cache:
        assert cache.sweep_all(memory) == 0
        assert memory.clean == {bytes(large): large.stat().st_mtime_ns}
        # a temp that comes without a trace shows that nobody looked
        before = large.stat()
        temp = large / ours(str(dead_pid))
        temp.touch()
        os.utime(large, ns=(before.st_atime_ns, before.st_mtime_ns))
        assert cache.sweep_all(memory) == 0
        assert temp.exists()
        os.utime(large)
        assert cache.sweep_all(memory) == 1
        # it had one: what it is now, the next time will tell
        assert memory.clean == {bytes(large): before.st_mtime_ns}
        assert cache.sweep_all(memory) == 0
        assert memory.clean == {bytes(large): large.stat().st_mtime_ns}
        # where one is somebody's, it is looked at each time
        (large / ours(str(living_pid))).touch()
        assert cache.sweep_all(memory) == 0
        assert memory.clean[bytes(large)] != large.stat().st_mtime_ns


def test_a_trial_whether_a_cache_can_be_written_leaves_its_folders_as_they_were(
    tmp_path: Path,
) -> None:
    with Cache(bytes(tmp_path), "1.0") as cache:
        cache.prepare([Flavor.LARGE])
        os.utime(tmp_path / "large", ns=(1, 1))
        try:
            os.close(os.open(tmp_path, os.O_TMPFILE | os.O_WRONLY))
        except (AttributeError, OSError):
            pytest.skip("files without a name: not on this file system")
        cache.prepare([Flavor.LARGE])
        assert (tmp_path / "large").stat().st_mtime_ns == 1
