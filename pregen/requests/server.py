"""The run's end: takes paths from clients, and has their files done before those of the walk."""

from __future__ import annotations

import os
import selectors
import socket
import threading
import time
from collections import deque
from contextlib import closing, contextmanager, suppress
from typing import TYPE_CHECKING, Final

from pregen.config import Order
from pregen.entry_keys import EntryKeys
from pregen.feed import Feed
from pregen.model import Kind, Skip
from pregen.requests.protocol import (
    FIELD_BYTES,
    GREETING,
    OK,
    READ_BYTES,
    WAITING,
    FileAnswer,
    is_ours,
    socket_path,
)
from pregen.thumbspec.naming import clean_path
from pregen.walk import named_sources, walk

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from pregen.config import PlanConfig, RunConfig
    from pregen.display.listener import Watch
    from pregen.filesystems.guard import Guard
    from pregen.model import Job, Outcome
    from pregen.plan import Planner
    from pregen.sharing import SharedPlanner

_CLIENTS: Final = 64
#: Answers that a client has not read; a client that lets more gather is disconnected.
_UNREAD_BYTES: Final = 8 << 20
#: How long the end of a run waits for clients to take their answers.
_CLOSE_S: Final = 1.0
#: Planned ahead of what the run takes: what another client asks for then waits for no more.
_AHEAD: Final = 16
#: Files that were asked for and done, which the walk may come to later.
_MOST_SERVED = 100_000


class _Client:
    """One connection, as the server's thread sees it."""

    def __init__(self, end: socket.socket) -> None:
        self.end = end
        self.received = bytearray()
        self.to_send = bytearray()
        self.paths: deque[bytes] = deque()
        self.fields = 0
        self.waiting = 0
        self.sends_more = True

    def next_fields(self) -> list[bytes]:
        """Return the fields that have come whole."""
        *fields, rest = bytes(self.received).split(b"\0")
        self.received = bytearray(rest)
        return fields


