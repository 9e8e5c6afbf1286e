"""Commits one file whole: a temp in the same directory, then a rename over the final name.

Other processes see the old file or the new one, never a part of one. Nothing is known here of
flavors and URIs, and dead temps are swept elsewhere (`pregen.cache.store`).

What a rename without fsync promises: all of the above, as long as the kernel lives. What it does
not: after a power cut the name may lead to a file that is empty or short, because the new name can
reach the disk before the data. For a cache that is the right price (an fsync costs milliseconds,
a commit some 50 microseconds): an empty or short file is judged CORRUPT by the next run, which
looks at its end, and made again.
"""

from __future__ import annotations

import errno
import os
import re
from contextlib import suppress
from itertools import count
from typing import TYPE_CHECKING, Final

from pregen.cache.errors import cache_error
from pregen.errors import CacheError
from pregen.model import Stamp

if TYPE_CHECKING:
    from collections.abc import Callable

FILE_MODE = 0o600

#: Linux host names have at most 64 characters (HOST_NAME_MAX); with it a temp's name stays far
#: below the 255 bytes that file systems allow.
_HOST_CHARS = 64
#: Names that are taken belong to dead runs with our number; more than a few in a row are a bug.
_NAME_TRIES = 100
#: What chmod says on file systems that keep no modes (FAT, some network shares).
_NO_MODES = frozenset({errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS})

TEMP_PREFIX = ".pregen-"
#: Linux knows files without a name; elsewhere this is no way to open a folder.
_NAMELESS: Final = os.O_WRONLY | os.O_CLOEXEC | getattr(os, "O_TMPFILE", 0)
TEMP_PATTERN = re.compile(
    rf"{re.escape(TEMP_PREFIX)}(?P<host>[A-Za-z0-9._]{{1,{_HOST_CHARS}}})-(?P<pid>[1-9][0-9]{{0,9}})"
    r"-[0-9]{1,20}-[0-9a-f]{8}\.tmp",
    re.ASCII,
)

_numbers = count()


class System:
    """The system calls a commit makes; a test replaces one to break one step."""

    open = staticmethod(os.open)
    fchmod = staticmethod(os.fchmod)
    write = staticmethod(os.write)
    close = staticmethod(os.close)
    replace = staticmethod(os.replace)
    unlink = staticmethod(os.unlink)


def host_label(host: str) -> str:
    """Return a host name as it stands in a temp's name: no `/`, and no `-`, which separates."""
    return re.sub(r"[^A-Za-z0-9._]", "_", host, flags=re.ASCII)[:_HOST_CHARS] or "localhost"


HOST = host_label(os.uname().nodename)


def temp_name(key: str) -> str:
    """Return a name no other commit of this or any other live process uses."""
    return f"{TEMP_PREFIX}{HOST}-{os.getpid()}-{next(_numbers)}-{key[:8]}.tmp"


def commit(
    dir_fd: int,
    name: str,
    data: bytes,
    key: str,
    *,
    folder: bytes = b"",
    give: Callable[[int], None] | None = None,
    system: type[System] = System,
) -> Stamp:
    """Put `data` under `name` in the directory, with mode 0600 under any umask.

    What is there under that name is replaced, a symlink itself and not what it leads to.
    When anything fails, the name is as it was before and no temp is left.

    Args:
        dir_fd: An open directory.
        name: The final name, relative to it.
        data: The whole file.
        key: Hex digits that help people to tell whose temp it is; the first 8 are used.
        folder: The directory's path, for messages.
        give: Gives the open file other rights than 0600 once its data is written.
        system: For tests.

    Returns:
        The stamp of the file as it was right before its rename, which changes none of it.

    Raises:
        CacheFullError: No space, no quota, or a file-size limit.
        FolderGoneError: The directory, or the temp, was removed meanwhile: may be tried again.
        CacheError: Any other reason.
    """
    try:
        temp, fd = _open_temp(dir_fd, key, system)
        try:
            stamp = _fill(fd, data, give, system)
            system.replace(temp, name, src_dir_fd=dir_fd, dst_dir_fd=dir_fd)
        except BaseException:
            _discard(dir_fd, temp, system)
            raise
    except OSError as error:
        raise cache_error(error, os.path.join(folder, os.fsencode(name))) from error
    return stamp


def probe(dir_fd: int, *, folder: bytes = b"") -> None:
    """Try whether this directory can be written at all, and leave it as it was.

    By a file without a name, or by an empty temp where there are none such: its name changes the
    directory's mtime, and code that goes by that has to look again (`Cache.sweep_all`).

    Raises:
        CacheError: It cannot; CacheFullError when there is no room for even a name.
    """
    with suppress(OSError):  # why not, the other way tells
        os.close(os.open(".", _NAMELESS, FILE_MODE, dir_fd=dir_fd))
        return
    try:
        temp, fd = _open_temp(dir_fd, "00000000", System)
        try:
            os.close(fd)
        finally:
            os.unlink(temp, dir_fd=dir_fd)
    except OSError as error:
        raise cache_error(error, folder) from error


def _open_temp(dir_fd: int, key: str, system: type[System]) -> tuple[str, int]:
    """Create a temporary file of a new name; a planted name is passed over, never opened."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    for _ in range(_NAME_TRIES):
        temp = temp_name(key)
        try:
            return temp, system.open(temp, flags, FILE_MODE, dir_fd=dir_fd)
        except FileExistsError:
            continue
        except BaseException:
            # A signal's exception can arrive between the creation and its return.
            _discard(dir_fd, temp, system)
            raise
    raise CacheError(
        f"{_NAME_TRIES} temporary names in a row exist already: remove the .pregen-*.tmp "
        "files from the cache's folders and run again"
    )


def _fill(fd: int, data: bytes, give: Callable[[int], None] | None, system: type[System]) -> Stamp:
    """Set the mode, write everything, close. The descriptor is closed in every case, once."""
    try:
        try:
            system.fchmod(fd, FILE_MODE)
        except OSError as error:
            # The file is ours, so this cannot be about rights: it was created 0600 & ~umask.
            if error.errno not in _NO_MODES:
                raise
        written = system.write(fd, data)
        if written != len(data):
            _write_rest(fd, memoryview(data)[written:], system)
        if give is not None:
            give(fd)
        now = os.fstat(fd)
    except BaseException:
        with suppress(OSError):
            system.close(fd)
        raise
    # Network file systems and quotas report a failed write here: it counts as one.
    system.close(fd)
    return Stamp(now.st_ino, now.st_mtime_ns, now.st_size)


def _write_rest(fd: int, rest: memoryview, system: type[System]) -> None:
    """Go on after a short write: a full disk takes what fits first and fails after that."""
    while rest:
        written = system.write(fd, rest)
        if not written:
            raise OSError(errno.EIO, "the file system accepts no more bytes and gives no reason")
        rest = rest[written:]


def _discard(dir_fd: int, temp: str, system: type[System]) -> None:
    with suppress(OSError):
        system.unlink(temp, dir_fd=dir_fd)
