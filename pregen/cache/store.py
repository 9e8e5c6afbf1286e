"""The thumbnails directory: entries and fail records by flavor and URI.

Names, modes and system calls only: whether an entry is any good is for `thumbspec.validity` to
judge, and what to do about it for `plan`. Used by the parent, which reads, and by every worker,
which writes: a copy sent to another process opens its own descriptors there (at most seven).
"""

from __future__ import annotations

import os
import stat
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Self

from pregen.cache.atomic import HOST, TEMP_PATTERN, TEMP_PREFIX
from pregen.cache.folder import Folder
from pregen.errors import CacheError
from pregen.model import ALL_FLAVORS, Flavor
from pregen.processes import born_s
from pregen.thumbspec.naming import entry_name, fail_program
from pregen.thumbspec.validity import HEAD_BYTES

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from pregen.model import Stamp


_FAIL = b"fail"


class Cache:
    """The cache at `root`, an absolute path; nothing is opened or created before it is needed.

    Args:
        root: The thumbnails directory.
        version: pregen's, for the name of the folder of fail records.
    """

    def __init__(self, root: bytes, version: str) -> None:
        self.root = root
        self.version = version
        self._root = self._root_folder()
        below = type(self._root)
        self._flavors = {
            flavor: below(self._root, os.fsencode(flavor.directory)) for flavor in ALL_FLAVORS
        }
        self._fails = below(self._root, _FAIL)
        self._fail = below(self._fails, os.fsencode(fail_program(version)))

    def _root_folder(self) -> Folder:
        return Folder(None, self.root)

    def __reduce__(self) -> tuple[type[Cache], tuple[bytes, str]]:
        return Cache, (self.root, self.version)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Let go of all descriptors. The cache can be used again."""
        for folder in (*self._flavors.values(), self._fail, self._fails, self._root):
            folder.close()

    def for_source(self, path: bytes, fd: int) -> Cache:  # noqa: ARG002 - see `storage.shared`
        """Return the cache that holds the entries of an open source: this one, for every source."""
        return self

    def folder(self, flavor: Flavor) -> Folder:
        """Return the folder of a flavor, for work by file name."""
        return self._flavors[flavor]

    @property
    def fail_folder(self) -> Folder:
        """The folder of our fail records."""
        return self._fail

    def prepare(self, flavors: Iterable[Flavor]) -> None:
        """Create the folders of these flavors and try whether they can be written.

        To be called before any work: better no run than one that fails on its last step. Modes of
        the folders that are there already are mended too.

        Raises:
            CacheError: The cache cannot be written; the message says what to do.
        """
        for flavor in flavors:
            self._flavors[flavor].probe()
        for folder in (*self._flavors.values(), self._fails, self._fail):
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
        self._fail.writing_fd()
        return (*(folder.path for folder in self._flavors.values()), self._fail.path)

    def sweep_all(self) -> int:
        """Remove the temps of dead runs everywhere in the cache; return how many.

        Raises:
            CacheError: A folder cannot be listed.
        """
        ours = os.fsencode(fail_program(self.version)).split(b"-")[0] + b"-"
        records = [os.fsencode(name) for name in self._fails.names()]
        swept = sum(sweep(folder) for folder in self._flavors.values())
        for name in records:
            if name.startswith(ours):
                with Folder(self._fails, name) as folder:
                    swept += sweep(folder)
        return swept

    # Entries.

    def read_head_bytes(
        self, flavor: Flavor, uri: str, limit_bytes: int = HEAD_BYTES
    ) -> bytes | None:
        """Return an entry's first bytes; None: there is none; empty: what is there is no entry.

        A symlink is never followed: it is no entry, and will be replaced itself.

        Raises:
            CacheError: Out of descriptors or memory.
        """
        return self._flavors[flavor].read_head(entry_name(uri), limit_bytes)

    def read(self, flavor: Flavor, uri: str) -> bytes | None:
        """Return a whole entry; otherwise as `read_head_bytes`.

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
        return _write(self._flavors[flavor], uri, data)

    def delete(self, flavor: Flavor, uri: str) -> bool:
        """Remove an entry; tell whether there was one.

        Raises:
            CacheError: There is one, and it cannot be removed.
        """
        return self._flavors[flavor].delete(entry_name(uri))

    def list_names(self, flavor: Flavor) -> Iterator[str]:
        """Yield the file names in a flavor's folder, whatever they are, in no order.

        Raises:
            CacheError: The folder cannot be listed.
        """
        return self._flavors[flavor].names()

    # Fail records of this version of pregen.

    def read_fail(self, uri: str) -> bytes | None:
        """Return the fail record of a URI; as `read`.

        Raises:
            CacheError: Out of descriptors or memory.
        """
        return self._fail.read(entry_name(uri))

    def write_fail(self, uri: str, data: bytes) -> None:
        """Commit a fail record.

        Raises:
            CacheError: As `write`.
        """
        _write(self._fail, uri, data)

    def delete_fail(self, uri: str) -> bool:
        """Remove the fail record of a URI; tell whether there was one.

        Raises:
            CacheError: There is one, and it cannot be removed.
        """
        return self._fail.delete(entry_name(uri))


def _write(folder: Folder, uri: str, data: bytes) -> Stamp:
    name = entry_name(uri)
    return folder.write(name, data, name)


# --- Removes the temps of dead runs. Touches nothing else, whatever it looks like
#
# Run at the start and the end of a run, under the cache's lock. Should a temp of a living run be
# taken all the same (two machines of one name on one network home), its commit is repeated by
# `Folder.write`.


#: Whether a process of another host lives cannot be known; no commit takes a day.
FOREIGN_AGE_S = timedelta(hours=24).total_seconds()
#: A temp is the work of an older process only when it is this much older than the one that has
#: its pid now: file servers' clocks differ from ours, and start times are rounded.
_CLOCK_SLACK_S = 10.0


def sweep(folder: Folder) -> int:
    """Remove the temps of dead runs from a folder; return how many.

    A temp that cannot be removed is left for the next time.

    Raises:
        CacheError: The folder cannot be listed.
    """
    removed = 0
    # The whole names are matched once more below; this is asked of millions of entries.
    for name in [name for name in folder.names() if name.startswith(TEMP_PREFIX)]:
        fd = folder.reading_fd()
        if fd is None or not is_dead_temp(fd, name):
            continue
        try:
            removed += folder.delete(name)
        except CacheError:
            continue
    return removed


def is_dead_temp(dir_fd: int, name: str) -> bool:
    """Tell whether this temp is a regular file of ours whose creator is gone."""
    parts = TEMP_PATTERN.fullmatch(name)
    if not parts:
        return False
    try:
        facts = os.stat(name, dir_fd=dir_fd, follow_symlinks=False)
    except OSError:
        return False
    if not stat.S_ISREG(facts.st_mode) or facts.st_uid != os.geteuid():
        return False
    if parts["host"] != HOST:
        return datetime.now(UTC).timestamp() - facts.st_mtime > FOREIGN_AGE_S
    return not _may_be_alive(int(parts["pid"]), facts.st_mtime)


def _may_be_alive(pid: int, written_s: float) -> bool:
    """Tell whether the process that has this pid can be the one that wrote at `written_s`."""
    born = born_s(pid)
    return born is not None and written_s >= born - _CLOCK_SLACK_S
