"""Files on shares are looked at by a process apart: alike, and never for longer than allowed.

A folder of this machine is declared a share here: what is told of it has to be what `os` tells.
"""

from __future__ import annotations

import errno
import os
import signal
import threading
import time
from typing import TYPE_CHECKING, Any

import psutil
import pytest

from pregen.config import WalkConfig
from pregen.filesystems import share_client
from pregen.filesystems.bounded import BoundedFiles
from pregen.filesystems.guard import Guard
from pregen.filesystems.live_mounts import LiveMounts
from pregen.filesystems.mounttable import MountTable, parse_mountinfo
from pregen.filesystems.shares import ShareSilentError, share_at
from pregen.model import Kind, Skip, Source
from pregen.walk import walk

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_SILENCE_S = 0.5


def mountinfo(*points: Path | str, served: str = "fuse.sshfs nas:/x") -> bytes:
    lines = ["1 0 0:1 / / rw - ext4 /dev/sda rw"]
    lines += [f"{n} 1 0:{n} / {p} rw - {served} rw" for n, p in enumerate(points, 2)]
    return "\n".join(lines).encode() + b"\n"


@pytest.fixture
def share(tmp_path: Path) -> Path:
    (tmp_path / "share").mkdir()
    return tmp_path / "share"


@pytest.fixture
def files(share: Path, tmp_path: Path) -> Iterator[BoundedFiles]:
    (tmp_path / "mountinfo").write_bytes(mountinfo(share))
    found = BoundedFiles(_SILENCE_S, LiveMounts(str(tmp_path / "mountinfo")))
    yield found
    found.close()


def helpers() -> list[psutil.Process]:
    return [
        each
        for each in psutil.Process().children()
        if each.status() != psutil.STATUS_ZOMBIE
        and any("share_helper" in word for word in each.cmdline())
    ]


def put(path: Path, size: int = 1) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(bytes(size))
    return path


# -- which path is whose ------------------------------------------------------------------------


def test_what_leads_through_a_share_is_told_without_asking_it(tmp_path: Path) -> None:
    here = os.path.realpath(tmp_path)
    table = MountTable(parse_mountinfo(mountinfo(f"{here}/nas", f"{here}/not-there/deep")))
    os.symlink("nas/photos", f"{here}/relative")
    os.symlink(f"{here}/relative/..", f"{here}/twice")
    os.symlink("self", f"{here}/self")
    os.symlink(f"{here}/elsewhere", f"{here}/local")

    def on(path: str) -> bytes | None:
        found = share_at(os.fsencode(path), table)
        return found and found.point.removeprefix(os.fsencode(here))

    assert on(f"{here}/nas") == on(f"{here}/nas/a/b.jpg") == b"/nas"
    assert on(f"{here}/relative/2024") == on(f"{here}/twice") == b"/nas"
    assert on(f"{here}/not-there/deep/x") == b"/not-there/deep"
    for path in (here, f"{here}/nasal", f"{here}/local/x", f"{here}/self", f"{here}/not-there"):
        assert on(path) is None, path


@pytest.mark.parametrize(
    ("point", "hangs"), [("/mnt/nas", True), ("/proc/sys/fs/binfmt_misc", False)]
)
def test_an_automount_may_hang_as_a_share_does(point: str, *, hangs: bool) -> None:
    table = MountTable(parse_mountinfo(mountinfo(point, served="autofs systemd-1")))
    assert (share_at(os.fsencode(point) + b"/x", table) is not None) == hangs


def test_without_a_share_no_process_is_started(tmp_path: Path) -> None:
    put(tmp_path / "a.jpg")
    (tmp_path / "mountinfo").write_bytes(mountinfo("/nowhere/at/all"))
    files = BoundedFiles(_SILENCE_S, LiveMounts(str(tmp_path / "mountinfo")))
    assert files.stat(os.fsencode(tmp_path / "a.jpg")).st_size == 1
    assert files.folder(os.fsencode(tmp_path)) is None
    assert not helpers()
    files.close()


# -- the same as os tells -----------------------------------------------------------------------


