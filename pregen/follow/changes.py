"""From what the kernel tells of changes to what has to be looked at. Pure.

Nothing here believes what an event says about a file: it only says where to look. Names come
through a library that cannot hold all of them, events are lost when the kernel's queue is full, and
a file may have changed again since. So a change names a folder, and that folder is walked.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, NamedTuple

from pregen.config import Only

if TYPE_CHECKING:
    from collections.abc import Iterable

#: What a name becomes that is no UTF-8, on its way through Rust.
_LOST: Final = "\N{REPLACEMENT CHARACTER}".encode()


class Change(NamedTuple):
    """A path of which something was told, and what is there now."""

    path: bytes
    is_folder: bool
    is_there: bool


#: Something changed, and nobody can say where.
LOST: Final = Change(_LOST, is_folder=False, is_there=True)


@dataclass(frozen=True, slots=True)
class Places:
    """Where to look."""

    everywhere: bool = False
    """All roots: too much was told, or something that cannot be followed."""
    folders: frozenset[bytes] = frozenset()
    """Folders in which something changed."""
    trees: frozenset[bytes] = frozenset()
    """Folders that are new, with all below them: what was put there first made no event."""
    gone: frozenset[bytes] = field(default=frozenset())
    """Paths that are not there any more: files, or folders with all they held."""

    @property
    def only(self) -> Only | None:
        """The part to walk; None for everything."""
        return None if self.everywhere else Only(self.folders, self.trees)


def places_of(changes: Iterable[Change], most: int) -> Places:
    """Return where to look after these changes.

    Args:
        changes: all that was told since the last time.
        most: so many changes may mean that others were lost.
    """
    folders: set[bytes] = set()
    trees: set[bytes] = set()
    gone: set[bytes] = set()
    count = 0
    for path, is_folder, is_there in changes:
        count += 1
        if _LOST in path:
            return Places(everywhere=True)
        folders.add(path.rpartition(b"/")[0] or b"/")
        if not is_there:
            gone.add(path)
        elif is_folder:
            trees.add(path)
    if count >= most:
        return Places(everywhere=True)
    return Places(False, frozenset(folders), frozenset(trees), frozenset(gone))  # noqa: FBT003 - in order
