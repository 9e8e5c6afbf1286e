"""A FUSE server that shows a folder as a share: late, and with what can go wrong with a server.

    python folder_server.py MOUNT_POINT FOLDER ORDERS

Every request is answered after the delay in the file ORDERS, a JSON object that is read again for
each: {"delay_s": 0.01, "files": {"a.jpg": {"do": "eio", "at": 70000, "times": 1}}}. When a read of
the file reaches the offset `at`, the server once, or so many times,

    eio, estale   fails;
    short         gives half of what was asked for;
    hang          gives nothing, ever;
    grow, shrink  changes the file first: 1000 bytes more, or half as many;
    replace       puts the file of the same name with ".other" behind it in its place first.

Speaks the kernel's protocol itself, as `hanging_server` does. Nothing is cached but pages. It also
appends a line for each request of a file to ORDERS with ".log" behind it: OPEN, READ and a name.
"""

from __future__ import annotations

import ctypes
import errno
import json
import os
import struct
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

_LOOKUP, _GETATTR, _OPEN, _READ, _RELEASE, _INIT = 1, 3, 14, 15, 18, 26
_OPENDIR, _READDIR = 27, 28
_QUIET = frozenset({2, 36, 42})
"""FORGET, INTERRUPT and BATCH_FORGET want no answer."""
_DONE = frozenset({25, 29})
"""FLUSH and RELEASEDIR are done at once."""
_IN_HEADER = struct.Struct("<IIQQIIII")
_OUT_HEADER = struct.Struct("<IiQ")
_INIT_OUT = struct.Struct("<IIIIHHIIHHI28x")
#: ino, size, blocks, three times, three fractions, mode, links, uid, gid, rdev, block size, flags
_ATTR = struct.Struct("<QQQQQQIIIIIIIIII")
_READAHEAD_BYTES = 1 << 17
_ASYNC_READ = 1
_FAILS = {"eio": errno.EIO, "estale": errno.ESTALE}
_NS = 1_000_000_000


