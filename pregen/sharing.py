"""Plans with shared repositories: what is to be done in each folder of originals. Reads only.

The decisions are `plan`'s. What differs: every folder has a repository of its own, in which a
source is known by its name alone; and a folder that cannot be written ends its own sources, before
anything of them is decoded.
"""

from __future__ import annotations

import os
from collections import OrderedDict
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from pregen.cache.shared import SharedRepositories, SharedRepository
from pregen.model import ALL_FLAVORS, Job, Kind, Skip
from pregen.plan import Planner
from pregen.thumbspec.uri import shared_uris
from pregen.thumbspec.validity import Freshness, judge

if TYPE_CHECKING:
    from collections.abc import Callable

    from pregen.config import PlanConfig
    from pregen.model import Flavor, Source

#: The walk needs one folder at a time; other orders come back to some. Up to six descriptors each.
_OPEN_FOLDERS = 16

_LEFT_ALONE = "its shared thumbnail is outdated and stays; --update recreates it"


class SharedEntries:
    """Tells what the repositories beside sources hold that is fresh. For one thread."""

    def __init__(self, version: str) -> None:
        self._repositories = SharedRepositories(version)

    def fresh(self, source: Source) -> frozenset[Flavor]:
        """Return the flavors a reader of shared repositories would take, under either name.

        Raises:
            CacheError: The repository cannot be read: out of descriptors, a failing disk.
        """
        repository = self._repositories.beside(source.path)
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


class SharedPlanner:
    """Plans one source after another, as `plan.Planner`. For one thread.

    Args:
        version: pregen's.
        config: The user's wishes.
        hints: Asks the journal, and only about sources that would be decoded.
        next_id: Numbers the jobs.
        warn: Told at the end what was left alone.
    """

    def __init__(
        self,
        version: str,
        config: PlanConfig,
        hints: Callable[[Source], Kind | None],
        next_id: Callable[[], int],
        warn: Callable[[str], None],
    ) -> None:
        self._version = version
        self._flavors = config.flavors
        self._planner = partial(
            Planner, config=config, hints=hints, next_id=next_id, uris=shared_uris
        )
        self._warn = warn
        self._places: OrderedDict[bytes, _OriginalsFolder] = OrderedDict()
        self._left_alone = 0

    def close(self) -> None:
        """Close the folders, and tell what was left alone. The walk is over."""
        for place in self._places.values():
            place.repository.close()
        self._places.clear()
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
        """
        place = self._place(os.path.dirname(source.path))
        planned = place.planner.plan(source)
        if isinstance(planned, Job):
            if place.obstacle:
                return Skip(source.path, Kind.CACHE_ERROR, place.obstacle)
            return planned
        if planned.kind is Kind.EXCLUDED:
            self._left_alone += 1
            return planned._replace(message=_LEFT_ALONE)
        return planned

    def _place(self, directory: bytes) -> _OriginalsFolder:
        place = self._places.get(directory)
        if place is None:
            repository = SharedRepository(directory, self._version)
            obstacle = repository.obstacle(self._flavors)
            place = _OriginalsFolder(repository, self._planner(repository), obstacle)
            self._places[directory] = place
            if len(self._places) > _OPEN_FOLDERS:
                self._places.popitem(last=False)[1].repository.close()
        else:
            self._places.move_to_end(directory)
        return place
