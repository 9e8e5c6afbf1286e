"""The few numbers a worker shares with the run, so that none of them needs a message.

The worker writes which job it has in flight, since when, and how many it has finished; the run
writes one flag. Whatever kills the worker, the run knows exactly which job it was doing.
Every number has one writer. The order of writing makes a torn reading harmless: a job's start is
in place before its id is.
"""

from __future__ import annotations

import mmap
import os
import tempfile
from time import monotonic_ns
from typing import Final

from pregen.engines.local.facts import Glance

_JOB: Final = 0
_STARTED_NS: Final = 1
_DONE: Final = 2
_DRAIN: Final = 3
_SIZE_BYTES: Final = 4 * 8
_NO_JOB: Final = -1


def new_memory() -> int:
    """Return the descriptor of a new slot's memory, for the `Slot` of either side."""
    if hasattr(os, "memfd_create"):
        descriptor = os.memfd_create("pregen-slot")
    else:
        with tempfile.TemporaryFile() as file:
            descriptor = os.dup(file.fileno())
    os.ftruncate(descriptor, _SIZE_BYTES)
    return descriptor


class Slot:
    """Either side's view of one worker's numbers; it needs `descriptor` only to be made."""

    def __init__(self, descriptor: int) -> None:
        self._cells = memoryview(mmap.mmap(descriptor, _SIZE_BYTES)).cast("q")

    def clear(self) -> None:
        """Run, before the worker is there: say that no job is in flight."""
        self._cells[_JOB] = _NO_JOB

    def begin(self, job_id: int) -> int:
        """Worker: say that `job_id` is in flight; return the time (monotonic, ns)."""
        cells = self._cells
        now_ns = monotonic_ns()
        cells[_STARTED_NS] = now_ns
        cells[_JOB] = job_id
        return now_ns

    def end(self) -> None:
        """Worker: say that the job in flight is done."""
        cells = self._cells
        cells[_DONE] += 1
        cells[_JOB] = _NO_JOB

    @property
    def drained(self) -> bool:
        """Worker: whether the run wants back what has not been begun."""
        return bool(self._cells[_DRAIN])

    def drain(self) -> None:
        """Run: ask for what has not been begun."""
        self._cells[_DRAIN] = 1

    def glance(self) -> Glance:
        """Run: read what the worker is doing now."""
        cells = self._cells
        job_id, started_ns, done = cells[_JOB], cells[_STARTED_NS], cells[_DONE]
        return Glance(None if job_id == _NO_JOB else job_id, started_ns, done)
