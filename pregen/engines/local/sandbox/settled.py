"""Tells whether the folders a worker may write in are still those it was allowed.

The kernel's rules are about folders, not about names. Where a cache is removed and made again while
a run goes on, a confined worker is shut out of the new one.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pregen.model import Places


class Settled:
    """The folders as they are now."""

    def __init__(self, allowed: Places) -> None:
        self._paths = allowed.writes
        self._then = [_identity(path) for path in allowed.writes]

    def moved(self) -> bool:
        """Tell whether another folder has one of the names, or one has come or gone."""
        return self._then != [_identity(path) for path in self._paths]


def _identity(path: bytes) -> tuple[int, int] | None:
    try:
        there = os.stat(path)  # noqa: PTH116 - paths are bytes
    except OSError:
        return None
    return there.st_dev, there.st_ino
