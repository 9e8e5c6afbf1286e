"""The engine for one machine: the shell around `supervisor`.

It pulls from the feed, waits for what happens to the workers, tells the supervisor, and carries out
what that commands. It takes no decision about any job.
"""

from __future__ import annotations

import errno
import os
from collections import deque
from contextlib import suppress
from time import monotonic_ns
from typing import TYPE_CHECKING, Final

from pregen.config import Sandbox
from pregen.engines.base import Stop, StopLevel, WorkFactory, factory_name, needs_libraries
from pregen.engines.local import events, resources
from pregen.engines.local.launch import Launcher
from pregen.engines.local.protocol import WorkerSetup
from pregen.engines.local.share_state import ReaderRules
from pregen.engines.local.supervisor import TICK_NS, Supervisor
from pregen.engines.local.worker_state import Rules, S
from pregen.engines.local.workers import WorkerPool
from pregen.errors import MissingLibraryError, PregenError, SandboxError, TooManyOpenError
from pregen.filesystems.blockdevices import spins
from pregen.filesystems.bounded import BoundedFiles

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator, Sequence

    from pregen.config import EngineConfig, WorkConfig
    from pregen.model import Job, Outcome, WorkerView

#: A feed that has nothing ready is asked again after this long.
_POLL_NS: Final = 5_000_000
#: How often the workers' threads are counted: 30 us for each worker.
_LOOK_NS: Final = S
#: Sources of coming jobs that may be in memory, in all workers. More brought nothing at 1 to 40 ms
#: and up to 110 MB/s; of a small budget this part.
_AHEAD_BYTES: Final = 32 << 20
_LEAST_AHEAD_BYTES: Final = 4 << 20
_AHEAD_PART: Final = 8
#: A worker may keep as much as if there were so many: they do not all read from shares.
_AHEAD_WORKERS: Final = 2
#: Folders on shares whose descriptors each worker is handed: of 253 in a message (SCM_MAX_FD).
_MOST_OPENED: Final = 100
#: Pulling is interrupted after this long to look after the workers.
_PULL_NS: Final = 10_000_000


