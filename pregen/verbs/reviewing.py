"""Has entries decoded behind the walls: by processes that may read nothing and write nothing.

An entry may be of any program, or of a decoder that was taken over, and Pillow reads it. What comes
back is a few words, two numbers or a small JPEG, with checked lengths. A process that dies of an
entry, or does not come to an end with it, costs this entry a reason and is replaced.
"""

from __future__ import annotations

import os
import queue
import signal
import socket
import struct
import subprocess
import sys
from contextlib import contextmanager, suppress
from enum import IntEnum
from typing import TYPE_CHECKING, Final, Self

from pregen import safepath
from pregen.errors import PregenError
from pregen.model import AllowedFolders, Luminance

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

#: How long decoding one entry may take: the largest takes 0.1 s.
_PATIENCE_S: Final = 60.0
#: How long a process may take to start: half a second, unless the machine is at its limits.
_START_S: Final = 120.0
#: By how much its address space may grow: an entry has 8 MB of pixels, copied a few times.
_GROWTH_BYTES: Final = 512 << 20
#: No answer is longer: a JPEG of 128 px has 5 kB.
_MOST_ANSWER_BYTES: Final = 1 << 20
#: No question is: two entries.
_MOST_QUESTION_BYTES: Final = 64 << 20
#: A crash may be bad luck: of memory, or of an administrator. A second one is the entry's fault.
_TRIES: Final = 2

_QUESTION: Final = struct.Struct(">BII")
_ANSWER: Final = struct.Struct(">I")
_LEVELS: Final = struct.Struct(">dd")
_BOX: Final = struct.Struct(">I")


class _Asked(IntEnum):
    REFUSAL = 1
    DIFFERENCE = 2
    LUMINANCE = 3
    SMALL_JPEG = 4
    EXACT_DIFFERENCE = 5


class _LostError(Exception):
    """The process is of no more use; the message says what it did."""


class Reviewers:
    """So many processes that decode entries, each started when it is first needed.

    For any number of threads. To be closed.
    """

    def __init__(self, number: int = 1) -> None:
        self._idle: queue.Queue[_Reviewer] = queue.Queue()
        self._all = [_Reviewer() for _ in range(number)]
        for reviewer in self._all:
            self._idle.put(reviewer)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for reviewer in self._all:
            reviewer.end()

    def refusal(self, png: bytes) -> str:
        """Return why an entry cannot be decoded to its end; empty: it can."""
        try:
            return self._ask(_Asked.REFUSAL, png).decode(errors="replace")
        except _LostError as lost:
            return str(lost)

    def difference(self, entry: bytes, fresh: bytes, *, exact: bool) -> str:
        """Return how an entry's picture differs from a new one; empty: in nothing.

        Args:
            entry: a PNG.
            fresh: likewise.
            exact: as for `imaging.review.difference`.
        """
        what = _Asked.EXACT_DIFFERENCE if exact else _Asked.DIFFERENCE
        try:
            return self._ask(what, entry, fresh).decode(errors="replace")
        except _LostError as lost:
            return str(lost)

    def luminance(self, png: bytes) -> Luminance | None:
        """Return how bright and how flat an entry is; None when it cannot be read."""
        with suppress(_LostError, struct.error):
            return Luminance(*_LEVELS.unpack(self._ask(_Asked.LUMINANCE, png)))
        return None

    def small_jpeg(self, png: bytes, box_px: int) -> bytes | None:
        """Return an entry as a JPEG that fits in a box; None when it cannot be read."""
        with suppress(_LostError):
            return self._ask(_Asked.SMALL_JPEG, png, _BOX.pack(box_px)) or None
        return None

    def _ask(self, what: _Asked, first: bytes, second: bytes = b"") -> bytes:
        with self._one() as reviewer:
            for _ in range(_TRIES - 1):
                with suppress(_LostError):
                    return reviewer.ask(what, first, second)
            return reviewer.ask(what, first, second)

    @contextmanager
    def _one(self) -> Iterator[_Reviewer]:
        reviewer = self._idle.get()
        try:
            yield reviewer
        finally:
            self._idle.put(reviewer)


