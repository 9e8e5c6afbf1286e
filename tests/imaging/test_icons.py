"""Sizes in icons are those of the pictures, whatever the directory says."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from pregen.imaging.decoders import pillow
from pregen.imaging.faults import InvalidPicture
from tests.support.files import bombs
from tests.support.files.pictures import encode, icon, image, rgba
from tests.support.judges import decoding


@pytest.mark.parametrize("bitmap_format", ["png", "bmp"])
def test_every_picture_of_an_icon_tells_its_size(bitmap_format: str) -> None:
    sizes = [(256, 192), (64, 48), (16, 12)]
    data = encode(image(256, 192), "ICO", sizes=sizes, bitmap_format=bitmap_format)
    assert sorted(pillow.icon_sizes(data), reverse=True) == sizes


def test_an_icon_cut_off_tells_what_is_there() -> None:
    data = encode(image(256, 192), "ICO", sizes=[(256, 192), (16, 12)])
    assert list(pillow.icon_sizes(data[:20])) == []
    assert len(list(pillow.icon_sizes(data[:100]))) == 1


@pytest.mark.parametrize("number", [b"\1", b"\2"], ids=["icon", "cursor"])
def test_a_bomb_in_an_icon_is_refused_before_it_is_decoded(number: bytes) -> None:
    data = bombs.ico_png()
    with pytest.raises(InvalidPicture, match="100000 x 100000"):
        decoding.make(data[:2] + number + data[3:])


@pytest.mark.filterwarnings("ignore:Image was not the expected size")
def test_a_large_icon_is_an_icon() -> None:
    inner = encode(image(1024, 768), "PNG")
    data = bytearray(bombs.ico_png())
    data[14:18] = len(inner).to_bytes(4, "little")
    made = decoding.make(bytes(data[:22]) + inner)
    assert (made.width_px, made.height_px) == (1024, 768)


@pytest.mark.parametrize("number", [1, 2], ids=["icon", "cursor"])
@pytest.mark.parametrize("told", [(10, 12), (0, 0), (1, 32), (1, 24), (1, 8)])
def test_transparency_is_that_of_the_picture(number: int, told: tuple[int, int]) -> None:
    """A cursor has its hot spot where an icon has its planes and bits a pixel."""
    picture = rgba(200, 160)
    found = decoding.large(icon([(picture, 32)], number, told))
    assert np.array_equal(found[..., 3], np.asarray(picture)[..., 3])
    opaque = decoding.large(icon([(picture.convert("RGB"), 24)], number, told))
    assert np.array_equal(opaque[..., :3], np.asarray(picture.convert("RGB")))
    assert opaque[..., 3].min() == 255


@pytest.mark.parametrize("turned", [False, True])
def test_of_pictures_of_one_size_the_one_of_most_bits_is_shown(turned: bool) -> None:  # noqa: FBT001 - a parameter
    deep, flat = rgba(200, 160), Image.new("RGB", (200, 160), "blue")
    smaller = Image.new("RGBA", (100, 80), "red")
    pictures = [(smaller, 32), (flat, 24), (deep, 32)]
    found = decoding.large(icon(pictures[::-1] if turned else pictures, 1, None))
    assert np.array_equal(found[..., 3], np.asarray(deep)[..., 3])
