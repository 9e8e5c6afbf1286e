"""Looking through a cache finds every entry and fail record, whatever lies beside them."""

from __future__ import annotations

import os
import socket
import struct
import subprocess
import sys
import zlib
from contextlib import chdir
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pregen.cache.opening import OpenPolicy
from pregen.cache.store import Cache
from pregen.model import ALL_FLAVORS, Flavor
from pregen.thumbspec.pngchunks import PngError
from tests.support.judges import png_walk
from tests.support.running.capabilities import Capability, modes_count, needs

if TYPE_CHECKING:
    from pregen.cache.folder import CacheFile

ROOT = Path(__file__).resolve().parents[2]
KEYS = [f"{number:032x}" for number in range(6)]
URI = "file:///a.jpg"


def picture(*texts: tuple[str, str, str], tail: tuple[tuple[bytes, bytes], ...] = ()) -> bytes:
    """A PNG of one pixel with texts before, and chunks behind, its picture."""
    header = struct.pack(">IIBBBBB", 1, 1, 8, 6, 0, 0, 0)
    data = zlib.compress(b"\0" * 5)
    plain = png_walk.build([(b"IHDR", header), (b"IDAT", data), *tail, (b"IEND", b"")])
    return png_walk.with_texts(plain, list(texts)) if texts else plain


def entry_bytes(uri: str = URI) -> bytes:
    return picture(("tEXt", "Thumb::URI", uri), ("tEXt", "Thumb::MTime", "1"))


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "thumbnails"
    folders = [flavor.directory for flavor in ALL_FLAVORS]
    for folder in (*folders, "fail/gnome-thumbnail-factory", "fail/pregen-0.1"):
        (root / folder).mkdir(parents=True)
        for key in KEYS[:2]:
            (root / folder / f"{key}.png").write_bytes(entry_bytes())
    return root


def opened(root: Path) -> Cache:
    return Cache(bytes(root), policy=OpenPolicy.WITHOUT_LINKS)


def only_entry(root: Path, data: bytes) -> tuple[Cache, CacheFile]:
    """An open cache with one entry, and the entry."""
    (root / "large").mkdir(parents=True)
    (root / "large" / f"{KEYS[5]}.png").write_bytes(data)
    cache = opened(root)
    (entry,) = cache.entries()
    return cache, entry


def test_every_entry_and_fail_record_of_any_program_is_listed_once(root: Path) -> None:
    with opened(root) as cache:
        names = [folder.name for folder in cache.folders()]
        listed = sorted(entry.path for entry in cache.entries())
    assert names == [
        "normal",
        "large",
        "x-large",
        "xx-large",
        "fail/gnome-thumbnail-factory",
        "fail/pregen-0.1",
    ]
    assert listed == sorted(map(bytes, root.rglob("*.png")))
    assert len(listed) == 12


def test_folders_say_flavor_or_program(root: Path) -> None:
    with opened(root) as cache:
        found = [(folder.flavor, folder.program) for folder in cache.folders()]
    assert found == [
        *((flavor, "") for flavor in ALL_FLAVORS),
        (None, "gnome-thumbnail-factory"),
        (None, "pregen-0.1"),
    ]


def test_what_is_no_entry_is_told_apart(root: Path, tmp_path: Path) -> None:
    large = root / "large"
    target = tmp_path / "outside.png"
    target.write_bytes(entry_bytes())
    (large / f"{KEYS[2]}.png").symlink_to(target)
    (large / f"{KEYS[3]}.png").mkdir()
    os.mkfifo(large / f"{KEYS[4]}.png")
    with chdir(large), socket.socket(socket.AF_UNIX) as plug:
        plug.bind(f"{KEYS[5]}.png")
    others = [f"{KEYS[0].upper().replace('0', 'A')}.png", f"{KEYS[0]}.PNG", f"{KEYS[0]}.png~"]
    others += [f"{KEYS[0]}.png\n", f"0{KEYS[0]}.png", "notes.txt", ".pregen-h-1-1-01234567.tmp"]
    for name in others:
        (large / name).write_bytes(entry_bytes())
    (large / os.fsdecode(b"\xff.png")).write_bytes(b"")
    with opened(root) as cache:
        folder = next(each for each in cache.folders() if each.name == "large")
        assert {entry.key for entry in folder.entries()} == set(KEYS[:2])
        rest = {entry.name for entry in folder.others()}
    assert rest == {*others, "\udcff.png", *(f"{key}.png" for key in KEYS[2:])}


def test_a_folder_that_is_a_link_is_named_and_followed_only_on_request(
    root: Path, tmp_path: Path
) -> None:
    outside = tmp_path / "outside"
    (root / "large").rename(outside)
    (root / "large").symlink_to(outside)
    (root / "fail" / "linked").symlink_to(outside)
    with opened(root) as cache:
        assert len(list(cache.entries())) == 10
        assert cache.links == [bytes(root / "large"), bytes(root / "fail" / "linked")]
    with Cache(bytes(root), policy=OpenPolicy.AS_FOUND) as cache:
        assert len(list(cache.entries())) == 14
        assert cache.links == []


