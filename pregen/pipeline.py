"""The only wiring of a run: walk -> plan -> engine -> journal -> display. It decides nothing else.

    run's thread     lock, prepare, sweep | engine.run(feed) -> Outcome -> journal, watch | sweep
    feed's thread    walk -> Source -> plan -> Job   (a Skip is counted and goes no further)
    second feed      what other programs ask for (`requests`) -> plan -> Job, which goes first
    ticker's thread  watch -> printer

What a source is to blame for comes out as an Outcome. What ends the run is raised, after work in
flight came home: a PregenError, or a bug with its traceback.
"""

from __future__ import annotations

import os
import tempfile
from contextlib import closing, contextmanager, suppress
from functools import partial
from itertools import chain, count
from threading import Event
from typing import TYPE_CHECKING

from pregen.cache.errors import error_of
from pregen.cache.lock import CacheLock
from pregen.cache.store import Cache
from pregen.config import Check, Sandbox
from pregen.delivery import unpack
from pregen.descriptors import workers_with_room
from pregen.display.summary import RUNS_TO_LEARN_FROM, speed_of
from pregen.engines.base import (
    DEFAULT_ENGINE,
    WORK_MODULE,
    Stop,
    StopLevel,
    make_engine,
    make_work,
)
from pregen.entry_keys import EntryKeys
from pregen.errors import (
    TOO_MANY_OPEN,
    CacheError,
    CacheFullError,
    ExitCode,
    LockedError,
    PregenError,
    TooManyOpenError,
)
from pregen.feed import Feed
from pregen.imaging import revisions
from pregen.in_flight import JobsInFlight
from pregen.installation import decoding_libraries
from pregen.journal import Journal, RunTotals
from pregen.limits import Do, Governor, LimitDecision
from pregen.model import REMEMBERED, Kind, Outcome, Skip
from pregen.planning import FolderMemory, FolderSettler, found_sources, planned_jobs, planner_of
from pregen.privacy import RunGround
from pregen.requests.client import connect, hand_over
from pregen.requests.server import requested_jobs
from pregen.reuse.adoptions import Adoptions
from pregen.reuse.memory import known
from pregen.reuse.same_file import Adopter, MetFiles
from pregen.thumbspec.naming import key
from pregen.walk import folder_roots

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from pregen.config import RunConfig
    from pregen.display.listener import Watch
    from pregen.display.printer import RunReport
    from pregen.display.state import Snapshot
    from pregen.display.summary import Forecast
    from pregen.engines.base import Engine
    from pregen.filesystems.bounded import BoundedFiles
    from pregen.model import Job, Source


class RunStop(Stop):
    """A request to stop that knows with which exit code the run then ends."""

    def __init__(self) -> None:
        super().__init__()
        self.code = ExitCode.INTERRUPTED


def run(
    config: RunConfig,
    watch: Watch,
    stop: RunStop,
    sources: Iterable[Source | Skip] | None = None,
) -> RunReport:
    """Do a whole run; return how it ended. The end is shown also when this raises.

    Args:
        config: the settings.
        watch: told what happens, as it happens.
        stop: ends the run.
        sources: what to work on, instead of what the roots and the list in `config` give; taken
            in a thread of its own, some thousands ahead. `walk.named_sources` makes them of paths.

    Raises:
        PregenError: what ended the run before its time.
    """
    settler = FolderSettler(config, watch, stop)
    with closing(RunGround(config, watch.warn)) as ground, _shown(watch):
        watch.sizes(config.plan.flavors, config.chosen)
        config = _with_room(config, watch)
        with found_sources(config, watch, ground, settler, sources) as found:
            spills = sources is None
            code = _PipelineRun(config, watch, stop, ground, settler, spills=spills).do(found)
    return watch.finish(code)


def rehearse(
    config: RunConfig, watch: Watch, stop: RunStop, forecast: Forecast
) -> tuple[ExitCode, float | None]:
    """Walk and plan, and add up in `forecast` what a run would do. Writes and locks nothing.

    Pictures that could be taken over count as decoded: finding them writes to the journal. The end
    is left to the caller to show, except when this raises.

    Raises:
        PregenError: the walk or the plan cannot go on.
    """
    settler = FolderSettler(config, watch, stop)
    with (
        closing(RunGround(config, watch.warn)) as ground,
        _shown(watch),
        found_sources(config, watch, ground, settler) as found,
        Cache(config.work.cache_root, config.work.version) as cache,
        _journal(config, watch, ground, create=False) as journal,
    ):
        watch.sizes(config.plan.flavors, config.chosen)
        config = config._replace(plan=config.plan._replace(reuse=False))
        memory = FolderMemory(journal, EntryKeys(config.plan, ground.files), learns=False)
        planner = planner_of(config, cache, journal, memory, watch, count().__next__)
        settler.planner = planner
        for job in planned_jobs(found, planner, watch, stop):
            forecast.add(job)
        return _ending(watch, stop), speed_of(journal.last_runs(RUNS_TO_LEARN_FROM))


