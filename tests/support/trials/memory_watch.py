"""How much memory the workers of a run take, against the limit each has set for itself."""

from __future__ import annotations

import re
import threading
from pathlib import Path
from typing import Self

_PERIOD_S = 0.1
_KIB = 1024


class MemoryWatch:
    """As a context: looks at every worker below a process, ten times a second.

    A worker is a process with a limit on its address space: neither the run nor the fork server
    has one.
    """

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self.workers: set[int] = set()
        self.most_resident_bytes = 0
        self.most_of_limit = 0.0
        """The largest address space of a worker so far, as a share of its limit."""

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._end.wait(_PERIOD_S):
            for pid in _below(self._pid):
                try:
                    limits = Path(f"/proc/{pid}/limits").read_text()
                    status = Path(f"/proc/{pid}/status").read_text()
                except OSError:
                    continue
                self._note(pid, limits, status)

    def _note(self, pid: int, limits: str, status: str) -> None:
        limit = re.search(r"Max address space +(\d+)", limits)
        peak = re.search(r"VmPeak:\s+(\d+) kB", status)
        resident = re.search(r"VmHWM:\s+(\d+) kB", status)
        if limit and peak and resident:
            self.workers.add(pid)
            self.most_resident_bytes = max(self.most_resident_bytes, int(resident[1]) * _KIB)
            share = int(peak[1]) * _KIB / int(limit[1])
            self.most_of_limit = max(self.most_of_limit, share)


def peak_resident_bytes(pid: int) -> int:
    """Return the most memory a process had so far; 0 when it has ended."""
    try:
        found = re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    except OSError:
        return 0
    return int(found[1]) * _KIB if found else 0


def _below(pid: int) -> list[int]:
    """Return all descendants of a process."""
    found: list[int] = []
    for children in Path(f"/proc/{pid}/task").glob("*/children"):
        try:
            direct = [int(child) for child in children.read_text().split()]
        except OSError:
            continue
        for child in direct:
            found += [child, *_below(child)]
    return found
