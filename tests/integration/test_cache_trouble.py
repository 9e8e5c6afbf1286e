"""A cache that cannot be written: exit 12, nothing lost, no temp left, and the next run goes on."""

from __future__ import annotations

import os
import stat
import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.support.files import foreign_entries
from tests.support.files.source_trees import few
from tests.support.judges import desktops, png_walk
from tests.support.running.capabilities import Capability, modes_count, needs
from tests.support.running.program import PREGEN, Finished, environment, run_pregen

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.usefixtures("no_leaks")


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    few(tmp_path / "photos", 12)
    return tmp_path / "photos"


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 256 kB: room for a few entries."""
    disk = tmp_path / "disk"
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256k", "pregen-test", disk], check=True)
    yield disk
    subprocess.run(["umount", "--lazy", disk], check=True)


def assert_all_whole(cache: Path) -> int:
    """Check that what is in a cache is whole; return the number of entries."""
    assert not foreign_entries.leftovers(cache)
    found = [path for path in foreign_entries.files(cache) if path.suffix == ".png"]
    for path in found:
        png_walk.chunks(path.read_bytes())
    return len(found)


@needs(Capability.MOUNT)
@pytest.mark.parametrize("workers", ["1", "4"])
def test_a_full_disk_ends_the_run_and_loses_nothing(
    photos: Path, small_disk: Path, tmp_path: Path, workers: str
) -> None:
    cache, state = small_disk / "cache", {"XDG_STATE_HOME": str(tmp_path / "state")}
    done = run_pregen("run", "--json", "--workers", workers, photos, cache=cache, env=state)
    assert done.code == 12, done
    assert done.summary["exit_code"] == 12
    assert "space" in done.err
    assert "Traceback" not in done.err
    whole = assert_all_whole(cache)
    assert 0 < whole < 24
    before = foreign_entries.identities(cache)

    subprocess.run(["mount", "-o", "remount,size=16m", small_disk], check=True)
    again = run_pregen("run", "--json", photos, cache=cache, env=state)
    assert again.code == 0, again
    assert assert_all_whole(cache) == 24
    after = foreign_entries.identities(cache)
    assert {path: after[path] for path in before} == before
    assert run_pregen("run", "--json", photos, cache=cache, env=state).summary["kinds"] == {
        "fresh": 12
    }


def test_a_file_size_limit_is_a_full_disk_too(photos: Path, tmp_path: Path) -> None:
    # RLIMIT_FSIZE: every write of more than 8 kB fails with EFBIG and leaves a short file.
    limited = ("prlimit", "--fsize=8192", "--")
    state = {"XDG_STATE_HOME": "/dev/null/nowhere"}
    done = run_pregen("run", "--json", photos, cache=tmp_path / "cache", prefix=limited, env=state)
    assert done.code == 12, done
    assert "Traceback" not in done.err
    assert_all_whole(tmp_path / "cache")
    assert run_pregen("run", photos, cache=tmp_path / "cache").code == 0


@needs(Capability.MOUNT)
def test_a_read_only_disk_ends_the_run_before_anything_is_decoded(
    photos: Path, small_disk: Path
) -> None:
    subprocess.run(["mount", "-o", "remount,ro", small_disk], check=True)
    done = run_pregen("run", "--json", photos, cache=small_disk / "cache")
    assert done.code == 12, done
    assert done.summary["images"] == 0
    assert "read-only" in done.err.lower()


@needs(Capability.FILE_MODES)
def test_a_cache_home_that_may_not_be_written_ends_the_run(photos: Path, tmp_path: Path) -> None:
    home = tmp_path / "closed"
    home.mkdir(mode=0o500)
    done = run_pregen("run", "--json", photos, cache=home / "cache", prefix=modes_count())
    assert done.code == 12, done
    assert str(home) in done.err
    assert "Traceback" not in done.err


@pytest.mark.parametrize("where", ["cache", "cache/thumbnails", "cache/thumbnails/large"])
def test_a_file_where_a_folder_should_be_ends_the_run_and_is_kept(
    photos: Path, tmp_path: Path, where: str
) -> None:
    obstacle = tmp_path / where
    obstacle.parent.mkdir(parents=True, exist_ok=True)
    obstacle.write_text("mine")
    done = run_pregen("run", "--json", photos, cache=tmp_path / "cache")
    assert done.code == 12, done
    assert str(obstacle) in done.err
    assert "Traceback" not in done.err
    assert obstacle.read_text() == "mine"


def test_wrong_modes_of_our_folders_are_mended(photos: Path, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    for folder in ("thumbnails/normal", "thumbnails/large"):
        (cache / folder).mkdir(parents=True)
        (cache / folder).chmod(0o755)
    (cache / "thumbnails").chmod(0o755)
    assert run_pregen("run", photos, cache=cache).code == 0
    for folder in ("thumbnails", "thumbnails/normal", "thumbnails/large"):
        assert stat.S_IMODE((cache / folder).stat().st_mode) == 0o700


def test_a_symlink_planted_as_an_entry_is_replaced_and_not_followed(
    photos: Path, tmp_path: Path
) -> None:
    cache, victim = tmp_path / "cache", tmp_path / "precious"
    victim.write_text("precious")
    uri = desktops.glib_uri(photos / "00.jpg")
    planted = desktops.entry_path(cache, "large", uri)
    planted.parent.mkdir(parents=True)
    planted.symlink_to(victim)
    assert run_pregen("run", photos, cache=cache).code == 0
    assert victim.read_text() == "precious"
    assert not planted.is_symlink()
    assert foreign_entries.read(cache, "large", photos / "00.jpg").text("Thumb::URI") == uri


@pytest.mark.parametrize("trouble", ["garbage", "folder", "not a folder"])
def test_a_broken_journal_warns_and_the_run_succeeds(
    photos: Path, tmp_path: Path, trouble: str
) -> None:
    cache, state = tmp_path / "cache", tmp_path / "cache-state"
    if trouble == "not a folder":
        state.write_text("mine")
    else:
        assert run_pregen("run", photos / "00.jpg", cache=cache).code == 0
        journals = [path for path in state.rglob("*") if path.is_file()]
        assert journals
        for path in journals:
            path.unlink()
            if trouble == "folder":
                path.mkdir()
            else:
                path.write_bytes(b"garbage " * 1000)
    done = run_pregen("run", "--json", photos, cache=cache)
    assert done.code == 0, done
    assert any(record["type"] == "warning" for record in done.records), done
    assert "Traceback" not in done.err
    assert assert_all_whole(cache) == 24


@needs(Capability.MOUNT)
def test_a_journal_on_a_read_only_disk_warns_and_the_run_succeeds(
    photos: Path, small_disk: Path, tmp_path: Path
) -> None:
    cache, state = tmp_path / "cache", {"XDG_STATE_HOME": str(small_disk)}
    assert run_pregen("run", photos / "00.jpg", cache=cache, env=state).code == 0
    subprocess.run(["mount", "-o", "remount,ro", small_disk], check=True)
    done = run_pregen("run", "--json", photos, cache=cache, env=state)
    assert done.code == 0, done
    assert any(record["type"] == "warning" for record in done.records), done
    assert assert_all_whole(cache) == 24


@needs(Capability.FILE_MODES)
def test_a_journal_that_may_not_be_made_warns_and_the_run_succeeds(
    photos: Path, tmp_path: Path
) -> None:
    cache, state = tmp_path / "cache", tmp_path / "cache-state"
    state.mkdir(mode=0o500)
    done = run_pregen("run", "--json", photos, cache=cache, prefix=modes_count())
    assert done.code == 0, done
    assert any(record["type"] == "warning" for record in done.records), done
    assert assert_all_whole(cache) == 24


def test_a_reader_that_goes_away_ends_the_run_without_a_traceback(
    photos: Path, tmp_path: Path
) -> None:
    read_end, write_end = os.pipe()
    os.close(read_end)
    try:
        done = subprocess.run(
            [*PREGEN, "run", "--json", photos],
            stdout=write_end,
            stderr=subprocess.PIPE,
            env=environment(tmp_path / "cache", None),
            timeout=60,
            check=False,
        )
    finally:
        os.close(write_end)
    ended = Finished(done.returncode, b"", done.stderr)
    assert "Traceback" not in ended.err
    assert ended.code != 0, ended
    assert not foreign_entries.leftovers(tmp_path / "cache")
