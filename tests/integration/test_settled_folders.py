"""Folders that are settled as a whole: a run says the same as one that looks at each file."""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING, Any

import pytest

from pregen.thumbspec.naming import entry_name
from pregen.thumbspec.uri import file_uri
from tests.support.files.pictures import jpeg, put
from tests.support.running.program import run_pregen

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

COUNT = 6


class Filled:
    """A library with two folders whose entries are there and remembered."""

    def __init__(self, base: Path) -> None:
        self.photos, self.cache = base / "photos", base / "cache"
        for folder in ("one", "two/below"):
            for number in range(COUNT):
                put(self.photos / folder / f"{number}.jpg", jpeg(300, 200, seed=number))
        self.run()
        assert self.run()["kinds"] == {"fresh": 2 * COUNT}

    def run(self, *flags: str) -> dict[str, Any]:
        """Return the summary of a run."""
        return run_pregen("run", "--json", *flags, self.photos, cache=self.cache).summary

    def told(self, *flags: str) -> dict[str, Any]:
        """Return what a run would do, all times left out."""
        summary = self.run("--dry-run", *flags)
        return {name: summary[name] for name in ("kinds", "passed_over", "would")}

    def source(self, number: int = 2) -> Path:
        return self.photos / "one" / f"{number}.jpg"

    def entry(self, number: int = 2, flavor: str = "large") -> Path:
        name = entry_name(file_uri(os.fsencode(self.source(number))))
        return self.cache / "thumbnails" / flavor / name


def nothing(_: Filled) -> None:
    """Leave all as it is."""


def source_changed(library: Filled) -> None:
    put(library.source(), jpeg(310, 200, seed=9))


def source_gone(library: Filled) -> None:
    library.source().unlink()


def source_came(library: Filled) -> None:
    put(library.photos / "two" / "new.jpg", jpeg(300, 200, seed=20))
    put(library.photos / "one" / "new.jpg", jpeg(300, 200, seed=21))


def entry_truncated(library: Filled) -> None:
    """Cut in place at the very time that is remembered: nothing but its size tells."""
    there = library.entry().stat()
    os.truncate(library.entry(), 100)
    os.utime(library.entry(), ns=(there.st_atime_ns, there.st_mtime_ns))


def entry_replaced(library: Filled) -> None:
    """Put something of its size and with its times in its place: only its inode tells."""
    copy = library.entry().with_name("copy")
    copy.write_bytes(bytes(library.entry().stat().st_size))
    shutil.copystat(library.entry(), copy)
    copy.rename(library.entry())


def entry_gone(library: Filled) -> None:
    library.entry(3, "normal").unlink()


def entry_of_another_flavor(library: Filled) -> None:
    other = library.cache / "thumbnails" / "x-large" / library.entry().name
    other.parent.mkdir(mode=0o700)
    other.write_bytes(b"")


def cache_emptied(library: Filled) -> None:
    shutil.rmtree(library.cache / "thumbnails")


def sidecars(library: Filled) -> None:
    for number in range(COUNT):
        put(library.photos / "one" / f"{number}.jpg.xmp", b"<x/>")
    put(library.photos / "one" / ".hidden.jpg", jpeg(300, 200))


def no_media(library: Filled) -> None:
    put(library.photos / "one" / ".nomedia", b"")


def links(library: Filled) -> None:
    (library.photos / "one" / "link.jpg").symlink_to(library.source())
    (library.photos / "one" / "dead.jpg").symlink_to("nowhere")
    (library.photos / "one" / "folder").symlink_to(library.photos / "two")
    os.mkfifo(library.photos / "one" / "fifo.jpg")


def become_a_folder(library: Filled) -> None:
    library.source().unlink()
    put(library.source() / "inside.jpg", jpeg(300, 200, seed=30))


CHANGES = [
    nothing, source_changed, source_gone, source_came, entry_truncated, entry_replaced, entry_gone,
    entry_of_another_flavor, cache_emptied, sidecars, no_media, links, become_a_folder,
]  # fmt: skip


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.__name__)
def test_whole_folders_say_what_single_files_say(
    change: Callable[[Filled], None], tmp_path: Path
) -> None:
    library = Filled(tmp_path)
    before = library.told()
    change(library)
    told = library.told()
    assert told == library.told("--verbose")  # whose names are listed, one by one
    assert told == library.told("--order", "newest")
    assert (told == before) is (change is nothing)


def test_what_is_settled_is_found_by_hidden_and_shares_alike(tmp_path: Path) -> None:
    library = Filled(tmp_path)
    put(library.photos / "one" / ".hidden.jpg", jpeg(300, 200, seed=40))
    library.run("--hidden")
    assert library.told("--hidden")["kinds"] == {"fresh": 2 * COUNT + 1}
    assert library.told()["kinds"] == {"fresh": 2 * COUNT}
    shares = [library.told("--shard", f"{number}/2")["kinds"]["fresh"] for number in (1, 2)]
    assert sum(shares) == 2 * COUNT


def test_patterns_choose_among_what_is_remembered(tmp_path: Path) -> None:
    library = Filled(tmp_path)
    assert library.told("--exclude", "2.jpg")["kinds"] == {"fresh": 2 * COUNT - 2}
    assert library.told("--exclude", "two/")["kinds"] == {"fresh": COUNT}
