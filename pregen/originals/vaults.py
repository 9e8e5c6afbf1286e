"""Where vaults are, open or locked: which originals are better protected than the cache.

A locked vault is an ordinary folder, or none. That it is one is known from what mounts it (fstab,
crypttab, pam_mount, Plasma, Cryptomator), from the journal, which has met it open, or from the
user. Of folders that are encrypted by themselves the kernel says so even while they are locked.
"""

from __future__ import annotations

import os
import re
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from pregen.filesystems import fscrypt
from pregen.filesystems.guard import Guard
from pregen.filesystems.mounttable import MountFacts, is_below
from pregen.filesystems.protection import FSCRYPT, VAULTS, is_vault
from pregen.thumbspec.naming import clean_path

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from pregen.originals.mounts import Mount, Mounts

_PLASMA: Final = re.compile(
    rb"^[ \t]*mountPoint(?:\[\$e\])?[ \t]*=[ \t]*(\S.*?)[ \t]*$", re.MULTILINE
)
_CRYPTOMATOR: Final = re.compile(
    rb'"(?:mountPoint|customMountPath|individualMountPath)"\s*:\s*"([^"\\]+)"'
)
_VOLUME: Final = re.compile(rb"<volume\b([^>]*)>", re.DOTALL)
_ATTRIBUTE: Final = re.compile(rb"""([\w-]+)\s*=\s*(?:"([^"]*)"|'([^']*)')""")
#: How mount.fuse(8) is told the program: "gocryptfs#/where/it/is".
_PROGRAM: Final = re.compile(rb"([\w-]+)#")
_MAPPER: Final = b"/dev/mapper/"
#: What pam_mount calls its own encrypted volumes.
_PAM_CRYPT: Final = frozenset((b"crypt", b"ecryptfs", b"encfs", b"truecrypt", b"veracrypt"))
#: Where Cryptomator mounts what has no place of its own.
_CRYPTOMATOR_FOLDER: Final = b".local/share/Cryptomator/mnt"


def declared_in_plasma(text: bytes, home: bytes) -> Iterator[bytes]:
    """Yield the mount points of Plasma's vaults (`plasmavaultrc`)."""
    yield from _expanded((found[1] for found in _PLASMA.finditer(text)), home)


def declared_in_cryptomator(text: bytes, home: bytes) -> Iterator[bytes]:
    """Yield the mount points that Cryptomator's `settings.json` names."""
    yield from _expanded((found[1] for found in _CRYPTOMATOR.finditer(text)), home)


def declared_in_pam_mount(text: bytes, home: bytes, user: bytes = b"") -> Iterator[bytes]:
    """Yield the mount points of encrypted volumes of a `pam_mount.conf.xml`."""
    text = re.sub(rb"<!--.*?-->", b"", text, flags=re.DOTALL)
    for volume in _VOLUME.finditer(text):
        values = {name: one or two for name, one, two in _ATTRIBUTE.findall(volume[1])}
        program = _PROGRAM.match(values.get(b"path", b""))
        encrypted = values.get(b"fstype", b"") in _PAM_CRYPT or (
            program is not None and program[1].decode("ascii", "replace") in VAULTS
        )
        point = values.get(b"mountpoint", b"").replace(b"%(USER)", user or os.path.basename(home))
        if encrypted and b"%" not in point:
            yield from _expanded([point], home)


def declared_in_fstab(declared: Iterable[Mount], crypttab: bytes) -> Iterator[bytes]:
    """Yield those of the declared mounts that are vaults, or devices that crypttab(5) decrypts."""
    names = {line.split()[0] for line in crypttab.split(b"\n") if line.split()}
    for mount in declared:
        program = _PROGRAM.match(mount.device)
        kind = program[1].decode("ascii", "replace") if program else mount.fstype
        facts = MountFacts(0, "", mount.point, kind, mount.device, b"")
        decrypted = mount.device.removeprefix(_MAPPER) in names
        if is_vault(facts) or (mount.device.startswith(_MAPPER) and decrypted):
            yield mount.point


def _expanded(points: Iterable[bytes], home: bytes) -> Iterator[bytes]:
    for point in points:
        for mark in (b"$HOME", b"${HOME}", b"~"):
            if point == mark or point.startswith(mark + b"/"):
                point = home + point.removeprefix(mark)  # noqa: PLW2901 - the same one, expanded
        if point.startswith(b"/"):
            yield clean_path(point, b"/")


