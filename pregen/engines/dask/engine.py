"""The engine for many machines: the shell around `batches`.

It pulls from the feed, gives batches to a Dask cluster, and yields what comes back. Journal,
screen and lock stay with the client; nodes see jobs only.
"""

from __future__ import annotations

import os
import queue
from collections import Counter
from contextlib import ExitStack
from time import monotonic, sleep
from typing import TYPE_CHECKING, Final

from pregen import __version__
from pregen.config import DaskConfig
from pregen.engines.base import Stop, StopLevel, Store, WorkFactory, factory_name
from pregen.engines.dask.batches import BatchLedger, SilenceWatch
from pregen.engines.dask.cluster import (
    LOCAL,
    BatchLost,
    BatchReturned,
    Cluster,
    connected,
    is_exposed,
    scheduler_address,
)
from pregen.engines.dask.messages import NodeSetup, UnfitError
from pregen.engines.dask.node_check import check_answer, probe_file
from pregen.errors import ClusterError
from pregen.model import Kind, Outcome, Source, WorkerView

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator, Sequence

    from pregen.config import EngineConfig, WorkConfig
    from pregen.engines.dask.batches import Batch
    from pregen.engines.dask.cluster import ClusterEvent
    from pregen.engines.dask.messages import Done
    from pregen.model import Job

#: So many sources are looked up on every node before the first one is worked on.
_SAMPLES: Final = 8
#: Workers whose work is counted for the display; those that were replaced are among them.
_MOST_WORKERS: Final = 1000
#: A feed that has nothing ready is asked again after this long.
_POLL_S: Final = 0.005
_IDLE_S: Final = 0.05
_LOOK_EVERY_S: Final = 2.0
#: Pulling is interrupted after this long to look after what came back.
_PULL_S: Final = 0.05


class DaskEngine:
    """Nodes of a Dask cluster, each with a local engine of its own.

    Args:
        work_factory: made into work on the nodes; a module-level function.
        work_config: handed to `work_factory`.
        config: the limits on each node, and which cluster.
        preload: as for the local engine.
        store: takes the entries that nodes send back, when they are to.
    """

    def __init__(
        self,
        work_factory: WorkFactory,
        work_config: WorkConfig,
        config: EngineConfig,
        preload: Sequence[str] = (),
        store: Store | None = None,
    ) -> None:
        self._store = store
        self._dask = config.dask or DaskConfig()
        self._setup = NodeSetup(
            token="",
            version=__version__,
            work_factory=factory_name(work_factory),
            work_config=work_config,
            engine_config=_for_nodes(config, self._dask),
            preload=tuple(preload),
            samples=(),
            collect=self._dask.collect,
        )
        self._cluster: Cluster | None = None
        self._done: Counter[int] = Counter()

    @property
    def sandbox(self) -> str:
        """What its workers are confined by, for people."""
        return f"{self._setup.engine_config.sandbox.value}, on each node"

    @property
    def caution(self) -> str:
        """That machines on the way to the scheduler can give orders, where it is so.

        Raises:
            UsageError: the scheduler's address makes no sense.
            ClusterError: the file that holds it cannot be read.
        """
        address = scheduler_address(self._dask)
        if not is_exposed(address):
            return ""
        return (
            f"The connection to {address} is neither encrypted nor authenticated: everyone who "
            "can reach it can run programs here and on every node. On a network that others use, "
            "give the cluster certificates and use tls://."
        )

    def run(self, jobs: Iterator[Job | None], stop: Stop) -> Generator[Outcome]:
        """Do every job and yield one outcome for each.

        Raises:
            UsageError: the scheduler's address makes no sense.
            ClusterError: the cluster cannot be reached, cannot do this work, or is lost.
            CacheError: the cache cannot be written from here.
        """
        if stop.level:
            return
        with ExitStack() as stack:
            cluster = self._cluster = stack.enter_context(connected(self._dask))
            if not self._dask.collect:
                root = self._setup.work_config.cache_root
                stack.enter_context(probe_file(root, cluster.token))
            setup = self._setup._replace(token=cluster.token)
            run = _ClusterRun(cluster, setup, self._dask.node_timeout_s, self._store)
            try:
                for outcome in run.outcomes(jobs, stop):
                    if outcome.worker_pid and len(self._done) < _MOST_WORKERS:
                        self._done[outcome.worker_pid] += 1
                    yield outcome
            except UnfitError as error:
                raise ClusterError(str(error)) from error

    def workers(self) -> list[WorkerView]:
        """What every worker of every node is doing, as last heard. Called from another thread."""
        if self._cluster is None:
            return []
        done = dict(self._done)
        views = {view.pid: view for view in self._cluster.views()}
        idle = {pid: WorkerView(pid, None, 0.0, 0) for pid in done}
        # Nodes report what they do now and then; what is done is known here exactly.
        return [view._replace(done=done.get(pid, 0)) for pid, view in (idle | views).items()]


