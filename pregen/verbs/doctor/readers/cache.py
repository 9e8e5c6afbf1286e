"""The cache as it lies on the disk, and what a sample of its entries says of their originals."""

from __future__ import annotations

import os
import stat
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from pregen.cache.opening import OpenPolicy
from pregen.cache.store import Cache
from pregen.thumbspec.naming import OWN_PROGRAMS, source_path
from pregen.thumbspec.pngchunks import PngError
from pregen.thumbspec.pngtext import SIZE, URI
from pregen.verbs.doctor.facts import CacheFacts, Disk, FailRecords, FolderFacts, SeenSource
from pregen.verbs.sampling import Reservoir

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pregen.cache.folder import CacheFile
    from pregen.model import Source
    from pregen.originals.mounts import Mounts

#: So many entries are opened, and so many of the pictures of a walk are kept: one in a hundred
#: of which something is true is then seen with a probability of 99 %.
SAMPLE: Final = 500


def read_cache(root: bytes, mounts: Mounts) -> tuple[CacheFacts, tuple[SeenSource, ...]]:
    """Return what the cache holds, and the originals of a sample of its entries.

    Args:
        root: The thumbnails directory; it need not exist.
        mounts: Of this machine.

    Raises:
        CacheError: A folder cannot be opened or listed.
    """
    total = _Total()
    folders = [_folder(root)]
    with Cache(root, policy=OpenPolicy.AS_FOUND) as cache:
        for folder in cache.folders():
            folders.append(_folder(folder.path))
            if folder.flavor is not None:
                total.add_all(folder.entries())
            elif not folder.program.startswith(OWN_PROGRAMS):
                names = list(folder.entry_names())
                outlived = sum(name in total.names for name in names)
                total.fails.append(FailRecords(folder.program, len(names), outlived))
        sources = tuple(filter(None, (_source(entry, mounts) for entry in total.sample.kept)))
    return CacheFacts(
        root=root,
        uid=os.geteuid(),
        disk=read_disk(root, mounts),
        folders=tuple(filter(None, folders)),
        entries=total.sample.seen,
        keys=total.keys,
        size_bytes=total.size_bytes,
        oldest_s=total.age_s(),
        foreign_entries=total.foreign,
        open_entries=total.open,
        closed_entries=total.closed,
        fail_records=tuple(total.fails),
    ), sources


class _Total:
    """What is added up over all entries."""

    def __init__(self) -> None:
        self.names: set[str] = set()
        self.fails: list[FailRecords] = []
        self.sample: Reservoir[CacheFile] = Reservoir(SAMPLE)
        self.keys = self.size_bytes = self.foreign = self.open = self.closed = 0
        self._oldest_s = float("inf")
        self._uid = os.geteuid()

    def add_all(self, entries: Iterable[CacheFile]) -> None:
        """Add the entries of a flavor."""
        before = self.sample.seen
        for entry in entries:
            found = entry.stat
            self.sample.add(entry)
            self.names.add(entry.name)
            self.size_bytes += found.st_size
            self.foreign += found.st_uid != self._uid
            self.open += bool(found.st_mode & (stat.S_IRGRP | stat.S_IROTH))
            self.closed += not found.st_mode & stat.S_IRUSR
            self._oldest_s = min(self._oldest_s, found.st_mtime)
        self.keys = max(self.keys, self.sample.seen - before)

    def age_s(self) -> float:
        """Return the age of the oldest entry."""
        now_s = datetime.now(UTC).timestamp()
        return max(0.0, now_s - self._oldest_s) if self.sample.seen else 0.0


def _source(entry: CacheFile, mounts: Mounts) -> SeenSource | None:
    try:
        head = entry.head()
    except (OSError, PngError):
        return None
    path = source_path(head.first(URI))
    if path is None:
        return None
    size = head.first(SIZE)
    size_bytes = int(size) if size.isascii() and size.isdigit() else 0
    return SeenSource(path, size_bytes, mounts.of(path).remote)


def _folder(path: bytes) -> FolderFacts | None:
    try:
        found = os.stat(path)
    except OSError:
        return None
    return FolderFacts(path, found.st_uid, stat.S_IMODE(found.st_mode))


def read_disk(root: bytes, mounts: Mounts) -> Disk:
    """Return the file system on which the cache is or will be."""
    place = root
    while not os.path.isdir(place) and place != b"/":
        place = os.path.dirname(place)
    mount = mounts.of(os.path.realpath(place))
    found = os.statvfs(place)
    return Disk(
        mount.fstype,
        mount.remote,
        found.f_bavail * found.f_frsize,
        found.f_favail if found.f_files else None,
        bool(found.f_flag & os.ST_RDONLY),
    )


def sampled(sources: Iterable[Source], mounts: Mounts) -> tuple[int, tuple[SeenSource, ...]]:
    """Return how many pictures a walk finds, and a sample of them."""
    sample: Reservoir[Source] = Reservoir(SAMPLE)
    for source in sources:
        sample.add(source)
    return sample.seen, tuple(
        SeenSource(source.path, source.size_bytes, mounts.of(source.path).remote)
        for source in sample.kept
    )
