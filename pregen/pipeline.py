"""The only wiring: walk -> plan -> engine -> journal -> progress. It decides nothing else.

    run's thread     lock, prepare, sweep | engine.run(feed) -> Outcome -> journal, watch | sweep
    feed's thread    walk -> Source -> plan -> Job   (a Skip is counted and goes no further)
    ticker's thread  watch -> printer

What a source is to blame for comes out as an Outcome. What ends the run is raised, after work in
flight came home: a PregenError, or a bug with its traceback.
"""

from __future__ import annotations

import os
import tempfile
import time
from contextlib import closing, contextmanager, suppress
from dataclasses import replace
from functools import partial
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from pregen.cache.lock import CacheLock
from pregen.cache.store import Cache
from pregen.delivery import unpack
from pregen.display.forecast import RUNS_TO_LEARN_FROM, experience_of
from pregen.engines.base import WORK_MODULE, Stop, StopLevel, make_engine, make_work
from pregen.errors import CacheError, CacheFullError, ExitCode, LockedError, PregenError, UsageError
from pregen.feed import Feed
from pregen.journal import Journal, RunTotals
from pregen.limits import Do, Governor, LimitDecision
from pregen.model import Kind, Skip
from pregen.plan import Planner
from pregen.reuse.index import ContentIndex
from pregen.reuse.memory import known
from pregen.sharing import SharedEntries, SharedPlanner
from pregen.thumbspec.naming import Published, key
from pregen.walk import WalkCounts, below, sources_from_list, walk, working_directory

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from pregen.config import RunConfig
    from pregen.display.forecast import Experience, Forecast
    from pregen.display.listener import Watch
    from pregen.display.printer import RunReport
    from pregen.display.state import Snapshot
    from pregen.model import Flavor, Job, Known, Outcome, Source
    from pregen.reuse.memory import Memory

#: To count a fresh source on the screen takes as long as to find it fresh.
_FRESH_AT_ONCE = 100

#: A run that waits for a power supply shall not empty the battery by asking for it; workers are
#: looked after this often all the same.
_PAUSE_S = 0.05

#: The entry could not be stored: every further source would meet the same.
_FATAL = {Kind.CACHE_FULL: CacheFullError, Kind.CACHE_ERROR: CacheError}


class RunStop(Stop):
    """A request to stop that knows with which exit code the run then ends."""

    def __init__(self) -> None:
        super().__init__()
        self.code = ExitCode.INTERRUPTED

    @property
    def asked(self) -> bool:
        """True once the run is to end."""
        return self.level is not StopLevel.RUN


def run(config: RunConfig, watch: Watch, stop: RunStop) -> RunReport:
    """Do a whole run; return how it ended. The end is shown also when this raises.

    Raises:
        PregenError: what ended the run before its time.
    """
    with _shown(watch), _found(config, watch) as found:
        code = _PipelineRun(config, watch, stop).do(found)
    return watch.finish(code)


def rehearse(
    config: RunConfig, watch: Watch, stop: RunStop, forecast: Forecast
) -> tuple[ExitCode, Experience]:
    """Walk and plan, and add up in `forecast` what a run would do. Writes and locks nothing.

    The end is left to the caller to show, except when this raises.

    Raises:
        PregenError: the walk or the plan cannot go on.
    """
    with (
        _shown(watch),
        _found(config, watch) as found,
        Cache(config.work.cache_root, config.work.version) as cache,
        _journal(config, watch, create=False) as journal,
    ):
        planner = _planner(config, cache, journal, watch, _LearnsNothing(journal))
        for job in _jobs(found, planner, watch, stop):
            forecast.add(job)
        return _ending(watch, stop), experience_of(journal.last_runs(RUNS_TO_LEARN_FROM))


