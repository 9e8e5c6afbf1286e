"""Sources that need no look: nothing of them or of their entries has changed since the last one.

A re-run over an unchanged library asks stat once for each entry instead of opening and judging
it, for whole folders at once where it can (`walk.unchanged`). What is remembered is believed only
where all of it agrees: the source's size and mtime, and for every wanted flavor the inode, mtime
and size of the entry's file (every writer of entries renames a new file into place). An entry of
another flavor, or anything else unusual, and the source is looked at in full. Losing the memory
costs time only.

Holds a number of folders at a time: the walk comes folder by folder, other orders do not.
"""

from __future__ import annotations

import os
import stat
from collections import OrderedDict
from typing import TYPE_CHECKING, Protocol

from pregen.cache.keyset import KeySet
from pregen.model import ALL_FLAVORS, Flavor
from pregen.walk.unchanged import EntryFolders, RememberedFolder, unchanged

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from pregen.cache.store import Cache
    from pregen.model import Known, KnownFolder, Source, Stamp
    from pregen.walk.unchanged import Settled

#: What is held at a time, 300 bytes each. Orders other than the walk's come from many folders.
MOST_SOURCES = 100_000
#: A folder that is read for fewer sources than this costs more than looking at them would ...
_WORTH_SOURCES = 8
#: ... which is known after so many folders.
_TRIAL_FOLDERS = 64

#: What was learned is handed over in portions, so that a killed run has not learned in vain.
_LEARNED_AT_ONCE = 10_000
#: A regular file that its owner may read.
_READABLE_FILE = stat.S_IFREG | stat.S_IRUSR

_EMPTY: KnownFolder = {}


class Memory(Protocol):
    """Where what is known is kept between runs (the journal)."""

    def recall(self, folder: bytes, flavors: Sequence[Flavor]) -> KnownFolder:
        """Return what is known of the sources in `folder`, by name."""
        ...

    def recall_packed(self, folder: bytes, flavors: Sequence[Flavor]) -> tuple[bytes, bytes] | None:
        """Return the same as `walk.unchanged.RememberedFolder`; None: nothing is known."""
        ...

    def learn(self, folder: bytes, flavors: Sequence[Flavor], known: KnownFolder) -> None:
        """Add to what is known of a folder."""
        ...


class RememberedSources:
    """Answers for one source after another, best in the order of the walk. For one thread."""

    def __init__(self, cache: Cache, flavors: Sequence[Flavor], memory: Memory) -> None:
        self._memory = memory
        self._flavors = flavors
        self._cache = cache
        self._folder: bytes | None = None
        self._known: KnownFolder = _EMPTY
        self._held: OrderedDict[bytes, KnownFolder] = OrderedDict()
        self._held_sources = 0
        self._learned: dict[bytes, KnownFolder] = {}
        self._learned_sources = 0
        self._asked = 0
        self._read_folders = 0
        self._fds: list[int] = []
        self._others: list[KeySet] = []
        self._ready = False
        self._worth_it = True

    def fresh(self, source: Source) -> bool:
        """Tell whether the source and its entries are what they were when all was fresh."""
        path, size_bytes, mtime_ns = source[:3]
        folder, _, name = path.rpartition(b"/")
        if folder != self._folder:
            self._enter(folder)
        self._asked += 1
        known = self._known.get(name)
        if known is None:
            return False
        return all(self._is_as_then(each, size_bytes, mtime_ns) for each in known)

    def _is_as_then(self, known: Known, size_bytes: int, mtime_ns: int) -> bool:
        """Tell whether a source and its entries under one key are what they were."""
        size_then_bytes, mtime_then_ns, key, *stamps_then = known
        if size_then_bytes != size_bytes or mtime_then_ns != mtime_ns:
            return False
        entry = key.hex() + ".png"
        stamps: list[int] = []
        for fd in self._fds:
            try:
                now = os.stat(entry, dir_fd=fd, follow_symlinks=False)
            except OSError:
                return False
            if now.st_mode & _READABLE_FILE != _READABLE_FILE:
                return False
            stamps += (now.st_ino, now.st_mtime_ns, now.st_size)
        if stamps != stamps_then:
            return False
        return not (self._others and any(others.may_hold(entry) for others in self._others))

    def settle(self, folder: bytes, device: int, *, hidden: bool) -> Settled | None:
        """Look at all of a folder at once; None: its sources are to be asked for one by one.

        Args:
            folder: its path.
            device: it lies on.
            hidden: names that begin with a dot may be sources.
        """
        if not self._ready:
            self._prepare()
        if len(self._fds) != len(self._flavors):
            return None
        known = self._memory.recall_packed(folder, self._flavors)
        if known is None:
            self._held.setdefault(folder, _EMPTY)
            return None
        entries = EntryFolders(tuple(self._fds), tuple(others.table for others in self._others))
        try:
            fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            try:
                return unchanged(fd, device, RememberedFolder(*known), entries, hidden=hidden)
            finally:
                os.close(fd)
        except OSError:
            return None  # the walk tells why

    def learn(self, source: Source, entries: Iterable[tuple[str, Sequence[Stamp]]]) -> None:
        """Remember a source just found fresh.

        Args:
            source: as it was found.
            entries: its keys, each with the stamps of all wanted flavors in order.
        """
        path, size_bytes, mtime_ns = source[:3]
        folder, _, name = path.rpartition(b"/")
        self._learned.setdefault(folder, {})[name] = tuple(
            known(size_bytes, mtime_ns, key, stamps) for key, stamps in entries
        )
        self._learned_sources += 1
        if self._learned_sources >= _LEARNED_AT_ONCE:
            self.close()

    def close(self) -> None:
        """Hand over what was learned."""
        for folder, learned in self._learned.items():
            self._memory.learn(folder, self._flavors, learned)
        self._learned, self._learned_sources = {}, 0

    def _enter(self, folder: bytes) -> None:
        self._folder = folder
        held = self._held.get(folder)
        if held is not None:
            self._held.move_to_end(folder)
            self._known = held
            return
        if not self._ready:
            self._prepare()
        self._known = _EMPTY
        if self._worth_it:
            self._known = self._memory.recall(folder, self._flavors)
            self._read_folders += 1
            self._hold(folder)

    def _hold(self, folder: bytes) -> None:
        """Keep a folder for when the order comes back to it; let go of those not asked for long."""
        self._held[folder] = self._known
        self._held_sources += len(self._known)
        while self._held_sources > MOST_SOURCES and len(self._held) > 1:
            _, gone = self._held.popitem(last=False)
            self._held_sources -= len(gone)
        if self._read_folders > _TRIAL_FOLDERS and self._held_sources > MOST_SOURCES // 2:
            # Folders come back after they were let go: the order is not one to remember by.
            self._worth_it = self._asked >= _WORTH_SOURCES * self._read_folders

    def _prepare(self) -> None:
        """Open the folders of the wanted flavors, and list those that should hold nothing."""
        self._ready = True
        fds = [self._cache.folder(flavor).reading_fd() for flavor in self._flavors]
        self._fds = [fd for fd in fds if fd is not None]
        others = (
            KeySet(self._cache.folder(f).names()) for f in ALL_FLAVORS if f not in self._flavors
        )
        self._others = [keys for keys in others if keys.count]
        self._worth_it = len(self._fds) == len(self._flavors)


def known(size_bytes: int, mtime_ns: int, key: str, stamps: Sequence[Stamp]) -> Known:
    """Return what is to be remembered of a source; `key` as 32 hex digits."""
    facts: list[int] = [number for stamp in stamps for number in stamp]
    return (size_bytes, mtime_ns, bytes.fromhex(key), *facts)
