"""One job, done so that nothing it raises gets any further. Every engine does its jobs this way."""

from __future__ import annotations

import os
import traceback
from pathlib import PurePath
from typing import TYPE_CHECKING

from pregen.model import Job, Kind, Outcome

if TYPE_CHECKING:
    from pregen.engines.base import Ask, Work


def attempt(work: Work, job: Job, ask: Ask) -> Outcome:
    """Return what `work` makes of `job`.

    Memory that ran out is the outcome OUT_OF_MEMORY. Any other exception, `sys.exit` among them,
    and an outcome for another job are bugs: the outcome ERROR, whose message says where.
    """
    try:
        outcome = work(job, ask)
        if outcome.job_id == job.job_id:
            return outcome
        message = f"the outcome of job {outcome.job_id} came back for job {job.job_id}"
        kind = Kind.ERROR
    except MemoryError:
        kind = Kind.OUT_OF_MEMORY
        message = "it needs more memory than one worker may use"
    except (Exception, SystemExit) as error:  # noqa: BLE001 - one bad source must not end a run
        kind = Kind.ERROR
        message = last_line(error)
    return Outcome(job.job_id, job.path, kind, message, worker_pid=os.getpid())


def last_line(error: BaseException) -> str:
    """Return the last line of the traceback of `error`, and where it was raised."""
    words = traceback.format_exception_only(error)[-1].strip()
    frames = traceback.extract_tb(error.__traceback__, limit=-1)
    if not frames:
        return words
    frame = frames[-1]
    return f"{words} ({PurePath(frame.filename).name}:{frame.lineno}, in {frame.name})"