@contextmanager
def _shown(watch: Watch) -> Iterator[None]:
    """Show a run that ends by an exception as ended by that."""
    watch.start()
    try:
        with _descriptors():
            yield
    except PregenError as error:
        watch.finish(error.exit_code, str(error))
        raise
    except BaseException as error:
        watch.finish(ExitCode.UNEXPECTED, f"{type(error).__name__}: {error}")
        raise


def _with_room(config: RunConfig, watch: Watch) -> RunConfig:
    """Return the settings with as many workers as may have files open. Raises TooManyOpenError."""
    wanted = max(1, config.engine.workers) if config.engine_name == "local" else 0
    found = workers_with_room(wanted)
    if found == wanted:
        return config
    watch.warn(
        f"{found} of {wanted} workers started: the limit of open files is too low. "
        "Raise it (ulimit -n)."
    )
    return config._replace(engine=config.engine._replace(workers=found))


@contextmanager
def _descriptors() -> Iterator[None]:
    """Say in words that there are too few, wherever that shows: an import, a pipe, a process."""
    try:
        yield
    except OSError as error:
        if error.errno in TOO_MANY_OPEN:
            raise TooManyOpenError from error
        raise


def _ending(watch: Watch, stop: RunStop) -> ExitCode:
    if stop.is_set():
        return stop.code
    totals = watch.totals()
    return ExitCode.SOME_FAILED if totals.failed or totals.not_there else ExitCode.DONE


_DEATHS = (Kind.CRASHED, Kind.TIMED_OUT, Kind.OUT_OF_MEMORY, Kind.DISTURBED)
#: A collection may hold some files that no library survives; so many, and a quarter of all that
#: were tried, it does not.
_MANY_DEATHS = 10
_LARGE_PART = 4


