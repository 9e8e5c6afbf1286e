"""The cache as it lies on the disk, and what a sample of its entries says of their originals."""

from __future__ import annotations

import os
import stat
from contextlib import suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from pregen.cache.opening import OpenPolicy
from pregen.cache.store import Cache
from pregen.private_folders import user_name
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


def read_cache(
    root: bytes, home: bytes, mounts: Mounts
) -> tuple[CacheFacts, tuple[SeenSource, ...]]:
    """Return what the cache holds, and the originals of a sample of its entries.

    Args:
        root: The thumbnails directory; it need not exist.
        home: HOME.
        mounts: Of this machine.

    Raises:
        CacheError: A folder cannot be opened or listed.
    """
    uid = _reader(root, home)
    facts = CacheFacts(root, uid, read_disk(root, mounts), owner=user_name(uid))
    sample: Reservoir[CacheFile] = Reservoir(SAMPLE)
    folders = [_folder(root)]
    fails = []
    names: set[str] = set()
    now_s = datetime.now(UTC).timestamp()
    with Cache(root, policy=OpenPolicy.AS_FOUND) as cache:
        for folder in cache.folders():
            folders.append(_folder(folder.path))
            if folder.flavor is not None:
                before = sample.seen
                for entry in folder.entries():
                    sample.add(entry)
                    names.add(entry.name)
                    _count(facts, entry.stat, now_s)
                facts.keys = max(facts.keys, sample.seen - before)
            elif not folder.program.startswith(OWN_PROGRAMS):
                failed = list(folder.entry_names())
                outlived = sum(name in names for name in failed)
                fails.append(FailRecords(folder.program, len(failed), outlived))
        sources = tuple(filter(None, (_source(entry, mounts) for entry in sample.kept)))
    facts.folders = tuple(filter(None, folders))
    facts.entries = sample.seen
    facts.fail_records = tuple(fails)
    return facts, sources


def _reader(root: bytes, home: bytes) -> int:
    """Return the user whose desktop reads a cache: root with HOME of another asks for that one."""
    uid = os.geteuid()
    if uid == 0 and root.startswith(home.rstrip(b"/") + b"/"):
        with suppress(OSError):
            return os.stat(home).st_uid
    return uid


def _count(facts: CacheFacts, found: os.stat_result, now_s: float) -> None:
    facts.size_bytes += found.st_size
    facts.foreign_entries += found.st_uid != facts.uid
    facts.open_entries += bool(found.st_mode & (stat.S_IRGRP | stat.S_IROTH))
    facts.closed_entries += not found.st_mode & stat.S_IRUSR
    facts.oldest_s = max(facts.oldest_s, now_s - found.st_mtime)


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
