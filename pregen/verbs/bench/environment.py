"""A cache of its own for a bench, beside the user's and on the same disk, removed in any case."""

from __future__ import annotations

import os
import platform
import re
import shutil
import tempfile
from contextlib import suppress
from importlib import metadata
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Self

import psutil

from pregen.cache.atomic import HOST
from pregen.errors import CacheError
from pregen.processes import born_s
from pregen.source_file import SourceAccessError, open_source
from pregen.verbs.bench.model import Machine

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pregen.model import Source


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


# --- Puts files out of the kernel's memory, and says how far that worked
#
# "Cold" means that the content is not in memory. Folders and inodes stay, and what a disk or a
# server keeps of its own is out of reach.


def drop(sources: Iterable[Source]) -> None:
    """Ask the kernel to forget the content of every source."""
    for source in sources:
        with suppress(SourceAccessError, OSError), open_source(source.path) as opened:
            with suppress(OSError):
                os.fdatasync(opened.fd)  # what was just copied there is not forgotten before
            opened.forget()


def resident_share(sources: Iterable[Source]) -> float:
    """Return the share of sources whose middle is in memory: 1 warm, 0 cold."""
    looked = resident = 0
    for source in sources:
        with suppress(SourceAccessError, OSError), open_source(source.path) as opened:
            looked += 1
            resident += opened.resident()
    return resident / max(1, looked)


# --- Describes the machine and the versions, without names or paths that tell whose it is


#: Distributions that do the work of a thumbnail.
_LIBRARIES = ("pyvips-binary", "simplejpeg", "pillow", "numpy", "isal")


def describe(version: str) -> Machine:
    """Return what a reader must know to judge the numbers of this `version` of pregen."""
    libraries = {}
    for name in _LIBRARIES:
        with suppress(metadata.PackageNotFoundError):
            libraries[name] = metadata.version(name)
    return Machine(
        cpu=_cpu(),
        cores=usable_cores(),
        memory_bytes=psutil.virtual_memory().total,
        system=f"{platform.system()} {platform.release().partition('-')[0]}",
        pregen=version,
        python=platform.python_version(),
        libraries=libraries,
    )


def usable_cores() -> int:
    """Return the number of cores this process may use."""
    return len(os.sched_getaffinity(0))


def _cpu() -> str:
    """Return the processor's name as the kernel tells it."""
    with suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").split("\n"):
            key, _, value = line.partition(":")
            if key.strip() in {"model name", "Model"}:
                return value.strip()
    return platform.machine()
