"""Finds what a test left behind: processes (orphans too) and open files of its own process."""

from __future__ import annotations

import os
import time
import uuid
from multiprocessing import forkserver, resource_tracker
from pathlib import Path

import psutil

#: Started by multiprocessing once per process, on purpose, to live as long as it does.
_MULTIPROCESSING = ("multiprocessing.forkserver", "multiprocessing.resource_tracker")


def marked_processes(mark: tuple[str, str]) -> list[psutil.Process]:
    """Return the live processes started with this variable in their environment.

    A process keeps the environment it was started with, whoever adopts it later: so orphans
    of a killed program are found. Zombies are not: they hold nothing but their number.
    """
    name, value = mark
    wanted = f"{name}={value}".encode()
    found = []
    for process in psutil.process_iter():
        try:
            if process.pid != os.getpid() and process.status() != psutil.STATUS_ZOMBIE:
                blocks = Path(f"/proc/{process.pid}/environ").read_bytes().split(b"\0")
                if wanted in blocks:
                    found.append(process)
        except (OSError, psutil.Error):
            continue
    return found


def wait_until_gone(mark: tuple[str, str], timeout_s: float) -> list[psutil.Process]:
    """Wait for every marked process to end; return those that live on."""
    deadline = time.monotonic() + timeout_s
    while (left := marked_processes(mark)) and time.monotonic() < deadline:
        psutil.wait_procs(left, timeout=0.05)
    return left


class Leaks:
    """What there was before a test, to be compared with what there is after it."""

    def __init__(self) -> None:
        self.mark = ("PYTHON_TEST_MARK", uuid.uuid4().hex)
        """To be set in the environment: whatever starts from now on carries it."""
        self._fds = _open_fds()

    def check(self, timeout_s: float = 5.0) -> None:
        """Fail when a process lives on after a grace time, or more files are open than before."""
        left = [
            (process.pid, command)
            for process in wait_until_gone(self.mark, timeout_s)
            if (command := _command(process)) and not _serves_this_process(process, command)
        ]
        assert not left, f"processes left behind: {left}"
        known = self._fds.keys() | _multiprocessing_fds()
        new = {fd: target for fd, target in _open_fds().items() if fd not in known}
        assert not new, f"files left open: {new}"


def _command(process: psutil.Process) -> str:
    """Return its command line; empty for one that has ended meanwhile."""
    try:
        return " ".join(process.cmdline())
    except psutil.NoSuchProcess:  # a zombie, too
        return ""


def _serves_this_process(process: psutil.Process, command: str) -> bool:
    """Whether it is what multiprocessing starts once for us; the same of others is a leak."""
    return process.ppid() == os.getpid() and any(name in command for name in _MULTIPROCESSING)


def _multiprocessing_fds() -> set[int | None]:
    """Pipes to those processes; they stay open as long as this process lives."""
    return {
        getattr(resource_tracker._resource_tracker, "_fd", None),
        getattr(forkserver._forkserver, "_forkserver_alive_fd", None),
    }


def _open_fds() -> dict[int, str]:
    """Open descriptors and where they lead."""
    found = {}
    for link in Path("/proc/self/fd").iterdir():
        try:
            found[int(link.name)] = str(link.readlink())
        except OSError:
            continue
    return found
