"""One worker at a time reads from a disk that spins: two files side by side cost many seeks.

A turn is a lock on a nameless file that all workers of a run have open, which the kernel takes back
from one that dies. It is a courtesy, not a promise: who waits for too long reads all the same.
"""

from __future__ import annotations

import fcntl
from contextlib import contextmanager
from time import monotonic, sleep
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

#: The largest file that is read as a whole takes a slow disk half of this.
_PATIENCE_S: Final = 2.0
_NAP_S: Final = 0.001


class DiskTurns:
    """The turns of one worker.

    Args:
        fd: of the file, this process's only one of it.
    """

    def __init__(self, fd: int) -> None:
        self._fd = fd

    @contextmanager
    def turn(self) -> Iterator[None]:
        """Wait for a turn, and have it."""
        until_s = monotonic() + _PATIENCE_S
        while not self._take() and monotonic() < until_s:
            sleep(_NAP_S)
        try:
            yield
        finally:
            fcntl.lockf(self._fd, fcntl.LOCK_UN)

    def _take(self) -> bool:
        try:
            fcntl.lockf(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return False
        return True
