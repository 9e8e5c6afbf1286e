"""Keeps a run from what lies on vaults and on file systems of the kernel: asks, and remembers.

What a path lies on is learned where the kernel says another device than before: once for each file
system, and for each folder where folders may be encrypted one by one. A mount that comes or goes
meanwhile is noticed before the next folder.
"""

from __future__ import annotations

import os
import stat
from contextlib import suppress
from typing import TYPE_CHECKING, Final, NamedTuple

from pregen.filesystems import fscrypt
from pregen.filesystems.blockdevices import BlockTree, device_number
from pregen.filesystems.bounded import BoundedFiles
from pregen.filesystems.live_mounts import LiveMounts
from pregen.filesystems.mounttable import is_below
from pregen.filesystems.placeholders import Placeholders
from pregen.filesystems.protection import (
    FSCRYPT,
    UNPROTECTED,
    Protection,
    is_pseudo,
    protection_of,
)
from pregen.filesystems.shares import is_remote, is_share
from pregen.model import Kind, Skip

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from pregen.filesystems.mounttable import MountFacts

_MNT_ID: Final = b"mnt_id:"


class Ground(NamedTuple):
    """What a file or folder lies on."""

    protection: Protection = UNPROTECTED
    kind: str = ""
    """The type of the file system."""
    point: bytes = b"/"
    """Where it is mounted, or the highest folder of an encrypted one."""
    pseudo: bool = False
    by_folder: bool = False
    """Folders of it may be encrypted one by one."""
    source: bytes = b""
    """What is mounted there."""
    fuse: bool = False
    """A program of the user's serves it."""
    remote: bool = False
    """Its files come over a network."""


class Surveyor:
    """Says what paths lie on, as it is now. For one thread.

    Args:
        blocks: where the kernel says of what block devices are made.
        mounts: of this process.
    """

    def __init__(self, blocks: BlockTree | None = None, mounts: LiveMounts | None = None) -> None:
        self._blocks = blocks or BlockTree()
        self.mounts = mounts or LiveMounts()
        self._grounds: dict[int, Ground] = {}
        self._never: set[int] = set()
        """Devices on which no folder is encrypted by itself."""

    def close(self) -> None:
        """Let go of the kernel's list; a second time does nothing. What is known stays known."""
        self.mounts.close()

    def look_again(self) -> None:
        """Forget what is known of file systems if a mount came or went."""
        if self.mounts.look_again():
            self._forget()

    def _forget(self) -> None:
        self._grounds.clear()
        self._never.clear()

    def ground(self, path: bytes, device: int) -> Ground:
        """Return the ground of a file system.

        Args:
            path: a file or folder on it; links are followed.
            device: what stat says of it.
        """
        found = self._grounds.get(device)
        if found is None:
            self.mounts.renew()  # it may be newer than what is known
            self._forget()
            mount = self._mount(path, device)
            found = self.of_mount(mount) if mount else Ground()
            self._grounds[device] = found
        return found

    def of_mount(self, mount: MountFacts) -> Ground:
        """Return what the files of a mount lie on, encryption of single folders aside."""
        return Ground(
            protection_of(
                mount, self.mounts.table, device_number, self._blocks.block, os.path.realpath
            ),
            mount.kind,
            mount.point,
            is_pseudo(mount.fstype),
            mount.fstype in FSCRYPT,
            mount.source,
            mount.fstype.startswith("fuse"),
            is_remote(mount.fstype, mount.source),
        )

    def of_folder(self, path: bytes, device: int) -> Ground:
        """Return what a folder lies on, its own encryption included."""
        ground = self.ground(path, device)
        if not ground.by_folder or device in self._never:
            return ground
        key = self._key(path, device)
        if not key:
            return ground
        own = Protection(frozenset({f"fscrypt {key.hex()}"}), "fscrypt")
        top = fscrypt.top_of(path, key)
        return ground._replace(protection=own.joined(ground.protection), point=top)

    def encrypts_folders(self, device: int) -> bool:
        """Tell whether folders of a file system that was asked for may be encrypted singly."""
        ground = self._grounds.get(device)
        return bool(ground and ground.by_folder and device not in self._never)

    def server(self, path: bytes, device: int) -> str | None:
        """Return the kind of share or program that serves a file system; None: it is on a disk."""
        ground = self.ground(path, device)
        return ground.kind if ground.fuse or ground.remote else None

    def of_path(self, path: bytes) -> Ground:
        """Return what a path lies on: that of the nearest folder that is there."""
        while True:
            try:
                found = os.stat(path)
            except OSError:
                if path == b"/":
                    return Ground()
                path = path.rpartition(b"/")[0] or b"/"
                continue
            if stat.S_ISDIR(found.st_mode) or stat.S_ISREG(found.st_mode):
                return self.of_folder(path, found.st_dev)
            return self.ground(path, found.st_dev)

    def _key(self, path: bytes, device: int) -> bytes | None:
        try:
            fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY)
        except OSError:
            return None
        try:
            key = fscrypt.key_of(fd)
        finally:
            os.close(fd)
        if key is None:
            self._never.add(device)
        return key

    def _mount(self, path: bytes, device: int) -> MountFacts | None:
        """Return the mount on which a path is found: by its number, else by device.

        A share is known by device: to look at what lies on it may take forever.
        """
        served = self.mounts.table.by_device(f"{os.major(device)}:{os.minor(device)}")
        if served is not None and is_share(served):
            return served
        with suppress(OSError, ValueError):
            fd = os.open(path, os.O_PATH | os.O_CLOEXEC)
            try:
                with open(f"/proc/self/fdinfo/{fd}", "rb") as file:
                    for line in file:
                        if line.startswith(_MNT_ID):
                            found = self.mounts.table.by_id(int(line.removeprefix(_MNT_ID)))
                            if found is not None:
                                return found
            finally:
                os.close(fd)
        return served


