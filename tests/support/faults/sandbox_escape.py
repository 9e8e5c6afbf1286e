"""A decoder taken over by its file: it tries to get out of its worker, and tells what came of it.

`photo.socket.jpg` is opened by the real decoder; where its pixels should be decoded, the attempt
named in it is made. The outcome says "refused: EPERM" or "done". What attempts aim at stands in
`targets.json` beside the picture.
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import json
import os
import resource
import signal
import socket
import subprocess
import sys
import threading
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from pregen import work
from pregen.imaging import at_once, thumbnail
from pregen.imaging.faults import InvalidPicture

if TYPE_CHECKING:
    from collections.abc import Callable

    from pregen.config import WorkConfig
    from pregen.engines.base import Ask
    from pregen.imaging.decoders.base import Request
    from pregen.imaging.formats import Format
    from pregen.model import AllowedFolders, Job, Outcome


class Targets(NamedTuple):
    """What a test has put in the way of attempts."""

    secret: str
    """A file outside all roots."""
    outside: str
    """A folder outside all roots."""
    original: str
    """Another picture of the user, below the root."""
    cache: str
    """The thumbnails directory."""
    parent: int
    """The run's process."""
    stranger: int
    """Another process of the same user."""


def targets_file(folder: Path, targets: Targets) -> None:
    """Write them where attempts find them."""
    (folder / "targets.json").write_text(json.dumps(targets))


def _call(number: int, *arguments: int | ctypes.Array[ctypes.c_char] | bytes | None) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    libc.syscall.restype = ctypes.c_long
    passed = [ctypes.c_long(each) if isinstance(each, int) else each for each in arguments]
    if libc.syscall(ctypes.c_long(number), *passed) < 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))


#: x86-64, arm64
_CALLS = {
    "ptrace": (101, 117),
    "process_vm_readv": (310, 270),
    "pidfd_open": (434, 434),
    "io_uring_setup": (425, 425),
    "unshare": (272, 97),
    "bpf": (321, 280),
    "setuid": (105, 146),
    "memfd_create": (319, 279),
    "of the future": (2000, 2000),
}
_PTRACE_SEIZE = 0x4206


def number_of(call: str) -> int:
    """Return the number of a system call on this machine."""
    return _CALLS[call][os.uname().machine == "aarch64"]


def _read(path: str) -> None:
    Path(path).read_bytes()


def _write(path: str) -> None:
    Path(path).write_bytes(b"x")


def _opened(path: str, do: Callable[[int], object]) -> None:
    """Do something with a file that was opened for reading, as every source is."""
    with Path(path).open("rb") as file:
        do(file.fileno())


def _chmod(descriptor: int) -> None:
    os.fchmod(descriptor, 0o644)


def _append(path: str) -> None:
    with Path(path).open("ab"):
        pass


def _spawn() -> None:
    subprocess.run([sys.executable, "-c", ""], check=True)


def _exec_in_place() -> None:
    os.execv("/bin/true", ["true"])  # noqa: S606 - it is to fail; else the worker is gone


def _fork() -> None:
    child = os.fork()
    if child == 0:
        os._exit(0)
    os.waitpid(child, 0)


def _bind(kind: socket.AddressFamily) -> None:
    socket.socket(kind, socket.SOCK_STREAM).close()


def _abstract() -> None:
    with socket.socket(socket.AF_UNIX) as end:
        end.bind("\0pregen-jailbreak")


def _peek(pid: int) -> None:
    """Read one byte of our own address in another process: both were forked from one image."""
    here = ctypes.create_string_buffer(1)
    local = (ctypes.c_size_t * 2)(ctypes.addressof(here), 1)
    _call(number_of("process_vm_readv"), pid, ctypes.addressof(local), 1, 0, 0, 0)


def _signal_by_descriptor(pid: int) -> None:
    reader, writer = os.pipe()
    try:
        fcntl.fcntl(reader, fcntl.F_SETOWN, pid)
    finally:
        os.close(reader)
        os.close(writer)


def _raise_memory_limit() -> None:
    unlimited = resource.RLIM_INFINITY
    resource.setrlimit(resource.RLIMIT_AS, (unlimited, unlimited))


def _dump_core() -> None:
    resource.setrlimit(resource.RLIMIT_CORE, (1 << 20, 1 << 20))


def _many_files() -> None:
    opened = []
    try:
        for _ in range(300):
            opened.append(os.dup(0))  # noqa: PERF401 - each counts, should the next one fail
    finally:
        for descriptor in opened:
            os.close(descriptor)


