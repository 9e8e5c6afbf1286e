"""One folder of a cache: the files in it by name, and all of them by listing.

Two kinds of programs come here. A run asks for single entries by name and writes them: for it a
folder is created, has to be ours, and a wrong mode is mended. `clean`, `verify`, `doctor` and their
like look through whole folders as they are, and neither create nor mend anything
(`OpenPolicy`). A folder that is not there is empty for both.

No link to a file is ever followed. One instance is for one thread at a time.
"""

from __future__ import annotations

import errno
import os
import re
from contextlib import contextmanager, suppress
from itertools import islice
from typing import TYPE_CHECKING, Final, NamedTuple, Self

from pregen.cache import atomic
from pregen.cache.errors import FolderGoneError, cache_error, let_go
from pregen.cache.opening import DIR_FLAGS, OpenPolicy, open_ours
from pregen.model import Stamp
from pregen.thumbspec.pngchunks import END, PngError
from pregen.thumbspec.pngtext import MTIME, URI, PngHead, read_head
from pregen.thumbspec.validity import END_BYTES, HEAD_BYTES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from pregen.model import Flavor

#: The name of an entry and of a fail record: md5 in hex digits (standard, Thumbnail Saving).
ENTRY_NAME: Final = re.compile(r"[0-9a-f]{32}\.png")
_KEY_CHARS: Final = 32
#: No entry is larger than its pixels, incompressible and of 16 bits as some programs write them ...
_PIXEL_BYTES: Final = 8
#: ... and what it says; a fail record says as much. What is larger would only hold who reads it.
_TEXT_BYTES: Final = 1024 * 1024

#: O_NONBLOCK: a FIFO planted under an entry's name must not hang the run.
_FILE_FLAGS: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY
#: Looking through a cache does not count as use: access times tell the least recently used.
_NO_ATIME: Final[int] = getattr(os, "O_NOATIME", 0)

_NOT_THERE: Final = frozenset({errno.ENOENT, errno.ENOTDIR, errno.ELOOP})
#: What opening for writing mends, or puts into words.
_MENDED: Final = _NOT_THERE | {errno.EACCES, errno.ESTALE}
#: These say something about this process, nothing about the file.
_OF_PROCESS: Final = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOMEM})

#: Listed together and taken in the order of inodes, which on a disk is about that of the data:
#: read in the order of their names (hashes), entries make a disk seek for each one.
_BATCH: Final = 65536

#: Of what cannot be examined; no file has it.
NO_STAMP: Final = Stamp(0, 0, 0)
#: What reading gives for a file that is there and cannot be an entry: a judge says CORRUPT.
NO_ENTRY: Final = b""


def entry_limit_bytes(flavor: Flavor | None) -> int:
    """Return how large an entry may be, or a fail record (no flavor): more is not read."""
    box_px = flavor.box_px if flavor else 0
    return box_px * box_px * _PIXEL_BYTES + _TEXT_BYTES


class Examined(NamedTuple):
    """What `Folder.examine` saw of a file."""

    data: bytes
    """Its beginning."""
    stamp: Stamp
    end: bytes
    """Its last `END_BYTES`; empty where `data` is all of it."""


class FolderCount(NamedTuple):
    """What one folder holds."""

    entries: int = 0
    size_bytes: int = 0
    """Of the entries; the disk may take more, in whole blocks."""
    others: int = 0
    """Everything else: temps of a run under way, links, other people's files."""


