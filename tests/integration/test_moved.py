"""Moved, renamed and copied files keep their pictures, and none gets another one's."""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING

import pytest

from tests.support.files import foreign_entries
from tests.support.files.photo import photo, psnr_db
from tests.support.files.pictures import encode, every_format, jpeg, put
from tests.support.files.source_trees import MTIME_NS, few
from tests.support.judges import desktops, png_walk
from tests.support.running.capabilities import Capability, needs
from tests.support.running.program import run_pregen

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.running.program import Finished

FINGERPRINT = "X-Pregen::Fingerprint"


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    few(tmp_path / "photos")
    return tmp_path / "photos"


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / "cache"


def run(photos: Path, cache: Path, *more: str) -> Finished:
    done = run_pregen("run", "--json", "-v", *more, photos, cache=cache)
    assert done.code == 0, done
    return done


def idat(cache: Path, flavor: str, source: Path) -> list[bytes]:
    data = foreign_entries.read(cache, flavor, source).data
    return [body for kind, body in png_walk.chunks(data) if kind == b"IDAT"]


def pixels(cache: Path, photos: Path) -> list[list[bytes]]:
    return [idat(cache, "large", source) for source in sorted(photos.iterdir())]


@needs(Capability.GIO)
def test_a_moved_tree_of_every_format_gets_its_entries_without_a_decode(
    tmp_path: Path, cache: Path
) -> None:
    photos, moved = tmp_path / "photos", tmp_path / "elsewhere" / "moved"
    for name, data in every_format().items():
        put(photos / name, data, MTIME_NS)
    made = [name for name, kind in run(photos, cache).kinds().items() if kind == "made"]
    assert len(made) > 8
    before = {name: idat(cache, "large", photos / name) for name in made}
    moved.parent.mkdir()
    photos.rename(moved)

    done = run(moved, cache)
    assert {name: kind for name, kind in done.kinds().items() if name in made} == dict.fromkeys(
        made, "reused"
    )
    assert done.summary["ns"]["decode"] == 0
    assert done.summary["entries_written"] == 2 * len(made)
    assert {name: idat(cache, "large", moved / name) for name in made} == before
    answers = desktops.gio(cache, [moved / name for name in made])
    assert [answer.valid for answer in answers] == [True] * len(made)
    assert run(moved, cache).summary["kinds"]["fresh"] == len(made)
    for name in made:
        said = foreign_entries.read(cache, "large", moved / name)
        assert [text.key for text in png_walk.texts(said.data)][-1] == FINGERPRINT


def test_a_second_move_finds_the_pictures_again(photos: Path, cache: Path) -> None:
    run(photos, cache)
    before = pixels(cache, photos)
    for name in ("second", "third"):
        photos = photos.rename(photos.with_name(name))
        assert run(photos, cache).summary["kinds"] == {"reused": 4}
        for old in list(foreign_entries.files(cache)):  # as `clean` would: only the newest stay
            if old.stat().st_nlink and name.encode() not in old.read_bytes():
                old.unlink()
    assert pixels(cache, photos) == before


def test_same_size_time_head_middle_and_tail_is_not_the_same_picture(
    tmp_path: Path, cache: Path
) -> None:
    """The attempt at a false match: the files differ only where no sample would be taken."""
    one, two = tmp_path / "one" / "a.bmp", tmp_path / "two" / "a.bmp"
    first = photo(700, 500, seed=1)
    second = first.copy()
    part = slice(40, 200)  # a bitmap is written from the bottom up: rows far from all samples
    second[part] = photo(700, 500, seed=2)[part]
    put(one, encode(first, "BMP"), MTIME_NS)
    put(two, encode(second, "BMP"), MTIME_NS)
    a, b = one.read_bytes(), two.read_bytes()
    middle = len(a) // 2
    assert len(a) == len(b)
    assert a != b
    for sample in (
        slice(65536), slice(middle - 32768, middle + 32768), slice(len(a) - 65536, None)
    ):  # fmt: skip
        assert a[sample] == b[sample]

    run(one.parent, cache)
    assert run(two.parent, cache).summary["kinds"] == {"made": 1}
    made = foreign_entries.read(cache, "large", two).image
    fresh = tmp_path / "fresh"
    run(two.parent, fresh)
    assert psnr_db(made, foreign_entries.read(fresh, "large", two).image) > 60
    assert psnr_db(made, foreign_entries.read(cache, "large", one).image) < 25


def test_of_two_with_one_size_and_time_each_gets_its_own(tmp_path: Path, cache: Path) -> None:
    old = tmp_path / "old"
    for number in range(5):
        put(old / f"{number}.bmp", encode(photo(300, 200, seed=number), "BMP"), MTIME_NS)
    run(old, cache)
    before = pixels(cache, old)
    new = old.rename(tmp_path / "new")
    assert run(new, cache).summary["kinds"] == {"reused": 5}
    assert pixels(cache, new) == before
    assert len({str(each) for each in before}) == 5


