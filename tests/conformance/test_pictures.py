"""The pictures the suite makes are what they say they are."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image, ImageCms, ImageOps

from tests.support.files import pictures
from tests.support.files.photo import photo, psnr_db
from tests.support.files.profiles import display_p3
from tests.support.judges import png_walk


@pytest.mark.parametrize("file_format", ["JPEG", "PNG", "WEBP", "TIFF", "AVIF"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_oriented_pictures_look_alike_once_turned(file_format: str, orientation: int) -> None:
    upright = pictures.image(120, 80, seed=3)
    stored = Image.open(io.BytesIO(pictures.oriented(upright, orientation, file_format)))
    turned = ImageOps.exif_transpose(stored).convert("RGB")
    assert psnr_db(upright, turned) > 25
    if orientation != 1:
        mirrored = ImageOps.mirror(upright)
        flipped = [mirrored, ImageOps.flip(upright), ImageOps.flip(mirrored)]
        assert max(psnr_db(upright, other) for other in flipped) < 20


def test_an_interlaced_and_a_16_bit_png_hold_the_photo() -> None:
    expected = photo(61, 43, seed=5)
    interlaced = pictures.interlaced_png(61, 43, seed=5)
    assert png_walk.chunks(interlaced)[0][1][-1] == 1
    assert np.array_equal(np.asarray(Image.open(io.BytesIO(interlaced))), expected)
    wide = pictures.png16(61, 43, seed=5)
    assert png_walk.chunks(wide)[0][1][8] == 16
    assert np.array_equal(np.asarray(Image.open(io.BytesIO(wide)).convert("RGB")), expected)


def test_the_display_p3_profile_maps_a_known_colour() -> None:
    profile = ImageCms.ImageCmsProfile(io.BytesIO(display_p3()))
    srgb = ImageCms.createProfile("sRGB")
    pixel = Image.new("RGB", (1, 1), (200, 100, 50))
    mapped = ImageCms.profileToProfile(pixel, profile, srgb, outputMode="RGB")
    assert mapped is not None
    # formats-and-decoders.md, section 3: the value two other colour engines agree on.
    assert mapped.getpixel((0, 0)) == (215, 93, 31)


def test_the_chunk_walker_refuses_what_is_torn() -> None:
    png = pictures.encode(pictures.image(20, 20), "PNG")
    png_walk.chunks(png)
    for broken in (png[:-1], png[:-12], png[:60], png[:40] + b"\0" + png[41:], b"GIF89a"):
        with pytest.raises(ValueError, match=r"cut|CRC|start|signature"):
            png_walk.chunks(broken)
