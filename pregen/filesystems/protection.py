"""What protects the files of a file system, and which file systems hold no files. Pure.

A *layer* is one encryption that must be unlocked before a file can be read: a vault of a FUSE
program, a dm-crypt device, the key of an fscrypt folder. A file is *private* to a place when it has
a layer more than that place: what was copied there could be read while the file cannot.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from pregen.filesystems.mounttable import MountFacts, MountTable

#: File systems that encrypt what lies in a folder elsewhere, without `fuse.`. ecryptfs is the
#: kernel's (Ubuntu's private folders, Synology's); dislocker shows a BitLocker disk as a file.
VAULTS: Final = frozenset(
    (
        "cryfs", "cryptomator", "dislocker", "dislocker-fuse", "ecryptfs", "encfs", "gocryptfs",
        "securefs",
    )
)  # fmt: skip
#: Cryptomator before it named itself: its FUSE library gave a number for a type
#: (github.com/cryptomator/cli/pull/39).
_NUMBERED: Final = re.compile(r"fusefs-[0-9]+")
#: ... and later names have the program's in them.
_CRYPTOMATOR: Final = re.compile(rb"(?i)crypto(?:mator|fs)")

#: File systems that show the kernel or what belongs to it: to read a file may do something.
PSEUDO: Final = frozenset(
    word
    for line in (
        "autofs bdev binder binfmt_misc bpf cgroup cgroup2 configfs cpuset debugfs devpts devtmpfs",
        "efivarfs functionfs fusectl hugetlbfs mqueue nfsd openpromfs proc pstore resctrl",
        "rpc_pipefs securityfs selinuxfs smackfs spufs sysfs tracefs usbfs xenfs",
    )
    for word in line.split()
)
#: File systems that can encrypt single folders (Documentation/filesystems/fscrypt.rst).
FSCRYPT: Final = frozenset(("ext4", "f2fs", "ubifs", "ceph"))

#: How libcryptsetup names devices that decrypt. The names of others begin with CRYPT- too:
#: VERITY and INTEGRITY devices hide nothing.
_DECRYPTING: Final = re.compile(r"CRYPT-(?:LUKS[0-9]*|PLAIN|LOOPAES|TCRYPT|BITLK|FVAULT2)-")
#: VeraCrypt talks to the kernel itself, and gives its devices no more than this name.
_VERACRYPT: Final = re.compile(r"veracrypt[0-9]+(?:_[0-9]+)?")
#: Of programs that do not name themselves, as bindfs.
_UNNAMED_FUSE: Final = "fuse"
#: Deeper stacks (a loop over a vault over a loop ...) do not come to an end.
_MOST_DEEP: Final = 16
_LAYERS_OF_OVERLAY: Final = re.compile(rb"(?:^|,)(?:lowerdir\+?|upperdir|datadir\+?)=([^,]*)")


class BlockDevice(NamedTuple):
    """What the kernel says of a block device."""

    dm_uuid: str = ""
    dm_name: str = ""
    backing_file: bytes = b""
    """Of a loop device."""
    below: tuple[str, ...] = ()
    """The devices it is made of: "major:minor" of each."""


class Protection(NamedTuple):
    """What has to be unlocked before a file can be read."""

    layers: frozenset[str] = frozenset()
    kind: str = ""
    """What the outermost layer is, for people: "gocryptfs", "dm-crypt"; empty: there is none."""

    def exceeds(self, other: Protection) -> bool:
        """Tell whether something is locked here that is open there."""
        return not self.layers <= other.layers

    def joined(self, other: Protection) -> Protection:
        """Return what both have."""
        return Protection(self.layers | other.layers, self.kind or other.kind)


UNPROTECTED: Final = Protection()


def is_pseudo(fstype: str) -> bool:
    """Tell whether a file system shows no files of users."""
    return fstype in PSEUDO


def is_vault(mount: MountFacts) -> bool:
    """Tell whether a mount is the open side of a vault."""
    kind = mount.kind
    if kind in VAULTS:
        return True
    return mount.is_fuse and bool(
        _NUMBERED.fullmatch(kind)
        or _CRYPTOMATOR.search(kind.encode())
        or _CRYPTOMATOR.match(mount.source)
    )


def protection_of(
    mount: MountFacts,
    table: MountTable,
    device_of: Callable[[bytes], str],
    block: Callable[[str], BlockDevice | None],
    resolved: Callable[[bytes], bytes] = lambda path: path,
) -> Protection:
    """Return what protects the files of a mount, but for fscrypt, which goes by folders.

    Args:
        mount: where the files lie.
        table: all mounts: an overlay and a loop device lie on others.
        device_of: the "major:minor" of a device file; empty: it is none.
        block: what the kernel says of a block device; None: there is none of this number.
        resolved: where links lead to in a path. Asked only while a vault is open: what a path leads
            through may hang.
    """
    return _Stack(table, device_of, block, resolved).of_mount(mount, 0)


class _Stack:
    """Goes down from a mount through what it is made of."""

    def __init__(
        self,
        table: MountTable,
        device_of: Callable[[bytes], str],
        block: Callable[[str], BlockDevice | None],
        resolved: Callable[[bytes], bytes],
    ) -> None:
        self._table = table
        self._device_of = device_of
        self._block = block
        self._resolved = resolved

    def of_mount(self, mount: MountFacts, depth: int) -> Protection:
        if depth > _MOST_DEEP:
            return UNPROTECTED
        if is_vault(mount):
            return Protection(frozenset({f"vault {mount.device}"}), mount.kind)
        if mount.fstype == "overlay":
            return _all(self._overlaid(mount, depth + 1))
        if (mount.is_fuse or mount.fstype == _UNNAMED_FUSE) and (
            shown := self._shown(mount, depth + 1)
        ) != UNPROTECTED:
            return shown
        number = mount.device
        if number.startswith("0:"):  # no device of its own: btrfs says which in the source
            number = self._device_of(mount.source) if mount.source.startswith(b"/") else ""
        return self._of_device(number, depth + 1)

    def _shown(self, mount: MountFacts, depth: int) -> Protection:
        """Return what protects the folders that a program shows elsewhere (bindfs, unions)."""
        paths = [path for path in mount.source.split(b":") if path.startswith(b"/")]
        # What a path leads through may hang: it is followed only while a vault is open.
        if not paths or not any(map(is_vault, self._table.visible())):
            return UNPROTECTED
        return _all(self._of_path(self._resolved(path), depth) for path in paths)

    def _overlaid(self, overlay: MountFacts, depth: int) -> Iterator[Protection]:
        """Yield what protects each folder of an overlay.

        One that was mounted by relative paths may lie anywhere: it counts as a vault of its own
        where any vault is open.
        """
        vault = next(filter(is_vault, self._table.visible()), None)
        for path in overlay_folders(overlay.options):
            if path.startswith(b"/"):
                yield self._of_path(self._resolved(path) if vault else path, depth)
            elif vault:
                yield Protection(frozenset({f"vault {overlay.device}"}), vault.kind)

    def _of_path(self, path: bytes, depth: int) -> Protection:
        mount = self._table.of(path) if path.startswith(b"/") else None
        return self.of_mount(mount, depth) if mount else UNPROTECTED

    def _of_device(self, number: str, depth: int) -> Protection:
        device = self._block(number) if number and depth <= _MOST_DEEP else None
        if device is None:
            return UNPROTECTED
        own = UNPROTECTED
        if _DECRYPTING.match(device.dm_uuid) or _VERACRYPT.fullmatch(device.dm_name):
            own = Protection(frozenset({f"dm {device.dm_uuid or device.dm_name}"}), "dm-crypt")
        below = [self._of_device(each, depth + 1) for each in device.below]
        if device.backing_file:
            below.append(self._of_path(device.backing_file, depth + 1))
        return own.joined(_all(iter(below)))


def _all(found: Iterator[Protection]) -> Protection:
    whole = UNPROTECTED
    for each in found:
        whole = whole.joined(each)
    return whole


def overlay_folders(options: bytes) -> list[bytes]:
    """Return the folders an overlay is made of, from its options (`:` parts the lower ones)."""
    return [
        re.sub(rb"\\(.)", rb"\1", folder)
        for found in _LAYERS_OF_OVERLAY.finditer(options)
        for folder in re.split(rb"(?<!\\):+", found[1])
        if folder
    ]
