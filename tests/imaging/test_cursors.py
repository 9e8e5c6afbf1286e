"""Three cursors in a JPEG find what one finds, to the last byte, and refuse what one refuses.

Ranges are short here, so that small files have many of them; whole ones need a large file. With
sanitizers and many more inputs: `tests/support/trials/cursors_target.c`, which also has to find
faults that are planted where cursors meet.
"""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pytest
from PIL import Image

from pregen.imaging import _compiled
from tests.support.files import pictures
from tests.support.running.capabilities import Capability, needs
from tests.support.trials import fuzz_decoder

if TYPE_CHECKING:
    from collections.abc import Mapping

pytestmark = needs(Capability.COMPILED)

#: Bytes that each of three cursors reads at a time.
RANGES_BYTES = (8, 24, 40, 64, 100, 256, 700)
#: All at which there is a decoder: 1 / n.
SCALES = (8, 4, 2)
RESTARTS: tuple[Mapping[str, int], ...] = (
    {},
    {"restart_marker_blocks": 1},
    {"restart_marker_blocks": 7},
    {"restart_marker_rows": 1},
    {"restart_marker_rows": 3},
)


class Coded(NamedTuple):
    """A JPEG, and what is asked of it."""

    data: bytes
    width_px: int
    height_px: int
    bands: int = 3

    def decoded(self, range_bytes: int, data: bytes | None = None, shrink: int = 8) -> bytes | None:
        """Return the pixels of it, or of a damaged one; None where it is left to others."""
        columns, rows = -(-self.width_px // shrink), -(-self.height_px // shrink)
        out = bytearray(columns * rows * self.bands)
        size = (self.width_px, self.height_px)
        whole = self.data if data is None else data
        done = _compiled.decode(whole, out, *size, shrink, self.bands, range_bytes)
        return bytes(out) if done else None


def coded(
    options: Mapping[str, str | int], size: tuple[int, int] = (411, 307), *, grey: bool = False
) -> Coded:
    picture = pictures.image(*size, seed=size[0])
    data = pictures.encode(picture.convert("L") if grey else picture, "JPEG", **options)
    return Coded(data, *size, 1 if grey else 3)


def all_kinds() -> dict[str, Coded]:
    """All that three cursors take."""
    made = {}
    for restart in RESTARTS:
        name = " ".join(f"{value} {key}" for key, value in restart.items()) or "no restart"
        made[f"grey, {name}"] = coded({"quality": 80, **restart}, grey=True)
        for sampling in ("4:4:4", "4:2:2", "4:2:0"):
            kind = {"subsampling": sampling, "quality": 85, **restart}
            made[f"{sampling}, {name}"] = coded(kind)
        made[f"codes of its own, {name}"] = coded({"optimize": 1, **restart})
    # A row of MCUs, a column, less than one; each cursor is behind the end of such a file.
    for size in ((2000, 3), (5, 1500), (1, 1), (16, 16), (17, 33)):
        made[f"{size}"] = coded({"quality": 100}, size)
    noise = np.random.default_rng(3).integers(0, 256, (300, 300, 3), np.uint8)
    made["noise"] = Coded(pictures.encode(noise, "JPEG", quality=100), 300, 300)
    made["one colour"] = Coded(pictures.encode(0 * noise, "JPEG", quality=90), 300, 300)
    small = pictures.image(203, 101)
    for halved in (True, False):
        made[f"a scan each, {halved}"] = Coded(
            fuzz_decoder.separate(small, halved=halved), 203, 101
        )
    made["one table for all"] = Coded(fuzz_decoder.one_table(40, 30), 320, 240)
    turned = Image.fromarray(noise).rotate(90, expand=True)
    exif = pictures.exif(6)
    made["turned"] = Coded(pictures.encode(turned, "JPEG", exif=exif), 300, 300)
    return made


KINDS = all_kinds()


@pytest.mark.parametrize("shrink", SCALES)
@pytest.mark.parametrize("name", KINDS)
def test_a_sound_jpeg_has_the_pixels_that_one_cursor_finds(name: str, shrink: int) -> None:
    kind = KINDS[name]
    by_one = kind.decoded(0, shrink=shrink)
    assert by_one is not None
    for range_bytes in RANGES_BYTES:
        assert kind.decoded(range_bytes, shrink=shrink) == by_one, range_bytes


def damaged(data: bytes, chance: random.Random) -> bytes:
    """Some damage behind the header: bytes that are others, missing, twice, zero, or cut off."""
    head = data.index(b"\xff\xda") + 14
    at = chance.randrange(head, len(data))
    length = chance.choice((1, 1, 1, 2, 8, 64))
    match chance.randrange(5):
        case 0:
            return data[:at]
        case 1:
            return data[:at] + data[at + length :]
        case 2:
            return data[:at] + data[at : at + length] + data[at:]
        case 3:
            return data[:at] + bytes(length) + data[at + length :]
        case _:
            return data[:at] + chance.randbytes(length) + data[at + length :]


@pytest.mark.parametrize("name", [name for name, kind in KINDS.items() if kind.width_px > 100])
def test_a_damaged_one_is_shown_or_refused_as_by_one_cursor(name: str) -> None:
    kind = KINDS[name]
    chance = random.Random(name)  # noqa: S311 - damage, not secrets
    for _ in range(20):
        data = damaged(kind.data, chance)
        range_bytes = chance.choice(RANGES_BYTES)
        for shrink in SCALES:
            by_one = kind.decoded(0, data, shrink)
            assert kind.decoded(range_bytes, data, shrink) == by_one, (range_bytes, shrink)


def test_damage_is_of_both_kinds() -> None:
    """Otherwise the test above compared nothing, or refusals alone."""
    kind = KINDS["grey, no restart"]
    chance = random.Random(1)  # noqa: S311 - damage, not secrets
    found = [kind.decoded(24, damaged(kind.data, chance)) for _ in range(300)]
    refused = found.count(None)
    assert 10 < refused < 290
    assert len(set(found)) > 10


@pytest.mark.parametrize("options", [{}, {"restart_marker_blocks": 5}, {"restart_marker_rows": 40}])
@pytest.mark.parametrize("subsampling", ["4:4:4", "4:2:0"])
def test_ranges_of_a_whole_file_are_as_long_as_others_have_them(
    subsampling: str, options: Mapping[str, int]
) -> None:
    """Windows slide, lists are full, and files are long enough for the ranges that all have."""
    noise = np.random.default_rng(8).integers(0, 256, (225, 300, 3), np.uint8)
    picture = Image.fromarray(noise).resize((1203, 901), Image.Resampling.BICUBIC)
    data = pictures.encode(picture, "JPEG", quality=97, subsampling=subsampling, **options)
    kind = Coded(data, 1203, 901)
    assert len(data) > 400_000
    at = len(data) * 2 // 3
    cut = data[:at] + data[at + 1 :]
    for shrink in SCALES:
        by_one = kind.decoded(0, shrink=shrink)
        assert by_one is not None
        assert kind.decoded(36 * 1024, shrink=shrink) == by_one
        assert kind.decoded(36 * 1024, cut, shrink) == kind.decoded(0, cut, shrink)


def test_a_restart_marker_behind_the_last_block_is_found_however_far_it_is() -> None:
    """More ones than a window holds stand before it."""
    kind = KINDS["grey, no restart"]
    filled = kind.data[:-2] + 300_000 * b"\xff\x00"
    for shrink in SCALES:
        for range_bytes in (0, *RANGES_BYTES):
            assert kind.decoded(range_bytes, filled + b"\xff\xd9", shrink) is not None
            assert kind.decoded(range_bytes, filled + b"\xff\xd0\xff\xd9", shrink) is None


@pytest.mark.parametrize("coded_bytes", [*range(128 * 1024 - 300, 128 * 1024 + 1, 50), 66 * 1969])
def test_the_longest_codes_are_not_read_beyond_a_window(coded_bytes: int) -> None:
    """Sanitizers see it where an interval is as long as a window. 1,969 bytes are eight blocks."""
    columns = 8 * coded_bytes // 1969
    cut = Coded(fuzz_decoder.longest_codes(coded_bytes, 1000), 8000, 16, 1)
    whole = Coded(fuzz_decoder.longest_codes(coded_bytes, columns), 8 * columns, 16, 1)
    for shrink in SCALES:
        for kind in (cut, whole):
            assert kind.decoded(36 * 1024, shrink=shrink) == kind.decoded(0, shrink=shrink)
    is_sound = coded_bytes % 1969 == 0
    assert (whole.decoded(0) is not None, cut.decoded(0)) == (is_sound, None)


@pytest.mark.parametrize("range_bytes", [-1, 1 << 20])
def test_a_range_that_cannot_be_is_refused(range_bytes: int) -> None:
    with pytest.raises(ValueError, match="range_bytes is not from 0 to"):
        KINDS["noise"].decoded(range_bytes)
