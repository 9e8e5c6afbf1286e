"""Reads this system's mount points: those the kernel has and those that are declared.

Touches no mounted file system; files of /proc and /etc only.
"""

from __future__ import annotations

import glob
import os
from contextlib import suppress
from typing import TYPE_CHECKING, Final

import psutil

from pregen.originals.mounts import Mount, Mounts, parse_fstab, parse_unit

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

#: As libmount calls the variable that names another fstab (mount(8), Environment).
FSTAB_VARIABLE: Final = "LIBMOUNT_FSTAB"
_FSTAB: Final = "/etc/fstab"
#: Units of the administrator and of generators; those of the distribution name no user's files.
_UNITS: Final = ("/etc/systemd/system", "/run/systemd/system")


def read_mounts(environ: Mapping[str, str]) -> Mounts:
    """Return the mount points as they are now. What cannot be read declares nothing."""
    mounted = tuple(
        Mount(os.fsencode(part.mountpoint), part.fstype, os.fsencode(part.device))
        for part in psutil.disk_partitions(all=True)
    )
    return Mounts(mounted, tuple(_declared(environ.get(FSTAB_VARIABLE) or _FSTAB)))


def _declared(fstab: str) -> Iterator[Mount]:
    with suppress(OSError), open(fstab, "rb") as file:
        yield from parse_fstab(file.read())
    for folder in _UNITS:
        for path in sorted(glob.glob(f"{folder}/*.mount")):
            with suppress(OSError), open(path, "rb") as file:
                unit = parse_unit(file.read())
                if unit:
                    yield unit
