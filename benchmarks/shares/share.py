"""A folder served by an sshd of its own over a slow link, all on loopback, and mounts of it.

Everything that is started ends with the `Share`; where the program that made it is killed, the
link's input ends, with it the connections, and with them sshfs and its mount.
"""

from __future__ import annotations

import getpass
import json
import os
import shutil
import socket
import subprocess
import tempfile
import time
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, Self

import psutil

from benchmarks.shares.companion import Companion, CompanionError

if TYPE_CHECKING:
    from collections.abc import Iterator

_DEBIAN = {
    "sshfs": "sshfs",
    "fusermount3": "fuse3",
    "ssh": "openssh-client",
    "ssh-keygen": "openssh-client",
    "sshd": "openssh-server",
    "setpriv": "util-linux",
}
#: sshd is no program for users: it is often in no one's PATH.
_SYSTEM_PATHS = "/usr/sbin:/sbin:/usr/local/sbin"
_START_S = 30.0
_LOOK_EVERY_S = 0.02
_CONFIG = """\
ListenAddress 127.0.0.1
Port {port}
HostKey {scratch}/host
AuthorizedKeysFile {scratch}/key.pub
PidFile none
StrictModes no
UsePAM no
PasswordAuthentication no
PermitRootLogin prohibit-password
MaxStartups 200
Subsystem sftp internal-sftp
LogLevel ERROR
"""


class ShareError(Exception):
    """The share cannot be made here; says why, and what to do."""


class Speed(NamedTuple):
    """What a link is like."""

    rtt_ms: float
    rate_mb_s: float


class Traffic(NamedTuple):
    """Bytes that went over the link."""

    down_bytes: int
    up_bytes: int


def missing() -> list[str]:
    """Return what is needed and is not here, with the packages that have it."""
    lacking = [f"{name} (Debian: {_DEBIAN[name]})" for name in _DEBIAN if not _program(name)]
    if not os.access("/dev/fuse", os.R_OK | os.W_OK):
        lacking.append("/dev/fuse, readable and writable (modprobe fuse)")
    return lacking


def works(scratch: Path) -> bool:
    """Tell whether a folder can be served and mounted here, by trying it in an empty folder."""
    point = scratch / "point"
    point.mkdir()
    try:
        with Share(scratch) as share, share.mounted(point):
            return (point / "point").is_dir()
    except (ShareError, CompanionError, OSError, subprocess.CalledProcessError):
        return False


def _program(name: str) -> str:
    """Return a program's path, or nothing."""
    return shutil.which(name) or shutil.which(name, path=_SYSTEM_PATHS) or ""


