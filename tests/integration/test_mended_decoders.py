"""Entries of older versions: those that a mended decoder would make otherwise are made again."""

from __future__ import annotations

import gzip
import shutil
import struct
import zlib
from functools import cache as once
from typing import TYPE_CHECKING

import numpy as np
import pytest

from pregen.imaging import revisions, sniff
from tests.support.files import (
    deep_samples,
    foreign_entries,
    pictures,
    plain_writers,
    profiles,
    tiffs,
)
from tests.support.files.pairs import pair
from tests.support.files.photo import photo
from tests.support.files.pictures import encode, put
from tests.support.files.source_trees import MTIME_NS
from tests.support.judges import png_walk
from tests.support.running.program import run_pregen

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.running.program import Finished

REVISION = "X-Pregen::Revision"
LOOKED = b"X-Pregen::Fingerprint"
#: Sources by name: whether older versions showed them wrongly.
Sources = dict[str, tuple[bytes, bool]]


@once
def sources() -> Sources:
    beside = bytearray(encode(pictures.image(400, 300), "GIF"))
    beside[6:10] = struct.pack("<HH", 420, 300)
    samples = photo(400, 300)
    deep = samples.astype(np.uint16) * 257
    light = samples.astype(np.float32) / 255
    rgb, srgb = pictures.image(400, 300), profiles.display_p3()
    turned = encode(rgb, "PNG", exif=pictures.exif(6).removeprefix(b"Exif\0\0"))
    crowded = np.dstack([samples, samples[..., :2]])
    lab = np.asarray(rgb.convert("LAB"))
    plain, wide = (pair("rgb", "8", profile, (400, 300)) for profile in ("none", "prophoto"))
    return {
        "deep.png": (deep_samples.png(deep, srgb), True),
        "grey.png": (deep_samples.png(deep[..., :1], srgb), True),
        "behind.png": (pictures.exif_behind(turned), True),
        "deep.tif": (deep_samples.tiff(deep, srgb), True),
        "light.tif": (deep_samples.tiff(light, srgb), True),
        "lab.tif": (encode(rgb.convert("LAB"), "TIFF"), True),
        "signed.tif": (tiffs.raw((samples.astype(np.int16) - 128).astype(np.int8), 2), True),
        "selections.psd": (pictures.photoshop(crowded), True),
        "turned.psd": (pictures.photoshop(samples, orientation=6), True),
        "lab.psd": (pictures.photoshop(lab, mode=9), True),
        "alpha.jp2": (encode(rgb.convert("RGBA"), "JPEG2000"), True),
        "reduced.jp2": (encode(rgb, "JPEG2000"), True),
        "turned.avif": (encode(rgb, "AVIF", xmp=b'<a tiff:Orientation="3"/>'), True),
        "xmp.avif": (encode(rgb, "AVIF", xmp=b"<a/>"), False),
        "other-inks.tif": (tiffs.raw(crowded[..., :4], 5, more={332: tiffs.short(2)}), True),
        "deep.avif": (deep_samples.avif(light, srgb, 10), True),
        "deep.heic": (deep_samples.heic(deep), True),
        "deep-profile.heic": (deep_samples.heic(deep, srgb), True),
        "profile.bmp": (plain_writers.bmp_rows(wide, 24, "v5"), True),
        "runs.pcx": (plain_writers.pcx(plain, 8, 3, packed_by="long runs"), True),
        "beside.gif": (bytes(beside), True),
        "alpha.cur": (pictures.icon([(pictures.rgba(200, 160), 32)], 2, (10, 12)), True),
        "begins-black.qoi": (pictures.qoi_of_named_black(400, 300, 5, 4), True),
        "a.jpg": (encode(rgb, "JPEG"), False),
        "profile.jpg": (encode(rgb, "JPEG", icc_profile=srgb), False),
        "turned.jpg": (pictures.oriented(rgb, 6), False),
        "a.png": (encode(rgb, "PNG"), False),
        "profile.png": (encode(rgb, "PNG", icc_profile=srgb), False),
        "before.png": (turned, False),
        "deep-plain.png": (pictures.png16(400, 300), False),
        "deep-plain.tif": (tiffs.raw(deep, 2), False),
        "a.tif": (encode(rgb, "TIFF", icc_profile=srgb), False),
        "inks.tif": (encode(rgb.convert("CMYK"), "TIFF"), False),
        "a.psd": (pictures.photoshop(samples), False),
        "paper.svg": (pictures.svg().replace(b"<svg ", b'<svg font-size="10pt" '), True),
        "paper.svgz": (gzip.compress(pictures.svg().replace(b"<svg ", b'<svg x="1mm" ')), True),
        "a.svg": (pictures.svg(), False),
        "a.svgz": (gzip.compress(pictures.svg()), False),
        "small.jp2": (encode(rgb.resize((240, 180)), "JPEG2000"), False),
        "whole.jp2": (plain_writers.jp2(plain, resolutions=1), False),
        "a.avif": (encode(rgb, "AVIF"), False),
        "profile.avif": (encode(rgb, "AVIF", icc_profile=srgb), False),
        "deep-plain.avif": (deep_samples.avif(light, b"", 10), False),
        "profile.heic": (deep_samples.heic(samples, srgb), False),
        "v5.bmp": (plain_writers.bmp_rows(plain, 24, "v5"), False),
        "a.webp": (encode(rgb, "WEBP"), False),
        "a.gif": (encode(rgb, "GIF"), False),
        "a.bmp": (encode(rgb, "BMP"), False),
        "a.qoi": (encode(rgb, "QOI"), False),
    }


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("mended") / "photos"
    for name, (data, _) in sources().items():
        put(folder / name, data, MTIME_NS)
    return folder


