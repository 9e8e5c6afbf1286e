"""The walk on real folders: what it finds, what rules keep out, what it says of the rest."""

from __future__ import annotations

import gc
import os
import shutil
import socket
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pregen.config import Order, WalkConfig
from pregen.errors import UsageError
from pregen.model import Kind, Skip, Source
from pregen.walk import WalkCounts, tree, walk
from tests.support.running.capabilities import Capability, needs

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

#: A user id that owns nothing here.
NOBODY = 65534


def put(path: Path, size: int = 1) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(bytes(size))
    return path


def walked(*roots: Path | str, **rules: Any) -> list[Source | Skip]:
    return list(walk(WalkConfig(roots=tuple(os.fsencode(root) for root in roots), **rules)))


def names(top: Path, *roots: Path | str, **rules: Any) -> list[str]:
    """Sources as paths below `top`, in their order; there must be no skip."""
    found = walked(*(roots or (top,)), **rules)
    assert [item for item in found if isinstance(item, Skip)] == []
    return [os.path.relpath(os.fsdecode(item.path), top) for item in found]


def skips(*roots: Path, **rules: Any) -> dict[str, tuple[Kind, str]]:
    """Skips by name."""
    return {
        Path(os.fsdecode(item.path)).name: (item.kind, item.message)
        for item in walked(*roots, **rules)
        if isinstance(item, Skip)
    }


# -- what is found ------------------------------------------------------------------------------


def test_a_source_is_what_stat_says(tmp_path: Path) -> None:
    file = put(tmp_path / "a.jpg", 1234)
    os.utime(file, ns=(0, 1_600_000_000_123_456_789))
    there = file.stat()
    facts = 1234, 1_600_000_000_123_456_789, there.st_dev, False, there.st_ino, there.st_ctime_ns
    assert walked(tmp_path) == [Source(os.fsencode(file), *facts)]


def test_files_of_a_folder_come_first_and_all_by_name(tmp_path: Path) -> None:
    expected = ["a.jpg", "b.jpg", "c/a.jpg", "c/d/a.jpg", "c/e/a.jpg", "d/a.jpg", "d/z.jpg"]
    for name in reversed(expected):
        put(tmp_path / name)
    assert names(tmp_path) == expected


def test_names_of_any_bytes_are_found(tmp_path: Path) -> None:
    top = os.fsencode(tmp_path)
    odd = [b"a b;[1]#%41?.jpg", b"new\nline", b"-x", b"\xff\xfe.jpg", b"x" * 255, "📷".encode()]
    for name in odd:
        with open(top + b"/" + name, "wb"):
            pass
    found = [source.path for source in walked(tmp_path)]
    assert found == sorted(top + b"/" + name for name in odd)


def test_the_walk_is_lazy(tmp_path: Path) -> None:
    put(tmp_path / "a.jpg")
    late = tmp_path / "later"
    late.mkdir()
    found = walk(WalkConfig(roots=(os.fsencode(tmp_path),)))
    assert next(found).path.endswith(b"/a.jpg")
    put(late / "b.jpg")
    assert [item.path for item in found] == [os.fsencode(late / "b.jpg")]


def test_a_deep_tree_needs_no_deep_stack() -> None:
    depth = sys.getrecursionlimit() + 100
    top = tempfile.mkdtemp(dir="/dev/shm")
    deepest = f"{top}{'/d' * depth}"
    try:
        subprocess.run(["mkdir", "-p", deepest], check=True)
        subprocess.run(["touch", f"{deepest}/a.jpg"], check=True)
        assert [item.path for item in walked(top)] == [os.fsencode(f"{deepest}/a.jpg")]
    finally:
        # Python's own removal is not up to it.
        subprocess.run(["rm", "-r", top], check=True)


@pytest.mark.parametrize("pieces", [1, 2, 3, 7])
def test_a_folder_larger_than_a_piece_is_found_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pieces: int
) -> None:
    monkeypatch.setattr(tree, "SORTED_ENTRIES", pieces)
    expected = {f"{number}.jpg" for number in range(10)} | {f"s{n}/a.jpg" for n in range(5)}
    for name in expected:
        put(tmp_path / name)
    found = names(tmp_path)
    assert len(found) == len(expected)
    assert set(found) == expected


