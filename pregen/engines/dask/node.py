"""What Dask calls on a node. Each of its workers has one program for each run (`node_program`).

Why the program is asked for a whole batch and does not itself run under Dask, one task per picture:
a decoder that crashes would take the Dask worker with it, and every other task's result that
lies there; one that hangs would hold a slot for ever; and a task costs the scheduler 200 us, which
it has only once for the whole cluster.
"""

from __future__ import annotations

import asyncio
import pickle
import queue
import socket
import subprocess
import threading
from collections import deque
from contextlib import suppress
from multiprocessing.connection import Connection
from typing import TYPE_CHECKING, Any, Final

from distributed import get_worker

from pregen import safepath
from pregen.engines.dask.messages import NodeDiedError, NodeSetup, NodeViews, UnfitError
from pregen.engines.dask.node_check import prove
from pregen.engines.local import resources

if TYPE_CHECKING:
    from distributed import Worker

    from pregen.engines.base import StopLevel

#: A program told to end has until then.
_LEAVE_S: Final = 5.0
_PROGRAM: Final = "pregen.engines.dask.node_program"

_lock = threading.Lock()
_programs: dict[tuple[str, str], _Program] = {}
#: Runs that have ended, so that a batch still on its way starts nothing.
_ended: deque[str] = deque(maxlen=64)


async def introduce(setup: NodeSetup, neighbours: dict[str, int], dask_worker: Worker) -> bytes:
    """Prove that this node can do the run's work, and start its program; return the answer.

    Args:
        setup: the run.
        neighbours: how many Dask workers there are on each host, by its name for Dask: they share
            its memory.
        dask_worker: given by Dask.

    Raises:
        UnfitError: this node cannot do it.
    """
    answer = await asyncio.to_thread(prove, setup)
    await asyncio.to_thread(_program, dask_worker, setup, neighbours)
    return answer


def do_batch(setup: NodeSetup, jobs: bytes) -> bytes:
    """Do pickled jobs; return a pickled `Done`.

    Raises:
        UnfitError: this node cannot do this run's work.
        NodeDiedError: the program ended before the batch did.
    """
    worker = get_worker()
    program = _of_run(setup.token, worker)
    if program is None:  # it joined in the middle of the run, or its program has died
        prove(setup)
        program = _program(worker, setup, {})
    return program.do(jobs)


async def stop(token: str, level: StopLevel, dask_worker: Worker) -> None:
    """Tell the program of a run to stop."""
    program = _of_run(token, dask_worker)
    if program is not None:
        await asyncio.to_thread(program.tell, ("stop", level))


async def dismiss(token: str, dask_worker: Worker) -> None:
    """End the program of a run, and wait for that."""
    with _lock:
        _ended.append(token)
    program = _of_run(token, dask_worker)
    if program is not None:
        await asyncio.to_thread(program.end)


def topic(token: str) -> str:
    """Name the Dask topic on which nodes say what their workers do."""
    return f"pregen-{token}"


class _Program:
    """The program of one Dask worker for one run, seen from there."""

    def __init__(self, worker: Worker, setup: NodeSetup) -> None:
        self._topic = topic(setup.token)
        self._worker = worker
        self._boxes: dict[int, queue.SimpleQueue[bytes | str]] = {}
        self._next = 0
        self._lock = threading.Lock()
        self._last_words = ""
        ours, theirs = socket.socketpair()
        with theirs:
            self._process = subprocess.Popen(  # noqa: S603 - our own program
                [*safepath.command(), "-m", _PROGRAM, str(theirs.fileno())],
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
            )
        self._pipe = Connection(ours.detach())
        self._pipe.send(setup)
        self.alive = True
        threading.Thread(target=self._listen, daemon=True).start()

    def do(self, jobs: bytes) -> bytes:
        box: queue.SimpleQueue[bytes | str] = queue.SimpleQueue()
        with self._lock:
            number = self._next
            self._next += 1
            self._boxes[number] = box
        self.tell(("batch", number, jobs))
        if not self.alive:
            self._give_up()
        done = box.get()
        if isinstance(done, bytes):
            return done
        if done:
            raise UnfitError(f"The node {socket.gethostname()} cannot work. Its message:\n{done}")
        raise NodeDiedError(f"the engine on {socket.gethostname()} died")

    def tell(self, message: tuple[Any, ...]) -> None:
        with self._lock, suppress(OSError):
            self._pipe.send(message)

    def end(self) -> None:
        """Have the program end; it does when its socket does."""
        with suppress(OSError), socket.socket(fileno=self._pipe.fileno()) as pipe:
            pipe.shutdown(socket.SHUT_RDWR)
            pipe.detach()
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(_LEAVE_S)
            return
        self._process.kill()
        self._process.wait()

    def _listen(self) -> None:
        with suppress(EOFError, OSError):
            while True:
                match self._pipe.recv():
                    case ("done", int(number), bytes(done)):
                        self._boxes.pop(number).put(done)
                    case ("views", tuple(views)):
                        shown = NodeViews(self._worker.address, views)
                        self._worker.log_event(self._topic, pickle.dumps(shown))
                    case ("failed", str(words)):
                        self._last_words = words
                    case other:
                        raise ValueError(f"a node's program said {other!r}")
        self.alive = False
        self._give_up()
        self._process.wait()
        self._pipe.close()

    def _give_up(self) -> None:
        for number in tuple(self._boxes):
            box = self._boxes.pop(number, None)
            if box is not None:
                box.put(self._last_words)


def _program(worker: Worker, setup: NodeSetup, neighbours: dict[str, int]) -> _Program:
    """Return the program of this worker for this run; start it if there is none."""
    with _lock:
        if setup.token in _ended:
            raise NodeDiedError("the run has ended")
        program = _programs.get((worker.address, setup.token))
        if program is None or not program.alive:
            program = _Program(worker, _fitted(worker, setup, neighbours))
            _programs[worker.address, setup.token] = program
            for key, other in tuple(_programs.items()):
                if not other.alive:
                    del _programs[key]
        return program


def _of_run(token: str, worker: Worker) -> _Program | None:
    program = _programs.get((worker.address, token))
    return program if program is not None and program.alive else None


def _fitted(worker: Worker, setup: NodeSetup, neighbours: dict[str, int]) -> NodeSetup:
    """Fit the run's limits to this node: its threads, and its part of the host's memory."""
    config = setup.engine_config
    if not config.workers:
        config = config._replace(workers=worker.state.nthreads)
    if config.memory_bytes is None:
        share = max(1, neighbours.get(worker.ip, 1))
        config = config._replace(memory_bytes=resources.memory_budget_bytes() // share)
    return setup._replace(engine_config=config)
