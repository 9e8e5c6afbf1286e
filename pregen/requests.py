"""Files that somebody wants first, asked of the run that holds the cache's lock.

A run listens on a socket that only its user reaches. Another program of that user (a second run,
`pregen watch`, `pregen path`) sends names of files there and is told what became of each: they
overtake what the run has planned. Neither end believes the other more than it must: both ask the
kernel whose process is at the other end, names are checked like any others, and whoever sends too
much, or nonsense, is hung up on.

Fields end with a NUL byte, which no name holds. The client sends a greeting, the flavors it wants
and then paths; the server sends "ok", or why not, and then an `FileAnswer` for each path.
"""

from __future__ import annotations

import hashlib
import os
import queue
import selectors
import socket
import stat
import struct
import tempfile
import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Final, NamedTuple, Self

from pregen.model import Flavor, Kind
from pregen.private_folders import make_folder
from pregen.thumbspec.naming import clean_path

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

_GREETING: Final = b"pregen requests 1"
_OK: Final = b"ok"
#: unix(7): so long may the path of a socket be.
_PATH_BYTES: Final = 107
#: PATH_MAX of Linux, its NUL included: no longer name can be opened.
_FIELD_BYTES: Final = 4096
_MESSAGE_CHARS: Final = 2000
_READ_BYTES: Final = 1 << 16
#: Paths of one client that wait for their outcomes; it may send more when these are done.
_WAITING: Final = 500
_CLIENTS: Final = 64
#: Answers that a client has not read; whoever lets more gather is hung up on.
_UNREAD_BYTES: Final = 8 << 20
#: How long the end of a run waits for clients to take their answers.
_CLOSE_S: Final = 1.0
#: How soon a client asks again for a path that was not ready.
_POLL_S: Final = 0.01
#: How soon it sees that it is to stop.
_STOP_S: Final = 0.2
#: How long a client waits for the greeting: a run that is stopped (SIGSTOP) never sends it.
_GREET_S: Final = 2.0
_CREDENTIALS: Final = struct.Struct("3i")


class FileAnswer(NamedTuple):
    """What became of one file."""

    path: bytes
    kind: Kind
    message: str = ""
    mime: str = ""
    extra: str = ""
    entries_written: int = 0

    def encoded(self) -> bytes:
        """Return it as fields."""
        texts = (self.kind.value, str(self.entries_written), self.mime, self.extra)
        said = (*texts, self.message[:_MESSAGE_CHARS])
        fields = [text.encode("utf-8", "replace").replace(b"\0", b" ") for text in said]
        return b"\0".join([*fields, self.path, b""])

    @classmethod
    def decoded(cls, fields: Sequence[bytes]) -> FileAnswer:
        """Return what some fields say.

        Raises:
            ConnectionError: they make no sense.
        """
        kind, entries, mime, extra, message = (
            text.decode("utf-8", "replace") for text in fields[:-1]
        )
        try:
            return cls(fields[-1], Kind(kind), message, mime, extra, int(entries))
        except ValueError as error:
            raise ConnectionError from error


_FIELDS: Final = 6


def socket_path(cache_root: bytes, environ: Mapping[str, str]) -> bytes | None:
    """Return where the run on a cache listens; None: there is no folder that is ours alone.

    In `$XDG_RUNTIME_DIR` (XDG Base Directory: owned by the user, mode 0700), else below the
    system's folder for temporary files. The folder is made if need be.
    """
    uid = os.geteuid()
    places = [os.path.join(os.fsencode(tempfile.gettempdir()), b"pregen-%d" % uid)]
    runtime = os.fsencode(environ.get("XDG_RUNTIME_DIR", ""))
    if runtime.startswith(b"/"):
        places.insert(0, os.path.join(runtime, b"pregen"))
    name = hashlib.md5(cache_root, usedforsecurity=False).hexdigest().encode() + b".sock"
    for place in places:
        if len(place) + len(name) >= _PATH_BYTES:
            continue
        with suppress(OSError):
            make_folder(place)
            facts = os.lstat(place)
            ours = stat.S_ISDIR(facts.st_mode) and facts.st_uid == uid
            if ours and not facts.st_mode & (stat.S_IRWXG | stat.S_IRWXO):
                return os.path.join(place, name)
    return None


