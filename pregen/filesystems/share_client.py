"""Has the files of one share looked at by a process that may hang (`share_helper`)."""

from __future__ import annotations

import errno
import marshal
import os
import socket
import stat
import threading
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Self

from pregen.filesystems import share_helper
from pregen.filesystems.helper_process import HelperProcess
from pregen.filesystems.share_helper import FAILED, FOLDER, LENGTH, LINK, PART
from pregen.filesystems.shares import ShareSilentError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

#: Entries of a folder that are asked for at once.
_LISTED_ENTRIES: Final = 10_000
_READ_BYTES: Final = 1 << 16


class RemoteStatus(NamedTuple):
    """What stat says of a file on a share, under the names that `os.stat_result` has."""

    st_mode: int
    st_ino: int
    st_dev: int
    st_size: int
    st_mtime_ns: int
    st_ctime_ns: int
    st_blocks: int


class ShareClient:
    """One share's helper process."""

    def __init__(self, silence_s: float) -> None:
        self._silence_s = silence_s
        self._process = HelperProcess(share_helper.__file__)
        self._data = b""
        self._descriptors: list[int] = []
        self._owes = False
        """An answer that was given up has not come yet."""
        self._lock = threading.Lock()
        self.ended = False

    def ask(self, *request: Any) -> tuple[list[Any], Any]:
        """Return the parts of an answer and its value: a descriptor where one was asked for.

        Raises:
            OSError: what the look raised.
            ShareSilentError: the share does not answer.
        """
        with self._lock:
            if self.ended:
                raise self._lost()
            self._collect()
            self._owes = True
            self._send(request)
            parts: list[Any] = []
            word, value = self._receive(self._silence_s)
            while word == PART:
                parts += value
                word, value = self._receive(self._silence_s)
            self._owes = False
            if word == FAILED:
                raise OSError(value, os.strerror(value))
            return parts, self._descriptors.pop() if self._descriptors else value

    def stat(self, path: bytes, *, follow: bool) -> RemoteStatus:
        """Return what stat says of a path. Raises OSError."""
        _, found = self.ask("stat", path, follow)
        return RemoteStatus(*found)

    def folder(self, path: bytes) -> ShareFolder:
        """Enter a folder. Raises OSError."""
        return ShareFolder(path, self)

    def _collect(self) -> None:
        """Take the answer that came too late. Raises ShareSilentError when it has not come."""
        while self._owes:
            word, _ = self._receive(0)
            self._owes = word == PART
        self._close_descriptors()

    def _send(self, request: tuple[Any, ...]) -> None:
        data = marshal.dumps(request)
        try:
            self._process.socket.settimeout(self._silence_s)
            self._process.socket.sendall(LENGTH.pack(len(data)) + data)
        except OSError as error:
            raise self._lost() from error

    def _receive(self, patience_s: float) -> tuple[str, Any]:
        self._process.socket.settimeout(patience_s)
        while True:
            if len(self._data) >= LENGTH.size:
                end = LENGTH.size + LENGTH.unpack_from(self._data)[0]
                if len(self._data) >= end:
                    whole, self._data = self._data[LENGTH.size : end], self._data[end:]
                    word, value = marshal.loads(whole)  # noqa: S302 - from a process of ours
                    return word, value
            try:
                data, descriptors, *_ = socket.recv_fds(self._process.socket, _READ_BYTES, 1)
            except (BlockingIOError, TimeoutError) as error:
                raise ShareSilentError from error
            except OSError as error:
                raise self._lost() from error
            for descriptor in descriptors:
                os.set_inheritable(descriptor, False)  # noqa: FBT003 - its own name
            self._descriptors += descriptors
            if not data:
                raise self._lost()
            self._data += data

    def _lost(self) -> OSError:
        self.close()
        return OSError(errno.EIO, "the process that looks at the share has ended: run again")

    def _close_descriptors(self) -> None:
        for descriptor in self._descriptors:
            os.close(descriptor)
        self._descriptors.clear()

    def close(self) -> None:
        """Let go of the process. Wakes who waits for it."""
        self.ended = True
        self._process.abandon()
        self._close_descriptors()


class ShareEntry:
    """An entry of a folder on a share, with what a walk asks of an `os.DirEntry`."""

    __slots__ = ("_folder", "_inode", "_kind", "name")

    def __init__(self, folder: ShareFolder, name: bytes, kind: int, inode: int) -> None:
        self._folder = folder
        self.name = name
        self._kind = kind
        self._inode = inode

    @property
    def path(self) -> bytes:
        """Folder and name."""
        return os.path.join(self._folder.path, self.name)

    def inode(self) -> int:
        """Return the number of the entry itself."""
        return self._inode

    def is_symlink(self) -> bool:
        """Tell whether it is a link."""
        return self._kind == LINK

    def is_dir(self, *, follow_symlinks: bool) -> bool:
        """Tell whether it is a folder; where links are not followed, one to a folder is none."""
        if follow_symlinks and self._kind == LINK:
            return stat.S_ISDIR(self.stat().st_mode)
        return self._kind == FOLDER

    def stat(self, *, follow_symlinks: bool = True) -> RemoteStatus:
        """Return what stat says of it. Raises OSError."""
        return self._folder.stat(self.name, follow=follow_symlinks or self._kind != LINK)


class ShareFolder:
    """A folder on a share, listed as `os.scandir` does. Listing another one ends this listing."""

    def __init__(self, path: bytes, client: ShareClient) -> None:
        """Enter it, and list its first entries.

        Raises:
            OSError: it cannot be entered.
        """
        self.path = path
        self._client = client
        self._entries: list[ShareEntry] = []
        self._seen: dict[bytes, RemoteStatus | OSError] = {}
        self._error: OSError | None = None
        self._complete = False
        parts, (found, code) = client.ask("list", path, _LISTED_ENTRIES)
        self.facts = RemoteStatus(*found)
        self._take(parts, code)

    def _take(self, parts: list[Any], code: int | None) -> None:
        self._complete = len(parts) < _LISTED_ENTRIES
        if code is not None:
            self._error = OSError(code, os.strerror(code))
        self._entries = [ShareEntry(self, *part) for part in reversed(parts)]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def __iter__(self) -> Iterator[ShareEntry]:
        return self

    def __next__(self) -> ShareEntry:
        if not self._entries and self._error is None and not self._complete:
            self._seen.clear()
            parts, code = self._client.ask("more", _LISTED_ENTRIES)
            self._take(parts, code)
        if self._entries:
            return self._entries.pop()
        if self._error is not None:
            error, self._error = self._error, None
            self._complete = True
            raise error
        raise StopIteration

    def look(self, names: Iterable[bytes]) -> None:
        """Look at what entries lead to, all at once: `stat` then tells it without asking."""
        asked = list(names)
        try:
            found, _ = self._client.ask("stats", self.path, asked)
        except OSError as error:
            self._seen.update(dict.fromkeys(asked, error))
            return
        for name, each in zip(asked, found, strict=True):
            failed = isinstance(each, int)
            self._seen[name] = OSError(each, os.strerror(each)) if failed else RemoteStatus(*each)

    def stat(self, name: bytes, *, follow: bool) -> RemoteStatus:
        """Return what stat says of an entry. Raises OSError."""
        seen = self._seen.get(name) if follow else None
        if seen is None:
            return self._client.stat(os.path.join(self.path, name), follow=follow)
        if isinstance(seen, OSError):
            raise seen
        return seen
