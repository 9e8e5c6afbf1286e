"""pregen for other programs: where an entry is, whether there is a fresh one, and making them.

    from pregen import Flavor, entry_path, lookup, thumbnails

Public: these names stay, and what is returned are the values of `pregen.model`. Nothing here
writes to a screen or keeps a journal.
"""

from __future__ import annotations

import os
import queue
import threading
from contextlib import closing
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from pregen import __version__
from pregen.cache.lock import CacheLock
from pregen.cache.store import Cache
from pregen.config import EngineConfig, PlanConfig, WorkConfig
from pregen.engines.base import WORK_MODULE, Stop, StopLevel, make_engine, make_work
from pregen.model import ALL_FLAVORS, Flavor, Kind, Outcome, Skip, Source
from pregen.plan import Planner
from pregen.thumbspec import naming
from pregen.thumbspec.uri import all_uris, file_uri
from pregen.thumbspec.validity import Freshness, judge
from pregen.walk.filters import Caches
from pregen.walk.roots import FolderRoot, look_at, working_directory

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable, Iterator

    from pregen.model import Job

    AnyPath = str | bytes | os.PathLike[str] | os.PathLike[bytes]

#: Outcomes that wait to be taken; beyond that the work waits.
_WAITING: Final = 1000
DEFAULT_FLAVORS: Final = (Flavor.NORMAL, Flavor.LARGE)


class Thumbnail(NamedTuple):
    """A fresh entry of a file."""

    path: Path
    flavor: Flavor
    uri: str
    """Under which the entry is kept."""


def uri(path: AnyPath) -> str:
    """Return the URI of a file as GLib writes it, under which desktops look for its entry.

    Symlinks are not resolved; a relative path starts from the working directory.
    """
    return file_uri(_clean(path))


def entry_path(path: AnyPath, flavor: Flavor = Flavor.LARGE, cache: AnyPath | None = None) -> Path:
    """Return where the entry of a file is kept, whether or not there is one.

    Args:
        path: the file, which need not exist.
        flavor: the size class.
        cache: the thumbnails directory; by default the user's.
    """
    return Path(os.fsdecode(naming.entry_path(_root(cache), flavor, uri(path))))


def lookup(
    path: AnyPath,
    flavors: Iterable[Flavor] = (Flavor.LARGE, *ALL_FLAVORS),
    cache: AnyPath | None = None,
) -> Thumbnail | None:
    """Return the first fresh entry of a file; None when there is none, or the file is gone.

    Fresh is an entry that says it was made of the file as it is now (standard, Detect
    Modifications). It is looked for under every URI by which a desktop may know the file.

    Args:
        path: the file.
        flavors: the size classes, best first.
        cache: the thumbnails directory; by default the user's.
    """
    clean, root = _clean(path), _root(cache)
    try:
        facts = os.stat(clean)
    except OSError:
        return None
    with Cache(root, __version__) as store:
        for flavor in dict.fromkeys(flavors):
            for name in all_uris(clean):
                data = store.read(flavor, name)
                judged = judge(
                    data, flavor, name, facts.st_mtime_ns, facts.st_size, whole=True
                ).verdict
                if judged in {Freshness.FRESH, Freshness.REFIT}:
                    entry = naming.entry_path(root, flavor, name)
                    return Thumbnail(Path(os.fsdecode(entry)), flavor, name)
    return None


def thumbnails(
    paths: Iterable[AnyPath],
    *,
    flavors: Iterable[Flavor] = DEFAULT_FLAVORS,
    workers: int | None = None,
    force: bool = False,
    retry_failed: bool = False,
    cache: AnyPath | None = None,
) -> Generator[Outcome]:
    """Make the entries of files in worker processes; yield what became of each, as it is known.

    Every path yields one outcome, in any order: `Kind.FRESH` where there was nothing to do, a
    kind of `pregen.model.FAILURES` where it failed. Closing the generator ends the work. `paths` is
    taken in another thread, a few thousand ahead. While it goes on the cache is locked against
    other runs.

    Args:
        paths: files; folders are not walked.
        flavors: the wanted size classes.
        workers: processes; by default one for each usable core.
        force: make entries that are fresh, too.
        retry_failed: try files again that failed before and have not changed.
        cache: the thumbnails directory; by default the user's.

    Raises:
        LockedError: another run works on the same cache.
        CacheError: the cache cannot be written.
        MissingLibraryError: pregen is not completely installed.
    """
    root, wanted = _root(cache), tuple(flavors)
    plan = PlanConfig(flavors=wanted, force=force, retry_failed=retry_failed)
    work = WorkConfig(root, __version__, wanted)
    engine = EngineConfig(workers=workers or len(os.sched_getaffinity(0)))
    lock = CacheLock(root)
    lock.acquire()
    try:
        with Cache(root, __version__) as store:
            store.prepare(wanted)
            store.sweep_all()
            session = _EngineThread(paths, Planner(store, plan, lambda _: None, count().__next__))
            yield from session.outcomes(work, engine)
    finally:
        lock.release()


class _EngineThread:
    """The engine in a thread of its own, its outcomes in a queue."""

    def __init__(self, paths: Iterable[AnyPath], planner: Planner) -> None:
        self._paths = paths
        self._planner = planner
        self._stop = Stop()
        self._queue: queue.Queue[Outcome | BaseException | None] = queue.Queue(_WAITING)

    def outcomes(self, work: WorkConfig, engine: EngineConfig) -> Generator[Outcome]:
        """Yield outcomes; end the thread, however that ends."""
        thread = threading.Thread(
            target=self._work, args=(work, engine), name="pregen-library", daemon=True
        )
        thread.start()
        try:
            while (item := self._queue.get()) is not None:
                if isinstance(item, BaseException):
                    raise item
                yield item
        finally:
            self._stop.raise_to(StopLevel.KILL)
            while thread.is_alive():
                self._drop()
                thread.join(0.01)
            self._planner.close()

    def _work(self, work: WorkConfig, config: EngineConfig) -> None:
        try:
            engine = make_engine("local", make_work, work, config, [WORK_MODULE])
            with closing(engine.run(self._jobs(), self._stop)) as outcomes:
                for outcome in outcomes:
                    self._queue.put(outcome)
            self._queue.put(None)
        except BaseException as error:  # noqa: BLE001 - raised to whoever takes the outcomes
            self._queue.put(error)

    def _jobs(self) -> Iterator[Job]:
        caches = Caches(b"")
        for path in self._paths:
            found = _source(path, caches)
            planned = found if isinstance(found, Skip) else self._planner.plan(found)
            if isinstance(planned, Skip):
                self._queue.put(Outcome(-1, planned.path, planned.kind, planned.message))
            else:
                yield planned
            if self._stop.level:
                return

    def _drop(self) -> None:
        """Make room for a thread that wants to put something before it ends."""
        try:
            while True:
                self._queue.get_nowait()
        except queue.Empty:
            return


def _source(path: AnyPath, caches: Caches) -> Source | Skip:
    clean = _clean(path)
    found = look_at(clean, caches)
    if isinstance(found, FolderRoot):
        return Skip(clean, Kind.EXCLUDED, "a folder; name the files in it")
    return found


def _clean(path: AnyPath) -> bytes:
    name = os.fsencode(path)
    start = b"/" if name.startswith(b"/") else working_directory(os.environ)
    return naming.clean_path(name, start)


def _root(cache: AnyPath | None) -> bytes:
    if cache is None:
        return naming.thumbnails_root(os.environ, os.path.expanduser("~"))
    return os.path.abspath(os.fsencode(cache))
