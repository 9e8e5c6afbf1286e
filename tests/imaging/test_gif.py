"""GIF: where its first frame lies on the screen."""

from __future__ import annotations

import struct
import subprocess
from typing import TYPE_CHECKING

import numpy as np
import pytest

from pregen.imaging.containers import gif
from pregen.imaging.decoders import gif_damage
from pregen.imaging.faults import InvalidPicture
from tests.support.files import pictures
from tests.support.judges import foreign_decoders
from tests.support.judges.decoding import large, make
from tests.support.running.capabilities import Capability, needs

if TYPE_CHECKING:
    from pathlib import Path

_EDGES_PX = (200, 150)


def _placed(screen_px: tuple[int, int], place: tuple[int, int]) -> bytes:
    data = bytearray(pictures.encode(pictures.image(*_EDGES_PX, 2), "GIF"))
    data[6:10] = struct.pack("<HH", *screen_px)
    told = gif.first_place(bytes(data))
    assert told == (0, 0, *_EDGES_PX)
    at = data.find(struct.pack("<BHHHH", 0x2C, *told))
    data[at + 1 : at + 5] = struct.pack("<HH", *place)
    assert gif.first_place(bytes(data)) == (*place, *_EDGES_PX)
    return bytes(data)


@needs(Capability.GDK_PIXBUF)
@pytest.mark.parametrize("place", [(0, 0), (40, 30)])
def test_what_a_frame_leaves_free_is_transparent(tmp_path: Path, place: tuple[int, int]) -> None:
    file = pictures.put(tmp_path / "a.gif", _placed((256, 200), place))
    entry = large(file.read_bytes()).astype(float)
    theirs = foreign_decoders.shown("gdk-pixbuf", file) * 255
    assert np.abs(entry[..., 3] - theirs[..., 3]).max() < 1
    assert np.abs((entry - theirs)[..., :3] * (entry[..., 3:] > 0)).mean() < 1


@pytest.mark.parametrize(
    ("screen_px", "place", "shown_px"),
    [
        ((100, 90), (0, 0), _EDGES_PX),
        (_EDGES_PX, (30, 20), (230, 170)),
        ((0, 0), (0, 0), _EDGES_PX),
    ],
)
def test_a_frame_beyond_its_screen_makes_it_larger(
    screen_px: tuple[int, int], place: tuple[int, int], shown_px: tuple[int, int]
) -> None:
    data = _placed(screen_px, place)
    made = make(data)
    assert (made.width_px, made.height_px) == shown_px
    visible = large(data)[..., 3] > 128
    assert visible.mean() == pytest.approx(
        _EDGES_PX[0] * _EDGES_PX[1] / (shown_px[0] * shown_px[1]), abs=0.02
    )


def _writers() -> dict[str, bytes]:
    photo = pictures.image(*_EDGES_PX, 2).quantize(200)
    small = photo.quantize(3)
    return {
        "interlaced": pictures.encode(photo, "GIF"),
        "rows": pictures.encode(photo, "GIF", interlace=0),
        "few-colours": pictures.encode(small, "GIF"),
        "animated": pictures.encode(photo, "GIF", save_all=True, append_images=[small]),
    }


@pytest.mark.parametrize("writer", ["interlaced", "rows", "few-colours", "animated"])
def test_a_sound_picture_is_sound_to_its_last_code(writer: str) -> None:
    assert gif_damage.share_sound(_writers()[writer]) == 1


@needs(Capability.IMAGEMAGICK)
@pytest.mark.parametrize("options", [[], ["-interlace", "GIF"], ["-compress", "None"]])
def test_so_is_one_of_imagemagick(tmp_path: Path, options: list[str]) -> None:
    png = pictures.put(tmp_path / "a.png", pictures.encode(pictures.image(*_EDGES_PX, 2), "PNG"))
    file = tmp_path / "a.gif"
    subprocess.run(["convert", str(png), *options, str(file)], check=True, timeout=60)
    assert gif_damage.share_sound(file.read_bytes()) == 1


@pytest.mark.parametrize("share", [0.1, 0.5])
def test_a_picture_whose_codes_went_wrong_is_refused(share: float) -> None:
    data = bytearray(_writers()["rows"])
    at = int(len(data) * share)
    data[at : at + 20] = bytes(20)
    with pytest.raises(InvalidPicture, match="damaged"):
        make(bytes(data))
