"""The cache as it lies on the disk, and what a sample of its entries says of their originals."""

from __future__ import annotations

import os
import stat
from contextlib import suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from pregen.cache.opening import OpenPolicy
from pregen.cache.store import Cache
from pregen.model import ALL_FLAVORS
from pregen.private_folders import user_name
from pregen.thumbspec.naming import OWN_PROGRAMS, made_by, source_path
from pregen.thumbspec.pngchunks import PngError
from pregen.thumbspec.pngtext import MIMETYPE, SIZE, SOFTWARE, URI
from pregen.verbs.doctor.facts import (
    CacheFacts,
    Disk,
    FailRecords,
    FlavorCount,
    FolderFacts,
    SeenSource,
)
from pregen.verbs.sampling import Reservoir

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from pregen.cache.folder import CacheFile, Folder
    from pregen.model import Source
    from pregen.originals.mounts import Mounts
    from pregen.verbs.doctor.readers.thumbnailers import TypeNames

#: So many entries are opened, and so many of the pictures of a walk are kept: one in a hundred
#: of which something is true is then seen with a probability of 99 %.
SAMPLE: Final = 500
#: How the names of programs begin that make entries for us.
_OURS: Final = ("pregen",)
#: No file is larger.
_MOST_DIGITS: Final = 18


def read_cache(
    root: bytes,
    home: bytes,
    mounts: Mounts,
    types: TypeNames,
    private: Callable[[bytes], bytes | None] | None = None,
) -> tuple[CacheFacts, tuple[SeenSource, ...]]:
    """Return what the cache holds, and the originals of a sample of its entries.

    Args:
        root: The thumbnails directory; it need not exist.
        home: HOME.
        mounts: Of this machine.
        types: Names types of files whose entries do not.
        private: Tells where what is private begins above a path. None: there is nothing private,
            and only a sample of the entries is opened.

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
        for folder in _open_folders(cache, folders):
            if folder.flavor is not None:
                before, size_bytes = sample.seen, facts.size_bytes
                for entry in folder.entries():
                    sample.add(entry)
                    names.add(entry.name)
                    _count(facts, entry.stat, now_s)
                    if private is not None:
                        _count_private(facts, entry, private)
                number = sample.seen - before
                facts.keys = max(facts.keys, number)
                held = FlavorCount(number, facts.size_bytes - size_bytes)
                facts.flavors[folder.flavor] = held
            elif not folder.program.startswith(OWN_PROGRAMS):
                failed = list(folder.entry_names())
                outlived = sum(name in names for name in failed)
                fails.append(FailRecords(folder.program, len(failed), outlived))
        sources = tuple(
            filter(None, (_source(entry, mounts, types, facts) for entry in sample.kept))
        )
    facts.folders = tuple(filter(None, folders))
    facts.entries = sample.seen
    facts.fail_records = tuple(fails)
    return facts, sources


def _open_folders(cache: Cache, seen: list[FolderFacts | None]) -> Iterator[Folder]:
    """Yield the folders that are there; those that may not be listed are only seen.

    Raises:
        CacheError: A folder cannot be opened or listed, though its mode allows it.
    """
    if _is_closed(cache.root):
        return
    for flavor in ALL_FLAVORS:
        folder = cache.folder(flavor)
        seen.append(_folder(folder.path))
        if not _is_closed(folder.path) and folder.exists():
            yield folder
    if not _is_closed(os.path.join(cache.root, b"fail")):
        for folder in cache.fail_folders():
            seen.append(_folder(folder.path))
            yield folder


def _is_closed(path: bytes) -> bool:
    return os.path.exists(path) and not os.access(path, os.R_OK | os.X_OK)


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


def _count_private(
    facts: CacheFacts, entry: CacheFile, private: Callable[[bytes], bytes | None]
) -> None:
    source = _path_of(entry)
    place = private(source) if source is not None else None
    if place is not None:
        facts.private_entries += 1
        facts.private_place = facts.private_place or place


def _path_of(entry: CacheFile) -> bytes | None:
    try:
        return source_path(entry.head().first(URI))
    except (OSError, PngError):
        return None


def _source(
    entry: CacheFile, mounts: Mounts, types: TypeNames, facts: CacheFacts
) -> SeenSource | None:
    """Return the original of an entry; count who made it."""
    try:
        head = entry.head()
    except (OSError, PngError):
        return None
    if (flavor := entry.folder.flavor) is not None:
        held = facts.flavors[flavor]
        ours = any(made_by(name, _OURS) for name in head.values(SOFTWARE))
        facts.flavors[flavor] = held._replace(
            sampled=held.sampled + 1, foreign=held.foreign + (not ours)
        )
    path = source_path(head.first(URI))
    if path is None:
        return None
    size = head.first(SIZE)
    known = size.isascii() and size.isdigit() and len(size) <= _MOST_DIGITS
    mime = head.first(MIMETYPE) or types.type_of(path)
    return SeenSource(path, int(size) if known else 0, mounts.of(path).remote, mime)


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


def sampled(
    sources: Iterable[Source], mounts: Mounts, types: TypeNames
) -> tuple[int, tuple[SeenSource, ...]]:
    """Return how many pictures a walk finds, and a sample of them."""
    sample: Reservoir[Source] = Reservoir(SAMPLE)
    for source in sources:
        sample.add(source)
    return sample.seen, tuple(
        SeenSource(
            source.path,
            source.size_bytes,
            mounts.of(source.path).remote,
            types.type_of(source.path),
        )
        for source in sample.kept
    )
