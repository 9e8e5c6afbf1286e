"""Which file systems are shares: what is on them comes over a network, or from a program that may.

Paths are taken by their text: resolving links would touch file systems that may hang.
"""

from __future__ import annotations

import errno
import os
import re
from typing import TYPE_CHECKING, Final

from pregen.filesystems.protection import is_vault

if TYPE_CHECKING:
    from pregen.filesystems.mounttable import MountFacts, MountTable

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
#: What is mounted from `host:/path` or `//host/share` is remote, of any type (GNU df's rule).
_REMOTE_DEVICE: Final = re.compile(rb"//[^/]+/|[^/:]+:/|[^/@:]+@[^/]+:")
#: Programs that show what lies on disks of this machine. Another one may ask another machine.
_LOCAL_PROGRAMS: Final = frozenset(
    ("archivemount", "bindfs", "fuse-overlayfs", "fuseiso", "lxcfs", "mergerfs", "mhddfs",
     "ntfs-3g", "portal", "ratarmount", "squashfuse", "unionfs", "unionfs-fuse")
)  # fmt: skip
_APP_IMAGE: Final = re.compile(r"(?i).*appimage.*")
_AUTOFS: Final = "autofs"
#: As many as the kernel follows (path_resolution(7)).
_MOST_LINKS: Final = 40
#: Told to the user, who is also told what to look at.
SILENT_WORDS: Final = "the share does not answer"


class ShareSilentError(OSError):
    """A share gave nothing for as long as it may be silent."""

    def __init__(self) -> None:
        super().__init__(errno.ETIMEDOUT, SILENT_WORDS)


def is_remote(fstype: str, source: bytes) -> bool:
    """Tell whether the files of a mount come over a network.

    Args:
        fstype: as mountinfo and fstab write it.
        source: what is mounted, likewise.
    """
    return fstype.removeprefix("fuse.") in _REMOTE or bool(_REMOTE_DEVICE.match(source))


def is_share(mount: MountFacts) -> bool:
    """Tell whether the files of a mount may have to be waited for: remote, or of unknown type."""
    if is_remote(mount.fstype, mount.source):
        return True
    if not (mount.is_fuse or mount.fstype == "fuse"):
        return False
    kind = mount.kind
    return not (is_vault(mount) or kind in _LOCAL_PROGRAMS or _APP_IMAGE.fullmatch(kind))


def may_hang(mount: MountFacts) -> bool:
    """Tell whether to look at a mount may take as long as a share does.

    What an automounter waits for may be one; the kernel's own automounts are in /proc.
    """
    waits = mount.fstype == _AUTOFS and not mount.point.startswith(b"/proc/")
    return waits or is_share(mount)


def share_at(path: bytes, table: MountTable) -> MountFacts | None:
    """Return the share (or automount) on which a path lies, or through which it leads, or None.

    Links are followed as far as to the share, which is asked for nothing.

    Args:
        path: absolute and clean.
        table: the mounts.
    """
    real, rest = b"/", path.split(b"/")[::-1]
    links = 0
    while rest:
        part = rest.pop()
        if part in {b"", b"."}:
            continue
        if part == b"..":
            real = os.path.dirname(real)
            continue
        here = os.path.join(real, part)
        mount = table.of(here)
        if mount is not None and may_hang(mount):
            return mount
        try:
            target = os.readlink(here)
        except OSError:  # no link, or nothing at all
            real = here
            continue
        links += 1
        if links > _MOST_LINKS:
            return None
        real = b"/" if target.startswith(b"/") else real
        rest += target.split(b"/")[::-1]
    return None


def share_number(mount: MountFacts | None) -> int:
    """Return a number of a share, the same for all that lies on it; 0: it is none."""
    if mount is None or not is_share(mount):
        return 0
    major, _, minor = mount.device.partition(":")
    return os.makedev(int(major), int(minor))
