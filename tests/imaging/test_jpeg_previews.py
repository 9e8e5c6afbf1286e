"""`--previews auto`: which previews of JPEGs are used, and which are not."""

from __future__ import annotations

import io
import os
import struct
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image, ImageCms

from pregen.imaging import thumbnail
from pregen.model import Flavor
from tests.support.files.camera_jpegs import FULL_HD, UNDEFINED, VGA, with_ifd1, with_mpf
from tests.support.files.photo import photo
from tests.support.files.pictures import encode, put
from tests.support.running.program import run_pregen

if TYPE_CHECKING:
    from pathlib import Path

BOTH = (Flavor.NORMAL, Flavor.LARGE)
MAIN_PX = (1600, 1200)


def picture(width_px: int, height_px: int, seed: int = 3) -> Image.Image:
    return Image.fromarray(photo(width_px, height_px, seed=seed))


def main(**options: object) -> bytes:
    return encode(picture(*MAIN_PX), "JPEG", quality=90, **options)


def preview(size_px: tuple[int, int] = (640, 480)) -> bytes:
    """A preview of the same motif, in another brightness: it can be told from the picture."""
    small = picture(*MAIN_PX).resize(size_px).point(lambda level: level // 2 + 60)
    return encode(small, "JPEG")


def made(data: bytes, tmp_path: Path, *, previews: bool = True) -> thumbnail.Thumbnails:
    path = put(tmp_path / "x.jpg", data)
    fd = os.open(path, os.O_RDONLY)
    try:
        return thumbnail.make(fd, len(data), BOTH, 10**9, lambda _size: None, previews=previews)
    finally:
        os.close(fd)


@pytest.mark.parametrize(
    ("data", "used"),
    [
        (with_ifd1(main(), preview((320, 240))), True),
        (with_mpf(main(), [(VGA, preview())]), True),
        (with_mpf(main(), [(UNDEFINED, preview()), (FULL_HD, preview())]), True),
        (with_mpf(main(), [(UNDEFINED, preview())]), False),
        (with_ifd1(main(), preview((160, 120))), False),
        (with_ifd1(main(), preview((320, 214))), False),
        (with_ifd1(main(), preview((240, 320))), False),
        (with_ifd1(main(), preview((320, 240))[:900]), False),
        (with_ifd1(main(), preview((320, 240)), offset=10**9), False),
        (with_ifd1(main(), b"\xff\xd8\xff\xe0 no picture"), False),
        (main(), False),
    ],
    ids=[
        "IFD1",
        "MPF",
        "MPF beside a gain map",
        "a gain map alone",
        "too small",
        "letterboxed by its shape",
        "turned",
        "cut off",
        "outside of the file",
        "no JPEG",
        "none",
    ],
)
def test_a_preview_that_covers_and_shows_the_same_is_used(
    data: bytes, tmp_path: Path, *, used: bool
) -> None:
    found = made(data, tmp_path)
    assert (found.loader == "preview") is used
    assert (found.width_px, found.height_px) == MAIN_PX
    assert found.pictures[Flavor.LARGE].width_px == 256
    assert found.pictures[Flavor.LARGE].height_px == 192
    assert made(data, tmp_path, previews=False).loader != "preview"


@pytest.mark.parametrize("bars", ["rows", "columns", "all"])
def test_black_and_bars_inside_the_right_shape_are_no_picture(bars: str, tmp_path: Path) -> None:
    pixels = np.array(picture(640, 480))
    match bars:
        case "rows":
            pixels[:40] = pixels[-40:] = 3
        case "columns":
            pixels[:, :60] = pixels[:, -60:] = 0
        case _:
            pixels[:] = 5
    data = with_mpf(main(), [(VGA, encode(Image.fromarray(pixels), "JPEG"))])
    assert made(data, tmp_path).loader != "preview"


@pytest.mark.parametrize("quality", [20, 30, 60, 75, 95])
@pytest.mark.parametrize(("size_px", "bar_px"), [((320, 240), 13), ((512, 384), 21)])
def test_bars_are_told_however_badly_the_preview_is_compressed(
    size_px: tuple[int, int], bar_px: int, quality: int, tmp_path: Path
) -> None:
    """3:2 in 4:3: the narrowest bars that cameras make."""
    pixels = np.array(picture(*MAIN_PX).resize(size_px))
    pixels[:bar_px] = pixels[-bar_px:] = 0
    small = encode(Image.fromarray(pixels), "JPEG", quality=quality)
    assert made(with_mpf(main(), [(VGA, small)]), tmp_path).loader != "preview"


def zeroed(data: bytes) -> bytes:
    begin, end = len(data) * 2 // 5, len(data) * 3 // 5
    return data[:begin] + bytes(end - begin) + data[end:]


def said_to_be(data: bytes, width_px: int, height_px: int) -> bytes:
    at = data.index(b"\xff\xc0") + 5
    return data[:at] + struct.pack(">HH", height_px, width_px) + data[at + 4 :]


@pytest.mark.parametrize(
    "damaged",
    [
        preview()[: len(preview()) * 4 // 5],
        preview()[: len(preview()) * 99 // 100],
        zeroed(preview()),
        said_to_be(preview(), 1280, 960),
        said_to_be(preview(), 65500, 49125),
    ],
    ids=["a fifth missing", "a hundredth missing", "zeroed", "too large", "far too large"],
)
def test_a_preview_that_would_have_to_be_salvaged_gives_way(damaged: bytes, tmp_path: Path) -> None:
    found = made(with_mpf(main(), [(VGA, damaged)]), tmp_path)
    assert found.loader != "preview"
    assert found.pictures == made(main(), tmp_path).pictures


def test_a_picture_with_a_profile_of_its_own_is_decoded_itself(tmp_path: Path) -> None:
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes()
    data = with_mpf(main(icc_profile=profile), [(VGA, preview())])
    assert made(data, tmp_path).loader != "preview"


def test_little_is_read_and_the_orientation_is_that_of_the_picture(tmp_path: Path) -> None:
    big = encode(picture(4000, 3000), "JPEG", quality=95)
    small = picture(4000, 3000).resize((320, 240))
    found = made(with_ifd1(big, encode(small, "JPEG"), orientation=6), tmp_path)
    assert found.loader == "preview"
    assert found.bytes_read <= 64 * 1024
    assert (found.width_px, found.height_px) == (3000, 4000)
    assert found.pictures[Flavor.LARGE].height_px == 256


def test_an_entry_looks_the_same_with_and_without(tmp_path: Path) -> None:
    small = picture(*MAIN_PX).resize((640, 480), Image.Resampling.LANCZOS)
    photos, caches = tmp_path / "photos", (tmp_path / "never", tmp_path / "auto")
    put(photos / "a.jpg", with_mpf(main(), [(VGA, encode(small, "JPEG", quality=95))]))
    shown = []
    for cache, value in zip(caches, ("never", "auto"), strict=True):
        done = run_pregen("run", "--json", "-v", "--previews", value, photos, cache=cache)
        assert done.code == 0, done
        (entry,) = (cache / "thumbnails" / "large").iterdir()
        with Image.open(io.BytesIO(entry.read_bytes())) as image:
            shown.append((entry.name, dict(image.info), np.array(image.convert("RGB"), int)))
        (outcome,) = done.outcomes.values()
        assert (outcome["loader"] == "preview") == (value == "auto")
    assert shown[0][0] == shown[1][0]
    keys = ("Thumb::URI", "Thumb::MTime", "Thumb::Size", "Thumb::Image::Width")
    assert [shown[0][1][key] for key in keys] == [shown[1][1][key] for key in keys]
    assert np.abs(shown[0][2] - shown[1][2]).mean() < 4