def test_a_cache_without_its_journal_knows_its_sources(
    photos: Path, cache: Path, tmp_path: Path
) -> None:
    run(photos, cache)
    restored = tmp_path / "restored"
    shutil.copytree(cache, restored)
    moved = photos.rename(tmp_path / "moved")
    (restored / "thumbnails" / "large" / ("0" * 32 + ".png")).write_bytes(b"\x89PNG\r\n\x1a\n junk")
    assert run(moved, restored).summary["kinds"] == {"reused": 4}


def test_a_copy_that_lost_parts_of_a_second_is_known_and_has_its_own_time(
    photos: Path, cache: Path, tmp_path: Path
) -> None:
    run(photos, cache)
    copy = tmp_path / "copy"
    shutil.copytree(photos, copy)
    for source in copy.iterdir():
        seconds = source.stat().st_mtime_ns // 10**9
        os.utime(source, ns=(seconds * 10**9, seconds * 10**9))
    assert run(copy, cache).summary["kinds"] == {"reused": 4}
    entry = foreign_entries.read(cache, "normal", copy / "00.jpg")
    assert [text.kind for text in png_walk.texts(entry.data) if text.key == "Thumb::MTime"] == [
        "tEXt"
    ]
    assert run(copy, cache, "--check=full").summary["kinds"] == {"fresh": 4}


def test_a_copy_with_another_time_is_made(photos: Path, cache: Path, tmp_path: Path) -> None:
    run(photos, cache)
    copy = tmp_path / "copy"
    shutil.copytree(photos, copy, copy_function=shutil.copyfile)
    assert run(copy, cache).summary["kinds"] == {"made": 4}


@pytest.mark.parametrize("flag", ["--no-reuse", "--force"])
def test_who_wants_pictures_made_gets_them_made(photos: Path, cache: Path, flag: str) -> None:
    run(photos, cache)
    moved = photos.rename(photos.with_name("moved"))
    assert run(moved, cache, flag).summary["kinds"] == {"made": 4}


def test_what_is_no_longer_there_or_damaged_is_made_and_what_is_left_is_used(
    photos: Path, cache: Path
) -> None:
    run(photos, cache)
    gone, half, cut, flipped = sorted(photos.iterdir())
    for flavor in ("normal", "large"):
        foreign_entries.read(cache, flavor, gone).path.unlink()
        entry = foreign_entries.read(cache, flavor, cut)
        entry.path.write_bytes(entry.data[:-20])
        entry = foreign_entries.read(cache, flavor, flipped)
        middle = len(entry.data) // 2
        changed = bytes([entry.data[middle] ^ 1])
        entry.path.write_bytes(entry.data[:middle] + changed + entry.data[middle + 1 :])
    foreign_entries.read(cache, "large", half).path.unlink()
    left = idat(cache, "normal", half)

    moved = photos.rename(photos.with_name("moved"))
    assert run(moved, cache).summary["kinds"] == {"made": 4}
    assert idat(cache, "normal", moved / half.name) == left
    again = run(moved, cache, "--check=full")
    assert again.summary["kinds"] == {"fresh": 4}


def test_an_entry_of_newer_content_under_the_old_name_is_not_taken(
    photos: Path, cache: Path, tmp_path: Path
) -> None:
    run(photos, cache)
    first = photos / "00.jpg"
    old = first.read_bytes()
    put(first, jpeg(640, 400, seed=77), MTIME_NS + 10**12)
    run(photos, cache)
    copy = put(tmp_path / "copy" / "00.jpg", old, MTIME_NS)
    assert run(copy.parent, cache).summary["kinds"] == {"made": 1}
    assert foreign_entries.read(cache, "large", copy).original_size == (300, 220)


def test_a_hard_link_made_later_decodes_nothing(photos: Path, cache: Path, tmp_path: Path) -> None:
    run(photos, cache)
    links = tmp_path / "links"
    links.mkdir()
    for source in photos.iterdir():
        (links / source.name).hardlink_to(source)
    assert run(links, cache).summary["kinds"] == {"reused": 4}
    assert pixels(cache, links) == pixels(cache, photos)


def test_another_flavor_asked_for_later_is_made_of_the_source(photos: Path, cache: Path) -> None:
    run(photos, cache, "--flavors=normal")
    moved = photos.rename(photos.with_name("moved"))
    assert run(moved, cache).summary["kinds"] == {"made": 4}
    assert run(moved, cache, "--check=full").summary["kinds"] == {"fresh": 4}
