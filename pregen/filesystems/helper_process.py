"""A small program of ours that may hang in our place: it looks at files where a look may not end.

A process that waits in the kernel for a dead server cannot be killed before the server is back
(state D), and nor can one of which a single thread waits so. So nothing of ours may depend on its
end: it shares no stream with us but its own socket, holds no lock, and leaves when the socket ends.
"""

from __future__ import annotations

import socket
import subprocess
import sys
import weakref
from contextlib import suppress
from typing import Final

#: A killed process that waits for nothing is gone after this long, and can be reaped.
_GONE_S: Final = 0.05
#: Those that were not: they are reaped when the next one starts.
_ending: Final[list[subprocess.Popen[bytes]]] = []


class HelperProcess:
    """One such process. It can be abandoned at any time.

    Args:
        script: path of a module that imports the standard library only, to start quickly; its
            standard input and output are the other end of `socket`.
    """

    def __init__(self, script: str) -> None:
        _ending[:] = [process for process in _ending if process.poll() is None]
        self.socket, theirs = socket.socketpair()
        with theirs:
            self._process = subprocess.Popen(  # noqa: S603 - our own script, by our own Python
                [sys.executable, "-I", "-S", script],
                stdin=theirs.fileno(),
                stdout=theirs.fileno(),
                stderr=subprocess.DEVNULL,  # ours may be a pipe that others wait on
                cwd="/",
                start_new_session=True,  # Ctrl-C is for us
            )

        self._ended = weakref.finalize(self, _abandon, self.socket, self._process)

    def abandon(self) -> None:
        """Let go of the process, which may hang. Wakes a thread that waits for its answer."""
        self._ended()


def _abandon(end: socket.socket, process: subprocess.Popen[bytes]) -> None:
    with suppress(OSError):
        end.shutdown(socket.SHUT_RDWR)
    end.close()
    process.kill()
    try:
        process.wait(_GONE_S)
    except subprocess.TimeoutExpired:
        _ending.append(process)
