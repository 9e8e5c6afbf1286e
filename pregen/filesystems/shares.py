"""Which file systems are shares: what is on them comes over a network, or from a program that may.

Paths are taken by their text: resolving links would touch file systems that may hang.
"""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, Final

from pregen.filesystems.mounttable import MountTable, parse_mountinfo
from pregen.filesystems.protection import is_vault

if TYPE_CHECKING:
    from pregen.filesystems.mounttable import MountFacts

#: File systems over a network, as the kernel and FUSE call them, without `fuse.`.
_REMOTE: Final = frozenset(
    word
    for line in (
        "9p acfs afs auristorfs beegfs ceph cifs coda curlftpfs davfs davfs2 gcsfuse glusterfs",
        "gpfs gvfsd-fuse httpfs juicefs kio-fuse lustre ncpfs nfs nfs4 orangefs pvfs2 rclone",
        "s3fs smb smb3 smbfs smbnetfs sshfs",
    )
    for word in line.split()
)
#: What is mounted from `host:/path` or `//host/share` is remote whatever its type (GNU df's rule).
_REMOTE_DEVICE: Final = re.compile(rb"//[^/]+/|[^/:]+:/|[^/@:]+@[^/]+:")
#: Programs that show what lies on disks of this machine. Another one may ask anybody for it.
_LOCAL_PROGRAMS: Final = frozenset(
    ("archivemount", "bindfs", "fuse-overlayfs", "fuseiso", "lxcfs", "mergerfs", "mhddfs",
     "ntfs-3g", "portal", "ratarmount", "squashfuse", "unionfs", "unionfs-fuse")
)  # fmt: skip
_APP_IMAGE: Final = re.compile(r"(?i).*appimage.*")
_MOUNTINFO: Final = "/proc/self/mountinfo"


def is_remote(fstype: str, source: bytes) -> bool:
    """Tell whether the files of a mount come over a network.

    Args:
        fstype: as mountinfo and fstab write it.
        source: what is mounted, likewise.
    """
    return fstype.removeprefix("fuse.") in _REMOTE or bool(_REMOTE_DEVICE.match(source))


def is_share(mount: MountFacts) -> bool:
    """Tell whether the files of a mount may have to be waited for: remote, or nobody knows."""
    if is_remote(mount.fstype, mount.source):
        return True
    if not (mount.is_fuse or mount.fstype == "fuse"):
        return False
    kind = mount.kind
    return not (is_vault(mount) or kind in _LOCAL_PROGRAMS or _APP_IMAGE.fullmatch(kind))


class ShareFinder:
    """Says on which share a source lies. For one thread."""

    def __init__(self, mountinfo: str = _MOUNTINFO) -> None:
        self._mountinfo = mountinfo
        self._table = MountTable()
        self._shares: dict[int, int] = {}
        """By device."""

    def share_of(self, path: bytes, device: int) -> int:
        """Return a number of the share, the same for all that lies on it; 0: it is on none.

        Args:
            path: of the source.
            device: what stat said of it; 0: not known, and its path is gone by.
        """
        share = self._shares.get(device)
        if share is None:
            self._look()  # it may be newer than what is known
            numbered = f"{os.major(device)}:{os.minor(device)}"
            mount = self._table.by_device(numbered) if device else self._table.of(path)
            share = _number(mount) if mount is not None and is_share(mount) else 0
            if device:
                self._shares[device] = share
        return share

    def _look(self) -> None:
        try:
            with open(self._mountinfo, "rb") as listed:
                self._table = MountTable(parse_mountinfo(listed.read()))
        except OSError:  # without /proc nothing is known of anything
            self._table = MountTable()


def _number(mount: MountFacts) -> int:
    major, _, minor = mount.device.partition(":")
    return os.makedev(int(major), int(minor))
