"""Sources that need no look: nothing of them or of their entries has changed since the last one.

A re-run over an unchanged library asks stat once for each entry instead of opening and judging
it. What is remembered is believed only where all of it agrees: the source's size and mtime, and
for every wanted flavor the inode, mtime and size of the entry's file (every writer of entries
renames a new file into place). An entry of another flavor, or anything else unusual, and the
source is looked at in full. Losing the memory costs time only.

Holds one folder of sources at a time, because the walk comes folder by folder.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Protocol

from pregen.model import ALL_FLAVORS, Flavor
from pregen.storage.keyset import KeySet

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pregen.model import Known, Source, Stamp
    from pregen.storage.cache import Cache

#: A folder of more sources than this is looked at in full every time: remembering it would take
#: some 300 bytes of memory each while the walk is in it.
MOST_SOURCES = 50_000

_EMPTY: dict[bytes, Known] = {}


class Memory(Protocol):
    """Where what is known is kept between runs (the journal)."""

    def recall(self, folder: bytes, flavors: Sequence[Flavor]) -> dict[bytes, Known]:
        """Return what is known of the sources in `folder`, by name."""
        ...

    def learn(self, folder: bytes, flavors: Sequence[Flavor], known: dict[bytes, Known]) -> None:
        """Add to what is known of a folder."""
        ...


class Recall:
    """Answers for one source after another, best in the order of the walk. For one thread."""

    def __init__(self, cache: Cache, flavors: Sequence[Flavor], memory: Memory) -> None:
        self._memory = memory
        self._flavors = flavors
        self._folder: bytes | None = None
        self._known: dict[bytes, Known] = _EMPTY
        self._learned: dict[bytes, Known] = {}
        self._cache = cache
        self._fds: list[int] = []
        self._others: list[KeySet] = []
        self._ready = False

    def fresh(self, source: Source) -> bool:
        """Tell whether the source and its entries are what they were when all was fresh."""
        path, size_bytes, mtime_ns = source
        folder, _, name = path.rpartition(b"/")
        if folder != self._folder:
            self._enter(folder)
        known = self._known.get(name)
        if known is None or known[0] != size_bytes or known[1] != mtime_ns:
            return False
        entry = known[2].hex() + ".png"
        at = 3
        for fd in self._fds:
            try:
                now = os.stat(entry, dir_fd=fd, follow_symlinks=False)
            except OSError:
                return False
            if (now.st_ino, now.st_mtime_ns, now.st_size) != known[at : at + 3]:
                return False
            at += 3
        return not (self._others and any(others.may_hold(entry) for others in self._others))

    def learn(self, source: Source, key: str, stamps: Sequence[Stamp]) -> None:
        """Remember a source just found fresh, with the stamps of all wanted flavors in order."""
        path, size_bytes, mtime_ns = source
        folder, _, name = path.rpartition(b"/")
        if folder != self._folder:
            self._enter(folder)
        if len(self._learned) < MOST_SOURCES:
            self._learned[name] = known(size_bytes, mtime_ns, key, stamps)

    def close(self) -> None:
        """Hand over what was learned of the last folder."""
        if self._learned and self._folder is not None:
            self._memory.learn(self._folder, self._flavors, self._learned)
        self._folder, self._known, self._learned = None, _EMPTY, {}

    def _enter(self, folder: bytes) -> None:
        self.close()
        self._folder = folder
        if not self._ready:
            self._prepare()
        if len(self._fds) == len(self._flavors):
            self._known = self._memory.recall(folder, self._flavors)

    def _prepare(self) -> None:
        """Open the folders of the wanted flavors, and list those that should hold nothing."""
        self._ready = True
        fds = [self._cache.folder(flavor).reading_fd() for flavor in self._flavors]
        self._fds = [fd for fd in fds if fd is not None]
        others = (KeySet(self._cache.list_names(f)) for f in ALL_FLAVORS if f not in self._flavors)
        self._others = [keys for keys in others if keys.count]


def known(size_bytes: int, mtime_ns: int, key: str, stamps: Sequence[Stamp]) -> Known:
    """Return what is to be remembered of a source; `key` as 32 hex digits."""
    facts: list[int] = [number for stamp in stamps for number in stamp]
    return (size_bytes, mtime_ns, bytes.fromhex(key), *facts)
