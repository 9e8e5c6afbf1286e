"""A simulated disk that spins: a FUSE file system with one file, `disk`, the image behind a head.

    python -m benchmarks.shares.spinning MOUNT_POINT IMAGE

A loop device on that file is a disk to the kernel, with its own elevator and readahead, and a file
system on it has its own places and inodes. What is simulated is the time of a disk of 7200 turns a
minute: moving the head, half a turn, then the bytes as they pass. The image stands for the whole
disk, as a library that fills it would lie there. Requests that wait are served upwards from where
the head is, then from below again (C-LOOK), as a disk with a queue of commands does. It has no
cache: what a disk reads on by itself is lost when the head moves, so that readers side by side are
worse off than on a disk with much memory.

Speaks the kernel's protocol itself, for reading only. Says `ready` on its standard output, and for
every line of its standard input what it did since the last, as JSON; ends when that ends.
"""

from __future__ import annotations

import ctypes
import errno
import json
import os
import select
import struct
import sys
import time
from contextlib import suppress
from typing import NamedTuple

#: A usual disk for data of 7200 turns a minute: settling, the whole way, half a turn, reading.
SETTLE_S = 0.001
STROKE_S = 0.015
HALF_TURN_S = 60 / 7200 / 2
RATE_BYTES_S = 150e6
#: What a disk reads on by itself after a request: going on there costs nothing.
_TRACK_BYTES = 1 << 20

_LOOKUP, _GETATTR, _OPEN, _READ, _INIT = 1, 3, 14, 15, 26
#: FORGET, INTERRUPT and BATCH_FORGET want no answer; FLUSH, RELEASE and RELEASEDIR an empty one.
_QUIET = frozenset({2, 36, 42})
_DONE = frozenset({18, 25, 29})
#: <linux/fuse.h>: length, opcode, unique, node, uid, gid, pid, padding
_IN_HEADER = struct.Struct("<IIQQIIII")
_OUT_HEADER = struct.Struct("<IiQ")
#: The answer to INIT of protocol 7.31: major, minor, readahead, flags, background, congestion,
#: max_write, granularity of times, pages, alignment, flags, 7 unused
_INIT_OUT = struct.Struct("<IIIIHHIIHHI28x")
_ASYNC_READ, _ASYNC_DIO, _MAX_PAGES = 1, 1 << 15, 1 << 22
_QUEUE, _PAGES = 64, 256
_ATTR = struct.Struct("<QQQQQQIIIIIIIIII")
_ROOT, _FILE = 1, 2
_NAME = b"disk"
_HOLDS_S = 3600


class Read(NamedTuple):
    """A request of the kernel."""

    offset: int
    size_bytes: int
    unique: int


class Head:
    """Where the head is, and what moving and reading take. Pure."""

    def __init__(self, disk_bytes: int) -> None:
        self._disk_bytes = disk_bytes
        self.place = 0
        self.seeks = 0
        self.busy_s = 0.0

    def take(self, read: Read) -> float:
        """Move and read; return how long that takes, in seconds."""
        ahead = read.offset - self.place
        took_s = read.size_bytes / RATE_BYTES_S
        if 0 <= ahead <= _TRACK_BYTES:  # what lies between passes beneath the head
            took_s += ahead / RATE_BYTES_S
        else:
            # a head accelerates half of its way: the time goes with the root of the distance
            took_s += SETTLE_S + (STROKE_S - SETTLE_S) * (abs(ahead) / self._disk_bytes) ** 0.5
            took_s += HALF_TURN_S
            self.seeks += 1
        self.place = read.offset + read.size_bytes
        self.busy_s += took_s
        return took_s

    def next(self, waiting: list[Read]) -> Read:
        """Return which of the waiting requests is served next: the nearest above, or the lowest."""
        return min(waiting, key=lambda read: (read.offset < self.place, read.offset))


