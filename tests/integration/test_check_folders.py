"""What a re-run asks a server for: no more than find, and nothing of files in folders as before."""

from __future__ import annotations

import os
import re
import subprocess
from collections import Counter
from typing import TYPE_CHECKING

import pytest

from tests.support.faults.hanging_mount import StuckMount
from tests.support.files import foreign_entries
from tests.support.files.pictures import jpeg, put
from tests.support.running.capabilities import Capability, needs
from tests.support.running.program import run_pregen

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from tests.support.running.program import Finished

#: Folders that were changed less than ten seconds ago are looked at again.
LONG_AGO_S = 1_700_000_000
FOLDERS, FILES = 3, 12


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    for number in range(FOLDERS):
        for file in range(FILES):
            put(
                folder / f"f{number}" / f"{file:02}.jpg", jpeg(200, 150, seed=number * FILES + file)
            )
        age(folder / f"f{number}")
    age(folder)
    return folder


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / "cache"


def age(folder: Path, by_s: int = 0) -> None:
    os.utime(folder, (LONG_AGO_S + by_s, LONG_AGO_S + by_s))


def run(photos: Path, cache: Path, *more: str, prefix: Sequence[str] = ()) -> Finished:
    done = run_pregen("run", "--json", "-v", *more, photos, cache=cache, prefix=prefix)
    assert done.code == 0, done
    return done


def looks(log: Path, photos: Path) -> Counter[str]:
    """Return how often files were looked at by their names, by their paths."""
    calls = re.findall(r'(?:newfstatat|statx|lstat|stat)\([^"]*"([^"]+\.jpg)"', log.read_text())
    return Counter(
        os.path.basename(call) for call in calls if str(photos) in call or "/" not in call
    )


@needs(Capability.STRACE)
def test_a_re_run_looks_at_each_file_as_often_as_find(
    tmp_path: Path, photos: Path, cache: Path
) -> None:
    run(photos, cache)
    logs = tmp_path / "run", tmp_path / "find"
    trace = ("strace", "-f", "-qq", "-e", "trace=%stat,%lstat,newfstatat,statx", "-o")
    assert run(photos, cache, prefix=(*trace, str(logs[0]))).summary["kinds"]["fresh"] == 36
    find = (*trace, str(logs[1]), "find", str(photos), "-size", "+1")
    subprocess.run(find, check=True, capture_output=True, timeout=60)
    ours, theirs = (looks(log, photos) for log in logs)
    assert sum(theirs.values()) == FOLDERS * FILES
    assert ours == theirs
    run(photos, cache, "--check=folders")
    run(photos, cache, "--check=folders", prefix=(*trace, str(logs[0])))
    assert not looks(logs[0], photos)


@needs(Capability.STUCK_MOUNT)
def test_a_server_is_asked_for_folders_only(tmp_path: Path, photos: Path, cache: Path) -> None:
    point, log = tmp_path / "mount", tmp_path / "log"
    point.mkdir()
    server = ("counting_server.py", str(photos), str(log), "sshfs", "no such", "some")
    with StuckMount(point, server=server) as mount:
        run(point, cache, prefix=mount.inside)
        for _ in range(2):
            log.write_text("")
            done = run(point, cache, "--check=folders", prefix=mount.inside)
            assert done.summary["kinds"] == {"fresh": FOLDERS * FILES}
        asked = [line.split(" ", 1) for line in log.read_text().splitlines()]
        assert not [path for _, path in asked if path.endswith(".jpg")]
        listed = Counter(path for what, path in asked if what == "opendir")
        assert set(listed) == {str(photos), *(str(photos / f"f{n}") for n in range(FOLDERS))}
        assert listed.total() == FOLDERS + 1


def test_what_came_went_or_was_replaced_is_seen_and_what_was_edited_in_place_is_not(
    photos: Path, cache: Path
) -> None:
    run(photos, cache, "--check=folders")
    assert run(photos, cache, "--check=folders").summary["kinds"] == {"fresh": FOLDERS * FILES}
    put(photos / "f0" / "new.jpg", jpeg(200, 150, seed=99))
    (photos / "f1" / "00.jpg").unlink()
    put(photos / "f2" / "x", jpeg(200, 150, seed=98)).rename(photos / "f2" / "00.jpg")
    in_place = photos / "f2" / "01.jpg"
    put(in_place, jpeg(200, 150, seed=97))
    kinds = run(photos, cache, "--check=folders").summary["kinds"]
    assert kinds == {"fresh": FOLDERS * FILES - 3, "made": 3}
    for folder in photos.iterdir():
        age(folder, 100)
    run(photos, cache, "--check=folders")
    put(in_place, jpeg(210, 150, seed=96))
    age(in_place.parent, 100)
    assert "made" not in run(photos, cache, "--check=folders").summary["kinds"]
    assert run(photos, cache).summary["kinds"] == {"fresh": FOLDERS * FILES - 1, "made": 1}
    run(photos, cache, "--check=folders")
    assert foreign_entries.read(cache, "normal", in_place).original_size == (210, 150)


def test_a_folder_that_was_changed_just_now_is_looked_at_again(photos: Path, cache: Path) -> None:
    first = photos / "f0"
    os.utime(first)
    run(photos, cache, "--check=folders")
    put(first / "00.jpg", jpeg(220, 150, seed=95))
    assert run(photos, cache, "--check=folders").summary["kinds"]["made"] == 1


def test_patterns_and_folders_that_were_not_known_work_as_ever(photos: Path, cache: Path) -> None:
    run(photos, cache, "--check=folders")
    assert run(photos, cache, "--check=folders", "--include=0[0-4].jpg").summary["kinds"] == {
        "fresh": 5 * FOLDERS
    }
    put(photos / "f3" / "00.jpg", jpeg(200, 150, seed=90))
    kinds = run(photos, cache, "--check=folders").summary["kinds"]
    assert kinds == {"fresh": FOLDERS * FILES, "made": 1}


def test_a_rehearsal_writes_nothing(photos: Path, cache: Path) -> None:
    run_pregen("run", "--check=folders", "--dry-run", photos, cache=cache)
    assert not list(cache.parent.glob("**/journal.sqlite3"))
