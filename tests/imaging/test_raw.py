"""RAWs: the right preview, upright; LibRaw where there is none; no grey pictures."""

from __future__ import annotations

import sys
from functools import cache

import numpy as np
import pytest
from PIL import Image

from pregen.imaging import faults
from pregen.model import Flavor
from tests.support.files import pictures, raws
from tests.support.files.photo import photo, psnr_db
from tests.support.judges.decoding import large, make

SMALL, MEDIUM = (256, 171), (1620, 1080)


@cache
def shown(size: tuple[int, int], orientation: int = 1) -> Image.Image:
    """The upright scene as a camera stores it."""
    turned = orientation >= 5
    upright = Image.fromarray(photo(*(size[::-1] if turned else size), seed=3))
    stored = pictures._STORED[orientation]
    return upright if stored is None else upright.transpose(stored)


def test_the_smallest_preview_that_covers_is_all_that_is_read() -> None:
    data = raws.dng([shown(SMALL), shown(MEDIUM)])
    made = make(data)
    assert (made.mime, made.loader) == ("image/x-adobe-dng", "preview")
    assert (made.width_px, made.height_px) == (6000, 4000)
    assert made.bytes_read <= 128 * 1024
    assert psnr_db(large(data)[..., :3], shown(SMALL)) > 30
    larger = make(data, (Flavor.X_LARGE, Flavor.XX_LARGE))
    assert larger.loader == "preview"
    assert larger.pictures[Flavor.XX_LARGE].width_px == 1024


def test_without_a_preview_the_picture_is_developed_at_half_size() -> None:
    pytest.importorskip("rawpy")
    data = raws.dng(size=(1200, 800), orientation=6)
    made = make(data)
    assert (made.loader, made.width_px, made.height_px) == ("libraw", 800, 1200)
    pixels = large(data).astype(int)
    assert pixels.shape[:2] == (256, 171)
    above, below = pixels[40, 80], pixels[210, 80]
    assert above[0] > above[2] + 50
    assert below[2] > below[0] + 50


@pytest.mark.parametrize("previews", [(), (SMALL, MEDIUM)])
def test_a_dng_cut_in_half_is_truncated(previews: tuple[tuple[int, int], ...]) -> None:
    data = raws.dng([shown(size) for size in previews], size=(1200, 800))
    with pytest.raises(faults.TruncatedPicture, match="sensor data end"):
        make(data[: len(data) // 2])


@pytest.mark.parametrize("kind", ["dng", "cr3", "raf"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_previews_are_turned_upright(kind: str, orientation: int) -> None:
    picture = shown((402, 268), orientation)
    if kind == "dng":
        data = raws.dng([picture], (1200, 800), orientation)
    else:
        data = {"cr3": raws.cr3, "raf": raws.raf}[kind](picture, (1200, 800), orientation)
    wanted = shown((402, 268), 5 if orientation >= 5 else 1)
    if orientation >= 5:
        wanted = wanted.transpose(Image.Transpose.TRANSPOSE)
    size = (171, 256) if orientation >= 5 else (256, 171)
    made = make(data)
    assert made.loader == "preview"
    assert (made.width_px > made.height_px) == (orientation < 5)
    found = large(data)[..., :3]
    assert psnr_db(found, wanted.resize(size, Image.Resampling.LANCZOS)) > 24


@pytest.mark.parametrize("kind", ["cr3", "raf"])
def test_other_containers_are_told_when_they_end_early(kind: str) -> None:
    data = {"cr3": raws.cr3, "raf": raws.raf}[kind](shown(SMALL))
    with pytest.raises(faults.TruncatedPicture):
        make(data[:-1000])


@pytest.mark.parametrize("size", [(256, 192), (171, 256), (256, 256)])
def test_a_preview_of_another_shape_is_passed_over(size: tuple[int, int]) -> None:
    """Letterboxed, turned, or squeezed."""
    picture = Image.fromarray(np.zeros((size[1], size[0], 3), np.uint8))
    made = make(raws.dng([picture, shown(MEDIUM)], (1200, 800)))
    assert made.loader == "preview"
    assert made.bytes_read > 64 * 1024
    assert large(raws.dng([picture, shown(MEDIUM)], (1200, 800)))[..., :3].mean() > 40


@pytest.mark.parametrize("bar_px", [30, 128], ids=["bars", "black"])
def test_a_black_or_barred_preview_is_developed_instead(bar_px: int) -> None:
    """LibRaw, which would give the same preview, is not asked for it."""
    pytest.importorskip("rawpy")
    pixels = np.array(shown((384, 256)))
    pixels[:bar_px] = pixels[-bar_px:] = 0
    data = raws.dng([Image.fromarray(pixels)], (1200, 800))
    assert make(data).loader == "libraw"
    assert large(data)[..., :3].mean(axis=(1, 2)).min() > 40
    assert make(raws.dng([shown((384, 256))], (1200, 800))).loader == "preview"


def test_a_preview_that_is_damaged_costs_no_picture() -> None:
    pytest.importorskip("rawpy")
    data = raws.dng([shown(SMALL)], (1200, 800))
    begin = data.index(b"\xff\xd8\xff")
    scan = data.index(b"\xff\xda", begin)
    end = data.rindex(b"\xff\xd9", begin, begin + 64 * 1024) + 2
    broken = data[: scan + 14] + bytes(end - scan - 14) + data[end:]
    assert make(broken).loader.startswith("libraw")


def test_only_what_has_no_preview_waits_for_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "rawpy", None)
    monkeypatch.delitem(sys.modules, "pregen.imaging.decoders.libraw", raising=False)
    assert make(raws.dng([shown(SMALL)], (1200, 800))).loader == "preview"
    with pytest.raises(faults.NeedsExtra) as caught:
        make(raws.dng(size=(1200, 800)))
    assert (caught.value.extra, caught.value.mime) == ("raw", "image/x-adobe-dng")
