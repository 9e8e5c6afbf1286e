"""`pregen clean` and originals that went away with what they lay on: real mounts, by hand."""

from __future__ import annotations

import os
import shutil
import subprocess
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from pregen.originals.status import MANY_TOGETHER, vanished_together
from tests.support.files.mixed_cache import png
from tests.support.files.pictures import jpeg, put
from tests.support.running.capabilities import Capability, needs
from tests.support.running.program import run_pregen

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@contextmanager
def tank(point: Path) -> Iterator[None]:
    """Have a tmpfs at a mount point, by hand."""
    point.mkdir(parents=True, exist_ok=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m", "tank", point], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", point], check=True)


def pictures(folder: Path, number: int) -> list[Path]:
    return [put(folder / f"{index}.jpg", jpeg(200, 150)) for index in range(number)]


def entries(cache: Path) -> int:
    return len([*cache.rglob("*.png")])


def foreign(cache: Path, files: list[Path]) -> None:
    """Make entries as another program does: the journal knows nothing of them."""
    from pregen.thumbspec.naming import entry_name  # noqa: PLC0415 - only here
    from pregen.thumbspec.uri import file_uri  # noqa: PLC0415 - only here

    for file in files:
        uri = file_uri(os.fsencode(file))
        place = cache / "thumbnails" / "normal" / entry_name(uri)
        put(place, png(("Thumb::URI", uri), ("Thumb::MTime", str(int(file.stat().st_mtime)))))


@needs(Capability.MOUNT)
@pytest.mark.parametrize("after", ["file", "removed", "empty"])
def test_what_lay_on_another_file_system_is_away(after: str, tmp_path: Path) -> None:
    cache, point = tmp_path / "cache", tmp_path / "home" / "tank"
    with tank(point):
        pictures(point / "album", 3)
        assert run_pregen("run", point, cache=cache).code == 0
    assert entries(cache) == 6
    if after == "file":
        put(point / ".keep", b"")
    elif after == "removed":
        point.rmdir()
    done = run_pregen("clean", "--yes", "--json", cache=cache)
    assert done.summary["deleted"]["missing"]["entries"] == 0, done
    assert done.summary["kept"]["offline"]["entries"] == 6
    assert entries(cache) == 6
    # the user says that they are gone for good
    assert run_pregen("clean", "--under", point, "--yes", cache=cache).code == 0
    assert entries(cache) == 0


@needs(Capability.MOUNT)
@pytest.mark.parametrize("after", ["file before", "removed"])
def test_entries_of_other_programs(after: str, tmp_path: Path) -> None:
    cache, point = tmp_path / "cache", tmp_path / "home" / "tank"
    put(point / ".keep", b"")
    alive = put(tmp_path / "home" / "alive.jpg", jpeg(200, 150))
    with tank(point):
        foreign(cache, [*pictures(point / "a", 6), *pictures(point / "b", 6), alive])
    if after == "removed":
        shutil.rmtree(point)
    done = run_pregen("clean", "--yes", cache=cache)
    assert done.code == 0
    assert entries(cache) == 13, done
    assert "pregen clean --under PATH" in done.out


def test_an_album_that_was_deleted_goes(tmp_path: Path) -> None:
    cache, home = tmp_path / "cache", tmp_path / "home"
    pictures(home / "kept", 2)
    pictures(home / "album", MANY_TOGETHER + 2)
    assert run_pregen("run", home, "--flavors", "normal", cache=cache).code == 0
    shutil.rmtree(home / "album")
    done = run_pregen("clean", "--yes", "--json", cache=cache)
    assert done.summary["deleted"]["missing"]["entries"] == MANY_TOGETHER + 2, done
    assert entries(cache) == 2


def test_what_vanished_together_and_what_did_not() -> None:
    many = [b"/tank/%d/%d.jpg" % (index % 3, index) for index in range(MANY_TOGETHER)]
    assert vanished_together(many, [b"/home/a.jpg"]) == dict.fromkeys(many, b"/tank")
    assert vanished_together(many, [b"/home/a.jpg", b"/tank/0/x.jpg"]) == {}
    assert vanished_together(many[1:], [b"/home/a.jpg"]) == {}
    assert vanished_together(many, []) == dict.fromkeys(many, b"/tank")
    assert vanished_together([], [b"/a"]) == {}
    one = [b"/home/gone.jpg"]
    assert vanished_together([*many, *one], [b"/home/a.jpg"]).keys() == set(many)
