"""What the run takes from the machine: processor time and memory of some processes.

It is told which processes; it does not look for them.
"""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, NamedTuple

import psutil

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

#: The kernel counts processor time in ticks of 10 ms: over less than this the share jumps.
_MIN_SPAN_S = 0.9


class Load(NamedTuple):
    """What some processes take together."""

    cores: float
    """Processor seconds per second."""
    memory_bytes: int
    """Resident; pages that processes share count once for each."""


#: Before there is something to compare with.
NOTHING = Load(0.0, 0)


class LoadMeter:
    """Measures the load of processes between two calls, at most about once a second."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._processes: dict[int, psutil.Process] = {}
        self._spent_s: dict[int, float] = {}
        self._measured_s = clock()
        self._load = NOTHING

    def load(self, pids: Iterable[int]) -> Load:
        """Return the load of the processes `pids` and of this one."""
        now_s = self._clock()
        span_s = now_s - self._measured_s
        if span_s >= _MIN_SPAN_S:
            self._load = self._measure({os.getpid(), *pids}, span_s)
            self._measured_s = now_s
        return self._load

    def _measure(self, pids: set[int], span_s: float) -> Load:
        spent_s, memory_bytes, added_s = {}, 0, 0.0
        for pid in pids:
            try:
                process = self._processes.get(pid) or psutil.Process(pid)
                with process.oneshot():
                    times = process.cpu_times()
                    memory_bytes += process.memory_info().rss
            except psutil.Error:  # it ended: what it spent since the last call is not counted
                continue
            self._processes[pid] = process
            spent_s[pid] = times.user + times.system
            added_s += max(spent_s[pid] - self._spent_s.get(pid, spent_s[pid]), 0.0)
        first = not self._spent_s
        self._processes = {pid: self._processes[pid] for pid in spent_s}
        self._spent_s = spent_s
        return NOTHING if first else Load(added_s / span_s, memory_bytes)
