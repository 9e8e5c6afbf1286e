"""A small disk of its own: ext4 in a file, mounted by a loop device. Needs root."""

from __future__ import annotations

import os
import subprocess
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from pathlib import Path

_BYTES = 32 << 20


class LoopDisk:
    """As a context: an empty ext4 at `point`.

    Raises:
        OSError, subprocess.CalledProcessError: it cannot be made or mounted here.
    """

    def __init__(self, place: Path, *, inodes: int = 256) -> None:
        self.point = place
        self._image = place.with_name(place.name + ".img")
        place.mkdir()
        with self._image.open("wb") as file:
            file.truncate(_BYTES)
        _call("mkfs.ext4", "-q", "-O", "^encrypt", "-N", str(inodes), self._image)

    def __enter__(self) -> Self:
        _call("mount", "-o", "loop", self._image, self.point)
        return self

    def __exit__(self, *_: object) -> None:
        _call("umount", self.point)

    def remount(self) -> None:
        """Take it out and put it in again."""
        _call("umount", self.point)
        _call("mount", "-o", "loop", self._image, self.point)

    def free_inodes(self) -> int:
        """Return how many more files it takes."""
        return os.statvfs(self.point).f_ffree


def _call(*command: str | Path) -> None:
    subprocess.run(command, check=True, capture_output=True, timeout=30)
