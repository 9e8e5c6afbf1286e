"""Entries into a cache, each whole or not at all; and out of one."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pregen.storage.inventory import Inventory
from pregen.transfer.rules import Place, RefusedError, checked, wins

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator

    from pregen.model import Flavor
    from pregen.storage.cache import Cache
    from pregen.thumbspec.pngtext import PngHead


@dataclass(slots=True)
class Tally:
    """What became of entries."""

    taken: int = 0
    taken_bytes: int = 0
    kept: int = 0
    """What was there already is as fresh, or fresher."""
    refused: int = 0


class Merger:
    """Puts entries into a cache. The caller holds its lock.

    Args:
        cache: Where they go.
        refused: Told name and reason of what is no entry.
    """

    def __init__(self, cache: Cache, refused: Callable[[str, str], None]) -> None:
        self._cache = cache
        self._refused = refused
        self.tally = Tally()

    def refuse(self, name: str, why: str) -> None:
        """Count and tell what is no entry."""
        self.tally.refused += 1
        self._refused(name, why)

    def put(self, name: str, place: Place, data: bytes) -> None:
        """Take an entry, unless what is there is as good.

        Raises:
            CacheError: The cache takes no more.
        """
        try:
            head = checked(data, place)
        except RefusedError as why:
            self.refuse(name, str(why))
            return
        folder = self._cache.folder(place.flavor)
        file = f"{place.key}.png"
        if not wins(head, folder.read(file), place):
            self.tally.kept += 1
            return
        folder.write(file, data, place.key)
        self.tally.taken += 1
        self.tally.taken_bytes += len(data)


def entries(
    root: bytes,
    flavors: Collection[Flavor],
    wanted: Callable[[PngHead], bool],
    refused: Callable[[str, str], None],
) -> Iterator[tuple[str, Place, bytes, int]]:
    """Yield name, place, content and mtime in seconds of the entries in a cache.

    Args:
        root: The thumbnails directory. It may be written to meanwhile.
        flavors: Which ones.
        wanted: Whether an entry is of the part that is asked for.
        refused: Told name and reason of what looks like an entry and is none.

    Raises:
        CacheError: A folder cannot be listed.
    """
    with Inventory(root, follow_folders=True) as inventory:
        for folder in inventory.folders():
            if folder.flavor is None or folder.flavor not in flavors:
                continue
            for item in folder.items():
                place = Place(folder.flavor, item.key)
                name = os.fsdecode(item.path)
                try:
                    data = item.read()
                    if wanted(checked(data, place)):
                        yield name, place, data, int(item.stat.st_mtime)
                except FileNotFoundError:
                    continue
                except OSError as error:
                    refused(name, f"it cannot be read: {error.strerror}")
                except RefusedError as why:
                    refused(name, str(why))
