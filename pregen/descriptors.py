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
#: Where they cannot be counted: the streams, and what a program may have open when it calls us.
_PERHAPS_OPEN: Final = 16


def workers_with_room(wanted: int) -> int:
    """Return for how many workers there is room, at most those wanted; raise the limit for them.

    Args:
        wanted: workers; 0 for a run without any.

    Raises:
        TooManyOpenError: for none, or not even for a run without workers.
    """
    import resource  # noqa: PLC0415 - a module of its own to load, and no verb but those that run needs it

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    least = _open_now() + _RUN
    need = least + _WORKER * wanted
    if soft != resource.RLIM_INFINITY and soft < need:
        soft = need if hard == resource.RLIM_INFINITY else min(need, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    if soft == resource.RLIM_INFINITY or soft >= need:
        return wanted
    fitting = (soft - least) // _WORKER
    if fitting < min(wanted, 1):
        raise TooManyOpenError
    return fitting


def _open_now() -> int:
    try:
        return len(os.listdir("/dev/fd"))
    except OSError as error:
        if error.errno in TOO_MANY_OPEN:
            raise TooManyOpenError from error
        return _PERHAPS_OPEN
