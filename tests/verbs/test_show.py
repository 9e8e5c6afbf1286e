"""`pregen show`: all that the cache knows of a file."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.files.pictures import jpeg, put
from tests.support.judges import desktops
from tests.support.running.program import Finished, run_pregen

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / "cache"


@pytest.fixture
def photo(tmp_path: Path, cache: Path) -> Path:
    path = put(tmp_path / "photos" / "a;b.jpg", jpeg(400, 300))
    os.utime(path, ns=(1, 1_700_000_000_123_456_789))
    assert run_pregen("run", path, cache=cache).code == 0
    return path


def _shown(cache: Path, *files: Path) -> list[dict[str, Any]]:
    done = run_pregen("show", "--json", *files, cache=cache)
    assert done.code == 0, done
    return [json.loads(line) for line in done.out.splitlines()]


def test_every_form_of_the_uri_is_shown_with_its_entries(photo: Path, cache: Path) -> None:
    (facts,) = _shown(cache, photo)
    assert facts["source"] == {
        "size": photo.stat().st_size,
        "mtime_ns": 1_700_000_000_123_456_789,
    }
    glib, qt = facts["uris"]
    assert glib["uri"] == desktops.glib_uri(photo)
    assert (qt["uri"], qt["form"]) == (glib["uri"].replace("%3B", ";"), "Qt")
    for uri in (glib, qt):
        assert [entry["flavor"] for entry in uri["entries"]] == ["normal", "large"]
        for entry in uri["entries"]:
            assert entry["path"] == str(
                cache / "thumbnails" / entry["flavor"] / f"{uri['key']}.png"
            )
            assert entry["verdict"] == "fresh"
            assert entry["texts"][0]["kind"] == "iTXt"
            assert {text["key"] for text in entry["texts"]} >= {"Thumb::URI", "Thumb::MTime"}
            asked = [desktop for desktop in entry["desktops"] if desktop["looks_here"]]
            assert asked
            assert all(desktop["accepts"] for desktop in asked)


def test_a_person_is_told_the_same(photo: Path, cache: Path) -> None:
    out = run_pregen("show", photo, cache=cache).out
    assert str(photo) in out
    assert desktops.glib_uri(photo) in out
    assert "(Qt)" in out
    assert out.count("up to date") == 4
    assert "256x192" in out
    assert "8-bit RGBA" in out
    assert "iTXt Thumb::MTime" in out
    assert "1700000000.123456" in out
    assert "accepts it" in out
    assert "\x1b" not in out


def test_a_changed_source_is_told_from_its_entries(photo: Path, cache: Path) -> None:
    os.utime(photo, ns=(1, 1_800_000_000_000_000_000))
    (facts,) = _shown(cache, photo)
    for uri in facts["uris"]:
        for entry in uri["entries"]:
            assert entry["verdict"] == "stale"
            assert "Thumb::MTime" in entry["reason"]
            assert not any(desktop["accepts"] for desktop in entry["desktops"])


def test_the_entries_of_a_source_that_is_gone_are_shown(photo: Path, cache: Path) -> None:
    photo.unlink()
    (facts,) = _shown(cache, photo)
    assert facts["source"] is None
    assert facts["trouble"] == "the file does not exist"
    assert [entry["verdict"] for entry in facts["uris"][0]["entries"]] == ["unknown", "unknown"]


def test_of_a_file_that_never_was_nothing_is_known(cache: Path) -> None:
    done = run_pregen("show", "/no/such/file.jpg", cache=cache)
    assert done.code == 3
    assert "the file does not exist" in done.out
    assert not cache.exists(), "looking makes nothing"


def test_fail_records_of_any_program_are_shown(tmp_path: Path, cache: Path) -> None:
    broken = put(tmp_path / "broken.jpg", b"\xff\xd8\xff\xe0 broken")
    assert run_pregen("run", broken, cache=cache).code == 3
    (ours,) = (cache / "thumbnails" / "fail").rglob("*.png")
    put(cache / "thumbnails" / "fail" / "gnome-thumbnail-factory" / ours.name, b"no PNG")
    (facts,) = _shown(cache, broken)
    records = facts["uris"][0]["fail_records"]
    assert [(record["program"], record["verdict"]) for record in records] == [
        ("gnome-thumbnail-factory", "corrupt"),
        (ours.parent.name, "fresh"),
    ]
    assert "fail record of gnome-thumbnail-factory" in run_pregen("show", broken, cache=cache).out


def test_the_real_path_is_shown_where_a_link_leads_to_the_file(photo: Path, cache: Path) -> None:
    link = photo.parent.parent / "link.jpg"
    link.symlink_to(photo)
    (facts,) = _shown(cache, link)
    assert [uri["form"] for uri in facts["uris"]] == ["", "real path", "real path, Qt"]
    assert [len(uri["entries"]) for uri in facts["uris"]] == [0, 2, 2]


def test_several_files_are_shown_in_their_order(tmp_path: Path, cache: Path) -> None:
    files = [put(tmp_path / name, jpeg(300, 200)) for name in ("b.jpg", "a.jpg")]
    assert [facts["path"] for facts in _shown(cache, *files)] == [str(file) for file in files]


def test_hostile_names_and_texts_cannot_drive_the_terminal(tmp_path: Path, cache: Path) -> None:
    file = put(tmp_path / "\x1b[31m\n.jpg", jpeg(300, 200))
    assert run_pregen("run", file, cache=cache).code == 0
    shown: Finished = run_pregen("show", file, cache=cache)
    assert "\x1b" not in shown.out
    assert r"\x1b[31m\n.jpg" in shown.out
