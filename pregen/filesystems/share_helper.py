"""The process that looks at the files of one share, so that only it hangs when the share hangs.

Run as a script by `pregen.filesystems.bounded`; imports the standard library only, to start
quickly. Requests and answers are lengths and marshalled values on one socket. A request is a tuple:
its word, and arguments. An answer is pairs, of which the last one begins with a word that is not
PART; it is an errno (FAILED) or the value (DONE), with a descriptor where one was asked for.
"""

from __future__ import annotations

import errno
import marshal
import os
import socket
import time
from itertools import islice
from struct import Struct
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

PART, DONE, FAILED = "part", "done", "failed"
LENGTH = Struct("<I")
#: What an entry of a folder is, without a look at what a link leads to.
OTHER, FOLDER, LINK = 0, 1, 2
#: Parts of an answer wait this long for company. Many slow files must not look like a share that
#: hangs.
_FLUSH_S = 0.1
_PART_ITEMS = 500
_READ_BYTES = 1 << 16


def facts(path: bytes | int, *, follow: bool = True) -> tuple[int, ...]:
    """Return what stat says: mode, inode, device, size, mtime, ctime (ns) and blocks."""
    found = os.stat(path, follow_symlinks=follow)
    return (
        found.st_mode,
        found.st_ino,
        found.st_dev,
        found.st_size,
        found.st_mtime_ns,
        found.st_ctime_ns,
        found.st_blocks,
    )


class _Server:
    def __init__(self, end: socket.socket) -> None:
        self._end = end
        self._scan: Iterator[os.DirEntry[str]] = iter(())
        """The folder that is being listed."""
        self._words: dict[str, Callable[..., Any]] = {
            "stat": lambda path, follow: facts(path, follow=follow),
            "stats": self._stats,
            "list": self._list,
            "more": self._more,
            "getxattr": os.getxattr,
            "readlink": os.readlink,
            "realpath": os.path.realpath,
            "open": os.open,
        }

    def serve(self) -> None:
        """Answer until the socket ends."""
        for word, *arguments in self._requests():
            try:
                value = self._words[word](*arguments)
            except (OSError, ValueError) as error:  # a name cannot hold a zero byte
                self._send(FAILED, getattr(error, "errno", None) or errno.EINVAL)
                continue
            if word == "open":
                self._hand_over(value)
            else:
                self._send(DONE, value)

    def _requests(self) -> Iterator[tuple[Any, ...]]:
        data = b""
        while more := self._end.recv(_READ_BYTES):
            data += more
            while len(data) >= LENGTH.size:
                end = LENGTH.size + LENGTH.unpack_from(data)[0]
                if len(data) < end:
                    break
                yield marshal.loads(data[LENGTH.size : end])  # noqa: S302 - from our parent
                data = data[end:]

    def _send(self, word: str, value: Any) -> None:
        data = marshal.dumps((word, value))
        self._end.sendall(LENGTH.pack(len(data)) + data)

    def _hand_over(self, descriptor: int) -> None:
        data = marshal.dumps((DONE, None))
        try:
            socket.send_fds(self._end, [LENGTH.pack(len(data)) + data], [descriptor])
        finally:
            os.close(descriptor)

    def _in_parts(self, items: Iterable[object]) -> None:
        """Send what comes, some at a time."""
        part: list[object] = []
        flushed_s = time.monotonic()
        for item in items:
            part.append(item)
            if len(part) >= _PART_ITEMS or time.monotonic() - flushed_s > _FLUSH_S:
                self._send(PART, part)
                part = []
                flushed_s = time.monotonic()
        if part:
            self._send(PART, part)

    def _stats(self, folder: bytes, names: list[bytes]) -> None:
        self._in_parts(_facts_or_errno(os.path.join(folder, name)) for name in names)

    def _list(self, path: bytes, most: int) -> tuple[tuple[int, ...], int | None]:
        """Begin to list a folder; return its facts, and as `_more`.

        It is entered before it is looked at: so an automount has happened.
        """
        folder = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            found = facts(folder)
            self._scan = os.scandir(folder)
        finally:
            os.close(folder)
        return found, self._more(most)

    def _more(self, most: int) -> int | None:
        """List so many more entries; return why no more can be listed, or None."""
        try:
            self._in_parts(map(_entry, islice(self._scan, most)))
        except OSError as error:
            return error.errno or errno.EIO
        return None


def _entry(entry: os.DirEntry[str]) -> tuple[bytes, int, int]:
    """Return name, kind and inode."""
    try:
        kind = LINK if entry.is_symlink() else FOLDER if entry.is_dir() else OTHER
    except OSError:
        kind = OTHER  # who looks at it is told why it cannot be
    return os.fsencode(entry.name), kind, entry.inode()


def _facts_or_errno(path: bytes) -> tuple[int, ...] | int:
    try:
        return facts(path)
    except OSError as error:
        return error.errno or errno.EIO


if __name__ == "__main__":
    _Server(socket.socket(fileno=os.dup(0))).serve()