def test_the_root_may_be_a_link(root: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(root)
    with opened(tmp_path / "link") as cache:
        assert len(list(cache.entries())) == 12


@pytest.mark.parametrize("made", [False, True])
def test_a_cache_that_is_not_there_is_empty(tmp_path: Path, made: bool) -> None:  # noqa: FBT001 - pytest passes it
    root = tmp_path / "thumbnails"
    if made:
        root.mkdir()
        (root / "large").write_bytes(b"a file in the place of a folder")
    with opened(root) as cache:
        assert list(cache.entries()) == []


def test_the_head_is_read_however_long_it_is(tmp_path: Path) -> None:
    uri = "file:///" + "%E2%82%AC" * 1000
    cache, entry = only_entry(tmp_path, entry_bytes(uri))
    with cache:
        assert entry.head().first("Thumb::URI") == uri
        assert entry.stat.st_size == len(entry_bytes(uri)) == len(entry.read())


def test_texts_behind_the_picture_are_found(tmp_path: Path) -> None:
    tail = ((b"tEXt", b"Thumb::URI\0" + URI.encode()), (b"tEXt", b"Thumb::MTime\x001"))
    cache, entry = only_entry(tmp_path, picture(tail=tail))
    with cache:
        assert entry.head().first("Thumb::URI") == URI


def test_bytes_behind_the_end_are_no_damage(tmp_path: Path) -> None:
    cache, entry = only_entry(tmp_path, entry_bytes() + b"a remark")
    with cache:
        assert entry.head().first("Thumb::URI") == URI


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"GIF89a",
        entry_bytes()[:40],
        entry_bytes()[:80],
        picture()[:-12],
        entry_bytes("file:///" + "x" * 5000)[:5000],
        entry_bytes()[:-1],
        entry_bytes()[:-20] + bytes(20),
    ],
)
def test_damage_is_a_png_error(tmp_path: Path, data: bytes) -> None:
    cache, entry = only_entry(tmp_path, data)
    with cache, pytest.raises(PngError):
        entry.head()


def test_a_file_that_went_away_is_no_damage(tmp_path: Path) -> None:
    cache, entry = only_entry(tmp_path, entry_bytes())
    os.unlink(entry.path)
    with cache, pytest.raises(FileNotFoundError):
        entry.head()


def test_reading_does_not_count_as_use(tmp_path: Path) -> None:
    cache, entry = only_entry(tmp_path, entry_bytes())
    os.utime(entry.path, ns=(1, 2))
    with cache:
        entry.head()
    assert os.stat(entry.path).st_atime_ns == 1


def test_removing_takes_the_file_that_was_listed(tmp_path: Path) -> None:
    cache, entry = only_entry(tmp_path, entry_bytes())
    with cache:
        assert entry.remove()
        assert not os.path.lexists(entry.path)
        assert not entry.remove()


@pytest.mark.parametrize("what", ["rewritten", "replaced", "link"])
def test_removing_leaves_what_took_its_place(tmp_path: Path, what: str) -> None:
    cache, entry = only_entry(tmp_path / "cache", entry_bytes())
    other = tmp_path / "other"
    other.write_bytes(entry_bytes())
    path = tmp_path / "cache" / "large" / f"{KEYS[5]}.png"
    if what == "rewritten":
        path.write_bytes(b"longer than before" + entry_bytes())
    elif what == "replaced":
        os.utime(other, ns=(entry.stat.st_atime_ns, entry.stat.st_mtime_ns))
        other.replace(path)
    else:
        path.unlink()
        path.symlink_to(other)
    with cache:
        assert not entry.remove()
    assert os.path.lexists(path)


def test_descriptors_are_given_back(root: Path) -> None:
    before = len(os.listdir("/proc/self/fd"))
    with opened(root) as cache:
        next(cache.entries())
    assert len(os.listdir("/proc/self/fd")) == before


def test_counting_takes_entries_for_what_listing_takes(root: Path, tmp_path: Path) -> None:
    (root / "large" / "notes.txt").write_bytes(b"mine")
    (root / "large" / f"{KEYS[2]}.png").symlink_to(tmp_path)
    with Cache(bytes(root), policy=OpenPolicy.AS_FOUND) as cache:
        found = cache.folder(Flavor.LARGE).count()
    assert found == (2, 2 * len(entry_bytes()), 2)


def test_a_link_is_named_once_however_often_folders_are_listed(root: Path, tmp_path: Path) -> None:
    (root / "fail").rename(tmp_path / "outside")
    (root / "fail").symlink_to(tmp_path / "outside")
    with opened(root) as cache:
        assert len(list(cache.folders())) == len(list(cache.folders())) == 4
        assert cache.links == [bytes(root / "fail")]


@needs(Capability.FILE_MODES)
def test_a_folder_that_may_not_be_read_is_an_error_unless_it_is_to_be_mended(root: Path) -> None:
    code = "import os, sys\nfrom pregen.cache.opening import OpenPolicy\n"
    code += "from pregen.cache.store import Cache\nfrom pregen.errors import CacheError\n"
    code += "root = os.fsencode(sys.argv[1])\nos.chmod(root + b'/large', 0)\n"
    code += "assert len(list(Cache(root).folders())) == 5\n"
    code += "try:\n    list(Cache(root, policy=OpenPolicy.AS_FOUND).folders())\n"
    code += "except CacheError:\n    sys.exit(7)\n"
    done = subprocess.run([*modes_count(), sys.executable, "-c", code, root], cwd=ROOT, check=False)
    assert done.returncode == 7
