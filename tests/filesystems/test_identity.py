"""Which file systems number their files so that one is known again by it."""

from __future__ import annotations

import pytest

from pregen.filesystems.identity import FileSystem

NOW, BEFORE = 1_700_000_000_123_456_789, 1_600_000_000_000_000_000


@pytest.mark.parametrize("kind", ["btrfs", "ext2", "ext4", "f2fs", "nfs", "nfs4", "xfs", "zfs"])
def test_those_that_keep_numbers_and_change_times(kind: str) -> None:
    assert FileSystem(kind, "1234").numbers_files
    assert not FileSystem(kind, "").numbers_files, "nothing tells it from another"


@pytest.mark.parametrize(
    "kind", ["9p", "cifs", "exfat", "fuseblk", "ntfs", "overlay", "smb3", "sshfs", "tmpfs", "vfat"]
)
def test_those_whose_numbers_or_times_say_nothing(kind: str) -> None:
    assert not FileSystem(kind, "1234").numbers_files


def test_a_server_without_change_times_gives_the_mtime_twice() -> None:
    assert FileSystem("ext4", "1").keeps_change_time(NOW, NOW)
    assert FileSystem("nfs4", "nas:/photos").keeps_change_time(NOW, BEFORE)
    assert not FileSystem("nfs4", "nas:/photos").keeps_change_time(NOW, NOW)
