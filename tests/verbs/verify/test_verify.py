"""`pregen verify`, as a user runs it: every planted damage is found, and nothing else is."""

from __future__ import annotations

import fcntl
import io
import os
import shutil
import stat
from typing import TYPE_CHECKING

from PIL import Image

from tests.support.files import foreign_entries
from tests.support.files.damaged_entries import DAMAGES, Entry
from tests.support.files.pictures import encode, jpeg, put
from tests.support.files.source_trees import MTIME_NS
from tests.support.judges import desktops, png_walk
from tests.support.running.capabilities import Capability, corpus, needs
from tests.support.running.program import Finished, run_pregen

if TYPE_CHECKING:
    from pathlib import Path

Found = dict[bytes, set[str]]


def library(folder: Path, number: int) -> list[Path]:
    """Make originals that are twice as wide as high, or nearly: a turned one is seen by its edges.

    All are large, so that every entry has the edge of its flavor.
    """
    return [
        put(folder / f"{each:02}.jpg", jpeg(400 + 2 * each, 300, seed=each), MTIME_NS + each)
        for each in range(number)
    ]


def verify(cache: Path, *arguments: str | Path) -> Finished:
    return run_pregen("verify", "--json", *arguments, cache=cache)


def found(done: Finished) -> Found:
    """Return what was found, by path; a path must not come twice."""
    flaws: Found = {}
    for record in done.records:
        if record["type"] == "bad":
            path = os.fsencode(record["path"])
            assert path not in flaws
            flaws[path] = {flaw["flaw"] for flaw in record["flaws"]}
            assert all(flaw["reason"] for flaw in record["flaws"])
    return flaws


def differing(got: Found, wanted: Found) -> list[tuple[str, set[str], set[str]]]:
    """Return path, what was found and what should have been, where they differ."""
    return [
        (os.fsdecode(path), got.get(path, set()), wanted.get(path, set()))
        for path in got | wanted
        if got.get(path) != wanted.get(path)
    ]


def everything(cache: Path) -> set[Path]:
    return {path for path in (cache / "thumbnails").rglob("*") if path.name != ".pregen.lock"}


def plant(cache: Path, sources: list[Path]) -> tuple[Found, Found]:
    """Plant every kind of damage, each in an entry of its own.

    Return what is to be found, by reading alone and by comparing pictures only.
    """
    assert len(DAMAGES) > 20
    shallow: Found = {}
    deep: Found = {}
    for source, damage in zip(sources, DAMAGES.values(), strict=False):
        path = desktops.entry_path(cache, "large", desktops.glib_uri(source))
        before = everything(cache)
        damage.plant(Entry(path, source))
        hit = everything(cache) - before or {path}
        if source.stat().st_mtime_ns > MTIME_NS + 10**11:
            hit.add(desktops.entry_path(cache, "normal", desktops.glib_uri(source)))
        for each in hit:
            (deep if damage.deep else shallow)[bytes(each)] = {damage.flaw}
    return shallow, deep


def test_every_kind_of_damage_is_found_and_nothing_else_and_repaired(tmp_path: Path) -> None:
    cache, sources = tmp_path / "cache", library(tmp_path / "photos", len(DAMAGES) + 2)
    assert run_pregen("run", "--json", tmp_path / "photos", cache=cache).code == 0
    done = verify(cache, "--deep")
    assert (done.code, found(done)) == (0, {}), done
    assert done.summary["compared"] == 2 * len(sources)

    shallow, deep = plant(cache, sources)
    done = verify(cache)
    assert (done.code, differing(found(done), shallow)) == (4, []), done
    done = verify(cache, "--deep", "--repair")
    assert (done.code, differing(found(done), shallow | deep)) == (0, []), done
    assert done.summary["bad"] == len(shallow | deep)
    assert not done.summary["still_bad"]
    assert not done.summary["not_made"]
    done = verify(cache, "--deep")
    assert (done.code, found(done)) == (0, {}), done
    # ... and nothing is missing: each source has the entries it had.
    for source in sources:
        for flavor in ("normal", "large"):
            assert (
                max(foreign_entries.read(cache, flavor, source).image.size)
                == foreign_entries.BOX_PX[flavor]
            )
    assert len(list(foreign_entries.files(cache))) == 2 * len(sources) + 1  # the lock


