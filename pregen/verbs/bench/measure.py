"""Times one pass of the engine over some sources, and the whole program as a user starts it.

A pass is timed from when every worker is ready: the workers first get jobs whose times do not
count, until each of them has done one. Starting a worker is part of a run's start-up, which is in
the time of the program: interpreter, walk, workers, journal and exit.
"""

from __future__ import annotations

import os
import signal
import subprocess
import threading
import time
from contextlib import closing, suppress
from typing import TYPE_CHECKING, NamedTuple

import psutil

from pregen import safepath
from pregen.cache.errors import error_of
from pregen.engines.base import WORK_MODULE, make_engine
from pregen.errors import ExitCode, PregenError
from pregen.model import Action, Job, Step
from pregen.thumbspec.uri import all_uris
from pregen.verbs.bench.stats import Pass

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from pregen.config import EngineConfig, WorkConfig
    from pregen.engines.base import WorkFactory
    from pregen.model import Flavor, Outcome, Source
    from pregen.pipeline import RunStop


#: Workers that are not ready by then are not waited for.
_READY_S = 30.0
#: How soon a request to stop is noticed.
_ASK_EVERY_S = 0.05
_ENDED_WELL = frozenset({ExitCode.DONE, ExitCode.SOME_FAILED})
_TOLD_BYTES = 2000


class BenchStoppedError(PregenError):
    """The user wants no result any more."""

    def __init__(self, code: ExitCode) -> None:
        super().__init__("stopped; nothing was left behind or saved.")
        self.exit_code = code


def check(stop: RunStop) -> None:
    """Raise BenchStoppedError when the user wants no more."""
    if stop.is_set():
        raise BenchStoppedError(stop.code)


def job_of(source: Source, job_id: int, flavors: Sequence[Flavor], copy: int = 0) -> Job:
    """Return the job of making all entries of a source.

    A source that is done several times gets other entries each time: replacing a file costs more
    than making one.
    """
    uris = tuple(f"{uri}#{copy}" if copy else uri for uri in all_uris(source.path))
    steps = tuple(Step(Action.MAKE, flavor, uri) for uri in uris for flavor in flavors)
    path, size_bytes, mtime_ns, device = source[:4]
    return Job(job_id, path, size_bytes, mtime_ns, uris, steps, device=device)


class Course(NamedTuple):
    """What workers are to run over."""

    sources: Sequence[Source]
    repeats: int = 1
    warmups: Sequence[Source] = ()
    """Sources known to work, which get the workers ready; none: they need not be ready."""


def measure(
    course: Course,
    factory: WorkFactory,
    work: WorkConfig,
    engine: EngineConfig,
    stop: RunStop,
    before: Callable[[], None] = lambda: None,
) -> Pass:
    """Do every job of the course with the local engine.

    Args:
        course: the sources.
        factory: makes the work; it must know these jobs.
        work: with the cache that entries go to.
        engine: the number of workers, and their limits.
        stop: read all the time.
        before: called when the workers are ready, before the first job that counts.

    Raises:
        BenchStoppedError: the user wants no more.
        PregenError: the engine, or the cache, can do no more.
    """
    check(stop)
    timekeeper = _Timekeeper(course, work.flavors, engine.workers)
    running = make_engine("local", factory, work, engine, [WORK_MODULE])
    with closing(running.run(timekeeper.jobs(before), stop)) as outcomes:
        for outcome in outcomes:
            error = error_of(outcome.kind, outcome.message, work.cache_root)
            if error is not None:
                raise error
            timekeeper.take(outcome)
    check(stop)
    return timekeeper.result()


