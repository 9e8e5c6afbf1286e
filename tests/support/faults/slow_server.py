"""A FUSE server with one file that delivers a byte at a time: every second, or never.

    python slow_server.py MOUNT_POINT FILE SECONDS

The mount point shows one file, `slow.jpg`, with the content of FILE; each read is answered after so
many seconds with one byte. With "never" a read waits until the server is killed, with "eio" it
fails as on a dying disk, and so does everything that would change something. Speaks the kernel's
protocol itself, as `hanging_server` does.
"""

from __future__ import annotations

import ctypes
import os
import struct
import sys
import time
from pathlib import Path

_LOOKUP, _GETATTR, _OPEN, _READ, _INIT = 1, 3, 14, 15, 26
_OPENDIR, _READDIR = 27, 28
_QUIET = frozenset({2, 36, 42})
"""FORGET, INTERRUPT and BATCH_FORGET want no answer."""
_DONE = frozenset({18, 25, 29})
"""FLUSH, RELEASE and RELEASEDIR are done at once."""
_IN_HEADER = struct.Struct("<IIQQIIII")
_OUT_HEADER = struct.Struct("<IiQ")
_INIT_OUT = struct.Struct("<IIIIHHIIHHI28x")
#: ino, size, blocks, three times, three fractions, mode, links, uid, gid, rdev, block size, flags
_ATTR = struct.Struct("<QQQQQQIIIIIIIIII")
_DIRECT_IO = 1
_ENOSYS, _ENOENT, _EIO = 38, 2, 5
_ROOT, _FILE = 1, 2
_NAME = b"slow.jpg"


def _attr(node: int, size_bytes: int) -> bytes:
    mode = 0o40755 if node == _ROOT else 0o100644
    seconds = 1_700_000_000
    times = (seconds, seconds, seconds, 0, 0, 0)
    return _ATTR.pack(node, size_bytes, 1, *times, mode, 1, os.getuid(), os.getgid(), 0, 4096, 0)


class _Server:
    def __init__(self, content: bytes, wait_s: float | None, *, broken: bool) -> None:
        self._content = content
        self._wait_s = wait_s
        self._broken = broken

    def answer(self, opcode: int, node: int, body: bytes) -> bytes | int | None:
        """Return what a request gets; a number is an error, None no answer at all."""
        if opcode == _READ and self._broken:
            return _EIO
        if opcode == _READ:
            return self._read(struct.unpack_from("<QQ", body)[1])
        attr = _attr(_FILE, len(self._content))
        if opcode == _LOOKUP and body.rstrip(b"\0") != _NAME:
            return _ENOENT
        name = struct.pack("<QQII", _FILE, 1, len(_NAME), 8) + _NAME
        at_end = opcode == _READDIR and struct.unpack_from("<QQ", body)[1]
        return {
            _INIT: _INIT_OUT.pack(7, 31, 0, 0, 16, 16, 4096, 1, 1, 0, 0),
            # node, generation, how long name and attributes hold, fractions of that
            _LOOKUP: struct.pack("<QQQQII", _FILE, 0, 3600, 3600, 0, 0) + attr,
            _GETATTR: struct.pack("<QII", 3600, 0, 0)
            + (attr if node == _FILE else _attr(_ROOT, 4096)),
            _OPEN: struct.pack("<QII", 1, _DIRECT_IO, 0),
            _OPENDIR: struct.pack("<QII", 1, 0, 0),
            _READDIR: b"" if at_end else name.ljust(-(-len(name) // 8) * 8, b"\0"),
            **dict.fromkeys(_DONE, b""),
        }.get(opcode, _EIO if self._broken else _ENOSYS)

    def _read(self, offset: int) -> bytes | None:
        if self._wait_s is None:
            return None
        time.sleep(self._wait_s)
        return self._content[offset : offset + 1]


def main(point: str, file: str, seconds: str) -> None:
    """Mount, say so on standard output, and serve until killed."""
    device = os.open("/dev/fuse", os.O_RDWR)
    libc = ctypes.CDLL(None, use_errno=True)
    options = f"fd={device},rootmode=40000,user_id={os.getuid()},group_id={os.getgid()},allow_other"
    if libc.mount(b"slow", os.fsencode(point), b"fuse.slow", 0, options.encode()):
        raise OSError(ctypes.get_errno(), "mount")
    waits = not seconds.isalpha()
    content = Path(file).read_bytes()
    server = _Server(content, float(seconds) if waits else None, broken=seconds == "eio")
    while request := os.read(device, 1 << 17):
        _, opcode, unique, node, *_ = _IN_HEADER.unpack_from(request)
        answer = (
            None if opcode in _QUIET else server.answer(opcode, node, request[_IN_HEADER.size :])
        )
        if answer is not None:
            body, error = (b"", -answer) if isinstance(answer, int) else (answer, 0)
            os.write(device, _OUT_HEADER.pack(_OUT_HEADER.size + len(body), error, unique) + body)
        if opcode == _INIT:
            sys.stdout.write("ready\n")
            sys.stdout.flush()


if __name__ == "__main__":
    main(*sys.argv[1:])
