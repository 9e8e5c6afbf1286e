"""What is in a cache: every entry of every flavor and every fail record, whoever made them.

For verbs that look at the cache as a whole (clean, verify, export, failures, doctor); a run asks
for single entries by URI (`pregen.cache.store`). One pass over 100,000 entries takes about half
a second with their stat facts, and some seconds with their heads, which are read when asked for.

    with Inventory(root) as inventory:
        for folder in inventory.folders():      # normal, large, ..., then fail records by program
            for item in folder.items():         # entries; folder.others() for the rest
                item.key, item.stat.st_size     # costs nothing more
                item.head().first("Thumb::URI") # opens the file; may raise OSError or PngError
                item.remove()                   # only if it is still the file that was listed

Files that are no entries by their name or type (temps, links, somebody's notes) never come out of
`items`. No link to a file is ever followed. A link in the place of a folder is not followed either,
and named in `links`, unless the caller only reads and says so (`follow_folders`); the root itself
may be a link, as people keep caches on other disks. Descriptors belong to the `Inventory` and live
as long as it is open: items are of use until then, from one thread at a time.
"""

from __future__ import annotations

import errno
import os
import re
import stat
from contextlib import suppress
from typing import TYPE_CHECKING, Final, Self

from pregen.cache.errors import cache_error, let_go
from pregen.cache.folder import ENTRY_LIMIT_BYTES
from pregen.model import ALL_FLAVORS, Flavor, Stamp
from pregen.thumbspec.pngchunks import IEND, PngError, chunk
from pregen.thumbspec.pngtext import MTIME, URI, PngHead, read_head
from pregen.thumbspec.validity import HEAD_BYTES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

#: The name of an entry and of a fail record: md5 in hex digits (standard, Thumbnail Saving).
ENTRY_NAME: Final = re.compile(rb"[0-9a-f]{32}\.png")

_FAIL: Final = b"fail"
_DIR_FLAGS: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
#: O_NONBLOCK: a FIFO put in the place of an entry after it was listed must not hang the program.
_FILE_FLAGS: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY
#: Looking through a cache is no use of its entries: access times tell the least recently used.
_NO_ATIME: Final[int] = getattr(os, "O_NOATIME", 0)
#: Listed together and taken in the order of inodes, which on a disk is about that of the data:
#: read in the order of their names (hashes), entries make a disk seek for each one.
_BATCH: Final = 65536
#: How every PNG ends.
_END: Final = chunk(IEND, b"")
_NO_FOLDER: Final = frozenset({errno.ENOENT, errno.ENOTDIR, errno.ELOOP})


class Item:
    """A file in one folder of the cache, as it was when the folder was listed."""

    __slots__ = ("_head", "folder", "name", "stat")

    def __init__(self, folder: ItemFolder, name: bytes, facts: os.stat_result) -> None:
        self.folder = folder
        self.name = name
        """The file's name, without its folder."""
        self.stat = facts
        """Of the file itself, a link is not followed."""
        self._head: PngHead | None = None

    def __repr__(self) -> str:
        return f"Item({self.path!r})"

    @property
    def path(self) -> bytes:
        """The whole path, for messages."""
        return os.path.join(self.folder.path, self.name)

    @property
    def key(self) -> str:
        """The 32 hex digits. Only entries have a key."""
        return self.name[:32].decode("ascii")

    @property
    def stamp(self) -> Stamp:
        """What tells that nobody has replaced the file."""
        return stamp_of(self.stat)

    @property
    def identity(self) -> tuple[int, int, int, int]:
        """Device, inode, mtime (ns) and size: the same file, not written since.

        Not ctime: removing one of two names of a file (hard links) changes it for the other.
        """
        facts = self.stat
        return facts.st_dev, facts.st_ino, facts.st_mtime_ns, facts.st_size

    def read(self, limit_bytes: int = ENTRY_LIMIT_BYTES) -> bytes:
        """Return the file's first bytes, up to a limit, leaving its access time as it is.

        Raises:
            OSError: FileNotFoundError: it is gone. Anything else: it cannot be read now, which
                says nothing about its content.
        """
        fd = self._open()
        try:
            return _read(fd, min(self.stat.st_size, limit_bytes))
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
            PngError: It is no PNG, damaged before its picture, or cut off anywhere: corrupt. What
                is damaged within the picture passes.
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
        data = _read(fd, min(size_bytes, HEAD_BYTES))
        head = read_head(data)
        if not head.complete and len(data) < size_bytes:
            data = _read(fd, min(size_bytes, ENTRY_LIMIT_BYTES))
            head = read_head(data)
        if not head.complete:
            raise PngError("is cut off before its picture")
        tail = os.pread(fd, len(_END), max(0, size_bytes - len(_END)))
        if tail != _END or not (head.first(URI) and head.first(MTIME)):
            head = read_head(_read(fd, min(size_bytes, ENTRY_LIMIT_BYTES)), past_image=True)
            if not head.ended:
                raise PngError("is cut off within its picture")
        return head

    def unchanged(self) -> bool:
        """Tell whether the name still leads to the file that was listed, not written since."""
        now = self.folder.item(self.name)
        return now is not None and now.identity == self.identity

    def remove(self) -> bool:
        """Delete the file if it is unchanged; False: it was not, or is gone already.

        Raises:
            CacheError: It cannot be deleted.
        """
        if not self.unchanged():
            return False
        try:
            os.unlink(self.name, dir_fd=self.folder.fd)
        except FileNotFoundError:
            return False
        except OSError as error:
            raise cache_error(error, self.path) from error
        return True