def _attr(now: os.stat_result) -> bytes:
    times = [divmod(each, _NS) for each in (now.st_atime_ns, now.st_mtime_ns, now.st_ctime_ns)]
    seconds, fractions = zip(*times, strict=True)
    return _ATTR.pack(
        now.st_ino, now.st_size, -(-now.st_size // 512), *seconds, *fractions,
        now.st_mode, now.st_nlink, now.st_uid, now.st_gid, 0, 4096, 0,
    )  # fmt: skip


class _Server:
    def __init__(self, folder: Path, orders: Path) -> None:
        self._orders = orders
        self._paths = {1: folder}
        self._nodes = {folder: 1}
        self._obeyed: dict[str, int] = {}
        self._lock = threading.Lock()
        self._answers: dict[int, Callable[[Path, bytes], bytes | None]] = {
            _INIT: self._begin,
            _LOOKUP: self._found,
            _GETATTR: self._look,
            _OPEN: self._open,
            _RELEASE: self._close,
            _OPENDIR: lambda _path, _body: struct.pack("<QII", 0, 0, 0),
            _READDIR: self._listed,
            _READ: self._read,
        }

    def orders(self) -> dict[str, object]:
        found: dict[str, object] = json.loads(self._orders.read_text())
        return found

    def answer(self, opcode: int, node: int, body: bytes) -> bytes | None:
        """Return what a request gets; None: no answer at all. Raises OSError."""
        path = self._paths.get(node, Path("/nowhere"))
        if opcode in _DONE:
            return b""
        if opcode not in self._answers:
            raise OSError(errno.ENOSYS, "not known")
        return self._answers[opcode](path, body)

    def _begin(self, _path: Path, _body: bytes) -> bytes:
        return _INIT_OUT.pack(7, 31, _READAHEAD_BYTES, _ASYNC_READ, 16, 16, 4096, 1, 1, 0, 0)

    def _look(self, path: Path, _body: bytes) -> bytes:
        return struct.pack("<QII", 0, 0, 0) + _attr(path.lstat())

    def _open(self, path: Path, _body: bytes) -> bytes:
        self._note(f"OPEN {path.name}")
        return struct.pack("<QII", os.open(path, os.O_RDONLY), 0, 0)

    def _close(self, _path: Path, body: bytes) -> bytes:
        os.close(struct.unpack_from("<Q", body)[0])
        return b""

    def _note(self, line: str) -> None:
        with self._lock, open(f"{self._orders}.log", "a", encoding="utf-8") as log:
            log.write(f"{line}\n")

    def _found(self, folder: Path, body: bytes) -> bytes:
        path = folder / os.fsdecode(body.rstrip(b"\0"))
        now = path.lstat()
        with self._lock:
            node = self._nodes.setdefault(path, len(self._nodes) + 1)
            self._paths[node] = path
        return struct.pack("<QQQQII", node, 0, 0, 0, 0, 0) + _attr(now)

    @staticmethod
    def _listed(path: Path, body: bytes) -> bytes:
        _, offset, most_bytes = struct.unpack_from("<QQI", body)
        listed = b""
        names = sorted(os.fsencode(each.name) for each in path.iterdir())
        for number, name in enumerate(names[offset:], offset + 1):
            kind = 4 if (path / os.fsdecode(name)).is_dir() else 8
            entry = struct.pack("<QQII", number, number, len(name), kind) + name
            entry = entry.ljust(-(-len(entry) // 8) * 8, b"\0")
            if len(listed) + len(entry) > most_bytes:
                break
            listed += entry
        return listed

    def _read(self, path: Path, body: bytes) -> bytes | None:
        file, offset, count = struct.unpack_from("<QQI", body)
        self._note(f"READ {path.name} {offset} {count}")
        files = self.orders().get("files", {})
        order = files.get(path.name) if isinstance(files, dict) else None
        if order and offset + count > order["at"] and self._is_turn(path.name, order):
            what = order["do"]
            if what == "hang":
                return None
            if what in _FAILS:
                raise OSError(_FAILS[what], what)
            if what == "short":
                return os.pread(file, count // 2, offset)
            self._change(path, what)
        return os.pread(file, count, offset)

    def _is_turn(self, name: str, order: dict[str, int]) -> bool:
        with self._lock:
            self._obeyed[name] = self._obeyed.get(name, 0) + 1
            return self._obeyed[name] <= order.get("times", 1)

    @staticmethod
    def _change(path: Path, what: str) -> None:
        if what == "grow":
            with path.open("ab") as file:
                file.write(bytes(1000))
        elif what == "shrink":
            os.truncate(path, path.stat().st_size // 2)
        elif what == "replace":
            path.with_name(f"{path.name}.other").replace(path)


def _serve(server: _Server, device: int, request: bytes) -> None:
    _, opcode, unique, node, *_ = _IN_HEADER.unpack_from(request)
    delay_s = server.orders().get("delay_s", 0)
    if isinstance(delay_s, float) and opcode != _INIT:
        time.sleep(delay_s)
    error, body = 0, None
    try:
        body = server.answer(opcode, node, request[_IN_HEADER.size :])
    except OSError as failure:
        error, body = -(failure.errno or errno.EIO), b""
    if body is not None:
        os.write(device, _OUT_HEADER.pack(_OUT_HEADER.size + len(body), error, unique) + body)


def main(point: str, folder: str, orders: str) -> None:
    """Mount, say so on standard output, and serve until killed."""
    device = os.open("/dev/fuse", os.O_RDWR)
    libc = ctypes.CDLL(None, use_errno=True)
    options = f"fd={device},rootmode=40000,user_id={os.getuid()},group_id={os.getgid()},allow_other"
    if libc.mount(b"nas:/photos", os.fsencode(point), b"fuse.sshfs", 0, options.encode()):
        raise OSError(ctypes.get_errno(), "mount")
    server = _Server(Path(folder), Path(orders))
    told = False
    with ThreadPoolExecutor(32) as threads:
        while request := os.read(device, (1 << 17) + 4096):
            if struct.unpack_from("<I", request, 4)[0] not in _QUIET:
                threads.submit(_serve, server, device, request)
            if not told:
                sys.stdout.write("ready\n")
                sys.stdout.flush()
                told = True


if __name__ == "__main__":
    main(*sys.argv[1:])
