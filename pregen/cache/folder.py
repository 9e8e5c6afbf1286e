"""One directory of the cache, opened when it is needed, and the files in it, by name.

For reading it is taken as it is, and one that is not there is empty. For writing it is created,
has to be ours, and a wrong mode is mended (`pregen.cache.folder`).

Knows nothing of flavors, URIs or PNG. An instance is for one thread at a time.
"""

from __future__ import annotations

import errno
import os
import stat
from contextlib import suppress
from typing import TYPE_CHECKING, Self

from pregen.cache import atomic
from pregen.cache.errors import FolderGoneError, cache_error, let_go, shown
from pregen.errors import CacheError
from pregen.model import Stamp

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


# --- Opens a directory of the cache for writing: created if need be, ours, 0700
#
# Symbolic links are followed (people keep the cache on another disk) when the link is ours or
# root's and the directory it leads to is ours: anything else may have been planted by somebody else
# while a mode was too open. Whether a file can be made in it, trying tells (`atomic.probe`).


DIR_FLAGS = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
DIR_MODE = 0o700


def open_ours(name: bytes, above: int | None, path: bytes) -> int:
    """Return a descriptor of the directory `name`.

    By the descriptor of the one above it: once that is 0700, nobody can plant a link.

    Args:
        name: Relative to `above`, or absolute without it: then the missing folders above it are
            created too, and those that are there keep their modes.
        above: An open directory of ours.
        path: The whole path, for messages.

    Raises:
        CacheError: Something else is there, or it is not ours.
        OSError: The system refused; not yet put into words for the user.
    """
    if above is None:
        _make_ancestors(os.path.dirname(name))
    fd = _open_or_make(name, above, path)
    try:
        _check(fd, name, above, path)
    except BaseException:
        let_go(fd)
        raise
    return fd


def _open_or_make(name: bytes, above: int | None, path: bytes) -> int:
    try:
        return os.open(name, DIR_FLAGS, dir_fd=above)
    except FileNotFoundError:
        _make(name, above)
    except PermissionError:
        # Perhaps ours, with a mode that locks us out.
        if os.stat(name, dir_fd=above).st_uid != os.geteuid():
            raise
        os.chmod(name, DIR_MODE, dir_fd=above)
    except NotADirectoryError:
        raise CacheError(f"{shown(path)} is not a directory: move it away and run again") from None
    try:
        return os.open(name, DIR_FLAGS, dir_fd=above)
    except FileNotFoundError:
        if not os.path.islink(path):
            raise
        raise CacheError(
            f"{shown(path)} is a symbolic link to a directory that is not there: mount its disk,"
            " or remove the link"
        ) from None


def _check(fd: int, name: bytes, above: int | None, path: bytes) -> None:
    """Refuse what is not ours, mend the mode of what is."""
    facts = os.fstat(fd)
    link = os.stat(name, dir_fd=above, follow_symlinks=False)
    us = os.geteuid()
    if stat.S_ISLNK(link.st_mode) and link.st_uid not in {us, 0}:
        raise CacheError(
            f"{shown(path)} is a symbolic link made by user {link.st_uid}: remove it, or choose"
            " another cache with XDG_CACHE_HOME"
        )
    if facts.st_uid != us:
        raise CacheError(
            f"{shown(path)} belongs to user {facts.st_uid} and pregen runs as user {us}: run it"
            " as that user, give the folder to this one (chown -R), or choose another cache with"
            " XDG_CACHE_HOME"
        )
    if stat.S_IMODE(facts.st_mode) & 0o777 != DIR_MODE:
        with suppress(OSError):  # file systems without modes; the probe finds the rest
            os.fchmod(fd, DIR_MODE)


def _make(name: bytes, above: int | None) -> None:
    """Create a directory with mode 0700 under any umask; somebody else may have just done so."""
    try:
        os.mkdir(name, DIR_MODE, dir_fd=above)
    except FileExistsError:
        return
    with suppress(OSError):  # file systems without modes
        os.chmod(name, DIR_MODE, dir_fd=above)


def _make_ancestors(path: bytes) -> None:
    """Create what is missing above the cache, 0700 (XDG base directory specification)."""
    if not os.path.isdir(path) and path != os.path.dirname(path):
        _make_ancestors(os.path.dirname(path))
        _make(path, None)
        if not os.path.isdir(path):
            raise CacheError(
                f"{shown(path)} is not a directory, or a symbolic link to one that is not there:"
                " move it away or mount its disk, or set XDG_CACHE_HOME"
            )


# --- One directory of the cache, opened when it is needed, and the files in it, by name


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
