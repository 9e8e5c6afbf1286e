"""The run's end of a worker's pipe: it never blocks, whatever the worker does or fails to do.

`multiprocessing.Connection` would: it reads a message to its end, and a worker that is stopped or
killed in the middle of one would take the run with it.
"""

from __future__ import annotations

import socket
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from pregen.engines.local.wire import Frames, Tag, WireError

if TYPE_CHECKING:
    from collections.abc import Iterator

#: One read takes all that a socket's buffer holds by default.
_READ_BYTES: Final = 1 << 18


class Pipe:
    """A stream socket with a backlog of what the worker has not taken yet."""

    def __init__(self, end: socket.socket) -> None:
        end.settimeout(0)
        self._socket = end
        self._frames = Frames()
        self._backlog = bytearray()
        self.closed = False
        """The other end is closed, and all that was in the pipe has been read."""
        self.senseless = False
        """What comes is no message: a dying worker's last words, or a worker gone mad."""
        self._dry = False

    def fileno(self) -> int:
        """Return the socket's descriptor, for a selector."""
        return self._socket.fileno()

    @property
    def backed_up(self) -> bool:
        """True while there is something to write; call `flush` when it can be written."""
        return bool(self._backlog)

    @property
    def last_words(self) -> bytes:
        """What came after the last frame."""
        return self._frames.rest

    def send(self, data: bytes) -> None:
        """Write `data` now or later. A worker that is gone is noticed elsewhere."""
        self._backlog += data
        self.flush()

    def flush(self) -> None:
        """Write what the socket takes."""
        try:
            while self._backlog:
                del self._backlog[: self._socket.send(self._backlog)]
        except BlockingIOError:
            pass
        except OSError:
            self._backlog.clear()
            # Should the worker be there all the same, it would wait for jobs that never come.
            with suppress(OSError):
                self._socket.shutdown(socket.SHUT_RDWR)

    def receive(self) -> list[tuple[Tag, bytes]]:
        """Read once; return the frames that are whole now."""
        self._dry = False
        try:
            data = self._socket.recv(_READ_BYTES)
        except BlockingIOError:
            self._dry = True
            return []
        except OSError:
            data = b""
        self.closed = not data
        frames: list[tuple[Tag, bytes]] = []
        try:
            frames.extend(self._frames.feed(data))
        except WireError:
            self.senseless = True
        return frames

    def receive_rest(self) -> Iterator[tuple[Tag, bytes]]:
        """Read all that a worker now dead has left."""
        self._dry = False
        while not (self.closed or self._dry):
            yield from self.receive()

    def end(self) -> None:
        """Tell the worker that nothing more will come; it can still write."""
        try:
            self._socket.shutdown(socket.SHUT_WR)
        except OSError:
            self.closed = True

    def close(self) -> None:
        """Close the socket."""
        self._socket.close()
