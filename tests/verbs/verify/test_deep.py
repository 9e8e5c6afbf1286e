"""`pregen verify --deep`, as a user runs it, over every format: it finds what is wrong, no more.

One cache of sound files of all formats. Each entry of the planting shows something else than its
file: nothing but white, the picture upside down, or its colours in another profile.
"""

from __future__ import annotations

import io
import os
import struct
import zlib
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pytest
from PIL import Image

from pregen.imaging import sniff
from tests.support.files import colour_spaces, foreign_entries, sound_files
from tests.support.files.photo import photo
from tests.support.files.pictures import put
from tests.support.judges import png_walk
from tests.support.running.program import Finished, run_pregen

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from numpy.typing import NDArray

    Rgba = NDArray[np.uint8]

FLAVORS = ("normal", "large", "x-large")
#: Formats that hold one plane only.
COLOURLESS = frozenset({"fits", "xbm"})
#: What differs by less is no fault.
SAME_LEVELS = 4.0
#: Root mean square of red and of blue against green.
COLOURFUL_LEVELS = 8.0


def white(rgba: Rgba) -> Rgba:
    return np.full_like(rgba, 255)


def turned(rgba: Rgba) -> Rgba:
    return np.ascontiguousarray(rgba[::-1, ::-1])


def in_prophoto(rgba: Rgba) -> Rgba:
    """Return what shows samples of ProPhoto as if they were sRGB's."""
    codes = colour_spaces.rgb("prophoto").from_srgb(rgba[..., :3] / 255)
    wrong = np.clip(np.rint(codes * 255), 0, 255).astype(np.uint8)
    return np.concatenate([wrong, rgba[..., 3:]], axis=-1)


#: One kind for each size of a file's entries.
PLANTS: dict[str, Callable[[Rgba], Rgba]] = dict(
    zip(FLAVORS, (white, turned, in_prophoto), strict=True)
)


class Made(NamedTuple):
    """A run over sound files of every format."""

    photos: Path
    cache: Path
    loaders: dict[str, str]
    """By file: which decoder made its entries."""


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    scratch = tmp_path_factory.mktemp("deep")
    photos, cache = scratch / "photos", scratch / "cache"
    samples = sound_files.by_format(with_corpus=False)
    for name, files in samples.items():
        for number, data in enumerate(files):
            put(photos / f"{name}-{number}.{name}", data)
    # A cursor is an icon by another number.
    put(photos / "cur-0.cur", b"\0\0\2\0" + samples["ico"][0][4:])
    flavors = f"--flavors={','.join(FLAVORS)}"
    done = run_pregen("run", "--json", "-v", flavors, photos, cache=cache)
    assert done.code in {0, 3}, done  # RAWs without a picture, made for the walkers alone
    loaders = {
        os.fsdecode(path.rpartition(b"/")[2]): record["loader"]
        for path, record in done.outcomes.items()
        if record["kind"] == "made"
    }
    formats = {known.name for known in sniff.FORMATS if known.decoder}
    assert {name.partition("-")[0] for name in loaders} == formats
    return Made(photos, cache, loaders)


def verify(cache: Path, *more: str) -> Finished:
    return run_pregen("verify", "--deep", "--json", *more, cache=cache)


def found(done: Finished) -> dict[tuple[str, str], set[str]]:
    """Return what was found, by folder and file."""
    return {
        (record["folder"], record["source"]["path"].rpartition("/")[2]): {
            flaw["flaw"] for flaw in record["flaws"]
        }
        for record in done.records
        if record["type"] == "bad"
    }


def test_no_entry_of_a_sound_file_is_called_wrong(made: Made) -> None:
    done = verify(made.cache)
    assert (done.code, found(done)) == (0, {}), done
    assert done.summary["compared"] == len(FLAVORS) * len(made.loaders)


