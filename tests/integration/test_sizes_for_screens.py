"""`--flavors auto`, the default: what a run makes on a machine with these screens."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

import pregen
from pregen.model import Flavor
from pregen.session import this_session
from tests.support.files import screens
from tests.support.files.pictures import jpeg, put
from tests.support.judges import desktops
from tests.support.running.program import run_pregen

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    return put(tmp_path / "photos" / "a.jpg", jpeg(1600, 1200))


def made(cache: Path, photo: Path) -> set[str]:
    """The flavors of which a photo has an entry."""
    uri = desktops.glib_uri(photo)
    return {name for name in desktops.FLAVORS if desktops.entry_path(cache, name, uri).exists()}


def asked_by_kio(ratio: float) -> set[str]:
    """What KIO 6.13 asks for previews of 128 and 256 px (previewjob.cpp, `startPreview`)."""
    edges = {128: "normal", 256: "large", 512: "x-large", 1024: "xx-large"}
    return {
        next(name for edge, name in edges.items() if edge >= int(ratio * cache_size))
        for cache_size in (128, 256)
    }


@pytest.mark.parametrize("ratio", [1, 1.25, 1.5, 2, 3])
def test_nothing_that_kio_asks_for_is_left_to_be_made(
    ratio: float, photo: Path, tmp_path: Path, home: Path
) -> None:
    put(home / "config" / "kwinoutputconfig.json", screens.kwinoutputconfig(ratio))
    cache = tmp_path / "cache"
    done = run_pregen("run", "--json", photo.parent, cache=cache)
    assert made(cache, photo) == {"normal", "large"} | asked_by_kio(ratio)
    assert set(done.summary["flavors"]) == made(cache, photo)
    assert f"eDP-1 at {ratio * 100:.0f}% (kwinoutputconfig.json)" in done.summary["flavors_because"]
    assert ("sizes: " in done.err) == (ratio > 1)


def test_a_screen_that_comes_later_has_what_it_asks_for_made_and_nothing_else(
    photo: Path, tmp_path: Path, home: Path
) -> None:
    cache = tmp_path / "cache"
    first = run_pregen("run", "-v", photo, cache=cache)
    assert "sizes: normal, large; no screens were found" in first.err
    assert made(cache, photo) == {"normal", "large"}
    large = desktops.entry_path(cache, "large", desktops.glib_uri(photo))
    old = large.stat()
    put(home / "config" / "monitors.xml", screens.monitors_xml(2))
    would = run_pregen("run", "--dry-run", "--json", photo, cache=cache)
    assert would.summary["flavors"] == ["normal", "large", "x-large"]
    assert would.summary["would"]["decode"] == 1
    second = run_pregen("run", "--json", photo, cache=cache)
    assert second.summary["entries_written"] == 1
    assert made(cache, photo) == {"normal", "large", "x-large"}
    assert (large.stat().st_ino, large.stat().st_mtime_ns) == (old.st_ino, old.st_mtime_ns)
    third = run_pregen("run", "--json", photo, cache=cache)
    assert third.summary["kinds"] == {"fresh": 1}


def test_sizes_that_are_named_are_made_whatever_the_screens_are(
    photo: Path, tmp_path: Path, home: Path
) -> None:
    put(home / "config" / "monitors.xml", screens.monitors_xml(2))
    cache = tmp_path / "cache"
    done = run_pregen("run", "--json", "--flavors", "large", photo, cache=cache)
    assert made(cache, photo) == {"large"}
    assert done.summary["flavors_because"] is None
    shared = run_pregen("share", "--json", photo.parent, cache=cache)
    assert shared.summary["flavors"] == ["normal", "large"]


def test_what_makes_no_sense_is_said_to_whom_wants_to_know(
    photo: Path, tmp_path: Path, home: Path
) -> None:
    put(home / "config" / "monitors.xml", b"<monitors><configuration>")
    done = run_pregen("run", "-v", photo, cache=tmp_path / "cache")
    assert "monitors.xml is ignored: is not well-formed" in done.err
    quiet = run_pregen("run", photo, cache=tmp_path / "cache")
    assert "monitors.xml" not in quiet.err


def test_the_library_and_every_verb_decide_alike(photo: Path, home: Path) -> None:
    put(home / "config" / "monitors.xml", screens.monitors_xml(3))
    session = this_session()
    config = session.run_config(session.run_values())
    assert config.plan.flavors == config.work.flavors == tuple(Flavor)
    (outcome,) = pregen.thumbnails([photo], cache=home / "thumbnails")
    assert outcome.entries_written == 4
    assert len(list((home / "thumbnails" / "xx-large").iterdir())) == 1
    assert os.environ["HOME"] == str(home)