def _large_pipe() -> None:
    reader, writer = os.pipe()
    try:
        fcntl.fcntl(writer, fcntl.F_SETPIPE_SZ, 1 << 20)
    finally:
        os.close(reader)
        os.close(writer)


def _fill_disk(folder: str) -> None:
    """Write one byte at 100 MB: a hole, so that nothing is lost when it works."""
    path = Path(folder) / "normal" / "big"
    with path.open("wb") as file:
        file.seek(100 << 20)
        file.write(b"x")
    path.unlink()


def _thread() -> None:
    thread = threading.Thread(target=int)
    thread.start()
    thread.join()


def _font(folder: str) -> None:
    path = next(each for each in Path(folder).rglob("*") if each.is_file())
    path.read_bytes()


def _entry(folder: str) -> None:
    """Write where entries are written: that stays allowed, and goes by the same calls."""
    path = Path(folder) / "normal" / "x.png"
    path.write_bytes(b"x")
    path.unlink()


def _move(path: str, to: str) -> None:
    Path(path).rename(to)
    Path(to).rename(path)


def _link(path: str, to: str) -> None:
    Path(to).hardlink_to(path)
    Path(to).unlink()


def _symlink(path: str, to: str) -> None:
    Path(to).symlink_to(path)
    Path(to).unlink()


def attempts(at: Targets) -> dict[str, Callable[[], object]]:
    """Return what a decoder must not be able to do, by name; without confinement a user is."""
    out = Path(at.outside)
    entries = Path(at.cache, "normal")
    return {
        "read a file outside": partial(_read, at.secret),
        "list a folder outside": partial(os.listdir, at.outside),
        "read by a link below the root": partial(_read, f"{at.original}.link"),
        "read the environment of the run": partial(_read, f"/proc/{at.parent}/environ"),
        "read the memory of a process": partial(_read, f"/proc/{at.stranger}/maps"),
        "write outside": partial(_write, str(out / "new")),
        "make a folder outside": partial(os.makedirs, out / "folder", exist_ok=True),
        "open an original to write": partial(_append, at.original),
        "open a file outside to write": partial(_append, at.secret),
        "truncate": partial(os.truncate, at.secret, 1),
        "write beside the originals": partial(_write, f"{at.original}.new"),
        "delete an original": partial(_move, at.original, f"{at.original}.moved"),
        "write beside the entries' folders": partial(_write, f"{at.cache}/new"),
        "make a folder in the cache": partial(os.makedirs, f"{at.cache}/new.d", exist_ok=True),
        "link a secret into the cache": partial(_link, at.secret, str(entries / "hard")),
        "plant a link in the cache": partial(_symlink, at.secret, str(entries / "soft")),
        "chmod a file outside": partial(os.chmod, at.secret, 0o644),
        "chmod an original": partial(os.chmod, at.original, 0o644),
        "chmod an open original": partial(_opened, at.original, _chmod),
        "touch an original": partial(os.utime, at.original),
        "touch an open original": partial(_opened, at.original, os.utime),
        "attribute of an original": partial(_attribute, at.original),
        "open a TCP socket": partial(_bind, socket.AF_INET),
        "open a Unix socket": partial(_bind, socket.AF_UNIX),
        "open an abstract socket": _abstract,
        "socket pair": socket.socketpair,
        "run a program": _spawn,
        "fork": _fork,
        "trace": partial(_call, number_of("ptrace"), _PTRACE_SEIZE, at.stranger, 0, 0),
        "read memory by call": partial(_peek, at.stranger),
        "hold a process": partial(_call, number_of("pidfd_open"), at.stranger, 0),
        "signal a process": partial(os.kill, at.stranger, 0),
        "signal by a descriptor": partial(_signal_by_descriptor, at.stranger),
        "limit a process": partial(resource.prlimit, at.stranger, resource.RLIMIT_NOFILE),
        "renice": partial(os.setpriority, os.PRIO_PROCESS, at.stranger, 0),
        "leave the session": partial(os.setpgid, 0, 0),
        "have many files open": _many_files,
        "have memory as a file": partial(_call, number_of("memfd_create"), b"x", 0),
        "have memory in a pipe": _large_pipe,
        "attributes of a file outside": partial(os.listxattr, at.secret),
        "an attribute of an original": partial(_read_attribute, at.original),
        "group of a process": partial(os.getpgid, at.stranger),
        "session of a process": partial(os.getsid, at.stranger),
        "priority of a process": partial(os.getpriority, os.PRIO_PROCESS, at.stranger),
        "write a huge file": partial(_fill_disk, at.cache),
    }


