"""How the shares are mounted on which pictures lie: from the kernel's list and from sshfs itself.

Nothing below a mount point is looked at: files of /proc and /sys only.
"""

from __future__ import annotations

import os
from contextlib import suppress
from typing import TYPE_CHECKING, Final

import psutil

from pregen.filesystems.mounttable import MountTable, parse_mountinfo
from pregen.originals.mounts import Mount
from pregen.verbs.doctor.facts import ShareMount

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from pregen.filesystems.mounttable import MountFacts

_MOUNTINFO: Final = "/proc/self/mountinfo"
#: Of every file system that has a readahead of its own (Documentation/ABI/testing/sysfs-class-bdi).
_READ_AHEAD: Final = "/sys/class/bdi/{device}/read_ahead_kb"
_SSHFS: Final = "sshfs"


def read_shares(paths: Iterable[bytes]) -> tuple[ShareMount, ...]:
    """Return the shares on which paths lie, by their text; each is absolute and clean."""
    try:
        with open(_MOUNTINFO, "rb") as file:
            text = file.read()
    except OSError:
        return ()
    return shares_of(text, paths, read_ahead_bytes, sshfs_commands)


def shares_of(
    mountinfo: bytes,
    paths: Iterable[bytes],
    read_ahead: Callable[[str], int | None],
    sshfs: Callable[[], Sequence[Sequence[str]]],
) -> tuple[ShareMount, ...]:
    """Return the shares on which paths lie.

    Args:
        mountinfo: the kernel's list.
        paths: absolute and clean.
        read_ahead: tells the readahead in bytes of the file system with a "major:minor".
        sshfs: the command lines of the sshfs that run; asked where one is mounted.
    """
    table = MountTable(parse_mountinfo(mountinfo))
    found: dict[bytes, MountFacts] = {}
    for path in paths:
        mount = table.of(path)
        if mount is not None and Mount(mount.point, mount.fstype, mount.source).remote:
            found.setdefault(mount.point, mount)
    running = sshfs() if any(mount.kind == _SSHFS for mount in found.values()) else ()
    return tuple(
        ShareMount(
            point=mount.point,
            kind=mount.kind,
            source=mount.source,
            options=tuple(mount.options.decode("utf-8", "replace").split(",")),
            command=_command(mount, running) if mount.kind == _SSHFS else (),
            read_ahead_bytes=read_ahead(mount.device),
            example=next(path for path in paths if table.of(path) is mount),
        )
        for mount in found.values()
    )


def _command(mount: MountFacts, running: Sequence[Sequence[str]]) -> tuple[str, ...]:
    """Return the command line that mounted this; empty where it cannot be told.

    The one with the same point counts first: a relative one, or one behind a link, only shows by
    what is mounted there.
    """
    for wanted in (mount.point, mount.source):
        those = [words for words in running if wanted in map(os.fsencode, words[1:])]
        if len(those) == 1:
            return tuple(those[0])
    return ()


def sshfs_commands() -> list[list[str]]:
    """Return the command lines of all sshfs that run and that this user may look at."""
    found = []
    for process in psutil.process_iter(["name"]):
        if process.info["name"] == _SSHFS:
            with suppress(psutil.Error):
                found.append(process.cmdline())
    return [words for words in found if words]


def read_ahead_bytes(device: str) -> int | None:
    """Return how far the kernel reads ahead on the file system "major:minor"; None: not told."""
    with suppress(OSError, ValueError), open(_READ_AHEAD.format(device=device), "rb") as file:
        return int(file.read()) * 1024
    return None
