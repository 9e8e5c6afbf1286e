"""The worker processes of engines that run in the test's own process."""

from __future__ import annotations

import os
import time
from pathlib import Path

import psutil

#: Started by multiprocessing once, to live as long as the test process does. Workers are forked
#: from the first and share its command line: they are told apart by their parent.
_INFRASTRUCTURE = ("multiprocessing.forkserver", "multiprocessing.resource_tracker")


def worker_processes() -> list[psutil.Process]:
    """Return the workers that are there, zombies among them."""
    own = psutil.Process()
    return [process for process in own.children(recursive=True) if not _is_infrastructure(process)]


def workers_left(timeout_s: float = 5.0) -> list[psutil.Process]:
    """Return the workers that are still there after `timeout_s`."""
    until_s = time.monotonic() + timeout_s
    while (left := worker_processes()) and time.monotonic() < until_s:
        time.sleep(0.02)
    return left


def open_descriptors() -> dict[str, str]:
    """Return what this process has open, by descriptor."""
    found = {}
    for link in Path("/proc/self/fd").iterdir():
        try:
            found[link.name] = str(link.readlink())
        except OSError:
            continue  # the descriptor of the listing
    return found


def _is_infrastructure(process: psutil.Process) -> bool:
    try:
        if process.ppid() != os.getpid():
            return False
        command = " ".join(process.cmdline())
    except psutil.Error:
        return False
    return any(name in command for name in _INFRASTRUCTURE)
