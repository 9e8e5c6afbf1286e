"""A connection to a Dask cluster, or a small one of our own; everything here is Dask's words."""

from __future__ import annotations

import json
import logging
import pickle
import queue
import threading
import uuid
from collections import Counter
from contextlib import ExitStack, contextmanager, suppress
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import dask
from distributed import Client, LocalCluster
from distributed.comm.addressing import (
    parse_address,
    parse_host_port,
    unparse_address,
    unparse_host_port,
)
from distributed.comm.registry import get_backend

from pregen.engines.dask import node
from pregen.engines.dask.messages import Done, NodeSetup, NodeViews, UnfitError
from pregen.errors import ClusterError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Container, Iterator

    from pregen.config import DaskConfig
    from pregen.engines.base import StopLevel
    from pregen.engines.dask.batches import Batch
    from pregen.model import WorkerView

LOCAL: Final = "local:"
_ENCRYPTED: Final = frozenset({"tls", "wss"})
#: Where `dask scheduler` listens by default.
_SCHEDULER_PORT: Final = 8786
#: Overlapping batches hide the way between them.
_LOCAL_THREADS: Final = 2
#: How long the end of a run waits for the nodes; those that do not hear of it end by themselves.
_LAST_WORDS_S: Final = 5.0
#: Dask counts a worker's death against the tasks it had, and gives up after a few: not an exception
#: of ours, but of the cluster.
_NODE_TROUBLE: Final = frozenset({"KilledWorker", "NodeDiedError", "CommClosedError"})


class BatchReturned(NamedTuple):
    """A batch came back."""

    number: int
    done: Done


class BatchLost(NamedTuple):
    """A batch did not come back, because of its node."""

    number: int
    why: str


ClusterEvent = BatchReturned | BatchLost | Exception
"""An exception: the run cannot go on."""


class Cluster:
    """The nodes, for one run. Made by `connected`."""

    def __init__(self, client: Client, address: str) -> None:
        self._client = client
        self._address = address
        self._views: dict[str, tuple[WorkerView, ...]] = {}
        self.events: queue.SimpleQueue[ClusterEvent] = queue.SimpleQueue()
        self.token = uuid.uuid4().hex

    def identity(self) -> dict[str, dict[str, Any]]:
        """Return what the scheduler knows of each node, by its address.

        Raises:
            ClusterError: the scheduler does not answer.
        """
        try:
            return dict(self._client.sync(self._scheduler().identity)["workers"])
        except (OSError, RuntimeError, TimeoutError) as error:
            raise self.gone() from error

    def gone(self) -> ClusterError:
        """Say that the scheduler is lost."""
        return ClusterError(
            f"The Dask scheduler at {self._address} has disappeared. Finished thumbnails are "
            "in the cache; run the same command again when the scheduler is back."
        )

    def introduce(self, setup: NodeSetup) -> dict[str, bytes]:
        """Have every node prove that it can do the run's work; return their answers.

        Raises:
            UnfitError: a node cannot.
            ClusterError: no node is there, or one has no pregen.
        """
        nodes = self.identity()
        neighbours = dict(Counter(str(facts["host"]) for facts in nodes.values()))
        try:
            answers = self._client.run(node.introduce, setup, neighbours, on_error="return")
        except (OSError, TimeoutError) as error:
            raise self.gone() from error
        for name, answer in answers.items():
            if isinstance(answer, UnfitError):
                raise answer
            if isinstance(answer, Exception):
                raise _foreign(name, answer)
        self._client.subscribe_topic(node.topic(setup.token), self._see)
        return dict(answers)

    def submit(self, setup: NodeSetup, batch: Batch) -> None:
        """Give a batch to the node that Dask chooses; it comes back in `events`."""
        future = self._client.submit(
            node.do_batch,
            setup,
            pickle.dumps(list(batch.jobs)),
            key=f"pregen-{self.token}-{batch.number}",
            pure=False,
            retries=0,
        )
        loop: Any = self._client.loop
        loop.add_callback(self._follow, batch.number, future)

    def give_up(self, address: str) -> None:
        """Have the scheduler take a silent node off its list, and its tasks elsewhere."""
        with suppress(OSError, TimeoutError):
            self._client.sync(
                self._scheduler().unregister,
                address=address,
                stimulus_id=f"pregen-silent-{uuid.uuid4().hex}",
            )

    def stop(self, level: StopLevel) -> None:
        """Tell all nodes, without waiting for them."""
        self._aside(lambda: self._client.run(node.stop, self.token, level, on_error="ignore"))

    def dismiss(self) -> None:
        """End what runs on the nodes."""
        thread = self._aside(lambda: self._client.run(node.dismiss, self.token, on_error="ignore"))
        thread.join(_LAST_WORDS_S)

    def views(self) -> list[WorkerView]:
        """What the workers of all nodes do, as last heard."""
        return [view for views in tuple(self._views.values()) for view in views]

    def show_only(self, nodes: Container[str]) -> None:
        """Show the workers of lost nodes no longer."""
        for address in tuple(self._views):
            if address not in nodes:
                self._views.pop(address, None)

    def _scheduler(self) -> Any:
        return self._client.scheduler

    async def _follow(self, number: int, future: Any) -> None:
        try:
            payload = await self._client.gather(future, asynchronous=True)
            self.events.put(BatchReturned(number, pickle.loads(payload)))  # noqa: S301 - see `messages`
        except UnfitError as error:
            self.events.put(error)
        except Exception as error:  # noqa: BLE001 - a cluster raises anything
            if type(error).__name__ in _NODE_TROUBLE:
                self.events.put(BatchLost(number, _words(error)))
            elif self._client.status != "running" or "Cancelled" in type(error).__name__:
                self.events.put(self.gone())
            else:
                self.events.put(_foreign("", error))

    def _see(self, event: tuple[float, bytes]) -> None:
        shown: NodeViews = pickle.loads(event[1])  # noqa: S301 - see `messages`
        self._views[shown.node] = shown.views

    @staticmethod
    def _aside(action: Callable[[], object]) -> threading.Thread:
        def quietly() -> None:
            with suppress(Exception):
                action()

        thread = threading.Thread(target=quietly, daemon=True)
        thread.start()
        return thread


