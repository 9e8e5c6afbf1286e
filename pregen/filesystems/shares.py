"""Which file systems are shares: what is on them comes over a network. Pure."""

from __future__ import annotations

import re
from typing import Final

#: File systems over a network, as the kernel and FUSE call them. `fuse.` is taken off first.
_REMOTE: Final = frozenset(
    word
    for line in (
        "9p acfs afs auristorfs beegfs ceph cifs coda curlftpfs davfs davfs2 gcsfuse glusterfs",
        "google-drive-ocamlfuse gpfs gvfsd-fuse httpfs juicefs kio-fuse lustre ncpfs nfs nfs4",
        "onedriver orangefs pvfs2 rclone s3fs smb smb3 smbfs smbnetfs sshfs",
    )
    for word in line.split()
)
#: What is mounted from `host:/path` or `//host/share` is remote whatever its type (GNU df's rule).
_REMOTE_DEVICE: Final = re.compile(rb"//[^/]+/|[^/:]+:/|[^/@:]+@[^/]+:")


def is_remote(fstype: str, source: bytes) -> bool:
    """Tell whether the files of a mount come over a network.

    Args:
        fstype: as mountinfo and fstab write it.
        source: what is mounted, likewise.
    """
    return fstype.removeprefix("fuse.") in _REMOTE or bool(_REMOTE_DEVICE.match(source))
