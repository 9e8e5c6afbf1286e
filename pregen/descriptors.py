"""Room for a run in the number of files that this process may have open: made before it begins.

A run that meets the limit later ends wherever that shows first: in an import, in a process that is
being started, in a worker.
"""

from __future__ import annotations

import os
from typing import Final

from pregen.errors import TOO_MANY_OPEN, TooManyOpenError

#: What a run has open besides its workers, and what it takes to start one: cache, lock, journal
#: with its log, folders of the walk, the pipes of a start. Each worker has fewer than that.
_RUN: Final = 30
#: Of each worker: its pipe, the pipe of its sources, its slot, and what tells that it has ended.
_WORKER: Final = 4
#: As many as a worker may have (`sandbox.rlimits`): for what starts them.
USUAL: Final = 256
#: Where they cannot be counted: the streams, and what a program may have open when it calls us.
_PERHAPS_OPEN: Final = 16


def workers_with_room(wanted: int) -> int:
    """Return for how many workers there is room, at most those wanted; raise the limit for them.

    Args:
        wanted: workers; 0 for a run without any.

    Raises:
        TooManyOpenError: for none, or not even for a run without workers.
    """
    least = _open_now() + _RUN
    allowed = raise_limit(least + _WORKER * wanted)
    fitting = (allowed - least) // _WORKER
    if fitting >= wanted:
        return wanted
    if fitting < min(wanted, 1):
        raise TooManyOpenError
    return fitting


def raise_limit(need: int = USUAL) -> int:
    """Let this process, and those it starts, have so many files open, or as many as they may.

    Returns:
        how many they may; at most `need`, if they may have more.
    """
    import resource  # noqa: PLC0415 - no verb but those that run needs it

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < need:
        soft = need if hard == resource.RLIM_INFINITY else min(need, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    return need if soft == resource.RLIM_INFINITY else min(soft, need)


def _open_now() -> int:
    try:
        return len(os.listdir("/dev/fd"))
    except OSError as error:
        if error.errno in TOO_MANY_OPEN:
            raise TooManyOpenError from error
        return _PERHAPS_OPEN