@contextmanager
def connected(config: DaskConfig) -> Iterator[Cluster]:
    """Be connected to the cluster that the user named.

    Raises:
        UsageError: what he named makes no sense.
        ClusterError: no scheduler answers there, or it has no workers.
    """
    with ExitStack() as stack:
        stack.enter_context(_silence())
        address = config.scheduler or config.scheduler_file
        client = _client(config, stack)
        cluster = Cluster(client, address)
        try:
            client.wait_for_workers(1, timeout=config.connect_timeout_s)
        except TimeoutError as error:
            raise ClusterError(
                f"The Dask scheduler at {address} has no workers. Start one on each node: "
                f"dask worker {address}"
            ) from error
        stack.callback(cluster.dismiss)
        yield cluster


def _client(config: DaskConfig, stack: ExitStack) -> Client:
    if config.scheduler.startswith(LOCAL):
        return _local(config.scheduler, stack)
    where = config.scheduler or f"the address in {config.scheduler_file}"
    address = scheduler_address(config)
    if parse_address(address)[0] in _ENCRYPTED and not dask.config.get(
        "distributed.comm.tls.ca-file", None
    ):
        raise ClusterError(
            f"{where} needs certificates, and the settings of Dask name none: set "
            "distributed.comm.tls (ca-file, and client with cert and key) in "
            "~/.config/dask/distributed.yaml."
        )
    try:
        client = Client(address, timeout=config.connect_timeout_s, set_as_default=False)
    except (OSError, TimeoutError) as error:
        raise ClusterError(
            f"No Dask scheduler answers at {where} within {config.connect_timeout_s:.0f} s. "
            "Start one with `dask scheduler`, or correct the address."
        ) from error
    stack.callback(client.close)
    return client


def scheduler_address(config: DaskConfig) -> str:
    """Return the address of the cluster that the user named, himself or by a file.

    Raises:
        UsageError: this is no address, or a scheduler did not write the file.
        ClusterError: the file cannot be read.
    """
    address = config.scheduler or _address_in(config.scheduler_file)
    if not address.startswith(LOCAL):
        try:
            scheme, place = parse_address(address)
            get_backend(scheme)
            host, port = parse_host_port(place, _SCHEDULER_PORT)
        except ValueError as error:
            raise UsageError(
                f"{address} is not the address of a scheduler: use tls://host:8786, "
                "tcp://host:8786, or local:2 for a trial on this machine."
            ) from error
        return unparse_address(scheme, unparse_host_port(host, port))
    return address


def is_exposed(address: str) -> bool:
    """Tell whether others on a network could take part: no TLS, and not within this machine."""
    if address.startswith(LOCAL):
        return False
    scheme, place = parse_address(address)
    if scheme in _ENCRYPTED:
        return False
    host = parse_host_port(place, _SCHEDULER_PORT)[0]
    try:
        return not ip_address(host).is_loopback
    except ValueError:
        return host != "localhost"


def _address_in(path: str) -> str:
    """Read what `dask scheduler --scheduler-file` wrote: JSON, the address among other things."""
    try:
        return str(json.loads(Path(path).read_text(encoding="utf-8"))["address"])
    except OSError as error:
        raise ClusterError(
            f"{path} cannot be read: {error.strerror}. Start the scheduler with "
            f"`dask scheduler --scheduler-file {path}`."
        ) from error
    except (ValueError, KeyError, TypeError) as error:
        raise UsageError(f"{path} was not written by a Dask scheduler.") from error


def _local(name: str, stack: ExitStack) -> Client:
    number = name.removeprefix(LOCAL)
    if not number.isascii() or not number.isdigit() or not int(number):
        raise UsageError(
            f"--scheduler {name}: give the number of nodes after local:, as in local:2."
        )
    own = LocalCluster(
        n_workers=int(number),
        threads_per_worker=_LOCAL_THREADS,
        processes=False,
        # without one it takes port 8787 all the same, on all interfaces, and warns where it cannot
        dashboard_address="127.0.0.1:0",
        silence_logs=logging.CRITICAL,
    )
    stack.callback(own.close)
    client = Client(own, set_as_default=False)
    stack.callback(client.close)
    return client


def _foreign(name: str, error: Exception) -> ClusterError:
    """Describe what no part of pregen raises: most often pregen is not there at all."""
    who = f"The node {name}" if name else "A node"
    if isinstance(error, ImportError):
        return ClusterError(
            f"{who} cannot import what it needs ({error}). Install the same pregen there: "
            "pip install 'pregen[dask]'"
        )
    return ClusterError(f"{who} failed unexpectedly: {_words(error)}")


def _words(error: Exception) -> str:
    text = str(error).strip().partition("\n")[0]
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


@contextmanager
def _silence() -> Iterator[None]:
    """Keep Dask's log off the screen, which is the display's; what matters is reported by us."""
    logger = logging.getLogger("distributed")
    before = logger.level
    logger.setLevel(logging.CRITICAL + 1)
    try:
        yield
    finally:
        logger.setLevel(before)
