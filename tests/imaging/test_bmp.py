"""BMP whose samples lie under bit masks of any kind."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image

from pregen.imaging import faults
from tests.support.files import pictures
from tests.support.judges import others
from tests.support.judges.decoding import large, make
from tests.support.running.capabilities import Capability, needs

if TYPE_CHECKING:
    from pathlib import Path

_KINDS = {
    "444": (16, (0xF00, 0xF0, 0xF)),
    "4444": (16, (0xF00, 0xF0, 0xF, 0xF000)),
    "1555": (16, (0x7C00, 0x3E0, 0x1F, 0x8000)),
    "1010102": (32, (0x3FF00000, 0xFFC00, 0x3FF)),
    "reversed": (32, (0xFF, 0xFF000000, 0xFF00)),
}


def _picture() -> Image.Image:
    picture = pictures.image(301, 200, 3)
    picture.putalpha(255)
    return picture


def _bmp(kind: str, header_bytes: int, *, top_down: bool = False) -> bytes:
    bits, masks = _KINDS[kind]
    rgba = np.asarray(_picture(), np.uint64)
    values = np.zeros(rgba.shape[:2], np.uint64)
    for band, mask in enumerate(masks):
        low = (mask & -mask).bit_length() - 1
        values |= (rgba[..., band] * (mask >> low) + 127) // 255 << np.uint64(low)
    rows = values if top_down else values[::-1]
    row_bytes = (301 * bits // 8 + 3) // 4 * 4
    body = b"".join(row.astype(f"<u{bits // 8}").tobytes().ljust(row_bytes, b"\0") for row in rows)
    told = struct.pack("<4I", *masks, *[0] * (4 - len(masks)))
    short = header_bytes == 40
    info = struct.pack(
        "<IiiHHIIiiII", header_bytes, 301, -200 if top_down else 200, 1, bits,
        6 if short and len(masks) == 4 else 3, len(body), 0, 0, 0, 0,
    )  # fmt: skip
    info += told if short else told.ljust(header_bytes - 40, b"\0")
    at = 14 + len(info)
    return b"BM" + struct.pack("<IHHI", at + len(body), 0, 0, at) + info + body


@pytest.mark.parametrize("kind", _KINDS)
@pytest.mark.parametrize("header_bytes", [40, 56, 108])
@pytest.mark.parametrize("top_down", [False, True])
def test_every_mask_is_read(kind: str, header_bytes: int, top_down: bool) -> None:  # noqa: FBT001 - a parameter
    found = large(_bmp(kind, header_bytes, top_down=top_down))
    # What the bits of each band can hold of the picture.
    stored = np.asarray(_picture()).astype(float)
    for band, mask in enumerate(_KINDS[kind][1]):
        most = (1 << mask.bit_count()) - 1
        stored[..., band] = np.rint(stored[..., band] * most / 255) * 255 / most
    colours, alpha = others.levels_apart(found, Image.fromarray(np.rint(stored).astype(np.uint8)))
    assert colours < others.LEVELS
    assert alpha < others.LEVELS


# Of four bits ImageMagick 6 makes 240 at most: no judge of these.
@needs(Capability.IMAGEMAGICK)
@pytest.mark.parametrize("kind", ["1010102", "reversed"])
def test_imagemagick_shows_them_alike(tmp_path: Path, kind: str) -> None:
    file = pictures.put(tmp_path / "a.bmp", _bmp(kind, 56))
    colours, _ = others.levels_apart(large(file.read_bytes()), others.imagemagick(file))
    assert colours < others.LEVELS


def test_three_quarters_of_the_rows_or_none() -> None:
    data = _bmp("1010102", 56)
    assert make(data[: len(data) * 8 // 10]).pictures
    with pytest.raises(faults.TruncatedPicture):
        make(data[: len(data) * 6 // 10])


def test_masks_that_make_no_sense_are_refused() -> None:
    data = bytearray(_bmp("444", 56))
    data[54:58] = struct.pack("<I", 0xF0F)
    with pytest.raises(faults.Fault):
        make(bytes(data))
