"""Shared repositories: `.sh_thumbnails` beside the originals, for all machines that mount them.

Standard, Shared Thumbnail Repositories. Each is a cache of its own, whose URIs are the names of the
files beside it (`thumbspec.uri.shared_uris`) and whose files and folders have the rights of the
originals and of their folder. Folders that exist are taken as they are, with any owner, and
never mended; nothing is ever written through a symbolic link, which every user who may write among
the originals could have planted. Fail records are not kept: no program would read them.

A repository that cannot be written is the trouble of one folder of originals, not of a run.
"""

from __future__ import annotations

import errno
import os
import stat
from contextlib import suppress
from typing import TYPE_CHECKING, NamedTuple

from pregen.cache.atomic import TEMP_PATTERN
from pregen.cache.errors import cache_error, shown
from pregen.cache.folder import Folder
from pregen.cache.opening import DIR_FLAGS, OpenPolicy, open_beneath
from pregen.cache.store import Cache, sweep
from pregen.errors import CacheError, CacheFullError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from pregen.model import Flavor, Stamp

SHARED_NAME = b".sh_thumbnails"

_INSTEAD = "for your own thumbnails use `pregen run`"
#: Asking as the user we work as matters to set-user-ID programs only; not every system can.
_EFFECTIVE = os.access in os.supports_effective_ids
_FORBIDDEN = frozenset({errno.EACCES, errno.EPERM, errno.EROFS})

#: Linux keeps an access list under this name; the mode's group bits are then its mask (acl(5)).
_ACL = "system.posix_acl_access"
_NO_LIST = frozenset({errno.ENODATA, errno.EOPNOTSUPP, errno.ENOSYS})
#: For folders also sticky, and set-group-ID, by which they hand their group down.
_FOLDER_BITS = 0o3777
_FILE_BITS = 0o777


class Rights(NamedTuple):
    """Owner, group, mode and access list of a file or a folder, to be given to another.

    What cannot be given exactly is given more narrowly, never more widely.
    """

    mode: int
    uid: int
    gid: int
    access_list: bytes | None

    @classmethod
    def of(cls, fd: int) -> Rights:
        """Read them from an open file or folder.

        Raises:
            OSError: the file system does not answer.
        """
        facts = os.fstat(fd)
        bits = _FOLDER_BITS if stat.S_ISDIR(facts.st_mode) else _FILE_BITS
        return cls(facts.st_mode & bits, facts.st_uid, facts.st_gid, _access_list(fd))

    def give(self, fd: int) -> None:
        """Give them to an open file or folder of ours, as far as we may.

        The owner changes only when root works for another user. Where the group or the access
        list cannot be given, its members get no more than other users. File systems without modes
        keep theirs.

        Raises:
            OSError: the file system does not answer.
        """
        mode = self.mode
        if not self._give_owner(fd) or not self._give_list(fd):
            everybodys = (mode & 0o007) << 3
            mode &= ~0o2070 | everybodys
        with suppress(PermissionError):  # FAT and some network shares keep no modes
            os.fchmod(fd, mode)

    def _give_owner(self, fd: int) -> bool:
        now = os.fstat(fd)
        uid = self.uid if os.geteuid() == 0 else -1
        if now.st_gid == self.gid and uid in {-1, now.st_uid}:
            return True
        try:
            os.fchown(fd, uid, self.gid)
        except OSError:
            return now.st_gid == self.gid
        return True

    def _give_list(self, fd: int) -> bool:
        """Give the access list, or take away the one a new file got from its folder's default."""
        try:
            if self.access_list is not None:
                os.setxattr(fd, _ACL, self.access_list)
            elif _access_list(fd) is not None:
                os.removexattr(fd, _ACL)
        except OSError:
            return False
        return True


def _access_list(fd: int) -> bytes | None:
    try:
        return os.getxattr(fd, _ACL)
    except OSError as error:
        if error.errno in _NO_LIST:
            return None
        raise


class _Originals(Folder):
    """The folder of the originals: read, and written only by what is made in it.

    Args:
        path: absolute and clean.
        roots: nothing is written but in and below these, and no link below them is followed.
    """

    def __init__(self, path: bytes, roots: tuple[bytes, ...]) -> None:
        super().__init__(None, path)
        self._roots = roots

    def writing_fd(self) -> int:
        if self._fd is None or not self._writable:
            self.close()
            try:
                self._fd = open_beneath(self._roots, self.path)
            except OSError as error:
                if error.errno in {errno.ELOOP, errno.ENOTDIR}:
                    raise CacheError(
                        f"{shown(self.path)} lies behind a symbolic link, where nothing is shared: "
                        "give the folder that the link leads to"
                    ) from error
                raise _trouble(error, self.path) from error
            self._writable = True
        return self._fd


