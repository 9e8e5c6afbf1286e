"""What a run has to do: its sources as the walk and the list find them, and a job for each.

In the feed's thread. A source that needs no job is counted and goes no further.
"""

from __future__ import annotations

import os
from contextlib import closing, contextmanager
from functools import partial
from typing import TYPE_CHECKING, BinaryIO

from pregen.config import Check
from pregen.errors import UsageError
from pregen.filesystems.shares import SILENT_WORDS, ShareSilentError
from pregen.journal.listings import FolderListings
from pregen.model import Kind, Skip
from pregen.plan import Planner
from pregen.reuse.index import ContentIndex
from pregen.sharing import SharedEntries, SharedPlanner
from pregen.walk import WalkCounts, sources_from_list, walk, working_directory

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from threading import Event

    from pregen.cache.store import Cache
    from pregen.config import RunConfig
    from pregen.display.listener import Watch
    from pregen.engines.base import Stop
    from pregen.entry_keys import EntryKeys
    from pregen.journal import Journal
    from pregen.model import Flavor, Job, KnownFolder, Source
    from pregen.privacy import RunGround
    from pregen.reuse.same_file import MetFiles
    from pregen.walk.unchanged import Settled

#: To count a fresh source on the screen takes as long as to find it fresh.
_FRESH_AT_ONCE = 100


@contextmanager
def found_sources(
    config: RunConfig,
    watch: Watch,
    ground: RunGround,
    settler: FolderSettler,
    sources: Iterable[Source | Skip] | None = None,
) -> Iterator[Iterable[Source | Skip]]:
    """Look at the roots; give what the walk and the list will find, or what was given instead."""
    counts = WalkCounts()
    if sources is not None:
        yield walk(config.walk._replace(roots=()), listed=sources, guard=ground.guard)
        return
    with _listings(config, ground) as listings:
        look = partial(
            walk,
            config.walk,
            counts=counts,
            guard=ground.guard,
            placed=ground.placed,
            listings=listings,
            settler=settler,
        )
        if config.files_from is None:
            yield look()
        else:
            cwd = working_directory(os.environ)
            with _list(config.files_from) as stream:
                listed = sources_from_list(
                    stream, config.delimiter, cwd, config.work.cache_root, ground.files
                )
                yield look(cwd=cwd, listed=listed)
    watch.passed_over(counts.passed_over)


@contextmanager
def _listings(config: RunConfig, ground: RunGround) -> Iterator[FolderListings | None]:
    """Give what the journal knows of folders, where a walk is to believe it.

    A walk of a part of a tree is made because something changed there.
    """
    wanted = config.plan.check is Check.FOLDERS and config.walk.only is None
    if not wanted or not config.journal_path or ground.hides_from_journal or config.work.shared:
        yield None
        return
    with closing(FolderListings(config.journal_path, learns=not config.dry_run)) as listings:
        yield listings


def _list(name: bytes) -> BinaryIO:
    """Open a list of files, unbuffered: the feed's thread may hang in a read when all ends."""
    try:
        if name == b"-":
            return os.fdopen(0, "rb", buffering=0, closefd=False)
        return os.fdopen(os.open(name, os.O_RDONLY | os.O_CLOEXEC), "rb", buffering=0)
    except OSError as error:
        shown = name.decode("utf-8", "backslashreplace")
        raise UsageError(f"The list of files {shown} cannot be read: {error.strerror}.") from error


def planned_jobs(
    found: Iterable[Source | Skip],
    planner: Planner | SharedPlanner,
    watch: Watch,
    stop: Stop,
    size_on_share: Callable[[Job], int | None] = lambda _job: None,
    ready: Event | None = None,
) -> Iterator[Job]:
    """Yield a job for every source that needs one, until a stop; count the others.

    Args:
        found: sources.
        planner: of this run.
        watch: is told of all.
        stop: of the run.
        size_on_share: tells how much of a job comes over a network.
        ready: waited for after a job for a worker: what is imported for the first one, in another
            thread, would have to wait for the interpreter's lock again and again.
    """
    fresh: list[bytes] = []
    believes = planner.believes
    try:
        for item in found:
            if stop.is_set():
                return
            if isinstance(item, Skip):
                watch.skipped(item)
            elif believes(item):
                fresh.append(item.path)
                if len(fresh) >= _FRESH_AT_ONCE:
                    watch.fresh(fresh)
                    fresh.clear()
            else:
                planned = _planned(planner, item)
                if isinstance(planned, Skip):
                    watch.skipped(planned)
                else:
                    watch.planned(planned.size_bytes, on_share_bytes=size_on_share(planned))
                    yield planned
                    if ready is not None and planned.same is None:
                        ready.wait()
    except _StopWalkError:
        return
    finally:
        if fresh:
            watch.fresh(fresh)
        planner.close()
    watch.walk_ended()


