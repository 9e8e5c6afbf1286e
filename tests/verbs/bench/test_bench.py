"""`pregen bench` as a user runs it, on a handful of pictures. Nothing here is about speed."""

from __future__ import annotations

import json
import signal
import time
from typing import TYPE_CHECKING, Any

import pytest

from pregen import __version__
from tests.support.faults.missing_extras import without
from tests.support.files.pictures import encode, image, put
from tests.support.files.source_trees import few, many_slow
from tests.support.running.program import Running, run_pregen

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.xdist_group("timing")

HEIC = b"\x00\x00\x00\x18ftypheic\x00\x00\x00\x00mif1heic" + bytes(64)


def fill(folder: Path) -> Path:
    few(folder)
    put(folder / "a.png", encode(image(400, 300, 7), "PNG"))
    put(folder / "phone.heic", HEIC)
    put(folder / "broken\x1b[31m.jpg", b"\xff\xd8\xff\xe0 broken")
    return folder


def snapshot(folder: Path) -> dict[str, int]:
    """Return everything below a folder with its time of change."""
    return {str(path): path.lstat().st_mtime_ns for path in sorted(folder.rglob("*"))}


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, dict[str, Any]]:
    """One bench that most tests here look at: its folder, what it saved, what it printed."""
    base = tmp_path_factory.mktemp("bench")
    photos = fill(base / "photos")
    cache = base / "cache"
    assert run_pregen("run", photos / "00.jpg", cache=cache).code == 0
    before = snapshot(base)
    saved = base / "saved.json"
    arguments = ["bench", "--json", "--workers", "2", "--save", str(saved), str(photos)]
    absent = without(tmp_path_factory.mktemp("absent"), ["heic"])
    done = run_pregen(*arguments, cache=cache, env=absent)
    assert done.code == 0, done
    assert done.err == ""
    after = snapshot(base)
    assert after.pop(str(saved))
    # the scratch came and went beside the thumbnails, in the folder of all caches
    assert after.pop(str(cache)) >= before.pop(str(cache))
    assert after == before, "cache, journal and sources are as they were, and no scratch is left"
    record: dict[str, Any] = json.loads(done.out)
    assert json.loads(saved.read_bytes()) == record
    return photos, saved, record


def test_the_record_tells_what_was_measured(
    measured: tuple[Path, Path, dict[str, Any]],
) -> None:
    photos, _, record = measured
    assert (record["v"], record["type"]) == (1, "bench")
    assert record["machine"]["pregen"] == __version__
    assert record["roots"] == [{"path": str(photos)}]
    assert record["settings"] == {
        "workers": 2,
        "flavors": ["normal", "large"],
        "decoder": "auto",
    }
    assert record["library"]["sources"] == 7
    assert sum(each["drawn"] for each in record["library"]["strata"]) == 7
    sample = record["sample"]
    assert sample["covers"] is True
    assert sample["kinds"] == {"made": 5, "needs-extra": 1, "invalid": 1}
    assert sample["needs_extra"] == {"heic": 1}
    (failure,) = sample["failures"]
    assert failure["path"] == f"{photos}/broken\x1b[31m.jpg"


def test_the_record_holds_every_measurement(
    measured: tuple[Path, Path, dict[str, Any]],
) -> None:
    _, _, record = measured
    for group in (record["warm"], record["cold"], *record["loaders"]):
        assert group["images_per_s"] > 0
        assert group["pixels_per_s"] > 0
        assert group["bytes_per_s"] > 0
        assert set(group["stages_s"]) == {"read", "decode", "resize", "encode", "commit"}
        assert 0 < sum(group["stages_s"].values()) <= group["picture_s"] + 1e-5
    assert {(group["loader"], group["mime"]) for group in record["loaders"]} == {
        ("turbo", "image/jpeg"),
        ("png", "image/png"),
    }
    assert sum(group["pictures"] for group in record["loaders"]) == 5
    assert [step["workers"] for step in record["scaling"]] == [1, 2]
    assert record["scaling"][0]["efficiency"] == 1
    assert record["decoders"]["pictures"] == 4
    assert min(each["ratio"] for each in record["decoders"]["each"]) == 1
    assert record["floor"]["pictures"] == 4
    assert record["floor"]["ratio"] > 1
    assert record["cold"]["slowdown"] >= 1
    assert 0 <= record["cold"]["resident_share"] <= 1
    assert record["limit"] in {"cpu", "disk", "both"}
    prediction = record["prediction"]
    assert prediction["entries"] == {"total": 10, "plus_minus": 0}
    assert prediction["disk_bytes"]["total"] > 0
    assert 0 < prediction["startup_s"] <= prediction["warm"]["total"]
    assert prediction["warm"]["total"] <= prediction["cold"]["total"]
    assert prediction["warm"]["plus_minus"] == 0, "the sample is the library"


