"""The program that does a node's batches: the local engine, fed through a socket.

A program of its own and no part of the Dask worker: the local engine forks helpers, arranges
signals, and must be able to die alone. It ends with its socket, however the Dask worker ends, and
by itself after a minute without work.
"""

from __future__ import annotations

import pickle
import queue
import signal
import sys
import threading
import traceback
from collections import deque
from contextlib import ExitStack, closing, suppress
from multiprocessing.connection import Connection
from time import monotonic
from typing import Final, Self

from pregen.delivery import Packer, Parcel, private_cache
from pregen.engines.base import Stop, StopLevel, load_factory
from pregen.engines.dask.messages import Done, NodeSetup
from pregen.engines.local.engine import LocalEngine
from pregen.errors import PregenError
from pregen.model import Job, Kind, Outcome

#: Long enough to outlast a pause of the client, short enough not to litter a cluster.
_IDLE_S: Final = 60.0
_VIEWS_EVERY_S: Final = 0.3
#: A run of a second is to show its workers, too.
_FIRST_VIEW_S: Final = 0.02


class _OpenBatch:
    """A batch that is not complete."""

    def __init__(self, number: int, jobs: list[Job]) -> None:
        self.number = number
        self.jobs = jobs
        self.came_s = monotonic()
        self.outcomes: list[Outcome] = []
        self.parcels: list[Parcel] = []


class _BatchFeed:
    """The jobs of all batches as they come; each under a number of this program's own.

    A batch may come twice, when the run believes that it was lost: its jobs' own numbers would then
    be in use already.
    """

    def __init__(self) -> None:
        self.batches: queue.SimpleQueue[_OpenBatch | None] = queue.SimpleQueue()
        """As they come; None: no more do."""
        self.open: dict[int, tuple[Job, _OpenBatch]] = {}
        self._ready: deque[Job] = deque()
        self._next = 0
        self._busy_until = monotonic() + _IDLE_S

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Job | None:
        if not self._ready:
            self._refill()
        if self._ready:
            return self._ready.popleft()
        if self.open:
            self._busy_until = monotonic() + _IDLE_S
        elif monotonic() > self._busy_until:
            raise StopIteration
        return None

    def never_begun(self) -> list[tuple[int, Job]]:
        """What the engine did not come to, by the numbers it has here."""
        with suppress(StopIteration):
            while not self.batches.empty():
                self._refill()
        return [(number, job) for number, (job, _) in self.open.items()]

    def _refill(self) -> None:
        with suppress(queue.Empty):
            batch = self.batches.get_nowait()
            if batch is None:
                raise StopIteration
            for job in batch.jobs:
                self.open[self._next] = job, batch
                self._ready.append(job._replace(job_id=self._next))
                self._next += 1


def main(descriptor: int) -> None:
    """Serve one run until the socket, the work, or patience ends."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)  # the socket's end says when it is over
    with closing(Connection(descriptor)) as pipe, ExitStack() as stack:
        setup: NodeSetup = pipe.recv()
        pack = None
        if setup.collect:
            config = setup.work_config
            root, pack = stack.enter_context(private_cache(setup.version, config.flavors))
            setup = setup._replace(work_config=config._replace(cache_root=root))
        try:
            _serve(setup, pipe, pack)
        except (BrokenPipeError, ConnectionError):
            return
        except Exception as error:  # noqa: BLE001 - reported to the node, which is not this program
            words = str(error) if isinstance(error, PregenError) else traceback.format_exc()
            with suppress(OSError):
                pipe.send(("failed", words))


def _serve(setup: NodeSetup, pipe: Connection, pack: Packer | None) -> None:
    feed, stop, lock, ended = _BatchFeed(), Stop(), threading.Lock(), threading.Event()
    engine = LocalEngine(
        load_factory(setup.work_factory), setup.work_config, setup.engine_config, setup.preload
    )
    threading.Thread(target=_listen, args=(pipe, feed, stop), daemon=True).start()
    threading.Thread(target=_show, args=(pipe, lock, engine, ended), daemon=True).start()
    try:
        with closing(engine.run(feed, stop)) as outcomes:
            for outcome in outcomes:
                _deliver(feed, outcome, pipe, lock, pack)
        for number, job in feed.never_begun():
            _deliver(feed, Outcome(number, job.path, Kind.INTERRUPTED), pipe, lock, pack)
    finally:
        ended.set()


def _deliver(
    feed: _BatchFeed, outcome: Outcome, pipe: Connection, lock: threading.Lock, pack: Packer | None
) -> None:
    """Put an outcome with its batch, and send that when it is the last one."""
    job, batch = feed.open.pop(outcome.job_id)
    batch.outcomes.append(outcome._replace(job_id=job.job_id))
    if pack is not None:
        batch.parcels.append(pack(job))
    if len(batch.outcomes) == len(batch.jobs):
        busy_s = monotonic() - batch.came_s
        done = Done(tuple(batch.outcomes), tuple(batch.parcels), busy_s)
        with lock:
            pipe.send(("done", batch.number, pickle.dumps(done)))


def _listen(pipe: Connection, feed: _BatchFeed, stop: Stop) -> None:
    try:
        while True:
            match pipe.recv():
                case ("batch", int(number), bytes(jobs)):
                    feed.batches.put(_OpenBatch(number, pickle.loads(jobs)))  # noqa: S301 - see `messages`
                case ("stop", StopLevel() as level):
                    stop.raise_to(level)
                case other:
                    raise ValueError(f"a node said {other!r}")
    except (EOFError, OSError):
        stop.raise_to(StopLevel.KILL)
        feed.batches.put(None)


def _show(
    pipe: Connection, lock: threading.Lock, engine: LocalEngine, ended: threading.Event
) -> None:
    shown = None
    while not ended.wait(_VIEWS_EVERY_S if shown else _FIRST_VIEW_S):
        views = tuple(engine.workers())
        if not shown and not any(view.path for view in views):
            continue
        if views != shown:
            shown = views
            with suppress(OSError), lock:
                pipe.send(("views", views))


if __name__ == "__main__":
    main(int(sys.argv[1]))
