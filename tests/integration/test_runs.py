"""Whole runs over a library that changes: what is redone, what is left alone, what is counted."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from tests.support.files import foreign_entries
from tests.support.files.photo import psnr_db
from tests.support.files.pictures import jpeg, put
from tests.support.files.source_trees import MTIME_NS, few
from tests.support.running.program import run_pregen

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.running.program import Finished


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    few(tmp_path / "photos")
    return tmp_path / "photos"


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / "cache"


def run(photos: Path, cache: Path, *more: str) -> Finished:
    return run_pregen("run", "--json", "-v", *more, photos, cache=cache)


def test_a_run_makes_everything_and_a_second_one_decodes_nothing(photos: Path, cache: Path) -> None:
    first = run(photos, cache)
    assert first.code == 0, first
    assert first.summary["kinds"] == {"made": 4}
    assert first.summary["entries_written"] == 8
    before = foreign_entries.identities(cache)
    assert len(before) == 8

    second = run(photos, cache)
    assert second.code == 0, second
    assert second.summary["kinds"] == {"fresh": 4}
    assert second.summary["ns"]["decode"] == 0
    assert second.summary["entries_written"] == 0
    assert foreign_entries.identities(cache) == before


@pytest.mark.parametrize("shift_ns", [10**9, -(10**9), -(10**17), 1_000], ids=str)
def test_a_touched_source_alone_is_redone_whichever_way_its_time_moved(
    photos: Path, cache: Path, shift_ns: int
) -> None:
    run(photos, cache)
    before = foreign_entries.identities(cache)
    touched = photos / "01.jpg"
    moved_ns = touched.stat().st_mtime_ns + shift_ns
    os.utime(touched, ns=(moved_ns, moved_ns))
    again = run(photos, cache)
    assert again.kinds() == {
        "00.jpg": "fresh",
        # Within a second it may be a copy that lost the fraction: a picture is looked for.
        "01.jpg": "reused" if abs(shift_ns) < 10**9 else "made",
        "02.jpg": "fresh",
        "03.jpg": "fresh",
    }
    after = foreign_entries.identities(cache)
    assert {path for path in after if after[path] != before[path]} == {
        foreign_entries.read(cache, flavor, touched).path for flavor in ("normal", "large")
    }
    assert foreign_entries.read(cache, "large", touched).text("Thumb::MTime") == str(
        moved_ns // 10**9
    )


def test_a_source_replaced_by_an_older_file_is_redone(photos: Path, cache: Path) -> None:
    run(photos, cache)
    source = photos / "02.jpg"
    old = foreign_entries.read(cache, "large", source)
    put(photos / "new.tmp", jpeg(300, 400, seed=50), MTIME_NS - 10**12).replace(source)
    assert run(photos, cache).kinds()["02.jpg"] == "made"
    new = foreign_entries.read(cache, "large", source)
    assert new.original_size == (300, 400) != old.original_size


def test_a_source_of_the_same_time_but_another_size_is_redone(photos: Path, cache: Path) -> None:
    run(photos, cache)
    source = photos / "02.jpg"
    put(source, jpeg(300, 400, seed=51), source.stat().st_mtime_ns)
    assert run(photos, cache).kinds()["02.jpg"] == "made"
    assert foreign_entries.read(cache, "large", source).original_size == (300, 400)


def test_a_missing_flavor_is_made_and_the_other_left_alone(photos: Path, cache: Path) -> None:
    run(photos, cache)
    source = photos / "03.jpg"
    kept, lost = (foreign_entries.read(cache, flavor, source) for flavor in ("large", "normal"))
    lost.path.unlink()
    identity = foreign_entries.identities(cache)[kept.path]
    again = run(photos, cache)
    assert again.kinds()["03.jpg"] == "made"
    assert again.summary["entries_written"] == 1
    assert psnr_db(foreign_entries.read(cache, "normal", source).image, lost.image) > 35
    assert foreign_entries.identities(cache)[kept.path] == identity


def test_force_makes_everything_again_with_the_same_bytes(photos: Path, cache: Path) -> None:
    run(photos, cache)
    before = foreign_entries.identities(cache)
    assert run(photos, cache, "--force").summary["kinds"] == {"made": 4}
    after = foreign_entries.identities(cache)
    assert {path: data for path, (*_, data) in after.items()} == {
        path: data for path, (*_, data) in before.items()
    }
    assert all(after[path][:2] != before[path][:2] for path in before)


def test_missing_only_leaves_stale_entries(photos: Path, cache: Path) -> None:
    run(photos, cache)
    os.utime(photos / "00.jpg", ns=(1, 1))
    put(photos / "new.jpg", jpeg(300, 200))
    before = foreign_entries.identities(cache)
    again = run(photos, cache, "--missing-only")
    assert again.kinds()["new.jpg"] == "made"
    assert again.kinds()["00.jpg"] == "excluded"
    after = foreign_entries.identities(cache)
    assert {path: after[path] for path in before} == before


def test_a_dry_run_writes_nothing_and_says_what_it_would_do(
    photos: Path, cache: Path, tmp_path: Path
) -> None:
    said = run_pregen("run", "--dry-run", photos, cache=cache)
    assert said.code == 0, said
    assert "4" in said.out + said.err
    assert not cache.exists()

    run(photos, cache)
    os.utime(photos / "00.jpg", ns=(1, 1))
    before = contents(tmp_path)
    assert run_pregen("run", "--dry-run", photos, cache=cache).code == 0
    assert contents(tmp_path) == before


def contents(folder: Path) -> dict[Path, tuple[int, bytes]]:
    """Return mtime and bytes of every file below a folder."""
    files = (path for path in folder.rglob("*") if path.is_file())
    return {path: (path.stat().st_mtime_ns, path.read_bytes()) for path in files}


def test_workers_and_engines_make_the_same_bytes(photos: Path, tmp_path: Path) -> None:
    put(photos / "a.png", jpeg(1, 1))  # content decides: a tiny JPEG under another name
    made = []
    for number, how in enumerate(
        (["--engine", "serial"], ["--workers", "1"], ["--workers", "2"], ["--workers", "8"])
    ):
        cache = tmp_path / f"cache{number}"
        assert run(photos, cache, *how).summary["kinds"] == {"made": 4, "small": 1}
        made.append(
            {
                p.relative_to(cache): data
                for p, (*_, data) in foreign_entries.identities(cache).items()
            }
        )
    assert len(made[0]) == 8
    assert made[0] == made[1] == made[2] == made[3]


def test_what_a_list_names_and_is_not_there_is_named_and_makes_the_run_fail(
    tmp_path: Path, cache: Path
) -> None:
    few(tmp_path / "photos", 2)
    (tmp_path / "photos" / "folder").mkdir()
    names = [*sorted((tmp_path / "photos").glob("*.jpg")), tmp_path / "photos" / "folder"]
    listed = "\n".join([*map(str, names), str(tmp_path / "photos" / "misspelt.jpg")])
    done = run_pregen("run", "--files-from", "-", cache=cache, stdin=listed.encode())
    assert done.code == 3, done
    assert f"Skipped: {tmp_path}/photos/misspelt.jpg: no such file" in done.out
    assert f"Skipped: {tmp_path}/photos/folder: a folder in a list of files" in done.out


def test_a_linked_folder_that_is_not_entered_is_named_with_the_flag_that_enters_it(
    tmp_path: Path, cache: Path
) -> None:
    few(tmp_path / "photos", 1)
    few(tmp_path / "nas", 1)
    (tmp_path / "photos" / "NAS").symlink_to(tmp_path / "nas")
    done = run_pregen("run", tmp_path / "photos", cache=cache)
    assert done.code == 0, done
    assert f"Skipped: {tmp_path}/photos/NAS: " in done.out
    assert "--follow-symlinks" in done.out


@pytest.mark.parametrize(
    ("flags", "separator"), [(["--files-from"], b"\n"), (["-0", "--files-from"], b"\0")]
)
@pytest.mark.parametrize("through", ["file", "stdin"])
def test_files_can_be_listed(
    photos: Path, cache: Path, flags: list[str], separator: bytes, through: str
) -> None:
    newline = put(photos / "two\nlines.jpg", jpeg(300, 200))
    wanted = [photos / "00.jpg", photos / "02.jpg"]
    if separator == b"\0":
        wanted.append(newline)
    listed = separator.join(bytes(path) for path in wanted) + separator
    list_file = put(cache.parent / "list", listed)
    name = str(list_file) if through == "file" else "-"
    stdin = listed if through == "stdin" else b""
    done = run_pregen("run", "--json", *flags, name, cache=cache, stdin=stdin)
    assert done.code == 0, done
    assert set(done.outcomes) == {bytes(path) for path in wanted}


def test_several_roots_and_single_files_are_taken_once_each(photos: Path, cache: Path) -> None:
    done = run_pregen("run", "--json", "-v", photos / "00.jpg", photos, photos, cache=cache)
    assert done.summary["kinds"].get("made") == 4, done
    assert len(list((cache / "thumbnails" / "large").iterdir())) == 4


def test_the_summary_counts_what_was_done(photos: Path, cache: Path) -> None:
    put(photos / "broken.jpg", b"\xff\xd8\xff\xe0 nothing follows")
    put(photos / "readme.txt", b"hello")
    summary = run(photos, cache).summary
    assert summary["kinds"]["made"] == 4
    assert summary["kinds"]["invalid"] == 1
    assert summary["failed"] == 1
    assert summary["exit_code"] == 3
    assert summary["images"] == 4
    sizes = [(300 + 20 * number) * 220 for number in range(4)]
    assert summary["pixels"] == sum(sizes)
    written = sum(
        path.stat().st_size for path in foreign_entries.files(cache) if path.suffix == ".png"
    )
    fail_records = list((cache / "thumbnails" / "fail").rglob("*.png"))
    assert len(fail_records) == 1
    assert summary["bytes_written"] in {written, written - fail_records[0].stat().st_size}
    assert summary["entries_written"] == 8


def test_failures_are_remembered_until_the_source_changes(photos: Path, cache: Path) -> None:
    broken = put(photos / "broken.jpg", b"\xff\xd8\xff\xe0 nothing follows", MTIME_NS)
    assert run(photos, cache).code == 3
    again = run(photos, cache)
    assert again.kinds()["broken.jpg"] == "failed-before"
    assert again.code == 0
    assert run(photos, cache, "--retry-failed").kinds()["broken.jpg"] == "invalid"
    put(broken, jpeg(300, 200))
    assert run(photos, cache).kinds()["broken.jpg"] == "made"
    assert not list((cache / "thumbnails" / "fail").rglob("*.png"))


def test_nothing_is_made_of_what_lies_in_a_cache(photos: Path, cache: Path) -> None:
    run(photos, cache, "--flavors", "xx-large")
    inside = put(photos / ".sh_thumbnails" / "large" / "a.png", jpeg(400, 300))
    done = run_pregen("run", "--json", "-v", cache, inside.parent, photos, cache=cache)
    assert set(done.outcomes) <= {bytes(path) for path in photos.iterdir() if path.is_file()} | {
        path for path in done.outcomes if done.outcomes[path]["kind"] == "excluded"
    }
    assert len(list((cache / "thumbnails" / "large").iterdir())) == 4
