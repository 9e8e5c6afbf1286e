"""Sound WebP and AVIF need their last bytes; where damage left some over, they are refused."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from PIL import Image

from pregen.imaging.faults import InvalidPicture
from tests.support.files.photo import photo
from tests.support.files.pictures import encode
from tests.support.judges.decoding import large, make

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_EDGES_PX = (301, 217)


def _picture(kind: str) -> Image.Image:
    samples: NDArray[np.uint8] = photo(*_EDGES_PX, seed=3)
    if kind == "half":
        samples = samples.copy()
        samples[70:] = 255
    picture = Image.fromarray(samples)
    if kind == "alpha":
        picture.putalpha(picture.getchannel(0))
    return picture.quantize(12).convert("RGB") if kind == "palette" else picture


@pytest.mark.parametrize("kind", ["photo", "half", "alpha", "palette"])
@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("WEBP", {"quality": 80}),
        ("WEBP", {"quality": 5, "method": 0}),
        ("WEBP", {"lossless": True}),
        ("WEBP", {"lossless": True, "method": 0}),
        ("AVIF", {"speed": 9}),
    ],
)
def test_a_sound_file_is_stored(kind: str, name: str, options: dict[str, int]) -> None:
    assert large(encode(_picture(kind), name, **options)).any()


@pytest.mark.parametrize("share", [0.4, 0.5, 0.6])
def test_an_avif_whose_codes_went_wrong_is_refused(share: float) -> None:
    sound = encode(_picture("photo"), "AVIF")
    at = int(len(sound) * share)
    with pytest.raises(InvalidPicture):
        make(sound[:at] + bytes(40) + sound[at + 40 :])


@pytest.mark.parametrize("lossless", [False, True])
def test_a_webp_with_data_left_over_is_refused(*, lossless: bool) -> None:
    sound = encode(_picture("photo"), "WEBP", lossless=lossless)
    assert sound[12:15] == b"VP8"
    picture = sound[20 : 20 + int.from_bytes(sound[16:20], "little")] + b"left over" * 10
    chunk = sound[12:16] + len(picture).to_bytes(4, "little") + picture + bytes(len(picture) % 2)
    with pytest.raises(InvalidPicture, match="its data is damaged"):
        make(b"RIFF" + (4 + len(chunk)).to_bytes(4, "little") + b"WEBP" + chunk)
