"""The lock: one holder among processes, freed by the kernel, its file's content never trusted."""

from __future__ import annotations

import errno
import fcntl
import os
import re
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pregen.cache.lock import LOCK_NAME, CacheLock
from pregen.errors import CacheError, ExitCode, LockedError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ROOT = Path(__file__).resolve().parents[2]
HOLDER = """
import os, sys
from pregen.cache.lock import CacheLock
lock = CacheLock(os.fsencode(sys.argv[1]))
lock.acquire(wait=True)
print("held", flush=True)
sys.stdin.read(1)
"""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "thumbnails"


@pytest.fixture
def start(root: Path) -> Iterator[Callable[[], subprocess.Popen[bytes]]]:
    """Start other runs that take the lock, waiting for it, and keep it until told to end."""
    started: list[subprocess.Popen[bytes]] = []

    def run() -> subprocess.Popen[bytes]:
        program = subprocess.Popen(
            [sys.executable, "-c", HOLDER, root],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        started.append(program)
        return program

    yield run
    for program in started:
        program.kill()
        program.communicate(timeout=60)


def wait_until_held(program: subprocess.Popen[bytes]) -> None:
    assert program.stdout
    assert program.stdout.readline() == b"held\n"


def test_the_lock_makes_the_cache_folder_and_a_private_file(root: Path) -> None:
    with CacheLock(bytes(root)) as lock:
        assert lock.warning == ""
        assert (root / os.fsdecode(LOCK_NAME)).stat().st_mode & 0o7777 == 0o600
        assert root.stat().st_mode & 0o7777 == 0o700
    assert [path.name for path in root.iterdir()] == [os.fsdecode(LOCK_NAME)]


def test_a_second_run_is_refused_and_told_who_holds_it(
    root: Path, start: Callable[[], subprocess.Popen[bytes]]
) -> None:
    holder = start()
    wait_until_held(holder)
    with pytest.raises(LockedError, match=rf"process {holder.pid} on .*since 20.*--wait") as caught:
        CacheLock(bytes(root)).acquire()
    assert caught.value.exit_code == ExitCode.LOCKED
    assert str(root) in str(caught.value)


def test_the_lock_is_free_once_its_holder_is_killed(
    root: Path, start: Callable[[], subprocess.Popen[bytes]]
) -> None:
    holder = start()
    wait_until_held(holder)
    holder.send_signal(signal.SIGKILL)
    holder.wait(timeout=60)
    assert str(holder.pid).encode() in (root / os.fsdecode(LOCK_NAME)).read_bytes()
    with CacheLock(bytes(root)):
        assert str(os.getpid()).encode() in (root / os.fsdecode(LOCK_NAME)).read_bytes()


def test_a_waiting_run_gets_the_lock_when_the_holder_ends(
    root: Path, start: Callable[[], subprocess.Popen[bytes]]
) -> None:
    lock = CacheLock(bytes(root))
    lock.acquire()
    waiting = start()
    lock.release()
    wait_until_held(waiting)
    with pytest.raises(LockedError, match=str(waiting.pid)):
        lock.acquire()


def test_waiting_ends_when_asked_to(root: Path) -> None:
    with CacheLock(bytes(root)):
        asked: list[None] = []
        told: list[str] = []

        def stopped() -> bool:
            asked.append(None)
            return len(asked) == 3

        with pytest.raises(LockedError):
            CacheLock(bytes(root)).acquire(wait=True, waiting=told.append, stopped=stopped)
    assert len(asked) == 3
    [who] = told
    assert re.fullmatch(rf"another run \(process {os.getpid()} on .*\) is filling {root}", who)


def test_a_signal_handler_that_raises_ends_the_wait(root: Path) -> None:
    with CacheLock(bytes(root)):
        main, asked = threading.main_thread().ident, threading.Event()
        assert main is not None

        def stopped() -> bool:
            asked.set()
            return False

        def interrupt() -> None:
            asked.wait(60)
            signal.pthread_kill(main, signal.SIGINT)

        interrupter = threading.Thread(target=interrupt)
        interrupter.start()
        with pytest.raises(KeyboardInterrupt):
            CacheLock(bytes(root)).acquire(wait=True, stopped=stopped)
        interrupter.join(60)


@pytest.mark.parametrize(
    "content", [b"", b"\xff\xfe" * 500, b"1 host", b"99999999999999 x y\n", b"\x1b[31m 7 a b\n"]
)
def test_what_the_file_says_never_matters(root: Path, content: bytes) -> None:
    root.mkdir()
    path = root / os.fsdecode(LOCK_NAME)
    path.write_bytes(content)
    path.chmod(0o666)
    with CacheLock(bytes(root)):
        assert path.stat().st_mode & 0o7777 == 0o600
        with pytest.raises(LockedError, match=rf"process {os.getpid()} on"):
            CacheLock(bytes(root)).acquire()
        path.write_bytes(content)
        with pytest.raises(LockedError, match=r"^another run is filling"):
            CacheLock(bytes(root)).acquire()


def test_a_holder_of_a_removed_file_does_not_keep_others_from_the_new_one(root: Path) -> None:
    with CacheLock(bytes(root)):
        (root / os.fsdecode(LOCK_NAME)).unlink()
        with CacheLock(bytes(root)), pytest.raises(LockedError):
            CacheLock(bytes(root)).acquire()


def test_a_lock_file_removed_at_the_last_moment_is_not_locked_in_vain(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, real = root / os.fsdecode(LOCK_NAME), fcntl.flock
    removed: list[Path] = []

    def flock(fd: int, how: int) -> None:
        if not removed:
            path.unlink()
            removed.append(path)
        real(fd, how)

    monkeypatch.setattr(fcntl, "flock", flock)
    lock = CacheLock(bytes(root))
    lock.acquire()
    monkeypatch.undo()
    assert removed
    with pytest.raises(LockedError):
        CacheLock(bytes(root)).acquire()
    lock.release()


def test_a_file_system_without_lasting_inode_numbers_does_not_hang_a_run(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os.path, "samestat", lambda _one, _other: False)
    with CacheLock(bytes(root)), pytest.raises(LockedError):
        CacheLock(bytes(root)).acquire()


def test_a_link_in_the_place_of_the_file_is_refused(root: Path) -> None:
    root.mkdir()
    victim = root / "victim"
    victim.write_bytes(b"precious")
    (root / os.fsdecode(LOCK_NAME)).symlink_to(victim)
    with pytest.raises(CacheError, match="move it away"):
        CacheLock(bytes(root)).acquire()
    assert victim.read_bytes() == b"precious"


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.EOPNOTSUPP])
def test_a_file_system_without_locks_gives_a_warning_and_no_refusal(
    root: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    def unsupported(_fd: int, _how: int) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(fcntl, "flock", unsupported)
    with CacheLock(bytes(root)) as lock:
        assert "without locks" in lock.warning
        assert str(root) in lock.warning


def test_any_other_failure_to_lock_is_an_error(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def failing(_fd: int, _how: int) -> None:
        raise OSError(errno.EIO, "disk")

    monkeypatch.setattr(fcntl, "flock", failing)
    with pytest.raises(CacheError, match="check the disk"):
        CacheLock(bytes(root)).acquire()


def test_acquiring_and_releasing_twice_does_nothing(root: Path) -> None:
    lock = CacheLock(bytes(root))
    lock.acquire()
    lock.acquire()
    lock.release()
    lock.release()
    with CacheLock(bytes(root)):
        pass
