"""A folder that was moved: its files are known by their numbers, and nothing of them is read."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import time
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from tests.support.files import foreign_entries
from tests.support.files.loop_disk import LoopDisk
from tests.support.files.photo import photo, psnr_db
from tests.support.files.pictures import encode, every_format, put
from tests.support.files.source_trees import MTIME_NS
from tests.support.judges import desktops, png_walk
from tests.support.running.capabilities import Capability, needs
from tests.support.running.program import PREGEN, environment, run_pregen

if TYPE_CHECKING:
    from pathlib import Path

    from PIL import Image

    from tests.support.running.program import Finished

pytestmark = needs(Capability.NUMBERED_FILES)

#: What was changed less than a second ago is not known again by its change time.
SETTLED_S = 1.1


def settle() -> None:
    time.sleep(SETTLED_S)


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Pictures of every format, a small one, and a file that is none."""
    folder = tmp_path / "photos"
    for name, data in every_format().items():
        put(folder / name, data, MTIME_NS)
    put(folder / "dot.png", encode(photo(60, 40, seed=3), "PNG"), MTIME_NS)
    put(folder / "notes.zzz", b"no picture\n" * 20, MTIME_NS)
    settle()
    return folder


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / "cache"


def run(photos: Path, cache: Path, *more: str) -> Finished:
    done = run_pregen("run", "--json", "-v", *more, photos, cache=cache)
    assert done.code == 0, done
    return done


def image(cache: Path, source: Path) -> Image.Image:
    return foreign_entries.read(cache, "large", source).image


def traced(*more: str | Path, cache: Path, log: Path) -> Finished:
    """Run with all opens of all processes written to a file."""
    wrapper = ("strace", "-f", "-qq", "-e", "trace=open,openat", "-o", str(log))
    return run_pregen("run", "--json", "-v", *more, cache=cache, prefix=wrapper)


@needs(Capability.GIO, Capability.STRACE)
@pytest.mark.parametrize("more", [(), ("--check=full",), ("--flavors=large,x-large",)])
def test_no_file_of_a_moved_folder_is_opened(
    tmp_path: Path, photos: Path, cache: Path, more: tuple[str, ...]
) -> None:
    first = run(photos, cache, *more)
    made = [name for name, kind in first.kinds().items() if kind == "made"]
    assert len(made) > 8
    moved = tmp_path / "elsewhere" / "moved"
    moved.parent.mkdir()
    photos.rename(moved)

    log = tmp_path / "opens"
    done = traced(*more, moved, cache=cache, log=log)
    assert done.code == 0, done
    opened = log.read_text().splitlines()
    assert [line for line in opened if str(moved) + "/" in line] == []
    assert [line for line in opened if "engines/local/supervisor" in line] == []
    assert done.summary["bytes_read"] == 0
    kinds = done.kinds()
    assert {name: kinds[name] for name in made} == dict.fromkeys(made, "reused")
    assert kinds["dot.png"] == "small"
    assert kinds["notes.zzz"] == "not-a-picture"
    answers = desktops.gio(cache, [moved / name for name in made])
    assert [answer.valid for answer in answers] == [True] * len(made)
    again = run(moved, cache, "--check=full", *[each for each in more if "check" not in each])
    assert again.summary["kinds"]["fresh"] == len(made)


@needs(Capability.LOOP_DISK)
def test_an_inode_used_again_by_a_file_of_the_same_size_and_time_gets_its_own_picture(
    tmp_path: Path, cache: Path
) -> None:
    first, second = (encode(photo(300, 200, seed=seed), "BMP") for seed in (1, 2))
    assert len(first) == len(second)
    with LoopDisk(tmp_path / "disk", inodes=32) as disk:
        photos = disk.point / "photos"
        while disk.free_inodes() > 2:
            put(photos / f"{disk.free_inodes():02}.bmp", first, MTIME_NS)
        settle()
        run(photos, cache)
        used = {source.stat().st_ino for source in photos.iterdir()}
        names = [source.name for source in photos.iterdir()]
        shutil.rmtree(photos)
        disk.remount()
        photos = disk.point / "others"
        for name in names[1:]:
            put(photos / name, second, MTIME_NS)
        settle()
        again = [source for source in photos.iterdir() if source.stat().st_ino in used]
        assert len(again) > len(names) // 2
        assert run(photos, cache).summary["kinds"].keys() <= {"made", "reused"}
        truth = tmp_path / "truth"
        run(photos, truth, "--no-reuse")
        for source in again:
            assert psnr_db(image(cache, source), image(truth, source)) > 60


