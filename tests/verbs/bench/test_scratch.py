"""The cache of a bench: beside the user's, gone afterwards, and nobody else's is touched."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from pregen.cache.atomic import HOST
from pregen.errors import CacheError
from pregen.verbs.bench.environment import beside, scratch_folder

if TYPE_CHECKING:
    from pathlib import Path


def test_it_lies_beside_the_cache_and_is_removed_whatever_happens(tmp_path: Path) -> None:
    root = tmp_path / "cache" / "thumbnails"
    root.mkdir(parents=True)

    def fail() -> None:
        with scratch_folder(bytes(root)) as scratch:
            (folder,) = set(root.parent.iterdir()) - {root}
            assert bytes(folder) == scratch
            assert stat.S_IMODE(folder.stat().st_mode) == 0o700
            (folder / "0").mkdir()
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert list(root.parent.iterdir()) == [root]


def test_no_cache_needs_to_exist(tmp_path: Path) -> None:
    assert beside(bytes(tmp_path / "none" / "yet" / "thumbnails")) == bytes(tmp_path)


def test_a_cache_behind_a_link_is_measured_on_its_own_disk(tmp_path: Path) -> None:
    elsewhere = tmp_path / "disk" / "thumbnails"
    elsewhere.mkdir(parents=True)
    link = tmp_path / "thumbnails"
    link.symlink_to(elsewhere)
    assert beside(bytes(link)) == bytes(elsewhere.parent)


def test_what_a_killed_bench_left_is_removed_and_nothing_else(tmp_path: Path) -> None:
    gone = subprocess.run(
        [sys.executable, "-c", "import os; print(os.getpid())"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.strip()
    dead = tmp_path / f".pregen-bench-{HOST}-{gone}-abc_12"
    kept = [
        tmp_path / f".pregen-bench-{HOST}-{os.getpid()}-abc_12",
        tmp_path / f".pregen-bench-other.host-{gone}-abc_12",
        tmp_path / "pictures",
    ]
    for folder in (dead, *kept):
        (folder / "0").mkdir(parents=True)
    with scratch_folder(bytes(tmp_path / "thumbnails")):
        pass
    assert sorted(tmp_path.iterdir()) == sorted(kept)


def test_a_place_that_cannot_be_written_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("tempfile.mkdtemp", refuse)
    with (
        pytest.raises(CacheError, match="make it writable"),
        scratch_folder(bytes(tmp_path / "thumbnails")),
    ):
        pass
