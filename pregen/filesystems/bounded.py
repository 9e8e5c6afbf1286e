"""Looks at files as `os` does, but never hangs: a share that does not answer costs its time-out.

What lies on a share is looked at by a helper process of that share (`share_client`). It is waited
for as long as something comes, up to the time-out; then all that lies on the share fails with
`ShareSilentError`, at once, until the late answer has come after all. What lies on the disks of
this machine is looked at directly.

Which of the two a path is, is told by the kernel's list of mounts, and by the links of this
machine's disks on the way.
"""

from __future__ import annotations

import os
import stat
import threading
from typing import TYPE_CHECKING, Final

from pregen.filesystems.live_mounts import LiveMounts
from pregen.filesystems.shares import may_hang, share_at, share_number

if TYPE_CHECKING:
    from pregen.filesystems.share_client import RemoteStatus, ShareClient, ShareFolder

    #: What a look at a file gives.
    Status = os.stat_result | RemoteStatus

#: As `--read-timeout`.
DEFAULT_SILENCE_S: Final = 60.0
#: Of so many folders is remembered where they are really.
_MOST_FOLDERS: Final = 1024


class BoundedFiles:
    """Looks at files of any kind of file system. From any thread; to be closed.

    Args:
        silence_s: how long a share may give nothing.
        mounts: of this process.
    """

    def __init__(
        self, silence_s: float = DEFAULT_SILENCE_S, mounts: LiveMounts | None = None
    ) -> None:
        self.silence_s = silence_s
        self._mounts = mounts or LiveMounts()
        self._any = any(map(may_hang, self._mounts.table.mounts))
        self._clients: dict[str, ShareClient] = {}
        self._lock = threading.Lock()
        self._shares: dict[int, int] = {}
        """By device."""
        self._real_folders: dict[bytes, bytes] = {}

    def close(self) -> None:
        """Let go of all helpers."""
        with self._lock:
            self._mounts.close()
            while self._clients:
                self._clients.popitem()[1].close()

    @property
    def any_shares(self) -> bool:
        """Whether any share is mounted."""
        with self._lock:
            if self._mounts.look_again():
                self._any = any(map(may_hang, self._mounts.table.mounts))
            return self._any

    def is_on_share(self, path: bytes) -> bool:
        """Tell whether a path, absolute and clean, lies on a share or leads through one."""
        if not self.any_shares:
            return False
        with self._lock:
            return share_at(path, self._mounts.table) is not None

    def share_of(self, path: bytes, device: int) -> int:
        """Return a number of the share of a source, the same for all that lies on it; 0: on none.

        Args:
            path: of the source.
            device: what stat said of it; 0: not known, and its path is gone by.
        """
        share = self._shares.get(device)
        if share is None:
            with self._lock:
                self._mounts.renew()  # it may be newer than what is known
                table = self._mounts.table
                numbered = f"{os.major(device)}:{os.minor(device)}"
                share = share_number(table.by_device(numbered) if device else table.of(path))
                if device:
                    self._shares[device] = share
        return share

    def _client(self, path: bytes) -> ShareClient | None:
        """Return the helper of the share on which a path lies; None: it is on a disk."""
        if not self.any_shares:
            return None
        with self._lock:
            mount = share_at(path, self._mounts.table)
            if mount is None:
                return None
            client = self._clients.get(mount.device)
            if client is None or client.ended:
                from pregen.filesystems.share_client import ShareClient  # noqa: PLC0415 - seldom

                client = self._clients[mount.device] = ShareClient(self.silence_s)
            return client

    def folder(self, path: bytes) -> ShareFolder | None:
        """Enter a folder if it lies on a share; None: it is on a disk. Raises OSError."""
        client = self._client(path)
        return None if client is None else client.folder(path)

    def stat(self, path: bytes, *, follow: bool = True) -> Status:
        """Return what stat says of a path. Raises OSError."""
        client = self._client(path)
        if client is None:
            return os.stat(path, follow_symlinks=follow)
        return client.stat(path, follow=follow)

    def lexists(self, path: bytes) -> bool:
        """Tell whether there is anything of this name."""
        try:
            self.stat(path, follow=False)
        except OSError:
            return False
        return True

    def is_folder(self, path: bytes) -> bool:
        """Tell whether there is a folder, or a link to one."""
        try:
            return stat.S_ISDIR(self.stat(path).st_mode)
        except (OSError, ValueError):  # a name cannot hold a zero byte
            return False

    def is_link(self, path: bytes) -> bool:
        """Tell whether there is a link of this name."""
        try:
            return stat.S_ISLNK(self.stat(path, follow=False).st_mode)
        except OSError:
            return False

    def readlink(self, path: bytes) -> bytes:
        """Return what a link holds. Raises OSError."""
        client = self._client(path)
        if client is None:
            return os.readlink(path)
        _, held = client.ask("readlink", path)
        return bytes(held)

    def open(self, path: bytes, flags: int) -> int:
        """Open a file. Raises OSError."""
        client = self._client(path)
        if client is None:
            return os.open(path, flags)
        _, descriptor = client.ask("open", path, flags)
        return int(descriptor)

    def realpath(self, path: bytes) -> bytes:
        """Return a path without links; as it is where its share does not answer."""
        try:
            return self._resolve(path)
        except OSError:
            return path

    def real_folder(self, path: bytes) -> bytes:
        """Return the same of a folder that is asked for again and again: it is resolved once."""
        found = self._real_folders.get(path)
        if found is None:
            try:
                found = self._resolve(path)
            except OSError:
                return path
            if len(self._real_folders) >= _MOST_FOLDERS:
                self._real_folders.clear()
            self._real_folders[path] = found
        return found

    def real_file(self, path: bytes) -> bytes:
        """Return the same of a file, one of many in few folders."""
        folder, name = os.path.split(path)
        found = os.path.join(self.real_folder(folder), name)
        return self.realpath(found) if self.is_link(found) else found

    def _resolve(self, path: bytes) -> bytes:
        client = self._client(path)
        if client is None:
            return os.path.realpath(path)
        _, real = client.ask("realpath", path)
        return bytes(real)

    def getxattr(self, path: bytes, name: str) -> bytes:
        """Return an attribute of a file. Raises OSError."""
        client = self._client(path)
        if client is None:
            return os.getxattr(path, name)
        _, value = client.ask("getxattr", path, name)
        return bytes(value)
