"""The mounts of this process as they are now: read anew when one came or went."""

from __future__ import annotations

import os
import select
import weakref
from contextlib import suppress
from typing import Final

from pregen.filesystems.mounttable import MountTable, parse_mountinfo

_MOUNTINFO: Final = "/proc/self/mountinfo"
_READ_BYTES: Final = 1 << 16


class LiveMounts:
    """The kernel's list of mounts. For one thread at a time.

    Args:
        mountinfo: the file with it. Without /proc nothing is known of anything.
    """

    def __init__(self, mountinfo: str = _MOUNTINFO) -> None:
        self.table = MountTable()
        self._poll: select.poll | None = None
        self._fd = -1
        self._ended: weakref.finalize[[int], LiveMounts] | None = None
        with suppress(OSError):
            self._fd = os.open(mountinfo, os.O_RDONLY | os.O_CLOEXEC)
            self._ended = weakref.finalize(self, os.close, self._fd)
            self._poll = select.poll()
            self._poll.register(self._fd, select.POLLPRI | select.POLLERR)
            self.renew()

    def close(self) -> None:
        """Let go of the list; a second time does nothing. What is known stays known."""
        self._poll = None
        if self._ended is not None:
            self._ended()

    def look_again(self) -> bool:
        """Read the list anew if a mount came or went; tell whether one did."""
        changed = self._poll is not None and bool(self._poll.poll(0))
        if changed:
            self.renew()
        return changed

    def renew(self) -> None:
        """Read the list anew."""
        if self._poll is None:
            return
        text = b""
        with suppress(OSError):
            os.lseek(self._fd, 0, os.SEEK_SET)
            while data := os.read(self._fd, _READ_BYTES):
                text += data
        self.table = MountTable(parse_mountinfo(text))