@needs(Capability.GIO)
def test_what_was_repaired_is_accepted_by_gio_and_has_the_flavors_it_had(tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    one, other, sound = library(tmp_path / "photos", 3)
    both, large = "--flavors=normal,x-large", "--flavors=large"
    assert run_pregen("run", both, one, cache=cache).code == 0
    assert run_pregen("run", large, other, sound, cache=cache).code == 0
    before = set(foreign_entries.files(cache))
    Entry(desktops.entry_path(cache, "x-large", desktops.glib_uri(one)), one).put(b"")
    hurt = Entry(desktops.entry_path(cache, "large", desktops.glib_uri(other)), other)
    DAMAGES["another MTime"].plant(hurt)
    assert [answer.valid for answer in desktops.gio(cache, [one, other, sound])][1:] == [
        False,
        True,
    ]
    done = run_pregen("verify", "--repair", cache=cache)
    assert done.code == 0, done
    assert set(foreign_entries.files(cache)) == before
    assert all(answer.valid for answer in desktops.gio(cache, [one, other, sound]))


def test_what_other_programs_do_differently_is_not_called_bad(tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    rgb = Image.open(io.BytesIO(jpeg(256, 192))).convert("RGB")
    uri, mtime = ("tEXt", "Thumb::URI", "{uri}"), ("tEXt", "Thumb::MTime", "{mtime}")
    kde = [
        ("zTXt", "Thumb::URI", "{uri}"),
        mtime,
        ("tEXt", "Thumb::Size", "{size}"),
        ("tEXt", "Software", "KDE Thumbnail Generator Images (JPEG)"),
    ]
    gnome = [uri, mtime, ("tEXt", "Software", "GNOME::ThumbnailFactory")]
    made = {
        "gnome.jpg": ("large", gnome, rgb),
        "gnome grey.jpg": ("normal", gnome, rgb.convert("L").resize((128, 96))),
        "kde.jpg": ("large", kde, rgb.convert("RGBA")),
        "kde small.jpg": ("xx-large", kde, rgb),
        "tumbler.jpg": (
            "large",
            [uri, ("tEXt", "Thumb::MTime", "{mtime}.{fraction}"), ("tEXt", "Software", "T")],
            rgb.convert("RGBA"),
        ),
        "gthumb.jpg": ("x-large", gnome, rgb.resize((384, 288))),
        "text behind.jpg": ("large", gnome, rgb),
    }
    for number, (name, (flavor, texts, picture)) in enumerate(made.items()):
        original = encode(rgb.convert("L"), "JPEG") if "grey" in name else jpeg(256, 192)
        source = put(tmp_path / "photos" / name, original, MTIME_NS + number)
        entry = foreign_entries.foreign(cache, flavor, source, texts, picture)
        if name.startswith("kde"):
            entry.path.chmod(0o644)
        if name == "text behind.jpg":
            parts = png_walk.chunks(entry.data)
            last = [part for part in parts if part[0] == b"tEXt"]
            rest = [part for part in parts if part[0] != b"tEXt"]
            entry.path.write_bytes(png_walk.build([*rest[:-1], *last, rest[-1]]))
    gone = put(tmp_path / "photos" / "gone.jpg", jpeg(256, 192), MTIME_NS)
    foreign_entries.foreign(cache, "large", gone, gnome, rgb)
    failed = put(tmp_path / "photos" / "failed.jpg", b"\xff\xd8", MTIME_NS)
    for program in ("gnome-thumbnail-factory", "pregen-0.1"):
        pixel = Image.new("RGBA", (1, 1))
        foreign_entries.foreign(cache, f"fail/{program}", failed, gnome, pixel)
    put(failed, b"\xff\xd8 has changed", MTIME_NS + 10**10)  # so the records are out of date
    gone.unlink()
    put(cache / "thumbnails" / "large" / "notes.txt", b"mine")
    put(cache / "thumbnails" / "large" / "drawing.png", encode(rgb, "PNG"))
    for folder in [*(cache / "thumbnails").rglob("*"), cache / "thumbnails"]:
        if folder.is_dir():
            folder.chmod(0o700)
    done = verify(cache, "--deep")
    assert (done.code, found(done)) == (0, {}), done
    assert done.summary["entries"] == len(made) + 3
    assert done.summary["compared"] == len(made)
    assert done.summary["source_states"]["gone"] == 1


def test_paths_choose_whose_entries_are_checked_even_of_those_that_cannot_say(
    tmp_path: Path,
) -> None:
    cache = tmp_path / "cache"
    here, there = library(tmp_path / "here", 3), library(tmp_path / "there", 2)
    for source in (*here, *there):
        os.utime(source, ns=(MTIME_NS, MTIME_NS))
    for folder in ("here", "there"):
        assert run_pregen("run", tmp_path / folder, cache=cache).code == 0
    hurt = [
        desktops.entry_path(cache, "large", desktops.glib_uri(path)) for path in (*here, *there)
    ]
    for path in hurt:
        path.write_bytes(b"")
    for path in hurt[:2]:  # so that no sibling tells whose the first two are
        path.parent.with_name("normal").joinpath(path.name).unlink()
    shutil.rmtree(f"{cache}-state")
    done = verify(cache, tmp_path / "here")
    assert found(done) == {bytes(path): {"empty"} for path in hurt[:3]}, done
    assert done.summary["entries"] == 4
    done = verify(cache, "--repair", tmp_path / "here")
    assert done.code == 0, done
    assert found(verify(cache)) == {bytes(path): {"empty"} for path in hurt[3:]}


def test_modes_of_folders_are_checked_and_mended(tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    library(tmp_path / "photos", 1)
    assert run_pregen("run", tmp_path / "photos", cache=cache).code == 0
    folders = [cache / "thumbnails", cache / "thumbnails" / "normal"]
    for folder in folders:
        folder.chmod(0o755)
    before = foreign_entries.identities(cache)
    assert found(verify(cache)) == {bytes(folder): {"mode"} for folder in folders}
    assert verify(cache, "--repair").code == 0
    assert verify(cache).code == 0
    assert foreign_entries.identities(cache) == before


def test_a_repair_keeps_what_can_be_shown_and_could_not_be_made_again(tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    interlaced, cut, intact = library(tmp_path / "photos", 3)
    assert run_pregen("run", "--flavors=large", tmp_path / "photos", cache=cache).code == 0
    paths = {
        source: desktops.entry_path(cache, "large", desktops.glib_uri(source))
        for source in (interlaced, cut, intact)
    }
    DAMAGES["interlaced"].plant(Entry(paths[interlaced], interlaced))
    DAMAGES["cut within its picture"].plant(Entry(paths[cut], cut))
    interlaced.unlink()
    cut.unlink()
    done = verify(cache, "--repair")
    assert done.code == 4, done
    cures = {record["path"]: record["cure"] for record in done.records if record["type"] == "bad"}
    assert cures == {str(paths[interlaced]): "kept", str(paths[cut]): "removed"}
    assert paths[interlaced].exists()
    assert not paths[cut].exists()


def test_a_source_that_cannot_be_decoded_any_more_is_named(tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    [source] = library(tmp_path / "photos", 1)
    assert run_pregen("run", tmp_path / "photos", cache=cache).code == 0
    put(source, b"\xff\xd8\xff no picture any more", MTIME_NS)
    done = verify(cache, "--repair")
    assert set(map(frozenset, found(done).values())) == {frozenset({"stale"})}
    [failed] = done.summary["not_made"]
    assert failed["path"] == str(source)
    assert verify(cache).code == 0


def test_a_sample_compares_so_many_pictures(tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    library(tmp_path / "photos", 4)
    assert run_pregen("run", tmp_path / "photos", cache=cache).code == 0
    done = verify(cache, "--sample", "3")
    assert (done.code, done.summary["compared"], done.summary["entries"]) == (0, 3, 8), done


def test_people_read_what_is_wrong_with_whose_and_what_to_do(tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    name = os.fsencode(tmp_path) + b"/photos/\xff\x1b[31m.jpg"
    source = put(tmp_path / "photos" / "a.jpg", jpeg(400, 300), MTIME_NS)
    source.rename(os.fsdecode(name))
    assert run_pregen("run", tmp_path / "photos", cache=cache).code == 0
    path = desktops.entry_path(cache, "large", desktops.glib_uri(name))
    path.write_bytes(path.read_bytes()[:-12])
    done = run_pregen("verify", cache=cache)
    assert done.code == 4
    assert f"large/{path.name}  truncated  it ends at byte" in done.out, done
    assert "\\xff\\x1b[31m.jpg" in done.out
    assert done.out.endswith(
        "\n2 thumbnails checked: 1 bad. To repair them: pregen verify --repair\n"
    )
    done = run_pregen("verify", "--repair", cache=cache)
    assert done.code == 0, done
    assert "1 removed" in done.out
    [record] = [each for each in verify(cache).records if each["type"] == "summary"]
    assert record["bad"] == 0


def test_a_run_under_way_keeps_a_repair_out(tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    library(tmp_path / "photos", 1)
    assert run_pregen("run", tmp_path / "photos", cache=cache).code == 0
    (cache / "thumbnails" / "large").chmod(0o755)
    with (cache / "thumbnails" / ".pregen.lock").open("r+b") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert verify(cache).code == 4
        done = verify(cache, "--repair")
    assert done.code == 10, done
    assert stat.S_IMODE((cache / "thumbnails" / "large").stat().st_mode) == 0o755


def test_no_cache_is_a_good_cache(tmp_path: Path) -> None:
    done = verify(tmp_path / "none")
    assert (done.code, done.summary["entries"]) == (0, 0)
    assert not (tmp_path / "none").exists()


@needs(Capability.CORPUS)
def test_real_photos_of_every_format_pass_a_deep_look(tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    done = run_pregen("run", "--json", corpus() / "formats", corpus() / "orientation", cache=cache)
    assert done.summary["entries_written"] > 30, done
    done = verify(cache, "--deep")
    assert (done.code, found(done)) == (0, {}), done
    assert done.summary["compared"] == done.summary["entries"] - _fail_records(cache)


def _fail_records(cache: Path) -> int:
    return len(list((cache / "thumbnails" / "fail").rglob("*.png")))
