"""The deaths the supervisor brings about, and the outcome of a job that is to blame. Pure."""

from __future__ import annotations

from typing import Final

from pregen.engines.local.facts import Death
from pregen.model import Job, Kind, Outcome

CLOSED_PIPE: Final = Death(Kind.CRASHED, "it closed its connection to the run")
SILENT: Final = Death(Kind.CRASHED, "it stopped answering between two jobs", innocent=True)
NEVER_STARTED: Final = Death(Kind.CRASHED, "it never finished starting", innocent=True)


def hung(limit_s: float) -> Death:
    """Return the death of a worker whose job did not end within `limit_s` seconds."""
    return Death(Kind.TIMED_OUT, f"no end after {round(limit_s, 1):g} s")


def verdict(job: Job, death: Death, pid: int) -> Outcome:
    """Return the outcome of `job`, which `death` befell twice, the second time alone."""
    where = f", in {death.where}" if death.where else ""
    match death.kind:
        case Kind.TIMED_OUT:
            message = f"{death.words}, twice{where}; a slow disk may need a longer --timeout"
        case Kind.OUT_OF_MEMORY:
            message = f"{death.words}; close other programs or use fewer --workers"
        case _:
            message = f"its worker died twice: {death.words}{where}"
    return Outcome(job.job_id, job.path, death.kind, message, worker_pid=pid)
