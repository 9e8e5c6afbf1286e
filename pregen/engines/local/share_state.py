"""What the supervisor knows of shares: what waits, whether they answer, how they are read. Pure.

A worker has jobs of one share at a time, or of the disks of this machine: a share that has stopped
answering holds no job of another one. Workers are shared out over what has jobs, and who is one
too many gives back what it has not begun: at most one waits for a share that dies. Where it waits
in vain, another takes its place, and no second one is sent there until something comes again.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Final, NamedTuple

from pregen.readers.pace import ReaderPace

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from pregen.model import Job

#: Jobs sent to a worker ahead: enough for small files, which are a few round trips each.
MOST_JOBS_AHEAD: Final = 32
#: ... and no fewer, of any size: one is decoded while the other is read.
LEAST_JOBS_AHEAD: Final = 2
#: A share that has given nothing for so long, while a worker waits, holds up no other. A disk
#: that has to spin up takes longer, which costs a worker more for that time.
STALLED_NS: Final = 3_000_000_000
#: One that has given nothing for so long is sent no second worker, and of two one is called back
#: while jobs wait elsewhere.
QUIET_NS: Final = 500_000_000
#: Jobs kept of shares that do not answer, while others are looked for behind them.
MOST_STALLED: Final = 20_000


class ReaderRules(NamedTuple):
    """What of the configuration is about reading from shares."""

    silence_ns: int
    """How long a share may give nothing."""
    ahead_bytes: int
    """Of the sources of coming jobs, in all workers."""
    readers: int | None = None
    """On each share; None: as many as bring more."""
    bytes_per_s: int = 0
    """From all shares; 0: as fast as it goes."""


class ShareState:
    """One share."""

    def __init__(self, readers: int | None) -> None:
        self.pending: deque[Job] = deque()
        self.pace = ReaderPace(readers)
        self.heard = 0
        """What has come from it, to all workers."""
        self.heard_ns = 0
        """When something came last, or was first asked for."""
        self.quiet = False
        """A worker waits, and nothing has come for a while."""
        self.stalled = False
        """... for long."""

    def hear(self, heard: int, now_ns: int) -> None:
        """Note that so much has come."""
        self.heard += heard
        self.heard_ns = now_ns
        self.quiet = self.stalled = False

    def stall(self, now_ns: int) -> None:
        """Note that a worker waits."""
        self.quiet = self.quiet or now_ns - self.heard_ns > QUIET_NS
        self.stalled = self.stalled or now_ns - self.heard_ns > STALLED_NS


class Shares:
    """All shares of a run."""

    def __init__(self, rules: ReaderRules) -> None:
        self._rules = rules
        self._states: dict[int, ShareState] = {}

    def __bool__(self) -> bool:
        return bool(self._states)

    def __getitem__(self, share: int) -> ShareState:
        state = self._states.get(share)
        if state is None:
            state = self._states[share] = ShareState(self._rules.readers)
        return state

    def __iter__(self) -> Iterator[tuple[int, ShareState]]:
        return iter(self._states.items())

    @property
    def pending(self) -> int:
        """How many jobs wait for a worker."""
        return sum(len(state.pending) for state in self._states.values())

    @property
    def stalled(self) -> int:
        """How many of these, on shares that do not answer."""
        return sum(len(state.pending) for state in self._states.values() if state.stalled)

    def add(self, jobs: Iterable[Job]) -> None:
        """Have jobs wait for a worker."""
        for job in jobs:
            self[job.share].pending.append(job)

    def put_back(self, jobs: Iterable[Job]) -> None:
        """Have jobs wait before all others, in this order."""
        for job in reversed(list(jobs)):
            self[job.share].pending.appendleft(job)

    def take(self, share: int, most: int, most_bytes: int, least: int) -> tuple[Job, ...]:
        """Take the next jobs of a share.

        Args:
            share: which.
            most: at most so many.
            most_bytes: no more bytes of sources than this ...
            least: ... but so many jobs all the same.
        """
        pending = self[share].pending
        taken: list[Job] = []
        size_bytes = 0
        while pending and len(taken) < most:
            size_bytes += max(0, pending[0].size_bytes)
            if size_bytes > most_bytes and len(taken) >= least:
                break
            taken.append(pending.popleft())
        return tuple(taken)

    def clear(self) -> list[Job]:
        """Take all jobs that wait."""
        taken = [job for state in self._states.values() for job in state.pending]
        for state in self._states.values():
            state.pending.clear()
        return taken