def _planned(planner: Planner | SharedPlanner, source: Source) -> Job | Skip:
    try:
        return planner.plan(source)
    except ShareSilentError:
        return Skip(source.path, Kind.UNREADABLE, SILENT_WORDS)


def planner_of(
    config: RunConfig,
    cache: Cache,
    journal: Journal,
    memory: FolderMemory,
    watch: Watch,
    next_id: Callable[[], int],
    *,
    met: MetFiles | None = None,
) -> Planner | SharedPlanner:
    """Return what plans the sources of a run.

    Args:
        config: of the run.
        cache: with the entries.
        journal: knows what was found before.
        memory: of whole folders.
        watch: is warned.
        next_id: numbers the jobs.
        met: knows the very files under other names.
    """

    def hints(source: Source) -> Kind | None:
        return journal.hint(source.path, source.size_bytes, source.mtime_ns)

    plan, version, files = config.plan, config.work.version, memory.keys.files
    if config.work.shared:
        return SharedPlanner(version, plan, hints, next_id, watch.warn, files=files)
    return Planner(
        cache,
        plan,
        hints,
        next_id,
        memory if memory.recalls and journal.usable else None,
        shared=SharedEntries(version, files).fresh if plan.use_shared else None,
        kin=ContentIndex(cache, plan.flavors, journal).candidates,
        met=met.find if met and journal.usable else None,
        uris=memory.keys.uris,
    )


class _StopWalkError(Exception):
    """The walk is to end where it is."""


class FolderSettler:
    """Settles folders while they are walked (`walk.Settler`), as soon as there is a plan for it."""

    def __init__(self, config: RunConfig, watch: Watch, stop: Stop) -> None:
        self.planner: Planner | SharedPlanner | None = None
        self._hidden = config.walk.hidden
        self._watch = watch
        self._stop = stop

    def settle(self, folder: bytes, device: int) -> Settled | None:
        """Tell what of a folder needs no look; None: it is to be walked."""
        if self._stop.is_set():
            raise _StopWalkError
        if self.planner is None or self._watch.lists_fresh:
            return None
        return self.planner.settle(folder, device, hidden=self._hidden)

    def count(self, fresh: int) -> None:
        """Count fresh sources of folders that were settled."""
        self._watch.settled(fresh)


class FolderMemory:
    """What the journal knows of folders: of a published one by its name elsewhere.

    A published folder has other keys and other entries than the same folder under its own path.
    """

    def __init__(
        self, journal: Journal, keys: EntryKeys, *, learns: bool = True, recalls: bool = True
    ) -> None:
        self._journal = journal
        self.keys = keys
        self.recalls = recalls
        """It is asked at all: what a client waits for is looked at."""
        self._learns = learns

    def recall(self, folder: bytes, flavors: Sequence[Flavor]) -> KnownFolder:
        """Return what is known of the sources in a folder."""
        keys = self.keys
        return self._journal.recall(keys.place(folder), flavors, keys.told_by(folder))

    def recall_packed(self, folder: bytes, flavors: Sequence[Flavor]) -> tuple[bytes, bytes] | None:
        """Return the same as the journal holds it."""
        keys = self.keys
        return self._journal.recall_packed(keys.place(folder), flavors, keys.told_by(folder))

    def learn(self, folder: bytes, flavors: Sequence[Flavor], known: KnownFolder) -> None:
        """Add to that, unless this is a rehearsal, which writes nothing."""
        keys = self.keys
        if keys.follows_links:
            known = {
                name: entries
                for name, entries in known.items()
                if keys.may_be_remembered(folder + b"/" + name)
            }
        if self._learns:
            self._journal.learn(keys.place(folder), flavors, known, keys.told_by(folder))