@pytest.fixture(scope="module")
def new(photos: Path) -> Path:
    """A cache as this version makes it, whose journal is lost."""
    made = photos.with_name("new")
    run(photos, made)
    forget(made)
    return made


@pytest.fixture
def cache(tmp_path: Path, new: Path) -> Path:
    """A cache as an older version left it, whose journal is lost."""
    shutil.copytree(new, tmp_path / "cache")
    for path in foreign_entries.identities(tmp_path / "cache"):
        path.write_bytes(as_old(path.read_bytes(), noise=True))
    return tmp_path / "cache"


def run(photos: Path, cache: Path, *more: str, code: int = 0) -> Finished:
    done = run_pregen("run", "--json", "-v", *more, photos, cache=cache)
    assert done.code == code, done
    return done


def forget(cache: Path) -> None:
    shutil.rmtree(f"{cache}-state")


def as_old(png: bytes, *, noise: bool = False, white_rows: float = 0, looked: bytes = b"") -> bytes:
    """Return an entry that says nothing of its decoder.

    Args:
        png: an entry of today.
        noise: in the place of the picture.
        white_rows: the part of the rows that are white, the rest is noise; 0: as it is.
        looked: another account of what was looked at.
    """
    width_px, height_px = (int.from_bytes(png[at : at + 4], "big") for at in (16, 20))
    rows = np.random.default_rng(1).integers(0, 256, (height_px, 1 + 4 * width_px), dtype=np.uint8)
    rows[:, 4::4] = 0
    rows[:, 0], rows[:, 4] = 1, 255
    if white_rows:
        rows[: round(height_px * white_rows), 1:] = [255] * 4 + [0] * 4 * (width_px - 1)
    picture = zlib.compress(rows.tobytes())
    return png_walk.build(
        [
            (
                kind,
                picture
                if kind == b"IDAT" and (noise or white_rows)
                else LOOKED + b"\0" + looked
                if looked and body.startswith(LOOKED)
                else body,
            )
            for kind, body in png_walk.chunks(png)
            if not body.startswith(REVISION.encode())
        ]
    )


def test_one_run_makes_the_concerned_entries_again_and_touches_no_other(
    photos: Path, cache: Path
) -> None:
    concerned = {name for name, (_, wrong) in sources().items() if wrong}
    before = foreign_entries.identities(cache)
    done = run(photos, cache)
    assert {name for name, kind in done.kinds().items() if kind == "made"} == concerned
    assert done.summary["kinds"]["fresh"] == len(sources()) - len(concerned)
    after = foreign_entries.identities(cache)
    assert before.keys() == after.keys()
    assert {path for path in before if before[path] != after[path]} == {
        foreign_entries.read(cache, flavor, photos / name).path
        for name in concerned
        for flavor in ("normal", "large")
    }
    again = run(photos, cache)
    assert again.summary["jobs"] == 0, "the journal remembers that they were looked at"
    assert again.summary["kinds"] == {"fresh": len(sources())}


def test_mends_name_types_that_are_read() -> None:
    named = {mime for mend in revisions.MENDS for mime in mend.mimes} - {revisions.UNKNOWN}
    assert named <= {known.mime for known in sniff.FORMATS if known.decoder}


def test_what_comes_out_as_it_was_stays_to_the_byte(tmp_path: Path) -> None:
    runs = plain_writers.pcx(pair("rgb", "8", "none", (400, 300)), 8, 3)
    source = put(tmp_path / "photos" / "a.pcx", runs, MTIME_NS)
    cache = tmp_path / "cache"
    run(source, cache)
    forget(cache)
    for path in foreign_entries.identities(cache):
        path.write_bytes(as_old(path.read_bytes(), looked=b"0" * 32 + b":65536"))
    before = foreign_entries.identities(cache)
    again = run(source, cache).summary
    assert (again["jobs"], again["kinds"]) == (1, {"fresh": 1})
    assert foreign_entries.identities(cache) == before