class Share:
    """As a context: the folder is served over a link that is fast until `slow` is called.

    Raises:
        ShareError: on entering, when something is missing or does not start.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._stack = ExitStack()
        self._scratch = Path()
        self._sshd: subprocess.Popen[bytes]
        self._link: Companion
        self._sshfs: subprocess.Popen[bytes] | None = None
        self._port = 0

    def __enter__(self) -> Self:
        if lacking := missing():
            raise ShareError(f"missing: {', '.join(lacking)}")
        with ExitStack() as stack:
            scratch = stack.enter_context(tempfile.TemporaryDirectory(prefix="pregen-share-"))
            self._scratch = Path(scratch)
            self._start_sshd(stack)
            self._start_link(stack)
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def _start_sshd(self, stack: ExitStack) -> None:
        for name in ("host", "key"):
            command = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f"]
            subprocess.run([*command, str(self._scratch / name)], check=True)
        if os.geteuid() == 0:
            Path("/run/sshd").mkdir(
                mode=0o755, exist_ok=True
            )  # sshd wants it, and does not make it
        self._port = _free_port()
        config, log = self._scratch / "sshd_config", self._scratch / "sshd.log"
        config.write_text(_CONFIG.format(port=self._port, scratch=self._scratch))
        command = [_program("sshd"), "-D", "-f", str(config), "-E", str(log)]
        self._sshd = subprocess.Popen(["setpriv", "--pdeathsig", "KILL", "--", *command])
        stack.callback(_end, self._sshd)
        deadline_s = time.monotonic() + _START_S
        while not _answers(self._port):
            if self._sshd.poll() is not None or time.monotonic() > deadline_s:
                raise ShareError(f"sshd does not start: {_text(log)}")
            time.sleep(_LOOK_EVERY_S)

    def _start_link(self, stack: ExitStack) -> None:
        self._link = Companion("link", str(self._port), "0", "10000")
        stack.callback(self._link.end)
        self._port = int(self._link.said)

    def slow(self, speed: Speed) -> None:
        """Let the link be of this speed from now on."""
        self._link.ask(f"{speed.rtt_ms} {speed.rate_mb_s}")

    def traffic(self) -> Traffic:
        """Return what went over the link since this, or `slow`, was last called."""
        return Traffic(**json.loads(self._link.ask("")))

    @contextmanager
    def mounted(self, point: Path, *options: str) -> Iterator[Path]:
        """Mount at a folder that exists, with nothing of it cached.

        Args:
            point: where.
            options: of sshfs, besides those that it takes to log in.

        Raises:
            ShareError: it does not appear.
        """
        known = [
            "StrictHostKeyChecking=no",
            f"UserKnownHostsFile={self._scratch}/known",
            f"IdentityFile={self._scratch}/key",
            "IdentitiesOnly=yes",
            *options,
        ]
        command = ["sshfs", "-f", "-F", "none", "-p", str(self._port), "-o", ",".join(known)]
        command += [f"{getpass.getuser()}@127.0.0.1:{self.folder}", str(point)]
        log = self._scratch / "sshfs.log"
        with log.open("wb") as output:
            sshfs = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=output, stderr=output
            )
        self._sshfs = sshfs
        try:
            deadline_s = time.monotonic() + _START_S
            while not os.path.ismount(point):
                if sshfs.poll() is not None or time.monotonic() > deadline_s:
                    raise ShareError(f"sshfs does not mount: {_text(log)} {self._server_says()}")
                time.sleep(_LOOK_EVERY_S)
            yield point
        finally:
            self._sshfs = None
            _unmount(point, sshfs)

    def _server_says(self) -> str:
        return _text(self._scratch / "sshd.log")

    @property
    def server_pid(self) -> int:
        """Of the sshd that waits for connections."""
        return self._sshd.pid

    def sessions(self) -> list[psutil.Process]:
        """Return the server's processes that serve mounts: to be stopped, and continued."""
        return psutil.Process(self._sshd.pid).children(recursive=True)

    def processor_s(self) -> dict[str, float]:
        """Return the processor time so far of each program that carries bytes of the mount."""
        ours = f"{self._scratch}/known"
        clients = [
            process
            for process in psutil.process_iter(["name", "cmdline"])
            if process.info["name"] == "ssh"
            and any(ours in w for w in process.info["cmdline"] or ())
        ]
        groups = {
            "sshd": self.sessions(),
            "ssh": clients,
            "link": [psutil.Process(self._link.process.pid)],
        }
        if self._sshfs is not None:
            groups["sshfs"] = [psutil.Process(self._sshfs.pid)]
        return {name: sum(map(_processor_s, those)) for name, those in groups.items()}


def _processor_s(process: psutil.Process) -> float:
    with suppress(psutil.NoSuchProcess):
        times = process.cpu_times()
        return float(times.user + times.system)
    return 0.0


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as tried:
        return int(tried.getsockname()[1])


def _answers(port: int) -> bool:
    with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1) as tried:
        return tried.recv(3) == b"SSH"
    return False


def _text(log: Path) -> str:
    try:
        return " ".join(log.read_text(errors="replace").split())
    except OSError:
        return ""


def _end(process: subprocess.Popen[bytes]) -> None:
    """End a process and its children: a stopped one, too."""
    with suppress(psutil.NoSuchProcess):
        for child in psutil.Process(process.pid).children(recursive=True):
            with suppress(psutil.NoSuchProcess):
                child.kill()
    process.kill()
    process.wait()


def _unmount(point: Path, sshfs: subprocess.Popen[bytes]) -> None:
    """Unmount, also where something is still open; afterwards nothing is mounted there."""
    for how in ("-u", "-u", "-uz"):
        done = subprocess.run(["fusermount3", how, "-q", str(point)], check=False)
        with suppress(subprocess.TimeoutExpired):
            if done.returncode == 0:
                sshfs.wait(5)
                return
            sshfs.wait(0.2)
    sshfs.kill()
    sshfs.wait()
    subprocess.run(["fusermount3", "-uzq", str(point)], check=False)