class ItemFolder:
    """A folder of the cache: of a flavor, or of one program's fail records."""

    def __init__(self, path: bytes, fd: int, flavor: Flavor | None, program: str) -> None:
        self.path = path
        self.fd = fd
        """Open as long as the inventory is."""
        self.flavor = flavor
        """None for fail records."""
        self.program = program
        """Whose fail records these are, as `os.fsdecode` gives the folder's name; empty for a
        flavor, whose entries name their makers in their texts (`Software`)."""

    @property
    def name(self) -> str:
        """The path below the root: `large`, `fail/gnome-thumbnail-factory`."""
        return self.flavor.directory if self.flavor else f"fail/{self.program}"

    def items(self) -> Iterator[Item]:
        """Yield the entries (regular files with an entry's name), in the order of their inodes.

        Files that come or go meanwhile may be left out.

        Raises:
            CacheError: The folder cannot be listed.
        """
        return self._listed(is_entry)

    def others(self) -> Iterator[Item]:
        """Yield all that is no entry: other names, links, folders, sockets.

        Raises:
            CacheError: The folder cannot be listed.
        """
        return self._listed(lambda found: not is_entry(found))

    def item(self, name: bytes) -> Item | None:
        """Look a file up by its name; None: there is none, or it cannot be looked at."""
        try:
            return Item(self, name, os.stat(name, dir_fd=self.fd, follow_symlinks=False))
        except OSError:
            return None

    def _listed(self, wanted: Callable[[os.DirEntry[str]], bool]) -> Iterator[Item]:
        try:
            # An own descriptor: two listings through one would share their position.
            listed = os.open(b".", _DIR_FLAGS, dir_fd=self.fd)
        except OSError as error:
            raise cache_error(error, self.path) from error
        try:
            with os.scandir(listed) as found:
                batch: list[tuple[int, bytes]] = []
                for entry in found:
                    if wanted(entry):
                        batch.append((entry.inode(), os.fsencode(entry.name)))
                        if len(batch) == _BATCH:
                            yield from self._looked_up(batch)
                            batch.clear()
                yield from self._looked_up(batch)
        except OSError as error:
            raise cache_error(error, self.path) from error
        finally:
            let_go(listed)

    def _looked_up(self, batch: list[tuple[int, bytes]]) -> Iterator[Item]:
        batch.sort()
        for _, name in batch:
            with suppress(FileNotFoundError):
                yield Item(self, name, os.stat(name, dir_fd=self.fd, follow_symlinks=False))


class Inventory:
    """The cache at `root`, the thumbnails directory, opened for looking through it.

    Args:
        root: An absolute path; a cache that is not there is empty.
        follow_folders: Also look into folders that are symbolic links. For verbs that only read:
            a link may lead to anybody's files.
    """

    def __init__(self, root: bytes, *, follow_folders: bool = False) -> None:
        self.root = root
        self.links: list[bytes] = []
        """Folders that were passed over because they are links; filled by `folders`."""
        self._follow = follow_folders
        self._fds: list[int] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Let go of all descriptors: folders and items are of no use any more."""
        while self._fds:
            let_go(self._fds.pop())

    def folders(self) -> Iterator[ItemFolder]:
        """Yield the folders that are there: flavors, small to large, then fail records by program.

        Raises:
            CacheError: A folder cannot be opened or listed.
        """
        above = self._opened(self.root, None, self.root)
        if above is None:
            return
        for flavor in ALL_FLAVORS:
            name = os.fsencode(flavor.directory)
            path = os.path.join(self.root, name)
            if (fd := self._opened(name, above, path)) is not None:
                yield ItemFolder(path, fd, flavor, "")
        fails_path = os.path.join(self.root, _FAIL)
        fails = self._opened(_FAIL, above, fails_path)
        if fails is None:
            return
        try:
            programs = sorted(map(os.fsencode, os.listdir(fails)))
        except OSError as error:
            raise cache_error(error, fails_path) from error
        for name in programs:
            path = os.path.join(fails_path, name)
            if (fd := self._opened(name, fails, path)) is not None:
                yield ItemFolder(path, fd, None, os.fsdecode(name))

    def items(self) -> Iterator[Item]:
        """Yield the entries and fail records of all folders.

        Raises:
            CacheError: As `folders` and `ItemFolder.items`.
        """
        for folder in self.folders():
            yield from folder.items()

    def _opened(self, name: bytes, above: int | None, path: bytes) -> int | None:
        """Open a folder; None: there is none, or it is a link that shall not be followed."""
        follow = above is None or self._follow
        try:
            fd = os.open(name, _DIR_FLAGS | (0 if follow else os.O_NOFOLLOW), dir_fd=above)
        except OSError as error:
            if error.errno not in _NO_FOLDER:
                raise cache_error(error, path) from error
            if not follow and _is_folder_link(name, above):
                self.links.append(path)
            return None
        self._fds.append(fd)
        return fd


def is_entry(found: os.DirEntry[str]) -> bool:
    """Tell by name and type alone whether this is an entry or a fail record."""
    return bool(ENTRY_NAME.fullmatch(os.fsencode(found.name))) and found.is_file(
        follow_symlinks=False
    )


def stamp_of(facts: os.stat_result) -> Stamp:
    """Return the stamp of a file that was looked up."""
    return Stamp(facts.st_ino, facts.st_mtime_ns, facts.st_size)


def _read(fd: int, size_bytes: int) -> bytes:
    """Read from the start; less when the file has become shorter."""
    data = os.pread(fd, size_bytes, 0)
    while len(data) < size_bytes and (more := os.pread(fd, size_bytes - len(data), len(data))):
        data += more
    return data


def _is_folder_link(name: bytes, above: int | None) -> bool:
    try:
        return stat.S_ISLNK(os.stat(name, dir_fd=above, follow_symlinks=False).st_mode)
    except OSError:
        return False
