"""A cache of its own for a bench, beside the user's and on the same disk, removed in any case."""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from contextlib import suppress
from itertools import count
from typing import Self

from pregen.errors import CacheError
from pregen.processes import born_s
from pregen.storage.atomic import HOST

_NAME = re.compile(rb"\.pregen-bench-(?P<host>.+)-(?P<pid>[0-9]{1,9})-[^-]*")


class Scratch:
    """A folder, 0700, as a context.

    Args:
        cache_root: the user's thumbnails directory; need not exist, and is not touched.

    Raises:
        CacheError: no folder can be made on that disk.
    """

    def __init__(self, cache_root: bytes) -> None:
        self._parent = beside(cache_root)
        self._numbers = count()
        self.path = b""

    def __enter__(self) -> Self:
        _sweep(self._parent)
        prefix = b".pregen-bench-%s-%d-" % (os.fsencode(HOST), os.getpid())
        try:
            self.path = tempfile.mkdtemp(prefix=prefix, dir=self._parent)
        except OSError as error:
            where = self._parent.decode("utf-8", "backslashreplace")
            raise CacheError(
                f"{where} takes no folder for the entries made while measuring "
                f"({error.strerror}): make it writable, or set XDG_CACHE_HOME to another place."
            ) from error
        return self

    def __exit__(self, *_: object) -> None:
        shutil.rmtree(self.path, ignore_errors=True)

    def fresh(self) -> bytes:
        """Make an empty folder in it."""
        path = os.path.join(self.path, b"%d" % next(self._numbers))
        os.mkdir(path, 0o700)
        return path

    def block_bytes(self) -> int:
        """Return the size of the blocks that files take here."""
        return os.statvfs(self.path).f_frsize

    def free_bytes(self) -> int:
        """Return how much may still be written here."""
        facts = os.statvfs(self.path)
        return facts.f_bavail * facts.f_frsize


def remove(folder: bytes) -> None:
    """Remove a folder that is not needed any more, and all in it."""
    shutil.rmtree(folder, ignore_errors=True)


def beside(cache_root: bytes) -> bytes:
    """Return the nearest folder above the cache that exists, or the cache when it is a mount."""
    root = os.path.realpath(cache_root)
    if os.path.ismount(root):
        return root
    above = os.path.dirname(root)
    while not os.path.isdir(above):
        above = os.path.dirname(above)
    return above


def _sweep(parent: bytes) -> None:
    """Remove what a bench of this host left that was killed."""
    with suppress(OSError), os.scandir(parent) as entries:
        for entry in entries:
            parts = _NAME.fullmatch(entry.name)
            if (
                parts
                and parts["host"] == os.fsencode(HOST)
                and entry.is_dir(follow_symlinks=False)
                and born_s(int(parts["pid"])) is None
            ):
                remove(entry.path)
