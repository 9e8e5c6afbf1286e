"""The cache's folders and files: modes, owners, links, odd things in an entry's place."""

from __future__ import annotations

import os
import pickle
import shutil
import socket
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pregen.cache.folder import NO_ENTRY, entry_limit_bytes
from pregen.cache.store import Cache
from pregen.errors import CacheError
from pregen.model import ALL_FLAVORS, Flavor
from pregen.private_folders import user_name
from pregen.thumbspec.naming import entry_name
from pregen.thumbspec.validity import HEAD_BYTES
from tests.support.running.capabilities import Capability, modes_count, needs

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parents[2]
URI = "file:///photos/a.jpg"
NAME = entry_name(URI)
DATA = b"picture" * 1000
NORMAL, LARGE = Flavor.NORMAL, Flavor.LARGE
#: Any number but ours does.
SOMEBODY_UID = os.geteuid() + 1


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Where the thumbnails directory will be; neither it nor its parent is there yet."""
    return tmp_path / "cache" / "thumbnails"


@pytest.fixture
def cache(root: Path) -> Iterator[Cache]:
    with Cache(bytes(root), "1.2.3") as cache:
        yield cache


def head(cache: Cache, limit_bytes: int = HEAD_BYTES) -> bytes | None:
    """The first bytes of the entry of `URI`."""
    found = cache.folder(LARGE).examine(NAME, limit_bytes)
    return None if found is None else found[0]


def bound_by_modes(code: str, root: Path) -> subprocess.CompletedProcess[bytes]:
    """Run code that uses `cache` in a program that file modes bind, also when we are root."""
    head = "import os, sys\nfrom pregen.model import Flavor\nfrom pregen.cache.store import Cache\n"
    head += "cache = Cache(os.fsencode(sys.argv[1]), '1.2.3')\n"
    return subprocess.run(
        [*modes_count(), sys.executable, "-c", head + code, root],
        cwd=ROOT,
        capture_output=True,
        check=False,
        timeout=60,
    )


def give_away(path: Path) -> None:
    """Make a file, or a link itself, another user's."""
    try:
        os.chown(path, SOMEBODY_UID, -1, follow_symlinks=False)
    except PermissionError:
        pytest.skip("needs running as root: to give files to another user")


def mode(path: Path) -> int:
    return path.stat().st_mode & 0o7777


def tree(root: Path) -> set[str]:
    return {str(path.relative_to(root)) for path in root.rglob("*")}


# Creating and mending.


def test_asking_creates_nothing(tmp_path: Path, cache: Cache) -> None:
    assert cache.read(LARGE, URI) is None
    assert head(cache) is None
    assert cache.fail_folder.read(NAME) is None
    assert not cache.delete(LARGE, URI)
    assert not cache.delete_fail(URI)
    assert list(cache.folder(LARGE).names()) == []
    assert cache.sweep_all() == 0
    assert tree(tmp_path) == set()


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o077, 0o777], ids=oct)
def test_everything_made_is_private_under_any_umask(
    tmp_path: Path, root: Path, cache: Cache, umask: int
) -> None:
    before = os.umask(umask)
    try:
        cache.write(LARGE, URI, DATA)
        cache.write_fail(URI, b"record")
    finally:
        os.umask(before)
    files = {root / "large" / NAME, root / "fail" / "pregen-1.2" / NAME}
    assert {path: mode(path) for path in tmp_path.rglob("*")} == {
        path: 0o600 if path in files else 0o700 for path in tmp_path.rglob("*")
    }
    assert {path for path in tmp_path.rglob("*") if path.is_file()} == files


def test_preparing_makes_the_wanted_folders_and_leaves_no_file(root: Path, cache: Cache) -> None:
    cache.prepare([NORMAL, LARGE])
    assert tree(root) == {"normal", "large"}


