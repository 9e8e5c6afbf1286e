"""What verbs that work on a whole cache share: taking its lock, and counting aloud."""

from __future__ import annotations

import os
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click

from pregen.errors import LockedError
from pregen.progress.output import Output
from pregen.progress.text import printable
from pregen.progress.units import count

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from pregen.storage.lock import CacheLock


def acquire(lock: CacheLock, *, wait: bool) -> None:
    """Take the lock; say so when that means waiting.

    Raises:
        LockedError: a run holds it, and nobody wants to wait.
    """
    try:
        lock.acquire()
    except LockedError as error:
        if not wait:
            raise
        click.echo(f"pregen: waiting: {printable(str(error).partition(':')[0])}", err=True)
        lock.acquire(wait=True)
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