def test_white_turned_and_wrong_colours_are_found_for_every_decoder(made: Made) -> None:
    planted: set[tuple[str, str]] = set()
    kept: dict[Path, bytes] = {}
    for name in made.loaders:
        for flavor, plant in PLANTS.items():
            entry = foreign_entries.read(made.cache, flavor, made.photos / name)
            before = np.asarray(Image.open(io.BytesIO(entry.data)).convert("RGBA"))
            after = plant(before)
            if np.abs(after.astype(int) - before).mean() < SAME_LEVELS:
                continue  # a drawing may look the same upside down
            if plant is in_prophoto and strength(before) < COLOURFUL_LEVELS:
                continue
            kept[entry.path] = entry.data
            entry.path.write_bytes(with_picture(entry.data, after))
            planted.add((flavor, name))
    try:
        done = verify(made.cache)
    finally:
        for path, data in kept.items():
            path.write_bytes(data)
    missed = planted - found(done).keys()
    # FFmpeg shows other frames to others than pregen, and RAWs are other renderings.
    assert {(flavor, name) for flavor, name in missed if not in_part(name)} == set(), done
    assert found(done).keys() == planted - missed
    assert all(flaws == {"picture"} for flaws in found(done).values())
    for flavor in FLAVORS:
        names = {name for one, name in planted if one == flavor}
        colourless = COLOURLESS if PLANTS[flavor] is in_prophoto else frozenset()
        assert {made.loaders[name] for name in names} == set(made.loaders.values())
        wanted = {name.partition("-")[0] for name in made.loaders} - colourless
        assert {name.partition("-")[0] for name in names} == wanted


def in_part(name: str) -> bool:
    """Tell whether another decoder may show another rendering of it."""
    return name.startswith("raw-")


def strength(rgba: Rgba) -> float:
    colours = rgba[..., :3].astype(float)
    return float(np.sqrt(np.mean((colours[..., [0, 2]] - colours[..., [1]]) ** 2)))


def with_picture(png: bytes, rgba: Rgba) -> bytes:
    """Return an entry with the same texts and another picture."""
    lines = zlib.compress(b"".join(b"\0" + row.tobytes() for row in rgba))
    return png_walk.build(
        [(kind, lines if kind == b"IDAT" else body) for kind, body in png_walk.chunks(png)]
    )


def test_what_two_decoders_show_differently_is_told_and_stays(tmp_path: Path) -> None:
    """Of 32 bits a pixel without masks, the last 8 mean nothing; FFmpeg takes them for an alpha."""
    samples = photo(400, 300)[::-1, :, ::-1]
    spare = np.arange(400 * 300).reshape(300, 400, 1).astype(np.uint8)
    body = np.concatenate([samples, spare], axis=-1).tobytes()
    info = struct.pack("<IiiHHIIiiII", 40, 400, 300, 1, 32, 0, len(body), 0, 0, 0, 0)
    data = b"BM" + struct.pack("<IHHI", 54 + len(body), 0, 0, 54) + info + body
    source = put(tmp_path / "photos" / "spare.bmp", data)
    cache = tmp_path / "cache"
    assert run_pregen("run", source, cache=cache).code == 0
    before = foreign_entries.identities(cache)
    told = {(flavor, source.name): {"disputed"} for flavor in ("normal", "large")}
    for more in ((), ("--repair",), ("--repair",)):
        done = verify(cache, *more)
        assert (done.code, found(done)) == (4, told), done
        assert done.summary["cures"] == ({"same": 2} if more else {})
        assert foreign_entries.identities(cache) == before
    words = run_pregen("verify", "--deep", cache=cache).out
    assert "a new one would be the same" in words
    assert "--repair" not in words
    # ... and what is wrong besides is mended: the file's other entry.
    large = foreign_entries.read(cache, "large", source)
    large.path.write_bytes(with_picture(large.data, white(np.asarray(large.image))))
    done = verify(cache, "--repair")
    told["large", source.name] = {"picture"}
    assert (done.code, found(done)) == (4, told), done
    assert done.summary["cures"] == {"same": 1, "removed": 1}
    assert foreign_entries.read(cache, "large", source).data == large.data
