"""`pregen failures`, as a user runs it: after real runs in which real files failed."""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING

import pytest
from PIL import Image

from pregen.journal import Journal, RunTotals
from pregen.model import Kind, Outcome
from tests.support.faults.missing_extras import without
from tests.support.files import foreign_entries
from tests.support.files.broken import png_header_bomb, png_zip_bomb, truncated
from tests.support.files.pdfs import pdf
from tests.support.files.pictures import jpeg, put
from tests.support.files.source_trees import MTIME_NS
from tests.support.judges import desktops
from tests.support.running.program import Finished, path_of, run_pregen

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.running.program import Record

FOREIGN = [("tEXt", "Thumb::URI", "{uri}"), ("tEXt", "Thumb::MTime", "{mtime}")]


def failures(cache: Path, *arguments: str | Path | bytes) -> Finished:
    return run_pregen("failures", *arguments, cache=cache)


def told(done: Finished) -> dict[str, Record]:
    """Return the failures by file name; none may come twice."""
    found = {}
    for record in done.records[:-1]:
        assert record["type"] == "failure"
        name = os.fsdecode(path_of(record)).rpartition("/")[2]
        assert name not in found
        found[name] = record
    assert done.summary["failures"] == len(found)
    return found


def kinds(done: Finished) -> dict[str, str]:
    return {name: record["kind"] for name, record in told(done).items()}


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Files of which some fail, and one that does not."""
    folder = tmp_path / "photos"
    put(folder / "good.jpg", jpeg(400, 300), MTIME_NS)
    put(folder / "short.jpg", truncated(jpeg(400, 300), 0.3), MTIME_NS)
    put(folder / "noise.png", b"\x89PNG\r\n\x1a\nnothing else", MTIME_NS)
    put(folder / "bomb.png", png_header_bomb(), MTIME_NS)
    put(folder / "sub" / "also short.jpg", truncated(jpeg(300, 400), 0.3), MTIME_NS)
    put(folder / "paper.pdf", pdf(), MTIME_NS)
    return folder


EXPECTED = {
    "short.jpg": "truncated",
    "noise.png": "invalid",
    "bomb.png": "too-large",
    "also short.jpg": "truncated",
    "paper.pdf": "needs-extra",
}


@pytest.fixture
def cache(tmp_path: Path, photos: Path) -> Path:
    """The cache after a run over them without the extra for PDF."""
    place = tmp_path / "cache"
    bare = without(tmp_path, ["pdf"])
    assert run_pregen("run", "-q", photos, cache=place, env=bare).code == 3
    return place


def test_what_failed_when_and_why(cache: Path) -> None:
    done = failures(cache, "--json")
    assert (done.code, kinds(done)) == (0, EXPECTED), done
    short = told(done)["short.jpg"]
    assert short["message"]
    assert short["now"] == "same"
    assert short["programs"] == ["pregen-0.1"]
    journal_ns = (cache.parent / "cache-state").stat().st_mtime_ns
    assert abs(short["at_ns"] - journal_ns) < 600 * 10**9
    assert "pdf" in done.summary["install"]
    assert done.summary["kinds"]["truncated"] == 2
    said = failures(cache).out
    assert "5 failures" in said
    assert "truncated: 2  the file ends too early" in said
    assert "--max-pixels" in said
    assert done.summary["install"] in said


def test_a_slow_file_is_told_with_the_flag_that_helps(tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    put(tmp_path / "slow.png", png_zip_bomb(16_000, 16_000), MTIME_NS)
    done = run_pregen("run", "--timeout=0.05", tmp_path / "slow.png", cache=cache)
    assert done.code == 3, done
    assert kinds(failures(cache, "--json")) == {"slow.png": "timed-out"}
    assert "--timeout" in failures(cache).out
    elsewhere = ("--cache", tmp_path / "elsewhere")
    skipped = run_pregen("run", tmp_path / "slow.png", *elsewhere, cache=cache)
    assert "1  failed earlier" in skipped.out, "a run on another cache leaves it alone"
    assert kinds(failures(cache, "--json", *elsewhere)) == {"slow.png": "timed-out"}
    assert run_pregen("status", "--json", *elsewhere, cache=cache).records[0]["failure_counts"]
    assert failures(cache, "--retry").code == 0
    assert kinds(failures(cache, "--json")) == {}
    assert foreign_entries.read(cache, "large", tmp_path / "slow.png").image.height == 256


def test_paths_and_kinds_choose(cache: Path, photos: Path) -> None:
    assert set(kinds(failures(cache, "--json", photos / "sub"))) == {"also short.jpg"}
    assert kinds(failures(cache, "--json", photos / "good.jpg")) == {}
    chosen = failures(cache, "--json", "--kind", "invalid", "--kind=too-large", photos)
    assert set(kinds(chosen)) == {"noise.png", "bomb.png"}
    assert failures(cache, photos / "good.jpg").out == f"No known failures in {photos}/good.jpg.\n"


def test_paths_for_a_pipeline(tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    strange = os.fsencode(tmp_path) + b"/photos/\xff\nline.jpg"
    made = put(tmp_path / "photos" / "a.jpg", truncated(jpeg(), 0.3), MTIME_NS)
    made.rename(os.fsdecode(strange))
    plain = put(tmp_path / "photos" / "b.jpg", truncated(jpeg(), 0.3), MTIME_NS)
    run_pregen("run", "-q", tmp_path / "photos", cache=cache)
    listed = failures(cache, "--kind=truncated", "-0").out
    assert listed.count("\0") == 2
    assert failures(cache, "--paths", plain).out == f"{plain}\n"
    [record] = [each for each in failures(cache, "--json").records[:-1] if "path_b64" in each]
    assert path_of(record) == strange
    assert "\n" not in failures(cache).out.partition("\\xff")[2].partition("line.jpg")[0]


def test_retry_runs_them_again_and_what_is_made_is_no_failure_any_more(
    cache: Path, photos: Path
) -> None:
    # Mended from a backup that kept size and time: no run would look at it again by itself.
    whole = jpeg(400, 300)
    short = photos / "short.jpg"
    put(short, whole, MTIME_NS)
    records = list((cache / "thumbnails" / "fail").rglob("*.png"))
    done = failures(cache, "--retry", "--json")
    assert done.code == 3, done
    assert done.summary["kinds"]["made"] == 2
    assert set(done.kinds()) == set(EXPECTED)
    assert kinds(failures(cache, "--json")) == {
        name: kind for name, kind in EXPECTED.items() if name not in {"short.jpg", "paper.pdf"}
    }
    assert len(list((cache / "thumbnails" / "fail").rglob("*.png"))) == len(records) - 1
    assert foreign_entries.read(cache, "large", short).image.width == 256


def test_forget_lets_the_next_run_try_them_and_no_others(cache: Path, photos: Path) -> None:
    pixel = Image.new("RGBA", (1, 1))
    gnome = "fail/gnome-thumbnail-factory"
    foreign = foreign_entries.foreign(cache, gnome, photos / "short.jpg", FOREIGN, pixel)
    done = failures(cache, "--forget", "--json", photos / "short.jpg")
    assert done.summary["forgotten"] == {"journal": 1, "fail_records": 1}
    assert foreign.path.exists()
    again = run_pregen("run", "--json", photos, cache=cache)
    assert again.kinds()["short.jpg"] == "truncated"
    assert again.summary["kinds"]["failed-before"] == 3
    done = failures(cache, "--forget")
    assert done.out == "Forgot 4 failures, deleted 4 fail records.\n"
    assert kinds(failures(cache, "--json")) == {"short.jpg": "recorded"}
    done = failures(cache, "--forget", "--program", "GNOME", "--json")
    assert done.summary["forgotten"] == {"journal": 0, "fail_records": 1}
    assert not foreign.path.exists()
    assert kinds(failures(cache, "--json")) == {}


def test_without_a_journal_fail_records_tell_what_they_can(cache: Path, photos: Path) -> None:
    shutil.rmtree(f"{cache}-state")
    recorded = {name for name, kind in EXPECTED.items() if kind != "needs-extra"}
    assert kinds(failures(cache, "--json")) == dict.fromkeys(recorded, "recorded")
    assert "which gives no reason" in failures(cache).out
    (photos / "noise.png").unlink()
    put(photos / "bomb.png", jpeg(), MTIME_NS + 10**10)
    now = {name: record["now"] for name, record in told(failures(cache, "--json")).items()}
    assert (now["noise.png"], now["bomb.png"], now["short.jpg"]) == ("gone", "changed", "same")


def test_records_of_other_programs_are_told_as_theirs(tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    source = put(tmp_path / "a.raf", b"unknown", MTIME_NS)
    pixel = Image.new("RGBA", (1, 1))
    for program in ("gnome-thumbnail-factory", "gimp"):
        foreign_entries.foreign(cache, f"fail/{program}", source, FOREIGN, pixel)
    broken = desktops.entry_path(cache, "fail/gimp", "file:///other")
    put(broken, b"no PNG")
    [record] = told(failures(cache, "--json")).values()
    assert record["programs"] == ["gimp", "gnome-thumbnail-factory"]
    assert record["kind"] == "recorded"
    assert "gimp, gnome-thumbnail-factory" in failures(cache, "--program", "gnome").out
    assert kinds(failures(cache, "--json", "--program", "kde")) == {}
    assert broken.exists()


def test_every_kind_that_can_fail_is_explained(tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    path = tmp_path / "cache-state" / "pregen" / "journal.sqlite3"
    expected = {}
    journal = Journal.open(bytes(path), pytest.fail)
    journal.begin_run(b"/", ["run"])
    for number, kind in enumerate(Kind):
        source = put(tmp_path / "photos" / f"{kind.value}.jpg", b"x", MTIME_NS)
        journal.record(Outcome(number, bytes(source), kind, "as it was"), 1, MTIME_NS)
        expected[source.name] = kind.value
    journal.end_run(3, RunTotals({}))
    journal.close()
    fine = {
        "made",
        "refitted",
        "reused",
        "tidied",
        "fresh",
        "small",
        "failed-before",
        "not-a-picture",
    }
    fine |= {"excluded", "special", "interrupted", "private", "offline"}
    wanted = {name: kind for name, kind in expected.items() if kind not in fine}
    assert kinds(failures(cache, "--json")) == wanted
    said = failures(cache).out
    for group in wanted.values():
        assert f"{group}: 1  " in said, group
    for words in ("restore them", "`pregen formats` lists", "invalid, truncated: copy again"):
        assert f"  -> {words}" in said
    assert not cache.exists()


def test_what_contradicts_is_refused(tmp_path: Path) -> None:
    for arguments in (["--retry", "--forget"], ["--paths", "--retry"], ["-0", "--json"]):
        assert failures(tmp_path / "cache", *arguments).code == 2
    assert failures(tmp_path / "cache").out == "No known failures.\n"