def test_folders_and_what_was_passed_over_are_counted(tmp_path: Path) -> None:
    for name in ("a.jpg", "b.txt", ".c.jpg", "d/e.wav", "d/f.jpg", ".git/x", "d/g.nef"):
        put(tmp_path / name)
    counts = WalkCounts()
    config = WalkConfig(roots=(os.fsencode(tmp_path),), exclude=(b"*.nef",))
    assert len(list(walk(config, counts=counts))) == 2
    assert counts == WalkCounts(folders=2, passed_over=5)


@pytest.mark.parametrize(
    ("order", "expected"),
    [
        (Order.WALK, ["a.jpg", "b.jpg", "c.jpg", "d/a.jpg"]),
        (Order.NEWEST, ["b.jpg", "d/a.jpg", "a.jpg", "c.jpg"]),
        (Order.OLDEST, ["a.jpg", "c.jpg", "d/a.jpg", "b.jpg"]),
    ],
)
def test_the_order_is_what_was_asked_for(tmp_path: Path, order: Order, expected: list[str]) -> None:
    for name, day in (("a.jpg", 1), ("b.jpg", 3), ("c.jpg", 1), ("d/a.jpg", 2)):
        os.utime(put(tmp_path / name), (day, day))
    assert names(tmp_path, order=order) == expected


def test_listed_sources_are_put_in_order_with_the_others(tmp_path: Path) -> None:
    os.utime(put(tmp_path / "a.jpg"), (5, 5))
    listed = [Source(b"/new", 1, 9 * 10**9), Source(b"/old", 1, 10**9)]
    config = WalkConfig(roots=(os.fsencode(tmp_path),), order=Order.NEWEST)
    found = walk(config, listed=listed, spool_dir=os.fsencode(tmp_path))
    assert [item.path[-4:] for item in found] == [b"/new", b".jpg", b"/old"]


# -- what rules keep out ------------------------------------------------------------------------


def test_hidden_files_and_folders_wait_to_be_asked_for(tmp_path: Path) -> None:
    for name in ("a.jpg", ".b.jpg", ".c/d.jpg", "e/.f.jpg"):
        put(tmp_path / name)
    assert names(tmp_path) == ["a.jpg"]
    assert names(tmp_path, hidden=True) == [".b.jpg", "a.jpg", ".c/d.jpg", "e/.f.jpg"]


@pytest.mark.parametrize(
    "folder",
    [".thumbnails", ".sh_thumbnails", ".thumblocal", ".git", "@eaDir", ".cache/thumbnails"],
)
def test_some_folders_are_never_entered(tmp_path: Path, folder: str) -> None:
    put(tmp_path / folder / "a.png")
    put(tmp_path / folder / "large" / "a.png")
    assert names(tmp_path, hidden=True) == []


def test_a_folder_is_not_judged_by_its_extension(tmp_path: Path) -> None:
    put(tmp_path / "holidays.zip" / "a.jpg")
    assert names(tmp_path) == ["holidays.zip/a.jpg"]


@pytest.mark.parametrize("pieces", [1, 2, 1_000])
def test_a_folder_with_nomedia_is_left_out_with_all_below_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pieces: int
) -> None:
    monkeypatch.setattr(tree, "SORTED_ENTRIES", pieces)
    for name in ("a.jpg", "n/.nomedia", "n/a.jpg", "n/b.jpg", "n/!.jpg", "n/c/d.jpg"):
        put(tmp_path / name)
    assert [item.path for item in walked(tmp_path) if isinstance(item, Source)] == [
        os.fsencode(tmp_path / "a.jpg")
    ]
    assert skips(tmp_path) == {"n": (Kind.EXCLUDED, "holds a .nomedia file")}


def test_patterns_choose_files_and_prune_folders(tmp_path: Path) -> None:
    for name in ("a.jpg", "a.png", "raw/a.jpg", "x/raw/b.jpg", "x/y/c.jpg", "x/IMG_1.jpg"):
        put(tmp_path / name)
    every = sorted(names(tmp_path))
    assert names(tmp_path, include=(b"*.png",)) == ["a.png"]
    assert names(tmp_path, exclude=(b"raw",)) == ["a.jpg", "a.png", "x/IMG_1.jpg", "x/y/c.jpg"]
    assert names(tmp_path, exclude=(b"/raw", b"*.png", b"x/[IJ]*")) == [
        "a.jpg", "x/raw/b.jpg", "x/y/c.jpg"
    ]  # fmt: skip
    assert names(tmp_path, include=(b"x/**",), exclude=(b"IMG*",)) == ["x/raw/b.jpg", "x/y/c.jpg"]
    without_x = sorted(names(tmp_path, exclude=(os.fsencode(tmp_path / "x"),)))
    assert without_x == [name for name in every if not name.startswith("x/")]