def test_preparing_mends_the_modes_of_every_folder(root: Path, cache: Cache) -> None:
    folders = [root, root / "large", root / "x-large", root / "fail", root / "fail/pregen-1.2"]
    for folder in folders:
        folder.mkdir(parents=True)
        folder.chmod(0o777)
    cache.prepare([LARGE])
    assert [mode(folder) for folder in folders] == [0o700] * 5


def test_folders_above_the_cache_keep_their_modes(root: Path, cache: Cache) -> None:
    root.parent.mkdir()
    root.parent.chmod(0o755)
    cache.prepare([LARGE])
    assert mode(root.parent) == 0o755


@needs(Capability.FILE_MODES)
def test_a_folder_whose_mode_locks_its_owner_out_is_mended(root: Path) -> None:
    root.parent.mkdir()
    lock_out = "for path in (cache.root, cache.root + b'/large'): os.mkdir(path)\n"
    lock_out += "os.chmod(cache.root + b'/large', 0); os.chmod(cache.root, 0o500)\n"
    run = bound_by_modes(lock_out + "cache.write(Flavor.LARGE, 'file:///a', b'x')", root)
    assert run.stderr == b""
    assert [mode(root), mode(root / "large")] == [0o700, 0o700]
    assert len(tree(root)) == 2


def test_a_removed_cache_is_made_again(root: Path, cache: Cache) -> None:
    cache.write(LARGE, URI, DATA)
    cache.write_fail(URI, b"record")
    shutil.rmtree(root.parent)
    assert cache.read(LARGE, URI) is None
    cache.write(LARGE, URI, DATA)
    cache.write_fail(URI, b"record")
    assert cache.read(LARGE, URI) == DATA
    assert (root / "large" / NAME).read_bytes() == DATA
    assert (root / "fail/pregen-1.2" / NAME).read_bytes() == b"record"


# Links, owners, things in the way.


@pytest.mark.parametrize("linked", ["", "large"])
def test_a_link_to_a_folder_of_ours_is_followed(
    tmp_path: Path, root: Path, cache: Cache, linked: str
) -> None:
    disk = tmp_path / "disk"
    disk.mkdir(mode=0o755)
    (root / linked).parent.mkdir(parents=True)
    (root / linked).symlink_to(disk)
    cache.prepare([LARGE])
    cache.write(LARGE, URI, DATA)
    assert mode(disk) == 0o700
    assert (root / linked).is_symlink()
    assert tree(disk) == ({NAME} if linked else {"large", f"large/{NAME}"})


@pytest.mark.parametrize("foreign", [".", "large", "fail", "fail/pregen-1.2"])
def test_a_folder_of_somebody_else_is_refused_and_untouched(
    root: Path, cache: Cache, foreign: str
) -> None:
    for folder in ("large", "fail/pregen-1.2"):
        (root / folder).mkdir(parents=True)
    (root / foreign).chmod(0o755)
    give_away(root / foreign)
    before = tree(root)
    with pytest.raises(
        CacheError, match=f"belongs to user {user_name(SOMEBODY_UID)}.*run pregen as"
    ):
        cache.prepare([LARGE])
    assert tree(root) == before
    assert mode(root / foreign) == 0o755


def test_a_link_made_by_somebody_else_is_refused_and_its_target_untouched(
    tmp_path: Path, root: Path, cache: Cache
) -> None:
    documents = tmp_path / "documents"
    documents.mkdir()
    documents.chmod(0o755)
    root.mkdir(parents=True)
    root.chmod(0o777)
    (root / "large").symlink_to(documents)
    give_away(root / "large")
    with pytest.raises(CacheError, match=f"link made by user {SOMEBODY_UID}"):
        cache.write(LARGE, URI, DATA)
    assert mode(documents) == 0o755
    assert tree(documents) == set()


