"""The cache as it lies on the disk, and what a sample of its entries says of their originals."""

from __future__ import annotations

import os
import random
import stat
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from pregen.cache.inventory import Inventory
from pregen.thumbspec.pngchunks import PngError
from pregen.thumbspec.pngtext import SIZE, URI
from pregen.thumbspec.uri import path_from_uri
from pregen.verbs.doctor.facts import CacheFacts, Disk, FailRecords, FolderFacts, SeenSource

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pregen.cache.inventory import Item, ItemFolder
    from pregen.model import Source
    from pregen.originals.mounts import Mounts

#: So many entries are opened, and so many of the pictures of a walk are kept: one in a hundred
#: of which something is true is then seen with a probability of 99 %.
SAMPLE: Final = 500
_OURS: Final = "pregen-"


class CacheReader:
    """Looks through the cache at `root`, once.

    Args:
        root: The thumbnails directory; it need not exist.
        mounts: Of this machine.
    """

    def __init__(self, root: bytes, mounts: Mounts) -> None:
        self._root = root
        self._mounts = mounts
        # Only a sample is drawn by it; the same cache gives the same one.
        self._random = random.Random(0)  # noqa: S311 - no secret
        self._sample: list[Item] = []
        self._seen = 0

    def read(self) -> tuple[CacheFacts, tuple[SeenSource, ...]]:
        """Return what is there, and the originals of a sample of the entries.

        Raises:
            CacheError: A folder cannot be opened or listed.
        """
        counts = _Counts()
        keys: set[bytes] = set()
        fails = []
        folders = [_folder(self._root)]
        with Inventory(self._root, follow_folders=True) as inventory:
            for folder in inventory.folders():
                folders.append(_folder(folder.path))
                if folder.flavor is None:
                    if not folder.program.startswith(_OURS):
                        fails.append(_records(folder, keys))
                else:
                    counts.add_folder(self._entries(folder, counts, keys))
            sources = tuple(filter(None, map(self._source, self._sample)))
        facts = CacheFacts(
            self._root,
            os.geteuid(),
            read_disk(self._root, self._mounts),
            tuple(filter(None, folders)),
            counts.entries,
            counts.keys,
            counts.size_bytes,
            counts.age_s(),
            counts.foreign,
            counts.opened,
            counts.closed,
            tuple(fails),
        )
        return facts, sources

    def _entries(self, folder: ItemFolder, counts: _Counts, keys: set[bytes]) -> int:
        number = 0
        for item in folder.items():
            number += 1
            keys.add(item.name)
            counts.add(item.stat)
            self._seen += 1
            if len(self._sample) < SAMPLE:
                self._sample.append(item)
            elif (place := self._random.randrange(self._seen)) < SAMPLE:
                self._sample[place] = item
        return number

    def _source(self, item: Item) -> SeenSource | None:
        try:
            head = item.head()
        except (OSError, PngError):
            return None
        path = path_from_uri(head.first(URI))
        if path is None:
            return None
        size = head.first(SIZE)
        size_bytes = int(size) if size.isascii() and size.isdigit() else 0
        return SeenSource(path, size_bytes, self._mounts.of(path).remote)


class _Counts:
    """What is added up over all entries."""

    def __init__(self) -> None:
        self.entries = self.keys = self.size_bytes = 0
        self.foreign = self.opened = self.closed = 0
        self._oldest_s = float("inf")
        self._uid = os.geteuid()

    def add(self, facts: os.stat_result) -> None:
        self.entries += 1
        self.size_bytes += facts.st_size
        self.foreign += facts.st_uid != self._uid
        self.opened += bool(facts.st_mode & (stat.S_IRGRP | stat.S_IROTH))
        self.closed += not facts.st_mode & stat.S_IRUSR
        self._oldest_s = min(self._oldest_s, facts.st_mtime)

    def add_folder(self, entries: int) -> None:
        self.keys = max(self.keys, entries)

    def age_s(self) -> float:
        now_s = datetime.now(UTC).timestamp()
        return max(0.0, now_s - self._oldest_s) if self.entries else 0.0


def _records(folder: ItemFolder, keys: set[bytes]) -> FailRecords:
    names = [item.name for item in folder.items()]
    return FailRecords(folder.program, len(names), sum(name in keys for name in names))


def _folder(path: bytes) -> FolderFacts | None:
    try:
        facts = os.stat(path)
    except OSError:
        return None
    return FolderFacts(path, facts.st_uid, stat.S_IMODE(facts.st_mode))


def read_disk(root: bytes, mounts: Mounts) -> Disk:
    """Return the file system on which the cache is or will be."""
    place = root
    while not os.path.isdir(place) and place != b"/":
        place = os.path.dirname(place)
    mount = mounts.of(os.path.realpath(place))
    facts = os.statvfs(place)
    return Disk(
        mount.fstype,
        mount.remote,
        facts.f_bavail * facts.f_frsize,
        facts.f_favail if facts.f_files else None,
        bool(facts.f_flag & os.ST_RDONLY),
    )


def sampled(sources: Iterable[Source], mounts: Mounts) -> tuple[int, tuple[SeenSource, ...]]:
    """Return how many pictures a walk finds, and a sample of them."""
    draw = random.Random(0)  # noqa: S311 - no secret
    kept: list[Source] = []
    number = 0
    for source in sources:
        number += 1
        if len(kept) < SAMPLE:
            kept.append(source)
        elif (place := draw.randrange(number)) < SAMPLE:
            kept[place] = source
    return number, tuple(
        SeenSource(source.path, source.size_bytes, mounts.of(source.path).remote) for source in kept
    )
