"""Where a bench takes place: its scratch folder, its files in memory or not, and the machine."""

from __future__ import annotations

import os
import platform
import re
import shutil
import tempfile
from contextlib import contextmanager, suppress
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

import psutil

from pregen.cache.atomic import HOST
from pregen.errors import CacheError
from pregen.processes import born_s
from pregen.source_file import SourceAccessError, open_source
from pregen.verbs.bench.result import Machine

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from pregen.model import Source


_NAME = re.compile(rb"\.pregen-bench-(?P<host>.+)-(?P<pid>[0-9]{1,9})-[^-]*")


@contextmanager
def scratch_folder(cache_root: bytes) -> Iterator[bytes]:
    """Have a folder, 0700, on the disk of the user's cache; it goes with all that is in it.

    Args:
        cache_root: the user's thumbnails directory; need not exist, and is not touched.

    Raises:
        CacheError: no folder can be made on that disk.
    """
    parent = beside(cache_root)
    _sweep(parent)
    prefix = b".pregen-bench-%s-%d-" % (os.fsencode(HOST), os.getpid())
    try:
        path = tempfile.mkdtemp(prefix=prefix, dir=parent)
    except OSError as error:
        raise CacheError(
            f"{parent.decode('utf-8', 'backslashreplace')} cannot hold a scratch folder "
            f"({error.strerror}): make it writable, or choose another cache (PREGEN_CACHE)."
        ) from error
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)


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
                shutil.rmtree(entry.path, ignore_errors=True)


def drop(sources: Iterable[Source]) -> None:
    """Ask the kernel to forget the content of every source.

    Folders and inodes stay in memory, and what a disk or a server keeps of its own is out of reach.
    """
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
        cores=len(os.sched_getaffinity(0)),
        memory_bytes=psutil.virtual_memory().total,
        system=f"{platform.system()} {platform.release().partition('-')[0]}",
        pregen=version,
        python=platform.python_version(),
        libraries=libraries,
    )


def _cpu() -> str:
    """Return the processor's name as the kernel tells it."""
    with suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").split("\n"):
            key, _, value = line.partition(":")
            if key.strip() in {"model name", "Model"}:
                return value.strip()
    return platform.machine()