@pytest.mark.parametrize("place", ["cache", "cache/thumbnails", "cache/thumbnails/large"])
@pytest.mark.parametrize(
    ("obstacle", "advice"), [("file", "move it"), ("dangling", "mount the disk of its target")]
)
def test_what_is_in_the_way_is_named(
    tmp_path: Path, cache: Cache, place: str, obstacle: str, advice: str
) -> None:
    path = tmp_path / place
    path.parent.mkdir(parents=True, exist_ok=True)
    if obstacle == "file":
        path.write_bytes(b"mine")
    else:
        path.symlink_to("/nonexistent/disk")
    before = tree(tmp_path)
    with pytest.raises(CacheError, match=advice) as caught:
        cache.prepare([LARGE])
    assert str(path) in str(caught.value)
    assert tree(tmp_path) == before


@needs(Capability.FILE_MODES)
def test_a_place_where_nothing_can_be_made_is_an_error_before_any_work(root: Path) -> None:
    root.parent.mkdir(mode=0o500)
    run = bound_by_modes("cache.prepare([Flavor.LARGE])", root)
    assert b"CacheError" in run.stderr.splitlines()[-1]
    assert b"XDG_CACHE_HOME" in run.stderr.splitlines()[-1]


@needs(Capability.MOUNT)
def test_a_read_only_disk_is_an_error_before_any_work(root: Path, cache: Cache) -> None:
    root.mkdir(parents=True)
    cache.prepare([LARGE])
    cache.write(LARGE, URI, DATA)
    cache.close()
    subprocess.run(["mount", "--bind", "-o", "ro", root, root], check=True)
    try:
        with pytest.raises(CacheError, match="Read-only"):
            cache.prepare([LARGE])
        assert cache.read(LARGE, URI) == DATA
    finally:
        cache.close()
        subprocess.run(["umount", root], check=True)


# Entries.


def test_entries_are_kept_by_flavor_and_uri(root: Path, cache: Cache) -> None:
    for number, flavor in enumerate(ALL_FLAVORS):
        cache.write(flavor, URI, b"%d" % number)
    cache.write(LARGE, URI + "2", b"other")
    cache.write_fail(URI, b"record")
    assert [cache.read(flavor, URI) for flavor in ALL_FLAVORS] == [b"0", b"1", b"2", b"3"]
    assert cache.read(LARGE, URI + "2") == b"other"
    assert cache.fail_folder.read(NAME) == b"record"
    assert set(cache.folder(LARGE).names()) == {NAME, entry_name(URI + "2")}
    assert (root / "xx-large" / NAME).read_bytes() == b"3"


def test_a_head_is_no_longer_than_asked_for(cache: Cache) -> None:
    cache.write(LARGE, URI, DATA)
    assert head(cache) == DATA[:HEAD_BYTES]
    assert head(cache, 10) == DATA[:10]
    cache.write(LARGE, URI, b"short")
    assert head(cache) == b"short"


def test_deleting_tells_whether_there_was_something(cache: Cache) -> None:
    cache.write(LARGE, URI, DATA)
    cache.write_fail(URI, b"record")
    assert [cache.delete(LARGE, URI), cache.delete(LARGE, URI)] == [True, False]
    assert [cache.delete_fail(URI), cache.delete_fail(URI)] == [True, False]
    assert cache.read(LARGE, URI) is None


def plant(kind: str, path: Path) -> None:
    """Put something that is no entry into the place of one."""
    if kind == "link":
        victim = path.parent.parent / "victim"
        victim.write_bytes(b"precious")
        path.symlink_to(victim)
    elif kind == "fifo":
        os.mkfifo(path)
    elif kind == "socket":
        before = Path.cwd()
        with socket.socket(socket.AF_UNIX) as server:
            os.chdir(path.parent)  # names of sockets are short
            try:
                server.bind(path.name)
            finally:
                os.chdir(before)
    elif kind == "huge":
        with path.open("wb") as file:
            file.truncate(entry_limit_bytes(LARGE) + 1)
    else:
        path.write_bytes(b"")


