"""File systems of the kernel hold no pictures, and to read a file there may do something."""

from __future__ import annotations

import ctypes
import os
import struct
import subprocess
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pregen.config import WalkConfig
from pregen.model import Kind, Skip, Source
from pregen.source_file import open_source
from pregen.walk import guard_of, named_sources, walk
from tests.support.files.pictures import jpeg, put
from tests.support.running.capabilities import Capability, needs
from tests.support.running.program import run_pregen

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

#: <sys/inotify.h>
_IN_OPEN, _IN_ISDIR = 0x20, 0x40000000
_EVENT = struct.Struct("iIII")
#: To read `hot_add` in the first one makes a block device. Nobody else reads files in these.
_QUIET = ("/sys/class/zram-control", "/sys/kernel/cgroup")
SYSFS = [folder for folder in map(Path, _QUIET) if folder.is_dir()]


def found(
    *roots: Path | bytes, listed: Iterable[Source | Skip] = ()
) -> tuple[set[bytes], set[bytes], list[str]]:
    """Return what is taken, what is left out, and what is said of it."""
    said: list[str] = []
    config = WalkConfig(roots=tuple(map(os.fsencode, roots)))
    items = [*walk(config, guard=guard_of(config, said.append), listed=listed)]
    taken = {item.path for item in items if isinstance(item, Source)}
    left = {i.path for i in items if isinstance(i, Skip) and i.kind is Kind.EXCLUDED}
    return taken, left, said


@needs(Capability.MOUNT)
@pytest.mark.parametrize("kind", ["proc", "sysfs", "devpts", "tmpfs"])
def test_mounts_below_a_root(kind: str, tmp_path: Path) -> None:
    plain = put(tmp_path / "a.jpg", jpeg(10, 10))
    point = tmp_path / "m"
    point.mkdir()
    subprocess.run(["mount", "-t", kind, kind, point], check=True)
    try:
        inner = point / "b.jpg"
        if kind == "tmpfs":
            put(inner, jpeg(10, 10))
        taken, left, said = found(tmp_path)
    finally:
        subprocess.run(["umount", point], check=True)
    if kind == "tmpfs":
        assert taken == {os.fsencode(plain), os.fsencode(inner)}
        assert said == []
        return
    assert taken == {os.fsencode(plain)}
    assert left == {os.fsencode(point)}
    assert len(said) == 1
    assert f"{point} ({kind})" in said[0]


@contextmanager
def opened_files(folders: Iterable[Path]) -> Iterator[list[str]]:
    """Have a list of the files in some folders that anybody opens meanwhile; full at the end."""
    libc = ctypes.CDLL(None, use_errno=True)
    watch = libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
    names: list[str] = []
    try:
        for folder in folders:
            assert libc.inotify_add_watch(watch, os.fsencode(folder), _IN_OPEN) > 0
        yield names
        try:
            data = os.read(watch, 1 << 20)
        except BlockingIOError:
            data = b""
    finally:
        os.close(watch)
    while data:
        _, mask, _, length = _EVENT.unpack_from(data)
        name, data = data[_EVENT.size : _EVENT.size + length], data[_EVENT.size + length :]
        if not mask & _IN_ISDIR:
            names.append(os.fsdecode(name.rstrip(b"\0")))


@needs(Capability.MOUNT)
@pytest.mark.skipif(not SYSFS, reason="there is no sysfs here")
def test_no_file_of_the_kernel_is_opened_by_a_run(tmp_path: Path) -> None:
    folders = [Path(folder) for root in SYSFS for folder, _, _ in os.walk(root)]
    file = next(file for file in sorted(SYSFS[-1].rglob("*")) if file.is_file())
    with opened_files(folders) as seen:
        file.open("rb").close()
    assert seen == [file.name]  # this is how it would be noticed

    point, listed = tmp_path / "m", tmp_path / ".list"
    point.mkdir()
    put(tmp_path / "a.jpg", jpeg(300, 200))
    (tmp_path / "link.jpg").symlink_to(file)
    listed.write_bytes(os.fsencode(file) + b"\n")
    subprocess.run(["mount", "-t", "sysfs", "sysfs", point], check=True)
    try:
        with opened_files(folders) as seen:
            below = run_pregen("run", "--json", tmp_path, cache=tmp_path / "cache")
            named = run_pregen("run", *SYSFS, cache=tmp_path / "cache")
            told = run_pregen("run", "--files-from", listed, cache=tmp_path / "cache")
    finally:
        subprocess.run(["umount", point], check=True)
    assert seen == []
    assert below.summary["kinds"] == {"made": 1, "excluded": 2}, below
    assert (below.code, named.code, told.code) == (0, 0, 0), (named, told)


def test_a_folder_that_is_named_gives_what_is_called_a_picture() -> None:
    taken, _, said = found(b"/proc/sys/kernel")
    assert taken == set()
    assert said == []
    assert found(b"/proc/version")[0] == {b"/proc/version"}


def test_links_and_lists_lead_there_in_vain(tmp_path: Path) -> None:
    (tmp_path / "link.jpg").symlink_to("/proc/version")
    taken, left, said = found(tmp_path)
    assert taken == set()
    assert left == {os.fsencode(tmp_path / "link.jpg")}
    assert len(said) == 1
    taken, left, _ = found(listed=named_sources([b"/proc/version"], b""))
    assert (taken, left) == (set(), {b"/proc/version"})


def test_a_file_that_claims_to_be_empty_is_not_read() -> None:
    def read_bytes() -> int:
        with open("/proc/self/io", encoding="ascii") as file:
            return int(file.readline().split()[1])

    with open_source(b"/proc/version") as source:
        assert source.size_bytes == 0
        before, again = read_bytes(), read_bytes()
        source.probe()
        assert not source.resident()
        after = read_bytes()
    assert abs((after - again) - (again - before)) < 3  # its own size changes with its digits
