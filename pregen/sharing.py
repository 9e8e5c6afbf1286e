"""Plans with shared repositories: what is to be done in each folder of originals. Reads only.

The decisions are `plan`'s. What differs: every folder has a repository of its own, in which a
source is known by its name alone; and a folder that cannot be written ends its own sources, before
anything of them is decoded. What lies on a share is looked at by a thread of that share, which is
waited for no longer than the share may be silent.
"""

from __future__ import annotations

import os
from collections import OrderedDict
from functools import partial
from typing import TYPE_CHECKING, Generic, NamedTuple, TypeVar

from pregen.cache.shared import SharedRepositories, SharedRepository
from pregen.model import ALL_FLAVORS, Job, Kind, Skip
from pregen.plan import Planner
from pregen.readers.threads import ShareThreads
from pregen.thumbspec.uri import shared_uris
from pregen.thumbspec.validity import Freshness, judge

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from pregen.config import PlanConfig
    from pregen.filesystems.bounded import BoundedFiles
    from pregen.model import Flavor, Source

T = TypeVar("T")
U = TypeVar("U")

#: The walk needs one folder at a time; other orders come back to some. Up to six descriptors each.
_OPEN_FOLDERS = 16

_LEFT_ALONE = "its shared thumbnail is outdated and stays; --update recreates it"


class _OneReader:
    """What threads are told that look at one thing at a time (`ReaderOrders`)."""

    readers, bytes_per_s = 1, 0

    def hear(self, heard: int) -> None: ...

    def wait(self, *, waits: bool) -> None: ...


class _StateOfShares(Generic[T]):
    """Looks beside sources, on each share with what belongs to that share alone.

    A look that is given up goes on by itself, with what it has; until it ends, that share is not
    looked at again.
    """

    def __init__(self, files: BoundedFiles, make: Callable[[], T]) -> None:
        self._files = files
        self._make = make
        self._threads: ShareThreads | None = None
        self._of_share: dict[int, T] = {}

    def look(self, source: Source, look: Callable[[T, Source], U]) -> U:
        """Return what a look at a source gives.

        Raises:
            ShareSilentError: its share does not answer.
        """
        share = self._files.share_of(source.path, source.device)
        its = self._of_share.get(share)
        if its is None:
            its = self._of_share[share] = self._make()
        if not share:
            return look(its, source)
        if self._threads is None:
            self._threads = ShareThreads(self._files.silence_s, _OneReader(), most_bytes=0)
        return self._threads.run(share, lambda _: look(its, source))

    def states(self) -> Iterable[T]:
        """Return what belongs to each share, and to all disks together."""
        return self._of_share.values()


class SharedEntries:
    """Tells what the repositories beside sources hold that is fresh. For one thread.

    Args:
        version: pregen's.
        files: knows what lies on shares, and how long these may give nothing.
    """

    def __init__(self, version: str, files: BoundedFiles) -> None:
        self._shares = _StateOfShares(files, partial(SharedRepositories, version))

    def fresh(self, source: Source) -> frozenset[Flavor]:
        """Return the flavors a reader of shared repositories would take, under either name.

        Raises:
            CacheError: The repository cannot be read: out of descriptors, a failing disk.
            ShareSilentError: The share of the source does not answer.
        """
        return self._shares.look(source, self._fresh)

    @staticmethod
    def _fresh(repositories: SharedRepositories, source: Source) -> frozenset[Flavor]:
        repository = repositories.beside(source.path)
        uris = shared_uris(source.path)
        return frozenset(
            flavor
            for flavor in ALL_FLAVORS
            if any(_is_fresh(repository, flavor, uri, source) for uri in uris)
        )


def _is_fresh(repository: SharedRepository, flavor: Flavor, uri: str, source: Source) -> bool:
    data = repository.read(flavor, uri)
    judged = judge(data, flavor, uri, source.mtime_ns, source.size_bytes, whole=True)
    return judged.verdict is Freshness.FRESH


class _OriginalsFolder(NamedTuple):
    """A folder of originals."""

    repository: SharedRepository
    planner: Planner
    obstacle: str
    """Why nothing can be written there."""


_OpenFolders = OrderedDict[bytes, _OriginalsFolder]


class SharedPlanner:
    """Plans one source after another, as `plan.Planner`. For one thread.

    Args:
        version: pregen's.
        config: The user's wishes.
        hints: Asks the journal, and only about sources that would be decoded.
        next_id: Numbers the jobs.
        warn: Told at the end what was left alone.
        files: Knows what lies on shares, and how long these may give nothing.
    """

    def __init__(
        self,
        version: str,
        config: PlanConfig,
        hints: Callable[[Source], Kind | None],
        next_id: Callable[[], int],
        warn: Callable[[str], None],
        *,
        files: BoundedFiles,
    ) -> None:
        self._version = version
        self._flavors = config.flavors
        self._planner = partial(
            Planner, config=config, hints=hints, next_id=next_id, uris=shared_uris
        )
        self._warn = warn
        self._shares: _StateOfShares[_OpenFolders] = _StateOfShares(files, OrderedDict)
        self._left_alone = 0

    def close(self) -> None:
        """Close the folders, and tell what was left alone. The walk is over."""
        for places in self._shares.states():
            while places:
                places.popitem()[1].repository.close()
        if self._left_alone:
            number = self._left_alone
            files = "1 file has an outdated" if number == 1 else f"{number} files have outdated"
            self._warn(
                f"{files} shared thumbnail{'s'[: number > 1]}, kept as the standard requires; "
                "add --update to recreate them"
            )
            self._left_alone = 0

    def believes(self, source: Source) -> bool:  # noqa: ARG002 - the signature of `plan.Planner`
        """Tell whether a source needs no look: none, nothing is remembered of repositories."""
        return False

    def settle(self, folder: bytes, device: int, *, hidden: bool) -> None:
        """Settle a whole folder: none, likewise."""

    def plan(self, source: Source) -> Job | Skip:
        """Look at what the repository beside a source holds of it, and decide.

        Raises:
            CacheError: The repository cannot be read: out of descriptors, a failing disk.
            ShareSilentError: The share of the source does not answer.
        """
        planned = self._shares.look(source, self._plan)
        if isinstance(planned, Job):
            return planned
        if planned.kind is Kind.EXCLUDED:
            self._left_alone += 1
            return planned._replace(message=_LEFT_ALONE)
        return planned

    def _plan(self, places: _OpenFolders, source: Source) -> Job | Skip:
        place = self._place(places, os.path.dirname(source.path))
        planned = place.planner.plan(source)
        if isinstance(planned, Job) and place.obstacle:
            return Skip(source.path, Kind.CACHE_ERROR, place.obstacle)
        return planned

    def _place(self, places: _OpenFolders, directory: bytes) -> _OriginalsFolder:
        place = places.get(directory)
        if place is None:
            repository = SharedRepository(directory, self._version)
            obstacle = repository.obstacle(self._flavors)
            place = _OriginalsFolder(repository, self._planner(repository), obstacle)
            places[directory] = place
            if len(places) > _OPEN_FOLDERS:
                places.popitem(last=False)[1].repository.close()
        else:
            places.move_to_end(directory)
        return place
