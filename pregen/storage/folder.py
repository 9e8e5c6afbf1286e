"""One directory of the cache, opened when it is needed, and the files in it, by name.

For reading it is taken as it is, and one that is not there is empty. For writing it is created,
has to be ours, and a wrong mode is mended (`pregen.storage.dirs`).

Knows nothing of flavors, URIs or PNG. An instance is for one thread at a time.
"""

from __future__ import annotations

import errno
import os
import stat
from typing import TYPE_CHECKING, Self

from pregen.model import Stamp
from pregen.storage import atomic
from pregen.storage.dirs import DIR_FLAGS, open_ours
from pregen.storage.faults import FolderGoneError, cache_error, let_go

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

#: More is no entry: an xx-large of incompressible RGBA has 4 MiB of pixels (1024 x 1024 x 4).
ENTRY_LIMIT_BYTES = 64 * 1024 * 1024

#: O_NONBLOCK: a FIFO planted under an entry's name must not hang the run.
_FILE_FLAGS = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY

_NOT_THERE = frozenset({errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.EACCES, errno.ESTALE})
#: These say something about this process, nothing about the file.
_OURS = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOMEM})

#: Of what cannot be examined; no file has it.
NO_STAMP = Stamp(0, 0, 0)
#: What reading gives for a file that is there and cannot be an entry: a judge says CORRUPT.
NO_ENTRY = b""


class Folder:
    """A directory below `parent`, or, without one, at an absolute path."""

    give: Callable[[int], None] | None = None
    """Gives a file written here other rights than 0600 (`atomic.commit`)."""

    def __init__(self, parent: Folder | None, name: bytes) -> None:
        self.path: bytes = os.path.join(parent.path, name) if parent else name
        self._parent = parent
        self._name = name
        self._fd: int | None = None
        self._writable = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the descriptor. The folder can be used again."""
        if self._fd is not None:
            let_go(self._fd)
        self._fd, self._writable = None, False

    def forget(self) -> None:
        """Close this folder and those above it: the path may lead elsewhere now."""
        self.close()
        if self._parent:
            self._parent.forget()

    def reading_fd(self) -> int | None:
        """Return the directory as it is, or None when there is none that can be read.

        Raises:
            CacheError: Out of descriptors or memory, or the disk fails.
        """
        if self._fd is None:
            try:
                self._fd = os.open(self.path, DIR_FLAGS)
            except OSError as error:
                if error.errno not in _NOT_THERE:
                    raise cache_error(error, self.path) from error
        return self._fd

    def writing_fd(self) -> int:
        """Return the directory, created if need be, ours and 0700.

        Raises:
            CacheError: It cannot be made or used; the message says what to do.
        """
        if self._fd is None or not self._writable:
            self.close()
            try:
                above = self._parent.writing_fd() if self._parent else None
                self._fd = open_ours(self._name, above, self.path)
            except OSError as error:
                raise cache_error(error, self.path) from error
            self._writable = True
        return self._fd

    def exists(self) -> bool:
        """Tell whether there is a directory to read."""
        return self.reading_fd() is not None

    def probe(self) -> None:
        """Create the folder if need be, and try whether a file can be made in it.

        Raises:
            CacheError: It cannot.
        """
        atomic.probe(self.writing_fd(), folder=self.path)

    # Files, by name.

    def read_head(self, name: str, limit_bytes: int) -> bytes | None:
        """Return a file's first bytes, None when there is none, `NO_ENTRY` when it is no entry.

        Raises:
            CacheError: Out of descriptors or memory.
        """
        found = self.examine(name, limit_bytes)
        return None if found is None else found[0]

    def examine(self, name: str, limit_bytes: int) -> tuple[bytes, Stamp] | None:
        """Return a file's first bytes and its stamp; otherwise as `read_head`.

        Raises:
            CacheError: Out of descriptors or memory.
        """
        try:
            fd = self._open_file(name)
        except FileNotFoundError:
            return None
        except OSError as error:
            return self._no_entry(error), NO_STAMP
        try:
            now = os.fstat(fd)
            stamp = Stamp(now.st_ino, now.st_mtime_ns, now.st_size)
            return os.read(fd, limit_bytes), stamp
        except IsADirectoryError:
            return None  # no desktop takes a directory for an entry, and it cannot be replaced
        except OSError as error:
            return self._no_entry(error), NO_STAMP
        finally:
            let_go(fd)

    def read(self, name: str) -> bytes | None:
        """Return a whole file; as `read_head`, and `NO_ENTRY` past `ENTRY_LIMIT_BYTES`.

        Raises:
            CacheError: Out of descriptors or memory.
        """
        try:
            fd = self._open_file(name)
        except FileNotFoundError:
            return None
        except OSError as error:
            return self._no_entry(error)
        try:
            return _read_whole(fd)
        except IsADirectoryError:
            return None
        except OSError as error:
            return self._no_entry(error)
        finally:
            let_go(fd)

    def write(self, name: str, data: bytes, key: str) -> Stamp:
        """Commit a file (`atomic.commit`); a folder that was removed meanwhile is made again.

        Raises:
            CacheError: As `atomic.commit`.
        """
        try:
            return self._commit(name, data, key)
        except FolderGoneError:
            self.forget()
            return self._commit(name, data, key)

    def _commit(self, name: str, data: bytes, key: str) -> Stamp:
        return atomic.commit(self.writing_fd(), name, data, key, folder=self.path, give=self.give)

    def delete(self, name: str) -> bool:
        """Remove a file, or a symlink itself; tell whether there was one.

        Raises:
            CacheError: There is one, and it cannot be removed.
        """
        if not self.exists():
            return False
        try:
            os.unlink(name, dir_fd=self.writing_fd())
        except (FileNotFoundError, IsADirectoryError):
            return False
        except OSError as error:
            raise cache_error(error, os.path.join(self.path, os.fsencode(name))) from error
        return True

    def names(self) -> Iterator[str]:
        """Yield the names of everything in the folder, in no order; nothing is kept in memory.

        Raises:
            CacheError: The directory cannot be listed.
        """
        fd = self.reading_fd()
        if fd is None:
            return
        try:
            # An own descriptor: two listings through one would share their position.
            listed = os.open(b".", DIR_FLAGS, dir_fd=fd)
            try:
                with os.scandir(listed) as entries:
                    for entry in entries:
                        yield entry.name
            finally:
                let_go(listed)
        except OSError as error:
            if error.errno not in _NOT_THERE:
                raise cache_error(error, self.path) from error

    def _open_file(self, name: str) -> int:
        """Open without following a link."""
        folder = self._fd if self._fd is not None else self.reading_fd()
        if folder is None:
            raise FileNotFoundError(errno.ENOENT, "no such folder")
        return os.open(name, _FILE_FLAGS, dir_fd=folder)

    def _no_entry(self, error: OSError) -> bytes:
        """A link, a socket, somebody else's file, a bad sector: there, and no entry."""
        if error.errno in _OURS:
            raise cache_error(error, self.path) from error
        return NO_ENTRY


def _read_whole(fd: int) -> bytes:
    """Read a regular file to the size it has now, or give `NO_ENTRY`."""
    facts = os.fstat(fd)
    if not stat.S_ISREG(facts.st_mode) or facts.st_size > ENTRY_LIMIT_BYTES:
        if stat.S_ISDIR(facts.st_mode):
            raise IsADirectoryError
        return NO_ENTRY
    data = os.read(fd, facts.st_size)
    while len(data) < facts.st_size and (more := os.read(fd, facts.st_size - len(data))):
        data += more
    return data