@needs(Capability.LOOP_DISK)
def test_a_disk_is_known_again_when_it_was_taken_out(tmp_path: Path, cache: Path) -> None:
    with LoopDisk(tmp_path / "disk") as disk:
        for number in range(4):
            put(disk.point / "a" / f"{number}.bmp", encode(photo(300, 200, seed=number), "BMP"))
        settle()
        run(disk.point / "a", cache)
        (disk.point / "a").rename(disk.point / "b")
        disk.remount()
        done = run(disk.point / "b", cache)
        assert (done.summary["kinds"], done.summary["bytes_read"]) == ({"reused": 4}, 0)


@pytest.mark.parametrize("known", ["inode", "everything but the change time"])
def test_a_number_alone_is_not_believed(tmp_path: Path, cache: Path, known: str) -> None:
    """The journal is told that another file of this size and time had this number."""
    one = put(tmp_path / "one" / "a.bmp", encode(photo(300, 200, seed=1), "BMP"), MTIME_NS)
    settle()
    run(one.parent, cache)
    two = put(tmp_path / "two" / "a.bmp", encode(photo(300, 200, seed=2), "BMP"), MTIME_NS)
    settle()
    facts = two.stat()
    with closing(sqlite3.connect(journal(cache))) as connection, connection:
        connection.execute("UPDATE known_files SET inode = ?", [facts.st_ino])
        if known == "inode":
            connection.execute("UPDATE known_files SET mtime_ns = mtime_ns + 1")
    assert run(two.parent, cache).summary["kinds"] == {"made": 1}


def test_what_was_changed_in_place_with_its_time_put_back_is_looked_at(
    tmp_path: Path, cache: Path
) -> None:
    source = put(tmp_path / "one" / "a.bmp", encode(photo(300, 200, seed=1), "BMP"), MTIME_NS)
    settle()
    run(source.parent, cache)
    with source.open("r+b") as file:
        file.write(encode(photo(300, 200, seed=2), "BMP"))
    os.utime(source, ns=(MTIME_NS, MTIME_NS))
    settle()
    moved = source.parent.rename(tmp_path / "two")
    assert run(moved, cache).summary["kinds"] == {"made": 1}


def test_an_entry_of_another_file_under_the_old_name_is_not_taken(
    tmp_path: Path, cache: Path
) -> None:
    """Of the same size and time, and so taken for fresh there."""
    old, other = (encode(photo(300, 200, seed=seed), "BMP") for seed in (1, 2))
    source = put(tmp_path / "one" / "a.bmp", old, MTIME_NS)
    settle()
    run(source.parent, cache)
    moved = source.parent.rename(tmp_path / "two")
    put(source, other, MTIME_NS)
    run(source.parent, cache, "--force")
    assert run(moved, cache).summary["kinds"] == {"made": 1}
    assert psnr_db(image(cache, moved / "a.bmp"), image(cache, source)) < 25


def test_copies_links_and_renamed_files_go_by_their_content(
    tmp_path: Path, photos: Path, cache: Path
) -> None:
    first = run(photos, cache)
    made = sorted(name for name, kind in first.kinds().items() if kind == "made")
    copy = tmp_path / "copy"
    shutil.copytree(photos, copy)
    found = run(copy, cache)
    assert found.summary["bytes_read"] > 0
    assert {found.kinds()[name] for name in made} == {"reused"}
    for name in made:
        assert psnr_db(image(cache, copy / name), image(cache, photos / name)) > 90
    for name in made:
        (photos / name).rename(photos / ("renamed-" + name))
    settle()
    found = run(photos, cache)
    assert {found.kinds()["renamed-" + name] for name in made} == {"reused"}
    # ... and are known by their numbers from then on
    settle()
    shown = run(photos.rename(tmp_path / "third"), cache)
    assert shown.summary["bytes_read"] == 0
    assert {shown.kinds()["renamed-" + name] for name in made} == {"reused"}


def test_an_entry_that_is_gone_damaged_or_outdated_is_left_to_a_worker(
    tmp_path: Path, photos: Path, cache: Path
) -> None:
    made = sorted(name for name, kind in run(photos, cache).kinds().items() if kind == "made")
    gone, cut, flipped, other = made[:4]
    foreign_entries.read(cache, "normal", photos / gone).path.unlink()
    entry = foreign_entries.read(cache, "large", photos / cut)
    entry.path.write_bytes(entry.data[:-20])
    entry = foreign_entries.read(cache, "large", photos / flipped)
    middle = len(entry.data) // 2
    changed = bytes([entry.data[middle] ^ 1])
    entry.path.write_bytes(entry.data[:middle] + changed + entry.data[middle + 1 :])
    strange = foreign_entries.read(cache, "large", photos / made[-1])
    foreign_entries.read(cache, "large", photos / other).path.write_bytes(strange.data)
    moved = photos.rename(tmp_path / "moved")
    kinds = run(moved, cache).kinds()
    assert {name: kinds[name] for name in made[:4]} == dict.fromkeys(made[:4], "made")
    assert {kinds[name] for name in made[4:]} == {"reused"}
    assert run(moved, cache, "--check=full").summary["kinds"]["fresh"] == len(made)


