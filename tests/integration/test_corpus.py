"""A run over all the real files there are, broken ones among them, ends with the truth."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from tests.support.faults.missing_extras import without
from tests.support.files import foreign_entries
from tests.support.judges import desktops, png_walk
from tests.support.running.capabilities import Capability, corpus, needs
from tests.support.running.program import run_pregen

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("no_leaks"), needs(Capability.CORPUS)]

FAILURES = {"invalid", "truncated", "too-large"}
#: What may become of a file of which nothing is known but that somebody found it worth keeping.
HARMLESS = {"made", "small", "needs-extra", "unsupported", "not-a-picture"}


def test_hostile_files_fail_one_by_one_and_never_the_run(tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    done = run_pregen("run", "--json", "-v", corpus() / "hostile", cache=cache)
    assert done.code == 3, done
    assert "Traceback" not in done.err
    assert set(done.kinds().values()) <= FAILURES | HARMLESS
    assert len(done.outcomes) == len(list((corpus() / "hostile").iterdir()))
    failed = [record for record in done.outcomes.values() if record["kind"] in FAILURES]
    assert failed
    assert all(record["message"] for record in failed)
    assert len(list((cache / "thumbnails").glob("fail/*/*.png"))) == len(failed)
    assert not foreign_entries.leftovers(cache)


@needs(Capability.GIO)
@pytest.mark.desktop
def test_what_hostile_files_gave_is_whole_and_valid(tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    done = run_pregen("run", "--json", corpus() / "hostile", cache=cache)
    made = [path for path, record in done.outcomes.items() if record["kind"] == "made"]
    assert made
    assert all(answer.valid for answer in desktops.gio(cache, made))
    for path in foreign_entries.identities(cache):
        png_walk.chunks(path.read_bytes())


def test_the_summary_counts_the_failed_files_and_failures_names_each(tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    counted = run_pregen("run", "--json", corpus(), cache=cache)
    failed = [path for path, record in counted.outcomes.items() if record["kind"] in FAILURES]
    told = run_pregen("run", corpus(), cache=tmp_path / "other")
    assert counted.code == told.code == 3
    assert "Traceback" not in told.out
    assert f"{len(failed)} files failed: pregen failures" in told.out
    listed = run_pregen("failures", cache=tmp_path / "other")
    for path in failed:
        assert os.fsdecode(path) in listed.out


def test_without_the_extras_exactly_their_files_wait_and_leave_nothing(tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    bare = without(tmp_path)
    done = run_pregen("run", "--json", corpus() / "formats", cache=cache, env=bare)
    waiting = {path: record for path, record in done.outcomes.items() if record["extra"]}
    assert {record["kind"] for record in waiting.values()} == {"needs-extra"}
    names = {os.fsdecode(path.rpartition(b"/")[2]): r["extra"] for path, r in waiting.items()}
    assert names == {
        **dict.fromkeys(("cheers.heic", "exif-at-eof.heic", "iphone.heic"), "heic"),
        **dict.fromkeys(("clip.3gp", "clip.mov", "clip.mp4", "clip.mts"), "video"),
    }
    assert {record["message"] for record in waiting.values()} == {
        "needs pregen[heic]",
        "needs pregen[video]",
    }
    made = {record["kind"] for path, record in done.outcomes.items() if path not in waiting}
    assert made == {"made", "small"}
    keys = {desktops.entry_path(cache, "large", desktops.glib_uri(path)).name for path in waiting}
    assert not keys & {path.name for path in foreign_entries.files(cache)}
    told = run_pregen("run", corpus() / "formats", cache=tmp_path / "other", env=bare)
    assert "Needs an extra: 4 video, 3 heic" in told.out


def test_what_waited_for_an_extra_is_made_once_it_is_there(tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    clip = corpus() / "formats" / "clip.mov"
    for _ in range(2):
        waiting = run_pregen("run", "--json", clip, cache=cache, env=without(tmp_path))
        assert waiting.kinds() == {"clip.mov": "needs-extra"}
        assert waiting.code == 0
    assert run_pregen("run", "--json", clip, cache=cache).kinds() == {"clip.mov": "made"}
    assert foreign_entries.read(cache, "large", clip).text("Thumb::Movie::Length") == "4"
