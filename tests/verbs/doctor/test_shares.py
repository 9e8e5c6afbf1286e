"""How shares are mounted: what of it costs time is named, with commands that mend it."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from benchmarks.shares.share import Share
from pregen.verbs.doctor.facts import CacheFacts, Disk, FolderFacts, MachineFacts
from pregen.verbs.doctor.findings import Finding, Severity
from pregen.verbs.doctor.readers.shares import shares_of
from pregen.verbs.doctor.rules import diagnose
from tests.support.files.source_trees import few
from tests.support.running.capabilities import Capability, needs
from tests.support.running.program import environment, run_pregen

if TYPE_CHECKING:
    from pathlib import Path

ROOT = b"/home/ann/.cache/thumbnails"
HEALTHY = MachineFacts(
    CacheFacts(
        ROOT, 1000, Disk("ext4", remote=False, free_bytes=10**12, free_inodes=10**7),
        (FolderFacts(ROOT, 1000, 0o700),),
    ),
    home=b"/home/ann",
)  # fmt: skip
#: As kernels write them; the FUSE ones were seen here, NFS and SMB are from kernels that have them.
MOUNTINFO = rb"""21 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw
40 21 0:51 / /mnt/nas rw,nosuid - fuse.sshfs ann@nas:/photos rw,user_id=1000,group_id=1000
41 21 0:52 / /mnt/nfs\040four rw,relatime - nfs4 nas:/photos rw,vers=4.2,rsize=%RSIZE%,%NFS%
42 21 0:53 / /mnt/smb rw,relatime - cifs //nas/photos rw,vers=3.1.1,%SMB%,rsize=4194304
43 21 0:54 / /run/user/1000/gvfs rw,nosuid - fuse.gvfsd-fuse gvfsd-fuse rw,user_id=1000
44 21 0:55 / /srv/local rw,relatime - xfs /dev/sdb1 rw,sync
"""
SSHFS = ["sshfs", "ann@nas:/photos", "/mnt/nas", "-o", "auto_cache"]
SFTP = b"/run/user/1000/gvfs/sftp:host=nas,user=ann,port=2200/photos/a.jpg"
SMB_SHARE = b"/run/user/1000/gvfs/smb-share:server=nas,share=our%20photos/a.jpg"


def found(
    *paths: bytes,
    command: list[str] = SSHFS,
    read_ahead: int = 4 << 20,
    rsize: bytes = b"1048576",
    nfs: bytes = b"hard",
    smb: bytes = b"cache=strict",
) -> dict[str, Finding]:
    text = MOUNTINFO.replace(b"%RSIZE%", rsize).replace(b"%NFS%", nfs).replace(b"%SMB%", smb)
    shares = shares_of(text, paths, lambda _device: read_ahead, lambda: [command])
    return {each.code: each for each in diagnose(replace(HEALTHY, shares=shares))}


ALL = (b"/mnt/nas/a.jpg", b"/mnt/nfs four/a.jpg", b"/mnt/smb/a.jpg", b"/srv/local/a.jpg")


def test_shares_that_are_mounted_well_and_local_disks_say_nothing() -> None:
    assert not found(*ALL)


def test_a_share_without_pictures_says_nothing() -> None:
    assert not found(b"/home/ann/a.jpg", command=SSHFS[:3], read_ahead=1, rsize=b"1", nfs=b"sync")


@pytest.mark.parametrize(
    ("code", "command", "mended"),
    [
        ("share-auto-cache", "sshfs ann@nas:/photos /mnt/nas", " -o auto_cache"),
        (
            "share-dir-cache",
            "sshfs ann@nas:/photos /mnt/nas -o auto_cache,dir_cache=no,ro",
            " -o auto_cache,ro",
        ),
        (
            "share-dir-cache",
            "sshfs ann@nas:/photos /mnt/nas -o cache=no -oauto_cache",
            " -oauto_cache",
        ),
        (
            "share-read-ahead",
            "sshfs -f -odirect_io,ro ann@nas:/photos /mnt/nas",
            "sshfs -oro ann@nas:/photos /mnt/nas",
        ),
        (
            "share-read-ahead",
            "sshfs ann@nas:/photos /mnt/nas -o auto_cache -o no_readahead",
            "/mnt/nas -o auto_cache",
        ),
    ],
)  # fmt: skip
def test_sshfs_is_told_by_its_command_line(code: str, command: str, mended: str) -> None:
    finding = found(ALL[0], command=shlex.split(command))[code]
    assert finding.severity is Severity.NOTE
    assert "/mnt/nas" in finding.about
    unmount, mount = finding.mend
    assert unmount == "fusermount3 -u /mnt/nas"
    assert mount.endswith(mended)
    assert not found(ALL[0], command=shlex.split(f"{mount} -o auto_cache"))


def test_an_sshfs_that_cannot_be_seen_is_not_accused() -> None:
    assert not found(ALL[0], command=["sshfs", "bob@nas:/other", "/mnt/other"])


@pytest.mark.parametrize(
    ("code", "facts", "mended"),
    [
        ("share-read-ahead", {"read_ahead": 128 << 10}, "mountpoint -d '/mnt/nfs four'"),
        ("share-rsize", {"rsize": b"32768"}, "-o rsize=1048576 nas:/photos '/mnt/nfs four'"),
        ("share-attributes", {"nfs": b"noac"}, "-t nfs4 -o ac "),
        ("share-sync", {"nfs": b"sync"}, "remount,async '/mnt/nfs four'"),
    ],
)
def test_nfs_is_told_by_the_kernel(code: str, facts: dict[str, bytes], mended: str) -> None:
    finding = found(ALL[1], **facts)[code]  # type: ignore[arg-type]
    assert "nfs4" in finding.about
    assert any(mended in command for command in finding.mend)


def test_an_unknown_readahead_says_nothing() -> None:
    assert not shares_of(MOUNTINFO, [ALL[1]], lambda _: None, list)[0].read_ahead_bytes


@pytest.mark.parametrize(
    ("code", "smb", "mended"),
    [
        ("share-cache", b"cache=none", "-t cifs -o cache=strict //nas/photos /mnt/smb"),
        ("share-cache", b"ro,cache=none", "-t cifs -o cache=strict,ro //nas/photos /mnt/smb"),
        ("share-attributes", b"cache=strict,actimeo=0", "-o actimeo=1"),
    ],
)
def test_smb_is_told_by_the_kernel(code: str, smb: bytes, mended: str) -> None:
    assert mended in found(ALL[2], smb=smb)[code].mend[-1]


@pytest.mark.parametrize(
    ("path", "mended"),
    [
        (SFTP, "sshfs -o auto_cache -p 2200 ann@nas:/ ~/nas"),
        (
            SMB_SHARE,
            "sudo mount -t cifs -o ro,username=guest '//nas/our photos' '/mnt/our photos'",
        ),
    ],
)
def test_what_a_file_manager_connected_to_is_better_mounted(path: bytes, mended: str) -> None:
    assert found(path)["share-gvfs"].mend[-1] == mended


def test_names_in_commands_are_words_of_a_shell() -> None:
    hostile = b"/run/user/1000/gvfs/sftp:host=nas%3b touch x,user=$(id)/a.jpg"
    for command in found(hostile)["share-gvfs"].mend:
        assert shlex.split(command)[-1] in {"~/nas; touch x", "nas; touch x"}


@needs(Capability.SSHFS)
@pytest.mark.parametrize(
    ("options", "codes"),
    [
        ((), {"share-auto-cache"}),
        (("auto_cache",), set()),
        (("auto_cache", "dir_cache=no"), {"share-dir-cache"}),
        (
            ("dir_cache=no", "no_readahead"),
            {"share-dir-cache", "share-read-ahead", "share-auto-cache"},
        ),
    ],
    ids=["none", "auto", "uncached", "unread"],
)
def test_a_real_sshfs_is_seen_and_its_commands_mend_it(
    tmp_path: Path, options: tuple[str, ...], codes: set[str]
) -> None:
    served, point, cache = (tmp_path / name for name in ("served", "point", "cache"))
    few(served, 3)
    point.mkdir()

    def told() -> dict[str, list[str]]:
        done = run_pregen("doctor", "--json", point, cache=cache)
        records = map(json.loads, done.out.splitlines())
        return {r["code"]: r["mend"] for r in records if r.get("code", "").startswith("share-")}

    with Share(served) as share, share.mounted(point, *options):
        first = told()
        assert set(first) == codes
        for _ in codes:  # each command line is that of the moment
            finding = next(iter(told().values()))
            for command in finding:
                subprocess.run(
                    ["bash", "-ec", command], env=environment(cache, None), check=True, timeout=60
                )
            assert os.path.ismount(point)
        assert not told()
