"""The kernel's events, by way of watchfiles (Rust's `notify`), or none where there are none."""

from __future__ import annotations

import os
import stat
import time
from typing import TYPE_CHECKING, Final, Protocol, Self

from watchfiles._rust_notify import RustNotify, WatchfilesRustInternalError

from pregen.errors import PregenError
from pregen.follow.changes import LOST, Change

if TYPE_CHECKING:
    from collections.abc import Sequence

#: A group of changes has ended when nothing came for so long; also how fast a stop is seen.
_STEP_MS: Final = 100
#: A storm is worked on while it goes on, in portions of this length.
_MOST_MS: Final = 1600
_QUEUE: Final = "/proc/sys/fs/inotify/max_queued_events"
#: inotify(7): what the kernel's queue holds unless it was told otherwise.
_USUAL_QUEUE: Final = 16384


class Stopped(Protocol):
    """What the library asks whether to go on."""

    def is_set(self) -> bool:
        """Tell whether it is over."""
        ...


class Notifier:
    """Changes below some folders, from when this was made. As a context.

    Raises:
        PregenError: the folders cannot be watched; the message says what to do.
    """

    def __init__(self, folders: Sequence[bytes]) -> None:
        self._names = [os.fsdecode(folder) for folder in folders]
        try:
            self._notify = self._listen()
        except (OSError, WatchfilesRustInternalError, UnicodeEncodeError) as error:
            raise PregenError(_why(error)) from error

    def _listen(self) -> RustNotify:
        return RustNotify(
            self._names,
            debug=False,
            force_polling=False,  # it reads the whole tree each time
            poll_delay_ms=0,
            recursive=True,
            ignore_permission_denied=True,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._notify.close()

    def wait(self, timeout_s: float, stop: Stopped) -> list[Change]:
        """Return the changes since the last time; none after `timeout_s`, or when it is over."""
        try:
            raw = self._notify.watch(_MOST_MS, _STEP_MS, max(1, round(timeout_s * 1000)), stop)
        except WatchfilesRustInternalError:
            # A name that is no UTF-8 ends this listener: a new one, and a look at everything.
            self._notify.close()
            self._notify = self._listen()
            return [LOST]
        return [] if isinstance(raw, str) else [_change(os.fsencode(path)) for _, path in raw]

    def settle(self, quiet_s: float, most_s: float, stop: Stopped) -> list[Change]:
        """Return what else changes until it is quiet for `quiet_s`, or `most_s` are over."""
        until_s = time.monotonic() + most_s
        found: list[Change] = []
        while not stop.is_set() and time.monotonic() < until_s:
            more = self.wait(quiet_s, stop)
            if not more:
                break
            found += more
        return found


def queue_length() -> int:
    """Return how many events the kernel keeps for a program that is busy."""
    try:
        with open(_QUEUE, encoding="ascii") as file:
            return int(file.read())
    except (OSError, ValueError):
        return _USUAL_QUEUE


def _change(path: bytes) -> Change:
    try:
        facts = os.lstat(path)
    except OSError:
        return Change(path, is_folder=False, is_there=False)
    return Change(path, is_folder=stat.S_ISDIR(facts.st_mode), is_there=True)


def _why(error: Exception) -> str:
    words = str(error)
    if "limit" in words.lower() or "No space left" in words:
        return (
            "The system watches no more folders for you. Raise the limit: "
            "sudo sysctl fs.inotify.max_user_watches=1048576"
        )
    return f"The folders cannot be watched ({words}). Use pregen run from a timer instead."
