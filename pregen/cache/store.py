"""The thumbnails directory: entries and fail records by flavor and URI, and folder by folder.

Names, modes and system calls only: whether an entry is any good is for `thumbspec.validity` to
judge, and what to do about it for `plan`. Used by the parent of a run, which reads, and by every
worker, which writes: a copy sent to another process opens its own descriptors there (at most
seven). Verbs that look at the cache as a whole (clean, verify, export, failures, doctor) open it
by another `OpenPolicy`; one pass over 100,000 entries takes about half a second with their stat
facts, and some seconds with their heads, which are read when asked for.

    with Cache(root, policy=OpenPolicy.AS_FOUND) as cache:
        for folder in cache.folders():          # normal, large, ..., then fail records by program
            for entry in folder.entries():      # folder.others() for the rest
                entry.key, entry.stat.st_size   # costs nothing more
                entry.head().first("Thumb::URI")  # opens the file; may raise OSError or PngError
                entry.remove()                  # only if it is still the file that was listed
"""

from __future__ import annotations

import os
import stat
from contextlib import suppress
from typing import TYPE_CHECKING, Final, Protocol, Self

from pregen import __version__
from pregen.cache.atomic import HOST, TEMP_PATTERN, TEMP_PREFIX
from pregen.cache.folder import Folder
from pregen.cache.opening import OpenPolicy
from pregen.errors import CacheError
from pregen.model import ALL_FLAVORS, Flavor
from pregen.thumbspec.naming import OWN_PROGRAMS, entry_name, fail_program

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from pregen.cache.folder import CacheFile
    from pregen.model import Stamp


_FAIL: Final = b"fail"


