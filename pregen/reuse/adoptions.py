"""Files that were only moved get their entries in threads of the parent, without a worker.

Nothing of a source is read and nothing decoded (`reuse.same_file`): what takes time is to read and
write entries, which threads do without the interpreter's lock, many at a time.
"""

from __future__ import annotations

import sys
from collections import deque
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from concurrent.futures import Future, ThreadPoolExecutor

    from pregen.model import Job, Kin, Outcome
    from pregen.reuse.same_file import Adopter

#: While one has the interpreter's lock, the other reads and writes; the run's own thread wants it
#: as well.
_THREADS: Final = 2
#: Done together: a thread may have to wait some milliseconds for the lock. So many are recorded at
#: once, which takes as long.
_AT_ONCE: Final = 64
#: How long a thread may keep the lock while another one waits for it, meanwhile. The thread that
#: plans gives it away for each look at a file, and those that write for each portion: with the
#: usual 5 ms processors have nothing to do. With 0.2 ms it changes hands so often that it takes a
#: tenth more of their time.
_SWITCH_S: Final = 0.001
#: Portions that are on their way at most: some wait, so that no thread does while others are
#: recorded, which takes as long as a portion.
_PORTIONS: Final = 4 * _THREADS


class Adoptions:
    """Jobs that are done beside the engine. For one thread.

    Args:
        adopter: makes what does the jobs.
        kin: names the entries of sources of a size and time, for a job that a worker has to do
            after all.
    """

    def __init__(
        self, adopter: Callable[[], Adopter], kin: Callable[[int, int], tuple[Kin, ...]]
    ) -> None:
        self._make_adopter = adopter
        self._kin = kin
        self._pool: ThreadPoolExecutor | None = None
        self._switch_s = 0.0
        self._idle: list[Adopter] = []
        self._next: list[Job] = []
        self._open: deque[tuple[list[Job], Future[list[Outcome | None]]]] = deque()

    @property
    def full(self) -> bool:
        """No more may be begun before some have ended."""
        return len(self._open) >= _PORTIONS

    @property
    def idle(self) -> bool:
        """All that were begun have ended."""
        return not self._open

    def add(self, job: Job) -> None:
        """Have a job done, now or with the next ones."""
        self._next.append(job)
        if len(self._next) >= _AT_ONCE:
            self.begin()

    def begin(self) -> None:
        """Have all done that were added."""
        if not self._next:
            return
        if self._pool is None:
            from concurrent.futures import ThreadPoolExecutor  # noqa: PLC0415 - seldom needed

            self._pool = ThreadPoolExecutor(_THREADS, "pregen-adopt")
        if not self._switch_s:
            self._switch_s = sys.getswitchinterval()
            sys.setswitchinterval(_SWITCH_S)
        self._open.append((self._next, self._pool.submit(self._adopt, self._next)))
        self._next = []

    def _adopt(self, jobs: list[Job]) -> list[Outcome | None]:
        try:
            adopter = self._idle.pop()
        except IndexError:
            adopter = self._make_adopter()
        try:
            return adopter.adopt_all(jobs)
        finally:
            self._idle.append(adopter)

    def ended(self) -> Iterator[tuple[Job, Outcome | None]]:
        """Yield the jobs that have ended; None for the outcome of one that a worker has to do."""
        while self._open and self._open[0][1].done():
            jobs, future = self._open.popleft()
            yield from zip(jobs, future.result(), strict=True)
        if not self._open:
            self._switch_back()

    def cancel(self) -> list[tuple[Job, Outcome | None]]:
        """Begin no more, and wait for what was begun.

        Returns:
            All jobs that were added and have not been told as ended; None for the outcome of one
            that was not begun, or that a worker would have to do.
        """
        for _, future in self._open:
            future.cancel()
        found: list[tuple[Job, Outcome | None]] = []
        for jobs, future in self._open:
            outcomes = [None] * len(jobs) if future.cancelled() else future.result()
            found += zip(jobs, outcomes, strict=True)
        found += [(job, None) for job in self._next]
        self._open.clear()
        self._next = []
        self._switch_back()
        return found

    def _switch_back(self) -> None:
        if self._switch_s:
            sys.setswitchinterval(self._switch_s)
            self._switch_s = 0.0

    def for_worker(self, job: Job) -> Job:
        """Return a job as a worker is given it: its content may have been met."""
        return job._replace(same=None, kin=self._kin(job.size_bytes, job.mtime_ns))

    def close(self) -> None:
        """Begin no more; wait for what was begun."""
        try:
            if self._pool is not None:
                self._pool.shutdown(cancel_futures=True)
        finally:
            self._switch_back()
            for adopter in self._idle:
                adopter.close()
