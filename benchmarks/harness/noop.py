"""Jobs that nobody has to do, and the work that does not do them. Importable in workers."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

from pregen.model import Action, Flavor, Job, Kind, Outcome, Stages, Stamp, Step

if TYPE_CHECKING:
    from pregen.config import WorkConfig
    from pregen.engines.base import Ask, Work

#: As long as what a camera's photo leaves, so that the pipes carry what they do in real runs.
_STAGES = Stages(1_000_000, 25_000_000, 4_000_000, 2_000_000, 1_000_000)
_STAMPS = (Stamp(12_345_678, 1_700_000_000_123_456_789, 20_000),) * 2


def job(number: int) -> Job:
    """A job as the plan makes it for a photo without entries."""
    path = f"/home/someone/Pictures/2024/07-holidays/IMG_{number:07}.JPG"
    uri = f"file://{path}"
    steps = tuple(Step(Action.MAKE, flavor, uri) for flavor in (Flavor.NORMAL, Flavor.LARGE))
    return Job(number, path.encode(), 3_500_000, 1_700_000_000_123_456_789, (uri,), steps)


def make_noop(config: WorkConfig) -> Work:
    """Work that does nothing (an `engines.base.WorkFactory`)."""
    del config
    pid = os.getpid()

    def noop(job: Job, _ask: Ask) -> Outcome:
        return Outcome(
            job.job_id,
            job.path,
            Kind.MADE,
            loader="turbo",
            mime="image/jpeg",
            width_px=4000,
            height_px=3000,
            entries_written=2,
            bytes_written=60_000,
            bytes_read=job.size_bytes,
            stages=_STAGES,
            worker_pid=pid,
            stamps=_STAMPS,
        )

    return noop


#: One worker makes so many thumbnails of camera pictures in a second (benchmarks/README.md).
PACE_PER_S = 45


def make_paced(config: WorkConfig) -> Work:
    """Work that takes as long as a picture, and no processor time."""
    quick = make_noop(config)

    def paced(job: Job, ask: Ask) -> Outcome:
        time.sleep(1 / PACE_PER_S)
        return quick(job, ask)

    return paced
