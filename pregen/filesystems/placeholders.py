"""Files of which only the name is here: to open one would have its content fetched from a cloud.

Told by the walk's own look at a file, so that none is opened for it. Only shares and file systems
that a program of the user's serves have such files.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Final, Protocol

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Iterable

    from pregen.filesystems.bounded import BoundedFiles, Status
    from pregen.filesystems.share_client import ShareEntry

#: Of these, no file tells whether its content is here: as a rule it is not.
_CLOUDS: Final = frozenset(("google-drive-ocamlfuse", "rclone"))
#: What says of a file where its content is, and in which words it says "not here".
_STATES: Final = {"onedriver": ("user.onedriver.status", b"Cloud")}
#: A file system that can keep files elsewhere (HSM of Lustre and GPFS, tiered SMB shares, clients
#: of clouds) gives those no blocks, and others some. Where no file or folder has any, blocks are
#: not counted at all, and say nothing.
_NO_BLOCKS: Final = 0


class FileStatus(Protocol):
    """What stat says of a file."""

    @property
    def st_dev(self) -> int:
        """Of the file system."""
        ...

    @property
    def st_size(self) -> int:
        """In bytes."""
        ...

    @property
    def st_blocks(self) -> int:
        """Of 512 bytes."""
        ...


class Placeholders:
    """Tells them from other files. For one thread.

    Args:
        server: tells of a path and its device which kind of share or program serves it; None: it
            lies on a disk.
        files: asks for attributes.
    """

    def __init__(self, server: Callable[[bytes, int], str | None], files: BoundedFiles) -> None:
        self._server = server
        self._files = files
        self._possible: dict[int, str | None] = {}
        self._counting: set[int] = set()

    def possible(self, path: bytes, device: int) -> bool:
        """Tell whether there may be any on a file system at all."""
        if device not in self._possible:
            self._possible[device] = self._server(path, device)
        return self._possible[device] is not None

    def note(self, status: Status) -> None:
        """Learn from what is there whether blocks are counted."""
        if status.st_blocks > _NO_BLOCKS:
            self._counting.add(status.st_dev)

    def may_be_among(
        self, entries: Iterable[os.DirEntry[bytes] | ShareEntry], folder: bytes, device: int
    ) -> bool:
        """Tell whether there may be some in a folder, and learn from all that lies in it."""
        if not self.possible(folder, device):
            return False
        if device not in self._counting:
            for entry in entries:
                with suppress(OSError):  # the walk will say so; what is asked for here is kept
                    self.note(entry.stat(follow_symlinks=False))
        return True

    def is_away(self, path: bytes, status: FileStatus) -> bool:
        """Tell whether the content of a file is elsewhere; opens nothing.

        Args:
            path: of the file.
            status: of the file itself, links followed.
        """
        device = status.st_dev
        if not self.possible(path, device) or not status.st_size:
            return False
        kind = self._possible[device] or ""
        if kind in _CLOUDS:
            return True
        if kind in _STATES:
            name, away = _STATES[kind]
            try:
                return self._files.getxattr(path, name) == away
            except OSError:
                return False
        return status.st_blocks == _NO_BLOCKS and device in self._counting
