"""A FUSE server that shows a folder, some files only by name, and notes each request.

    python counting_server.py MOUNT_POINT FOLDER LOG TYPE MARK BLOCKS

A file with MARK in its name has its size but no blocks, as if its content were in a cloud; reading
it is possible all the same. With BLOCKS "none" no file and no folder has any. LOG gets a line for
each request: its name, and the path. Attributes come with no listing and are not kept: each look is
a request, as on many a share. Speaks the kernel's protocol itself, as `hanging_server` does.
"""

from __future__ import annotations

import ctypes
import os
import stat
import struct
import sys
from pathlib import Path

_LOOKUP, _FORGET, _GETATTR, _OPEN, _READ, _STATFS, _INIT = 1, 2, 3, 14, 15, 17, 26
_OPENDIR, _READDIR, _GETXATTR = 27, 28, 22
_NAMES = {1: "lookup", 3: "getattr", 14: "open", 15: "read", 22: "getxattr", 27: "opendir",
          28: "readdir"}  # fmt: skip
_QUIET = frozenset({2, 36, 42})
_DONE = frozenset({18, 25, 29})
_IN_HEADER = struct.Struct("<IIQQIIII")
_OUT_HEADER = struct.Struct("<IiQ")
_INIT_OUT = struct.Struct("<IIIIHHIIHHI28x")
_ATTR = struct.Struct("<QQQQQQIIIIIIIIII")
_STATE = b"user.onedriver.status"
_ENOSYS, _ENOENT, _ENODATA = 38, 2, 61


class _Server:
    def __init__(self, root: str, log: str, mark: str, *, blocks: bool) -> None:
        self._paths = {1: root}
        self._nodes = {root: 1}
        self._log = Path(log)
        self._mark = mark
        self._blocks = blocks

    def _note(self, line: str) -> None:
        with self._log.open("a") as log:
            log.write(line + "\n")

    def _attr(self, node: int) -> bytes | int:
        path = self._paths[node]
        try:
            now = Path(path).stat()
        except OSError:
            return _ENOENT
        away = self._mark in Path(path).name or not self._blocks
        seconds, rest = divmod(now.st_mtime_ns, 10**9)
        times = (seconds, seconds, seconds, rest, rest, rest)
        return _ATTR.pack(
            node, now.st_size, 0 if away else 8, *times, now.st_mode, now.st_nlink,
            os.getuid(), os.getgid(), 0, 4096, 0,
        )  # fmt: skip

    def answer(self, opcode: int, node: int, body: bytes) -> bytes | int | None:
        """Return what a request gets; a number is an error."""
        path = self._paths.get(node, "?")
        if opcode == _LOOKUP:
            path = str(Path(path) / os.fsdecode(body.rstrip(b"\0")))
        if opcode in _NAMES:
            self._note(f"{_NAMES[opcode]} {path}")
        if opcode == _LOOKUP:
            found = self._nodes.setdefault(path, len(self._nodes) + 1)
            self._paths[found] = path
            attr = self._attr(found)
            return attr if isinstance(attr, int) else struct.pack("<QQQQII", found, *[0] * 5) + attr
        if opcode == _GETATTR:
            attr = self._attr(node)
            return attr if isinstance(attr, int) else struct.pack("<QII", 0, 0, 0) + attr
        if opcode == _READ:
            offset, count = struct.unpack_from("<QI", body, 8)
            with Path(path).open("rb") as file:
                file.seek(offset)
                data = file.read(count)
            self._note(f"bytes {len(data)} {path}")
            return data
        if opcode == _READDIR:
            return self._listing(path, *struct.unpack_from("<QI", body, 8))
        if opcode == _GETXATTR:
            return self._state(path, struct.unpack_from("<I", body)[0], body)
        return {
            _INIT: _INIT_OUT.pack(7, 31, 1 << 17, 0, 16, 16, 1 << 17, 1, 32, 0, 0),
            _OPEN: struct.pack("<QII", 1, 0, 0),
            _OPENDIR: struct.pack("<QII", 1, 0, 0),
            _STATFS: struct.pack("<QQQQQIIII24x", 9, 9, 9, 9, 9, 4096, 255, 4096, 0),
            **dict.fromkeys(_DONE, b""),
        }.get(opcode, _ENOSYS)

    def _state(self, path: str, room: int, body: bytes) -> bytes | int:
        if body[8:].rstrip(b"\0") != _STATE:
            return _ENODATA
        said = b"Cloud" if self._mark in Path(path).name else b"Local"
        return said if room else struct.pack("<II", len(said), 0)

    @staticmethod
    def _listing(path: str, offset: int, room: int) -> bytes:
        out = b""
        for number, entry in enumerate(sorted(os.scandir(path), key=lambda one: one.name)):
            if number < offset:
                continue
            name = os.fsencode(entry.name)
            kind = stat.S_IFMT(entry.stat().st_mode) >> 12
            one = struct.pack("<QQII", number + 2, number + 1, len(name), kind) + name
            one = one.ljust(-(-len(one) // 8) * 8, b"\0")
            if len(out) + len(one) > room:
                break
            out += one
        return out


def main(point: str, folder: str, log: str, kind: str, mark: str, blocks: str) -> None:
    """Mount, say so on standard output, and serve until killed."""
    device = os.open("/dev/fuse", os.O_RDWR)
    libc = ctypes.CDLL(None, use_errno=True)
    options = f"fd={device},rootmode=40000,user_id={os.getuid()},group_id={os.getgid()},allow_other"
    if libc.mount(b"counted", os.fsencode(point), f"fuse.{kind}".encode(), 0, options.encode()):
        raise OSError(ctypes.get_errno(), "mount")
    server = _Server(folder, log, mark, blocks=blocks != "none")
    while request := os.read(device, 1 << 18):
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
