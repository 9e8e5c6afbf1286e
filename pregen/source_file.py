"""Opens sources for reading and says what they are now. Decodes nothing, writes nothing.

Symbolic links are followed: a linked photo is a source. What cannot be opened is a value in the
end, so the exception here carries the outcome's kind.
"""

from __future__ import annotations

import errno
import os
import resource
import stat
import time
from typing import TYPE_CHECKING, NamedTuple, Self

from pregen.cache.errors import let_go
from pregen.errors import TOO_MANY_OPEN
from pregen.model import Kind

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from pregen.filesystems.bounded import Status

#: Reading a library must not wear it: no access times, where that is allowed (owner only).
_NO_ATIME: int = getattr(os, "O_NOATIME", 0)
#: O_NONBLOCK: a FIFO that took a photo's place must not hang a worker.
_FLAGS = os.O_RDONLY | os.O_CLOEXEC | os.O_NOCTTY | os.O_NONBLOCK

#: Stays in the processor's cache between being read and being used.
_PORTION_BYTES = 256 * 1024
#: A file of 500 MB is asked every 8 MB.
_PROBES = 64
#: Fail rather than wait for the disk (Linux 4.14).
_NOWAIT: int = getattr(os, "RWF_NOWAIT", 0)
_THREAD: int = getattr(resource, "RUSAGE_THREAD", resource.RUSAGE_SELF)

#: The longest step in which a file system that numbers its files counts time.
_STEP_NS = 1_000_000_000

_VANISHED = frozenset({errno.ENOENT, errno.ENOTDIR})
#: A socket, or a device without a driver, cannot be opened at all.
_SPECIAL = frozenset({errno.ENXIO, errno.ENODEV})


class SourceAccessError(Exception):
    """A source that cannot be read. Ends one source, never a run; the message is for the user."""

    def __init__(self, kind: Kind, message: str) -> None:
        super().__init__(message)
        self.kind = kind
        """VANISHED, UNREADABLE or SPECIAL."""


class SourceStat(NamedTuple):
    """What fstat says of an open source; compare two to learn whether it changed."""

    size_bytes: int
    mtime_ns: int
    device: int
    inode: int
    linked: bool
    """Whether the file has a name still: one that was deleted or replaced has none."""


class SourceFile:
    """An open regular file. A context manager that closes it."""

    def __init__(self, fd: int, facts: SourceStat, ctime_ns: int = 0) -> None:
        self.fd = fd
        self.facts = facts
        """As at opening, before anything was read: what an entry says of its source."""
        self.ctime_ns = ctime_ns
        """When anything of it was last changed; 0 where that was so short a time ago that the next
        change may get the same time."""
        self.read: Callable[[int, int], bytes] | None = None
        """Offset and count -> bytes, where some is in memory; None: by the descriptor."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def size_bytes(self) -> int:
        """Size at opening."""
        return self.facts.size_bytes

    @property
    def mtime_ns(self) -> int:
        """Modification time at opening."""
        return self.facts.mtime_ns

    def pread(self, offset: int, count: int) -> bytes:
        """Read from anywhere: fewer bytes than asked for, or none at the end of the file.

        Raises:
            OSError: The file cannot be read.
        """
        return os.pread(self.fd, count, offset)

    def changed(self) -> bool:
        """Tell whether the file was written to, deleted or replaced since it was opened.

        Raises:
            SourceAccessError: UNREADABLE: the file system no longer answers for this file.
        """
        try:
            return facts_of(self.fd) != self.facts
        except OSError as error:
            raise access_error(error) from error

    def probe(self) -> None:
        """Read a byte here and there, so that a failing disk is not taken for a damaged file.

        Raises:
            OSError: The file cannot be read.
        """
        for part in range(_PROBES if self.size_bytes else 0):
            os.pread(self.fd, 1, self.size_bytes * part // _PROBES)

    def portions(self, offset: int, count: int) -> Iterator[memoryview]:
        """Yield so many bytes in portions, each good until the next; fewer at the end of the file.

        Raises:
            OSError: The file cannot be read.
        """
        buffer = memoryview(bytearray(min(count, _PORTION_BYTES)))
        while count > 0:
            got = os.preadv(self.fd, [buffer[: min(count, len(buffer))]], offset)
            if not got:
                return
            yield buffer[:got]
            offset += got
            count -= got

    def resident(self) -> bool:
        """Tell whether the kernel holds beginning and middle of the file, without waiting for them.

        The kernel does begin to read what is not there: so the beginning first, which will be
        needed anyway, and of a file that is on the disk not the middle, where a head would have to
        go. On a busy machine that read may end before it looks again, and the byte comes as if it
        had been there all along; but a read that was begun is counted as this thread's.
        """
        if not self.size_bytes:
            return False  # files of the kernel say so, and to read one may do something
        before = _blocks_read()
        for offset in (0, self.size_bytes // 2):
            try:
                there = os.preadv(self.fd, [bytearray(1)], offset, _NOWAIT)
            except OSError:
                return False
            if not there or _blocks_read() != before:
                return False
        return True

    def read_ahead(self, limit_bytes: int) -> None:
        """Have the kernel begin to read the file, up to a limit; returns at once."""
        os.posix_fadvise(self.fd, 0, min(self.size_bytes, limit_bytes), os.POSIX_FADV_WILLNEED)

    def forget(self) -> None:
        """Tell the kernel that the file's content will not be needed again."""
        os.posix_fadvise(self.fd, 0, 0, os.POSIX_FADV_DONTNEED)

    def close(self) -> None:
        """Close the file; a second time does nothing."""
        fd, self.fd = self.fd, -1
        if fd >= 0:
            let_go(fd)


