"""Entries of other programs: made valid for every desktop without a decode, or removed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.files import foreign_entries
from tests.support.files.pictures import image, jpeg, put
from tests.support.judges import desktops, png_walk
from tests.support.running.capabilities import Capability, needs
from tests.support.running.program import run_pregen

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.running.program import Finished

pytestmark = [pytest.mark.desktop, pytest.mark.xdist_group("tumbler")]

MTIME_NS = 1_700_000_000_654_321_000
URI = ("tEXt", "Thumb::URI", "{uri}")
WHOLE = ("tEXt", "Thumb::MTime", "{mtime}")
FRACTIONAL = ("tEXt", "Thumb::MTime", "{mtime}.{fraction}")
SIZE = ("tEXt", "Thumb::Size", "{size}")


def packed(*texts: tuple[str, str, str]) -> list[tuple[str, str, str]]:
    """Return the same texts as zTXt, as Qt writes whatever has 40 characters or more."""
    return [("zTXt", key, value) for _, key, value in texts]


#: Fresh by the standard, refused by at least one desktop.
REFUSED_SOMEWHERE = {
    "written by Qt": [*packed(URI), WHOLE, SIZE, ("tEXt", "Software", "KDE Thumbnail Generator")],
    "all of it zTXt": packed(URI, WHOLE, SIZE),
    "written by tumbler": [URI, FRACTIONAL],
    "written by an old KDE": [
        ("iTXt", "Thumb::MTime", "{mtime}.{fraction}"),
        URI,
        WHOLE,
        SIZE,
        ("tEXt", "Software", "KDE Thumbnail Generator Images (v1)"),
    ],
    "written by gnome-desktop": [URI, WHOLE, ("tEXt", "Software", "GNOME::ThumbnailFactory")],
}


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return put(
        tmp_path / "photos" / "holiday [2024]; a long enough name.jpg", jpeg(900, 600), MTIME_NS
    )


def run(source: Path, *more: str) -> Finished:
    return run_pregen("run", "--json", "-v", *more, source, cache=cache_of(source))


def cache_of(source: Path) -> Path:
    return source.parents[1] / "cache"


def plant(source: Path, flavor: str, texts: list[tuple[str, str, str]]) -> foreign_entries.Entry:
    """Put a foreign entry whose picture is not the source's: a decode would show."""
    box_px = foreign_entries.BOX_PX[flavor]
    other_picture = image(box_px, box_px * 2 // 3, seed=77).convert("RGBA")
    return foreign_entries.foreign(cache_of(source), flavor, source, texts, other_picture)


def assert_all_desktops_accept(source: Path, flavor: str) -> None:
    cache = cache_of(source)
    assert desktops.gio_flavor(cache, flavor, [source])[0].valid
    assert desktops.gnome_desktop(cache, flavor, [source])[0].path
    assert desktops.tumbler(cache, flavor, [source])[0].untouched


@needs(Capability.GIO, Capability.GNOME_DESKTOP, Capability.TUMBLER)
@pytest.mark.parametrize("writer", REFUSED_SOMEWHERE)
def test_a_good_entry_some_desktop_refuses_is_refitted_with_its_pixels(
    source: Path, writer: str
) -> None:
    planted = {
        flavor: plant(source, flavor, REFUSED_SOMEWHERE[writer]) for flavor in ("normal", "large")
    }
    done = run(source)
    assert done.code == 0, done
    # Its spelling in Qt has no entry yet: it gets the same picture, with a text of its own.
    assert done.summary["kinds"] == {"refitted": 1}
    for flavor, old in planted.items():
        new = foreign_entries.read(cache_of(source), flavor, source)
        assert png_walk.pixels_digest(new.data) == png_walk.pixels_digest(old.data)
        assert_all_desktops_accept(source, flavor)


@needs(Capability.GIO, Capability.TUMBLER, Capability.GNOME_DESKTOP)
@pytest.mark.parametrize("writer", REFUSED_SOMEWHERE)
def test_refitting_decodes_nothing(tmp_path: Path, writer: str) -> None:
    # Not even a picture any more: decoding it could only fail.
    source = put(tmp_path / "photos" / "a.jpg", b"\xff\xd8\xff\xe0 not a picture" * 50, MTIME_NS)
    for flavor in ("normal", "large"):
        plant(source, flavor, REFUSED_SOMEWHERE[writer])
    done = run(source)
    assert done.code == 0, done
    assert done.summary["kinds"] == {"refitted": 1}
    assert done.summary["ns"]["decode"] == 0
    for flavor in ("normal", "large"):
        assert_all_desktops_accept(source, flavor)
    assert run(source).summary["kinds"] == {"fresh": 1}


@needs(Capability.TUMBLER, Capability.GIO)
def test_an_entry_really_written_by_tumbler_becomes_valid_for_both(tmp_path: Path) -> None:
    source = put(tmp_path / "photos" / "a.jpg", jpeg(900, 600), MTIME_NS)
    cache = cache_of(source)
    for flavor in ("normal", "large"):
        assert desktops.tumbler(cache, flavor, [source])[0].ready
        assert desktops.gio_flavor(cache, flavor, [source])[0].valid is False
    written = {
        flavor: foreign_entries.read(cache, flavor, source) for flavor in ("normal", "large")
    }
    done = run(source)
    assert done.summary["kinds"] == {"refitted": 1}, done
    for flavor, old in written.items():
        new = foreign_entries.read(cache, flavor, source)
        assert png_walk.pixels_digest(new.data) == png_walk.pixels_digest(old.data)
        assert desktops.gio_flavor(cache, flavor, [source])[0].valid
        assert desktops.tumbler(cache, flavor, [source])[0].untouched


def test_no_refit_leaves_good_entries_of_others_alone(tmp_path: Path) -> None:
    source = put(tmp_path / "photos" / "a.jpg", jpeg(900, 600), MTIME_NS)
    for flavor in ("normal", "large"):
        plant(source, flavor, REFUSED_SOMEWHERE["written by tumbler"])
    before = foreign_entries.identities(cache_of(source))
    assert run(source, "--no-refit").summary["kinds"] == {"fresh": 1}
    assert foreign_entries.identities(cache_of(source)) == before


@needs(Capability.GIO)
@pytest.mark.parametrize("flavor", ["x-large", "xx-large"])
def test_a_stale_larger_entry_of_another_program_does_not_survive(
    source: Path, flavor: str
) -> None:
    stale = plant(source, flavor, [URI, ("tEXt", "Thumb::MTime", "1"), SIZE])
    assert desktops.gio(cache_of(source), [source])[0].valid is False
    assert run(source).summary["kinds"] == {"made": 1}
    assert not stale.path.exists() or stale.path.read_bytes() != stale.data
    assert desktops.gio(cache_of(source), [source])[0].valid


@needs(Capability.GIO)
def test_a_stale_larger_entry_goes_although_the_wanted_ones_are_fresh(source: Path) -> None:
    assert run(source).summary["kinds"] == {"made": 1}
    stale = plant(source, "x-large", [URI, ("tEXt", "Thumb::MTime", "1")])
    assert run(source, "--flavors", "normal,large").summary["kinds"] == {"tidied": 1}
    assert not stale.path.exists()
    assert desktops.gio(cache_of(source), [source])[0].valid


def test_a_fresh_larger_entry_of_another_program_stays(source: Path) -> None:
    kept = plant(source, "xx-large", [URI, FRACTIONAL, SIZE])
    run(source)
    now = foreign_entries.read(cache_of(source), "xx-large", source)
    assert png_walk.pixels_digest(now.data) == png_walk.pixels_digest(kept.data)


@pytest.mark.parametrize(
    "texts",
    [
        [("tEXt", "Thumb::URI", "file:///some/other.jpg"), WHOLE],
        [URI, ("tEXt", "Thumb::MTime", "1700000001")],
        [URI, ("tEXt", "Thumb::MTime", "1699999999")],
        [URI, WHOLE, ("tEXt", "Thumb::Size", "5")],
        [URI],
        [WHOLE],
        [],
    ],
    ids=["other URI", "newer", "older", "other size", "no MTime", "no URI", "nothing"],
)
def test_an_entry_that_is_not_this_sources_is_made_again(
    source: Path, texts: list[tuple[str, str, str]]
) -> None:
    old = plant(source, "large", texts)
    assert run(source).summary["kinds"] == {"made": 1}
    new = foreign_entries.read(cache_of(source), "large", source)
    assert png_walk.pixels_digest(new.data) != png_walk.pixels_digest(old.data)
    assert new.text("Thumb::Size") == str(source.stat().st_size)


@pytest.mark.parametrize("broken", ["empty", "cut", "garbage", "folder"])
def test_a_broken_entry_is_made_again(source: Path, broken: str) -> None:
    entry = plant(source, "large", [URI, WHOLE, SIZE])
    if broken == "folder":
        entry.path.unlink()
        entry.path.mkdir()
    else:
        data = {"empty": b"", "cut": entry.data[: len(entry.data) // 2], "garbage": b"x" * 999}
        entry.path.write_bytes(data[broken])
    done = run(source)
    if broken == "folder":
        # What is in it, pregen cannot know: its owner is told to move it away.
        assert done.code == 12, done
        assert str(entry.path) in done.err
        assert entry.path.is_dir()
    else:
        assert done.summary["kinds"] == {"made": 1}, done
        assert foreign_entries.read(cache_of(source), "large", source).image.size == (256, 171)