def test_an_excluded_folder_is_not_read_at_all(tmp_path: Path) -> None:
    put(tmp_path / "private" / "sub" / "a.jpg")
    counts = WalkCounts()
    config = WalkConfig(roots=(os.fsencode(tmp_path),), exclude=(b"private/",))
    assert list(walk(config, counts=counts)) == []
    assert counts.folders == 1


def test_a_senseless_pattern_is_refused_at_once(tmp_path: Path) -> None:
    with pytest.raises(UsageError):
        walk(WalkConfig(roots=(os.fsencode(tmp_path),), include=(b"[z-a]",)))


# -- the cache in use ---------------------------------------------------------------------------


def test_the_cache_in_use_is_never_walked(tmp_path: Path) -> None:
    cache = tmp_path / "pics" / "cache"
    put(cache / "large" / "a.png")
    put(tmp_path / "pics" / "a.png")
    assert names(tmp_path, cache_root=os.fsencode(cache)) == ["pics/a.png"]


def test_the_cache_is_known_under_another_name(tmp_path: Path) -> None:
    put(tmp_path / "real" / "thumbs" / "large" / "a.png")
    (tmp_path / "alias").symlink_to("real")
    cache = os.fsencode(tmp_path / "alias" / "thumbs")
    assert names(tmp_path / "real", cache_root=cache) == []
    (tmp_path / "pics").mkdir()
    (tmp_path / "pics" / "shortcut").symlink_to("../real/thumbs/large")
    assert names(tmp_path / "pics", cache_root=cache, follow_symlinks=True) == []


@pytest.mark.parametrize("place", ["", "large", "large/a.png"])
def test_naming_the_cache_does_not_open_it(tmp_path: Path, place: str) -> None:
    cache = tmp_path / "cache"
    put(cache / "large" / "a.png")
    (tmp_path / "link").symlink_to("cache")
    for root in (cache / place, tmp_path / "link" / place):
        [skip] = walked(root, cache_root=os.fsencode(cache))
        assert isinstance(skip, Skip)
        assert skip.path == os.fsencode(root)
        assert (skip.kind, "thumbnail cache" in skip.message) == (Kind.EXCLUDED, True)


def test_other_caches_are_not_opened_by_naming_them_either(tmp_path: Path) -> None:
    file = put(tmp_path / "u" / ".cache" / "thumbnails" / "large" / "a.png")
    assert skips(file)["a.png"][0] is Kind.EXCLUDED
    assert skips(file.parent)["large"][0] is Kind.EXCLUDED


def test_a_cache_that_is_not_there_yet_does_no_harm(tmp_path: Path) -> None:
    put(tmp_path / "a.jpg")
    assert names(tmp_path, cache_root=os.fsencode(tmp_path / "cache")) == ["a.jpg"]


# -- roots --------------------------------------------------------------------------------------


def test_what_is_named_is_taken(tmp_path: Path) -> None:
    files = [".hidden.jpg", "notes.txt", "out/a.jpg", ".dir/b.jpg", "n/c.jpg"]
    for name in (*files, "n/.nomedia"):
        put(tmp_path / name)
    rules = {"exclude": (b"*.jpg",), "include": (b"*.none",)}
    roots = [tmp_path / name for name in files]
    assert names(tmp_path, *roots, **rules) == files
    assert names(tmp_path, tmp_path / ".dir", tmp_path / "n") == [".dir/b.jpg", "n/c.jpg"]


def test_roots_come_in_the_order_given_and_once(tmp_path: Path) -> None:
    for name in ("a/1.jpg", "b/2.jpg", "b/c/3.jpg", "4.jpg"):
        put(tmp_path / name)
    a, b = tmp_path / "a", tmp_path / "b"
    assert names(tmp_path, b, a) == ["b/2.jpg", "b/c/3.jpg", "a/1.jpg"]
    assert names(tmp_path, a, a, f"{a}/", f"{b}/../a", a / "1.jpg") == ["a/1.jpg"]


