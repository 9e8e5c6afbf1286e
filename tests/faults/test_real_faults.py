"""Faults that the kernel itself gives: few descriptors, a read-only cache, a dying disk."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.faults.hanging_mount import StuckMount
from tests.support.files import foreign_entries
from tests.support.files.pictures import jpeg, put
from tests.support.files.source_trees import few
from tests.support.judges import png_walk
from tests.support.running.capabilities import Capability, needs
from tests.support.running.program import Finished, run_pregen

if TYPE_CHECKING:
    from pathlib import Path

COUNT = 4


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    few(tmp_path / "photos", COUNT)
    return tmp_path / "photos"


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / "cache"


def pictures(cache: Path) -> list[Path]:
    """Every entry and fail record."""
    return [path for path in foreign_entries.files(cache) if path.suffix == ".png"]


def assert_sound(cache: Path, done: Finished) -> None:
    """Whatever is there is whole, and the run told people what to do."""
    assert not foreign_entries.leftovers(cache)
    for path in pictures(cache):
        png_walk.chunks(path.read_bytes())
    if done.code not in {0, 3}:
        assert done.err.strip(), done


def assert_goes_on(photos: Path, cache: Path) -> None:
    """A run without the fault comes to what it comes to elsewhere."""
    done = run_pregen("run", "--json", "--retry-failed", photos, cache=cache)
    assert done.code == 0, done
    assert len(list((cache / "thumbnails" / "large").iterdir())) == COUNT
    assert not foreign_entries.leftovers(cache)


@pytest.mark.parametrize("most", [8, 12, 16, 24, 32, 40])
def test_too_few_descriptors_cost_the_run_and_nothing_else(
    photos: Path, cache: Path, most: int
) -> None:
    prefix = ["prlimit", f"--nofile={most}:{most}", "--"]
    done = run_pregen("run", "--json", "--workers", "2", photos, cache=cache, prefix=prefix)
    assert done.code in {0, 3, 11, 12}, done
    assert done.code == 0 or "open files" in done.err + done.out
    assert_sound(cache, done)
    assert_goes_on(photos, cache)


@needs(Capability.MOUNT)
@pytest.mark.parametrize("filled", [False, True], ids=["empty", "with old entries"])
def test_a_cache_that_is_read_only_is_left_as_it_is(
    photos: Path, cache: Path, *, filled: bool
) -> None:
    (cache / "thumbnails").mkdir(parents=True, mode=0o700)
    if filled:
        assert run_pregen("run", photos, cache=cache).code == 0
        for path in photos.iterdir():
            path.write_bytes(path.read_bytes() + b"\0")
    before = {path: path.read_bytes() for path in pictures(cache)}
    script = f'mount --bind "{cache}" "{cache}" && mount -o remount,ro,bind "{cache}" && exec "$@"'
    prefix = ["unshare", "-m", "sh", "-c", script, "sh"]
    done = run_pregen("run", photos, cache=cache, prefix=prefix)
    assert done.code == 12, done
    assert "Read-only" in done.err or "read-only" in done.err
    assert {path: path.read_bytes() for path in pictures(cache)} == before
    assert_sound(cache, done)
    assert_goes_on(photos, cache)


@needs(Capability.STUCK_MOUNT)
def test_a_disk_that_answers_eio_costs_the_file_on_it_only(
    photos: Path, cache: Path, tmp_path: Path
) -> None:
    content = put(tmp_path / "content.jpg", jpeg(300, 200))
    (photos / "mounted").mkdir()
    server = ("slow_server.py", str(content), "eio")
    with StuckMount(photos / "mounted", server=server) as mount:
        done = run_pregen("run", "--json", "-v", photos, cache=cache, prefix=mount.inside)
    kinds = done.kinds()
    assert kinds.pop("slow.jpg") == "unreadable", done
    assert set(kinds.values()) == {"made"}
    assert done.code == 3
    assert not list((cache / "thumbnails").glob("fail/*/*.png")), "the file may be sound"
    assert_sound(cache, done)
    assert_goes_on(photos, cache)


@needs(Capability.STUCK_MOUNT)
def test_a_cache_on_a_disk_that_answers_eio_ends_the_run(
    photos: Path, cache: Path, tmp_path: Path
) -> None:
    content = put(tmp_path / "content.jpg", jpeg(300, 200))
    cache.mkdir()
    server = ("slow_server.py", str(content), "eio")
    with StuckMount(cache, server=server) as mount:
        done = run_pregen("run", photos, cache=cache, prefix=mount.inside)
    assert done.code == 12, done
    assert "Input/output error" in done.err
    assert "Traceback" not in done.err
    assert_goes_on(photos, cache)
