"""A mount that hangs whoever looks at it, in a mount namespace of its own: nobody else sees it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Self

_SERVER = Path(__file__).with_name("stuck_server.py")


class StuckMount:
    """As a context: something is mounted at `point` for programs started with `inside`.

    Raises:
        OSError: it cannot be mounted here.
    """

    def __init__(self, point: Path) -> None:
        self._server = subprocess.Popen(
            ["unshare", "-m", "--propagation", "private", sys.executable, _SERVER, point],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        self.inside = ("nsenter", "-t", str(self._server.pid), "-m", "--")
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