def declared_vaults(home: str, environ: Mapping[str, str], mounts: Mounts) -> frozenset[bytes]:
    """Return where programs of this user and of the system mount vaults, open or not."""
    own = os.fsencode(home)
    config = environ.get("XDG_CONFIG_HOME", "")
    config = config if config.startswith("/") else f"{home}/.config"
    found = [
        *declared_in_plasma(_content(f"{config}/plasmavaultrc"), own),
        *declared_in_cryptomator(_content(f"{config}/Cryptomator/settings.json"), own),
        *declared_in_pam_mount(_content(f"{home}/.pam_mount.conf.xml"), own),
        *declared_in_pam_mount(_content("/etc/security/pam_mount.conf.xml"), own),
        *declared_in_fstab(mounts.all_declared(), _content("/etc/crypttab")),
        os.path.join(own, _CRYPTOMATOR_FOLDER),
    ]
    return frozenset(found)


def _content(path: str) -> bytes:
    with suppress(OSError), open(path, "rb") as file:
        return file.read()
    return b""


class PrivatePlaces:
    """Tells which originals are better protected than a cache. For one thread.

    By the text of paths: no mount is touched but those that may be encrypted folder by folder,
    which are disks of this machine.

    Args:
        cache_root: the cache, there or not.
        declared: where vaults are mounted when they are open.
        met: tells whether a vault was met at exactly a path.
        named: what the user says is one.
        guard: knows what is mounted.
        met_any: whether a vault was met at all.
    """

    def __init__(
        self,
        cache_root: bytes,
        declared: Iterable[bytes] = (),
        met: Callable[[bytes], bool] = lambda _path: False,
        named: Iterable[bytes] = (),
        guard: Guard | None = None,
        *,
        met_any: bool = True,
    ) -> None:
        self._met_any = met_any
        self._guard = guard or Guard(cache_root)
        self._declared = frozenset(declared)
        self._met = met
        self._named = tuple(named)
        surveyor = self._guard.surveyor
        self._mounted = {
            mount.point: self._guard.is_private(surveyor.of_mount(mount))
            for mount in surveyor.mounts.table.visible()
        }
        self._places: dict[bytes, bytes | None] = {}

    def place_of(self, path: bytes) -> bytes | None:
        """Return where what is private begins above a path, or at it; None: it is not private.

        Args:
            path: absolute and clean; it need not exist.
        """
        for each in self._named:
            if is_below(path, each):
                return each
        if self._met(path):
            return path
        return self._place(path.rpartition(b"/")[0] or b"/")

    def _place(self, folder: bytes) -> bytes | None:
        above: list[bytes] = []
        while folder not in self._places:
            above.append(folder)
            found = self._own_place(folder)
            if found is not None or folder in self._mounted or folder == b"/":
                self._places[folder] = found
                break
            folder = folder.rpartition(b"/")[0] or b"/"
        place = self._places[folder]
        for each in above:
            self._places[each] = place
        return place

    def _own_place(self, folder: bytes) -> bytes | None:
        mounted = self._mounted.get(folder)
        if mounted is not None:
            # what is mounted now says what it is; what was there before does not count
            return folder if mounted else self._encrypted(folder)
        if folder in self._declared or self._met(folder):
            return folder
        return self._encrypted(folder)

    def _encrypted(self, folder: bytes) -> bytes | None:
        """Return the folder itself where the kernel says that it is encrypted by itself."""
        surveyor = self._guard.surveyor
        mount = surveyor.mounts.table.of(folder)
        if mount is None or mount.fstype not in FSCRYPT - {"ceph"}:
            return None
        try:
            device = os.stat(folder).st_dev
        except OSError:
            return None
        ground = surveyor.of_folder(folder, device)
        return ground.point if self._guard.is_private(ground) else None

    def is_open(self, place: bytes) -> bool:
        """Tell whether the files of a place that `place_of` gave can be read now."""
        if place in self._mounted:
            return self._mounted[place] or fscrypt.is_open(place)
        return fscrypt.is_open(place)

    @property
    def any_known(self) -> bool:
        """Whether there may be any: else no path need be asked about."""
        known = self._named or self._met_any or any(self._mounted.values())
        return bool(known or self._declared or self._may_be_encrypted())

    def _may_be_encrypted(self) -> bool:
        """Tell whether a disk of this machine can encrypt single folders."""
        surveyor = self._guard.surveyor
        for mount in surveyor.mounts.table.visible():
            if mount.fstype in FSCRYPT - {"ceph"} and fscrypt.key_at(mount.point) is not None:
                return True
        return False
