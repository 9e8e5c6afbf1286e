"""A stream that may go away: the terminal is closed, the reader of a pipe leaves, a disk fills.

A run's purpose is the cache, not its messages: a write that fails is remembered, not raised,
and nothing more is written.
"""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from collections.abc import Callable


class Output:
    """Writes whole texts to a stream from any thread, until the first failure."""

    def __init__(
        self, stream: TextIO, on_failure: Callable[[OSError], None] = lambda _error: None
    ) -> None:
        self._stream = stream
        self._on_failure = on_failure
        self._lock = threading.Lock()
        self._broken = False

    def write(self, text: str, *, flush: bool = True) -> None:
        """Write `text`; do nothing when an earlier write failed."""
        with self._lock:
            if self._broken:
                return
            try:
                self._stream.write(text)
                if flush:
                    self._stream.flush()
            except OSError as error:
                self._broken = True
                self._on_failure(error)

    def flush(self) -> None:
        """Hand over to the system what was written without `flush`."""
        self.write("")


def silence(stream: TextIO) -> None:
    """Make a stream that takes no more lead nowhere.

    What is left in its buffer would raise once more when the interpreter ends.
    """
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, stream.fileno())
    os.close(nowhere)
