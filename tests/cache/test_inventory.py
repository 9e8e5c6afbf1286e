"""The inventory lists every entry and fail record, and nothing else, whatever lies beside them."""

from __future__ import annotations

import os
import socket
import struct
import zlib
from contextlib import chdir
from typing import TYPE_CHECKING

import pytest

from pregen.cache.inventory import Inventory, Item
from pregen.model import ALL_FLAVORS
from pregen.thumbspec.pngchunks import PngError
from tests.support.judges import png_walk

if TYPE_CHECKING:
    from pathlib import Path

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


def only_item(root: Path, data: bytes) -> tuple[Inventory, Item]:
    """An open inventory of a cache with one entry, and the entry."""
    (root / "large").mkdir(parents=True)
    (root / "large" / f"{KEYS[5]}.png").write_bytes(data)
    inventory = Inventory(bytes(root))
    (item,) = inventory.items()
    return inventory, item


def test_every_entry_and_fail_record_of_any_program_is_listed_once(root: Path) -> None:
    with Inventory(bytes(root)) as inventory:
        names = [folder.name for folder in inventory.folders()]
        listed = sorted(item.path for item in inventory.items())
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
    with Inventory(bytes(root)) as inventory:
        found = [(folder.flavor, folder.program) for folder in inventory.folders()]
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
    with Inventory(bytes(root)) as inventory:
        folder = next(each for each in inventory.folders() if each.name == "large")
        assert {item.key for item in folder.items()} == set(KEYS[:2])
        rest = {os.fsdecode(item.name) for item in folder.others()}
    assert rest == {*others, "\udcff.png", *(f"{key}.png" for key in KEYS[2:])}


def test_a_folder_that_is_a_link_is_named_and_followed_only_on_request(
    root: Path, tmp_path: Path
) -> None:
    outside = tmp_path / "outside"
    (root / "large").rename(outside)
    (root / "large").symlink_to(outside)
    (root / "fail" / "linked").symlink_to(outside)
    with Inventory(bytes(root)) as inventory:
        assert len(list(inventory.items())) == 10
        assert inventory.links == [bytes(root / "large"), bytes(root / "fail" / "linked")]
    with Inventory(bytes(root), follow_folders=True) as inventory:
        assert len(list(inventory.items())) == 14
        assert inventory.links == []


def test_the_root_may_be_a_link(root: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(root)
    with Inventory(bytes(tmp_path / "link")) as inventory:
        assert len(list(inventory.items())) == 12


@pytest.mark.parametrize("made", [False, True])
def test_a_cache_that_is_not_there_is_empty(tmp_path: Path, made: bool) -> None:  # noqa: FBT001 - pytest passes it
    root = tmp_path / "thumbnails"
    if made:
        root.mkdir()
        (root / "large").write_bytes(b"a file in the place of a folder")
    with Inventory(bytes(root)) as inventory:
        assert list(inventory.items()) == []


def test_the_head_is_read_however_long_it_is(tmp_path: Path) -> None:
    uri = "file:///" + "%E2%82%AC" * 1000
    inventory, item = only_item(tmp_path, entry_bytes(uri))
    with inventory:
        assert item.head().first("Thumb::URI") == uri
        assert item.stat.st_size == len(entry_bytes(uri)) == len(item.read())


def test_texts_behind_the_picture_are_found(tmp_path: Path) -> None:
    tail = ((b"tEXt", b"Thumb::URI\0" + URI.encode()), (b"tEXt", b"Thumb::MTime\x001"))
    inventory, item = only_item(tmp_path, picture(tail=tail))
    with inventory:
        assert item.head().first("Thumb::URI") == URI


def test_bytes_behind_the_end_are_no_damage(tmp_path: Path) -> None:
    inventory, item = only_item(tmp_path, entry_bytes() + b"a remark")
    with inventory:
        assert item.head().first("Thumb::URI") == URI


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
    inventory, item = only_item(tmp_path, data)
    with inventory, pytest.raises(PngError):
        item.head()


def test_a_file_that_went_away_is_no_damage(tmp_path: Path) -> None:
    inventory, item = only_item(tmp_path, entry_bytes())
    os.unlink(item.path)
    with inventory, pytest.raises(FileNotFoundError):
        item.head()


def test_reading_does_not_count_as_use(tmp_path: Path) -> None:
    inventory, item = only_item(tmp_path, entry_bytes())
    os.utime(item.path, ns=(1, 2))
    with inventory:
        item.head()
    assert os.stat(item.path).st_atime_ns == 1


def test_removing_takes_the_file_that_was_listed(tmp_path: Path) -> None:
    inventory, item = only_item(tmp_path, entry_bytes())
    with inventory:
        assert item.remove()
        assert not os.path.lexists(item.path)
        assert not item.remove()


@pytest.mark.parametrize("what", ["rewritten", "replaced", "link"])
def test_removing_leaves_what_took_its_place(tmp_path: Path, what: str) -> None:
    inventory, item = only_item(tmp_path / "cache", entry_bytes())
    other = tmp_path / "other"
    other.write_bytes(entry_bytes())
    path = tmp_path / "cache" / "large" / f"{KEYS[5]}.png"
    if what == "rewritten":
        path.write_bytes(b"longer than before" + entry_bytes())
    elif what == "replaced":
        os.utime(other, ns=(item.stat.st_atime_ns, item.stat.st_mtime_ns))
        other.replace(path)
    else:
        path.unlink()
        path.symlink_to(other)
    with inventory:
        assert not item.remove()
    assert os.path.lexists(path)


def test_descriptors_are_given_back(root: Path) -> None:
    before = len(os.listdir("/proc/self/fd"))
    with Inventory(bytes(root)) as inventory:
        next(inventory.items())
    assert len(os.listdir("/proc/self/fd")) == before
