"""Starting worker processes, and what has to be true around the start.

By fork server where there is one, else by spawn; never by fork, which copies the locks that other
threads hold at that moment. This module knows processes, not jobs.
"""

from __future__ import annotations

import _posixsubprocess
import array
import fcntl
import multiprocessing
import os
import select
import signal
import socket
import sys
import termios
from contextlib import contextmanager, suppress
from multiprocessing import forkserver, resource_tracker, util
from multiprocessing import process as mp_process
from types import ModuleType
from typing import TYPE_CHECKING, Any, Final

from pregen import safepath
from pregen.engines.local import resources, worker
from pregen.engines.local.broker import SourceBroker
from pregen.engines.local.channel import SharedSlot, WorkerPipe, new_memory

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from multiprocessing.context import ForkServerContext, SpawnContext
    from multiprocessing.process import BaseProcess

#: Read when a worker's libraries are loaded, so they must be in its environment before. One thread
#: in each worker: the parallelism is over sources. Huge pages for large blocks of memory (glibc
#: 2.35): a decoder that takes 100 MB for one picture otherwise spends more time in page faults
#: than in decoding.
WORKER_ENVIRONMENT: Final = {
    "GLIBC_TUNABLES": "glibc.malloc.hugetlb=1",
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "VIPS_CONCURRENCY": "1",
}
#: What else a worker is told of the run's environment, where its libraries look for their settings
#: and files. Tokens, passwords and addresses of agents stay with the run.
_KEPT: Final = frozenset(
    {
        "HOME", "LANG", "LANGUAGE", "LD_LIBRARY_PATH", "LD_PRELOAD", "PATH", "TMPDIR", "TZ",
        "TZDIR", "XDG_CACHE_HOME", "XDG_CONFIG_HOME", "XDG_DATA_DIRS", "XDG_DATA_HOME",
    }
)  # fmt: skip
_KEPT_FAMILIES: Final = (
    "ASAN_", "COVERAGE_", "DYLD_", "FONTCONFIG_", "GLIBC_", "JSIMD_", "LC_", "LIBHEIF_", "LSAN_",
    "MALLOC_", "MKL_", "OMP_", "OPENBLAS_", "ORC_", "PYTHON", "UBSAN_", "VIPS_",
)  # fmt: skip
#: `multiprocessing` reports this when the fork server died before it could pass on a status, and
#: when a worker ended itself with 255.
_STATUS_LOST: Final = 255
#: Of `_posixsubprocess.fork_exec`, which only `multiprocessing` looks up when it is called.
_ENVIRONMENT_PLACE: Final = 5
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
    """Starts workers of one kind; the fork server imports `preload` once for all of them."""

    def __init__(self, setup: worker.WorkerSetup, preload: Sequence[str]) -> None:
        self._setup = setup
        self._context = _context(preload)

    def start(self, number: int) -> WorkerProcess:
        """Start worker `number`. Raises OSError or EOFError when that is not possible."""
        ours, theirs = socket.socketpair()
        broker, outside = socket.socketpair() if self._setup.confined else (None, None)
        memory = new_memory()
        try:
            slot = SharedSlot(memory)
            slot.clear()
            socket.send_fds(ours, [worker.SLOT_FOLLOWS], [memory])
            process = self._context.Process(
                target=worker.main,
                args=(self._setup, theirs, outside),
                name=f"pregen-worker-{number}",
                daemon=True,
            )
            with _isolated():
                _start(process)
        except BaseException:
            _close(ours, broker)
            raise
        finally:
            _close(theirs, outside)
            os.close(memory)
        return WorkerProcess(
            number, process, WorkerPipe(ours), slot, SourceBroker(broker) if broker else None
        )


def _close(*ends: socket.socket | None) -> None:
    for end in ends:
        if end is not None:
            end.close()


def _context(preload: Sequence[str]) -> ForkServerContext | SpawnContext:
    if "forkserver" not in multiprocessing.get_all_start_methods():
        return multiprocessing.get_context("spawn")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([worker.__name__, *preload])
    return context


@contextmanager
def _isolated() -> Iterator[None]:
    """Keep from the new process what is the run's own affair.

    * Ctrl-C comes to the whole group, and SIGTERM where a service is ended: both stay blocked until
      the worker ignores them, and a fork server does not die of them, nor its workers of its death.
    * `multiprocessing` would import the program's main module in every worker, and with it the
      command line and the display. It finds an empty one.
    * All of its environment that no library needs; `WORKER_ENVIRONMENT` comes instead, unless the
      user has said otherwise.
    * The current folder, as a place of modules.
    """
    main = sys.modules["__main__"]
    with _environment(worker_environment(os.environ)), _safe_flags():
        # It unblocks both signals when it starts, right before the fork server would inherit the
        # mask.
        resource_tracker.ensure_running()
        blocked = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM})
        sys.modules["__main__"] = ModuleType("__main__")
        try:
            yield
        finally:
            sys.modules["__main__"] = main
            signal.pthread_sigmask(signal.SIG_SETMASK, blocked)


def worker_environment(environ: Mapping[str, str]) -> dict[str, str]:
    """Return what a worker is told of the run's environment, and for its libraries."""
    kept = {
        name: value
        for name, value in environ.items()
        if name in _KEPT or name.startswith(_KEPT_FAMILIES)
    }
    return WORKER_ENVIRONMENT | kept | safepath.environment()


@contextmanager
def _environment(whole: Mapping[str, str]) -> Iterator[None]:
    """Have `multiprocessing` start processes in this environment, not in ours.

    Ours stays as it is meanwhile: other threads read it.
    """
    given: Callable[..., int] = vars(_posixsubprocess)["fork_exec"]
    block = [os.fsencode(f"{name}={value}") for name, value in whole.items()]

    def fork_exec(*arguments: Any) -> int:
        return given(*arguments[:_ENVIRONMENT_PLACE], block, *arguments[_ENVIRONMENT_PLACE + 1 :])

    vars(_posixsubprocess)["fork_exec"] = fork_exec
    try:
        yield
    finally:
        vars(_posixsubprocess)["fork_exec"] = given


@contextmanager
def _safe_flags() -> Iterator[None]:
    """Have `multiprocessing` add -P where it hands on -E: Python ignores the environment then."""
    names, name = vars(util), "_args_from_interpreter_flags"
    if not (sys.flags.ignore_environment and safepath.is_wanted()):
        yield
        return
    given: Callable[[], list[str]] = names[name]
    names[name] = lambda: [*given(), "-P"]
    try:
        yield
    finally:
        names[name] = given


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
