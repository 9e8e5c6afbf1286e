"""One run at a time per cache: an advisory lock on a file in it.

The kernel holds the lock (flock) and frees it when its holder ends, however it ends: what the file
says is for the message only, and a file left behind means nothing. It is never removed: that would
let two runs hold locks on two files of one name.

On a file system without locks the run goes on with a warning. That is safe: commits are atomic,
temps carry host and pid, and two runs at once only do some work twice.
"""

from __future__ import annotations

import errno
import fcntl
import os
import re
import time
from contextlib import suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Self

from pregen.cache.atomic import FILE_MODE, HOST
from pregen.cache.errors import cache_error, let_go, shown
from pregen.cache.folder import Folder
from pregen.errors import LockedError

if TYPE_CHECKING:
    from collections.abc import Callable

LOCK_NAME = b".pregen.lock"

_FLAGS = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
#: Network file systems answer in the words of fcntl locks.
_TAKEN = frozenset({errno.EWOULDBLOCK, errno.EAGAIN, errno.EACCES})
_UNSUPPORTED = frozenset({errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL})
#: How often a waiting run asks again; a blocking flock would not notice a request to stop.
_ASK_EVERY_S = 0.2
#: A file that is never the one by its name is on a file system without lasting inode numbers.
_REPLACED_TIMES = 10
_CONTENT = re.compile(rb"([0-9]{1,10}) ([A-Za-z0-9._]{1,64}) ([0-9T:+-]{19,25})\n")
_CONTENT_LIMIT_BYTES = 128


class CacheLock:
    """The lock of the cache at `root`. Entering it as a context acquires it without waiting."""

    def __init__(self, root: bytes) -> None:
        self._root = root
        self._path = os.path.join(root, LOCK_NAME)
        self._fd: int | None = None
        self.warning = ""
        """Set when the file system has no locks: to be shown to the user; the run goes on."""

    def __enter__(self) -> Self:
        self.acquire()
        return self

    def __exit__(self, *_: object) -> None:
        self.release()

    def acquire(
        self,
        *,
        wait: bool = False,
        waiting: Callable[[str], None] = lambda _why: None,
        stopped: Callable[[], bool] = lambda: False,
    ) -> None:
        """Take the lock; nothing happens when it is held by this object already.

        Args:
            wait: Wait for the holder to end.
            waiting: Told once, before a wait, who the holder is, in words for the user.
            stopped: Asked several times a second while waiting; True gives up.

        Raises:
            LockedError: Another run holds it, and `wait` is off or the wait was stopped.
            CacheError: The lock's file cannot be made.
        """
        with Folder(None, self._root) as folder:
            folder.writing_fd()
        replaced, told = 0, False
        while self._fd is None:
            holder = self._try(trusting=replaced >= _REPLACED_TIMES)
            if holder is None:
                replaced += 1
            else:
                why = _holder(holder, self._root)
                if not wait or stopped():
                    raise LockedError(f"{why}: let it end and run again, or run with --wait")
                if not told:
                    waiting(why)
                    told = True
                time.sleep(_ASK_EVERY_S)

    def release(self) -> None:
        """Free the lock; the file stays."""
        if self._fd is not None:
            let_go(self._fd)
            self._fd = None

    def _try(self, *, trusting: bool) -> bytes | None:
        """Ask once: set `_fd`, or return what the holder wrote into the file.

        None without a lock: the file was replaced meanwhile, unless one is `trusting`.
        """
        try:
            fd = os.open(self._path, _FLAGS, FILE_MODE)
        except OSError as error:
            raise cache_error(error, self._path) from error
        try:
            if not self._flock(fd):
                return os.pread(fd, _CONTENT_LIMIT_BYTES, 0)
            if trusting or self._is_in_place(fd):
                _sign(fd)
                self._fd = fd
        except OSError as error:
            raise cache_error(error, self._path) from error
        finally:
            if self._fd is None:
                let_go(fd)
        return None

    def _flock(self, fd: int) -> bool:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno in _TAKEN:
                return False
            if error.errno not in _UNSUPPORTED:
                raise
            self.warning = (
                f"{shown(self._root)} is on a file system without locks ({error.strerror}): "
                "make sure that no other run fills this cache"
            )
        return True

    def _is_in_place(self, fd: int) -> bool:
        """Tell whether the file we hold is still the one others will find by its name."""
        try:
            there = os.stat(self._path, follow_symlinks=False)
        except FileNotFoundError:
            return False
        return os.path.samestat(there, os.fstat(fd))


def _sign(fd: int) -> None:
    """Write who holds the lock. Full disks and odd file systems must not matter here."""
    now = datetime.now(UTC).isoformat(timespec="seconds")
    with suppress(OSError):
        os.fchmod(fd, FILE_MODE)
        os.ftruncate(fd, 0)
        os.pwrite(fd, f"{os.getpid()} {HOST} {now}\n".encode(), 0)


def _holder(content: bytes, root: bytes) -> str:
    """Return who holds the lock, by what it wrote into the file."""
    signed = _CONTENT.fullmatch(content)
    who = ""
    if signed:
        pid, host, start = (part.decode() for part in signed.groups())
        who = f" (process {pid} on {host}, since {start})"
    return f"another run{who} is filling {shown(root)}"
