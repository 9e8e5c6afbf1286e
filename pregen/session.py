"""What verbs that work on a whole cache share: taking its lock, and counting aloud."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from contextlib import contextmanager
from types import FrameType
from typing import TYPE_CHECKING, Any, Self

import click

from pregen.display import text
from pregen.display.output import Output
from pregen.display.text import count, printable
from pregen.engines.base import StopLevel
from pregen.errors import ExitCode

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pregen.cache.lock import CacheLock
    from pregen.display.listener import Watch
    from pregen.pipeline import RunStop


def acquire(lock: CacheLock, *, wait: bool) -> None:
    """Take the lock; say so when that means waiting.

    Raises:
        LockedError: a run holds it, and nobody wants to wait.
    """
    lock.acquire(
        wait=wait, waiting=lambda why: click.echo(f"pregen: waiting: {printable(why)}", err=True)
    )
    if lock.warning:
        click.echo(f"pregen: {printable(lock.warning)}", err=True)


@contextmanager
def told_aloud() -> Iterator[Callable[[int], None]]:
    """Count aloud in one line of people's terminal, which is gone when told a number below zero."""
    people = Output(sys.stderr)
    live = sys.stderr.isatty() and os.environ.get("TERM", "dumb") not in {"dumb", "unknown"}
    shown = False

    def told(number: int) -> None:
        nonlocal shown
        if live and (number >= 0 or shown):
            people.write("\r\x1b[K" + (f"{count(number)} entries ..." if number >= 0 else ""))
            shown = number >= 0

    try:
        yield told
    finally:
        told(-1)


# --- What signals do to a run: the first stops it gently, the second at once, SIGUSR1 asks
#
# Handlers only set attributes: they may interrupt any line, also one that holds a lock. What is
# said about them is said by the ticker's thread, a moment later.


#: Signals that end a program in order, and with which exit code.
ENDINGS = {signal.SIGINT: ExitCode.INTERRUPTED, signal.SIGTERM: ExitCode.TERMINATED}
#: timeout(1) sends its signal to the program and then to its whole group: twice, within
#: microseconds. Nobody presses Ctrl-C twice in this time.
_DOUBLED_S = 0.1


_Handler = Callable[[int, FrameType | None], Any] | int | None


class Signals:
    """As a context: signals act on `stop` and `watch`. Only in the main thread."""

    def __init__(self, stop: RunStop, watch: Watch) -> None:
        self._stop = stop
        self._watch = watch
        self._heard = 0
        self._heard_s = 0.0
        self._told = 0
        self._old: dict[int, _Handler] = {}

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            for number in ENDINGS:
                self._old[number] = signal.signal(number, self._end)
            self._old[signal.SIGUSR1] = signal.signal(signal.SIGUSR1, self._ask)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._old.items():
            signal.signal(number, handler)

    def announce(self) -> None:
        """Say what the last signal does. Called by the ticker."""
        heard = self._heard
        if heard == self._told:
            return
        self._told = heard
        if heard > 1:
            self._watch.note("stopping at once")
            return
        busy = self._watch.busy()
        doing = f"finishing {text.plural(busy, 'picture')} in flight" if busy else "stopping"
        again = "press Ctrl-C again" if self._stop.code is ExitCode.INTERRUPTED else "send it again"
        self._watch.note(f"{doing}; {again} to stop at once")

    def _end(self, number: int, _frame: FrameType | None) -> None:
        now_s = time.monotonic()
        if self._heard and now_s - self._heard_s < _DOUBLED_S:
            return
        self._heard_s = now_s
        self._heard += 1
        if self._heard == 1:
            self._stop.code = ENDINGS[signal.Signals(number)]
        self._stop.raise_to(StopLevel.DRAIN if self._heard == 1 else StopLevel.KILL)

    def _ask(self, _number: int, _frame: FrameType | None) -> None:
        self._watch.ask()