def test_a_walk_finds_on_a_share_what_it_finds_on_a_disk(
    share: Path, files: BoundedFiles, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(share_client, "_LISTED_ENTRIES", 3)
    for number in range(10):
        put(share / "many" / f"{number}.jpg", number)
    put(share / "b.jpg", 5)
    put(share / ".hidden" / "c.jpg")
    put(share / "notes.txt")
    put(share / os.fsdecode(b"odd \xff\n.png"))
    put(share / "asked out" / ".nomedia")
    put(share / "asked out" / "d.jpg")
    put(tmp_path / "elsewhere" / "e.jpg", 7)
    os.symlink(tmp_path / "elsewhere" / "e.jpg", share / "to-file.jpg")
    os.symlink(tmp_path / "elsewhere", share / "to-folder")
    os.symlink("nowhere", share / "dangling.jpg")
    os.mkfifo(share / "fifo.jpg")
    for rules in ({}, {"hidden": True}, {"follow_symlinks": True}, {"include": (b"*.jpg",)}):
        config = WalkConfig(roots=(os.fsencode(share),), **rules)
        plain = list(walk(config))
        guard = Guard(None, files=files)
        assert list(walk(config, guard=guard)) == plain
        assert len(plain) > 10
    assert len(helpers()) == 1


def test_a_link_on_a_disk_is_looked_at_by_the_process_of_its_share(
    share: Path, files: BoundedFiles, tmp_path: Path
) -> None:
    put(share / "a.jpg", 9)
    local = tmp_path / "local"
    local.mkdir()
    os.symlink(share / "a.jpg", local / "link.jpg")
    config = WalkConfig(roots=(os.fsencode(local),))
    found = list(walk(config, guard=Guard(None, files=files)))
    assert [(item.path, getattr(item, "size_bytes", 0)) for item in found] == [
        (os.fsencode(local / "link.jpg"), 9)
    ]
    assert len(helpers()) == 1


def test_what_cannot_be_looked_at_fails_as_with_os(share: Path, files: BoundedFiles) -> None:
    put(share / "a.jpg")
    for name, code in (("none", errno.ENOENT), ("a.jpg/b", errno.ENOTDIR)):
        with pytest.raises(OSError, match=r"\[Errno") as raised:
            files.stat(os.fsencode(share / name))
        assert raised.value.errno == code
    with pytest.raises(OSError, match=r"\[Errno"):
        files.folder(os.fsencode(share / "a.jpg"))
    with pytest.raises(OSError, match=r"\[Errno"):
        files.stat(os.fsencode(share) + b"/a\0b")
    assert files.stat(os.fsencode(share / "a.jpg")).st_size == 1, "it goes on after errors"
    assert files.lexists(os.fsencode(share / "a.jpg"))
    assert not files.is_link(os.fsencode(share / "a.jpg"))
    assert files.is_folder(os.fsencode(share))


def test_a_descriptor_comes_over(share: Path, files: BoundedFiles) -> None:
    put(share / "a.jpg").write_bytes(b"content")
    opened = files.open(os.fsencode(share / "a.jpg"), os.O_RDONLY)
    assert os.read(opened, 99) == b"content"
    assert not os.get_inheritable(opened)
    os.close(opened)


# -- a share that does not answer ---------------------------------------------------------------


def test_silence_costs_its_time_once_and_ends_with_the_late_answer(
    share: Path, files: BoundedFiles
) -> None:
    put(share / "a.jpg", 1)
    put(share / "b.jpg", 2)
    paths = [os.fsencode(share / name) for name in ("a.jpg", "b.jpg")]
    assert files.stat(paths[0]).st_size == 1
    (helper,) = helpers()
    helper.suspend()
    began_s = time.monotonic()
    with pytest.raises(ShareSilentError):
        files.stat(paths[0])
    first_s = time.monotonic() - began_s
    assert first_s >= _SILENCE_S
    for _ in range(50):
        with pytest.raises(ShareSilentError):
            files.stat(paths[1])
    assert time.monotonic() - began_s < first_s + 40 * _SILENCE_S
    helper.resume()
    deadline_s = time.monotonic() + 30
    while time.monotonic() < deadline_s:
        try:
            assert files.stat(paths[1]).st_size == 2, "not the answer to the question before"
            break
        except ShareSilentError:
            time.sleep(0.01)
    assert [files.stat(path).st_size for path in paths] == [1, 2]


def test_a_descriptor_that_comes_late_is_closed(share: Path, files: BoundedFiles) -> None:
    put(share / "a.jpg")
    files.stat(os.fsencode(share))
    before = len(os.listdir("/proc/self/fd"))
    (helper,) = helpers()
    helper.suspend()
    with pytest.raises(ShareSilentError):
        files.open(os.fsencode(share / "a.jpg"), os.O_RDONLY)
    helper.resume()
    deadline_s = time.monotonic() + 30
    while time.monotonic() < deadline_s:
        try:
            files.stat(os.fsencode(share))
            break
        except ShareSilentError:
            time.sleep(0.01)
    assert len(os.listdir("/proc/self/fd")) == before


def test_a_walk_tells_what_it_cannot_list_and_goes_on(
    share: Path, files: BoundedFiles, tmp_path: Path
) -> None:
    for name in ("x/a.jpg", "y/b.jpg", "z/c.jpg"):
        put(share / name)
    put(tmp_path / "disk" / "d.jpg")
    config = WalkConfig(roots=(os.fsencode(share), os.fsencode(tmp_path / "disk")))
    found = []
    for item in walk(config, guard=Guard(None, files=files)):
        found.append(item)
        if isinstance(item, Source) and item.path.endswith(b"a.jpg"):
            helpers()[0].suspend()
    sources = [os.path.basename(item.path) for item in found if isinstance(item, Source)]
    skips = [item for item in found if isinstance(item, Skip)]
    assert sources == [b"a.jpg", b"d.jpg"]
    assert [os.path.basename(item.path) for item in skips] == [b"y", b"z"]
    assert {item.kind for item in skips} == {Kind.UNREADABLE}
    assert all("the share does not answer" in item.message for item in skips)
    helpers()[0].resume()


def test_a_helper_that_ends_costs_one_look(share: Path, files: BoundedFiles) -> None:
    put(share / "a.jpg", 3)
    path = os.fsencode(share / "a.jpg")
    listing = files.folder(os.fsencode(share))
    assert listing is not None
    (helper,) = helpers()
    helper.send_signal(signal.SIGKILL)
    psutil.wait_procs([helper], 10)
    with pytest.raises(OSError, match="has ended"):
        files.stat(path)
    assert files.stat(path).st_size == 3
    listing.look([b"a.jpg"])
    with pytest.raises(OSError, match="has ended"):
        listing.stat(b"a.jpg", follow=True)


def test_closing_wakes_who_waits(share: Path, tmp_path: Path) -> None:
    (tmp_path / "mountinfo").write_bytes(mountinfo(share))
    files = BoundedFiles(60, LiveMounts(str(tmp_path / "mountinfo")))
    files.stat(os.fsencode(share))
    (helper,) = helpers()
    helper.suspend()
    raised: list[Any] = []

    def ask() -> None:
        try:
            files.stat(os.fsencode(share))
        except OSError as error:
            raised.append(error)

    thread = threading.Thread(target=ask)
    thread.start()
    time.sleep(0.1)
    files.close()
    thread.join(30)
    assert raised
    psutil.wait_procs([helper], 10)
    assert not helpers()


def test_links_in_a_path_are_resolved_in_folders_and_at_the_end(
    share: Path, files: BoundedFiles, tmp_path: Path
) -> None:
    """On a share, and on a disk, where links lead onto the share."""
    photo = put(tmp_path / "a.jpg")
    inside = put(share / "real" / "b.jpg")
    (share / "folder").symlink_to("real")
    (share / "real" / "link.jpg").symlink_to(photo)
    (tmp_path / "linked").symlink_to(share)
    real = {
        photo: photo,
        tmp_path / "gone.jpg": tmp_path / "gone.jpg",
        share / "folder" / "b.jpg": inside,
        share / "folder" / "link.jpg": photo,
        tmp_path / "linked" / "folder" / "b.jpg": inside,
    }
    assert {path: files.real_file(bytes(path)) for path in real} == {
        path: bytes(found) for path, found in real.items()
    }
    assert files.readlink(bytes(share / "folder")) == b"real"
    assert files.real_folder(bytes(share / "folder")) == bytes(share / "real")


def test_where_links_lead_on_a_silent_share_is_asked_again_later(
    share: Path, files: BoundedFiles
) -> None:
    inside = put(share / "real" / "b.jpg")
    (share / "folder").symlink_to("real")
    linked = bytes(share / "folder" / "b.jpg")
    assert files.is_folder(bytes(share))  # the helper is there
    (helper,) = helpers()
    helper.suspend()
    assert files.real_file(linked) == linked
    helper.resume()
    while files.real_file(linked) == linked:
        time.sleep(0.01)
    assert files.real_file(linked) == bytes(inside)
