"""`pregen watch`: a run, then one for each group of changes, until the user ends it.

    Notifier --Change--> places_of --ChangedPlaces--> a run of that part; then entries removed

What comes while a run goes on is handed to that run, or to one of another process, to be next.

The notifier listens before the first run begins, so nothing is missed between the two. Which
entries may have lost their pictures, the events and the journal say; whether they go, `clean`
decides as ever: an entry is read, its original looked for, and "not mounted" never taken for
"gone".
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING, Final, NamedTuple

from pregen.cache.opening import OpenPolicy
from pregen.cache.store import Cache
from pregen.config import Order, RunConfig
from pregen.display.printer import RunReport
from pregen.filesystems.bounded import BoundedFiles
from pregen.filesystems.mounttable import is_below
from pregen.journal.folders import known_below
from pregen.model import Source
from pregen.originals.examiner import Examiner
from pregen.requests.client import RequestClient
from pregen.thumbspec.clients import every_uri
from pregen.thumbspec.naming import key
from pregen.thumbspec.uri import file_uri
from pregen.verbs.clean.cleaner import Cleaner
from pregen.verbs.clean.selection import CleanReason, Selection, area_of
from pregen.verbs.watch.changes import Change, ChangedPlaces, Notifier, places_of, queue_length
from pregen.walk import walk

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from pregen.cache.folder import CacheFile
    from pregen.errors import ExitCode
    from pregen.pipeline import RunStop
    from pregen.session import Session


#: A storm goes on for longer than a user wants to wait: it is worked on in portions.
_MOST_SETTLE_S: Final = 10.0
#: A stop is seen within the notifier's own step; this is only how often the loop turns.
_TURN_S: Final = 60.0
#: How soon it is seen that a run has ended.
_LOOK_S: Final = 0.1
_EVERYWHERE: Final = ChangedPlaces(everywhere=True)


class _Chosen:
    """Some entries of a cache, by key."""

    def __init__(self, cache: Cache, keys: Iterable[str]) -> None:
        self._cache = cache
        self._names = [f"{each}.png" for each in keys]
        self.links = cache.links

    def entries(self) -> Iterator[CacheFile]:
        """Yield those that are there."""
        for folder in self._cache.folders():
            yield from filter(None, map(folder.file, self._names))


def remove_gone(session: Session, folders: Iterable[bytes], gone: Iterable[bytes]) -> int:
    """Delete the entries of what is not there any more; return how many.

    Args:
        session: where it works.
        folders: in which something changed.
        gone: paths that were there: files, or folders with all they held.

    Raises:
        CacheError: an entry cannot be deleted.
    """
    gone, journal_path = set(gone), session.journal_path
    known = known_below(journal_path, gone)
    for folder in folders:
        known |= _missing_of(folder, known_below(journal_path, [folder]))
    keys = set(chain.from_iterable(known.values()))
    with closing(BoundedFiles()) as files:
        for path in chain(gone, known):
            for name in {path, files.real_file(path)}:
                keys.update(map(key, every_uri(name)))
    if not keys:
        return 0
    removed = _clean(session, Selection(missing=True), keys)
    with session.journal() as journal:  # what cannot be forgotten costs space only
        journal.forget([*known])
    return removed


def remove_all_gone(session: Session, roots: Iterable[bytes]) -> int:
    """Delete the entries of files that are gone below `roots`, by a look at the whole cache.

    Raises:
        CacheError: an entry cannot be deleted.
    """
    roots = set(roots)
    with closing(BoundedFiles()) as files:
        places = {*roots, *map(files.realpath, roots)}
    areas = tuple(area_of(file_uri(place)) for place in sorted(places))
    return _clean(session, Selection(missing=True, under=areas), None)


def _missing_of(folder: bytes, known: dict[bytes, tuple[str, ...]]) -> dict[bytes, tuple[str, ...]]:
    """Of what is known of a folder itself, what is not in it now; nothing if it cannot be read."""
    try:
        names = set(os.listdir(folder))
    except OSError:
        return {}
    missing = {}
    for path, stored in known.items():
        parent, _, name = path.rpartition(b"/")
        if parent == folder and name not in names:
            missing[path] = stored
    return missing


def _clean(session: Session, selection: Selection, keys: Iterable[str] | None) -> int:
    if not os.path.isdir(session.cache_root):
        return 0
    with (
        Cache(session.cache_root, policy=OpenPolicy.WITHOUT_LINKS) as cache,
        session.journal() as journal,
        Examiner(session.mounts(), remembered=journal.file_system_of) as examiner,
    ):
        chosen = cache if keys is None else _Chosen(cache, keys)
        private = session.private_places(journal)
        cleaner = Cleaner(chosen, examiner, selection, time.time_ns(), private)
        plan = cleaner.plan()
        if not plan.doomed:
            return 0
        return cleaner.delete(plan, session.mounts).entries[CleanReason.MISSING]


@dataclass(frozen=True, slots=True)
class FollowConfig:
    """How changes are followed."""

    settle_s: float
    """Changes are worked on when nothing more came for so long."""
    rescan_s: float
    """Everything is looked at this often all the same; 0: never."""


class Round(NamedTuple):
    """What one group of changes came to."""

    report: RunReport
    removed: int
    everywhere: bool


Runner = Callable[[RunConfig], RunReport]
"""Does one run, with a display of its own."""


class _Overtaking:
    """Does runs, and has each do next what comes while it goes on."""

    def __init__(self, run: Runner, notifier: Notifier, how: FollowConfig, most: int) -> None:
        self._run = run
        self._notifier = notifier
        self._how = how
        self._most = most
        self._heard: list[Change] = []

    def __call__(self, config: RunConfig) -> RunReport:
        over = threading.Event()
        listener = threading.Thread(target=self._listen, args=(config, over), daemon=True)
        listener.start()
        try:
            return self._run(config)
        finally:
            over.set()
            listener.join()

    def take_heard(self) -> list[Change]:
        """Return what changed during runs: what is gone, and what no run took, is still to do."""
        heard, self._heard = self._heard, []
        return heard

    def _listen(self, config: RunConfig, over: threading.Event) -> None:
        # A stop would lose the changes that it interrupts (watchfiles 1.x): `over` is seen between.
        never = threading.Event()
        while not over.is_set():
            changes = self._notifier.wait(_LOOK_S, never)
            if not changes:
                continue
            changes += self._notifier.settle(self._how.settle_s, _MOST_SETTLE_S, never)
            self._heard += changes
            places = places_of(changes, self._most)
            new = {each.path for each in changes if each.is_there}
            if new and not (over.is_set() or places.everywhere):
                self._ask_for(config, new, places, over)

    def _ask_for(
        self, config: RunConfig, new: set[bytes], places: ChangedPlaces, over: threading.Event
    ) -> None:
        """Ask the run at work for what is new; what it does not take is done behind it."""
        client = RequestClient.connect(config.work.cache_root, config.plan, os.environ)
        if client is None or client.refusal:
            return
        look = config.walk._replace(only=places.only, order=Order.WALK)
        found = (each.path for each in walk(look) if isinstance(each, Source))
        wanted = (
            path for path in found if path in new or any(is_below(path, t) for t in places.trees)
        )
        with client:
            for _ in client.answers(wanted, over.is_set):
                pass


def follow(
    session: Session,
    config: RunConfig,
    how: FollowConfig,
    roots: Sequence[bytes],
    stop: RunStop,
    run: Runner,
    *,
    told: Callable[[Round], None],
) -> ExitCode:
    """Keep the cache fresh until `stop`; return with which code it ended.

    Args:
        session: where it works.
        config: of a run over everything.
        how: see there.
        roots: the folders of `config`, absolute and clean.
        stop: ends it.
        run: does one run.
        told: called after every round but the first.

    Raises:
        PregenError: the folders cannot be watched, or a run ended before its time.
    """
    with Notifier(roots) as notifier:
        most = queue_length() // 2
        run = _Overtaking(run, notifier, how, most)
        run(config)
        due_s = time.monotonic() + how.rescan_s
        while not stop.is_set():
            patience_s = due_s - time.monotonic() if how.rescan_s > 0 else _TURN_S
            changes = run.take_heard()
            if not changes:
                changes = notifier.wait(min(max(patience_s, 0), _TURN_S), stop)
                if changes:
                    changes += notifier.settle(how.settle_s, _MOST_SETTLE_S, stop)
            overdue = how.rescan_s > 0 and time.monotonic() >= due_s
            if stop.is_set() or not (changes or overdue):
                continue
            places = _EVERYWHERE if overdue else places_of(changes, most)
            if places.everywhere:
                due_s = time.monotonic() + how.rescan_s
            told(_round(session, config, places, roots, run))
    return stop.code


def _round(
    session: Session,
    config: RunConfig,
    places: ChangedPlaces,
    roots: Sequence[bytes],
    run: Runner,
) -> Round:
    """Work on one group of changes: first what is new, which may use what has moved."""
    walk = config.walk._replace(only=places.only)
    report = run(config._replace(walk=walk, sweep=places.everywhere))
    if places.everywhere:
        removed = remove_all_gone(session, roots)
    else:
        removed = remove_gone(session, places.folders, places.gone)
    return Round(report, removed, places.everywhere)
