"""`pregen watch`: what comes, changes, moves and goes is followed, in the real program."""

from __future__ import annotations

import os
import re
import shutil
import signal
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from PIL import Image

from pregen.thumbspec.naming import entry_path
from pregen.thumbspec.uri import file_uri
from tests.support.files import foreign_entries
from tests.support.files.pictures import jpeg
from tests.support.files.source_trees import few, many_slow
from tests.support.running.capabilities import Capability, needs
from tests.support.running.program import Running, run_pregen

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

from pregen.model import Flavor

pytestmark = [pytest.mark.usefixtures("no_leaks"), pytest.mark.xdist_group("timing")]

#: Long, because other tests run beside this one; nothing waits for so long when all is well.
_PATIENCE_S = 60
#: 2,000 events and more: several portions, while the first ones are worked on.
_STORM = 700


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    few(tmp_path / "photos" / "old", 3)
    return tmp_path / "photos"


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / "cache"


@pytest.fixture
def running(photos: Path, cache: Path) -> Iterator[Running]:
    with Running("watch", "--settle", "0.2", photos, cache=cache) as running:
        running.wait_for_stderr("Watching for changes")
        yield running
        running.send(signal.SIGINT)
        done = running.end()
        assert done.code == 130, done
        last = done.err.splitlines()[-1]
        assert re.match(
            r"Watched for .* s: [\d,]+ created, [\d,]+ thumbnails? removed[.,]", last
        ), done
    assert not foreign_entries.leftovers(cache)


def entry(cache: Path, path: Path) -> Path:
    return Path(
        os.fsdecode(entry_path(bytes(cache / "thumbnails"), Flavor.LARGE, file_uri(bytes(path))))
    )