class Disk:
    """Answers the kernel."""

    def __init__(self, device: int, image: int) -> None:
        self._device = device
        self._image = image
        self._size_bytes = os.fstat(image).st_size
        self._head = Head(self._size_bytes)
        self._waiting: list[Read] = []
        self._free_s = 0.0

    def serve(self) -> None:
        """Serve until standard input ends or nothing is mounted any more."""
        while True:
            now_s = time.monotonic()
            wait_s = max(0.0, self._free_s - now_s) if self._waiting else None
            ready, _, _ = select.select([self._device, sys.stdin.fileno()], [], [], wait_s)
            if sys.stdin.fileno() in ready:
                if not os.read(sys.stdin.fileno(), 4096):
                    return
                said = {"seeks": self._head.seeks, "busy_s": round(self._head.busy_s, 3)}
                print(json.dumps(said), flush=True)
                self._head.seeks, self._head.busy_s = 0, 0.0
            if self._device in ready and not self._listen():
                return
            self._turn()

    def _listen(self) -> bool:
        """Take what the kernel asks; False when it asks no more."""
        while True:
            try:
                request = os.read(self._device, 1 << 17)
            except BlockingIOError:
                return True
            except OSError as error:
                return error.errno in {errno.EINTR, errno.ENOENT}
            _, opcode, unique, node, *_ = _IN_HEADER.unpack_from(request)
            body = request[_IN_HEADER.size :]
            if opcode == _READ:
                _, offset, size_bytes = struct.unpack_from("<QQI", body)
                if not self._waiting:  # the disk stood still: it is free from now on
                    self._free_s = max(self._free_s, time.monotonic())
                self._waiting.append(Read(offset, size_bytes, unique))
            elif opcode not in _QUIET:
                self._answer(unique, self._fact(opcode, node, body))

    def _turn(self) -> None:
        """Hand over what the head has read by now; `_free_s` is when it is done with the next."""
        while self._waiting and self._free_s <= time.monotonic():
            read = self._head.next(self._waiting)
            self._waiting.remove(read)
            self._free_s += self._head.take(read)
            time.sleep(max(0.0, self._free_s - time.monotonic()))
            self._answer(read.unique, os.pread(self._image, read.size_bytes, read.offset))

    def _fact(self, opcode: int, node: int, body: bytes) -> bytes | int:
        """Return what a request for anything but bytes gets; a number is an error."""
        if opcode == _INIT:
            flags = _ASYNC_READ | _ASYNC_DIO | _MAX_PAGES
            most = _PAGES * 4096
            return _INIT_OUT.pack(7, 31, most, flags, _QUEUE, _QUEUE, 4096, 1, _PAGES, 0, 0)
        if opcode == _LOOKUP and body.rstrip(b"\0") == _NAME:
            return struct.pack("<QQQQII", _FILE, 0, _HOLDS_S, _HOLDS_S, 0, 0) + self._attr(_FILE)
        if opcode == _GETATTR:
            return struct.pack("<QII", _HOLDS_S, 0, 0) + self._attr(node)
        if opcode == _OPEN:
            return struct.pack("<QII", 1, 0, 0)
        return b"" if opcode in _DONE else -errno.ENOENT if opcode == _LOOKUP else -errno.ENOSYS

    def _attr(self, node: int) -> bytes:
        mode, size_bytes = (0o40755, 4096) if node == _ROOT else (0o100400, self._size_bytes)
        blocks, owner = size_bytes // 512, (os.getuid(), os.getgid())
        return _ATTR.pack(node, size_bytes, blocks, 0, 0, 0, 0, 0, 0, mode, 1, *owner, 0, 4096, 0)

    def _answer(self, unique: int, answer: bytes | int) -> None:
        body, error = (b"", answer) if isinstance(answer, int) else (answer, 0)
        with suppress(OSError):  # who asked has given up
            os.writev(
                self._device,
                [_OUT_HEADER.pack(_OUT_HEADER.size + len(body), error, unique), body],
            )


def main(point: str, image: str) -> None:
    """Mount, say so, and turn."""
    device = os.open("/dev/fuse", os.O_RDWR | os.O_NONBLOCK)
    libc = ctypes.CDLL(None, use_errno=True)
    options = f"fd={device},rootmode=40000,user_id={os.getuid()},group_id={os.getgid()},allow_other"
    if libc.mount(b"spinning", os.fsencode(point), b"fuse.spinning", 1, options.encode()):
        raise OSError(ctypes.get_errno(), "mount: the simulated disk needs root")
    print("ready", flush=True)
    Disk(device, os.open(image, os.O_RDONLY)).serve()


if __name__ == "__main__":
    main(*sys.argv[1:])
