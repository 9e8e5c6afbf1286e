"""Starting worker processes, by the fork server. This module knows processes, not jobs."""

from __future__ import annotations

import array
import fcntl
import os
import select
import socket
import termios
from contextlib import contextmanager, suppress
from multiprocessing import forkserver
from multiprocessing import process as mp_process
from typing import TYPE_CHECKING, Final

from pregen.engines.base import call
from pregen.engines.local import resources, server
from pregen.engines.local.broker import SourceBroker
from pregen.engines.local.channel import SharedSlot, WorkerPipe, new_memory
from pregen.engines.local.protocol import SLOT_FOLLOWS

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from multiprocessing.process import BaseProcess

    from pregen.engines.local.protocol import WorkerSetup
    from pregen.filesystems.bounded import BoundedFiles

#: The code in a worker, by its name: its imports, the sandbox above all, are not the run's.
_WORKER: Final = "pregen.engines.local.worker:main"
#: `multiprocessing` reports this when the fork server died before it could pass on a status, and
#: when a worker ended itself with 255.
_STATUS_LOST: Final = 255
#: How long a fork server that was killed may take to be gone. It may also be well, and what it
#: forked dead.
_SERVER_END_S: Final = 1.0


class WorkerProcess:
    """One worker process, seen from the run."""

    def __init__(
        self,
        number: int,
        process: BaseProcess,
        pipe: WorkerPipe,
        slot: SharedSlot,
        broker: SourceBroker | None,
    ) -> None:
        self.number = number
        self.broker = broker
        self._process = process
        self.pipe = pipe
        self.slot = slot
        self.sentinel = process.sentinel
        self.pid = process.pid or 0

    def kill(self) -> None:
        """Send SIGKILL."""
        self._process.kill()

    def join(self, timeout_s: float) -> None:
        """Wait for its end."""
        self._process.join(timeout_s)

    @property
    def is_alive(self) -> bool:
        """False once its end has been noticed."""
        return self._process.exitcode is None

    def exitcode(self) -> int | None:
        """Return how the dead process ended; None: that was lost with the fork server."""
        lost = _is_empty(self.sentinel)
        if self._process.exitcode is None:
            # One that was spawned closes its sentinel before it can be waited for.
            wait_until_gone(self.pid)
        exitcode = self._process.exitcode
        return None if exitcode == _STATUS_LOST and lost else exitcode

    def close(self) -> None:
        """Free everything of a process that is dead."""
        self._close_ends()
        self._process.join()
        self._process.close()
        wait_until_gone(self.pid)

    def abandon(self) -> None:
        """Forget a process that cannot be ended; Python's exit is not to wait for it either."""
        self._close_ends()
        getattr(mp_process, "_children", set()).discard(self._process)

    def _close_ends(self) -> None:
        self.pipe.close()
        if self.broker is not None:
            self.broker.close()


class Launcher:
    """Starts workers of one kind.

    Args:
        setup: what each is told at its start.
        preload: modules that the fork server imports once for all of them.
        folders: descriptors of the folders that are `opened` in `setup`; closed with this.
        files: opens what workers may not open.
    """

    def __init__(
        self,
        setup: WorkerSetup,
        preload: Sequence[str],
        folders: Sequence[int],
        files: BoundedFiles,
    ) -> None:
        self._setup = setup
        self._folders = folders
        self._files = files
        self._turns = -1
        """A file locked by the worker that reads from a disk that spins (`engines.base.Work`)."""
        self._context = server.context(preload)
        self.libraries = False
        """Workers that start from now on share the picture libraries."""
        self._told: int | None = None
        """Which fork server was told to import them."""

    def start(self, number: int) -> WorkerProcess:
        """Start worker `number`. Raises OSError or EOFError when that is not possible."""
        if self._turns < 0:
            self._turns = new_memory()
        ours, theirs = socket.socketpair()
        broker, outside = socket.socketpair() if self._setup.confined else (None, None)
        memory = new_memory()
        try:
            slot = SharedSlot(memory)
            slot.clear()
            given = [memory, self._turns, *self._folders]
            socket.send_fds(ours, [SLOT_FOLLOWS], given)
            process = self._context.Process(
                target=call,
                args=(_WORKER, self._setup, theirs, outside),
                name=f"pregen-worker-{number}",
                daemon=True,
            )
            with server.isolated():
                if self.libraries:
                    self._import_libraries()
                _start(process)
        except BaseException:
            _close(ours, broker)
            raise
        finally:
            _close(theirs, outside)
            os.close(memory)
        opener = SourceBroker(broker, self._files) if broker else None
        return WorkerProcess(number, process, WorkerPipe(ours), slot, opener)

    def close(self) -> None:
        """Free what the workers had in common."""
        held = [*self._folders, *([self._turns] if self._turns >= 0 else [])]
        self._folders, self._turns = (), -1
        for descriptor in held:
            os.close(descriptor)

    def _import_libraries(self) -> None:
        with suppress(OSError):  # the start itself tells
            forkserver.ensure_running()
        if self._told != server.pid():
            self._told = server.pid()
            server.import_libraries()


def _close(*ends: socket.socket | None) -> None:
    for end in ends:
        if end is not None:
            end.close()


def _start(process: BaseProcess) -> None:
    """Start a process, by a new fork server where the old one is just ending.

    A killed one drops and refuses connections some milliseconds before it can be waited for, and
    `multiprocessing` replaces it only after that: tries in a row would all fail.
    """
    try:
        process.start()
    except (ConnectionError, EOFError):
        server: int | None = vars(forkserver._forkserver)["_forkserver_pid"]  # noqa: SLF001 - as in worker
        if server is None:
            raise
        with _watched(server) as ending:
            select.select([ending], [], [], _SERVER_END_S)
        process.start()


def wait_until_gone(pid: int) -> None:
    """Wait for a process to end that was reported dead.

    When the fork server is killed, its pipes end before its workers are killed. What one of them
    was writing is to be there, whole or not, when the run sweeps.
    """
    if resources.is_linux():
        with suppress(OSError), _watched(pid) as ending:  # most were waited for: there is none
            select.select([ending], [], [], _SERVER_END_S)


@contextmanager
def _watched(pid: int) -> Iterator[int]:
    """A descriptor that is readable once a process has ended (Linux 5.3)."""
    descriptor = os.pidfd_open(pid)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _is_empty(descriptor: int) -> bool:
    """Return whether nothing is waiting in a pipe that says it is readable: it has ended."""
    waiting = array.array("i", [0])
    fcntl.ioctl(descriptor, termios.FIONREAD, waiting)
    return waiting[0] == 0
