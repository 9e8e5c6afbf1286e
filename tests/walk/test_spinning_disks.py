"""On a disk with heads to move, the files of a folder come as they lie there."""

from __future__ import annotations

import os
import random
from typing import TYPE_CHECKING

from pregen.config import WalkConfig
from pregen.filesystems.blockdevices import spins
from pregen.model import Source
from pregen.walk import walk

if TYPE_CHECKING:
    from pathlib import Path

    import pytest


def test_files_come_by_inode(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "photos"
    folder.mkdir()
    names = [f"{number:03}.jpg" for number in range(60)]
    random.Random(1).shuffle(names)  # noqa: S311 - no secret
    for name in names:
        (folder / name).write_bytes(b"x")
    monkeypatch.setattr("pregen.walk.tree.spins", lambda _device: True)
    found = [
        each.path
        for each in walk(WalkConfig(roots=(os.fsencode(folder),)))
        if isinstance(each, Source)
    ]
    assert sorted(found) == sorted(os.fsencode(folder / name) for name in names)
    inodes = [os.stat(path).st_ino for path in found]
    assert inodes == sorted(inodes)
    assert found != sorted(found)


def disk(root: Path, number: str, below: str, *, rotational: str) -> None:
    """Put a disk in what stands for /sys: the place of the device, and a link to it."""
    place = root.parent / "devices" / below / number.replace(":", "-")
    (place / "queue").mkdir(parents=True)
    (place / "dev").write_text(f"{number}\n")
    (place / "queue" / "rotational").write_text(f"{rotational}\n")
    (root / number).symlink_to(place)


def test_what_spins_is_told_by_the_disk_below(tmp_path: Path) -> None:
    root = tmp_path / "block"
    root.mkdir()
    disk(root, "8:0", "ata1", rotational="1")
    disk(root, "8:16", "ata2", rotational="0")
    disk(root, "254:0", "virtio2", rotational="1")
    partition = tmp_path / "devices" / "ata1" / "8-0" / "sda1"
    partition.mkdir()
    (partition / "partition").write_text("1\n")
    (root / "8:1").symlink_to(partition)
    (tmp_path / "devices" / "crypt" / "slaves" / "sda1").mkdir(parents=True)
    (tmp_path / "devices" / "crypt" / "slaves" / "sda1" / "dev").write_text("8:1\n")
    (root / "253:0").symlink_to(tmp_path / "devices" / "crypt")
    found = {
        number: spins(os.makedev(*map(int, number.split(":"))), str(root))
        for number in ("8:0", "8:1", "8:16", "253:0", "254:0", "7:7")
    }
    assert found == {
        "8:0": True, "8:1": True, "8:16": False, "253:0": True, "254:0": False, "7:7": False,
    }  # fmt: skip