class _PipelineRun:
    """One run, from the lock to the last sweep."""

    def __init__(
        self,
        config: RunConfig,
        watch: Watch,
        stop: RunStop,
        ground: RunGround,
        settler: FolderSettler,
        *,
        spills: bool,
    ) -> None:
        self._config = config
        self._ground = ground
        self._settler = settler
        self._watch = watch
        self._stop = stop
        # A walk ends; what other programs give may not, and would fill the disk.
        self._spill_dir = os.fsencode(tempfile.gettempdir()) if spills else None
        self._fatal: CacheError | None = None
        self._workers = False

    def do(self, found: Iterable[Source | Skip]) -> ExitCode:
        work = self._config.work
        if work.shared:
            # Many small caches beside the sources, and no place for a lock: commits are atomic.
            with Cache(work.cache_root, work.version) as cache:
                self._work(found, cache)
            return self._end()
        lock = CacheLock(work.cache_root)
        try:
            left = self._lock(lock, found)
            if left is None:
                return self._end()
            found = left
            if lock.warning:
                self._watch.warn(lock.warning)
            with Cache(work.cache_root, work.version) as cache:
                cache.prepare(self._config.plan.flavors)
                try:
                    self._work(found, cache)
                finally:
                    # Without a worker there was none that could have left a temp.
                    if self._config.sweep and self._workers:
                        with suppress(CacheError):
                            cache.sweep_all()
        except LockedError:
            if not self._stop.is_set():
                raise
        finally:
            lock.release()
        return self._end()

    def _lock(
        self, lock: CacheLock, found: Iterable[Source | Skip]
    ) -> Iterable[Source | Skip] | None:
        """Take the lock, or have the run that holds it do the work; return what is left to do.

        Raises:
            LockedError: another run holds the lock, takes no files of us, and `wait` is not set.
        """
        config, waits = self._config, self._config.wait
        while True:
            try:
                lock.acquire(stopped=self._stop.is_set)
            except LockedError as error:
                client = connect(config)
                if client is None or client.refusal:
                    if not config.must_lock:
                        return found
                    if not waits and client is not None:
                        raise LockedError(f"{error}; {client.refusal}") from error
                    lock.acquire(
                        wait=waits,
                        waiting=lambda why: self._watch.note(f"waiting: {why}"),
                        stopped=self._stop.is_set,
                    )
                    return found
            else:
                return found
            with client:
                left = hand_over(client, found, self._watch, self._stop.is_set, self._spill_dir)
            if left is None:
                return None
            # it takes no more because it is about to end
            found, waits = left, True

    def _end(self) -> ExitCode:
        if self._fatal is not None:
            raise self._fatal
        return _ending(self._watch, self._stop)

    def _work(self, found: Iterable[Source | Skip], cache: Cache) -> None:
        """Do the jobs, and keep the record of it."""
        config, watch = self._config, self._watch
        with _journal(config, watch, self._ground) as journal:
            cwd, arguments = _cwd(), config.arguments
            journal.begin_run(
                self._ground.told_cwd(cwd),
                self._ground.told(arguments, cwd),
                b"" if config.work.shared else config.work.cache_root,
            )
            code = ExitCode.UNEXPECTED
            try:
                if config.sweep and not config.work.shared:
                    cache.sweep_all(journal)
                self._drive(found, cache, journal)
                code = self._fatal.exit_code if self._fatal else _ending(watch, self._stop)
            except PregenError as error:
                code = error.exit_code
                raise
            finally:
                self._judge_deaths(journal)
                self._ground.remember(journal)
                journal.end_run(code, _totals(watch.totals()))

    def _judge_deaths(self, journal: Journal) -> None:
        """Where a large part of the files died it is the machine that is sick: say so."""
        totals = self._watch.totals()
        deaths = sum(map(totals.count, _DEATHS))
        if deaths >= _MANY_DEATHS and deaths * _LARGE_PART >= totals.jobs_done:
            journal.spare()
            self._watch.warn(
                f"{deaths} of {totals.jobs_done} files crashed the process that decoded them. Most "
                "likely this machine is at fault, not the files: a limit of memory or stack, a "
                "broken library, a failing disk. The next run tries them again."
            )

    def _drive(self, found: Iterable[Source | Skip], cache: Cache, journal: Journal) -> None:
        """Bring the feed's jobs to the engine, and its outcomes to all who want to know."""
        config, watch, stop = self._config, self._watch, self._stop
        # Other engines, and walls that must be, are told to be missing even where there is no job.
        late = config.engine_name == DEFAULT_ENGINE and config.engine.sandbox is not Sandbox.REQUIRE
        engine = None if late else self._engine(cache)
        memory = FolderMemory(journal, EntryKeys(config.plan, self._ground.files))
        ids = count().__next__
        # Other machines number files and devices otherwise.
        elsewhere = config.engine_name == "dask"
        met = None if elsewhere else MetFiles(self._ground.numbered, journal, self._ground.files)
        planner = planner_of(config, cache, journal, memory, watch, ids, met=met)
        self._settler.planner = planner
        ready = Event()
        on_share = self._ground.size_on_share
        jobs_found = planned_jobs(found, planner, watch, stop, on_share, ready)
        if elsewhere:
            jobs_found = (job._replace(device=0) for job in jobs_found)
        counted = _counted(config, self._ground)
        with (
            closing(Feed(jobs_found, self._spill_dir)) as feed,
            _set_in_the_end(ready),
            requested_jobs(
                config,
                planner_of(
                    config,
                    cache,
                    journal,
                    FolderMemory(journal, memory.keys, recalls=False),
                    watch,
                    ids,
                ),
                self._ground.guard,
                watch,
                self._ground.size_on_share,
            ) as requested,
            closing(_adoptions(config, journal, self._ground.files)) as adoptions,
        ):
            governor = None
            if config.governor is not None:
                governor = Governor(config.governor, config.work.cache_root, watch.paused, counted)

            def ended(job: Job, outcome: Outcome) -> None:
                # the entry is on disk by now: first the deed, then the record
                self._record(outcome, job, journal, memory)
                known_bytes = self._ground.known_on_share(job)
                watch.finished(outcome, job.size_bytes, on_share_bytes=known_bytes)
                requested.finished(outcome)
                self._heed(outcome)

            jobs = JobsInFlight(
                feed,
                requested,
                governor,
                self._halt,
                self._found_done,
                adoptions=adoptions,
                ended=ended,
            )
            try:
                first = jobs.first(stop)
                if first is not None:
                    engine = engine or self._engine(cache)
                    ready.set()
                    with closing(engine.run(chain((first,), jobs), stop)) as outcomes:
                        for outcome in outcomes:
                            ended(jobs.done(outcome), outcome)
            finally:
                jobs.settle()

    def _engine(self, cache: Cache) -> Engine:
        """Make the engine, and have it shown."""
        config, watch = self._config, self._watch
        engine = make_engine(
            config.engine_name,
            make_work,
            config.work._replace(
                folders=_folders(config, self._ground),
                allow_encrypted=self._ground.allowed,
                cache_keys=self._ground.guard.place_keys,
            ),
            config.engine,
            [WORK_MODULE],
            partial(unpack, cache),
            files=self._ground.files,
        )
        self._workers = True
        watch.remark(f"sandbox: {engine.sandbox}")
        if caution := engine.caution:
            watch.warn(caution)
        watch.watch_workers(engine.workers)
        return engine

    def _found_done(self, job: Job) -> None:
        """A client asked for a source before the walk came to it."""
        done = Outcome(job.job_id, job.path, Kind.FRESH)
        known_bytes = self._ground.known_on_share(job)
        self._watch.finished(done, job.size_bytes, on_share_bytes=known_bytes)

    def _halt(self, verdict: LimitDecision) -> None:
        """End the run before it is done, for a reason that is not a failure, or for a full disk."""
        if verdict.do is Do.FULL:
            self._fatal = self._fatal or CacheFullError(verdict.why)
        else:
            self._watch.ends_because(verdict.why)

    def _record(self, outcome: Outcome, job: Job, journal: Journal, memory: FolderMemory) -> None:
        if not self._ground.may_be_named(job, outcome):
            return
        found = outcome.source_size_bytes, outcome.source_mtime_ns
        keys = list(map(key, job.uris))
        if outcome.source_size_bytes >= 0:
            # It may have changed since it was planned: this is what the outcome is about. Only a
            # worker says so; that a source needs no look for good is not believed of it then.
            if found != (job.size_bytes, job.mtime_ns) and outcome.kind in REMEMBERED:
                return
            named = "" if self._config.work.shared else keys[0]
            system = self._ground.numbered_device(job.device)
            journal.record(outcome, *found, named, system)
        else:
            journal.record(outcome, job.size_bytes, job.mtime_ns)
        flavors = self._config.plan.flavors
        if len(outcome.stamps) == len(job.uris) * len(flavors) and not self._config.work.shared:
            folder, _, name = job.path.rpartition(b"/")
            stamps = zip(*[iter(outcome.stamps)] * len(flavors), strict=True)
            fresh = tuple(
                known(job.size_bytes, job.mtime_ns, name_key, each)
                for name_key, each in zip(keys, stamps, strict=True)
            )
            memory.learn(folder, flavors, {name: fresh})

    def _heed(self, outcome: Outcome) -> None:
        """Stop the run when the cache takes no more entries."""
        work = self._config.work
        place = os.path.dirname(outcome.path) if work.shared else work.cache_root
        error = error_of(outcome.kind, outcome.message, place)
        if work.shared and not isinstance(error, CacheFullError):
            return  # the trouble of one folder of originals
        if error is not None and self._fatal is None:
            self._fatal = error
            self._stop.raise_to(StopLevel.DRAIN)