def open_source(
    path: bytes, elsewhere: Callable[[], int] | None = None, folder_fd: int | None = None
) -> SourceFile:
    """Open a source without touching its access time, if that is allowed.

    Args:
        path: where it is.
        elsewhere: asked for an open descriptor where this process may not open it; raises OSError.
        folder_fd: of the open folder in which `path` is a name; a link there is not followed.

    Raises:
        SourceAccessError: VANISHED: not there, or a dangling link. SPECIAL: not a regular file.
            UNREADABLE: no permission, a disk or a server that fails, too many open files.
    """
    try:
        fd, now = _open_and_look(path, elsewhere, folder_fd)
        if not now.st_nlink and not _is_at(path, now, folder_fd):
            # Replaced since it was opened: no later look could tell.
            let_go(fd)
            fd, now = _open_and_look(path, elsewhere, folder_fd)
    except OSError as error:
        if error.errno == errno.ELOOP and folder_fd is not None:
            raise SourceAccessError(Kind.SPECIAL, "a symbolic link that is not followed") from error
        raise access_error(error) from error
    if not stat.S_ISREG(now.st_mode):
        let_go(fd)
        raise SourceAccessError(Kind.SPECIAL, "not a regular file")
    return SourceFile(fd, _facts(now), settled_ctime_ns(now))


def settled_ctime_ns(now: Status) -> int:
    """Return the change time of a file that was looked at just now; 0 where it is too fresh.

    File systems count in steps (a tick of the kernel, a second with ext3 and small inodes of ext4):
    what happens within one step happens at one time.
    """
    ctime_ns = now.st_ctime_ns
    return ctime_ns if time.time_ns() - ctime_ns >= _STEP_NS and ctime_ns > 0 else 0


def _blocks_read() -> int:
    """Return how much this thread has had read from disks (0 where the kernel does not count)."""
    return resource.getrusage(_THREAD).ru_inblock


def _open_and_look(
    path: bytes, elsewhere: Callable[[], int] | None, folder_fd: int | None
) -> tuple[int, os.stat_result]:
    fd = _open(path, elsewhere, folder_fd)
    try:
        return fd, os.fstat(fd)
    except OSError:
        let_go(fd)
        raise


def _is_at(path: bytes, facts: os.stat_result, folder_fd: int | None) -> bool:
    """Tell whether this is the file at the path: some file systems count no names."""
    try:
        return os.path.samestat(os.stat(path, dir_fd=folder_fd), facts)
    except OSError:
        return False


def _open(path: bytes, elsewhere: Callable[[], int] | None, folder_fd: int | None) -> int:
    flags = _FLAGS if folder_fd is None else _FLAGS | os.O_NOFOLLOW
    try:
        return os.open(path, flags | _NO_ATIME, dir_fd=folder_fd)
    except PermissionError:
        try:
            return os.open(path, flags, dir_fd=folder_fd)
        except PermissionError:
            if elsewhere is None:
                raise
            return elsewhere()
    except BlockingIOError:
        # A process holds a lease (Samba's oplocks do): a blocking open makes the kernel recall it.
        if not stat.S_ISREG(os.stat(path, dir_fd=folder_fd).st_mode):
            raise
        return os.open(path, flags & ~os.O_NONBLOCK, dir_fd=folder_fd)


def _facts(now: os.stat_result) -> SourceStat:
    return SourceStat(now.st_size, now.st_mtime_ns, now.st_dev, now.st_ino, now.st_nlink > 0)


def facts_of(fd: int) -> SourceStat:
    """Return what fstat says of an open source. Raises OSError."""
    return _facts(os.fstat(fd))


def access_error(error: OSError) -> SourceAccessError:
    """Return what to raise for an OSError met at a source, in words for its owner."""
    why = error.strerror or str(error)
    if error.errno in _VANISHED:
        return SourceAccessError(Kind.VANISHED, "no longer there")
    if error.errno in _SPECIAL:
        return SourceAccessError(Kind.SPECIAL, "not a regular file")
    if error.errno in {errno.EACCES, errno.EPERM}:
        return SourceAccessError(Kind.UNREADABLE, f"{why}: make it readable for this user")
    if error.errno in TOO_MANY_OPEN:
        return SourceAccessError(Kind.UNREADABLE, f"{why}: allow more open files (ulimit -n)")
    return SourceAccessError(Kind.UNREADABLE, f"{why}: check its disk or network share")