class _Timekeeper:
    """Gives the jobs of a pass to the engine, and takes its outcomes."""

    def __init__(self, course: Course, flavors: Sequence[Flavor], workers: int) -> None:
        self._course = course
        self._flavors = flavors
        self._workers = workers
        self._number = len(course.sources) * course.repeats
        self._warmed_up = 0
        self._ready: set[int] = set()
        self._outcomes: list[Outcome] = []
        self._last_ns: dict[int, int] = {}
        self._start_ns = self._end_ns = self._start_cpu_ns = self._end_cpu_ns = 0

    def jobs(self, before: Callable[[], None]) -> Iterator[Job | None]:
        """Yield the warm-ups, and all jobs from when these are done; end when all are done.

        Not sooner: workers would leave, and take their processor times along.
        """
        given = 0
        late_s = time.monotonic() + _READY_S
        warmups = self._course.warmups
        while warmups and len(self._ready) < self._workers and time.monotonic() < late_s:
            if given - self._warmed_up < 2 * self._workers:
                # numbered and named so that no job that counts meets its entries
                number = self._number + given
                yield job_of(warmups[given % len(warmups)], number, self._flavors, number)
                given += 1
            else:
                yield None
        while self._warmed_up < given:
            yield None
        before()
        self._start_cpu_ns = self._cpu_ns()
        self._start_ns = time.perf_counter_ns()
        for job_id in range(self._number):
            copy, index = divmod(job_id, len(self._course.sources))
            yield job_of(self._course.sources[index], job_id, self._flavors, copy)
        while len(self._outcomes) < self._number:
            yield None

    def take(self, outcome: Outcome) -> None:
        """Take note of an outcome."""
        if outcome.job_id >= self._number:
            self._warmed_up += 1
            self._ready.add(outcome.worker_pid)
            return
        self._end_ns = self._last_ns[outcome.worker_pid] = time.perf_counter_ns()
        self._outcomes.append(outcome)
        if len(self._outcomes) == self._number:
            self._end_cpu_ns = self._cpu_ns()

    def _cpu_ns(self) -> int:
        """Return the processor time of all workers met so far, and of this process."""
        spent_s = 0.0
        for pid in self._ready | self._last_ns.keys():
            with suppress(psutil.Error):
                times = psutil.Process(pid).cpu_times()
                spent_s += times.user + times.system
        return time.process_time_ns() + int(spent_s * 1e9)

    def result(self) -> Pass:
        wall_ns = max(1, self._end_ns - self._start_ns)
        lasts = sorted(self._last_ns.values(), reverse=True)[: self._workers]
        idle_ns = [self._end_ns - last_ns for last_ns in lasts]
        # a worker that got nothing at all was idle all the time
        idle_ns += [wall_ns] * (self._workers - len(idle_ns))
        return Pass(
            workers=self._workers,
            repeats=self._course.repeats,
            wall_ns=wall_ns,
            idle_ns=sum(idle_ns) // self._workers,
            cpu_ns=max(0, self._end_cpu_ns - self._start_cpu_ns),
            outcomes=tuple(self._outcomes),
        )


def run_s(
    sources: Sequence[Source],
    folder: bytes,
    work: WorkConfig,
    engine: EngineConfig,
    stop: RunStop,
) -> float:
    """Return the seconds of wall time `pregen run` takes for some sources, into an empty cache.

    Args:
        sources: given to it by name.
        folder: an empty one; cache, journal and configuration of that run are in it.
        work: what is wanted; the cache it names is not used.
        engine: likewise.
        stop: read all the time; the program and its workers are killed then.

    Raises:
        BenchStoppedError: the user wants no more.
        PregenError: the program failed; the message holds its last words.
    """
    check(stop)
    names = os.path.join(folder, b"sources")
    said = os.path.join(folder, b"said")
    with open(names, "xb") as file:
        file.writelines(source.path + b"\0" for source in sources)
    arguments = [
        *("run", "--files-from", os.fsdecode(names), "-0"),
        *("--workers", str(engine.workers), "--timeout", str(engine.timeout_s)),
        *("--flavors", ",".join(flavor.directory for flavor in work.flavors)),
        *("--decoder", work.decoder.value, "--max-pixels", str(work.max_pixels)),
    ]
    with open(said, "xb") as output:
        begun_ns = time.perf_counter_ns()
        process = subprocess.Popen(  # noqa: S603 - this very program
            [*safepath.command(), "-m", "pregen", *arguments],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            env=_environment(os.fsdecode(folder)),
            start_new_session=True,  # Ctrl-C is for the bench, which ends it
        )
        ended_ns = _wait(process, stop)
    check(stop)
    if process.returncode not in _ENDED_WELL:
        with open(said, "rb") as file:
            words = file.read()[-_TOLD_BYTES:].decode(errors="replace").strip()
        raise PregenError(f"`pregen run` over the sample ended with {process.returncode}: {words}")
    return (ended_ns - begun_ns) / 1e9


def _wait(process: subprocess.Popen[bytes], stop: RunStop) -> int:
    """Wait for the end; return when that was. A stop kills the program and all its workers."""
    ended_ns: list[int] = []

    def wait() -> None:
        process.wait()
        ended_ns.append(time.perf_counter_ns())

    # `wait` with a timeout would notice the end up to 50 ms late
    waiter = threading.Thread(target=wait, name="pregen-bench-wait", daemon=True)
    waiter.start()
    try:
        while waiter.is_alive() and not stop.is_set():
            waiter.join(_ASK_EVERY_S)
    finally:
        if waiter.is_alive():
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            waiter.join()
    return ended_ns[0]


def _environment(folder: str) -> dict[str, str]:
    """Return the environment of a run that finds nothing of the user's settings and cache."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PREGEN_")}
    places = {
        f"XDG_{kind}_HOME": os.path.join(folder, kind.lower())
        for kind in ("CACHE", "STATE", "CONFIG")
    }
    return {**kept, **places}
