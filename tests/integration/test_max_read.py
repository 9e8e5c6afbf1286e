"""A budget of bytes to be read: one file more at most, and the next night goes on."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import pytest

from tests.support.faults.hanging_mount import StuckMount
from tests.support.files.camera_jpegs import with_ifd1
from tests.support.files.photo import photo
from tests.support.files.pictures import encode, jpeg, put
from tests.support.running.capabilities import Capability, needs
from tests.support.running.program import run_pregen

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from tests.support.running.program import Finished

HEAD_BYTES, READ_AHEAD_BYTES = 64 * 1024, 128 * 1024
FILES = 24
WITH_PREVIEW = 8


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Large bitmaps, oldest first, and photos of which a preview will do."""
    for number in range(FILES):
        data = encode(photo(300, 200, seed=number), "BMP")
        put(tmp_path / "photos" / f"{number:02}.bmp", data, (1_600_000_000 + number) * 10**9)
    for number in range(WITH_PREVIEW):
        main = jpeg(2400, 1600, seed=number, quality=97)
        data = with_ifd1(main, jpeg(300, 200, seed=number))
        put(tmp_path / "photos" / f"p{number}.jpg", data, (1_700_000_000 + number) * 10**9)
    return tmp_path / "photos"


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / "cache"


def run(photos: Path, cache: Path, *more: str, prefix: Sequence[str] = ()) -> Finished:
    done = run_pregen("run", "--json", "-v", *more, photos, cache=cache, prefix=prefix)
    assert done.code == 0, done
    return done


def test_nights_with_a_budget_come_to_the_end_and_the_newest_come_first(
    photos: Path, cache: Path
) -> None:
    one = (photos / "00.bmp").stat().st_size
    budget = 5 * one
    flags = (f"--max-read={budget}", "--previews=auto")
    names: list[str] = []
    for _ in range(12):
        done = run(photos, cache, *flags)
        assert done.summary["bytes_read"] <= budget + one
        names += [name for name, kind in done.kinds().items() if kind == "made"]
        if done.summary["ended_because"] is None:
            break
        assert "--max-read" in done.summary["ended_because"]
        assert done.summary["bytes_read"] >= budget
    assert len(names) == len(set(names)) == FILES + WITH_PREVIEW
    # what was read of a photo with a preview is its beginning: all of them fit into the first night
    assert set(names[:WITH_PREVIEW]) == {f"p{number}.jpg" for number in range(WITH_PREVIEW)}
    bitmaps = [name for name in names if name.endswith(".bmp")]
    assert set(bitmaps[-6:]) & {f"{number:02}.bmp" for number in range(4)}


def test_another_order_is_the_users(photos: Path, cache: Path) -> None:
    flags = ("--max-read=400k", "--order=oldest", "--workers=1")
    names = [name for name, kind in run(photos, cache, *flags).kinds().items() if kind == "made"]
    assert sorted(names) == [f"{number:02}.bmp" for number in range(len(names))]


def test_a_file_larger_than_the_budget_is_taken_alone(photos: Path, cache: Path) -> None:
    done = run(photos, cache, "--max-read=1k", "--include=*.bmp")
    assert done.summary["kinds"] == {"made": 1}


@needs(Capability.STUCK_MOUNT)
def test_a_share_counts_and_a_disk_beside_it_does_not(
    tmp_path: Path, photos: Path, cache: Path
) -> None:
    point, log = tmp_path / "mount", tmp_path / "log"
    point.mkdir()
    local = tmp_path / "local"
    for number in range(6):
        put(local / f"{number}.bmp", encode(photo(300, 200, seed=50 + number), "BMP"))
    one = (photos / "00.bmp").stat().st_size
    server = ("counting_server.py", str(photos), str(log), "sshfs", "no such", "some")
    with StuckMount(point, server=server) as mount:
        flags = (f"--max-read={3 * one}", "--include=*.bmp", "--order=walk")
        done = run_pregen(
            "run", "--json", "-v", *flags, local, point, cache=cache, prefix=mount.inside
        )
    assert done.code == 0, done
    assert len(done.outcomes) == 6 + 3
    assert 3 * one <= sum(delivered(log).values()) <= 4 * one


@needs(Capability.STUCK_MOUNT)
def test_where_a_preview_does_no_more_is_read_and_nothing_twice(
    tmp_path: Path, photos: Path, cache: Path
) -> None:
    for number in range(4):  # too small to do
        main = jpeg(2400, 1600, seed=number, quality=97)
        put(photos / f"s{number}.jpg", with_ifd1(main, jpeg(160, 107, seed=number)))
    point, log = tmp_path / "mount", tmp_path / "log"
    point.mkdir()
    server = ("counting_server.py", str(photos), str(log), "sshfs", "no such", "some")
    with StuckMount(point, server=server) as mount:
        run(point, cache, "--previews=auto", "--include=*.jpg", prefix=mount.inside)
    read = delivered(log)
    for number in range(WITH_PREVIEW):
        # what the decoder asks for, and what the kernel reads ahead by itself
        assert read[f"p{number}.jpg"] <= HEAD_BYTES + READ_AHEAD_BYTES
        assert (photos / f"p{number}.jpg").stat().st_size > 2 * (HEAD_BYTES + READ_AHEAD_BYTES)
    for number in range(4):
        size = (photos / f"s{number}.jpg").stat().st_size
        assert size <= read[f"s{number}.jpg"] < size + 4096


def delivered(log: Path) -> Counter[str]:
    """Return the bytes that a server sent, by file."""
    read: Counter[str] = Counter()
    for line in log.read_text().splitlines():
        what, _, rest = line.partition(" ")
        if what == "bytes":
            count, _, path = rest.partition(" ")
            read[path.rpartition("/")[2]] += int(count)
    return read
