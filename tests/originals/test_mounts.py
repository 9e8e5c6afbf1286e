"""Mount points say where a path lies: by the kernel's table, and by what fstab promises."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pregen.filesystems.mounttable import is_below
from pregen.originals import mounts
from pregen.originals.mounts import Mount, Mounts, is_below_any, parse_fstab, parse_unit

FSTAB = rb"""
# /etc/fstab: a comment
UUID=1234 / ext4 defaults 0 1
UUID=5678 none swap sw 0 0
UUID=9abc	/home	ext4	defaults	0	2
nas:/photos /mnt/nas nfs4 noauto,_netdev,x-systemd.automount 0 0
//nas/my\040photos /srv/my\040photos cifs credentials=/root/x
/dev/sr0 /cdrom/ udf,iso9660 user,noauto 0 0
/dev/sdb1 /data
broken
#/dev/sdc1 /off ext4
"""


def test_fstab_is_read() -> None:
    assert parse_fstab(FSTAB) == (
        Mount(b"/home", "ext4", b"UUID=9abc"),
        Mount(b"/mnt/nas", "nfs4", b"nas:/photos"),
        Mount(b"/srv/my photos", "cifs", b"//nas/my photos"),
        Mount(b"/cdrom", "udf,iso9660", b"/dev/sr0", removable=True),
        Mount(b"/data", "", b"/dev/sdb1"),
    )


@given(st.binary(max_size=300))
def test_any_fstab_gives_clean_absolute_points(text: bytes) -> None:
    for mount in parse_fstab(text):
        assert mount.point.startswith(b"/")
        assert not mount.point.endswith(b"/")


@given(
    st.lists(
        st.binary(min_size=1).filter(lambda name: b"/" not in name and name not in {b".", b".."})
    )
)
def test_escaped_names_come_back(names: list[bytes]) -> None:
    point = b"".join(b"/" + name for name in names)
    escaped = b"".join(b"/" + b"".join(b"\\%03o" % byte for byte in name) for name in names)
    found = parse_fstab(b"dev " + escaped + b" ext4\n")
    assert [mount.point for mount in found] == ([point] if names else [])


def test_units_are_read() -> None:
    unit = b"[Mount]\nWhat = nas:/x\nWhere= /srv/n a s \nType=nfs\n"
    assert parse_unit(unit) == Mount(b"/srv/n a s", "nfs", b"nas:/x")
    assert parse_unit(b"[Mount]\nWhere=%h/nas\n") is None
    assert parse_unit(b"[Service]\nExecStart=/bin/true Where=/x\n") is None


@pytest.mark.parametrize(
    ("fstype", "device", "remote"),
    [
        ("nfs4", b"nas:/photos", True),
        ("cifs", b"//nas/photos", True),
        ("fuse.sshfs", b"me@nas:photos", True),
        ("fuse.gvfsd-fuse", b"gvfsd-fuse", True),
        ("fuse.rclone", b"drive:", True),
        ("fuse.unknown", b"nas:/photos", True),
        ("davfs", b"https://nas/dav", True),
        ("ext4", b"/dev/sda1", False),
        ("btrfs", b"UUID=12:34", False),
        ("fuseblk", b"/dev/sdb1", False),
        ("fuse.mergerfs", b"/a:/b", False),
        ("zfs", b"tank/photos", False),
        ("overlay", b"overlay", False),
        ("tmpfs", b"tmpfs", False),
    ],
)
def test_remote_file_systems_are_known(fstype: str, device: bytes, remote: bool) -> None:  # noqa: FBT001 - pytest passes it
    assert Mount(b"/x", fstype, device).remote is remote


def test_the_longest_point_counts_and_of_one_point_the_last() -> None:
    table = Mounts(
        (
            Mount(b"/", "ext4"),
            Mount(b"/srv", "autofs"),
            Mount(b"/srv/a", "ext4"),
            Mount(b"/srv", "xfs"),
        )
    )
    assert table.of(b"/srv").fstype == "xfs"
    assert table.of(b"/srv/a/b").fstype == "ext4"
    assert table.of(b"/srvx").point == b"/"
    assert Mounts(()).of(b"/a").point == b"/"


def test_what_is_declared_below_what_is_mounted_is_absent() -> None:
    home, nas = Mount(b"/home", "ext4"), Mount(b"/home/me/nas", "nfs")
    table = Mounts((Mount(b"/"), home), (home, nas, Mount(b"/data")))
    assert table.absent(b"/home/me/nas/x") == nas
    assert table.absent(b"/home/me/nas") == nas
    assert table.absent(b"/home/me/nasx") is None
    assert table.absent(b"/data/x") == Mount(b"/data")
    inner = Mounts((Mount(b"/"), Mount(b"/data/in")), (Mount(b"/data"),))
    assert inner.absent(b"/data/in/x") is None


def test_below_is_by_whole_names() -> None:
    assert is_below(b"/a/b", b"/a")
    assert is_below(b"/a", b"/a")
    assert is_below(b"/a", b"/")
    assert not is_below(b"/ab", b"/a")


def test_everything_is_below_no_place_at_all() -> None:
    assert is_below_any(None, [])
    assert not is_below_any(None, [b"/"])
    assert is_below_any(b"/b/c", [b"/a", b"/b"])
    assert not is_below_any(b"/c", [b"/a", b"/b"])


@pytest.mark.parametrize(
    ("path", "medium"),
    [
        (b"/media/me/STICK/a/b.jpg", b"/media/me/STICK"),
        (b"/media/STICK/b.jpg", b"/media/STICK"),
        (b"/run/media/me/STICK/b.jpg", b"/run/media/me/STICK"),
        (b"/mnt/b.jpg", b"/mnt"),
        (b"/mnt/usb/a/b.jpg", b"/mnt/usb"),
        (b"/cdrom/b.jpg", b"/cdrom"),
        (b"/mntx/usb/b.jpg", None),
        (b"/home/me/media/b.jpg", None),
    ],
)
def test_places_of_media_are_known(path: bytes, medium: bytes | None) -> None:
    assert mounts.medium_of(path) == medium


@pytest.mark.parametrize(
    ("path", "share"),
    [
        (
            b"/run/user/1000/gvfs/smb-share:server=a/b.jpg",
            b"/run/user/1000/gvfs/smb-share:server=a",
        ),
        (b"/run/user/1000/kio-fuse-Ab/smb/b.jpg", b"/run/user/1000/kio-fuse-Ab/smb"),
        (b"/home/me/.gvfs/share/b.jpg", b"/home/me/.gvfs/share"),
        (b"/net/nas/b.jpg", b"/net/nas"),
        (b"/network/nas/b.jpg", None),
        (b"/run/user/1000/b.jpg", None),
    ],
)
def test_places_of_shares_are_known(path: bytes, share: bytes | None) -> None:
    assert mounts.share_of(path) == share
