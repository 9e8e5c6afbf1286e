"""Jobs on their way: from the feed to the engine, or to the threads that take entries over.

One part of a run. It asks the governor, and keeps what was planned until there is an outcome.
"""

from __future__ import annotations

import time
from collections import deque
from typing import TYPE_CHECKING, Final

from pregen.limits import Do
from pregen.model import Kind, Outcome

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from pregen.engines.base import Stop
    from pregen.feed import Feed
    from pregen.limits import Governor, LimitDecision
    from pregen.model import Job
    from pregen.requests.server import RequestedJobs
    from pregen.reuse.adoptions import Adoptions

#: How long what has nothing ready is left alone before it is asked again.
_POLL_S: Final = 0.002
#: A run that waits for a power supply shall not empty the battery by asking for it; workers are
#: looked after this often all the same.
_PAUSE_S: Final = 0.05


class JobsInFlight:
    """The feed as the governor lets it through; keeps what was planned, for the journal.

    What needs no worker is done beside, and comes to its end here.

    Args:
        feed: jobs of the walk.
        requested: those that clients asked for, which go first.
        governor: says when to pause or to end; None: never.
        halted: told why the governor ends the run.
        found_done: told of a job of the walk that a client had done before.
        adoptions: do the jobs that need no worker.
        ended: told what became of those, and of jobs that were not begun when the run ended.
    """

    def __init__(
        self,
        feed: Feed[Job],
        requested: RequestedJobs,
        governor: Governor | None,
        halted: Callable[[LimitDecision], None],
        found_done: Callable[[Job], None],
        *,
        adoptions: Adoptions,
        ended: Callable[[Job, Outcome], None],
    ) -> None:
        self._feed = feed
        self._requested = requested
        self._found_done = found_done
        self._jobs: dict[int, Job] = {}
        self._governor = governor
        self._halted = halted
        self._adoptions = adoptions
        self._ended = ended
        self._left: deque[Job] = deque()
        """For workers after all."""

    def __iter__(self) -> Iterator[Job | None]:
        return self

    def first(self, stop: Stop) -> Job | None:
        """Wait for the first job that needs a worker; None: there is none, or the run is to end."""
        for job in self:
            if job is not None or stop.is_set():
                return job
            time.sleep(_POLL_S)
        return None

    def settle(self) -> None:
        """Record what has been done beside the engine; nothing is begun any more."""
        for job, outcome in self._adoptions.cancel():
            self._ended(job, outcome or _not_begun(job))
        for job in self._left:
            self._ended(job, _not_begun(job))
        self._left.clear()

    def _collect(self) -> None:
        for job, outcome in self._adoptions.ended():
            if outcome is None:
                self._left.append(self._adoptions.for_worker(job))
            else:
                self._ended(job, outcome)

    def __next__(self) -> Job | None:
        self._collect()
        if self._governor is not None:
            verdict = self._governor.ask()
            if verdict.do is Do.PAUSE:
                time.sleep(_PAUSE_S)
                return None
            if verdict.do is Do.WAIT:
                return None
            if verdict.do is not Do.GO:
                self._halted(verdict)
                raise StopIteration
        job = self._requested.take() or self._next_found()
        if job is not None:
            self._jobs[job.job_id] = job
            if self._governor is not None:
                self._governor.begun(job)
        return job

    def _next_found(self) -> Job | None:
        """Return the next job of the walk; what needs no worker is begun on the way.

        Raises:
            StopIteration: there is none, and no client waits for one.
        """
        while not self._left:
            if self._adoptions.full:
                return None
            try:
                job = next(self._feed)
            except StopIteration:
                self._adoptions.begin()
                if self._adoptions.idle and self._requested.end():
                    raise
                return None
            if job is None:
                self._adoptions.begin()
                return None
            if self._requested.has_served(job):
                self._found_done(job)
                return None
            if job.same is None:
                return job
            self._adoptions.add(job)
        return self._left.popleft()

    def done(self, outcome: Outcome) -> Job:
        """Return the job that came to this end, and forget it."""
        job = self._jobs.pop(outcome.job_id)
        if self._governor is not None:
            self._governor.ended(job, outcome)
        return job


def _not_begun(job: Job) -> Outcome:
    return Outcome(job.job_id, job.path, Kind.INTERRUPTED)