@needs(Capability.STRACE, Capability.COMPILED)
@pytest.mark.parametrize(("call", "when"), [("writev", 1), ("renameat", 9)])
def test_a_run_killed_while_it_takes_over_loses_nothing(
    tmp_path: Path, photos: Path, cache: Path, call: str, when: int
) -> None:
    first = run(photos, cache)
    made = [name for name, kind in first.kinds().items() if kind == "made"]
    before = foreign_entries.identities(cache)
    moved = photos.rename(tmp_path / "moved")
    inject = f"inject={call}:signal=KILL:when={when}"
    killing = ("strace", "-f", "-qq", "-e", f"trace={call}", "-e", inject, "-o", "/dev/null")
    done = run_pregen("run", "--json", moved, cache=cache, prefix=killing)
    assert done.code not in {0, 1, 2, 3}, done
    for path in foreign_entries.files(cache):
        if path.suffix == ".png":
            png_walk.chunks(path.read_bytes())
    assert before.items() <= foreign_entries.identities(cache).items()

    again = run(moved, cache)
    assert again.summary["bytes_read"] == 0
    assert {again.kinds()[name] for name in made} <= {"reused", "fresh"}
    assert foreign_entries.leftovers(cache) == []
    assert run(moved, cache, "--check=full").summary["kinds"]["fresh"] == len(made)


@needs(Capability.STRACE, Capability.COMPILED)
def test_what_is_taken_over_while_an_error_ends_the_run_is_recorded(
    tmp_path: Path, photos: Path, cache: Path
) -> None:
    run(photos, cache)
    before = len(foreign_entries.identities(cache))
    moved = photos.rename(tmp_path / "moved")
    slowly = ("-e", "trace=renameat", "-e", "inject=renameat:delay_enter=20000")
    with subprocess.Popen(
        ["strace", "-f", "-qq", *slowly, "-o", "/dev/null", *PREGEN, "run", "--files-from", "-"],
        env=environment(cache, None),
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    ) as running:
        assert running.stdin is not None
        running.stdin.write(b"".join(os.fsencode(path) + b"\n" for path in moved.iterdir()))
        running.stdin.flush()
        until_s = time.monotonic() + 60
        while len(foreign_entries.identities(cache)) == before:
            assert time.monotonic() < until_s
            time.sleep(0.001)
        _, told = running.communicate(bytes(200_000))
    assert running.returncode == 2
    assert b"no delimiter" in told
    (status,) = run_pregen("status", "--json", cache=cache).records
    written = len(foreign_entries.identities(cache)) - before
    assert status["runs"][0]["entries_written"] == written


@pytest.mark.parametrize("flag", ["--no-reuse", "--force"])
def test_who_wants_pictures_made_gets_them_made(
    tmp_path: Path, photos: Path, cache: Path, flag: str
) -> None:
    made = [name for name, kind in run(photos, cache).kinds().items() if kind == "made"]
    kinds = run(photos.rename(tmp_path / "moved"), cache, flag).kinds()
    assert {kinds[name] for name in made} == {"made"}


def test_names_that_qt_writes_otherwise_and_real_paths_get_their_entries(
    tmp_path: Path, photos: Path, cache: Path
) -> None:
    made = [name for name, kind in run(photos, cache).kinds().items() if kind == "made"]
    moved = photos.rename(tmp_path / "a;b [c]")
    link = tmp_path / "link"
    link.symlink_to(moved)
    done = run(link, cache, "--realpath-keys=always")
    assert done.summary["bytes_read"] == 0
    assert {done.kinds()[name] for name in made} == {"reused"}
    assert done.summary["entries_written"] > 2 * len(made)
    verified = run_pregen("verify", "--cache", cache / "thumbnails")
    assert verified.code == 0, verified
    assert run(moved, cache).summary["bytes_read"] == 0


def test_a_name_that_makes_a_file_a_damaged_picture_is_heeded(tmp_path: Path, cache: Path) -> None:
    plain = put(tmp_path / "one" / "text.zzz", b"no picture\n" * 20, MTIME_NS)
    settle()
    assert run(plain.parent, cache).summary["kinds"] == {"not-a-picture": 1}
    named = plain.rename(plain.with_suffix(".jpg"))
    settle()
    with closing(sqlite3.connect(journal(cache))) as connection, connection:
        # a file system whose files keep their change time when they are renamed
        connection.execute("UPDATE known_files SET ctime_ns = ?", [named.stat().st_ctime_ns])
    assert run_pregen("run", "--json", named.parent, cache=cache).summary["kinds"] == {"invalid": 1}


def journal(cache: Path) -> Path:
    [found] = cache.parent.glob("**/journal.sqlite3")
    return found