def test_entries_of_today_say_themselves_that_they_need_no_look(photos: Path, new: Path) -> None:
    before = foreign_entries.identities(new)
    assert run(photos, new).summary["jobs"] == 0
    assert foreign_entries.identities(new) == before


def test_a_dry_run_tells_and_writes_nothing(photos: Path, cache: Path) -> None:
    before = foreign_entries.identities(cache)
    told = run(photos, cache, "--dry-run").summary["would"]
    assert told["recheck"] > 0
    assert told["decode"] == 0
    assert foreign_entries.identities(cache) == before


def test_missing_only_leaves_them(photos: Path, cache: Path) -> None:
    before = foreign_entries.identities(cache)
    assert run(photos, cache, "--missing-only").summary["kinds"] == {"fresh": len(sources())}
    assert foreign_entries.identities(cache) == before


def test_a_moved_file_does_not_take_over_what_is_wrong(photos: Path, cache: Path) -> None:
    moved = shutil.copytree(photos, photos.with_name("elsewhere"))
    kinds = run(moved, cache).kinds()
    wrong = {name for name, (_, wrong) in sources().items() if wrong}
    assert {name for name, kind in kinds.items() if kind == "made"} == wrong
    assert {name for name, kind in kinds.items() if kind == "reused"} == kinds.keys() - wrong
    assert run(moved, cache).summary["jobs"] == 0


def test_entries_of_sizes_that_are_not_wanted_go_where_they_are_wrong(
    photos: Path, cache: Path
) -> None:
    run(photos, cache, "--flavors", "normal")
    for name, (_, wrong) in sources().items():
        entry = foreign_entries.read(cache, "normal", photos / name).path
        assert (cache / "thumbnails" / "large" / entry.name).exists() is not wrong, name


# What a decoder painted over damage, and what was refused ----------------------------------------


def test_damage_that_was_painted_over_is_seen_in_the_entry(tmp_path: Path) -> None:
    cache, folder = tmp_path / "cache", tmp_path / "photos"
    sound = encode(pictures.image(800, 600), "TIFF", compression="tiff_lzw")
    begin, end = len(sound) // 10, len(sound) * 8 // 10
    damaged = put(folder / "damaged.tif", sound, MTIME_NS)
    white = put(folder / "white.tif", encode(pictures.image(800, 600).point(lambda _: 255), "TIFF"))
    page = put(folder / "page.jpg", encode(pictures.image(800, 600).point(lambda _: 255), "JPEG"))
    run(folder, cache)
    for flavor in ("normal", "large"):
        entry = foreign_entries.read(cache, flavor, damaged)
        entry.path.write_bytes(as_old(entry.data, white_rows=0.5))
        for source in (white, page):
            entry = foreign_entries.read(cache, flavor, source)
            entry.path.write_bytes(as_old(entry.data))
    forget(cache)
    put(damaged, sound[:begin] + bytes(end - begin) + sound[end:], MTIME_NS)
    before = foreign_entries.identities(cache)

    kinds = run(folder, cache, code=3).kinds()
    assert kinds["damaged.tif"] == "invalid"
    after = foreign_entries.identities(cache)
    gone = before.keys() - after.keys()
    assert len(gone) == 2, "a wrong thumbnail is worse than none"
    assert {path: after[path] for path in before.keys() - gone} == {
        path: before[path] for path in before.keys() - gone
    }, "white pages are decoded again, and stay as they are"
    assert run(folder, cache).kinds()["damaged.tif"] == "failed-before"


def test_refused_files_are_tried_again_where_more_is_read(tmp_path: Path) -> None:
    cache, folder = tmp_path / "cache", tmp_path / "photos"
    kept = {
        "a.bmp": b"BM" + bytes(60), "a.tif": b"II*\0" + bytes(60),
        "a.jpg": b"\xff\xd8\xff\xe0" + bytes(60),
        "a.jp2": b"\x00\x00\x00\x0cjP  \r\n\x87\n" + bytes(60), "a.psd": b"8BPS\0\1" + bytes(60),
        "a.webp": b"RIFF\0\0\0\0WEBP" + bytes(60), "unknown.bmp": b"nothing known" * 9,
    }  # fmt: skip
    for name, data in kept.items():
        put(folder / name, data, MTIME_NS)
    first = run(folder, cache, code=3).kinds()
    assert set(first.values()) <= {"invalid", "truncated"}
    for path in foreign_entries.identities(cache):
        path.write_bytes(as_old(path.read_bytes()))
    forget(cache)
    again = run(folder, cache, code=3).kinds()
    tried = {name for name, kind in again.items() if kind != "failed-before"}
    assert tried == kept.keys() - {"a.webp"}
    assert set(run(folder, cache).kinds().values()) == {"failed-before"}
