"""Entries of pictures that were deleted or moved away, and their going.

Which they may be, the events and the journal say; whether they go, `clean` decides as ever: an
entry is read, its original looked for, and "not mounted" never taken for "gone".
"""

from __future__ import annotations

import os
import time
from itertools import chain
from typing import TYPE_CHECKING

from pregen.clean.cleaner import Cleaner
from pregen.clean.selection import Reason, Selection, area_of
from pregen.journal.below import forget, known_below
from pregen.originals.examiner import Examiner
from pregen.originals.system import read_mounts
from pregen.storage.inventory import Inventory
from pregen.thumbspec.naming import key
from pregen.thumbspec.uri import all_uris, file_uri

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from pregen.storage.inventory import Item


class _Chosen:
    """Some items of an inventory, by key."""

    def __init__(self, inventory: Inventory, keys: Iterable[str]) -> None:
        self._inventory = inventory
        self._names = [os.fsencode(each) + b".png" for each in keys]
        self.links = inventory.links

    def items(self) -> Iterator[Item]:
        """Yield those that are there."""
        for folder in self._inventory.folders():
            for name in self._names:
                item = folder.item(name)
                if item is not None:
                    yield item


def remove_gone(
    cache_root: bytes, journal_path: bytes, folders: Iterable[bytes], gone: Iterable[bytes]
) -> int:
    """Delete the entries of what is not there any more; return how many.

    Args:
        cache_root: the thumbnails directory.
        journal_path: the journal's file; empty: none.
        folders: in which something changed.
        gone: paths that were there: files, or folders with all they held.

    Raises:
        CacheError: an entry cannot be deleted.
    """
    gone = set(gone)
    known = known_below(journal_path, gone)
    for folder in folders:
        known |= _missing_of(folder, known_below(journal_path, [folder]))
    keys = {stored for stored in known.values() if stored}
    for path in chain(gone, known):
        keys.update(key(uri) for uri in all_uris(path))
    if not keys:
        return 0
    removed = _clean(cache_root, Selection(missing=True), keys)
    forget(journal_path, known)
    return removed


def remove_all_gone(cache_root: bytes, roots: Iterable[bytes]) -> int:
    """Delete the entries of whatever is gone below `roots`, by a look at the whole cache.

    Raises:
        CacheError: an entry cannot be deleted.
    """
    areas = tuple(area_of(file_uri(root)) for root in roots)
    return _clean(cache_root, Selection(missing=True, under=areas), None)


def _missing_of(folder: bytes, known: dict[bytes, str]) -> dict[bytes, str]:
    """Of what is known of a folder itself, what is not in it now; nothing if it cannot be read."""
    try:
        names = set(os.listdir(folder))
    except OSError:
        return {}
    here = {path: stored for path, stored in known.items() if path.rpartition(b"/")[0] == folder}
    return {path: stored for path, stored in here.items() if path.rpartition(b"/")[2] not in names}


def _clean(cache_root: bytes, selection: Selection, keys: Iterable[str] | None) -> int:
    if not os.path.isdir(cache_root):
        return 0
    with Inventory(cache_root) as inventory, Examiner(read_mounts(os.environ)) as examiner:
        chosen = inventory if keys is None else _Chosen(inventory, keys)
        cleaner = Cleaner(chosen, examiner, selection, time.time_ns())
        plan = cleaner.plan()
        if not plan.doomed:
            return 0
        tally = cleaner.delete(plan, lambda: read_mounts(os.environ))
        return tally.entries[Reason.MISSING]