def test_tables_and_a_comparison_for_people(
    measured: tuple[Path, Path, dict[str, Any]], tmp_path: Path
) -> None:
    photos, saved, record = measured
    old = tmp_path / "old.json"
    elsewhere = {**record["machine"], "cpu": "Abacus\x1b[31m", "pregen": "0.0.1"}
    slower = {**record["warm"], "images_per_s": record["warm"]["images_per_s"] / 1000}
    old.write_text(json.dumps({**record, "machine": elsewhere, "warm": slower}))
    done = run_pregen(
        *("bench", "--workers", "1", "--sample", "3", "--compare", old, photos),
        cache=tmp_path / "cache",
    )
    assert done.code == 0, done
    assert "\x1b" not in done.out
    for title in ("Speed, 1 worker", "Stages", "Decoders", "Scaling", "A run over all files"):
        assert f"\n{title}" in done.out
    for row in ("all, cold", "libjpeg-turbo", "libvips", "Pillow", "files on disk", "start-up"):
        assert f"\n  {row}" in done.out
    assert "a sample of 3" in done.out
    assert "\n  JPEG: dc and blocks are pregen's own decoder, turbo is libjpeg-turbo.\n" in done.out
    assert "times the floor." in done.out
    compared = done.out[done.out.index("\nCompared") :]
    (warm,) = (line for line in compared.splitlines() if line.startswith("  warm, images/s"))
    assert warm.endswith("better")
    for name in ("machine: Abacus", "pregen: 0.0.1", "sample: 7 files", "workers: 2"):
        assert f"not the same {name}" in compared
    assert saved.exists()
    assert list(tmp_path.iterdir()) == [old], "no cache, no journal, no scratch"


@pytest.mark.usefixtures("no_leaks")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=lambda each: each.name)
def test_a_signal_ends_it_and_nothing_is_left(tmp_path: Path, number: signal.Signals) -> None:
    many_slow(tmp_path / "photos", 40)
    cache = tmp_path / "cache"
    cache.mkdir()
    with Running("bench", tmp_path / "photos", cache=cache) as running:
        while not any(cache.rglob("*.png")):  # entries are being made
            assert running.process.poll() is None
            time.sleep(0.02)
        running.send_to_group(number)
        done = running.end()
        assert not running.survivors(5)
    assert done.code == 128 + number, done
    assert "stopped" in done.err
    assert "Traceback" not in done.err
    assert done.out == ""
    assert list(cache.iterdir()) == []


@pytest.mark.parametrize(
    ("names", "told"),
    [
        ({}, "no pictures found"),
        ({"notes.txt": b"text", "song.wav": b"RIFF"}, "no pictures found"),
        (
            {"phone.heic": HEIC},
            "no pictures found that can be measured, of 1 file: 1 needs an extra",
        ),
    ],
)
def test_a_folder_without_pictures_is_refused(
    tmp_path: Path, names: dict[str, bytes], told: str
) -> None:
    (tmp_path / "photos").mkdir()
    for name, data in names.items():
        put(tmp_path / "photos" / name, data)
    env = without(tmp_path, ["heic"])
    done = run_pregen("bench", tmp_path / "photos", cache=tmp_path / "cache", env=env)
    assert done.code == 2, done
    assert told in done.err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["absent", "photos"]


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (None, "cannot be read"),
        (b"garbage", "is not JSON"),
        (b"[1]", "is not what"),
        (b'{"type": "bench", "v": 2}', "version"),
        (b'{"type": "bench", "v": 1, "warm": 3}', "damaged"),
    ],
)
def test_a_file_that_cannot_be_compared_is_refused_before_anything_is_measured(
    tmp_path: Path, content: bytes | None, told: str
) -> None:
    old = tmp_path / "old.json"
    if content is not None:
        old.write_bytes(content)
    done = run_pregen("bench", "--compare", old, tmp_path, cache=tmp_path / "cache")
    assert done.code == 2, done
    assert f"{old} " in done.err
    assert told in done.err


def test_a_place_that_takes_no_result_is_refused_before_anything_is_measured(
    tmp_path: Path,
) -> None:
    done = run_pregen("bench", "--save", tmp_path / "none" / "x.json", tmp_path)
    assert done.code == 2, done
    assert "cannot be written" in done.err


def test_paths_are_needed() -> None:
    done = run_pregen("bench")
    assert done.code == 2
    assert "pregen bench ~/Pictures" in done.err


def test_settings_of_run_count_and_its_other_keys_do_no_harm(tmp_path: Path) -> None:
    config = put(
        tmp_path / "config" / "pregen" / "config.toml",
        b'json = true\norder = "newest"\nworkers = 0\n',
    )
    env = {"XDG_CONFIG_HOME": str(config.parent.parent)}
    done = run_pregen("bench", tmp_path, env=env)
    assert done.code == 2
    assert "`workers` = 0" in done.err
