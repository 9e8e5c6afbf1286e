"""How a run and a worker talk: by a pipe for messages, and a slot of shared memory beside it.

The run's end of the pipe never blocks: a worker may do anything, or nothing.
`multiprocessing.Connection` would: it reads a message to its end, and a worker that is stopped or
killed in the middle of one would take the run with it.

The slot holds the few numbers of which none needs a message. The worker writes which job it has in
flight, since when, how many it has finished, how much has come from shares and whether it waits for
one; the run writes one flag, and how many sources may be read ahead at a time, and how fast.
However the worker dies, the run knows exactly which job it was doing. Every number has one
writer. The order of writing makes a torn reading harmless: a job's start is in place before its id
is.
"""

from __future__ import annotations

import fcntl
import mmap
import os
import socket
import tempfile
from contextlib import suppress
from time import monotonic_ns
from typing import TYPE_CHECKING, Final

from pregen.engines.local.protocol import FrameReader, ProtocolError, SlotReading, Tag

if TYPE_CHECKING:
    from collections.abc import Iterator

#: One read takes all that a socket's buffer holds by default.
_READ_BYTES: Final = 1 << 18

# The cells of a slot, 8 bytes each.
_JOB, _STARTED_NS, _DONE, _DRAIN, _HEARD, _WAITS, _READERS, _BYTES_PER_S = range(8)
_SLOT_BYTES: Final = 8 * 8
_NO_JOB: Final = -1
_SEALS: Final[int] = sum(
    getattr(fcntl, name, 0) for name in ("F_SEAL_SHRINK", "F_SEAL_GROW", "F_SEAL_SEAL")
)


class WorkerPipe:
    """The run's end: a stream socket with a backlog of what the worker has not taken yet."""

    def __init__(self, end: socket.socket) -> None:
        end.settimeout(0)
        self._socket = end
        self._frames = FrameReader()
        self._backlog = bytearray()
        self.closed = False
        """The other end is closed, and all that was in the pipe has been read."""
        self.garbled = False
        """What comes is not a message: a dying worker's last words, or a worker gone mad."""
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
        except ProtocolError:
            self.garbled = True
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


def new_memory() -> int:
    """Return the descriptor of a new slot's memory, for the `SharedSlot` of either side.

    Its size is sealed: the run would be killed (SIGBUS) by reading what a worker has cut off.
    """
    if not hasattr(os, "memfd_create"):
        with tempfile.TemporaryFile() as file:
            os.ftruncate(file.fileno(), _SLOT_BYTES)
            return os.dup(file.fileno())
    descriptor = os.memfd_create("pregen-slot", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    os.ftruncate(descriptor, _SLOT_BYTES)
    fcntl.fcntl(descriptor, fcntl.F_ADD_SEALS, _SEALS)
    return descriptor


class SharedSlot:
    """Either side's view of one worker's numbers; it needs `descriptor` only to be made."""

    def __init__(self, descriptor: int) -> None:
        self._cells = memoryview(mmap.mmap(descriptor, _SLOT_BYTES)).cast("q")

    def clear(self) -> None:
        """Run, before the worker is there: say that no job is in flight."""
        self._cells[_JOB] = _NO_JOB

    def begin(self, job_id: int) -> int:
        """Worker: say that `job_id` is in flight; return the time (monotonic, ns)."""
        cells = self._cells
        now_ns = monotonic_ns()
        cells[_STARTED_NS] = now_ns
        cells[_JOB] = job_id
        return now_ns

    def end(self) -> None:
        """Worker: say that the job in flight is done."""
        cells = self._cells
        cells[_DONE] += 1
        cells[_JOB] = _NO_JOB

    @property
    def drained(self) -> bool:
        """Worker: whether the run wants back what has not been begun."""
        return bool(self._cells[_DRAIN])

    def drain(self) -> None:
        """Run: ask for what has not been begun."""
        self._cells[_DRAIN] = 1

    @property
    def readers(self) -> int:
        """Worker: how many sources may be read at a time on each share."""
        return max(1, self._cells[_READERS])

    @property
    def bytes_per_s(self) -> int:
        """Worker: how fast; 0: as fast as it goes."""
        return self._cells[_BYTES_PER_S]

    def hear(self, heard: int) -> None:
        """Worker: say how much has come from shares altogether."""
        self._cells[_HEARD] = heard

    def wait(self, *, waits: bool) -> None:
        """Worker: say that the job in flight waits for its share, or goes on."""
        self._cells[_WAITS] = waits

    def order(self, readers: int, bytes_per_s: int) -> None:
        """Run: say how sources are to be read ahead."""
        self._cells[_READERS] = readers
        self._cells[_BYTES_PER_S] = bytes_per_s

    def read(self) -> SlotReading:
        """Run: read what the worker is doing now."""
        cells = self._cells
        job_id, started_ns, done = cells[_JOB], cells[_STARTED_NS], cells[_DONE]
        job = None if job_id == _NO_JOB else job_id
        return SlotReading(job, started_ns, done, cells[_HEARD], bool(cells[_WAITS]))