@contextmanager
def _set_in_the_end(event: Event) -> Iterator[None]:
    try:
        yield
    finally:
        event.set()


def _totals(totals: Snapshot) -> RunTotals:
    # those that waited in the feed have no outcome
    not_begun = totals.jobs - totals.jobs_done
    kinds = {**totals.kinds, Kind.INTERRUPTED: not_begun} if not_begun else totals.kinds
    return RunTotals(
        kinds,
        totals.bytes_read,
        totals.bytes_written,
        totals.entries_written,
        round(totals.elapsed_s * 1e9),
    )


def _folders(config: RunConfig, ground: RunGround) -> tuple[bytes, ...]:
    """Return the folders in which confined workers open sources, and write shared thumbnails."""
    roots, cwd = config.walk.roots, _cwd() or b"/"
    return folder_roots(roots, cwd, ground.files, of_files=config.work.shared)


def _cwd() -> bytes:
    try:
        return os.getcwdb()
    except OSError:  # it was deleted, and no root was relative
        return b""


def _adoptions(config: RunConfig, journal: Journal, files: BoundedFiles) -> Adoptions:
    work, plan = config.work, config.plan
    unpack = plan.check is Check.FULL

    def adopter() -> Adopter:
        cache = Cache(work.cache_root, work.version)
        return Adopter(cache, plan.flavors, files, unpack=unpack)

    return Adoptions(adopter, journal.kin)


def _counted(config: RunConfig, ground: RunGround) -> Callable[[Job], bool]:
    """Return what tells whether the bytes read for a job count: of shares, if there are any."""
    if not any(map(ground.is_remote, config.walk.roots)):
        return lambda _job: True
    return lambda job: not job.device or ground.known_on_share(job) is not None


@contextmanager
def _journal(
    config: RunConfig, watch: Watch, ground: RunGround, *, create: bool = True
) -> Iterator[Journal]:
    """Open the journal; without a path, one that knows and keeps nothing."""
    path, version = config.journal_path, config.work.version
    if path and ground.hides_from_journal:
        path = b""
        watch.remark("no journal is kept: it would name files of the vault that holds this cache")
    journal = Journal.open(
        path,
        watch.warn,
        version=version,
        libraries=decoding_libraries(),
        revision=revisions.REVISION,
        create=create and bool(path),
    )
    with closing(journal):
        yield journal