class Folder:
    """A directory below `parent`, or, without one, at an absolute path.

    Args:
        parent: The folder above it.
        name: Relative to it.
        policy: How it is opened; without one, as `parent` is.
        flavor: Whose entries these are; None for fail records, and for folders of folders.
        program: Whose fail records these are; empty for entries, which name their makers in their
            texts (`Software`).
    """

    give: Callable[[int], None] | None = None
    """Gives a file written here other rights than 0600 (`atomic.commit`)."""

    def __init__(
        self,
        parent: Folder | None,
        name: bytes,
        policy: OpenPolicy | None = None,
        *,
        flavor: Flavor | None = None,
        program: str = "",
    ) -> None:
        self.path: bytes = os.path.join(parent.path, name) if parent else name
        self.flavor = flavor
        self.program = program
        self.limit_bytes: int = entry_limit_bytes(flavor)
        """What is larger cannot be an entry, and is not read."""
        self.policy: OpenPolicy = policy or (parent.policy if parent else OpenPolicy.OURS)
        self._parent = parent
        self._name = name
        self._fd: int | None = None
        self._writable = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def name(self) -> str:
        """The path below the root: `large`, `fail/gnome-thumbnail-factory`."""
        return self.flavor.directory if self.flavor else f"fail/{self.program}"

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

    # Opening.

    def reading_fd(self) -> int | None:
        """Return the directory as it is, or None when there is none that can be read.

        Raises:
            CacheError: Out of descriptors or memory, or the disk fails; also, unless it is OURS,
                no permission.
        """
        if self._fd is None:
            try:
                self._fd = self._opened()
            except OSError as error:
                self._raise_unless_absent(error)
        return self._fd

    def _opened(self) -> int | None:
        if self._parent is None or self.policy is not OpenPolicy.WITHOUT_LINKS:
            return os.open(self.path, DIR_FLAGS)
        above = self._parent.reading_fd()
        if above is None:
            return None
        return os.open(self._name, DIR_FLAGS | os.O_NOFOLLOW, dir_fd=above)

    def _raise_unless_absent(self, error: OSError) -> None:
        if error.errno not in (_MENDED if self.policy is OpenPolicy.OURS else _NOT_THERE):
            raise cache_error(error, self.path) from error

    def writing_fd(self) -> int:
        """Return the directory, created if need be, ours and 0700; unless OURS, as it is.

        Raises:
            CacheError: It cannot be made or used; the message says what to do.
            FileNotFoundError: It is not there, and is not to be made.
        """
        if self.policy is not OpenPolicy.OURS:
            return self.fd
        if self._fd is None or not self._writable:
            self.close()
            try:
                above = self._parent.writing_fd() if self._parent else None
                self._fd = open_ours(self._name, above, self.path)
            except OSError as error:
                raise cache_error(error, self.path) from error
            self._writable = True
        return self._fd

    @property
    def fd(self) -> int:
        """The directory as it is, open until `close`.

        Raises:
            FileNotFoundError: There is none that can be read.
            CacheError: As `reading_fd`.
        """
        fd = self.reading_fd()
        if fd is None:
            raise FileNotFoundError(errno.ENOENT, "no such folder")
        return fd

    def exists(self) -> bool:
        """Tell whether there is a directory to read."""
        return self.reading_fd() is not None

    def own_bytes(self) -> int:
        """Return the size of the directory itself, which grows with its names; 0: there is none.

        ZFS tells the number of its entries as its size; the blocks it takes are told everywhere
        (of 512 bytes: stat(3type)).

        Raises:
            CacheError: As `reading_fd`.
        """
        fd = self.reading_fd()
        if fd is None:
            return 0
        status = os.fstat(fd)
        return max(status.st_size, 512 * status.st_blocks)

    def probe(self) -> None:
        """Create the folder if need be, and try whether a file can be made in it.

        Raises:
            CacheError: It cannot.
        """
        atomic.probe(self.writing_fd(), folder=self.path)

    # Files, by name.

    def examine(self, name: str, limit_bytes: int = HEAD_BYTES) -> Examined | None:
        """Return a file's first and last bytes and its stamp; None: there is none.

        The bytes are `NO_ENTRY` for what cannot be an entry: a link, a socket, a file that may
        not be read, a bad sector, more than the limit of this folder.

        Raises:
            CacheError: Out of descriptors or memory.
        """
        try:
            fd = os.open(name, _FILE_FLAGS, dir_fd=self._fd if self._fd is not None else self.fd)
        except FileNotFoundError:
            return None
        except OSError as error:
            return self._no_entry(error)
        try:
            stamp = stamp_of(os.fstat(fd))
            file_bytes = stamp.size_bytes
            data = end = NO_ENTRY
            if file_bytes <= self.limit_bytes:
                data = _read(fd, min(file_bytes, limit_bytes))
                if len(data) < file_bytes:
                    end = os.pread(fd, END_BYTES, file_bytes - END_BYTES)
            return Examined(data, stamp, end)
        except IsADirectoryError:
            return None  # no desktop takes a directory for an entry, and it cannot be replaced
        except OSError as error:
            return self._no_entry(error)
        finally:
            let_go(fd)

    def _no_entry(self, error: OSError) -> Examined:
        if error.errno in _OF_PROCESS:
            raise cache_error(error, self.path) from error
        return Examined(NO_ENTRY, NO_STAMP, NO_ENTRY)

    def read(self, name: str) -> bytes | None:
        """Return a whole file; otherwise as the bytes of `examine`.

        Raises:
            CacheError: Out of descriptors or memory.
        """
        found = self.examine(name, self.limit_bytes)
        return None if found is None else found.data

    def write(self, name: str, data: bytes) -> Stamp:
        """Commit a file (`atomic.commit`); a folder that was removed meanwhile is made again.

        Raises:
            CacheError: As `atomic.commit`.
        """
        try:
            return self._commit(name, data)
        except FolderGoneError:
            self.forget()
            return self._commit(name, data)

    def _commit(self, name: str, data: bytes) -> Stamp:
        return atomic.commit(self.writing_fd(), name, data, name, folder=self.path, give=self.give)

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

    def file(self, name: str) -> CacheFile | None:
        """Look a file up; None: there is none, or it cannot be looked at."""
        try:
            return CacheFile(self, name, os.stat(name, dir_fd=self.fd, follow_symlinks=False))
        except OSError:
            return None

    # All files. Those that come or go meanwhile may be left out. All of these raise CacheError
    # when the directory cannot be listed.

    def names(self) -> Iterator[str]:
        """Yield the names of everything in the folder, in no order; nothing is kept in memory."""
        with self._listed() as found:
            for entry in found:
                yield entry.name

    def entry_names(self) -> Iterator[str]:
        """Yield the names of the entries, in the order of their inodes."""
        return self._by_inode(is_entry)

    def entries(self) -> Iterator[CacheFile]:
        """Yield the entries (regular files with an entry's name), in the order of their inodes."""
        return self._files(is_entry)

    def others(self) -> Iterator[CacheFile]:
        """Yield everything else: other names, links, folders, sockets."""
        return self._files(lambda found: not is_entry(found))

    def count(self) -> FolderCount:
        """Count what is here, by names, types and sizes."""
        entries = size_bytes = others = 0
        with self._listed() as found:
            for entry in found:
                if not is_entry(entry):
                    others += 1
                    continue
                with suppress(FileNotFoundError):  # removed or replaced this moment
                    size_bytes += entry.stat(follow_symlinks=False).st_size
                    entries += 1
        return FolderCount(entries, size_bytes, others)

    def _files(self, wanted: Callable[[os.DirEntry[str]], bool]) -> Iterator[CacheFile]:
        for name in self._by_inode(wanted):
            try:
                found = os.stat(name, dir_fd=self.fd, follow_symlinks=False)
            except FileNotFoundError:
                continue
            except OSError as error:
                raise cache_error(error, self.path) from error
            yield CacheFile(self, name, found)

    def _by_inode(self, wanted: Callable[[os.DirEntry[str]], bool]) -> Iterator[str]:
        with self._listed() as found:
            chosen = filter(wanted, found)
            while batch := [(entry.inode(), entry.name) for entry in islice(chosen, _BATCH)]:
                for _, name in sorted(batch):
                    yield name

    @contextmanager
    def _listed(self) -> Iterator[Iterator[os.DirEntry[str]]]:
        """Give what is in the folder, of which `is_file` and `stat` may be asked meanwhile."""
        fd = self.reading_fd()
        if fd is None:
            yield iter(())
            return
        try:
            # An own descriptor: two listings through one would share their position.
            listed = os.open(b".", DIR_FLAGS, dir_fd=fd)
            try:
                with os.scandir(listed) as found:
                    yield found
            finally:
                let_go(listed)
        except OSError as error:
            self._raise_unless_absent(error)