class _PipelineRun:
    """One run, from the lock to the last sweep."""

    def __init__(self, config: RunConfig, watch: Watch, stop: RunStop) -> None:
        self._config = config
        self._watch = watch
        self._stop = stop
        self._fatal: CacheError | None = None

    def do(self, found: Iterable[Source | Skip]) -> ExitCode:
        work = self._config.work
        if work.shared:
            # Many small caches beside the sources, and no place for a lock: commits are atomic.
            with Cache(work.cache_root, work.version) as cache:
                self._work(found, cache)
            return self._end()
        lock = CacheLock(work.cache_root)
        try:
            self._acquire(lock)
            with Cache(work.cache_root, work.version) as cache:
                cache.prepare(self._config.plan.flavors)
                if self._config.sweep:
                    cache.sweep_all()
                try:
                    self._work(found, cache)
                finally:
                    # Without a job no worker was there that could have left a temp.
                    if self._config.sweep and self._watch.totals().jobs:
                        with suppress(CacheError):
                            cache.sweep_all()
        except LockedError:
            if not self._stop.asked:
                raise
        finally:
            lock.release()
        return self._end()

    def _end(self) -> ExitCode:
        if self._fatal is not None:
            raise self._fatal
        return _ending(self._watch, self._stop)

    def _acquire(self, lock: CacheLock) -> None:
        try:
            lock.acquire()
        except LockedError as error:
            if not self._config.wait:
                raise
            self._watch.note(f"waiting, as {str(error).rpartition(': ')[0]}")
            lock.acquire(wait=True, stopped=lambda: self._stop.asked)
        if lock.warning:
            self._watch.warn(lock.warning)

    def _work(self, found: Iterable[Source | Skip], cache: Cache) -> None:
        """Do the jobs, and keep the record of it."""
        config, watch = self._config, self._watch
        with _journal(config, watch) as journal:
            journal.begin_run(_cwd(), config.arguments)
            code = ExitCode.UNEXPECTED
            try:
                self._drive(found, cache, journal)
                code = self._fatal.exit_code if self._fatal else _ending(watch, self._stop)
            except PregenError as error:
                code = error.exit_code
                raise
            finally:
                journal.end_run(code, _totals(watch.totals()))

    def _drive(self, found: Iterable[Source | Skip], cache: Cache, journal: Journal) -> None:
        """Bring the feed's jobs to the engine, and its outcomes to all who want to know."""
        config, watch, stop = self._config, self._watch, self._stop
        engine = make_engine(
            config.engine_name,
            make_work,
            replace(config.work, folders=_folders(config)),
            config.engine,
            [WORK_MODULE],
            partial(unpack, cache),
        )
        watch.remark(f"sandbox: {engine.sandbox}")
        watch.watch_workers(engine.workers)
        spill_dir = os.fsencode(tempfile.gettempdir())
        with closing(
            Feed(_jobs(found, _planner(config, cache, journal, watch), watch, stop), spill_dir)
        ) as feed:
            governor = None
            if config.governor is not None:
                governor = Governor(config.governor, config.work.cache_root, watch.paused)
            jobs = _Noted(feed, governor, self._halt)
            with closing(engine.run(jobs, stop)) as outcomes:
                for outcome in outcomes:
                    # the entry is on disk by now: first the deed, then the record
                    self._record(outcome, jobs.done(outcome), journal)
                    watch.finished(outcome)
                    self._heed(outcome)

    def _halt(self, verdict: LimitDecision) -> None:
        """End the run before it is done, for a reason that is no failure, or for a full disk."""
        if verdict.do is Do.FULL:
            self._fatal = self._fatal or CacheFullError(verdict.why)
        else:
            self._watch.ends_because(verdict.why)

    def _record(self, outcome: Outcome, job: Job, journal: Journal) -> None:
        if outcome.source_size_bytes >= 0:
            # It may have changed since it was planned: this is what the outcome is about.
            named = "" if self._config.work.shared else key(job.uris[0])
            journal.record(outcome, outcome.source_size_bytes, outcome.source_mtime_ns, named)
        else:
            journal.record(outcome, job.size_bytes, job.mtime_ns)
        if outcome.stamps and not self._config.work.shared:
            folder, _, name = job.path.rpartition(b"/")
            fresh = known(job.size_bytes, job.mtime_ns, key(job.uris[0]), outcome.stamps)
            place = Published(self._config.plan.publish).place(folder)
            journal.learn(place, self._config.plan.flavors, {name: fresh})

    def _heed(self, outcome: Outcome) -> None:
        """Stop the run when the cache takes no more entries."""
        error = _FATAL.get(outcome.kind)
        if error is CacheError and self._config.work.shared:
            return  # the trouble of one folder of originals
        if error is not None and self._fatal is None:
            self._fatal = error(outcome.message)
            self._stop.raise_to(StopLevel.DRAIN)


class _Noted:
    """The feed, with what was planned for the jobs in flight kept for the journal."""

    def __init__(
        self, feed: Feed[Job], governor: Governor | None, halted: Callable[[LimitDecision], None]
    ) -> None:
        self._feed = feed
        self._jobs: dict[int, Job] = {}
        self._governor = governor
        self._halted = halted

    def __iter__(self) -> Iterator[Job | None]:
        return self

    def __next__(self) -> Job | None:
        if self._governor is not None:
            verdict = self._governor.ask()
            if verdict.do is Do.PAUSE:
                time.sleep(_PAUSE_S)
                return None
            if verdict.do is not Do.GO:
                self._halted(verdict)
                raise StopIteration
        job = next(self._feed)
        if job is not None:
            self._jobs[job.job_id] = job
            if self._governor is not None:
                self._governor.begun(job)
        return job

    def done(self, outcome: Outcome) -> Job:
        """Return the job that came to this end, and forget it."""
        return self._jobs.pop(outcome.job_id)


class _PublishedMemory:
    """The memory of folders by the names they have elsewhere: other keys, other entries."""

    def __init__(self, memory: Memory, published: Published) -> None:
        self._memory = memory
        self._place = published.place

    def recall(self, folder: bytes, flavors: Sequence[Flavor]) -> dict[bytes, Known]:
        """Return what is known of the sources in a folder."""
        return self._memory.recall(self._place(folder), flavors)

    def learn(self, folder: bytes, flavors: Sequence[Flavor], known: dict[bytes, Known]) -> None:
        """Add to that."""
        self._memory.learn(self._place(folder), flavors, known)


