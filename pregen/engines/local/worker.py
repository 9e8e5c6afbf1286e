"""What the supervisor knows of one worker, and when that worker has taken too long. Pure."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import TYPE_CHECKING, Final, NamedTuple

from pregen.config import DEADLINE_BYTES_PER_S
from pregen.engines.local import blame, facts

if TYPE_CHECKING:
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


class Rules(NamedTuple):
    """What the supervisor needs of the configuration, with nothing left open."""

    workers: int
    timeout_ns: int
    memory_bytes: int
    recycle_jobs: int
    recycle_growth_bytes: int

    def limit_ns(self, job: Job) -> int:
        """How long `job` may take: the timeout and a second for every MB (`config`)."""
        return self.timeout_ns + max(0, job.size_bytes) * S // DEADLINE_BYTES_PER_S


class Phase(Enum):
    """Where in its life a worker is."""

    STARTING = auto()
    SERVING = auto()
    LEAVING = auto()
    """It gets no more jobs, and is told to quit when those it has are done."""
    DYING = auto()
    """It is being killed, or its pipe is closed."""


Blow = type[facts.Kill] | type[facts.Abandon]


@dataclass(slots=True)
class Worker:
    """One worker, from the decision to start it to the news of its death."""

    number: int
    since_ns: int
    phase: Phase = Phase.STARTING
    open: dict[int, Job] = field(default_factory=dict)
    """Jobs sent and not answered, in the order in which they are done."""
    alone: bool = False
    """What is open is a suspect, tried alone."""
    assigned: int = 0
    delivered: int = 0
    first_rss_bytes: int = 0
    told_to_quit: bool = False
    fate: facts.Death | None = None
    """Why we are ending it."""
    accused: int | None = None
    """The job that has taken too long."""
    _blows: deque[tuple[int, Blow]] = field(default_factory=deque)
    """What is done, and when, should it still be there."""
    _asked_ns: int | None = None
    """Since when its job waits for memory."""
    _idle_ns: int | None = None
    """Since when it has jobs and does none."""
    _credit_job: int | None = None
    _credit_ns: int = 0
    """Time that does not count against the deadline of `_credit_job`."""

    @property
    def fresh(self) -> bool:
        """True when it can take a suspect: it has never had a job."""
        return self.assigned == 0 and self.phase in {Phase.STARTING, Phase.SERVING}

    @property
    def doomed(self) -> bool:
        """True when there is a date for its end."""
        return bool(self._blows)

    def heard(self) -> None:
        """Note that it has jobs since now, or does them."""
        self._idle_ns = None

    def asks(self, job_id: int, now_ns: int) -> None:
        """Stop the clock of `job_id`, which waits for memory."""
        self._asked_ns = now_ns
        self._credit(job_id, 0)

    def granted(self, now_ns: int) -> None:
        """Start the clock again."""
        if self._asked_ns is not None:
            self._credit_ns += now_ns - self._asked_ns
            self._asked_ns = None

    def plan_end(self, now_ns: int, after_ns: int) -> None:
        """Have it killed `after_ns` from now, and given up if that does not help."""
        kill_ns = now_ns + after_ns
        self._blows = deque([(kill_ns, facts.Kill), (kill_ns + ABANDON_NS, facts.Abandon)])

    def due_blow(self, now_ns: int) -> Blow | None:
        """Take the next step of a planned end, if it is time for it."""
        if not self._blows or now_ns < self._blows[0][0]:
            return None
        return self._blows.popleft()[1]

    def excuse(self, glance: facts.Glance, late_ns: int) -> None:
        """Shift every limit by a time in which nobody was watching."""
        self._blows = deque((due_ns + late_ns, blow) for due_ns, blow in self._blows)
        self.since_ns += late_ns
        self._idle_ns = None
        if glance.job_id is not None and self._asked_ns is None:
            self._credit(glance.job_id, late_ns)

    def overdue(self, glance: facts.Glance, rules: Rules, now_ns: int) -> facts.Death | None:
        """Return how it is to end if what it does has taken too long."""
        if self.phase is Phase.STARTING:
            return blame.NEVER_STARTED if now_ns - self.since_ns > START_NS else None
        if not self.open or self._asked_ns is not None:
            return None
        job = None if glance.job_id is None else self.open.get(glance.job_id)
        if job is not None:
            self._idle_ns = None
            credit_ns = self._credit_ns if self._credit_job == job.job_id else 0
            limit_ns = rules.limit_ns(job)
            late = now_ns - glance.started_ns - credit_ns > limit_ns
            if not late:
                return None
            self.accused = job.job_id
            return blame.hung(limit_ns / S)
        if self._idle_ns is None:
            self._idle_ns = now_ns
        return blame.SILENT if now_ns - self._idle_ns > rules.timeout_ns else None

    def died_of(self, death: facts.Death, job: Job | None) -> facts.Death:
        """Return why it really ended while it had `job`, where its process ended by `death`."""
        if self.fate is None:
            return death
        # It may have ended the job that hung, and begun another, before the signal came.
        other = self.accused is not None and job is not None and job.job_id != self.accused
        return self.fate._replace(where=death.where, innocent=other or self.fate.innocent)

    def _credit(self, job_id: int, extra_ns: int) -> None:
        if self._credit_job != job_id:
            self._credit_job, self._credit_ns = job_id, 0
        self._credit_ns += extra_ns
