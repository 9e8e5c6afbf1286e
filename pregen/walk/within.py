"""Whether a walk of a part of a tree enters a folder. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pregen.config import Only


class Within:
    """Knows the folders of an `Only`, and those on the way to them."""

    def __init__(self, only: Only) -> None:
        self._trees = only.trees
        self._ways = {*only.folders, *only.trees}
        for folder in tuple(self._ways):
            above = folder.rpartition(b"/")[0]
            while above and above not in self._ways:
                self._ways.add(above)
                above = above.rpartition(b"/")[0]

    def enters(self, folder: bytes) -> bool:
        """Tell whether `folder` is, or leads to, or lies in a part that is wanted."""
        if folder in self._ways:
            return True
        above = folder.rpartition(b"/")[0]
        while above:
            if above in self._trees:
                return True
            above = above.rpartition(b"/")[0]
        return False
