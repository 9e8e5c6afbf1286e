"""A mount that hangs whoever looks at it, in a mount namespace of its own: nobody else sees it."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Self

import psutil

if TYPE_CHECKING:
    import signal
    from collections.abc import Sequence

_TIMEOUT_S = 60
_SERVERS = Path(__file__).parent


class StuckMount:
    """As a context: something is mounted at `point` for programs started with `inside`.

    Raises:
        OSError: it cannot be mounted here.
    """

    def __init__(
        self,
        point: Path,
        *,
        server: Sequence[str] = ("hanging_server.py",),
        within: StuckMount | None = None,
    ) -> None:
        """Mount; `server` is a script beside this one and its arguments behind the point.

        With `within` it is seen by programs started inside of that one, too.
        """
        script, *arguments = server
        command = [sys.executable, str(_SERVERS / script), str(point), *arguments]
        apart = ("unshare", "-m", "--propagation", "private")
        self._server = subprocess.Popen(
            [*(within.inside if within else apart), *command],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        self.inside: tuple[str, ...] = ("nsenter", "-t", str(self._server.pid), "-m", "--")
        """What to put before a command."""

    def __enter__(self) -> Self:
        assert self._server.stdout is not None
        if self._server.stdout.readline() != b"ready\n":
            self.__exit__()
            raise OSError("FUSE does not work here")
        return self

    def __exit__(self, *_: object) -> None:
        """End the server: whoever waits for it goes on, with an error."""
        self._server.kill()
        self._server.wait(10)
        assert self._server.stdout is not None
        self._server.stdout.close()

    def send(self, number: signal.Signals) -> None:
        """Send a signal to the server."""
        self._server.send_signal(number)

    def held(self, script: str, *states: str) -> list[psutil.Process]:
        """Return the processes in our namespace that run a script and are in one of the states."""
        ours = Path(f"/proc/{self._server.pid}/ns/mnt").readlink()
        found = []
        for process in psutil.process_iter(["cmdline", "status"]):
            try:
                if (
                    any(script in part for part in process.info["cmdline"] or ())
                    and process.info["status"] in states
                    and Path(f"/proc/{process.pid}/ns/mnt").readlink() == ours
                ):
                    found.append(process)
            except OSError:
                continue
        return found

    def wait_for_held(self, script: str) -> list[psutil.Process]:
        """Wait until a process waits for this mount (and for nothing else: it has the question)."""
        deadline_s = time.monotonic() + _TIMEOUT_S
        while time.monotonic() < deadline_s:
            for process in self.held(script, psutil.STATUS_SLEEPING, psutil.STATUS_DISK_SLEEP):
                if "request_wait_answer" in Path(f"/proc/{process.pid}/wchan").read_text():
                    return [process]
            time.sleep(0.02)
        raise AssertionError("nobody looked at the mount")
