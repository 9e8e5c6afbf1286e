"""pregen for other programs: where an entry is, whether there is a fresh one, and making them.

    from pregen import Flavor, entry_path, lookup, thumbnails

Public: these names stay, and what is returned are the values of `pregen.model`. Nothing here
writes to a screen or keeps a journal.
"""

from __future__ import annotations

import os
import queue
import threading
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from pregen import __version__
from pregen.cache.lookup import has_fresh
from pregen.cache.store import Cache
from pregen.config import EngineConfig, PlanConfig, RunConfig, WalkConfig, WorkConfig
from pregen.display.printer import Printer
from pregen.engines.base import StopLevel
from pregen.model import ALL_FLAVORS, Flavor, Outcome, Skip, Source
from pregen.screens.facts import flavors_for_screens
from pregen.thumbspec import naming
from pregen.thumbspec.clients import every_uri
from pregen.thumbspec.uri import file_uri
from pregen.walk.roots import named_sources, working_directory

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable

    AnyPath = str | bytes | os.PathLike[str] | os.PathLike[bytes]

#: Outcomes that wait to be taken; beyond that the work waits.
_WAITING: Final = 1000


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
            for name in every_uri(clean):
                folder = store.folder(flavor)
                if has_fresh(folder, flavor, name, facts.st_mtime_ns, facts.st_size):
                    entry = naming.entry_path(root, flavor, name)
                    return Thumbnail(Path(os.fsdecode(entry)), flavor, name)
    return None


def thumbnails(
    paths: Iterable[AnyPath],
    *,
    flavors: Iterable[Flavor] | None = None,
    workers: int | None = None,
    force: bool = False,
    retry_failed: bool = False,
    allow_encrypted: Iterable[AnyPath] = (),
    cache: AnyPath | None = None,
) -> Generator[Outcome]:
    """Make the entries of files in worker processes; yield what became of each, as it is known.

    Every path yields one outcome, in any order: `Kind.FRESH` where there was nothing to do,
    `Kind.PRIVATE` where the file is encrypted and its entries would not be, a kind of
    `pregen.model.FAILURES` where it failed. Closing the generator ends the work. `paths` is
    taken in another thread, a few thousand ahead. While it goes on the cache is locked against
    other runs; where another run holds the lock, that one does these files next.

    Args:
        paths: files; folders are not walked.
        flavors: the wanted size classes; by default normal, large and what the screens of this
            machine ask for.
        workers: processes; by default one for each usable core.
        force: make entries that are fresh, too.
        retry_failed: try files again that failed before and have not changed.
        allow_encrypted: paths at and below which files in encrypted vaults get entries, too.
        cache: the thumbnails directory; by default the user's.

    Raises:
        LockedError: another run works on the same cache, and does not take these files: it makes
            other sizes, or something special is asked for.
        CacheError: the cache cannot be written, or takes no more entries; what was made till then
            has been yielded.
        MissingLibraryError: pregen is not completely installed.
    """
    root = _root(cache)
    if flavors is None:
        flavors = flavors_for_screens(os.environ, os.path.expanduser("~"), root).flavors
    wanted = tuple(flavors)
    config = RunConfig(
        walk=WalkConfig(cache_root=root, allow_encrypted=tuple(map(_clean, allow_encrypted))),
        plan=PlanConfig(flavors=wanted, force=force, retry_failed=retry_failed, reuse=False),
        work=WorkConfig(root, __version__, wanted),
        engine=EngineConfig(workers=workers or len(os.sched_getaffinity(0))),
    )
    return _outcomes(config, named_sources(map(_clean, paths), root))


def _outcomes(config: RunConfig, sources: Iterable[Source | Skip]) -> Generator[Outcome]:
    """Yield the outcomes of a run in a thread of its own; end the run, however this ends."""
    from pregen.display.listener import Watch  # noqa: PLC0415 - looking an entry up needs no run
    from pregen.pipeline import RunStop, run  # noqa: PLC0415 - likewise

    stop = RunStop()
    results: queue.Queue[Outcome | BaseException | None] = queue.Queue(_WAITING)

    def work() -> None:
        try:
            run(config, Watch(_QueuePrinter(results)), stop, sources)
            results.put(None)
        except BaseException as error:  # noqa: BLE001 - raised where the outcomes are taken
            results.put(error)

    thread = threading.Thread(target=work, name="pregen-library", daemon=True)
    thread.start()
    try:
        while (item := results.get()) is not None:
            if isinstance(item, BaseException):
                raise item
            yield item
    finally:
        stop.raise_to(StopLevel.KILL)
        while thread.is_alive():
            with suppress(queue.Empty):  # the thread may want to put something before it ends
                results.get(timeout=0.01)


class _QueuePrinter(Printer):
    """Puts into a queue what becomes of each source."""

    def __init__(self, results: queue.Queue[Outcome | BaseException | None]) -> None:
        super().__init__(verbose=True)
        self._results = results

    def outcome(self, outcome: Outcome | Skip) -> None:
        self._results.put(outcome.as_outcome() if isinstance(outcome, Skip) else outcome)


def _clean(path: AnyPath) -> bytes:
    name = os.fsencode(path)
    start = b"/" if name.startswith(b"/") else working_directory(os.environ)
    return naming.clean_path(name, start)


def _root(cache: AnyPath | None) -> bytes:
    if cache is None:
        return naming.thumbnails_root(os.environ, os.path.expanduser("~"))
    return os.path.abspath(os.fsencode(cache))
