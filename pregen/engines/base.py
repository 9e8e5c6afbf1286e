"""The seam between the run and whatever does its jobs: one method.

Contract, held by every engine (`tests/contract/`):

* jobs are pulled lazily, never more than a bound ahead of the outcomes;
* `None` from the iterator means "none ready yet": ask again soon, block nothing;
* every job pulled yields exactly one outcome, in any order, whatever dies;
* nothing a job does raises out of `run`; what the iterator raises does, once the work in flight
  has finished and every job pulled has had its outcome;
* after `stop` drains, work in flight finishes and the jobs not yet begun come back INTERRUPTED;
  after `stop` kills, everything still open comes back INTERRUPTED at once;
* closing the generator leaves no process behind.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from enum import IntEnum
from typing import Protocol

from pregen.config import WorkConfig
from pregen.delivery import Parcel
from pregen.model import Job, Outcome, Places, WorkerView

Ask = Callable[[int], None]
"""Called by work with the bytes a big picture will take; returns when there is room for it."""

Work = Callable[[Job, Ask], Outcome]
"""Does one job. Never raises for a source. May have a method `prefetch(job)`, called before another
job is begun; it returns at once, so that the disk works while the processor does. Work that can be
confined has a method `confine(open_elsewhere)` (`Confine`)."""

OpenElsewhere = Callable[[int], int]
"""Has the run open the source of a job in hand, by the job's id; returns the descriptor, which is
the caller's. Raises OSError in the words of the run's own attempt."""


Confine = Callable[[OpenElsewhere], Places]
"""Called once, before the first job: from then on work may use nothing but its places, and opens
sources that are elsewhere by asking."""

WorkFactory = Callable[[WorkConfig], Work]
"""Made in the worker, once. Must be importable by name (it is sent by reference)."""


class StopLevel(IntEnum):
    """How urgently the run is to end."""

    RUN = 0
    DRAIN = 1
    KILL = 2


class Stop:
    """Set by signal handlers, read by engines. A plain attribute: safe in a handler."""

    def __init__(self) -> None:
        self.level = StopLevel.RUN

    def raise_to(self, level: StopLevel) -> None:
        """Make the stop at least as urgent as `level`."""
        self.level = max(self.level, level)


Store = Callable[[Job, Outcome, Parcel], Outcome]
"""Commits what a job wrote on another machine; returns the outcome as it is with that."""


class Engine(Protocol):
    """Does jobs. One run per instance."""

    @property
    def sandbox(self) -> str:
        """What its workers are confined by, for people."""
        ...

    def run(self, jobs: Iterator[Job | None], stop: Stop) -> Generator[Outcome]:
        """Do every job and yield one outcome for each (contract: module docstring)."""
        ...

    def workers(self) -> list[WorkerView]:
        """What every worker is doing now. Called from another thread."""
        ...