def test_roots_that_overlap_give_each_source_once(tmp_path: Path) -> None:
    for name in ("b/2.jpg", "b/.h/3.jpg", "b/.h/x.jpg", "b/c/4.jpg", "b/c/5.jpg"):
        put(tmp_path / name)
    roots = [tmp_path / name for name in ("b", "b/.h", "b/c", "b/c/4.jpg", "b/2.jpg")]
    found = names(tmp_path, *roots)
    assert sorted(found) == ["b/.h/3.jpg", "b/.h/x.jpg", "b/2.jpg", "b/c/4.jpg", "b/c/5.jpg"]


def test_paths_are_as_the_user_browses_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(tmp_path / "disk" / "pics" / "a.jpg")
    put(tmp_path / "b.jpg")
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "Pictures").symlink_to("../disk/pics")
    seen = tmp_path / "home" / "Pictures"
    assert names(tmp_path, seen) == ["home/Pictures/a.jpg"]
    assert names(tmp_path, f"{tmp_path}//home/./Pictures/") == ["home/Pictures/a.jpg"]
    monkeypatch.chdir(seen)
    monkeypatch.setenv("PWD", str(seen))
    assert names(tmp_path, ".") == ["home/Pictures/a.jpg"]
    assert names(tmp_path, "a.jpg") == ["home/Pictures/a.jpg"]
    # By the text, as file managers do it; the kernel would look in disk/.
    with pytest.raises(UsageError):
        walked("../pics")


@pytest.mark.parametrize(
    "pwd", ["", "relative", "/", "{}/home/../disk/pics", "{}/home/./Pictures", "/no/such"]
)
def test_a_working_directory_the_shell_did_not_set_is_not_believed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pwd: str
) -> None:
    put(tmp_path / "disk" / "pics" / "a.jpg")
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "Pictures").symlink_to("../disk/pics")
    monkeypatch.chdir(tmp_path / "home" / "Pictures")
    monkeypatch.setenv("PWD", pwd.format(tmp_path))
    assert names(tmp_path, ".") == ["disk/pics/a.jpg"]
    monkeypatch.delenv("PWD")
    assert names(tmp_path, ".") == ["disk/pics/a.jpg"]


def test_a_deleted_working_directory_matters_for_relative_roots_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(tmp_path / "a.jpg")
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    assert names(tmp_path, tmp_path) == ["a.jpg"]
    with pytest.raises(UsageError, match="working directory"):
        walked("a.jpg")


def test_missing_roots_end_the_run_before_it_begins(tmp_path: Path) -> None:
    put(tmp_path / "a.jpg")
    (tmp_path / "dangling").symlink_to("nowhere")
    roots = [tmp_path, tmp_path / "no", tmp_path / "a.jpg" / "b", tmp_path / "dangling"]
    with pytest.raises(UsageError) as caught:
        walk(WalkConfig(roots=tuple(os.fsencode(root) for root in roots)))
    assert all(str(root) in str(caught.value) for root in roots[1:])
    assert f"{tmp_path}," not in str(caught.value)


def test_many_missing_roots_are_counted(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="and 7 more"):
        walked(*(tmp_path / str(number) for number in range(12)))


def test_an_empty_path_is_refused() -> None:
    with pytest.raises(UsageError, match="empty"):
        walked("")


def test_no_roots_give_nothing() -> None:
    assert walked() == []


# -- links and special files --------------------------------------------------------------------


def test_symlinked_files_are_taken_with_the_facts_of_their_target(tmp_path: Path) -> None:
    target = put(tmp_path / "elsewhere" / "a.jpg", 77)
    os.utime(target, (5, 5))
    (tmp_path / "pics").mkdir()
    (tmp_path / "pics" / "link.jpg").symlink_to(target)
    (tmp_path / "pics" / "again.jpg").symlink_to("link.jpg")
    pics = os.fsencode(tmp_path / "pics")
    there = target.stat()
    facts = 77, 5 * 10**9, there.st_dev, False, there.st_ino, there.st_ctime_ns
    assert walked(tmp_path / "pics") == [
        Source(pics + b"/again.jpg", *facts),
        Source(pics + b"/link.jpg", *facts),
    ]


def test_links_to_nothing_are_named(tmp_path: Path) -> None:
    (tmp_path / "dangling.jpg").symlink_to("nowhere.jpg")
    (tmp_path / "self.jpg").symlink_to("self.jpg")
    (tmp_path / "note.txt").symlink_to("nowhere.txt")
    expected = (Kind.VANISHED, "dangling symbolic link")
    assert skips(tmp_path) == {"dangling.jpg": expected, "self.jpg": expected}


