"""How a confined worker gets a source that it may not open: the run opens it and hands it over.

Linked pictures, folders behind links, files from a list, files named one by one: these may lie
anywhere, and a worker that may read anywhere is not confined. So it asks for the source of a job
it has been given, by the job's id, and gets an open descriptor or the reason why there is none.

Opening may take long (a share, which is given its time-out), so it is done in a thread of the
worker's own.
"""

from __future__ import annotations

import errno
import os
import socket
import threading
from contextlib import suppress
from queue import SimpleQueue
from struct import Struct
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from pregen.filesystems.bounded import BoundedFiles

_ANSWER: Final = Struct("<i")
#: As `source_file` opens: nothing that took a photo's place hangs a reader, and no access times.
_FLAGS: Final = os.O_RDONLY | os.O_CLOEXEC | os.O_NOCTTY | os.O_NONBLOCK
_NO_ATIME: Final[int] = getattr(os, "O_NOATIME", 0)


class SourceBroker:
    """The run's side, for one worker; `files` opens."""

    def __init__(self, end: socket.socket, files: BoundedFiles) -> None:
        self._end = end
        self._files = files
        self._asked: SimpleQueue[bytes | None] = SimpleQueue()
        self._thread: threading.Thread | None = None

    def open_for_worker(self, path: bytes) -> None:
        """Open `path` and send it, or refuse it if it is empty, soon. Returns at once."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._serve, name="pregen-broker", daemon=True)
            self._thread.start()
        self._asked.put(path)

    def close(self) -> None:
        """Close the socket of a worker that is gone."""
        if self._thread is None:
            self._end.close()
        else:
            self._asked.put(None)

    def _serve(self) -> None:
        while (path := self._asked.get()) is not None:
            with suppress(OSError):  # the worker is gone
                self._answer(path)
        self._end.close()

    def _answer(self, path: bytes) -> None:
        try:
            source = self._open(path)
        except OSError as error:
            self._end.sendall(_ANSWER.pack(error.errno or errno.EIO))
            return
        try:
            socket.send_fds(self._end, [_ANSWER.pack(0)], [source])
        finally:
            os.close(source)

    def _open(self, path: bytes) -> int:
        if not path:
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
        try:
            return self._files.open(path, _FLAGS | _NO_ATIME)
        except PermissionError:
            return self._files.open(path, _FLAGS)


def receive(end: socket.socket) -> int:
    """Wait for what was asked for; return its descriptor. The worker's side.

    Raises:
        OSError: it cannot be opened.
        EOFError: the run is gone.
    """
    data, descriptors, _, _ = socket.recv_fds(end, _ANSWER.size, 1, socket.MSG_CMSG_CLOEXEC)
    if not data:
        raise EOFError
    (code,) = _ANSWER.unpack(data)
    if code or not descriptors:
        raise OSError(code, os.strerror(code))
    return descriptors[0]
