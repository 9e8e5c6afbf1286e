"""What protects a file system, by what the kernel says of it: a table, and no mount."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from pregen.filesystems.blockdevices import BlockTree
from pregen.filesystems.identity import FileSystem, file_system
from pregen.filesystems.mounttable import MountTable, parse_mountinfo
from pregen.filesystems.protection import (
    Protection,
    is_pseudo,
    is_vault,
    overlay_folders,
    protection_of,
)
from tests.support.files.pictures import put

if TYPE_CHECKING:
    from pathlib import Path

    from pregen.filesystems.mounttable import MountFacts

MOUNTINFO = rb"""
22 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw
30 22 0:21 / /proc rw - proc proc rw
31 22 0:40 / /home/u/Vaults/a\040b rw,nosuid - fuse.gocryptfs /home/u/.hidden rw,user_id=1000
32 22 0:41 / /e rw - fuse.encfs encfs rw
33 22 0:42 / /c rw - fuse.cryfs cryfs@/home/u/.c rw
34 22 0:43 / /m rw - fuse.cryptomator cryptomator@/v rw
35 22 0:44 / /m2 rw - fuse.fusefs-1001772408 fusefs-1001772408 rw
36 22 0:45 / /s rw - fuse.sshfs nas:/photos rw
37 22 0:46 / /private rw - ecryptfs /home/.ecryptfs rw
38 22 0:47 / /reverse rw - fuse.gocryptfs-reverse /home/u rw
39 22 253:1 / /luks rw - ext4 /dev/mapper/a rw
40 22 253:2 / /onluks rw - xfs /dev/mapper/vg-photos rw
41 22 0:50 /@ /btrfs rw - btrfs /dev/mapper/a rw,subvol=/@
42 22 7:0 / /loop rw - ext4 /dev/loop0 rw
43 22 0:60 / /over rw - overlay overlay rw,lowerdir=/e/lower:/srv/l\134:ow,upperdir=/up,workdir=/w
44 22 0:61 / /plainover rw - overlay overlay rw,lowerdir=/srv:/opt,upperdir=/up,workdir=/w
45 31 254:0 /bound /home/u/Vaults/a\040b/in rw - ext4 /dev/vda rw
46 22 0:40 /sub /bind rw,nosuid - fuse.gocryptfs /home/u/.hidden rw,user_id=1000
47 22 253:4 / /vera rw - ext4 /dev/mapper/veracrypt1 rw
48 22 253:5 / /verity rw - ext4 /dev/mapper/root rw
49 22 259:3 / /part rw - ext4 /dev/md0p1 rw
50 22 0:62 / /relative rw - overlay o rw,lowerdir=e:lower,upperdir=u,workdir=w
51 22 0:70 / /shown rw - fuse /e/photos rw
52 22 0:71 / /union rw - fuse.unionfs /srv:/c/a rw
53 22 0:72 / /elsewhere rw - fuse.bindfs /srv rw
54 22 0:73 / /twice rw - fuse /shown/x rw
55 22 0:74 / /bitlocker rw - fuse.dislocker-fuse dislocker rw
56 22 7:1 / /ntfs rw - ntfs3 /dev/loop1 rw
"""


def device(root: Path, number: str, name: str, **files: str) -> Path:
    """Make a device as sysfs shows it: a link by its number, to a folder by its name."""
    folder = root / "devices" / name
    put(folder / "dev", f"{number}\n".encode())
    for file, text in files.items():
        put(folder / file.replace("__", "/"), f"{text}\n".encode())
    (root / "block").mkdir(exist_ok=True)
    (root / "block" / number).symlink_to(folder)
    return folder


def over(upper: Path, *lower: Path) -> None:
    (upper / "slaves").mkdir()
    for each in lower:
        (upper / "slaves" / each.name).symlink_to(each)


@pytest.fixture
def blocks(tmp_path: Path) -> BlockTree:
    disk = device(tmp_path, "254:0", "vda")
    luks = device(tmp_path, "253:1", "dm-1", dm__uuid="CRYPT-LUKS2-abc-a", dm__name="a")
    over(luks, disk)
    volume = device(tmp_path, "253:2", "dm-2", dm__uuid="LVM-xyz", dm__name="vg-photos")
    over(volume, luks)
    device(tmp_path, "7:0", "loop0", loop__backing_file="/e/disk.img")
    over(device(tmp_path, "253:4", "dm-4", dm__uuid="", dm__name="veracrypt1"), disk)
    over(device(tmp_path, "253:5", "dm-5", dm__uuid="CRYPT-VERITY-abc-root", dm__name="r"), disk)
    device(tmp_path, "7:1", "loop1", loop__backing_file="/bitlocker/dislocker-file")
    array = device(tmp_path, "9:0", "md0")
    over(array, luks)
    device(tmp_path, "259:3", "md0/md0p1", partition="1")
    return BlockTree(str(tmp_path / "block"))


def table() -> MountTable:
    return MountTable(parse_mountinfo(MOUNTINFO))


def at(path: bytes) -> MountFacts:
    found = table().of(path)
    assert found is not None
    return found


NUMBERS = {b"/dev/mapper/a": "253:1"}
LUKS = "dm CRYPT-LUKS2-abc-a"


@pytest.mark.parametrize(
    ("path", "layers"),
    [
        (b"/home/u/a.jpg", set()),
        (b"/home/u/Vaults/a b/x.jpg", {"vault 0:40"}),
        (b"/home/u/Vaults/a b/in/x.jpg", set()),  # an ordinary folder mounted inside
        (b"/bind/x.jpg", {"vault 0:40"}),
        (b"/e/x.jpg", {"vault 0:41"}),
        (b"/c/x.jpg", {"vault 0:42"}),
        (b"/m/x.jpg", {"vault 0:43"}),
        (b"/m2/x.jpg", {"vault 0:44"}),
        (b"/s/x.jpg", set()),
        (b"/private/x.jpg", {"vault 0:46"}),
        (b"/reverse/x", set()),
        (b"/luks/x.jpg", {LUKS}),
        (b"/onluks/x.jpg", {LUKS}),
        (b"/btrfs/x.jpg", {LUKS}),
        (b"/loop/x.jpg", {"vault 0:41"}),
        (b"/over/x.jpg", {"vault 0:41"}),
        (b"/plainover/x.jpg", set()),
        (b"/relative/x.jpg", {"vault 0:62"}),  # from nobody knows where
        (b"/vera/x.jpg", {"dm veracrypt1"}),
        (b"/verity/x.jpg", set()),
        (b"/part/x.jpg", {LUKS}),
        (b"/shown/x.jpg", {"vault 0:41"}),
        (b"/union/x.jpg", {"vault 0:42"}),
        (b"/elsewhere/x.jpg", set()),
        (b"/twice/x.jpg", {"vault 0:41"}),
        (b"/ntfs/x.jpg", {"vault 0:74"}),
    ],
)
def test_layers(path: bytes, layers: set[str], blocks: BlockTree) -> None:
    mount = at(path)
    found = protection_of(mount, table(), lambda p: NUMBERS.get(p, ""), blocks.block)
    assert found.layers == layers
    assert bool(found.kind) == bool(layers)


def test_private_is_what_has_a_layer_more() -> None:
    plain, luks = Protection(), Protection(frozenset({"dm a"}))
    vault = Protection(frozenset({"vault 1"}))
    assert luks.exceeds(plain)
    assert not plain.exceeds(luks)
    assert not luks.exceeds(luks)
    assert vault.exceeds(luks)
    assert vault.joined(luks).exceeds(luks)
    assert not luks.exceeds(vault.joined(luks))


def test_a_device_that_is_made_of_itself_comes_to_an_end(tmp_path: Path) -> None:
    one = device(tmp_path, "253:1", "dm-1")
    over(one, one)
    tree = BlockTree(str(tmp_path / "block"))
    assert protection_of(at(b"/luks/x"), table(), lambda _: "", tree.block) == Protection()


def test_an_overlay_from_relative_paths_is_no_vault_where_there_is_none(blocks: BlockTree) -> None:
    lines = [line for line in MOUNTINFO.split(b"\n") if b"ext4" in line or b"overlay" in line]
    plain = MountTable(parse_mountinfo(b"\n".join(lines)))
    overlay = plain.of(b"/relative/x")
    assert overlay is not None
    assert overlay.point == b"/relative"
    assert protection_of(overlay, plain, lambda _: "", blocks.block) == Protection()


def test_lines_that_are_no_mounts_are_left() -> None:
    odd = b"\n\n1\n- - -\n22 1 254:0 / / rw\n22 1 254:0 / / rw - ext4\nx y z\n" + b"1 2 3 " * 900
    assert parse_mountinfo(odd) == ()
    assert MountTable().of(b"/a/b") is None


def test_options_of_an_overlay() -> None:
    text = rb"rw,lowerdir=/a:/b\:c::/data,upperdir=/u,workdir=/w,lowerdir+=/n"
    assert overlay_folders(text) == [b"/a", b"/b:c", b"/data", b"/u", b"/n"]


def test_file_systems_of_the_kernel_are_told_from_those_of_files() -> None:
    assert all(map(is_pseudo, ("proc", "sysfs", "debugfs", "cgroup2", "devpts", "configfs")))
    assert not any(map(is_pseudo, ("tmpfs", "ramfs", "ext4", "fuse.sshfs", "overlay", "9p", "zfs")))
    assert not is_vault(at(b"/s/x"))


def test_file_systems_are_known_again() -> None:
    disk = file_system("ext4", 0xABC, 2049, b"/dev/sda1")
    assert disk == file_system("ext4", 0xABC, 2065, b"/dev/sdb1")
    assert file_system("ext4", 0xABD, 2049, b"/dev/sda1").is_another(disk)
    assert file_system("xfs", 0xABC, 2049, b"/dev/sda1").is_another(disk)
    share = file_system("nfs4", 0, 50, b"nas:/photos")
    assert not share.is_another(file_system("nfs4", 0, 61, b"nas:/photos"))
    assert share.is_another(file_system("nfs4", 0, 50, b"nas:/music"))
    assert not FileSystem("tmpfs", "a").is_another(FileSystem("tmpfs", "b"))
    assert not FileSystem("vfat", "").is_another(FileSystem("vfat", "b"))


def test_real_mountinfo_is_read_whole() -> None:
    with open("/proc/self/mountinfo", "rb") as file:
        text = file.read()
    mounts = parse_mountinfo(text)
    assert len(mounts) == text.count(b"\n")
    assert {mount.mount_id for mount in mounts}
    assert MountTable(mounts).of(os.fsencode(os.getcwd())) is not None