def test_symlinked_folders_are_entered_on_request(tmp_path: Path) -> None:
    put(tmp_path / "disk" / "a.jpg")
    put(tmp_path / "pics" / "b.jpg")
    (tmp_path / "pics" / "more.zip").symlink_to("../disk")
    (tmp_path / "pics" / "more").symlink_to("../disk")
    pics = tmp_path / "pics"
    [(name, (kind, message))] = skips(pics).items()
    assert (name, kind) == ("more", Kind.EXCLUDED)
    assert "--follow-symlinks" in message
    assert names(pics, follow_symlinks=True) == ["b.jpg", "more/a.jpg", "more.zip/a.jpg"]
    assert names(pics, exclude=(b"more*",)) == ["b.jpg"]


def test_loops_of_symlinks_end(tmp_path: Path) -> None:
    put(tmp_path / "a" / "b" / "c.jpg")
    (tmp_path / "a" / "b" / "up").symlink_to("..")
    (tmp_path / "a" / "b" / "here").symlink_to(".")
    (tmp_path / "a" / "top").symlink_to(tmp_path)
    found = walked(tmp_path, follow_symlinks=True)
    [source] = (item for item in found if isinstance(item, Source))
    assert source.path == os.fsencode(tmp_path / "a" / "b" / "c.jpg")
    assert skips(tmp_path, follow_symlinks=True) == dict.fromkeys(
        ("up", "here", "top"), (Kind.EXCLUDED, "a symbolic link to a folder that contains it")
    )


def test_a_link_into_its_own_branch_from_beside_is_no_loop(tmp_path: Path) -> None:
    put(tmp_path / "a" / "x.jpg")
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "a").symlink_to("../a")
    assert names(tmp_path, follow_symlinks=True) == ["a/x.jpg", "b/a/x.jpg"]


def test_a_loop_behind_a_link_ends(tmp_path: Path) -> None:
    put(tmp_path / "disk" / "a.jpg")
    (tmp_path / "disk" / "again").symlink_to(".")
    (tmp_path / "pics").mkdir()
    (tmp_path / "pics" / "more").symlink_to("../disk")
    found = walked(tmp_path / "pics", follow_symlinks=True)
    assert [item.path[-11:] for item in found] == [b"/more/a.jpg", b"/more/again"]


def test_following_links_does_not_take_what_cannot_be_a_picture(tmp_path: Path) -> None:
    put(tmp_path / "a.txt")
    (tmp_path / "b.txt").symlink_to("a.txt")
    (tmp_path / "c.jpg").symlink_to("a.txt")
    assert names(tmp_path, follow_symlinks=True) == ["c.jpg"]


def test_folders_that_link_to_each_other_end(tmp_path: Path) -> None:
    for one, other in (("a", "b"), ("b", "a")):
        put(tmp_path / one / f"{one}.jpg")
        (tmp_path / one / "link").symlink_to(f"../{other}")
    found = walked(tmp_path, follow_symlinks=True)
    start = len(os.fsencode(tmp_path)) + 1
    assert [item.path[start:] for item in found if isinstance(item, Source)] == [
        b"a/a.jpg",
        b"a/link/b.jpg",
        b"b/b.jpg",
        b"b/link/a.jpg",
    ]


def test_special_files_are_counted_and_never_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.jpg")
    (tmp_path / "device.jpg").symlink_to("/dev/null")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "sock"))
        assert skips(tmp_path) == {
            "pipe.jpg": (Kind.SPECIAL, "a FIFO"),
            "device.jpg": (Kind.SPECIAL, "a character device"),
            "sock": (Kind.SPECIAL, "a socket"),
        }
    assert skips(tmp_path / "pipe.jpg")["pipe.jpg"][0] is Kind.SPECIAL


def test_other_filesystems_are_left_alone_on_request(tmp_path: Path) -> None:
    with tempfile.TemporaryDirectory(dir="/dev/shm") as other:
        if Path(other).stat().st_dev == tmp_path.stat().st_dev:
            pytest.skip("needs /dev/shm to be a filesystem of its own")
        put(Path(other) / "b.jpg")
        put(tmp_path / "a.jpg")
        (tmp_path / "other").symlink_to(other)
        (tmp_path / "c.jpg").symlink_to(Path(other) / "b.jpg")
        rules = {"follow_symlinks": True, "one_file_system": True}
        assert skips(tmp_path, **rules) == {"other": (Kind.EXCLUDED, "on another file system")}
        found = walked(tmp_path, **rules)
        assert [i.path[-5:] for i in found if isinstance(i, Source)] == [b"a.jpg", b"c.jpg"]
        assert names(tmp_path, follow_symlinks=True) == ["a.jpg", "c.jpg", "other/b.jpg"]


