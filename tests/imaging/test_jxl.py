"""JPEG XL: upright by its codestream, colours by its profile; refusals by their name."""

from __future__ import annotations

from typing import Any

import numpy as np
import pylibjxl
import pytest
from PIL import Image

from pregen.imaging import faults
from pregen.imaging.runtime import pyvips
from pregen.model import Flavor
from tests.support.files import broken, pictures
from tests.support.files.heifs import BLUE, GREEN, RED, WHITE, corners
from tests.support.files.photo import psnr_db
from tests.support.files.pictures import image
from tests.support.judges.decoding import large, make, pixels_of


def _db(shown: Image.Image, wanted: Image.Image) -> float:
    return psnr_db(np.asarray(shown), np.asarray(wanted))


def _jxl(picture: Image.Image, **options: Any) -> bytes:
    return bytes(pylibjxl.encode(np.asarray(picture), **options))


def test_a_picture_comes_out_as_it_is() -> None:
    original = image(1200, 800, seed=2)
    made = make(_jxl(original))
    assert (made.mime, made.loader) == ("image/jxl", "libjxl")
    assert (made.width_px, made.height_px) == (1200, 800)
    shown = Image.fromarray(pixels_of(made.pictures[Flavor.LARGE])).convert("RGB")
    assert _db(shown, original.resize(shown.size, Image.Resampling.LANCZOS)) > 35


def test_a_transcoded_jpeg_is_turned_once() -> None:
    jpeg = pictures.encode(corners(1200, 800), "JPEG", exif=pictures.exif(6), quality=95)
    pixels = large(bytes(pylibjxl.jpeg_to_jxl(jpeg)))
    assert pixels.shape == (256, 171, 4)
    for (row, column), colour in {
        (64, 43): BLUE, (64, 128): RED, (192, 43): WHITE, (192, 128): GREEN,
    }.items():  # fmt: skip
        assert np.abs(pixels[row, column, :3].astype(int) - colour).max() <= 8


def test_profile_alpha_and_grey_are_respected() -> None:
    p3 = bytes(pyvips.Image.profile_load("p3"))
    pixels = large(_jxl(Image.new("RGB", (600, 400), (200, 100, 50)), icc=p3, lossless=True))
    assert np.abs(pixels[80, 120, :3].astype(int) - (215, 93, 31)).max() <= 2
    rgba = pictures.rgba(600, 400)
    shown = Image.fromarray(large(_jxl(rgba, lossless=True)))
    reduced = rgba.resize(shown.size, Image.Resampling.LANCZOS).getchannel("A")
    assert _db(shown.getchannel("A"), reduced) > 30
    grey = large(_jxl(Image.new("L", (600, 400), 90), lossless=True))
    assert tuple(grey[50, 50]) == (90, 90, 90, 255)


@pytest.mark.parametrize("share", [0.1, 0.6, 0.95])
def test_one_that_ends_early_is_truncated_where_it_says_how_long_it_is(share: float) -> None:
    picture = image(600, 400, seed=2)
    boxed = _jxl(picture, exif=b"MM\0*\0\0\0\x08\0\0\0\0\0\0")
    with pytest.raises(faults.TruncatedPicture, match="ends before"):
        make(broken.truncated(boxed, share))
    with pytest.raises(faults.InvalidPicture, match="ends early"):
        make(broken.truncated(_jxl(picture), share))