class RequestServer:
    """Takes paths from clients, in a thread of its own; the run tells what became of them.

    Args:
        path: of the socket (`socket_path`). What is there already is a dead run's, and replaced.
        makes: what the run makes (`what_is_made`). A client that wants more is told so.

    Raises:
        OSError: the socket cannot be made.
    """

    def __init__(self, path: bytes, makes: Iterable[str]) -> None:
        self._path = path
        self._makes = frozenset(makes)
        self._asked: dict[bytes, list[_Client]] = {}
        self._taken: set[bytes] = set()
        self._turns: deque[_Client] = deque()
        self._changed = threading.Condition()
        self._listening = True
        self._closing_s = 0.0
        self._clients: set[_Client] = set()
        self._selector = selectors.DefaultSelector()
        self._wakes, self._wake = socket.socketpair()
        self._server = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            with suppress(FileNotFoundError):
                os.unlink(path)
            self._server.bind(path)
            self._server.listen(_CLIENTS)
        except OSError:
            for each in (self._server, self._wakes, self._wake):
                each.close()
            raise
        for each in (self._server, self._wakes, self._wake):
            each.settimeout(0)
        self._selector.register(self._wakes, selectors.EVENT_READ)
        self._selector.register(self._server, selectors.EVENT_READ)
        self._thread = threading.Thread(target=self._serve, name="pregen-requests", daemon=True)
        self._thread.start()

    def paths(self) -> Iterator[bytes]:
        """Yield the paths that were asked for, as they come, until this is closed.

        Clients take turns: one file does not wait for the five hundred of another client.
        """
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._turns or self._closing_s)
                if self._closing_s:
                    return
                client = self._turns.popleft()
                path = client.paths.popleft()
                if client.paths:
                    self._turns.append(client)
                if path not in self._asked or path in self._taken:
                    continue  # another client's turn came first
                self._taken.add(path)
            yield path

    @property
    def waits(self) -> bool:
        """Whether a client waits for an outcome."""
        return bool(self._asked)

    def answer(self, answer: FileAnswer) -> bool:
        """Tell the clients that asked for a file what became of it; return whether any did."""
        with self._changed:
            clients = self._asked.pop(answer.path, [])
            self._taken.discard(answer.path)
            record = answer.encoded() if clients else b""
            for client in clients:
                client.waiting -= 1
                client.to_send += record
        if clients:
            self._rouse()
        return bool(clients)

    def stop_listening(self) -> None:
        """Take no more paths; what was asked for is still answered."""
        self._listening = False
        self._rouse()

    def close(self) -> None:
        """Answer what is left with "interrupted", and end the thread."""
        self.stop_listening()
        for path in list(self._asked):
            self.answer(FileAnswer(path, Kind.INTERRUPTED))
        with self._changed:
            self._closing_s = time.monotonic() + _CLOSE_S
            self._changed.notify()
        self._rouse()
        self._thread.join(2 * _CLOSE_S)
        with suppress(OSError):
            os.unlink(self._path)

    def _rouse(self) -> None:
        with suppress(OSError):  # it is full of such calls already, or closed
            self._wake.send(b"\0")

    # The thread. It alone touches sockets and selector.

    def _serve(self) -> None:
        while not self._is_over():
            for key, events in self._selector.select(0.1 if self._closing_s else None):
                if key.fileobj is self._wakes:
                    with suppress(OSError):
                        self._wakes.recv(READ_BYTES)
                elif key.fileobj is self._server:
                    self._accept()
                elif events & selectors.EVENT_READ:
                    self._receive(key.data)
            for client in list(self._clients):
                self._send(client)
                self._listen_to(client)
        for client in list(self._clients):
            self._hang_up(client)
        self._selector.close()
        for each in (self._server, self._wakes, self._wake):
            each.close()

    def _is_over(self) -> bool:
        if not self._closing_s:
            return False
        unsent = any(client.to_send for client in self._clients)
        return not unsent or time.monotonic() > self._closing_s

    def _accept(self) -> None:
        try:
            end, _ = self._server.accept()
        except OSError:
            return
        if not self._listening or len(self._clients) >= _CLIENTS or not is_ours(end):
            end.close()
            return
        end.settimeout(0)
        client = _Client(end)
        self._clients.add(client)
        self._selector.register(end, selectors.EVENT_READ, client)

    def _receive(self, client: _Client) -> None:
        try:
            data = client.end.recv(READ_BYTES)
        except BlockingIOError:
            return
        except OSError:
            self._hang_up(client)
            return
        if not data:
            client.sends_more = False
            return
        client.received += data
        for field in client.next_fields():
            if not self._understand(client, field):
                self._hang_up(client)
                return
        if len(client.received) > FIELD_BYTES:
            self._hang_up(client)

    def _understand(self, client: _Client, field: bytes) -> bool:
        """Take one field; False: it makes no sense."""
        client.fields += 1
        if client.fields == 1:
            return field == GREETING
        if client.fields == 2:  # noqa: PLR2004 - behind the greeting
            wanted = set(field.decode("ascii", "replace").split(","))
            if missing := sorted(wanted - self._makes):
                client.to_send += f"it does not create {', '.join(missing)}\0".encode(
                    "ascii", "replace"
                )
            else:
                client.to_send += OK + b"\0"
            return True
        if not field.startswith(b"/") or len(field) >= FIELD_BYTES:
            return False
        if clean_path(field, b"/") != field:
            return False
        with self._changed:
            waiting = self._asked.setdefault(field, [])
            if client not in waiting:
                waiting.append(client)
                client.waiting += 1
                if not client.paths:
                    self._turns.append(client)
                client.paths.append(field)
                self._changed.notify()
        return True

    def _send(self, client: _Client) -> None:
        with self._changed:
            data = bytes(client.to_send[:READ_BYTES])
        if data:
            try:
                sent = client.end.send(data)
            except BlockingIOError:
                sent = 0
            except OSError:
                self._hang_up(client)
                return
            with self._changed:
                del client.to_send[:sent]
        is_done = not (client.sends_more or client.waiting or client.to_send)
        if is_done or len(client.to_send) > _UNREAD_BYTES:
            self._hang_up(client)

    def _listen_to(self, client: _Client) -> None:
        """Wait for what a client may do next: not for paths while many of its wait."""
        if client not in self._clients:
            return
        takes = client.sends_more and self._listening and client.waiting < WAITING
        events = selectors.EVENT_READ * takes | selectors.EVENT_WRITE * bool(client.to_send)
        registered = self._selector.get_map().get(client.end)
        if registered is not None and registered.events == events:
            return
        if registered is not None:
            self._selector.unregister(client.end)
        if events:
            self._selector.register(client.end, events, client)

    def _hang_up(self, client: _Client) -> None:
        self._clients.discard(client)
        with suppress(KeyError, ValueError):
            self._selector.unregister(client.end)
        client.end.close()