@needs(Capability.MOUNT)
def test_mounted_filesystems_are_left_alone_on_request(tmp_path: Path) -> None:
    mounted = tmp_path / "mounted"
    put(tmp_path / "here" / "a.jpg")
    mounted.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "none", mounted], check=True)
    try:
        put(mounted / "b.jpg")
        assert skips(tmp_path, one_file_system=True) == {
            "mounted": (Kind.EXCLUDED, "on another file system")
        }
        assert names(tmp_path) == ["here/a.jpg", "mounted/b.jpg"]
        assert names(tmp_path, mounted, one_file_system=True) == ["mounted/b.jpg"]
    finally:
        subprocess.run(["umount", mounted], check=True)


# -- faults -------------------------------------------------------------------------------------


@pytest.fixture
def unprivileged() -> Iterator[tuple[Path, Callable[[], None]]]:
    """A folder that another user can reach, and a function that makes us that user."""
    place = Path(tempfile.mkdtemp(dir="/tmp"))
    place.chmod(0o755)
    was_root = os.geteuid() == 0

    def step_down() -> None:
        if was_root:
            os.seteuid(NOBODY)

    yield place, step_down
    if was_root:
        os.seteuid(0)
    for folder, subfolders, _ in os.walk(place):
        for name in subfolders:
            Path(folder, name).chmod(0o700)
    shutil.rmtree(place)


def test_an_unreadable_folder_is_named_and_the_walk_goes_on(
    unprivileged: tuple[Path, Callable[[], None]],
) -> None:
    place, step_down = unprivileged
    for name in ("a/1.jpg", "b/2.jpg", "c/3.jpg", "d/4.jpg", "d/sub/5.jpg"):
        put(place / name)
    (place / "b").chmod(0)
    (place / "d").chmod(0o744)
    step_down()
    found = walked(place)
    # "d" can be listed but not searched.
    expected = [
        (b"a/1.jpg", None),
        (b"b", "cannot list the folder: Permission denied"),
        (b"c/3.jpg", None),
        (b"d/4.jpg", "Permission denied"),
        (b"d/sub", "cannot list the folder: Permission denied"),
    ]
    start = len(os.fsencode(place)) + 1
    assert [(i.path[start:], getattr(i, "message", None)) for i in found] == expected
    assert {i.kind for i in found if isinstance(i, Skip)} == {Kind.UNREADABLE}


def test_a_root_that_cannot_be_examined_does_not_stop_the_others(
    unprivileged: tuple[Path, Callable[[], None]],
) -> None:
    place, step_down = unprivileged
    put(place / "closed" / "a.jpg")
    put(place / "b.jpg")
    (place / "closed").chmod(0)
    step_down()
    found = walked(place / "closed" / "a.jpg", place / "b.jpg")
    assert [getattr(item, "kind", None) for item in found] == [Kind.UNREADABLE, None]


def test_what_vanishes_during_the_walk_is_named(tmp_path: Path) -> None:
    for name in ("a.jpg", "b.jpg", "c.jpg", "d/e.jpg"):
        put(tmp_path / name)
    found = walk(WalkConfig(roots=(os.fsencode(tmp_path),)))
    assert isinstance(next(found), Source)
    (tmp_path / "b.jpg").unlink()
    shutil.rmtree(tmp_path / "d")
    top = os.fsencode(tmp_path)
    b, c, d = found
    assert b == Skip(top + b"/b.jpg", Kind.VANISHED, "deleted meanwhile")
    assert isinstance(c, Source)
    assert d == Skip(top + b"/d", Kind.VANISHED, "deleted meanwhile")


@pytest.mark.parametrize("follow", [False, True])
def test_a_root_that_vanishes_before_its_turn_is_named(tmp_path: Path, *, follow: bool) -> None:
    root = tmp_path / "root"
    root.mkdir()
    found = walk(WalkConfig(roots=(os.fsencode(root),), follow_symlinks=follow))
    root.rmdir()
    assert list(found) == [Skip(os.fsencode(root), Kind.VANISHED, "deleted meanwhile")]


