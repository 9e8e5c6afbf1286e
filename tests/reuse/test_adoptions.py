"""Jobs of moved files beside the engine: each is told once, begun or not."""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING

from pregen.cache.store import Cache
from pregen.filesystems.bounded import BoundedFiles
from pregen.model import Kind
from pregen.reuse.adoptions import Adoptions
from pregen.reuse.same_file import Adopter
from tests.support.trials.batch_twins import FLAVORS, Moved

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from pregen.model import Job, Outcome


def test_what_was_not_begun_when_a_run_stops_is_not_begun_any_more(tmp_path: Path) -> None:
    moved = Moved(tmp_path, 5, together=True)
    files = BoundedFiles()
    begun, go_on = threading.Semaphore(0), threading.Event()

    class Held(Adopter):
        def adopt_all(self, jobs: Sequence[Job]) -> list[Outcome | None]:
            begun.release()
            go_on.wait(10)
            return super().adopt_all(jobs)

    adoptions = Adoptions(
        lambda: Held(Cache(os.fsencode(moved.root)), FLAVORS, files, unpack=False),
        lambda _size_bytes, _mtime_ns: (),
    )
    for job in moved.jobs[:4]:  # two for the threads, and two that wait for one
        adoptions.add(job)
        adoptions.begin()
    adoptions.add(moved.jobs[4])
    for _ in range(2):
        assert begun.acquire(timeout=60)
    adoptions._open[-1][1].add_done_callback(lambda _cancelled: go_on.set())
    told = adoptions.cancel()
    assert [job for job, _ in told] == moved.jobs
    kinds = [outcome and outcome.kind for _, outcome in told]
    assert kinds == [Kind.REUSED, Kind.REUSED, None, None, None]
    made = [all(moved.new(number, each).exists() for each in FLAVORS) for number in range(5)]
    assert made == [True, True, False, False, False]
    assert adoptions.cancel() == []
    assert adoptions.idle
    adoptions.close()
    files.close()
