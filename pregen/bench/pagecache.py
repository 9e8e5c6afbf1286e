"""Puts files out of the kernel's memory, and says how far that worked.

"Cold" means that the content is not in memory. Folders and inodes stay, and what a disk or a
server keeps of its own is out of reach.
"""

from __future__ import annotations

import os
from contextlib import suppress
from typing import TYPE_CHECKING

from pregen.storage.source import SourceAccessError, open_source

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pregen.model import Source


def drop(sources: Iterable[Source]) -> None:
    """Ask the kernel to forget the content of every source."""
    for source in sources:
        with suppress(SourceAccessError, OSError), open_source(source.path) as opened:
            with suppress(OSError):
                os.fdatasync(opened.fd)  # what was just copied there is not forgotten before
            opened.forget()


def resident_share(sources: Iterable[Source]) -> float:
    """Return the share of sources whose middle is in memory: 1 warm, 0 cold."""
    looked = resident = 0
    for source in sources:
        with suppress(SourceAccessError, OSError), open_source(source.path) as opened:
            looked += 1
            resident += opened.resident()
    return resident / max(1, looked)