def test_an_error_halfway_through_a_folder_keeps_what_was_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No filesystem at hand fails in the middle of a folder: the system call is stood in for."""
    for name in ("sick/a.jpg", "sick/b.jpg", "sick/c.jpg", "well/d.jpg"):
        put(tmp_path / name)

    class Failing:
        def __init__(self, path: bytes) -> None:
            self.real = real_scandir(path)
            self.left = 2 if path.endswith(b"/sick") else -1

        def __enter__(self) -> Self:
            return self

        def __exit__(self, *_: object) -> None:
            self.real.close()

        def __iter__(self) -> Self:
            return self

        def __next__(self) -> os.DirEntry[bytes]:
            if self.left == 0:
                raise OSError(5, "Input/output error")
            self.left -= 1
            return next(self.real)

    real_scandir = os.scandir
    monkeypatch.setattr(os, "scandir", Failing)
    found = walked(tmp_path)
    sick = [item for item in found if b"/sick" in item.path]
    assert [isinstance(item, Source) for item in sick] == [True, True, False]
    message = "cannot list all of the folder: Input/output error"
    assert sick[2] == Skip(os.fsencode(tmp_path / "sick"), Kind.UNREADABLE, message)
    assert found[-1].path == os.fsencode(tmp_path / "well" / "d.jpg")


def test_a_path_longer_than_the_system_takes_is_named(tmp_path: Path) -> None:
    deepest = os.open(tmp_path, os.O_RDONLY)
    part = "d" * 250
    for _ in range(20):
        os.mkdir(part, dir_fd=deepest)
        below = os.open(part, os.O_RDONLY, dir_fd=deepest)
        os.close(deepest)
        deepest = below
    os.close(deepest)
    [skip] = walked(tmp_path)
    assert isinstance(skip, Skip)
    assert (skip.kind, "too long" in skip.message) == (Kind.UNREADABLE, True)


def test_closing_the_walk_early_leaves_no_folder_open(tmp_path: Path) -> None:
    for number in range(5):
        put(tmp_path / f"{number}.jpg")
    gc.collect()  # what earlier tests left open is closed now, and not in between
    before = len(list(Path("/proc/self/fd").iterdir()))
    found = walk(WalkConfig(roots=(os.fsencode(tmp_path),)))
    next(found)
    del found
    assert len(list(Path("/proc/self/fd").iterdir())) == before


# -- against a model ----------------------------------------------------------------------------

_names = st.sampled_from(
    ["a.jpg", "B.JPG", "c", ".d.jpg", "e.txt", "f.wav", "g.thm", ".nomedia", "h", ".i", "@eaDir"]
)
_trees = st.dictionaries(
    _names,
    st.recursive(
        st.none(), lambda inner: st.dictionaries(_names, inner, max_size=5), max_leaves=15
    ),
)


def build(place: Path, model: dict[str, Any]) -> None:
    for name, inner in model.items():
        if inner is None:
            (place / name).write_bytes(b"")
        else:
            (place / name).mkdir()
            build(place / name, inner)


def expected_in(model: dict[str, Any], prefix: str, *, hidden: bool) -> list[str]:
    """What the rules in words say about a tree of dictionaries."""
    if prefix and ".nomedia" in model:
        return []
    seen = sorted(name for name in model if hidden or not name.startswith("."))
    files = [name for name in seen if model[name] is None and name not in {"e.txt", "f.wav"}]
    found = [prefix + name for name in files]
    for name in seen:
        if model[name] is not None and name != "@eaDir":
            found += expected_in(model[name], f"{prefix}{name}/", hidden=hidden)
    return found


@given(model=_trees, hidden=st.booleans(), piece=st.sampled_from([1, 2, 10_000]))
def test_any_tree_gives_what_the_rules_say(
    model: dict[str, Any], *, hidden: bool, piece: int
) -> None:
    with tempfile.TemporaryDirectory() as place, pytest.MonkeyPatch.context() as patch:
        patch.setattr(tree, "SORTED_ENTRIES", piece)
        build(Path(place), model)
        found = [
            os.path.relpath(os.fsdecode(item.path), place)
            for item in walked(place, hidden=hidden)
            if isinstance(item, Source)
        ]
        expected = expected_in(model, "", hidden=hidden)
        if piece == 10_000:
            assert found == expected
        assert sorted(found) == sorted(expected)
