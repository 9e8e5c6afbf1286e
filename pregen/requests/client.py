"""The other end: asks a run for files, and does what that leaves undone."""

from __future__ import annotations

import os
import selectors
import socket
import threading
import time
from contextlib import closing, suppress
from itertools import chain
from typing import TYPE_CHECKING, Final, Self

from pregen.config import Check
from pregen.feed import Feed
from pregen.model import Kind, Outcome, Skip
from pregen.requests.protocol import (
    FIELDS,
    GREETING,
    OK,
    READ_BYTES,
    WAITING,
    FileAnswer,
    is_ours,
    peer,
    socket_path,
)
from pregen.requests.server import takes_requests, what_is_made

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from pregen.config import PlanConfig, RunConfig
    from pregen.display.listener import Watch
    from pregen.model import Source

#: How soon a client asks again for a path that was not ready.
_POLL_S: Final = 0.01
#: How soon it sees that it is to stop.
_STOP_S: Final = 0.2
#: How long a client waits for the greeting: a run that is stopped (SIGSTOP) never sends it.
_GREET_S: Final = 2.0
#: Of what another run did: no job was needed for it.
_NOT_TRIED = frozenset(
    {Kind.FRESH, Kind.SMALL, Kind.FAILED_BEFORE, Kind.NOT_PICTURE, Kind.EXCLUDED, Kind.PRIVATE}
    | {Kind.SPECIAL, Kind.VANISHED}
)


class RequestClient:
    """Asks a run for files. As a context; made by `connect`."""

    def __init__(self, end: socket.socket) -> None:
        self._end = end
        self._received = bytearray()
        self._to_send = bytearray()
        self.process_id = peer(end)[0]
        """Of the run."""
        self.refusal = ""
        """Why it takes no files; empty: it does."""

    @classmethod
    def connect(
        cls, cache_root: bytes, plan: PlanConfig, environ: Mapping[str, str]
    ) -> RequestClient | None:
        """Return a connection to the run on a cache; None: none listens.

        Args:
            cache_root: the thumbnails directory.
            plan: what is wanted: its flavors and keys.
            environ: names the runtime folder.
        """
        path = socket_path(cache_root, environ)
        if path is None or not os.path.lexists(path):
            return None
        end = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            end.settimeout(_GREET_S)
            end.connect(path)
            if not is_ours(end):
                raise PermissionError
            client = cls(end)
            wanted = ",".join(what_is_made(plan)).encode()
            end.sendall(GREETING + b"\0" + wanted + b"\0")
            said = client._field()
        except OSError:
            end.close()
            return None
        if said != OK:
            client.refusal = said.decode("utf-8", "replace")
        return client

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._end.close()

    def _field(self) -> bytes:
        while b"\0" not in self._received:
            data = self._end.recv(READ_BYTES)
            if not data:
                raise ConnectionError
            self._received += data
        field, _, rest = bytes(self._received).partition(b"\0")
        self._received = bytearray(rest)
        return field

    def answers(
        self, paths: Iterator[bytes | None], stopped: Callable[[], bool] = lambda: False
    ) -> Iterator[FileAnswer]:
        """Send paths, and yield what becomes of them, in the order in which it does.

        Ends early when the run does: what was not answered then was not done. A file that the run
        did not come to is answered as interrupted.

        Args:
            paths: absolute and clean, taken a few hundred ahead of the answers; None: none is ready
                yet.
            stopped: asked several times a second; True ends this.
        """
        self._end.settimeout(0)
        waiting, more = 0, True
        with selectors.DefaultSelector() as selector, suppress(OSError):
            selector.register(self._end, selectors.EVENT_READ)
            while (more or waiting) and not stopped():
                ready = True
                while more and ready and waiting < WAITING:
                    try:
                        path = next(paths)
                    except StopIteration:
                        more = False
                    else:
                        ready = path is not None
                        if path is not None:
                            self._to_send += path + b"\0"
                            waiting += 1
                self._push()
                if not (more or waiting):
                    break
                events = selectors.EVENT_READ | selectors.EVENT_WRITE * bool(self._to_send)
                selector.modify(self._end, events)
                selector.select(_STOP_S if ready else _POLL_S)
                for answer in self._pull():
                    waiting -= 1
                    yield answer

    def _push(self) -> None:
        if self._to_send:
            with suppress(BlockingIOError):
                del self._to_send[: self._end.send(self._to_send[:READ_BYTES])]

    def _pull(self) -> list[FileAnswer]:
        """Return the answers that have come whole.

        Raises:
            ConnectionError: the run has hung up, or what it says makes no sense.
        """
        try:
            data = self._end.recv(READ_BYTES)
        except BlockingIOError:
            return []
        if not data:
            raise ConnectionError
        self._received += data
        *fields, rest = bytes(self._received).split(b"\0")
        whole = len(fields) // FIELDS * FIELDS
        self._received = bytearray(b"\0".join([*fields[whole:], rest]))
        return [FileAnswer.decoded(fields[at : at + FIELDS]) for at in range(0, whole, FIELDS)]


