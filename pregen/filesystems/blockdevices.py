"""What the kernel says of block devices: of which they are made, and whether they decrypt."""

from __future__ import annotations

import os
import re
import stat
from contextlib import suppress
from functools import lru_cache
from typing import Final

from pregen.filesystems.protection import BlockDevice

#: Disks that hypervisors make: virtio, Xen, Hyper-V.
_VIRTUAL: Final = re.compile(r"/(?:virtio|vbd-|vmbus)")


class BlockTree:
    """Reads /sys/dev/block, or what stands for it.

    Args:
        root: the folder with a folder, or a link to one, for each "major:minor".
    """

    def __init__(self, root: str = "/sys/dev/block") -> None:
        self._root = root

    def block(self, number: str) -> BlockDevice | None:
        """Return what is known of a device; None: there is none of this number."""
        folder = os.path.join(self._root, number)
        if not os.path.isdir(folder):
            return None
        below = []
        if os.path.lexists(f"{folder}/partition"):
            below.append(_text(f"{folder}/../dev"))
        with suppress(OSError):
            slaves = sorted(os.listdir(f"{folder}/slaves"))
            below += [_text(f"{folder}/slaves/{name}/dev") for name in slaves]
        return BlockDevice(
            _text(f"{folder}/dm/uuid"),
            _text(f"{folder}/dm/name"),
            os.fsencode(_text(f"{folder}/loop/backing_file")),
            tuple(filter(None, below)),
        )


@lru_cache(maxsize=64)
def spins(device: int, root: str = "/sys/dev/block") -> bool:
    """Tell whether a device, or one it is made of, has heads to move, as far as the kernel knows.

    Virtual disks say that they have, mostly of something that has none: they are not believed. Not
    known of file systems without a device of their own (btrfs).

    Args:
        device: what stat says of a file on it.
        root: as of `BlockTree`.
    """
    blocks = BlockTree(root)
    todo, seen = [f"{os.major(device)}:{os.minor(device)}"], set()
    while todo:
        number = todo.pop()
        block = None if number in seen else blocks.block(number)
        seen.add(number)
        if block is None:
            continue
        place = os.path.realpath(f"{root}/{number}")
        if _VIRTUAL.search(place) is None and _text(f"{place}/queue/rotational") == "1":
            return True
        todo += block.below
    return False


def device_number(path: bytes) -> str:
    """Return the "major:minor" of a device file; empty: it is none."""
    try:
        found = os.stat(path)
    except OSError:
        return ""
    if not stat.S_ISBLK(found.st_mode):
        return ""
    return f"{os.major(found.st_rdev)}:{os.minor(found.st_rdev)}"


def _text(path: str) -> str:
    try:
        with open(path, encoding="utf-8", errors="surrogateescape") as file:
            return file.read().strip("\n")
    except OSError:
        return ""
