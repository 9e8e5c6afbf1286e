"""Does the same jobs over and over in this process, with a mark before and after each.

    python -m benchmarks.harness.repeat CACHE REPEATS PICTURE...

The mark is a system call that nothing else here makes. Run by `benchmarks.instructions` below
valgrind, which cuts its profile at every mark.
"""

from __future__ import annotations

import gc
import os
import sys
from pathlib import Path

from pregen.config import WorkConfig
from pregen.model import Action, Flavor, Job, Kind, Step
from pregen.thumbspec.uri import file_uri
from pregen.work import make_worker


def mark() -> None:
    """Tell where a job begins or ends."""
    os.getpgid(0)


def job_for(path: Path) -> Job:
    """The job of a source that has no entry yet."""
    facts, uri = path.stat(), file_uri(os.fsencode(path))
    steps = tuple(Step(Action.MAKE, flavor, uri) for flavor in (Flavor.NORMAL, Flavor.LARGE))
    return Job(0, os.fsencode(path), facts.st_size, facts.st_mtime_ns, (uri,), steps)


def _grant(_size_bytes: int) -> None:
    """There is always room in memory."""


def main() -> None:
    """Do the jobs; the exit status tells whether every one was done."""
    cache, repeats, *pictures = sys.argv[1:]
    work = make_worker(WorkConfig(os.fsencode(cache), "0.0"))
    gc.disable()  # when it would start depends on what other jobs have left
    for picture in pictures:
        job = job_for(Path(picture))
        for _ in range(int(repeats)):
            gc.collect()
            mark()
            outcome = work(job, _grant)
            mark()
            if outcome.kind is not Kind.MADE:
                sys.exit(f"{picture}: {outcome.kind.value}: {outcome.message}")


if __name__ == "__main__":
    main()
