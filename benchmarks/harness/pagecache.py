"""Puts the sources into the page cache, or out of it, and says how far that worked.

"Cold" here means that the sources' bytes are not in memory. Directory entries, inodes and the
programs themselves stay warm, unless `drop_everything` is chosen, which also hurts everything
else that runs on the machine. A disk's or a hypervisor's own cache is out of reach.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from benchmarks.harness.entries import Source

_CHUNK_BYTES = 1 << 20
_PAGE_BYTES = 4096
_DROP_CACHES = Path("/proc/sys/vm/drop_caches")


def warm(sources: Sequence[Source]) -> None:
    """Read every source once."""
    for source in sources:
        with Path(source.path).open("rb", buffering=0) as opened:
            while opened.read(_CHUNK_BYTES):
                pass


def drop(sources: Sequence[Source]) -> None:
    """Ask the kernel to forget the bytes of every source."""
    for source in sources:
        fd = os.open(source.path, os.O_RDONLY)
        try:
            os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
        finally:
            os.close(fd)


def may_drop_everything() -> bool:
    """True when this process may empty the kernel's caches."""
    return os.access(_DROP_CACHES, os.W_OK)


def drop_everything() -> None:
    """Empty the page cache and the caches of directory entries and inodes (root only)."""
    os.sync()
    _DROP_CACHES.write_text("3\n")


def resident_share(sources: Sequence[Source], at_most: int = 200) -> float:
    """Share of sampled pages that are in memory: 1.0 warm, 0.0 cold. Reads nothing from disk."""
    step = max(1, len(sources) // at_most)
    asked = resident = 0
    buffer = bytearray(_PAGE_BYTES)
    for source in sources[::step]:
        fd = os.open(source.path, os.O_RDONLY)
        try:
            for place in {0, source.size_bytes // 2}:
                asked += 1
                try:
                    resident += os.preadv(fd, [buffer], place, os.RWF_NOWAIT) > 0
                except BlockingIOError:
                    continue
        finally:
            os.close(fd)
    return resident / max(1, asked)
