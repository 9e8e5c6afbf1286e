"""Whether coded pictures of an AVIF end where their data does: each tile of them, and alpha."""

from __future__ import annotations

import random
import subprocess
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image

from pregen.imaging.containers import heif
from pregen.imaging.decoders import base
from pregen.imaging.faults import InvalidPicture
from tests.support.files import pictures
from tests.support.files.photo import photo
from tests.support.files.pictures import encode
from tests.support.judges.decoding import large
from tests.support.running.capabilities import Capability, needs

if TYPE_CHECKING:
    from pathlib import Path

_EDGES_PX = (512, 384)


def _picture() -> Image.Image:
    return pictures.image(*_EDGES_PX, 2)


def _alpha() -> Image.Image:
    picture = _picture()
    picture.putalpha(Image.fromarray(photo(*_EDGES_PX, seed=4)).convert("L"))
    return picture


def _tiles() -> bytes:
    options = {"tile_rows": 1, "tile_cols": 1, "autotiling": False}
    return encode(_picture(), "AVIF", speed=9, quality=80, **options)


def _items(data: bytes) -> heif.Meta:
    return heif.read(lambda at, count: data[at : at + count], len(data))


def _noise(data: bytes, item: heif.HeifItem, share: float) -> bytes:
    """Return a file with noise at so much of a coded picture."""
    (extent,) = item.extents
    at = extent.offset + int(extent.size_bytes * share)
    return data[:at] + random.Random(1).randbytes(20) + data[at + 20 :]  # noqa: S311 - damage


@pytest.fixture(params=["FFmpeg", "Pillow"])
def by(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Decode by either; an installation without FFmpeg has Pillow alone."""
    if request.param == "Pillow":
        monkeypatch.setattr(base, "optional_module", lambda _: None)
    return str(request.param)


@pytest.mark.usefixtures("by")
@pytest.mark.parametrize("share", [0.1, 0.4, 0.6, 0.9])
def test_each_tile_is_looked_at(share: float) -> None:
    data = _tiles()
    large(data)
    meta = _items(data)
    with pytest.raises(InvalidPicture):
        large(_noise(data, meta.items[meta.primary], share))


def test_so_is_alpha() -> None:
    data = encode(_alpha(), "AVIF", speed=9, quality=80)
    assert large(data)[..., 3].std() > 10
    meta = _items(data)
    alpha = meta.alpha_of(meta.primary)
    assert alpha
    for item in (alpha, meta.items[meta.primary]):
        with pytest.raises(InvalidPicture):
            large(_noise(data, item, 0.5))


@pytest.mark.usefixtures("by")
@pytest.mark.parametrize("options", [{}, {"quality": 100}, {"subsampling": "4:4:4"}])
def test_what_libaom_writes_is_sound(options: dict[str, object]) -> None:
    data = encode(_picture(), "AVIF", codec="aom", speed=10, **options)
    assert np.ptp(large(data)[..., :3]) > 50


@needs(Capability.AVIF_TOOLS)
@pytest.mark.parametrize(
    "options",
    [
        ["--min", "0", "--max", "0"],
        ["-y", "400"],
        ["-y", "422", "-d", "12"],
        ["-d", "10", "--tilerowslog2", "1", "--tilecolslog2", "2"],
        ["--grid", "2x2"],
    ],
)
def test_so_is_what_avifenc_writes(tmp_path: Path, options: list[str]) -> None:
    png = pictures.put(tmp_path / "a.png", encode(_alpha(), "PNG"))
    file = tmp_path / "a.avif"
    command = ["avifenc", "-s", "9", *options, str(png), str(file)]
    subprocess.run(command, capture_output=True, timeout=120, check=True)
    large(file.read_bytes())
