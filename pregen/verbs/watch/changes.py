"""Changes below some folders as the kernel reports them, and where to look because of them.

Nothing here believes what an event says about a file: it only says where to look. Names come
through a library that cannot hold all of them, events are lost when the kernel's queue is full, and
a file may have changed again since. So a change names a folder, and that folder is walked.
"""

from __future__ import annotations

import os
import stat
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple, Self

from watchfiles._rust_notify import RustNotify, WatchfilesRustInternalError

from pregen.config import Only
from pregen.errors import PregenError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from watchfiles._rust_notify import AbstractEvent


#: What a name becomes that is not UTF-8, on its way through Rust.
_LOST: Final = "\N{REPLACEMENT CHARACTER}".encode()
#: A group of changes has ended when nothing came for so long; also how fast a stop is seen.
_STEP_MS: Final = 100
#: A storm is worked on while it goes on, in portions of this length.
_MOST_MS: Final = 1600
_QUEUE: Final = "/proc/sys/fs/inotify/max_queued_events"
#: inotify(7): what the kernel's queue holds unless it was told otherwise.
_USUAL_QUEUE: Final = 16384


class Change(NamedTuple):
    """A path of which something was told, and what is there now."""

    path: bytes
    is_folder: bool
    is_there: bool


#: Something changed, and it is not known where.
LOST: Final = Change(_LOST, is_folder=False, is_there=True)


@dataclass(frozen=True, slots=True)
class ChangedPlaces:
    """Where to look."""

    everywhere: bool = False
    """All roots: too much was told, or something that cannot be followed."""
    folders: frozenset[bytes] = frozenset()
    """Folders in which something changed."""
    trees: frozenset[bytes] = frozenset()
    """Folders that are new, with all below them: what was put there first made no event."""
    gone: frozenset[bytes] = frozenset()
    """Paths that are not there any more: files, or folders with all they held."""

    @property
    def only(self) -> Only | None:
        """The part to walk; None for everything."""
        return None if self.everywhere else Only(self.folders, self.trees)


def places_of(changes: Sequence[Change], most: int) -> ChangedPlaces:
    """Return where to look after these changes.

    Args:
        changes: all that was told since the last time.
        most: so many changes may mean that others were lost.
    """
    if len(changes) >= most or any(_LOST in change.path for change in changes):
        return ChangedPlaces(everywhere=True)
    return ChangedPlaces(
        folders=frozenset(change.path.rpartition(b"/")[0] or b"/" for change in changes),
        trees=frozenset(each.path for each in changes if each.is_folder and each.is_there),
        gone=frozenset(each.path for each in changes if not each.is_there),
    )


class Notifier:
    """Changes below some folders, from when this was made, as watchfiles tells them. As a context.

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

    def wait(self, timeout_s: float, stop: AbstractEvent) -> list[Change]:
        """Return the changes since the last time; none after `timeout_s`, or when it is over."""
        try:
            raw = self._notify.watch(_MOST_MS, _STEP_MS, max(1, round(timeout_s * 1000)), stop)
        except WatchfilesRustInternalError:
            # A name that is not UTF-8 ends this listener: a new one, and a look at everything.
            self._notify.close()
            self._notify = self._listen()
            return [LOST]
        return [] if isinstance(raw, str) else [_change(os.fsencode(path)) for _, path in raw]

    def settle(self, quiet_s: float, most_s: float, stop: AbstractEvent) -> list[Change]:
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
            "The system's limit of watched folders is reached. Raise it: sudo sysctl "
            "fs.inotify.max_user_watches=1048576"
        )
    return f"The folders cannot be watched ({words}). Use pregen run from a timer instead."
