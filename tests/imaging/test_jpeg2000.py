"""JPEG 2000: the smaller pictures a file holds of itself, at every size."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image

from pregen.imaging import sniff
from pregen.imaging.decoders import pillow
from pregen.imaging.decoders.base import Request
from pregen.imaging.pixels.resample import Pixels
from pregen.imaging.source_bytes import SourceBytes
from tests.support.files import pictures
from tests.support.files.photo import photo, psnr_db
from tests.support.judges.decoding import large

if TYPE_CHECKING:
    from numpy.typing import NDArray

_BOX_PX = 16


def _ramps(width_px: int, height_px: int) -> NDArray[np.uint8]:
    """Return a picture whose samples tell their column and row; a low-pass keeps it as it is."""
    columns = np.broadcast_to(np.arange(width_px)[None, :], (height_px, width_px))
    rows = np.broadcast_to(np.arange(height_px)[:, None], (height_px, width_px))
    return np.stack([columns, rows, columns], axis=-1).astype(np.uint8)


def _decoded(data: bytes) -> NDArray[np.uint8]:
    """Return the pixels as the decoder hands them on."""
    fd = os.memfd_create("source")
    try:
        os.write(fd, data)
        found = sniff.sniff(data[: sniff.HEAD_BYTES])
        assert found is not None
        source = SourceBytes(fd, len(data), data[: sniff.HEAD_BYTES])
        request = Request(source, found, lambda _: None)
        pixels = pillow.open_picture(request).decode(_BOX_PX)
        assert isinstance(pixels, Pixels)
        samples: NDArray[np.uint8] = pixels.image.numpy()
        return samples
    finally:
        os.close(fd)


@pytest.mark.parametrize("tiles", [{}, {"tile_size": (50, 37)}])
@pytest.mark.parametrize("bare", [False, True])
@pytest.mark.parametrize("halvings", [1, 2, 3])
def test_every_size_is_read_at_a_reduced_resolution(
    halvings: int,
    bare: bool,  # noqa: FBT001 - a parameter
    tiles: dict[str, Any],
) -> None:
    step = 1 << halvings
    for width_px in range(_BOX_PX * step, (_BOX_PX + 1) * step):
        for height_px in range(7 * step, 8 * step):
            picture = _ramps(width_px, height_px)
            data = pictures.encode(picture, "JPEG2000", num_resolutions=4, no_jp2=bare, **tiles)
            wanted = picture[::step, ::step].astype(int)
            found = _decoded(data)
            assert found.shape == wanted.shape, (width_px, height_px)
            assert np.abs(found - wanted).max() <= 3, (width_px, height_px)


def test_a_thread_is_read_at_a_reduced_resolution() -> None:
    data = pictures.encode(_ramps(250, 1), "JPEG2000", num_resolutions=4, tile_size=(64, 64))
    assert _decoded(data).shape == (1, 32, 3)


@pytest.mark.parametrize("bare", [False, True])
@pytest.mark.parametrize(
    "grid",
    [
        {"offset": (17, 5), "tile_size": (2000, 2000)},
        {"offset": (0, 9), "tile_size": (256, 256)},
        {"offset": (1, 1), "tile_size": (300, 200)},
        {"offset": (17, 5), "tile_offset": (3, 2), "tile_size": (300, 200)},
    ],
)
def test_a_part_of_a_larger_grid_is_read(bare: bool, grid: dict[str, Any]) -> None:  # noqa: FBT001 - a parameter
    picture = Image.fromarray(photo(1025, 771))
    found = large(pictures.encode(picture, "JPEG2000", no_jp2=bare, **grid))
    wanted = picture.resize((256, 193), Image.Resampling.LANCZOS)
    assert psnr_db(found[..., :3], wanted) > 36


def test_what_lies_before_the_codestream_is_not_taken_for_it() -> None:
    data = pictures.encode(_ramps(130, 60), "JPEG2000", num_resolutions=3)
    box = b"\0\0\0\x18uuid" + b"\xff\x52" * 8
    at = data.index(b"jp2c") - 4
    assert _decoded(data[:at] + box + data[at:]).shape == (15, 33, 3)
