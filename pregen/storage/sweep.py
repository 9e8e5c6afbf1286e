"""Removes the temps of dead runs. Touches nothing else, whatever it looks like.

Run at the start and the end of a run, under the cache's lock. Should a temp of a living run be
taken all the same (two machines of one name on one network home), its commit is repeated by
`Folder.write`.
"""

from __future__ import annotations

import os
import stat
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from pregen.errors import CacheError
from pregen.processes import born_s
from pregen.storage.atomic import HOST, TEMP_PATTERN, TEMP_PREFIX

if TYPE_CHECKING:
    from pregen.storage.folder import Folder

#: Whether a process of another host lives cannot be known; no commit takes a day.
FOREIGN_AGE_S = timedelta(hours=24).total_seconds()
#: A temp is the work of an older process only when it is this much older than the one that has
#: its pid now: file servers' clocks differ from ours, and start times are rounded.
_CLOCK_SLACK_S = 10.0


def sweep(folder: Folder) -> int:
    """Remove the temps of dead runs from a folder; return how many.

    A temp that cannot be removed is left for the next time.

    Raises:
        CacheError: The folder cannot be listed.
    """
    removed = 0
    # The whole names are matched once more below; this is asked of millions of entries.
    for name in [name for name in folder.names() if name.startswith(TEMP_PREFIX)]:
        fd = folder.reading_fd()
        if fd is None or not is_dead_temp(fd, name):
            continue
        try:
            removed += folder.delete(name)
        except CacheError:
            continue
    return removed


def is_dead_temp(dir_fd: int, name: str) -> bool:
    """Tell whether this temp is a regular file of ours whose creator is gone."""
    parts = TEMP_PATTERN.fullmatch(name)
    if not parts:
        return False
    try:
        facts = os.stat(name, dir_fd=dir_fd, follow_symlinks=False)
    except OSError:
        return False
    if not stat.S_ISREG(facts.st_mode) or facts.st_uid != os.geteuid():
        return False
    if parts["host"] != HOST:
        return datetime.now(UTC).timestamp() - facts.st_mtime > FOREIGN_AGE_S
    return not _may_be_alive(int(parts["pid"]), facts.st_mtime)


def _may_be_alive(pid: int, written_s: float) -> bool:
    """Tell whether the process that has this pid can be the one that wrote at `written_s`."""
    born = born_s(pid)
    return born is not None and written_s >= born - _CLOCK_SLACK_S