@pytest.mark.parametrize("kind", ["link", "fifo", "socket", "huge", "empty"])
def test_what_is_no_entry_is_told_from_nothing_and_can_be_replaced(
    root: Path, cache: Cache, kind: str
) -> None:
    cache.prepare([LARGE])
    plant(kind, root / "large" / NAME)
    assert cache.read(LARGE, URI) == NO_ENTRY
    if kind != "huge":
        assert head(cache) == NO_ENTRY
    cache.write(LARGE, URI, DATA)
    assert cache.read(LARGE, URI) == DATA
    assert [path.read_bytes() for path in root.glob("victim")] in ([], [b"precious"])


@pytest.mark.parametrize("kind", ["link", "fifo", "socket", "huge", "empty"])
def test_what_is_no_entry_can_be_deleted_alone(root: Path, cache: Cache, kind: str) -> None:
    cache.prepare([LARGE])
    plant(kind, root / "large" / NAME)
    assert cache.delete(LARGE, URI)
    assert list(cache.folder(LARGE).names()) == []
    assert [path.read_bytes() for path in root.glob("victim")] in ([], [b"precious"])


def test_a_directory_in_the_place_of_an_entry_is_nothing_and_stays(
    root: Path, cache: Cache
) -> None:
    (root / "large" / NAME).mkdir(parents=True)
    assert cache.read(LARGE, URI) is None
    assert head(cache) is None
    assert not cache.delete(LARGE, URI)
    with pytest.raises(CacheError, match="move it away"):
        cache.write(LARGE, URI, DATA)
    assert tree(root / "large") == {NAME}


@needs(Capability.FILE_MODES)
def test_an_entry_that_cannot_be_read_is_no_entry_and_can_be_replaced(root: Path) -> None:
    code = "uri = 'file:///a'\ncache.write(Flavor.LARGE, uri, b'x')\n"
    code += "(name,) = cache.folder(Flavor.LARGE).names()\n"
    code += "os.chmod(cache.root + b'/large/' + name.encode(), 0)\n"
    code += "assert cache.read(Flavor.LARGE, uri) == b''\n"
    code += "assert cache.folder(Flavor.LARGE).examine(name)[0] == b''\n"
    code += "cache.write(Flavor.LARGE, uri, b'y')\n"
    code += "assert cache.read(Flavor.LARGE, uri) == b'y'\n"
    assert bound_by_modes(code, root).stderr == b""


# Descriptors and processes.


def test_a_copy_for_another_process_opens_its_own_descriptors(cache: Cache) -> None:
    cache.write(LARGE, URI, DATA)
    with pickle.loads(pickle.dumps(cache)) as copy:  # noqa: S301 - made on the same line
        assert (copy.root, copy.version) == (cache.root, cache.version)
        copy.write(LARGE, URI, b"from the copy")
        cache.close()
        assert copy.read(LARGE, URI) == b"from the copy"
    assert cache.read(LARGE, URI) == b"from the copy"


def test_a_cache_in_use_holds_few_descriptors_and_none_once_closed(cache: Cache) -> None:
    def count() -> int:
        return sum(1 for _ in Path("/proc/self/fd").iterdir())

    before = count()
    for flavor in ALL_FLAVORS:
        cache.write(flavor, URI, DATA)
        cache.read(flavor, URI)
        list(cache.folder(flavor).names())
    cache.write_fail(URI, b"record")
    assert count() - before <= 7
    cache.close()
    assert count() == before


def test_running_out_of_descriptors_is_not_taken_for_a_missing_entry(tmp_path: Path) -> None:
    cache = Cache(bytes(tmp_path / "thumbnails"), "1.2.3")
    cache.write(LARGE, URI, DATA)
    used: list[int] = []
    try:
        while True:
            used.append(os.dup(0))
    except OSError:
        pass
    try:
        with pytest.raises(CacheError, match="ulimit -n"):
            cache.read(LARGE, URI)
        with pytest.raises(CacheError, match="ulimit -n"):
            cache.write(LARGE, URI, b"new")
    finally:
        for fd in used:
            os.close(fd)
    assert cache.read(LARGE, URI) == DATA
    assert set(cache.folder(LARGE).names()) == {NAME}
    cache.close()
