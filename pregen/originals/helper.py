"""One helper process (`pregen.originals.child`), seen from the program that asks it.

It can be abandoned at any time: a process that waits in the kernel for a dead server cannot be
killed before the server is back (state D), so nothing of ours may depend on its end. It shares no
stream with us but its own socket, holds no lock, and leaves when the socket ends.
"""

from __future__ import annotations

import socket
import subprocess
import sys
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from pregen.originals import child
from pregen.originals.child import Answer

if TYPE_CHECKING:
    from collections.abc import Sequence

#: Paths asked about at once: few enough that a question is read as fast as it is written.
_BATCH: Final = 512
_READ_BYTES: Final = 1 << 16
#: A killed process that waits for nothing is gone after this long, and can be reaped.
_GONE_S: Final = 0.05


class Helper:
    """A process that looks at the files of one mount. Nothing is touched here but its socket."""

    def __init__(self, own: bytes, points: frozenset[bytes], timeout_s: float) -> None:
        self._socket, theirs = socket.socketpair()
        self._socket.settimeout(timeout_s)
        with theirs:
            self._process = subprocess.Popen(  # noqa: S603 - our own script, by our own Python
                [sys.executable, "-I", "-S", child.__file__],
                stdin=theirs.fileno(),
                stdout=theirs.fileno(),
                stderr=subprocess.DEVNULL,  # ours may be a pipe that others wait on
                cwd="/",
                start_new_session=True,  # Ctrl-C is for us
            )
        self._greeting = b"\0".join((own, *points, b"", b""))

    def look(self, paths: Sequence[bytes]) -> list[Answer]:
        """Return the answers so far as they came; fewer than paths when it hangs or ended.

        A helper that gave fewer is of no more use: abandon it.
        """
        answers: list[Answer] = []
        for start in range(0, len(paths), _BATCH):
            batch = paths[start : start + _BATCH]
            answers += self._ask(batch)
            if len(answers) < start + len(batch):
                break
        return answers

    def _ask(self, paths: Sequence[bytes]) -> list[Answer]:
        question = self._greeting + b"\0".join((*paths, b"", b""))
        self._greeting = b""
        texts: list[bytes] = []
        cut = b""
        wanted = len(paths) * len(Answer._fields)
        with suppress(OSError):  # a time-out is one
            self._socket.sendall(question)
            while len(texts) < wanted and (data := self._socket.recv(_READ_BYTES)):
                *whole, cut = (cut + data).split(b"\0")
                texts += whole
        width = len(Answer._fields)
        return [
            Answer(*texts[at : at + width]) for at in range(0, len(texts) // width * width, width)
        ]

    def abandon(self) -> None:
        """Let go of the process, whatever it does. Wakes a thread that waits in `look`."""
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        self._process.kill()
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(_GONE_S)