class _Reviewer:
    """One process, seen from here."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._pipe: socket.socket | None = None

    def ask(self, what: _Asked, first: bytes, second: bytes) -> bytes:
        """Return the answer.

        Raises:
            _LostError: There is none; the process has been ended.
            PregenError: It cannot be started.
        """
        pipe = self._pipe or self._start()
        pipe.settimeout(_PATIENCE_S)
        try:
            pipe.sendall(_QUESTION.pack(what, len(first), len(second)) + first + second)
            return _answer(pipe)
        except TimeoutError:
            self.end()
            raise _LostError(f"decoding it took more than {_PATIENCE_S:g} seconds") from None
        except OSError:
            self.end()
            raise _LostError("it crashed the program that decodes it") from None

    def _start(self) -> socket.socket:
        from pregen.engines.local.server import worker_environment  # noqa: PLC0415 - imports much

        ours, theirs = socket.socketpair()
        with theirs:
            self._process = subprocess.Popen(  # noqa: S603 - this module, by our own Python
                [*safepath.command(), "-m", __name__],
                stdin=theirs.fileno(),
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                env=worker_environment(os.environ),
                start_new_session=True,  # Ctrl-C is for us
            )
        self._pipe = ours
        ours.settimeout(_START_S)
        try:
            trouble = _answer(ours).decode(errors="replace")
        except OSError:
            trouble = "it ended while starting"
        if trouble:
            self.end()
            raise PregenError(f"The program that decodes thumbnails cannot be started: {trouble}.")
        return ours

    def end(self) -> None:
        """End the process, also one that hangs."""
        process, self._process = self._process, None
        pipe, self._pipe = self._pipe, None
        if pipe is not None:
            pipe.close()
        if process is not None:
            process.kill()
            process.wait()


def _answer(pipe: socket.socket) -> bytes:
    """Return one answer. Raises OSError where none comes, or none that can be."""
    [size_bytes] = _ANSWER.unpack(_exactly(pipe, _ANSWER.size))
    if size_bytes > _MOST_ANSWER_BYTES:
        raise OSError
    return _exactly(pipe, size_bytes)


def _exactly(pipe: socket.socket, size_bytes: int) -> bytes:
    data = b""
    while len(data) < size_bytes:
        more = pipe.recv(min(size_bytes - len(data), 1 << 16))
        if not more:
            raise OSError
        data += more
    return data


# In the process.


def main() -> None:
    """Answer until the pipe ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    pipe = socket.socket(fileno=os.dup(0))
    try:
        answer = _prepared()
    except Exception as error:  # noqa: BLE001 - the one who started this reports it
        _send(pipe, f"{type(error).__name__}: {error}".encode())
        sys.exit(1)
    _send(pipe, b"")
    while True:
        try:
            what, *sizes = _QUESTION.unpack(_exactly(pipe, _QUESTION.size))
            if sum(sizes) > _MOST_QUESTION_BYTES:
                return
            first, second = (_exactly(pipe, size_bytes) for size_bytes in sizes)
        except OSError:
            return
        _send(pipe, answer(_Asked(what), first, second))


def _send(pipe: socket.socket, data: bytes) -> None:
    pipe.sendall(_ANSWER.pack(len(data)) + data)


def _prepared() -> Callable[[_Asked, bytes, bytes], bytes]:
    """Load what decodes, give up everything else, and return what answers."""
    from pregen.engines.local import resources  # noqa: PLC0415 - in the process only
    from pregen.imaging import review  # noqa: PLC0415 - likewise
    from pregen.sandbox import confinement  # noqa: PLC0415 - likewise

    review.prepare()
    resources.volunteer_for_oom_kill()
    resources.limit_growth(_GROWTH_BYTES)
    confinement.confine(AllowedFolders((), ()), {})

    differences = {_Asked.DIFFERENCE, _Asked.EXACT_DIFFERENCE}

    def answer(what: _Asked, first: bytes, second: bytes) -> bytes:
        try:
            if what is _Asked.REFUSAL:
                return review.refusal(first).encode(errors="replace")
            if what in differences:
                exact = what is _Asked.EXACT_DIFFERENCE
                return review.difference(first, second, exact=exact).encode(errors="replace")
            if what is _Asked.LUMINANCE:
                seen = review.luminance(first)
                return _LEVELS.pack(*seen) if seen else b""
            return review.small_jpeg(first, _BOX.unpack(second)[0]) or b""
        except Exception as error:  # noqa: BLE001 - Pillow's parsers raise anything
            words = f"it cannot be decoded ({type(error).__name__})"
            return words.encode(errors="replace") if what in differences else b""

    return answer


if __name__ == "__main__":
    main()
