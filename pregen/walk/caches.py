"""Keeps the walk out of thumbnail caches: never a thumbnail of a thumbnail (DESIGN 3.9)."""

from __future__ import annotations

import os

from pregen.thumbspec.naming import clean_path
from pregen.walk.names import in_named_cache


class Caches:
    """The cache in use, by name, by device and inode and by real path, and all others by name."""

    def __init__(self, cache_root: bytes) -> None:
        self._root = clean_path(cache_root, b"/") if cache_root else b""
        self._real_root = os.path.realpath(cache_root) if cache_root else b""
        self._identity = (-1, -1)
        if self._root:
            try:
                status = os.stat(cache_root)
            except OSError:
                pass  # Not made yet: its name will do.
            else:
                self._identity = (status.st_dev, status.st_ino)
        self._last: tuple[bytes, bool] = (b"", False)

    def named(self, folder: bytes) -> bool:
        """Tell whether a folder met on the way down is a cache, by its name and those above."""
        return folder == self._root or (folder.endswith(b"/thumbnails") and in_named_cache(folder))

    def is_root(self, entry: os.DirEntry[bytes]) -> bool:
        """Tell whether a folder met on the way down is the cache in use under another name.

        Raises OSError when the folder cannot be examined.
        """
        device, inode = self._identity
        return entry.inode() == inode and entry.stat(follow_symlinks=False).st_dev == device

    def holds(self, folder: bytes) -> bool:
        """Tell whether `folder`, come by any way, is a cache or lies in one."""
        if folder != self._last[0]:
            self._last = (folder, self._inside(folder) or self._inside(os.path.realpath(folder)))
        return self._last[1]

    def _inside(self, folder: bytes) -> bool:
        return in_named_cache(folder) or any(
            root and (folder == root or folder.startswith(root + b"/"))
            for root in (self._root, self._real_root)
        )