class _ClusterRun:
    """One run, from the first job to the last outcome."""

    def __init__(
        self, cluster: Cluster, setup: NodeSetup, node_timeout_s: float, store: Store | None
    ) -> None:
        self._cluster = cluster
        self._setup = setup
        self._store = store
        self._ledger = BatchLedger()
        self._silence = SilenceWatch(node_timeout_s)
        self._node_timeout_s = node_timeout_s
        self._kept: list[Job] = []
        """Pulled, and not in a batch yet."""
        self._slots = 0
        self._next_look_s = 0.0
        self._nodes_seen_s = monotonic()
        self._level = StopLevel.RUN
        self._ended = False
        self._feed_error: Exception | None = None

    def outcomes(self, jobs: Iterator[Job | None], stop: Stop) -> Generator[Outcome]:
        """Yield the outcomes."""
        if not self._begin(jobs, stop):
            return
        while True:
            self._heed(stop.level)
            if self._level:
                yield from self._interrupted()
            if self._level is StopLevel.KILL:
                yield from self._ledger.abandon()
                break
            waiting = self._send(jobs)
            if self._ended and not self._ledger.out and not self._kept:
                break
            yield from self._receive(_POLL_S if waiting else _IDLE_S)
            self._look()
        if self._feed_error is not None:
            raise self._feed_error

    def _begin(self, jobs: Iterator[Job | None], stop: Stop) -> bool:
        """Pull the first jobs and have the nodes look at their sources; False: there are none."""
        while not self._kept and not self._ended and not stop.level:
            self._pull(jobs, _SAMPLES)
            if not self._kept and not self._ended:
                sleep(_POLL_S)
        if not self._kept:
            return self._feed_error is not None
        samples = tuple(
            Source(job.path, job.size_bytes, job.mtime_ns) for job in self._kept if _is_here(job)
        )
        answers = self._cluster.introduce(self._setup._replace(samples=samples))
        if not self._setup.collect:
            for name, answer in answers.items():
                check_answer(self._setup.work_config.cache_root, name, answer)
        self._look()
        return True

    def _heed(self, level: StopLevel) -> None:
        if level > self._level:
            self._level = level
            self._ended = True
            self._cluster.stop(level)

    def _interrupted(self) -> Generator[Outcome]:
        """Give back what was pulled and not sent."""
        kept, self._kept = self._kept, []
        for job in kept:
            yield Outcome(job.job_id, job.path, Kind.INTERRUPTED)

    def _send(self, jobs: Iterator[Job | None]) -> bool:
        """Fill the nodes up; return whether the feed kept them waiting."""
        while (room := self._ledger.room(self._slots)) and (self._kept or not self._ended):
            size = self._ledger.size
            waiting = self._pull(jobs, size)
            if not self._kept or (waiting and len(self._kept) < size and room <= self._slots):
                return waiting  # some node has work still: a small batch can wait for company
            batch, self._kept = self._kept[:size], self._kept[size:]
            self._cluster.submit(self._setup, self._ledger.send(batch))
        return False

    def _pull(self, jobs: Iterator[Job | None], wanted: int) -> bool:
        """Keep up to `wanted` jobs; return whether the feed had nothing ready."""
        until_s = monotonic() + _PULL_S
        try:
            while not self._ended and len(self._kept) < wanted and monotonic() < until_s:
                job = next(jobs)
                if job is None:
                    return True
                self._kept.append(job)
        except StopIteration:
            self._ended = True
        except Exception as error:  # noqa: BLE001 - raised once the work in flight is done
            self._feed_error = error
            self._ended = True
        return False

    def _receive(self, patience_s: float) -> Generator[Outcome]:
        """Yield what has come back; wait for it when there is nothing."""
        try:
            event = self._cluster.events.get(timeout=patience_s)
            while True:
                yield from self._take(event)
                event = self._cluster.events.get_nowait()
        except queue.Empty:
            return

    def _take(self, event: ClusterEvent) -> Generator[Outcome]:
        match event:
            case BatchReturned(number, done):
                batch = self._ledger.returned(number, done.outcomes, done.busy_s, self._slots)
                if batch is not None:
                    yield from self._unpack(batch, done)
            case BatchLost(number, why):
                loss = self._ledger.lost(number, why)
                for batch in loss.again:
                    self._cluster.submit(self._setup, batch)
                yield from loss.outcomes
            case Exception() as error:
                raise error

    def _unpack(self, batch: Batch, done: Done) -> Generator[Outcome]:
        jobs = {job.job_id: job for job in batch.jobs}
        for number, outcome in enumerate(done.outcomes):
            job = jobs[outcome.job_id]
            if outcome.kind is Kind.VANISHED and _is_here(job):
                raise ClusterError(
                    f"A node does not see {job.path.decode(errors='backslashreplace')}, which "
                    "exists here. Check that its share is mounted on every node, then run "
                    "again."
                )
            if done.parcels and self._store is not None:
                yield self._store(job, outcome, done.parcels[number])
            else:
                yield outcome

    def _look(self) -> None:
        """Count the nodes, and give up those that are silent."""
        now_s = monotonic()
        if now_s < self._next_look_s:
            return
        self._next_look_s = now_s + _LOOK_EVERY_S
        nodes = self._cluster.identity()
        silent = self._silence.silent(
            {name: facts["last_seen"] for name, facts in nodes.items()}, now_s
        )
        for name in silent:
            self._cluster.give_up(name)
            del nodes[name]
        self._cluster.show_only(nodes)
        self._slots = sum(facts["nthreads"] for facts in nodes.values())
        if nodes:
            self._nodes_seen_s = now_s
        elif now_s - self._nodes_seen_s > 2 * self._node_timeout_s:
            raise ClusterError(
                "All nodes of the Dask cluster have disappeared. Finished thumbnails are in "
                "the cache; run the same command again when the nodes are back."
            )


def _for_nodes(config: EngineConfig, dask: DaskConfig) -> EngineConfig:
    """Say how many workers a node has; 0 for as many as its Dask worker has threads."""
    if dask.scheduler.startswith(LOCAL):
        return config._replace(workers=1)
    return config._replace(workers=dask.workers_per_node or 0)


def _is_here(job: Job) -> bool:
    """Tell whether a source is as it was planned."""
    try:
        facts = os.stat(job.path)
    except OSError:
        return False
    return (facts.st_size, facts.st_mtime_ns) == (job.size_bytes, job.mtime_ns)