def hopeless(at: Targets) -> dict[str, Callable[[], object]]:
    """Return what is refused, and what one may not try unconfined: it needs root, or does harm."""
    return {
        "read the password hashes": partial(_read, "/etc/shadow"),
        "become another program": _exec_in_place,
        "trace the run": partial(_call, number_of("ptrace"), _PTRACE_SEIZE, at.parent, 0, 0),
        "read the run's memory": partial(_peek, at.parent),
        "read the run's memory as a file": partial(_read, f"/proc/{at.parent}/mem"),
        "kill the run": partial(os.kill, at.parent, signal.SIGTERM),
        "kill everything": partial(os.kill, -1, signal.SIGTERM),
        "kill the starter of workers": partial(os.kill, os.getppid(), signal.SIGKILL),
        "io_uring": partial(_call, number_of("io_uring_setup"), 1, bytes(120)),
        "a new namespace": partial(_call, number_of("unshare"), 0x10000000),
        "bpf": partial(_call, number_of("bpf"), 0, None, 0),
        "another user": partial(_call, number_of("setuid"), 12345),
        "a call of the future": partial(_call, number_of("of the future")),
        "more memory": _raise_memory_limit,
        "a core dump": _dump_core,
        "raw device": partial(_read, "/dev/mem"),
        "terminal": partial(_read, "/dev/tty"),
    }


def allowed(at: Targets) -> dict[str, Callable[[], object]]:
    """Return what a decoder needs, and can do in either case."""
    return {
        "read an original": partial(_read, at.original),
        "read a program's file": partial(_font, "/usr/share"),
        "import late": partial(__import__, "wsgiref.handlers"),
        "write an entry": partial(_entry, at.cache),
        "start a thread": _thread,
        "signal itself": partial(os.kill, os.getpid(), 0),
    }


def _attribute(path: str) -> None:
    os.setxattr(path, "user.pregen", b"x")


def _read_attribute(path: str) -> None:
    try:
        os.getxattr(path, "user.none")
    except OSError as error:
        if error.errno != errno.ENODATA:
            raise


def make_jailbreaker(config: WorkConfig) -> _Jailbreaker:
    """Make the work of a real run, whose decoder makes the attempt a file's name asks for."""
    return _Jailbreaker(config)


class _Jailbreaker:
    def __init__(self, config: WorkConfig) -> None:
        self._worker = work.make_worker(config)
        # photos are to go by their decoder, which is armed
        vars(at_once)["pictures"] = lambda *_: None

    def confine(self, open_elsewhere: Callable[[int], int]) -> AllowedFolders:
        return self._worker.confine(open_elsewhere)

    def __call__(self, job: Job, ask: Ask) -> Outcome:
        name = Path(os.fsdecode(job.path)).name.split(".")[1]
        told = Path(os.fsdecode(job.path)).parent / "targets.json"
        aim = Targets(*json.loads(told.read_text()))
        found = {**attempts(aim), **hopeless(aim), **allowed(aim)}.get(name)
        decoder_of = thumbnail.decoder_of
        if found is not None:
            thumbnail.decoder_of = _arming(decoder_of, found)
        try:
            return self._worker(job, ask)
        finally:
            thumbnail.decoder_of = decoder_of


def _arming(decoder_of: Callable[[Format], Any], attempt: Callable[[], object]) -> Any:
    return partial(_Armed, decoder_of, attempt)


class _Armed:
    def __init__(
        self, decoder_of: Callable[[Format], Any], attempt: Callable[[], object], found: Format
    ) -> None:
        self._module = decoder_of(found)
        self._attempt = attempt

    def open_picture(self, request: Request) -> Any:
        opened = self._module.open_picture(request)

        def decode(box_px: int) -> Any:
            del box_px
            raise InvalidPicture(outcome_of(self._attempt))

        opened.decode = decode
        return opened


def outcome_of(attempt: Callable[[], object]) -> str:
    """Make the attempt; tell in a word or two how it ended."""
    try:
        attempt()
    except OSError as error:
        return f"refused: {errno.errorcode.get(error.errno or 0, '?')}"
    except ValueError as error:
        return f"refused: {error}"  # resource.setrlimit, of a limit above the hard one
    return "done"