class Guard:
    """Says what a run must leave out, and why. For one thread.

    Args:
        place: where thumbnails go, there or not; what is locked no better than this is open to it.
            None: beside the originals, so nothing is private.
        allowed: paths, absolute and clean, at and below which private files are taken all the same.
        say: told once of each vault and each file system that is left out, in words for people.
        surveyor: knows file systems.
        files: looks at files.
    """

    def __init__(
        self,
        place: bytes | None,
        allowed: Iterable[bytes] = (),
        say: Callable[[str], None] = lambda _words: None,
        surveyor: Surveyor | None = None,
        files: BoundedFiles | None = None,
    ) -> None:
        self.surveyor = surveyor or Surveyor()
        self.files = files or BoundedFiles()
        # no way back to here: who lets go of a walk lets go of the kernel's list
        self.placeholders = Placeholders(self.surveyor.server, self.files)
        self._place = UNPROTECTED if place is None else self.surveyor.of_path(place).protection
        self._anywhere = place is None
        self._allowed = tuple(allowed)
        self._say = say
        self._told: set[bytes] = set()
        self.met: set[bytes] = set()
        """Where private files begin, as they were walked; with and without leave to take them."""

    def close(self) -> None:
        """Let go of the kernel's list of mounts, and of what looks at shares."""
        self.surveyor.close()
        self.files.close()

    @property
    def place_keys(self) -> frozenset[bytes]:
        """The fscrypt keys that protect the place of thumbnails."""
        mark = "fscrypt "
        return frozenset(
            bytes.fromhex(layer.removeprefix(mark))
            for layer in self._place.layers
            if layer.startswith(mark)
        )

    def is_private(self, ground: Ground) -> bool:
        """Tell whether what lies there is better protected than the place of thumbnails."""
        return not self._anywhere and ground.protection.exceeds(self._place)

    def folder(self, path: bytes, device: int, *, pseudo: bool = False) -> Skip | None:
        """Return why what lies in a folder is left out; None: it is not.

        Args:
            path: of the folder.
            device: what stat says of it.
            pseudo: it may lie on a file system of the kernel: the user named it.
        """
        self.surveyor.look_again()
        return self._judged(path, self.surveyor.of_folder(path, device), pseudo=pseudo)

    def file(self, path: bytes, device: int, *, pseudo: bool = False) -> Skip | None:
        """Return why a file is left out that does not lie where its folder does; None: it is not.

        That it is encrypted by itself is for the worker to find, which opens it.
        """
        return self._judged(path, self.surveyor.ground(path, device), pseudo=pseudo)

    def leads_to_allowed(self, folder: bytes) -> bool:
        """Tell whether something below a folder may be taken that is private."""
        return any(is_below(each, folder) for each in self._allowed)

    def _judged(self, path: bytes, ground: Ground, *, pseudo: bool) -> Skip | None:
        if ground.pseudo and not pseudo:
            if ground.point not in self._told:
                self._told.add(ground.point)
                self._say(
                    f"skipped {_shown(ground.point)} ({ground.kind}): a file system without files"
                )
            return Skip(path, Kind.EXCLUDED, f"on a file system without files ({ground.kind})")
        if not self.is_private(ground):
            return None
        begin = ground.point if is_below(path, ground.point) else path
        if not any(is_below(begin, each) for each in self.met):
            self.met.add(begin)
        if self._allowed and any(
            map(self._allows, (path, ground.point, self.files.realpath(path)))
        ):
            return None
        if ground.point not in self._told:
            self._told.add(ground.point)
            self._say(private_words(ground))
        return Skip(path, Kind.PRIVATE, private_reason(ground))

    def _allows(self, path: bytes) -> bool:
        return any(is_below(path, each) for each in self._allowed)


def private_reason(ground: Ground) -> str:
    """Return why what lies there gets no thumbnails."""
    return f"encrypted ({ground.protection.kind}), and thumbnails would not be"


def private_words(ground: Ground) -> str:
    """Return the same with what to do, for people."""
    place = _shown(ground.point)
    return (
        f"skipped {place}: it is {private_reason(ground)}, so they would show its pictures while "
        f"it is locked; --allow-encrypted {place} creates them anyway"
    )


def _shown(path: bytes) -> str:
    return path.decode("utf-8", "backslashreplace")
