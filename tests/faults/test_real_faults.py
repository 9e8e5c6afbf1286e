"""Faults that the kernel itself gives: few descriptors, a read-only cache, a dying disk."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
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


def run_with(most: str, photos: Path, cache: Path, *more: str) -> Finished:
    """Run with a limit of open files, as `prlimit` has it: soft and hard."""
    prefix = ["prlimit", f"--nofile={most}", "--"]
    return run_pregen("run", *more, photos, cache=cache, prefix=prefix)


@pytest.mark.slow
def test_any_number_of_descriptors_is_enough_or_ends_the_run_in_words(
    photos: Path, tmp_path: Path
) -> None:
    # Of fewer than 5 Python's own start makes a traceback.
    limits = range(5, 65)
    with ThreadPoolExecutor(2) as pool:
        runs = pool.map(
            lambda most: run_with(
                f"{most}:{most}", photos, tmp_path / f"{most}", "--json", "--workers", "2"
            ),
            limits,
        )
    done = dict(zip(limits, runs, strict=True))
    enough = next(most for most in limits if done[most].code == 0)
    assert 16 < enough < 48
    for most in range(5, enough):
        assert done[most].code == 11, done[most]
        assert "Too many open files. Allow more (ulimit -n" in done[most].err
        assert "Traceback" not in done[most].err
    for most in range(enough, 65):
        assert done[most].code == 0, done[most]
        assert len(pictures(tmp_path / f"{most}")) == 2 * COUNT


def test_the_limit_of_descriptors_is_raised_as_far_as_it_may_be(
    photos: Path, cache: Path, tmp_path: Path
) -> None:
    done = run_with("16:4096", photos, cache, "--json", "--workers", "3")
    assert (done.code, done.err) == (0, ""), done
    done = run_with("50:50", photos, tmp_path / "few", "--workers", "8")
    assert done.code == 0, done
    assert "of 8 workers started: the limit of open files is too low" in done.err + done.out
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
