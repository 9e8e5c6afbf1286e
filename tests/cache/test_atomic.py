"""Commits: whole or not at all, 0600, nothing left behind. One fault at one step at a time."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pregen.cache.atomic import HOST, TEMP_PATTERN, System, commit, host_label, probe, temp_name
from pregen.cache.errors import FolderGoneError
from pregen.errors import CacheError, CacheFullError
from tests.support.running.capabilities import Capability, needs

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

KEY = "0123456789abcdef0123456789abcdef"
NAME = KEY + ".png"
OLD, NEW = b"old entry", b"new entry" * 5000
ROOT = Path(__file__).resolve().parents[2]
STEPS = ["open", "fchmod", "write", "close", "replace"]
#: Past its own failure, no step may keep the temp from being removed.
ERRORS = [
    (errno.EIO, CacheError),
    (errno.EACCES, CacheError),
    (errno.EROFS, CacheError),
    (errno.EMFILE, CacheError),
    (errno.ENOSPC, CacheFullError),
    (errno.EDQUOT, CacheFullError),
    (errno.EFBIG, CacheFullError),
    (errno.ESTALE, FolderGoneError),
]


@pytest.fixture
def dir_fd(tmp_path: Path) -> Iterator[int]:
    fd = os.open(tmp_path, os.O_RDONLY | os.O_DIRECTORY)
    yield fd
    os.close(fd)


def listing(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def open_fds() -> int:
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


def altered(**calls: Callable[..., object]) -> type[System]:
    """Return the system calls with these in the place of the real ones."""
    return type("Altered", (System,), {name: staticmethod(call) for name, call in calls.items()})


def raising(error: BaseException, real: Callable[..., object] | None = None) -> Callable[..., None]:
    """Return a call that fails, after `real` has done its work."""

    def fail(*args: object, **kwargs: object) -> None:
        if real:
            real(*args, **kwargs)
        raise error

    return fail


def broken(step: str, error: BaseException) -> type[System]:
    """Return the system calls with one that fails, as late as such a call can."""
    real = None if step in {"open", "replace"} else getattr(System, step)
    return altered(**{step: raising(error, real)})


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o077, 0o777], ids=oct)
def test_a_commit_stores_every_byte_with_mode_0600_under_any_umask(
    tmp_path: Path, dir_fd: int, umask: int
) -> None:
    before = os.umask(umask)
    try:
        commit(dir_fd, NAME, NEW, KEY)
    finally:
        os.umask(before)
    assert listing(tmp_path) == {NAME: NEW}
    assert (tmp_path / NAME).stat().st_mode & 0o7777 == 0o600


def test_a_commit_replaces_what_was_there(tmp_path: Path, dir_fd: int) -> None:
    (tmp_path / NAME).write_bytes(OLD)
    (tmp_path / NAME).chmod(0o644)
    commit(dir_fd, NAME, NEW, KEY)
    assert listing(tmp_path) == {NAME: NEW}
    assert (tmp_path / NAME).stat().st_mode & 0o7777 == 0o600


def test_a_link_planted_as_an_entry_is_replaced_and_its_target_untouched(
    tmp_path: Path, dir_fd: int
) -> None:
    victim = tmp_path / "victim"
    victim.write_bytes(b"precious")
    victim.chmod(0o644)
    (tmp_path / NAME).symlink_to(victim)
    commit(dir_fd, NAME, NEW, KEY)
    assert not (tmp_path / NAME).is_symlink()
    assert listing(tmp_path) == {NAME: NEW, "victim": b"precious"}
    assert victim.stat().st_mode & 0o7777 == 0o644


def upcoming_temps(count: int) -> list[str]:
    """Return the names that the next commits of this process will try."""
    number = int(temp_name(KEY).split("-")[3])
    return [f".pregen-{HOST}-{os.getpid()}-{number + n + 1}-{KEY[:8]}.tmp" for n in range(count)]


def test_links_planted_as_temps_are_passed_over(tmp_path: Path, dir_fd: int) -> None:
    victim = tmp_path / "victim"
    victim.write_bytes(b"precious")
    planted = upcoming_temps(3)
    for name in planted:
        (tmp_path / name).symlink_to(victim)
    commit(dir_fd, NAME, NEW, KEY)
    assert victim.read_bytes() == b"precious"
    assert (tmp_path / NAME).read_bytes() == NEW
    assert {path.name for path in tmp_path.iterdir()} == {NAME, "victim", *planted}
    assert all((tmp_path / name).is_symlink() for name in planted)


def test_endless_planted_temps_end_in_an_error_and_stay(tmp_path: Path, dir_fd: int) -> None:
    planted = upcoming_temps(200)
    for name in planted:
        (tmp_path / name).write_bytes(b"not ours")
    with pytest.raises(CacheError, match=r"remove the \.pregen"):
        commit(dir_fd, NAME, NEW, KEY)
    assert listing(tmp_path) == dict.fromkeys(planted, b"not ours")


@pytest.mark.parametrize(
    ("number", "kind"), ERRORS, ids=[errno.errorcode[number] for number, _ in ERRORS]
)
@pytest.mark.parametrize("step", STEPS)
def test_a_failing_step_leaves_the_old_entry_and_no_temp(
    tmp_path: Path, dir_fd: int, step: str, number: int, kind: type[CacheError]
) -> None:
    (tmp_path / NAME).write_bytes(OLD)
    before = open_fds()
    system = broken(step, OSError(number, os.strerror(number)))
    with pytest.raises(CacheError) as caught:
        commit(dir_fd, NAME, NEW, KEY, folder=bytes(tmp_path), system=system)
    assert type(caught.value) is kind
    assert str(tmp_path / NAME) in str(caught.value)
    assert listing(tmp_path) == {NAME: OLD}
    assert open_fds() == before


@pytest.mark.parametrize("error", [KeyboardInterrupt(), MemoryError(), SystemExit(3)], ids=repr)
@pytest.mark.parametrize("step", STEPS)
def test_an_interrupted_step_leaves_the_old_entry_and_no_temp(
    tmp_path: Path, dir_fd: int, step: str, error: BaseException
) -> None:
    (tmp_path / NAME).write_bytes(OLD)
    with pytest.raises(type(error)):
        commit(dir_fd, NAME, NEW, KEY, system=broken(step, error))
    assert listing(tmp_path) == {NAME: OLD}


def test_an_interrupt_just_after_the_temp_was_created_leaves_none(
    tmp_path: Path, dir_fd: int
) -> None:
    def opened(path: str, flags: int, mode: int, *, dir_fd: int) -> None:
        os.close(os.open(path, flags, mode, dir_fd=dir_fd))

    system = altered(open=raising(KeyboardInterrupt(), opened))
    with pytest.raises(KeyboardInterrupt):
        commit(dir_fd, NAME, NEW, KEY, system=system)
    assert listing(tmp_path) == {}


def test_a_second_failure_while_cleaning_up_does_not_hide_the_first(
    tmp_path: Path, dir_fd: int
) -> None:
    failing = altered(
        write=raising(OSError(errno.ENOSPC, "full")),
        close=raising(OSError(errno.EIO, "close"), os.close),
        unlink=raising(OSError(errno.EIO, "unlink"), os.unlink),
    )
    with pytest.raises(CacheFullError):
        commit(dir_fd, NAME, NEW, KEY, system=failing)
    assert listing(tmp_path) == {}


@pytest.mark.parametrize("number", [errno.EPERM, errno.EOPNOTSUPP])
def test_a_file_system_without_modes_is_used_as_it_is(
    tmp_path: Path, dir_fd: int, number: int
) -> None:
    commit(dir_fd, NAME, NEW, KEY, system=broken("fchmod", OSError(number, "no modes")))
    assert listing(tmp_path) == {NAME: NEW}


def test_short_writes_are_continued(tmp_path: Path, dir_fd: int) -> None:
    short = altered(write=lambda fd, data: os.write(fd, data[:1000]))
    commit(dir_fd, NAME, NEW, KEY, system=short)
    assert listing(tmp_path) == {NAME: NEW}


def test_a_file_system_that_takes_nothing_is_not_asked_for_ever(
    tmp_path: Path, dir_fd: int
) -> None:
    stuck = altered(write=lambda _fd, _data: 0)
    with pytest.raises(CacheError, match="accepts no more bytes"):
        commit(dir_fd, NAME, NEW, KEY, system=stuck)
    assert listing(tmp_path) == {}


def test_a_directory_in_the_place_of_an_entry_is_named_and_kept(
    tmp_path: Path, dir_fd: int
) -> None:
    (tmp_path / NAME).mkdir()
    with pytest.raises(CacheError, match="move it away"):
        commit(dir_fd, NAME, NEW, KEY, folder=bytes(tmp_path))
    assert [path.name for path in tmp_path.iterdir()] == [NAME]


def test_a_removed_folder_is_told_apart(tmp_path: Path) -> None:
    folder = tmp_path / "large"
    folder.mkdir()
    fd = os.open(folder, os.O_RDONLY)
    folder.rmdir()
    try:
        with pytest.raises(FolderGoneError):
            commit(fd, NAME, NEW, KEY)
        with pytest.raises(FolderGoneError):
            probe(fd)
    finally:
        os.close(fd)


def test_a_probe_leaves_nothing(tmp_path: Path, dir_fd: int) -> None:
    probe(dir_fd)
    assert listing(tmp_path) == {}


# The real faults.


def python(code: str, *args: object) -> subprocess.Popen[bytes]:
    """Start a program that has imported the module under test."""
    head = "import os, sys\nfrom pregen.cache.atomic import System, commit\n"
    head += "fd = os.open(sys.argv[1], os.O_RDONLY)\n"
    return subprocess.Popen(
        [sys.executable, "-c", head + code, *map(str, args)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


def test_a_file_size_limit_is_a_full_cache_and_leaves_no_temp(tmp_path: Path) -> None:
    program = python(
        "import resource\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, 10_000))\n"
        "commit(fd, 'a.png', bytes(60_000), 'a' * 32)",
        tmp_path,
    )
    _, errors = program.communicate(timeout=60)
    assert b"CacheFullError" in errors.splitlines()[-1]
    assert listing(tmp_path) == {}


@needs(Capability.MOUNT)
def test_a_full_disk_keeps_what_is_there_and_leaves_no_temp(tmp_path: Path) -> None:
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "pregen-test", tmp_path], check=True)
    try:
        fd = os.open(tmp_path, os.O_RDONLY)
        try:
            commit(fd, NAME, OLD, KEY)
            with pytest.raises(CacheFullError, match="free some space"):
                commit(fd, NAME, bytes(200_000), KEY)
            assert listing(tmp_path) == {NAME: OLD}
            commit(fd, NAME, NEW, KEY)
            assert listing(tmp_path) == {NAME: NEW}
        finally:
            os.close(fd)
    finally:
        subprocess.run(["umount", tmp_path], check=True)


def test_a_process_killed_before_the_rename_leaves_the_old_entry(tmp_path: Path) -> None:
    (tmp_path / NAME).write_bytes(OLD)
    program = python(
        "import signal\n"
        "class Killed(System):\n"
        "    replace = staticmethod(lambda *a, **k: os.kill(os.getpid(), signal.SIGKILL))\n"
        "commit(fd, sys.argv[2], b'new', 'a' * 32, system=Killed)",
        tmp_path,
        NAME,
    )
    program.communicate(timeout=60)
    assert program.returncode == -signal.SIGKILL
    left = listing(tmp_path)
    assert left.pop(NAME) == OLD
    (temp,) = left
    found = TEMP_PATTERN.fullmatch(temp)
    assert found
    assert (found["host"], int(found["pid"])) == (HOST, program.pid)


def test_two_processes_that_commit_one_key_leave_one_whole_entry(
    tmp_path: Path, dir_fd: int
) -> None:
    code = (
        "data = sys.argv[3].encode() * 50_000\n"
        "print('ready', flush=True)\n"
        "sys.stdin.read(1)\n"
        "for _ in range(150): commit(fd, sys.argv[2], data, 'a' * 32)"
    )
    commit(dir_fd, NAME, b"0" * 50_000, KEY)
    writers = [python(code, tmp_path, NAME, letter) for letter in "12"]
    for writer in writers:
        assert writer.stdout
        assert writer.stdout.readline() == b"ready\n"
    seen = set()
    while any(writer.poll() is None for writer in writers):
        data = (tmp_path / NAME).read_bytes()
        assert len(data) == 50_000
        assert len(set(data)) == 1
        seen.add(data[:1])
    for writer in writers:
        assert writer.communicate(timeout=60)[1] == b""
        assert writer.returncode == 0
    assert [path.name for path in tmp_path.iterdir()] == [NAME]
    assert seen <= {b"0", b"1", b"2"}


# Names.


def test_temp_names_match_the_pattern_and_never_repeat() -> None:
    names = [temp_name(KEY) for _ in range(1000)]
    assert len(set(names)) == 1000
    assert all(TEMP_PATTERN.fullmatch(name) for name in names)
    assert names[0].startswith(f".pregen-{HOST}-{os.getpid()}-")
    assert names[0].endswith("-01234567.tmp")


@given(st.text())
def test_any_host_name_becomes_a_part_of_a_file_name(host: str) -> None:
    label = host_label(host)
    assert 1 <= len(label) <= 64
    assert not set(label) & set("-/\0\n")
    assert TEMP_PATTERN.fullmatch(f".pregen-{label}-1-0-01234567.tmp")
