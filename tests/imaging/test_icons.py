"""Sizes in icons are those of the pictures, whatever the directory says."""

from __future__ import annotations

import pytest

from pregen.imaging.decoders import pillow
from pregen.imaging.faults import InvalidPicture
from tests.support.files import bombs
from tests.support.files.pictures import encode, image
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