class Cache:
    """The cache at `root`, an absolute path; nothing is opened or created before it is needed.

    Args:
        root: The thumbnails directory; one that is not there is empty.
        version: pregen's, for the name of the folder of fail records.
        policy: How its folders are opened.
    """

    def __init__(
        self, root: bytes, version: str = __version__, policy: OpenPolicy = OpenPolicy.OURS
    ) -> None:
        self.root = root
        self.version = version
        self.links: list[bytes] = []
        """Folders that were passed over because they are links (`OpenPolicy.WITHOUT_LINKS`);
        filled by `folders`."""
        self._root = self._root_folder(policy)
        below = type(self._root)
        self._flavors = {
            flavor: below(self._root, os.fsencode(flavor.directory), flavor=flavor)
            for flavor in ALL_FLAVORS
        }
        self._fails = below(self._root, _FAIL)
        ours = fail_program(version)
        self.fail_folder = below(self._fails, os.fsencode(ours), program=ours)
        """Of our fail records."""
        self._programs = {ours: self.fail_folder}

    def _root_folder(self, policy: OpenPolicy) -> Folder:
        return Folder(None, self.root, policy)

    def __reduce__(self) -> tuple[type[Cache], tuple[object, ...]]:
        return Cache, (self.root, self.version)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Let go of all descriptors. The cache can be used again."""
        below = (*self._flavors.values(), *self._programs.values())
        for folder in (*below, self._fails, self._root):
            folder.close()

    def for_source(self, path: bytes, fd: int) -> Cache:  # noqa: ARG002 - see `cache.shared`
        """Return the cache that holds the entries of an open source: this one, for every source."""
        return self

    # Folders.

    def folder(self, flavor: Flavor) -> Folder:
        """Return the folder of a flavor, there or not."""
        return self._flavors[flavor]

    def fail_folders(self) -> Iterator[Folder]:
        """Yield the folders of fail records that are there, by program.

        Raises:
            CacheError: A folder cannot be opened or listed.
        """
        for program in sorted(self._fails.names(), key=os.fsencode):
            if program not in self._programs:
                name, kind = os.fsencode(program), type(self._fails)
                self._programs[program] = kind(self._fails, name, program=program)
            if self._is_there(self._programs[program]):
                yield self._programs[program]

    def folders(self) -> Iterator[Folder]:
        """Yield the folders that are there: flavors, small to large, then fail records by program.

        Raises:
            CacheError: A folder cannot be opened or listed.
        """
        yield from filter(self._is_there, self._flavors.values())
        if self._is_there(self._fails):
            yield from self.fail_folders()

    def _is_there(self, folder: Folder) -> bool:
        """Tell whether there is such a folder; one that is a link instead is named in `links`."""
        if not folder.exists() and os.path.islink(folder.path) and folder.path not in self.links:
            self.links.append(folder.path)
        return folder.exists()

    def entries(self) -> Iterator[CacheFile]:
        """Yield the entries and fail records of all folders.

        Raises:
            CacheError: A folder cannot be opened or listed.
        """
        for folder in self.folders():
            yield from folder.entries()

    def prepare(self, flavors: Iterable[Flavor]) -> None:
        """Create the folders of these flavors and try whether they can be written.

        To be called before any work: better no run than one that fails on its last step. Modes of
        the folders that are there already are mended too.

        Raises:
            CacheError: The cache cannot be written; the message says what to do.
        """
        for flavor in flavors:
            self._flavors[flavor].probe()
        for folder in (*self._flavors.values(), self._fails, self.fail_folder):
            if folder.exists():
                folder.writing_fd()

    def folders_to_write(self, flavors: Iterable[Flavor]) -> tuple[bytes, ...]:
        """Create the folders of these flavors and of fail records; return where entries may be.

        The folders of the other flavors are among them, there or not: what is stale in them is
        deleted.

        Raises:
            CacheError: The cache cannot be written.
        """
        for flavor in flavors:
            self._flavors[flavor].writing_fd()
        self.fail_folder.writing_fd()
        return (*(folder.path for folder in self._flavors.values()), self.fail_folder.path)

    def sweep_all(self, memory: SweepMemory | None = None) -> int:
        """Remove the temps of dead runs everywhere in the cache; return how many.

        Args:
            memory: Which folders had none, and have not changed since: these are not listed.

        Raises:
            CacheError: A folder cannot be listed.
        """
        removed = 0
        for folder in self.folders():
            if not (folder.flavor or folder.program.startswith(OWN_PROGRAMS)):
                continue
            mtime_ns = os.fstat(folder.fd).st_mtime_ns
            if memory is not None and memory.was_swept(folder.path, mtime_ns):
                continue
            temps = _temps(folder)
            removed += _removed(folder, temps)
            if memory is not None and not temps:
                memory.note_swept(folder.path, mtime_ns)
        return removed

    # Entries, by URI.

    def read(self, flavor: Flavor, uri: str) -> bytes | None:
        """Return a whole entry; None: there is none; empty: what is there cannot be one.

        A symlink is never followed: it counts as damaged, and is replaced itself.

        Raises:
            CacheError: Out of descriptors or memory.
        """
        return self._flavors[flavor].read(entry_name(uri))

    def write(self, flavor: Flavor, uri: str, data: bytes) -> Stamp:
        """Commit an entry: whole or not at all, 0600; return its stamp.

        Raises:
            CacheFullError: No space, no quota.
            CacheError: It cannot be stored for another reason.
        """
        return self._flavors[flavor].write(entry_name(uri), data)

    def delete(self, flavor: Flavor, uri: str) -> bool:
        """Remove an entry; tell whether there was one.

        Raises:
            CacheError: There is one, and it cannot be removed.
        """
        return self._flavors[flavor].delete(entry_name(uri))

    # Fail records of this version of pregen; `fail_folder` reads them.

    def write_fail(self, uri: str, data: bytes) -> None:
        """Commit a fail record.

        Raises:
            CacheError: As `write`.
        """
        self.fail_folder.write(entry_name(uri), data)

    def delete_fail(self, uri: str) -> bool:
        """Remove the fail record of a URI; tell whether there was one.

        Raises:
            CacheError: There is one, and it cannot be removed.
        """
        return self.fail_folder.delete(entry_name(uri))


# Sweeping: at the start and the end of a run, under the cache's lock. Should a temp of a living run
# be taken all the same (two machines of one name on one network home), its commit is repeated by
# `Folder.write`.

#: Whether a process of another host lives cannot be known; no commit takes a day.
FOREIGN_AGE_S = 24 * 3600
#: A temp is the work of an older process only when it is this much older than the one that has
#: its pid now: file servers' clocks differ from ours, and start times are rounded.
_CLOCK_SLACK_S = 10.0


def sweep(folder: Folder) -> int:
    """Remove the temps of dead runs from a folder, and nothing else; return how many.

    A temp that cannot be removed is left for the next time.

    Raises:
        CacheError: The folder cannot be listed.
    """
    return _removed(folder, _temps(folder))


class SweepMemory(Protocol):
    """Which folders had no temps (the journal)."""

    def was_swept(self, folder: bytes, mtime_ns: int) -> bool:
        """Tell whether a folder had none when its mtime was this."""
        ...

    def note_swept(self, folder: bytes, mtime_ns: int) -> None:
        """Note that a folder has none. Its mtime was asked for before it was listed."""
        ...


def _temps(folder: Folder) -> list[str]:
    # The whole names are matched once more later; this is asked of millions of entries.
    return [name for name in folder.names() if name.startswith(TEMP_PREFIX)]


def _removed(folder: Folder, temps: Iterable[str]) -> int:
    removed = 0
    for name in temps:
        file = folder.file(name)
        if file is not None and is_dead_temp(file):
            with suppress(CacheError):
                removed += folder.delete(name)
    return removed


def is_dead_temp(file: CacheFile) -> bool:
    """Tell whether this is a temp, a regular file of ours, whose creator is gone."""
    parts = TEMP_PATTERN.fullmatch(file.name)
    found = file.stat
    if not parts or not stat.S_ISREG(found.st_mode) or found.st_uid != os.geteuid():
        return False
    if parts["host"] != HOST:
        from datetime import UTC, datetime  # noqa: PLC0415 - such temps are rare

        return datetime.now(UTC).timestamp() - found.st_mtime > FOREIGN_AGE_S
    from pregen.processes import born_s  # noqa: PLC0415 - psutil: 30 ms that no worker needs

    born = born_s(int(parts["pid"]))
    return born is None or found.st_mtime < born - _CLOCK_SLACK_S
