"""A slow link on loopback: between its port and a server's it delays and slows down every byte.

    python -m benchmarks.shares.link SERVER_PORT RTT_MS MB_PER_S

Says the port it listens on, and lives as long as its standard input is open. A line `RTT_MS
MB_PER_S` there changes the link; an empty line changes nothing. Each is answered with how many
bytes went down (from the server) and up since the last answer, as JSON.

One direction is one queue for all connections, as at a router: a piece leaves when those before it
have left, at the rate of the link, and arrives half a round trip after it has left. What does not
fit waits in the sender's socket. One thread sleeps in `select`, which knows microseconds, where
`epoll` rounds up to milliseconds: as long as half of the shortest round trip that is measured.
"""

from __future__ import annotations

import json
import os
import select
import socket
import sys
import time
from collections import deque
from contextlib import suppress

#: How far ahead of its link a queue is filled: longer than a busy machine lets this program wait.
_BACKLOG_S = 0.02
#: A piece is what the link carries in this time: short beside the shortest round trip.
_PIECE_S = 0.001
_LEAST_PIECE_BYTES = 1 << 14
_MOST_PIECE_BYTES = 1 << 18
#: A sender is not held up by a receiver that is late: that is what the pieces' times are for.
_SEND_BUFFER_BYTES = 1 << 22
#: Pieces that are due so soon are sent at once: fewer awakenings.
_EARLY_S = 0.00005
_IDLE_S = 3600.0


class Lane:
    """One direction, shared by all connections."""

    def __init__(self) -> None:
        self.rate_bytes_s = 1.0
        self.delay_s = 0.0
        self.bytes = 0
        self._free_s = 0.0
        """When the last byte that was taken will have left."""

    def take(self, size_bytes: int, now_s: float) -> float:
        """Queue a piece; return when its last byte arrives."""
        self._free_s = max(self._free_s, now_s) + size_bytes / self.rate_bytes_s
        self.bytes += size_bytes
        return self._free_s + self.delay_s

    def open_s(self, now_s: float) -> float:
        """Return how many seconds from now there is room for more; 0 when there is now."""
        return max(0.0, self._free_s - now_s - _BACKLOG_S)

    @property
    def piece_bytes(self) -> int:
        """The most that is taken at once."""
        piece = int(self.rate_bytes_s * _PIECE_S)
        return min(_MOST_PIECE_BYTES, max(_LEAST_PIECE_BYTES, piece))


class Pipe:
    """One direction of one connection."""

    def __init__(self, source: socket.socket, sink: socket.socket, lane: Lane) -> None:
        self.source = source
        self.sink = sink
        self.lane = lane
        self.done = False
        self.stuck = False
        """The receiver takes no more just now."""
        self._ended = False
        self._queue: deque[tuple[float, memoryview]] = deque()

    def wants_s(self, now_s: float) -> float | None:
        """Return how many seconds from now it can read; None when never again."""
        return None if self._ended else self.lane.open_s(now_s)

    def due_s(self, now_s: float) -> float | None:
        """Return how many seconds from now something is to be sent; None when nothing is."""
        return max(0.0, self._queue[0][0] - now_s) if self._queue and not self.stuck else None

    def read(self, now_s: float) -> None:
        """Take a piece from the sender; the end is a piece of no bytes."""
        with suppress(BlockingIOError):
            data = self.source.recv(self.lane.piece_bytes)
            self._ended = not data
            self._queue.append((self.lane.take(len(data), now_s), memoryview(data)))

    def send(self, now_s: float) -> None:
        """Send what has arrived by now."""
        self.stuck = False
        while self._queue and self._queue[0][0] <= now_s + _EARLY_S:
            due_s, data = self._queue[0]
            if not data:
                self.done = True
                self.sink.shutdown(socket.SHUT_WR)
                self._queue.clear()
                return
            try:
                sent = self.sink.send(data)
            except BlockingIOError:
                self.stuck = True
                return
            if sent < len(data):
                self._queue[0] = (due_s, data[sent:])
            else:
                self._queue.popleft()


class Link:
    """All connections over one link to one server."""

    def __init__(self, server_port: int, rtt_ms: float, rate_mb_s: float) -> None:
        self._server_port = server_port
        self._down, self._up = Lane(), Lane()
        self._pipes: list[Pipe] = []
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self._listener.settimeout(0)
        self.port: int = self._listener.getsockname()[1]
        self._slow(rtt_ms, rate_mb_s)

    def serve(self) -> None:
        """Carry bytes until standard input ends."""
        while True:
            now_s = time.monotonic()
            readers: list[socket.socket | int] = [self._listener, sys.stdin.fileno()]
            writers = []
            wait_s = _IDLE_S
            for pipe in self._pipes:
                wants_s, due_s = pipe.wants_s(now_s), pipe.due_s(now_s)
                if wants_s == 0:
                    readers.append(pipe.source)
                elif wants_s is not None:
                    # half of the queue may leave first: fewer awakenings
                    wait_s = min(wait_s, wants_s + _BACKLOG_S / 2)
                if due_s is not None:
                    wait_s = min(wait_s, due_s)
                if pipe.stuck:
                    writers.append(pipe.sink)
            ready, writable, _ = select.select(readers, writers, [], wait_s)
            if sys.stdin.fileno() in ready and not self._obey():
                return
            if self._listener in ready:
                self._accept()
            self._carry({*ready}, {*writable})

    def _carry(self, ready: set[socket.socket | int], writable: set[socket.socket]) -> None:
        now_s = time.monotonic()
        for pipe in list(self._pipes):
            try:
                if pipe.source in ready:
                    pipe.read(now_s)
                if not pipe.stuck or pipe.sink in writable:
                    pipe.send(now_s)
            except OSError:  # one of the two has gone: the other learns it, too
                self._drop(pipe)
        for pipe in [one for one in self._pipes if one.done]:
            others = [o for o in self._pipes if o.source is pipe.sink and not o.done]
            if not others:
                self._drop(pipe)

    def _drop(self, pipe: Pipe) -> None:
        both = {pipe.source, pipe.sink}
        self._pipes = [one for one in self._pipes if one.source not in both]
        for end in both:
            end.close()

    def _accept(self) -> None:
        client, _ = self._listener.accept()
        try:
            server = socket.create_connection(("127.0.0.1", self._server_port))
        except OSError:
            client.close()
            return
        for end in (client, server):
            end.settimeout(0)
            end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SEND_BUFFER_BYTES)
        self._pipes += [Pipe(server, client, self._down), Pipe(client, server, self._up)]

    def _obey(self) -> bool:
        """Read lines of standard input and answer them; False when it has ended."""
        lines = os.read(sys.stdin.fileno(), 4096).decode()
        for line in lines.splitlines():
            if words := line.split():
                self._slow(*map(float, words))
            answer = {"down_bytes": self._down.bytes, "up_bytes": self._up.bytes}
            self._down.bytes = self._up.bytes = 0
            print(json.dumps(answer), flush=True)
        return bool(lines)

    def _slow(self, rtt_ms: float, rate_mb_s: float) -> None:
        for lane in (self._down, self._up):
            lane.delay_s = rtt_ms / 2e3
            lane.rate_bytes_s = rate_mb_s * 1e6


def main() -> None:
    """Be a link."""
    port, rtt_ms, rate_mb_s = sys.argv[1:]
    link = Link(int(port), float(rtt_ms), float(rate_mb_s))
    print(link.port, flush=True)
    with suppress(KeyboardInterrupt):
        link.serve()


if __name__ == "__main__":
    main()
