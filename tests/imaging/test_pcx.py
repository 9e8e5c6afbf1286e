"""PCX: what the cells of tests/pictures cannot hold, and what a damaged one may do."""

from __future__ import annotations

import random

import numpy as np
import pytest

from pregen.imaging import faults
from pregen.imaging.decoders import pcx
from tests.support.files import plain_writers as plain
from tests.support.files.pairs import pair
from tests.support.judges.decoding import make


def _one_by_one(data: bytes) -> bytes:
    """Undo runs as the manual has it."""
    out = bytearray()
    at = 0
    while at < len(data):
        if data[at] >= 0xC0:
            out += data[at + 1 : at + 2] * (data[at] & 0x3F)
            if at + 1 == len(data):
                out.append(data[at])
            at += 2
        else:
            out.append(data[at])
            at += 1
    return bytes(out)


@pytest.mark.parametrize("seed", range(8))
def test_runs_are_undone_alike_wherever_the_pieces_end(seed: int) -> None:
    chance = random.Random(seed)  # noqa: S311 - damage, not secrets
    # Marks and values that look like marks, in rows longer than a piece.
    data = bytes(chance.choices([0x01, 0xC1, 0xC2, 0xFF], [1, 9, 9, 9], k=70_000 + seed))
    assert pcx.unpacked(data, 1 << 30) == _one_by_one(data)


def test_a_cga_shows_its_own_colours() -> None:
    stored = pair("palette", "2")
    header = pcx.read(plain.pcx(stored, 2, 1, cga=True))
    shown = pcx._table(header)
    # White for a background, and the brighter of the palette without blue's part.
    assert shown.tolist() == [[255, 255, 255], [85, 255, 85], [255, 85, 85], [255, 255, 85]]


@pytest.mark.parametrize("share", [0.2, 0.6])
def test_half_a_file_is_truncated(share: float) -> None:
    data = plain.pcx(pair("rgb", "8"), 8, 3)
    with pytest.raises(faults.TruncatedPicture):
        make(data[: int(len(data) * share)])


def test_a_header_that_promises_the_world_costs_nothing() -> None:
    data = bytearray(plain.pcx(pair("rgb", "8"), 8, 3))
    data[8:12] = b"\xfe\x7f\xfe\x7f"
    data[66:68] = b"\xff\xff"
    with pytest.raises(faults.Fault):
        make(bytes(data))


def test_odd_planes_are_not_called_damaged() -> None:
    data = bytearray(plain.pcx(pair("palette", "4"), 1, 4))
    data[65] = 7
    with pytest.raises(faults.Unsupported, match="7 planes of 1 bits"):
        make(bytes(data))


def test_the_last_row_may_end_where_its_pixels_do() -> None:
    stored = pair("grey", "8", "none", (301, 200))
    data = plain.pcx(stored, 8, 1, packed_by="")
    assert np.asarray(make(data[:-1]).pictures is not None)
