"""Describes the machine and the versions, without names or paths that tell whose it is."""

from __future__ import annotations

import os
import platform
from contextlib import suppress
from importlib import metadata
from pathlib import Path

import psutil

from pregen.bench.model import Machine

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