class _LearnsNothing:
    """The memory of a rehearsal: it may look, and writes nothing."""

    def __init__(self, memory: Memory) -> None:
        self.recall = memory.recall

    def learn(self, folder: bytes, flavors: Sequence[Flavor], known: dict[bytes, Known]) -> None:
        """Do nothing."""


def _planner(
    config: RunConfig, cache: Cache, journal: Journal, watch: Watch, memory: Memory | None = None
) -> Planner | SharedPlanner:
    def hints(source: Source) -> Kind | None:
        return journal.hint(*source)

    if config.work.shared:
        next_id = count().__next__
        return SharedPlanner(config.work.version, config.plan, hints, next_id, watch.warn)
    shared = SharedEntries(config.work.version).fresh if config.plan.use_shared else None
    known_before: Memory = memory or journal
    uris = None
    if config.plan.publish:
        published = Published(config.plan.publish)
        known_before, uris = _PublishedMemory(known_before, published), published.uris
    index = ContentIndex(cache, config.plan.flavors, journal)
    kin = index.candidates if memory is None else None
    return Planner(
        cache, config.plan, hints, count().__next__, known_before, shared=shared, kin=kin, uris=uris
    )


@contextmanager
def _journal(config: RunConfig, watch: Watch, *, create: bool = True) -> Iterator[Journal]:
    version = config.work.version
    journal = Journal.open(config.journal_path, watch.warn, version=version, create=create)
    with closing(journal):
        yield journal


def _folders(config: RunConfig) -> tuple[bytes, ...]:
    """Return the folders in which confined workers open sources, and write shared thumbnails."""
    shared = config.work.shared
    if shared and config.walk.follow_symlinks:
        return (b"/",)  # thumbnails go beside originals, wherever links lead
    return below(config.walk.roots, _cwd() or b"/", of_files=shared)


def _totals(totals: Snapshot) -> RunTotals:
    return RunTotals(
        totals.kinds,
        totals.bytes_read,
        totals.bytes_written,
        totals.entries_written,
        round(totals.elapsed_s * 1e9),
    )


def _cwd() -> bytes:
    try:
        return bytes(Path.cwd())
    except OSError:  # it was deleted, and no root was relative
        return b""


def _jobs(
    found: Iterable[Source | Skip], planner: Planner | SharedPlanner, watch: Watch, stop: RunStop
) -> Iterator[Job]:
    """Yield a job for every source that needs one, until a stop; count the others."""
    fresh: list[bytes] = []
    believes = planner.believes
    try:
        for item in found:
            if stop.asked:
                return
            if isinstance(item, Skip):
                watch.skipped(item)
            elif believes(item):
                fresh.append(item.path)
                if len(fresh) >= _FRESH_AT_ONCE:
                    watch.fresh(fresh)
                    fresh.clear()
            else:
                planned = planner.plan(item)
                if isinstance(planned, Skip):
                    watch.skipped(planned)
                else:
                    watch.planned()
                    yield planned
    finally:
        if fresh:
            watch.fresh(fresh)
        planner.close()
    watch.walk_ended()


@contextmanager
def _found(config: RunConfig, watch: Watch) -> Iterator[Iterable[Source | Skip]]:
    """Look at the roots; give what the walk and the list will find."""
    counts = WalkCounts()
    if config.files_from is None:
        yield walk(config.walk, counts=counts)
    else:
        cwd = working_directory(os.environ)
        with _list(config.files_from) as stream:
            listed = sources_from_list(stream, config.delimiter, cwd, config.work.cache_root)
            yield walk(config.walk, cwd=cwd, listed=listed, counts=counts)
    watch.passed_over(counts.passed_over)


def _list(name: bytes) -> BinaryIO:
    """Open a list of files, unbuffered: the feed's thread may hang in a read when all ends."""
    try:
        if name == b"-":
            return os.fdopen(0, "rb", buffering=0, closefd=False)
        return os.fdopen(os.open(name, os.O_RDONLY | os.O_CLOEXEC), "rb", buffering=0)
    except OSError as error:
        shown = name.decode("utf-8", "backslashreplace")
        raise UsageError(f"The list of files {shown} cannot be read: {error.strerror}.") from error


def _ending(watch: Watch, stop: RunStop) -> ExitCode:
    if stop.asked:
        return stop.code
    return ExitCode.SOME_FAILED if watch.totals().failed else ExitCode.DONE


@contextmanager
def _shown(watch: Watch) -> Iterator[None]:
    """Show a run that ends by an exception as ended by that."""
    watch.start()
    try:
        yield
    except PregenError as error:
        watch.finish(error.exit_code, str(error))
        raise
    except BaseException as error:
        watch.finish(ExitCode.UNEXPECTED, f"{type(error).__name__}: {error}")
        raise