class LocalEngine:
    """Worker processes on this machine, one pipe each, watched.

    Args:
        work_factory: made into work in each worker; a module-level function, because it is sent
            by name.
        work_config: handed to `work_factory`.
        config: how many workers, and their limits.
        preload: modules the fork server imports once for all workers. They must not start
            threads when imported.
        files: looks at files; by default one of its own.
    """

    def __init__(
        self,
        work_factory: WorkFactory,
        work_config: WorkConfig,
        config: EngineConfig,
        preload: Sequence[str] = (),
        files: BoundedFiles | None = None,
    ) -> None:
        self._closes_files = files is None
        self._files = files = files or BoundedFiles(config.read_timeout_s)
        budget_bytes = config.memory_bytes
        if budget_bytes is None:
            budget_bytes = resources.memory_budget_bytes()
        growth_bytes = config.worker_memory_bytes
        if growth_bytes is None:
            growth_bytes = max(resources.LEAST_WORKER_BYTES, budget_bytes)
        self._confined = _confined(config.sandbox)
        ahead_bytes = max(_LEAST_AHEAD_BYTES, min(_AHEAD_BYTES, budget_bytes // _AHEAD_PART))
        workers = max(1, config.workers)
        opened, folders = _opened(work_config.folders, files)
        setup = WorkerSetup(
            factory_name(work_factory),
            work_config._replace(folders=folders),
            growth_bytes,
            config.timeout_s,
            self._confined,
            config.read_timeout_s,
            ahead_bytes // min(workers, _AHEAD_WORKERS),
            tuple(opened),
        )
        self._work_config = work_config
        self._launcher = Launcher(setup, preload, tuple(opened.values()), files)
        self._rules = Rules(
            workers=workers,
            timeout_ns=int(config.timeout_s * S),
            memory_bytes=budget_bytes,
            recycle_jobs=max(1, config.recycle_jobs),
            recycle_growth_bytes=config.recycle_growth_bytes,
            reading=ReaderRules(
                int(config.read_timeout_s * S), ahead_bytes, config.readers, config.max_rate or 0
            ),
        )
        self._run: _LocalRun | None = None

    @property
    def sandbox(self) -> str:
        """What its workers are confined by, for people."""
        if not self._confined:
            return "off"
        from pregen.sandbox import confinement  # noqa: PLC0415 - workers import it themselves

        return confinement.probe().describe()

    @property
    def caution(self) -> str:
        """Nothing: it talks to no other machine."""
        return ""

    def run(self, jobs: Iterator[Job | None], stop: Stop) -> Generator[Outcome]:
        """Do every job and yield one outcome for each.

        Raises:
            MissingLibraryError: no worker was able to start; the message holds its traceback.
            PregenError: workers die over and over without having begun anything.
        """
        try:
            pool = WorkerPool(self._launcher)
        except OSError as error:
            message = (
                f"No worker can be started: {error.strerror}. Allow more open files (ulimit -n)."
            )
            raise MissingLibraryError(message) from error
        self._run = _LocalRun(pool, Supervisor(self._rules), self._prepare, self._files)
        try:
            yield from self._run.outcomes(jobs, stop)
        finally:
            if self._closes_files:
                self._files.close()

    def _prepare(self, jobs: Sequence[Job]) -> None:
        """Look at jobs before workers are started for them."""
        launcher = self._launcher
        if not launcher.libraries:
            launcher.libraries = any(needs_libraries(job, self._work_config) for job in jobs)

    def workers(self) -> list[WorkerView]:
        """What every worker is doing now. Called from another thread."""
        return [] if self._run is None else self._run.workers()


def _opened(
    folders: Sequence[bytes], files: BoundedFiles
) -> tuple[dict[bytes, int], tuple[bytes, ...]]:
    """Open the folders that lie on shares, once for all workers: a new one looks at none of them.

    Return their descriptors by path, and the folders without those that cannot be opened: sources
    in them are opened for the workers, as all that lie elsewhere.
    """
    opened: dict[bytes, int] = {}
    kept = []
    for folder in folders:
        if not files.is_on_share(folder):
            kept.append(folder)
        elif len(opened) < _MOST_OPENED:
            with suppress(OSError):
                opened[folder] = files.open(folder, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
                kept.append(folder)
    return opened, tuple(kept)


def _confined(wanted: Sandbox) -> bool:
    """Tell whether workers confine themselves.

    Raises:
        SandboxError: they must, and the kernel lacks some.
    """
    if wanted is Sandbox.REQUIRE:
        from pregen.sandbox import confinement  # noqa: PLC0415 - as above

        if not (found := confinement.probe()).complete:
            raise SandboxError(
                f"--sandbox require is not possible here ({found.describe()}). It needs Linux "
                "5.13 with Landlock enabled (lsm=landlock,... on the kernel's command line; a "
                "container may forbid it) on x86-64 or arm64. --sandbox auto uses what is "
                "available."
            )
    return wanted is not Sandbox.OFF


class _LocalRun:
    """One run of the engine, from the first job to the last outcome."""

    def __init__(
        self,
        pool: WorkerPool,
        supervisor: Supervisor,
        prepare: Callable[[Sequence[Job]], None],
        files: BoundedFiles,
    ) -> None:
        self._pool = pool
        self._prepare = prepare
        self._supervisor = supervisor
        self._paths: dict[int, bytes] = {}
        self._files = files
        self._to_start: deque[int] = deque()
        self._outcomes: list[Outcome] = []
        self._level = StopLevel.RUN
        self._feed_error: Exception | None = None
        self._next_pull_ns = 0
        self._next_tick_ns = 0
        self._next_look_ns = 0
        self._finished = False

    def outcomes(self, jobs: Iterator[Job | None], stop: Stop) -> Generator[Outcome]:
        """Yield the outcomes; leave no process behind, however that ends."""
        polite = False
        try:
            while not self._finished:
                self._heed(stop.level)
                self._pull(jobs)
                self._start_one()
                for event in self._pool.wait(self._wait_s()):
                    self._tell(event)
                self._tick()
                outcomes, self._outcomes = self._outcomes, []
                yield from outcomes
            polite = self._level is not StopLevel.KILL
        finally:
            self._pool.close(polite=polite, stuck=self._supervisor.stuck)
        if self._feed_error is not None:
            raise self._feed_error

    def workers(self) -> list[WorkerView]:
        """Return what every worker is doing now, to any thread."""
        return self._pool.views(self._paths)

    def _heed(self, level: StopLevel) -> None:
        if level > self._level:
            self._level = level
            self._tell(events.StopRaised(level))

    def _pull(self, jobs: Iterator[Job | None]) -> None:
        """Take from the feed what is wanted and ready."""
        now_ns = monotonic_ns()
        wanted = self._supervisor.jobs_wanted
        if not wanted or now_ns < self._next_pull_ns:
            return
        pulled: list[Job] = []
        end: events.Event | None = None
        try:
            for job in jobs:
                if job is None:
                    self._next_pull_ns = monotonic_ns() + _POLL_NS
                    break
                share = self._files.share_of(job.path, job.device)
                if share:
                    job = job._replace(share=share)  # noqa: PLW2901 - the same one
                elif spins(job.device):
                    job = job._replace(spins=True)  # noqa: PLW2901 - likewise
                pulled.append(job)
                if len(pulled) >= wanted or monotonic_ns() - now_ns > _PULL_NS:
                    break
            else:
                end = events.FeedEnded()
        except Exception as error:  # noqa: BLE001 - raised by `run` once the work in flight is done
            self._feed_error = error
            end = events.StopRaised(StopLevel.DRAIN)
        if pulled:
            self._prepare(pulled)
            self._paths.update((job.job_id, job.path) for job in pulled)
            self._tell(events.JobsArrived(tuple(pulled)))
        if end is not None:
            self._tell(end)

    def _start_one(self) -> None:
        """Start one worker: those before it are to begin while the next ones start."""
        if self._to_start:
            for event in self._pool.start(self._to_start.popleft()):
                self._tell(event)

    def _wait_s(self) -> float:
        """How long nothing may happen before something has to be done anyway."""
        if self._outcomes or self._to_start or self._finished:
            return 0.0
        due_ns = self._next_tick_ns
        if self._supervisor.starved:
            due_ns = min(due_ns, self._next_pull_ns)
        return max(0, due_ns - monotonic_ns()) / S

    def _tick(self) -> None:
        now_ns = monotonic_ns()
        if now_ns >= self._next_tick_ns:
            self._next_tick_ns = now_ns + TICK_NS
            self._tell(events.Ticked(self._pool.readings()))
        if now_ns >= self._next_look_ns:
            self._next_look_ns = now_ns + _LOOK_NS
            for event in self._pool.crowded():
                self._tell(event)

    def _tell(self, event: events.Event) -> None:
        for command in self._supervisor.handle(event, monotonic_ns()):
            self._carry_out(command)

    def _carry_out(self, command: events.Command) -> None:
        match command:
            case events.Emit(outcomes):
                for outcome in outcomes:
                    self._paths.pop(outcome.job_id, None)
                self._outcomes.extend(outcomes)
            case events.Spawn(worker):
                self._to_start.append(worker)
            case events.Finish():
                self._finished = True
            case events.Fail(why, missing):
                self._fail(why, missing=missing)
            case _:
                self._pool.carry_out(command)

    @staticmethod
    def _fail(why: str, *, missing: bool) -> None:
        if os.strerror(errno.EMFILE) in why:
            raise TooManyOpenError
        if missing:
            raise MissingLibraryError(
                "The worker processes do not start. Most likely a library is missing or "
                f"incomplete. The last message:\n{why.rstrip()}"
            )
        raise PregenError(
            "The worker processes die before they do anything. Look for a memory limit or "
            f"for a program that kills them, then run again. The last one: {why.rstrip()}"
        )
