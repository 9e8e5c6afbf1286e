"""Whose fault the death of a worker is, and what a job comes to by it. Pure.

A verdict that is remembered (CRASHED, TIMED_OUT) keeps a source from being tried until it changes.
So it takes two deaths of the job's own, of the same cause. What ends workers from outside is
spared a few times, and causes that differ add up to nothing: SIGKILL by a person and by the kernel
for want of memory look alike. A job to which that goes on is DISTURBED, and the next run tries
it again.
"""

from __future__ import annotations

from typing import Final

from pregen.engines.local.facts import Cause, Death
from pregen.model import Job, Kind, Outcome

#: The second death of the same cause is the job's own (it was alone).
STRIKES: Final = 2
#: Deaths of its own, each of another cause, by which a job is given up.
MIXED: Final = 3
#: Deaths from outside that a job in flight survives without a strike.
SPARED: Final = 3
#: No job sees more deaths than this.
MOST_DEATHS: Final = SPARED + MIXED

CLOSED_PIPE: Final = Death(Kind.CRASHED, "it closed its connection to the run", cause=Cause.LEFT)
SILENT: Final = Death(Kind.CRASHED, "it stopped answering between two jobs", innocent=True)
NEVER_STARTED: Final = Death(Kind.CRASHED, "it never finished starting", cause=Cause.TIME)


def hung(limit_s: float) -> Death:
    """Return the death of a worker whose job did not end within `limit_s` seconds."""
    return Death(Kind.TIMED_OUT, f"no end after {round(limit_s, 1):g} s", cause=Cause.TIME)


class Ledger:
    """The deaths of the jobs that have no outcome yet."""

    def __init__(self) -> None:
        self._deaths: dict[int, list[Death]] = {}

    def charge(self, job: Job, death: Death, pid: int) -> Outcome | None:
        """Note that `job` was in flight at `death`; return what it comes to, None: try again."""
        deaths = self._deaths.setdefault(job.job_id, [])
        deaths.append(death)
        own = [each for each in deaths if not each.innocent]
        alike = [each for each in own if each.cause is death.cause]
        if not death.innocent and len(alike) >= STRIKES:
            kind, message = death.kind, _verdict(death)
        elif len(own) >= MIXED or len(deaths) - len(own) > SPARED:
            kind, message = Kind.DISTURBED, _no_verdict(deaths)
        else:
            return None
        self.forget(job.job_id)
        return Outcome(job.job_id, job.path, kind, message, worker_pid=pid)

    def forget(self, job_id: int) -> None:
        """Drop what is known of a job that has its outcome."""
        self._deaths.pop(job_id, None)


def _verdict(death: Death) -> str:
    where = f", in {death.where}" if death.where else ""
    match death.kind:
        case Kind.TIMED_OUT:
            return f"{death.words}, twice{where}; a slow disk may need a longer --timeout"
        case Kind.OUT_OF_MEMORY:
            return f"{death.words}; close other programs or use fewer --workers"
        case _:
            return f"its worker died twice: {death.words}{where}"


def _no_verdict(deaths: list[Death]) -> str:
    causes = "; ".join(dict.fromkeys(death.words for death in deaths))
    return f"{len(deaths)} workers ended while they had it ({causes}); run again"
