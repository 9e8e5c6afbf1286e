"""The reference engine: every job in this process, one after the other.

No supervision: a job that kills its process kills the run, and one that hangs hangs it. For
tests, for comparing, and for looking at a failing source with a debugger.
"""

from __future__ import annotations

import os
from time import monotonic_ns, sleep
from typing import TYPE_CHECKING, Final

from pregen.config import Sandbox
from pregen.engines.base import attempt
from pregen.errors import SandboxError
from pregen.model import Job, Outcome, WorkerView

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator, Sequence

    from pregen.config import EngineConfig, WorkConfig
    from pregen.engines.base import Stop, WorkFactory

#: A feed that has nothing ready is asked again after this long.
_POLL_S: Final = 0.005


class SerialEngine:
    """Does jobs in this process. One run per instance.

    Args:
        work_factory: makes the work function.
        work_config: handed to `work_factory`.
        config: used for the sandbox only, which this engine does not have.
        preload: not used: there is nothing to start.
    """

    def __init__(
        self,
        work_factory: WorkFactory,
        work_config: WorkConfig,
        config: EngineConfig,
        preload: Sequence[str] = (),
    ) -> None:
        if config.sandbox is Sandbox.REQUIRE:
            raise SandboxError(
                "The serial engine decodes in the run's own process, which cannot be "
                "sandboxed: omit --engine serial or --sandbox require."
            )
        del preload
        self._work_factory = work_factory
        self._work_config = work_config
        self._now = WorkerView(os.getpid(), None, 0.0, 0)
        self._started_ns = 0

    @property
    def sandbox(self) -> str:
        """There is none."""
        return "none, everything happens in one process"

    @property
    def caution(self) -> str:
        """Nothing: it talks to no other machine."""
        return ""

    def run(self, jobs: Iterator[Job | None], stop: Stop) -> Generator[Outcome]:
        """Do every job and yield its outcome; `stop` is honoured between jobs.

        A job is pulled only when it is its turn, so that no stop leaves any of them open.
        """
        work = self._work_factory(self._work_config)
        done = 0
        while not stop.level:
            try:
                job = next(jobs)
            except StopIteration:
                return
            if job is None:
                sleep(_POLL_S)
                continue
            self._started_ns = monotonic_ns()
            self._now = WorkerView(os.getpid(), job.path, 0.0, done)
            outcome = attempt(work, job, _granted)
            done += 1
            self._now = WorkerView(os.getpid(), None, 0.0, done)
            yield outcome

    def workers(self) -> list[WorkerView]:
        """What this process is doing now. Called from another thread."""
        view = self._now
        if view.path is None:
            return [view]
        return [view._replace(busy_s=(monotonic_ns() - self._started_ns) / 1e9)]


def _granted(size_bytes: int) -> None:
    """There are no other workers to share the memory with."""
    del size_bytes