class CacheFile:
    """A file in one folder of the cache, as it was when the folder was listed."""

    __slots__ = ("_head", "folder", "name", "stat")

    def __init__(self, folder: Folder, name: str, found: os.stat_result) -> None:
        self.folder = folder
        self.name = name
        """The file's name, without its folder."""
        self.stat = found
        """Of the file itself, a link is not followed."""
        self._head: PngHead | None = None

    def __repr__(self) -> str:
        return f"CacheFile({self.path!r})"

    @property
    def path(self) -> bytes:
        """The whole path, for messages."""
        return os.path.join(self.folder.path, os.fsencode(self.name))

    @property
    def key(self) -> str:
        """The 32 hex digits. Only entries have a key."""
        return self.name[:_KEY_CHARS]

    @property
    def identity(self) -> tuple[int, int, int, int]:
        """Device, inode, mtime (ns) and size: the same file, not written since.

        Not ctime: removing one of two names of a file (hard links) changes it for the other.
        """
        found = self.stat
        return found.st_dev, found.st_ino, found.st_mtime_ns, found.st_size

    def read(self) -> bytes:
        """Return the file's content, leaving its access time as it is.

        What is larger than the folder's limit is cut, one byte behind it.

        Raises:
            OSError: FileNotFoundError: it is gone. Anything else: it cannot be read now, which
                says nothing about its content.
        """
        fd = self._open()
        try:
            return _read(fd, min(self.stat.st_size, self.folder.limit_bytes + 1))
        finally:
            let_go(fd)

    def _open(self) -> int:
        try:
            return os.open(self.name, _FILE_FLAGS | _NO_ATIME, dir_fd=self.folder.fd)
        except PermissionError:  # only its owner may leave a file's access time as it is
            return os.open(self.name, _FILE_FLAGS, dir_fd=self.folder.fd)

    def head(self) -> PngHead:
        """Return the PNG's header and texts; the file is opened once, later calls are free.

        Reads the first bytes and the last; reads on where the texts do not fit into the first,
        or where URI or MTime may stand behind the picture (some programs write them there).

        Raises:
            PngError: It is not a PNG, damaged before its picture, cut off anywhere, or larger than
                the folder's limit: corrupt.
                What is damaged within the picture passes.
            OSError: As `read`.
        """
        if self._head is None:
            fd = self._open()
            try:
                self._head = self._read_head(fd)
            finally:
                let_go(fd)
        return self._head

    def _read_head(self, fd: int) -> PngHead:
        size_bytes = self.stat.st_size
        if size_bytes > self.folder.limit_bytes:
            raise PngError("is far too large for a thumbnail")
        data = _read(fd, min(size_bytes, HEAD_BYTES))
        head = read_head(data)
        if not head.complete and len(data) < size_bytes:
            data = _read(fd, size_bytes)
            head = read_head(data)
        if not head.complete:
            raise PngError("is cut off before its picture")
        tail = os.pread(fd, END_BYTES, max(0, size_bytes - END_BYTES))
        if tail != END or not (head.first(URI) and head.first(MTIME)):
            head = read_head(_read(fd, size_bytes), past_image=True)
            if not head.ended:
                raise PngError("is cut off within its picture")
        return head

    def unchanged(self) -> bool:
        """Tell whether the name still leads to the file that was listed, not written since."""
        now = self.folder.file(self.name)
        return now is not None and now.identity == self.identity

    def remove(self) -> bool:
        """Delete the file if it is unchanged; False: it was not, or is gone already.

        Raises:
            CacheError: It cannot be deleted.
        """
        return self.unchanged() and self.folder.delete(self.name)


def is_entry(found: os.DirEntry[str]) -> bool:
    """Tell by name and type alone whether this is an entry or a fail record."""
    return bool(ENTRY_NAME.fullmatch(found.name)) and found.is_file(follow_symlinks=False)


def stamp_of(found: os.stat_result) -> Stamp:
    """Return the stamp of a file that was looked up."""
    return Stamp(found.st_ino, found.st_mtime_ns, found.st_size)


def _read(fd: int, size_bytes: int) -> bytes:
    """Read from the start; less when the file has become shorter."""
    data = os.pread(fd, size_bytes, 0)
    while len(data) < size_bytes and (more := os.pread(fd, size_bytes - len(data), len(data))):
        data += more
    return data