def connect(config: RunConfig) -> RequestClient | None:
    """Reach the run that fills a cache; None: there is none, or what is wanted is not what it does.

    Args:
        config: of the run that would like its files done.
    """
    plan = config.plan
    special = (
        plan.force or plan.retry_failed or plan.check is not Check.QUICK,
        config.walk.allow_encrypted or config.governor is not None,
    )
    if any(special) or not takes_requests(config):
        return None
    return RequestClient.connect(config.work.cache_root, plan, os.environ)


def hand_over(
    client: RequestClient,
    found: Iterable[Source | Skip],
    watch: Watch,
    stopped: Callable[[], bool],
    spill_dir: bytes | None,
) -> Iterator[Source | Skip] | None:
    """Have another run do the work; return what it left undone, None when that is nothing.

    Args:
        client: is connected to it.
        found: what is to be done, taken in a thread.
        watch: told what becomes of each.
        stopped: True ends this.
        spill_dir: as `Feed` has it.
    """
    watch.note(
        f"another run (process {client.process_id}) is filling this cache: these files are next"
    )
    asked: dict[bytes, Source] = {}
    undone, all_asked = [], threading.Event()
    rest = Feed(found, spill_dir)  # what gives names may wait for the first answers
    for answer in client.answers(_paths(rest, asked, watch, all_asked), stopped):
        source = asked.pop(answer.path, None)
        if source is not None and answer.kind is Kind.INTERRUPTED:
            undone.append(source)
        elif source is not None:
            _tell(answer, watch)
    undone += asked.values()
    if not stopped() and (undone or not all_asked.is_set()):
        return chain(undone, _as_they_come(rest))
    rest.close()
    watch.walk_ended()
    return None


def _paths(
    found: Iterable[Source | Skip | None],
    asked: dict[bytes, Source],
    watch: Watch,
    all_asked: threading.Event,
) -> Iterator[bytes | None]:
    """Yield the path of every source, and note it in `asked`; None while there is none yet."""
    for item in found:
        if isinstance(item, Skip):
            watch.skipped(item)
        else:
            if item is not None:
                asked[item.path] = item
            yield item and item.path
    all_asked.set()


def _as_they_come(feed: Feed[Source | Skip]) -> Iterator[Source | Skip]:
    """Yield the items of a feed, waiting for them."""
    with closing(feed):
        for item in feed:
            if item is None:
                time.sleep(_POLL_S)
            else:
                yield item


def _tell(answer: FileAnswer, watch: Watch) -> None:
    """Show what another run did."""
    path, kind, message, mime, extra, entries = answer
    if kind in _NOT_TRIED:
        watch.skipped(Skip(path, kind, message))
        return
    watch.planned()
    watch.finished(
        Outcome(-1, path, kind, message, mime=mime, extra=extra, entries_written=entries)
    )
