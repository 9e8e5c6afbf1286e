"""What the supervisor keeps account of: its workers, promised memory, the length of jobs. Pure."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import TYPE_CHECKING, Final, NamedTuple

from pregen.config import DEADLINE_BYTES_PER_S, RETIRE_S
from pregen.engines.local import deaths, events
from pregen.engines.local.share_state import ReaderRules
from pregen.readers.pace import SLOWEST_BYTES_PER_S

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pregen.engines.local.protocol import SlotReading
    from pregen.model import Job


S: Final = 1_000_000_000
#: From the signal to end to SIGKILL, from the end of a pipe to SIGKILL: dying takes milliseconds.
GRACE_NS: Final = S
#: From SIGKILL to giving a process up. Only one that hangs in the kernel (a dead network share)
#: outlives this.
ABANDON_NS: Final = 10 * S
#: A worker told to leave has nothing left to do but to run exit handlers.
LEAVE_NS: Final = 5 * S
#: Starting takes well under a second; a cold network file system may need this long.
START_NS: Final = 120 * S
RETIRE_NS: Final = RETIRE_S * S
#: One message per worker and 50 ms costs under 0.1 % of a core.
BATCH_NS: Final = 50_000_000
#: 256 jobs of 100 to 300 bytes each fit in a socket's buffer (208 KiB on Linux) with room to spare.
MOST_PER_BATCH: Final = 256
#: A job's source is opened ahead and for each of two tries, and asks for memory once or twice.
MOST_REQUESTS: Final = 16
#: One job to a batch until the first outcomes tell more.
FIRST_GUESS_NS: Final = BATCH_NS
#: The estimate follows about this many of the latest jobs.
MEMORY_JOBS: Final = 32


class Rules(NamedTuple):
    """What the supervisor needs of the configuration, with nothing left open."""

    workers: int
    timeout_ns: int
    memory_bytes: int
    recycle_jobs: int
    recycle_growth_bytes: int
    reading: ReaderRules = ReaderRules(60 * S, 1 << 25)

    def limit_ns(self, job: Job) -> int:
        """How long `job` may take: the timeout and a second for every MB (`config`)."""
        return self.timeout_ns + max(0, job.size_bytes) * S // DEADLINE_BYTES_PER_S

    def patience_ns(self, jobs: Iterable[Job]) -> int:
        """How long a worker may wait for the sources of `jobs`, if something comes meanwhile.

        It says by itself when a share has stopped answering; so long it is believed.
        """
        size_bytes = sum(max(0, job.size_bytes) for job in jobs)
        return self.reading.silence_ns + size_bytes * S // SLOWEST_BYTES_PER_S


class Phase(Enum):
    """Where in its life a worker is."""

    STARTING = auto()
    SERVING = auto()
    LEAVING = auto()
    """It gets no more jobs, and is told to quit when those it has are done."""
    DYING = auto()
    """It is being killed, or its pipe is closed."""


EndStep = type[events.Kill] | type[events.Abandon]


@dataclass(slots=True)
class WorkerState:
    """One worker, from the decision to start it to the news of its death."""

    number: int
    born_ns: int
    since_ns: int
    """The same, less the time in which the supervisor was not watching."""
    phase: Phase = Phase.STARTING
    open: dict[int, Job] = field(default_factory=dict)
    """Jobs sent and not answered, in the order in which they are done."""
    alone: bool = False
    """What is open is a suspect, tried alone."""
    recalled: bool = False
    """It was asked to return what it has not begun, and has not answered."""
    share: int = 0
    """On which its last jobs lay: all that are open lie there."""
    met: set[int] = field(default_factory=set)
    """All shares of which it has had jobs."""
    unanswered: set[int] = field(default_factory=set)
    """Those for which it has waited while they did not answer: it knows that they do not."""
    waits: bool = False
    """It has jobs of a share, and waits for what it needs of them."""
    heard: int = 0
    """What has come to it from shares, as it says."""
    orders: tuple[int, int] = (0, 0)
    """How it was told to read ahead: readers, bytes in a second."""
    assigned: int = 0
    delivered: int = 0
    first_rss_bytes: int = 0
    told_to_quit: bool = False
    busy_ns: int = 0
    """The wall time of the jobs it has reported."""
    heard_ns: int = 0
    """When it last reported a job, or got one while it had none: by the run's clock, as nothing
    that the worker says of itself is proved."""
    requests: int = 0
    """How often it asked for memory or a source since then."""
    unheeded: bool = False
    """It has lied: nothing more that it says counts."""
    culprit: int | None = None
    """The job to blame for its end, which its slot may not name."""
    ended_for: deaths.Death | None = None
    """Why the run ends it."""
    overdue_job: int | None = None
    """The id of the job that has taken too long."""
    _end_steps: deque[tuple[int, EndStep]] = field(default_factory=deque)
    """What is done, and when, should it still be there."""
    _asked_ns: int | None = None
    """Since when its job waits for memory."""
    _idle_ns: int | None = None
    """Since when it has jobs and does none."""
    _seen_job: int | None = None
    _seen_ns: int = 0
    """When its slot first named `_seen_job`: that job has not begun later."""
    _looked_ns: int = 0
    """When its slot was last looked at."""
    _credit_job: int | None = None
    _credit_ns: int = 0
    """Time that does not count against the deadline of `_credit_job`."""

    @property
    def unused(self) -> bool:
        """True when it can take a suspect: it has never had a job."""
        return self.assigned == 0 and self.phase in {Phase.STARTING, Phase.SERVING}

    @property
    def is_ending(self) -> bool:
        """True when there is a date for its end."""
        return bool(self._end_steps)

    @property
    def is_waiting(self) -> bool:
        """True while its job waits for memory."""
        return self._asked_ns is not None

    def begs(self) -> bool:
        """Count a request; tell whether there are too many for the jobs it has."""
        self.requests += 1
        return self.requests > MOST_REQUESTS * max(1, len(self.open))

    def note_activity(self, now_ns: int) -> None:
        """Note that it has jobs since now, or does them."""
        self._idle_ns = None
        self.heard_ns = now_ns
        self.requests = 0

    def note_heard(self, heard: int, now_ns: int) -> int:
        """Note what has come to it from shares; return how much that is since the last time."""
        new, self.heard = max(0, heard - self.heard), heard
        if new and self._idle_ns is not None:
            self._idle_ns = now_ns
        return new

    def pause_clock(self, job_id: int, now_ns: int) -> None:
        """Stop the clock of `job_id`, which waits for memory."""
        self._asked_ns = now_ns
        self._credit(job_id, 0)

    def resume_clock(self, now_ns: int) -> None:
        """Start the clock again."""
        if self._asked_ns is not None:
            self._credit_ns += now_ns - self._asked_ns
            self.heard_ns += now_ns - self._asked_ns
            self._asked_ns = None

    def plan_end(self, now_ns: int, after_ns: int) -> None:
        """Have it killed `after_ns` from now, and given up if that does not help."""
        kill_ns = now_ns + after_ns
        self._end_steps = deque([(kill_ns, events.Kill), (kill_ns + ABANDON_NS, events.Abandon)])

    def due_end_step(self, now_ns: int) -> EndStep | None:
        """Take the next step of a planned end, if it is time for it."""
        if not self._end_steps or now_ns < self._end_steps[0][0]:
            return None
        return self._end_steps.popleft()[1]

    def excuse(self, reading: SlotReading, late_ns: int) -> None:
        """Shift every limit by a time in which the supervisor was not watching."""
        self._end_steps = deque((due_ns + late_ns, step) for due_ns, step in self._end_steps)
        self.since_ns += late_ns
        self.heard_ns += late_ns
        self._looked_ns += late_ns
        self._idle_ns = None
        if reading.job_id is not None and self._asked_ns is None:
            self._credit(reading.job_id, late_ns)

    def overdue(self, reading: SlotReading, rules: Rules, now_ns: int) -> deaths.Death | None:
        """Return how it is to end if what it does has taken too long."""
        passed_ns, self._looked_ns = now_ns - self._looked_ns, now_ns
        if self.phase is Phase.STARTING:
            return deaths.NEVER_STARTED if now_ns - self.since_ns > START_NS else None
        if not self.open or self._asked_ns is not None:
            return None
        job = None if reading.job_id is None else self.open.get(reading.job_id)
        if job is not None:
            self._idle_ns = None
            if self._seen_job != job.job_id:
                self._seen_job, self._seen_ns = job.job_id, now_ns
            if reading.waits and self.share:
                self._credit(job.job_id, passed_ns)
            began_ns = min(reading.started_ns, self._seen_ns)
            credit_ns = self._credit_ns if self._credit_job == job.job_id else 0
            limit_ns = rules.limit_ns(job)
            if now_ns - began_ns - credit_ns > limit_ns:
                self.overdue_job = job.job_id
                return deaths.hung(limit_ns / S)
        elif self._idle_ns is None:
            self._idle_ns = now_ns
        elif now_ns - self._idle_ns > rules.timeout_ns + (
            rules.reading.silence_ns if self.share else 0
        ):
            self.culprit = next(iter(self.open))
            return deaths.SILENT
        return self._unheard(rules, now_ns)

    def _unheard(self, rules: Rules, now_ns: int) -> deaths.Death | None:
        """Return how it is to end if it reports nothing; what its slot says does not count."""
        unheard_ns = now_ns - self.heard_ns - rules.timeout_ns
        if self.share:
            unheard_ns -= rules.patience_ns(self.open.values())
        if unheard_ns <= rules.timeout_ns:  # the least limit of any job
            return None
        limit_ns = max(map(rules.limit_ns, self.open.values()))
        if unheard_ns <= limit_ns:
            return None
        self.culprit = next(iter(self.open))
        return deaths.hung((rules.timeout_ns + limit_ns) / S)

    def _credit(self, job_id: int, extra_ns: int) -> None:
        if self._credit_job != job_id:
            self._credit_job, self._credit_ns = job_id, 0
        self._credit_ns += extra_ns


class MemoryBudget:
    """Bytes promised to workers for big pictures, and the workers that wait for a promise.

    Only work that expects a big picture asks. Requests are answered in the order in which they
    came, so that a big one is not overtaken forever. A job may ask again for more. When no job that
    holds memory is running, the first in the queue is let in with any request: one that is bigger
    than the whole budget is served when it is alone, and two that wait for each other do not lock
    up.
    """

    def __init__(self, total_bytes: int) -> None:
        self._total_bytes = total_bytes
        self._held: dict[int, int] = {}
        self._queue: deque[tuple[int, int]] = deque()

    def ask(self, worker: int, size_bytes: int) -> None:
        """Queue `worker` for `size_bytes` more than it holds."""
        self._queue.append((worker, max(0, size_bytes)))

    def release(self, worker: int) -> None:
        """Take back all that `worker` holds or waits for."""
        self._held.pop(worker, None)
        if self._queue:
            self._queue = deque(entry for entry in self._queue if entry[0] != worker)

    def holds(self, worker: int) -> bool:
        """Say whether `worker` has been granted anything."""
        return worker in self._held

    def grant(self) -> list[int]:
        """Promise memory to those whose turn has come; return them."""
        granted: list[int] = []
        while self._queue:
            worker, size_bytes = self._queue[0]
            waiting = {entry[0] for entry in self._queue}
            fits = sum(self._held.values()) + size_bytes <= self._total_bytes
            if not fits and not self._held.keys() <= waiting:
                break
            self._queue.popleft()
            self._held[worker] = self._held.get(worker, 0) + size_bytes
            granted.append(worker)
        return granted


class BatchSizer:
    """How many jobs make a batch, by a running estimate of how long a job takes.

    A batch is about 50 ms of work: long enough that a message per batch costs nothing, short enough
    that the end of a run is not spent waiting for the one worker that still has a long batch.
    """

    def __init__(self) -> None:
        self._job_ns: float = FIRST_GUESS_NS
        self._seen = 0

    def learn(self, jobs: int, busy_ns: int) -> None:
        """Learn that `jobs` jobs took `busy_ns` together."""
        if jobs > 0:
            weight = jobs / (jobs + min(self._seen, MEMORY_JOBS))
            self._job_ns += (max(0, busy_ns) / jobs - self._job_ns) * weight
            self._seen += jobs

    @property
    def size(self) -> int:
        """Jobs in a full batch: 1 to `MOST_PER_BATCH`."""
        return max(1, min(MOST_PER_BATCH, int(BATCH_NS / max(1.0, self._job_ns))))
