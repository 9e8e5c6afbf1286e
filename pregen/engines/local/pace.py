"""How many jobs make a batch. Pure.

A batch is about 50 ms of work: long enough that a message per batch costs nothing, short enough
that the end of a run is not spent waiting for the one worker that still has a long batch.
"""

from __future__ import annotations

from typing import Final

#: One message per worker and 50 ms costs under 0.1 % of a core.
BATCH_NS: Final = 50_000_000
#: 256 jobs of 100 to 300 bytes each fit in a socket's buffer (208 KiB on Linux) with room to spare.
MOST_PER_BATCH: Final = 256
#: One job to a batch until the first outcomes tell more.
FIRST_GUESS_NS: Final = BATCH_NS
#: The estimate follows about this many of the latest jobs.
MEMORY_JOBS: Final = 32


class Pace:
    """A running estimate of how long a job takes."""

    def __init__(self) -> None:
        self._job_ns: float = FIRST_GUESS_NS
        self._seen = 0

    def saw(self, jobs: int, busy_ns: int) -> None:
        """Learn that `jobs` jobs took `busy_ns` together."""
        if jobs > 0:
            weight = jobs / (jobs + min(self._seen, MEMORY_JOBS))
            self._job_ns += (max(0, busy_ns) / jobs - self._job_ns) * weight
            self._seen += jobs

    @property
    def batch(self) -> int:
        """Jobs in a full batch: 1 to `MOST_PER_BATCH`."""
        return max(1, min(MOST_PER_BATCH, int(BATCH_NS / max(1.0, self._job_ns))))
