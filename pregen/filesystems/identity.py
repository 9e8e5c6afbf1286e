"""Which file system it is, told so that the same one is known again after a restart.

`st_dev` is no name: the kernel numbers file systems as they come.
"""

from __future__ import annotations

import os
from functools import lru_cache
from typing import Final, NamedTuple

#: Where statfs gives a number that was made with the file system, not one of the device it is on.
_NUMBERED: Final = frozenset(
    ("bcachefs", "btrfs", "ext2", "ext3", "ext4", "ocfs2", "reiserfs", "zfs")
)
#: What lies there is gone when it is unmounted: another one can be no other medium.
_VOLATILE: Final = frozenset(("ramfs", "tmpfs"))
#: What numbers its files for good, and sets their change times itself, to less than a second or to
#: one. FAT and its like number them as they come, and so do programs behind FUSE.
_NUMBERS_FILES: Final = frozenset(
    ("bcachefs", "btrfs", "ext2", "ext3", "ext4", "f2fs", "jfs", "nilfs2", "reiserfs", "xfs", "zfs")
)
#: Numbers and times are the server's (RFC 1813, 2.6: fileid and ctime; RFC 7530, 5.8.2.10): a
#: client cannot set them.
_SERVES_NUMBERS: Final = frozenset(("nfs", "nfs4"))
_BY_UUID: Final = "/dev/disk/by-uuid"


class FileSystem(NamedTuple):
    """A file system."""

    kind: str
    """Its type, without `fuse.`."""
    identity: str
    """Tells it from others of its type; empty: nothing does."""

    @property
    def numbers_files(self) -> bool:
        """Whether a file is known again here by its number and its change time."""
        return bool(self.identity) and self.kind in _NUMBERS_FILES | _SERVES_NUMBERS

    def keeps_change_time(self, ctime_ns: int, mtime_ns: int) -> bool:
        """Tell whether these are two times: a server of FAT or of FUSE gives one for both."""
        return self.kind not in _SERVES_NUMBERS or ctime_ns != mtime_ns

    def is_another(self, then: FileSystem) -> bool:
        """Tell whether this is surely not the file system that was met `then`."""
        if self.kind != then.kind:
            return True
        if self.kind in _VOLATILE or not (self.identity and then.identity):
            return False
        return self.identity != then.identity


def file_system(fstype: str, fsid: int, device: int, source: bytes) -> FileSystem:
    """Return the file system from what the kernel says of it.

    Args:
        fstype: as mountinfo writes it.
        fsid: `f_fsid` of statvfs.
        device: `st_dev` of anything on it.
        source: what is mounted, as mountinfo writes it: for shares "host:/path".
    """
    kind = fstype.removeprefix("fuse.")
    if kind in _NUMBERED and fsid:
        return FileSystem(kind, f"{fsid:x}")
    return FileSystem(kind, _uuids().get(device) or os.fsdecode(source))


@lru_cache(maxsize=1)
def _uuids() -> dict[int, str]:
    """Return the UUIDs of the disks that are here, as udev links them, by device."""
    try:
        names = os.listdir(_BY_UUID)
    except OSError:
        return {}
    found = {}
    for name in names:
        try:
            found[os.stat(f"{_BY_UUID}/{name}").st_rdev] = name
        except OSError:
            continue
    return found
