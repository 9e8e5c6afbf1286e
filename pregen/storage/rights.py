"""Who may do what with a file: taken from one open file, given to another.

For shared repositories, whose thumbnails have the rights of their originals (standard, Shared
Thumbnail Repositories). What cannot be given exactly is given more narrowly, never more widely.
"""

from __future__ import annotations

import errno
import os
import stat
from contextlib import suppress
from typing import NamedTuple

#: Linux keeps an access list under this name; the mode's group bits are then its mask (acl(5)).
_ACL = "system.posix_acl_access"
_NO_LIST = frozenset({errno.ENODATA, errno.EOPNOTSUPP, errno.ENOSYS})
#: For folders also sticky, and set-group-ID, by which they hand their group down.
_FOLDER_BITS = 0o3777
_FILE_BITS = 0o777


class Rights(NamedTuple):
    """Owner, group, mode and access list of a file or a folder."""

    mode: int
    uid: int
    gid: int
    access_list: bytes | None

    @classmethod
    def of(cls, fd: int) -> Rights:
        """Read them from an open file or folder.

        Raises:
            OSError: the file system does not answer.
        """
        facts = os.fstat(fd)
        bits = _FOLDER_BITS if stat.S_ISDIR(facts.st_mode) else _FILE_BITS
        return cls(facts.st_mode & bits, facts.st_uid, facts.st_gid, _access_list(fd))

    def give(self, fd: int) -> None:
        """Give them to an open file or folder of ours, as far as we may.

        The owner changes only when root works for somebody else. Where the group or the access
        list cannot be given, its members get no more than everybody. File systems without modes
        keep theirs.

        Raises:
            OSError: the file system does not answer.
        """
        mode = self.mode
        if not self._give_owner(fd) or not self._give_list(fd):
            everybodys = (mode & 0o007) << 3
            mode &= ~0o2070 | everybodys
        with suppress(PermissionError):  # FAT and some network shares keep no modes
            os.fchmod(fd, mode)

    def _give_owner(self, fd: int) -> bool:
        now = os.fstat(fd)
        uid = self.uid if os.geteuid() == 0 else -1
        if now.st_gid == self.gid and uid in {-1, now.st_uid}:
            return True
        try:
            os.fchown(fd, uid, self.gid)
        except OSError:
            return now.st_gid == self.gid
        return True

    def _give_list(self, fd: int) -> bool:
        """Give the access list, or take away the one a new file got from its folder's default."""
        try:
            if self.access_list is not None:
                os.setxattr(fd, _ACL, self.access_list)
            elif _access_list(fd) is not None:
                os.removexattr(fd, _ACL)
        except OSError:
            return False
        return True


def _access_list(fd: int) -> bytes | None:
    try:
        return os.getxattr(fd, _ACL)
    except OSError as error:
        if error.errno in _NO_LIST:
            return None
        raise