def fresh(cache: Path, path: Path) -> bool:
    """Whether there is an entry of the picture as it is now, read by Pillow."""
    try:
        with Image.open(entry(cache, path)) as image:
            image.load()
            texts = dict(image.info)
    except FileNotFoundError:
        return False
    facts = path.stat()
    said = texts["Thumb::MTime"], texts["Thumb::Size"]
    return said == (str(facts.st_mtime_ns // 10**9), str(facts.st_size))


def all_fresh(cache: Path, folder: Path) -> bool:
    return all(fresh(cache, path) for path in folder.rglob("*.jpg"))


def count(cache: Path) -> int:
    return len(list((cache / "thumbnails" / "large").iterdir()))


def until(what: Callable[[], bool]) -> None:
    end_s = time.monotonic() + _PATIENCE_S
    while not what():
        assert time.monotonic() < end_s, "it was not followed"
        time.sleep(0.05)


def test_what_comes_changes_and_goes_is_followed(
    running: Running, photos: Path, cache: Path, tmp_path: Path
) -> None:
    assert all_fresh(cache, photos)
    (new,) = few(photos / "new" / "deep", 1)
    until(lambda: fresh(cache, new))

    changed = photos / "old" / "00.jpg"
    (other,) = few(tmp_path / "elsewhere", 1)
    other.write_bytes(jpeg(500, 400, seed=77))
    other.replace(changed)
    until(lambda: fresh(cache, changed))

    kept = entry(cache, new)
    new.unlink()
    until(lambda: not kept.exists())
    assert running.process.poll() is None


@pytest.mark.parametrize("rescan", ["0", "1"])
def test_a_name_that_cannot_be_told_means_a_look_at_everything(
    photos: Path, cache: Path, rescan: str
) -> None:
    """Names that are no UTF-8 do not come through the library that tells of events."""
    with Running("watch", "--rescan", rescan, "--settle", "0.2", photos, cache=cache) as running:
        running.wait_for_stderr("Watching for changes")
        odd = photos / "old" / os.fsdecode(b"\xff not utf-8.jpg")
        shutil.copyfile(photos / "old" / "00.jpg", odd)
        until(lambda: fresh(cache, odd))
        gone = entry(cache, odd)
        odd.unlink()
        until(lambda: not gone.exists())
        running.send(signal.SIGINT)
        assert running.end().code == 130


def test_a_folder_that_moves_takes_its_entries_along(
    running: Running, photos: Path, cache: Path
) -> None:
    few(photos / "trip" / "day", 12)
    until(lambda: count(cache) == 15 and all_fresh(cache, photos))
    (photos / "trip").rename(photos / "journey")
    until(lambda: all_fresh(cache, photos) and count(cache) == 15)
    shutil.rmtree(photos / "journey")
    until(lambda: count(cache) == 3)
    assert all_fresh(cache, photos)
    assert running.process.poll() is None


@pytest.mark.slow
def test_a_storm_is_followed_to_its_end(
    running: Running, photos: Path, cache: Path, tmp_path: Path
) -> None:
    data = jpeg(160, 140)
    for number in range(_STORM):
        folder = photos / f"s{number % 7}"
        folder.mkdir(exist_ok=True)
        (folder / f"{number}.jpg").write_bytes(data)
    until(lambda: count(cache) == _STORM + 3)
    assert all_fresh(cache, photos)
    for number in range(7):
        (photos / f"s{number}").rename(tmp_path / f"s{number}")
    until(lambda: count(cache) == 3)
    assert running.process.poll() is None


def test_rules_hold_for_what_comes_too(photos: Path, cache: Path) -> None:
    flags = ["--settle", "0.2", "--exclude", "raw/", "--exclude", "*.png"]
    with Running("watch", *flags, photos, cache=cache) as running:
        running.wait_for_stderr("Watching for changes")
        few(photos / "raw", 1)
        few(photos / ".hidden", 1)
        (last,) = few(photos / "zz", 1)
        until(lambda: fresh(cache, last))
        running.send(signal.SIGTERM)
        assert running.end().code == 143
    assert count(cache) == 4


@needs(Capability.MOUNT)
def test_what_is_not_mounted_any_more_is_not_gone(photos: Path, cache: Path) -> None:
    """A disk that is unplugged while it is watched keeps its entries."""
    disk = photos / "disk"
    disk.mkdir()
    script = (
        f'mount -t tmpfs none "{disk}" && cp "{photos}"/old/*.jpg "{disk}" && '
        '("$@" & P=$!; for i in $(seq 600); do '
        f'[ "$(ls "{cache}/thumbnails/large" 2>/dev/null | wc -l)" = 6 ] && break; sleep 0.1; done;'
        f' sleep 1; umount "{disk}"; touch "{photos}/old/note"; sleep 2; kill -TERM $P; wait $P)'
    )
    with Running(
        "watch", "--settle", "0.2", photos, cache=cache,
        prefix=["unshare", "-m", "sh", "-c", script, "sh"],
    ) as running:  # fmt: skip
        done = running.end()
    assert done.code == 143, done
    assert count(cache) == 6


def test_a_file_cannot_be_watched(photos: Path, cache: Path) -> None:
    done = run_pregen("watch", photos / "old" / "00.jpg", cache=cache)
    assert done.code == 2, done
    assert "is not a folder" in done.err


def test_without_the_extra_its_command_is_named(photos: Path, cache: Path, tmp_path: Path) -> None:
    blocked = tmp_path / "blocked" / "watchfiles"
    blocked.mkdir(parents=True)
    (blocked / "__init__.py").write_text("raise ModuleNotFoundError(name='watchfiles')\n")
    done = run_pregen("watch", photos, cache=cache, env={"PYTHONPATH": str(blocked.parent)})
    assert done.code == 11, done
    assert re.search(r"--with watch|\[watch\]'", done.err)


def test_what_comes_during_the_first_run_is_next(tmp_path: Path, cache: Path) -> None:
    photos = tmp_path / "photos"
    many_slow(photos / "old", 120, 24)
    with (
        tempfile.TemporaryDirectory(prefix="run-") as runtime,
        Running(
            "watch", "--settle", "0.2", "--json", photos, cache=cache,
            env={"XDG_RUNTIME_DIR": runtime, "PREGEN_REUSE": "false"},
        ) as running,
    ):  # fmt: skip
        running.wait_for_outcomes()
        new = few(photos / "new", 1)[0]
        before = running.wait_for_records(
            lambda records: any(
                record["type"] == "outcome" and "new" in record["path"] for record in records
            )
        )
        assert fresh(cache, new)
        made = [record for record in before if record["type"] == "outcome"]
        assert len(made) < 120, "it did not wait for the others"
        running.send(signal.SIGINT)
        assert running.end().code == 130