class RequestedJobs:
    """Jobs that other programs asked for: they go before those of the walk."""

    def __init__(self, server: RequestServer | None, feed: Feed[Job] | None) -> None:
        self._server = server
        self._feed = feed
        self._served: dict[bytes, tuple[int, int]] = {}

    def take(self) -> Job | None:
        """Return the next one; None: there is none now."""
        return None if self._feed is None else next(self._feed, None)

    def end(self) -> bool:
        """Take no more; tell whether all is done."""
        if self._server is None:
            return True
        self._server.stop_listening()
        return not self._server.waits

    def finished(self, outcome: Outcome) -> None:
        """Tell the clients that asked for this source what became of it."""
        if self._server is None or not self._server.waits:
            return
        told = self._server.answer(
            FileAnswer(
                outcome.path,
                outcome.kind,
                outcome.message,
                outcome.mime,
                outcome.extra,
                outcome.entries_written,
            )
        )
        if told and outcome.source_size_bytes >= 0 and len(self._served) < _MOST_SERVED:
            self._served[outcome.path] = outcome.source_size_bytes, outcome.source_mtime_ns

    def has_served(self, job: Job) -> bool:
        """Tell whether a source, as it was planned, was asked for and done meanwhile."""
        return self._served.get(job.path) == (job.size_bytes, job.mtime_ns)


def what_is_made(plan: PlanConfig) -> tuple[str, ...]:
    """Return flavors and keys that a run makes, in words without commas."""
    return (*(flavor.directory for flavor in plan.flavors), *EntryKeys(plan).served)


def takes_requests(config: RunConfig) -> bool:
    """Tell whether a run makes of a file what every client wants of it."""
    plan = config.plan
    return not (config.work.shared or plan.publish or plan.missing_only or plan.use_shared)


@contextmanager
def requested_jobs(
    config: RunConfig,
    planner: Planner | SharedPlanner,
    guard: Guard,
    watch: Watch,
    size_on_share: Callable[[Job], int | None],
) -> Iterator[RequestedJobs]:
    """Take files that other programs want first, while this lasts.

    Where the socket cannot be had, others wait, as they did before there was one.

    Args:
        config: of the run.
        planner: plans them, in a thread of its own.
        guard: keeps out what the run leaves out.
        watch: told what becomes of those that need no job.
        size_on_share: as the run counts its jobs.
    """
    path = socket_path(config.work.cache_root, os.environ) if takes_requests(config) else None
    try:
        server = None if path is None else RequestServer(path, what_is_made(config.plan))
    except OSError:
        server = None
    if server is None:
        yield RequestedJobs(None, None)
        return

    def jobs() -> Iterator[Job]:
        alone = config.walk._replace(roots=(), shard=None, order=Order.WALK)
        named = named_sources(server.paths(), config.work.cache_root, files=guard.files)
        for item in walk(alone, listed=named, guard=guard):
            planned = item if isinstance(item, Skip) else planner.plan(item)
            if isinstance(planned, Skip):
                watch.skipped(planned)
                server.answer(FileAnswer(planned.path, planned.kind, planned.message))
                continue
            watch.planned(planned.size_bytes, on_share_bytes=size_on_share(planned))
            # other machines number their devices otherwise
            yield planned._replace(device=0) if config.engine_name == "dask" else planned

    # the server ends first: the feed waits for its paths
    with closing(Feed(jobs(), None, _AHEAD)) as feed, closing(server):
        yield RequestedJobs(server, feed)