class _Client:
    """One connection, as the server's thread sees it."""

    def __init__(self, end: socket.socket) -> None:
        self.end = end
        self.received = bytearray()
        self.to_send = bytearray()
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
        flavors: that the run makes. Whoever wants others is told so.

    Raises:
        OSError: the socket cannot be made.
    """

    def __init__(self, path: bytes, flavors: Sequence[Flavor]) -> None:
        self._path = path
        self._flavors = {flavor.directory for flavor in flavors}
        self._asked: dict[bytes, list[_Client]] = {}
        self._queue: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        self._lock = threading.Lock()
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
        """Yield the paths that were asked for, as they come, until this is closed."""
        while (path := self._queue.get()) is not None:
            yield path

    @property
    def waits(self) -> bool:
        """Whether somebody waits for an outcome."""
        return bool(self._asked)

    def answer(self, answer: FileAnswer) -> bool:
        """Tell whoever asked for a file what became of it; tell whether anybody did."""
        with self._lock:
            clients = self._asked.pop(answer.path, [])
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
        """FileAnswer what is left with "interrupted", and end the thread."""
        self.stop_listening()
        for path in list(self._asked):
            self.answer(FileAnswer(path, Kind.INTERRUPTED))
        self._queue.put(None)
        self._closing_s = time.monotonic() + _CLOSE_S
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
                        self._wakes.recv(_READ_BYTES)
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
        if not self._listening or len(self._clients) >= _CLIENTS or not _is_ours(end):
            end.close()
            return
        end.settimeout(0)
        client = _Client(end)
        self._clients.add(client)
        self._selector.register(end, selectors.EVENT_READ, client)

    def _receive(self, client: _Client) -> None:
        try:
            data = client.end.recv(_READ_BYTES)
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
        if len(client.received) > _FIELD_BYTES:
            self._hang_up(client)

    def _understand(self, client: _Client, field: bytes) -> bool:
        """Take one field; False: it makes no sense."""
        client.fields += 1
        if client.fields == 1:
            return field == _GREETING
        if client.fields == 2:  # noqa: PLR2004 - behind the greeting
            wanted = set(field.decode("ascii", "replace").split(","))
            if missing := sorted(wanted - self._flavors):
                client.to_send += f"it makes no {', '.join(missing)}\0".encode("ascii", "replace")
            else:
                client.to_send += _OK + b"\0"
            return True
        if not field.startswith(b"/") or len(field) >= _FIELD_BYTES:
            return False
        if clean_path(field, b"/") != field:
            return False
        with self._lock:
            waiting = self._asked.setdefault(field, [])
            if client not in waiting:
                waiting.append(client)
                client.waiting += 1
            if len(waiting) == 1:
                self._queue.put(field)
        return True

    def _send(self, client: _Client) -> None:
        with self._lock:
            data = bytes(client.to_send[:_READ_BYTES])
        if data:
            try:
                sent = client.end.send(data)
            except BlockingIOError:
                sent = 0
            except OSError:
                self._hang_up(client)
                return
            with self._lock:
                del client.to_send[:sent]
        is_done = not (client.sends_more or client.waiting or client.to_send)
        if is_done or len(client.to_send) > _UNREAD_BYTES:
            self._hang_up(client)

    def _listen_to(self, client: _Client) -> None:
        """Wait for what a client may do next: not for paths while many of its wait."""
        if client not in self._clients:
            return
        takes = client.sends_more and self._listening and client.waiting < _WAITING
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


class RequestClient:
    """Asks a run for files. As a context; made by `connect`."""

    def __init__(self, end: socket.socket) -> None:
        self._end = end
        self._received = bytearray()
        self._to_send = bytearray()
        self.process_id = _peer(end)[0]
        """Of the run."""
        self.refusal = ""
        """Why it takes no files; empty: it does."""

    @classmethod
    def connect(
        cls, cache_root: bytes, flavors: Iterable[Flavor], environ: Mapping[str, str]
    ) -> RequestClient | None:
        """Return a connection to the run on a cache; None: none listens.

        Args:
            cache_root: the thumbnails directory.
            flavors: that are wanted.
            environ: names the runtime folder.
        """
        path = socket_path(cache_root, environ)
        if path is None or not os.path.lexists(path):
            return None
        end = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            end.settimeout(_GREET_S)
            end.connect(path)
            if not _is_ours(end):
                raise PermissionError
            client = cls(end)
            wanted = ",".join(flavor.directory for flavor in flavors).encode()
            end.sendall(_GREETING + b"\0" + wanted + b"\0")
            said = client._field()
        except OSError:
            end.close()
            return None
        if said != _OK:
            client.refusal = said.decode("utf-8", "replace")
        return client

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._end.close()

    def _field(self) -> bytes:
        while b"\0" not in self._received:
            data = self._end.recv(_READ_BYTES)
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
                while more and ready and waiting < _WAITING:
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
                del self._to_send[: self._end.send(self._to_send[:_READ_BYTES])]

    def _pull(self) -> list[FileAnswer]:
        """Return the answers that have come whole.

        Raises:
            ConnectionError: the run has hung up, or what it says makes no sense.
        """
        try:
            data = self._end.recv(_READ_BYTES)
        except BlockingIOError:
            return []
        if not data:
            raise ConnectionError
        self._received += data
        *fields, rest = bytes(self._received).split(b"\0")
        whole = len(fields) // _FIELDS * _FIELDS
        self._received = bytearray(b"\0".join([*fields[whole:], rest]))
        return [FileAnswer.decoded(fields[at : at + _FIELDS]) for at in range(0, whole, _FIELDS)]


def _peer(end: socket.socket) -> tuple[int, int]:
    """Return the process at the other end, and its user."""
    data = end.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    process_id, uid, _ = _CREDENTIALS.unpack(data)
    return process_id, uid


def _is_ours(end: socket.socket) -> bool:
    """Tell whether the other end is a process of our user."""
    try:
        return _peer(end)[1] == os.geteuid()
    except OSError:
        return False