class _SharedFolder(Folder):
    """A repository, or a flavor in it."""

    def writing_fd(self) -> int:
        """Return the folder, made with the rights of the originals' folder if need be.

        Raises:
            CacheError: It cannot be made or used; the message says what to do.
        """
        if self._fd is None or not self._writable:
            self.close()
            above = self._parent.writing_fd() if self._parent else None
            try:
                self._fd = _open_or_make(self._name, above, self._originals_fd())
            except OSError as error:
                raise _trouble(error, self.path) from error
            self._writable = True
            self._sweep()
        return self._fd

    def _originals_fd(self) -> int | None:
        """The folder whose rights are given: the one above may just be made by another worker."""
        top = self._parent
        while top is not None and top._parent is not None:  # noqa: SLF001 - of its own kind
            top = top._parent  # noqa: SLF001 - likewise
        return top.writing_fd() if top else None

    def _commit(self, name: str, data: bytes) -> Stamp:
        try:
            return super()._commit(name, data)
        except CacheFullError:
            raise
        except CacheError as error:
            cause = error.__cause__
            if isinstance(cause, OSError) and cause.errno in _FORBIDDEN:
                raise _trouble(cause, self.path) from cause
            raise

    def _sweep(self) -> None:
        """Remove the temps of dead runs, once, before the first write."""
        if any(map(TEMP_PATTERN.fullmatch, self.names())):
            sweep(self)


class SharedRepository(Cache):
    """The repository beside the files in `directory`; nothing is made before it is needed.

    Args:
        directory: of the originals.
        version: pregen's.
        roots: in or below which it is written; without any it is read only.
    """

    def __init__(self, directory: bytes, version: str, roots: tuple[bytes, ...] = ()) -> None:
        self.directory = directory
        self._roots = roots
        self._originals = _Originals(directory, roots)
        super().__init__(os.path.join(directory, SHARED_NAME), version)

    def __reduce__(self) -> tuple[type[Cache], tuple[object, ...]]:
        return SharedRepository, (self.directory, self.version, self._roots)

    def _root_folder(self, policy: OpenPolicy) -> Folder:  # noqa: ARG002 - it has its own
        return _SharedFolder(self._originals, SHARED_NAME)

    def close(self) -> None:
        """Let go of all descriptors."""
        super().close()
        self._originals.close()

    def originals_fd(self) -> int:
        """Return the folder of the originals, open until `close`.

        Raises:
            CacheError: it lies behind a link, or cannot be opened.
        """
        return self._originals.writing_fd()

    def give_to_files(self, give: Callable[[int], None]) -> None:
        """Have `give` set the rights of every file that is written from now on."""
        for folder in self._flavors.values():
            folder.give = give

    def write_fail(self, uri: str, data: bytes) -> None:
        """Keep no fail record: see the module."""

    def obstacle(self, flavors: Iterable[Flavor]) -> str:
        """Return why entries of these flavors cannot be stored, for people; empty: they can.

        Asks only, so that nothing is decoded in vain; storing may fail all the same.
        """
        for flavor in flavors:
            place = self.directory
            for path in (place, self.root, self._flavors[flavor].path):
                try:
                    facts = os.lstat(path) if path != self.directory else os.stat(path)
                except FileNotFoundError:
                    break
                except OSError as error:
                    return str(_trouble(error, path))
                if not stat.S_ISDIR(facts.st_mode):
                    return str(_trouble(OSError(errno.ENOTDIR, ""), path))
                place = path
            if not os.access(place, os.W_OK | os.X_OK, effective_ids=_EFFECTIVE):
                read_only = os.statvfs(place).f_flag & os.ST_RDONLY
                number = errno.EROFS if read_only else errno.EACCES
                return str(_trouble(OSError(number, os.strerror(number)), place))
        return ""


class SharedRepositories:
    """All of them, one open at a time: sources come folder by folder."""

    def __init__(self, version: str, roots: tuple[bytes, ...] = ()) -> None:
        self._version = version
        self._roots = roots
        self._open: SharedRepository | None = None

    def beside(self, path: bytes) -> SharedRepository:
        """Return the repository beside a source; the one before is closed."""
        directory = os.path.dirname(path)
        if self._open is None or self._open.directory != directory:
            if self._open is not None:
                self._open.close()
            self._open = SharedRepository(directory, self._version, self._roots)
        return self._open

    def for_source(self, path: bytes, fd: int) -> Cache:
        """Return the repository beside an open source; what is written there has its rights.

        Raises:
            CacheError: its rights cannot be read.
        """
        repository = self.beside(path)
        try:
            repository.give_to_files(Rights.of(fd).give)
        except OSError as error:
            raise cache_error(error, path) from error
        return repository


def _open_or_make(name: bytes, above: int | None, like: int | None) -> int:
    flags = DIR_FLAGS | os.O_NOFOLLOW
    try:
        return os.open(name, flags, dir_fd=above)
    except FileNotFoundError:
        if above is None or like is None:
            raise
    rights = Rights.of(like)
    try:
        os.mkdir(name, rights.mode & 0o777, dir_fd=above)
    except FileExistsError:  # another worker was faster, and gives it its rights
        return os.open(name, flags, dir_fd=above)
    fd = os.open(name, flags, dir_fd=above)
    try:
        rights.give(fd)
    except BaseException:
        os.close(fd)
        raise
    return fd


def _trouble(error: OSError, path: bytes) -> CacheError:
    """Return what to raise, in words for a person who shares a folder."""
    where = shown(path)
    if error.errno in {errno.ELOOP, errno.ENOTDIR}:
        return CacheError(
            f"{where} is a symbolic link or a file, but shared thumbnails need a folder: "
            "remove it and run again"
        )
    if error.errno == errno.EROFS:
        return CacheError(f"{where} is on a file system that is mounted read-only: {_INSTEAD}")
    if error.errno in _FORBIDDEN:
        return CacheError(
            f"{where} cannot be written by user {os.geteuid()}: share it as its owner; {_INSTEAD}"
        )
    return cache_error(error, path)
