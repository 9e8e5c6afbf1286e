"""A JPEG's codes are counted: damage is seen that libjpeg decodes without a word."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import simplejpeg
from PIL import Image

from pregen.imaging import _compiled
from pregen.imaging.containers import jpeg
from pregen.imaging.decoders import jpeg_damage
from pregen.imaging.faults import Fault, InvalidPicture, TruncatedPicture
from tests.support.files import pictures
from tests.support.files.photo import photo
from tests.support.files.pictures import encode
from tests.support.judges.decoding import large
from tests.support.running.capabilities import Capability, needs

pytestmark = needs(Capability.COMPILED)

SOUND: tuple[float, bool, list[tuple[int, int, int, int]]] = (1.0, False, [])
WIDTH_PX, HEIGHT_PX = 720, 544
RESTARTS = 8
#: Of 4:2:0.
MCU_PX = 16


@pytest.mark.parametrize("size", [(800, 600), (803, 597), (17, 9), (8, 1000)])
@pytest.mark.parametrize("subsampling", ["4:4:4", "4:2:2", "4:2:0"])
@pytest.mark.parametrize(
    "options",
    [{}, {"restart_marker_blocks": 3}, {"progressive": True}, {"optimize": True}],
)
def test_nothing_is_wrong_with_a_sound_file(
    size: tuple[int, int], subsampling: str, options: dict[str, int]
) -> None:
    for quality in (20, 88, 100):
        data = pictures.jpeg(*size, seed=3, subsampling=subsampling, quality=quality, **options)
        share, ends_early, _ = _compiled.account(data)
        assert (share, ends_early) == (1.0, False)
        jpeg_damage.check(data)


@pytest.mark.parametrize("mode", ["L", "CMYK"])
def test_one_and_four_components_are_counted(mode: str) -> None:
    data = encode(Image.fromarray(photo(640, 480, seed=8)).convert(mode), "JPEG", quality=85)
    assert _compiled.account(data) == SOUND
    damaged = data[: len(data) // 2] + data[len(data) // 2 + 40 :]
    with pytest.raises(InvalidPicture):
        jpeg_damage.check(damaged)
    with pytest.raises(InvalidPicture):
        large(damaged)


@pytest.mark.parametrize("progressive", [False, True])
@pytest.mark.parametrize("width_px", [720, 2400])
def test_codes_that_are_missing_or_left_are_damage_at_every_scale(
    width_px: int,
    progressive: bool,  # noqa: FBT001 - a parameter
) -> None:
    data = pictures.jpeg(width_px, 540, seed=8, quality=88, progressive=progressive)
    at = data.index(b"\xff\xda") + 1500
    for damaged in (data[:at] + data[at + 700 :], data[:at] + data[at : at + 700] + data[at:]):
        with pytest.raises(InvalidPicture):
            large(damaged)


def test_a_cut_is_counted_to_the_last_block() -> None:
    data = pictures.jpeg(WIDTH_PX, HEIGHT_PX, seed=8, quality=88)
    share, ends_early, _ = _compiled.account(data[: len(data) // 2])
    assert ends_early
    assert 0.3 < share < 0.7
    with pytest.raises(TruncatedPicture):
        jpeg_damage.check(data[: len(data) // 2])


def test_restart_markers_that_are_gone_make_the_rest_uncertain() -> None:
    samples = photo(WIDTH_PX, HEIGHT_PX, seed=8)
    data = encode(samples, "JPEG", quality=88, restart_marker_blocks=RESTARTS)
    at = data.index(b"\xff\xd3", len(data) // 3) + 2
    end = data.index(b"\xff\xd3", at)
    share, _, _ = _compiled.account(data[:at] + data[end:])
    assert share < 0.4


def shifted(levels: int, down_px: int = 0, edges_levels: int = 0) -> bytes:
    """A photo that is brighter from a block in the middle of it on, as damage makes it.

    Args:
        levels: by so much.
        down_px: it does not begin with a row of blocks, but so much lower.
        edges_levels: what was damaged before that is brighter by so much, and something in the
            picture, one row lower, as well.
    """
    samples = photo(WIDTH_PX, HEIGHT_PX, seed=8).astype(np.int16) * 3 // 5 + 50
    top, left = 7 * MCU_PX + down_px, 19 * MCU_PX
    samples[top : top + MCU_PX, left:] += levels
    samples[top + MCU_PX :] += levels
    samples[top : top + MCU_PX, left - 3 * MCU_PX : left] += edges_levels
    samples[top + MCU_PX : top + 2 * MCU_PX, left - 3 * MCU_PX : left + 3 * MCU_PX] += edges_levels
    return encode(np.clip(samples, 0, 255).astype(np.uint8), "JPEG", quality=90)


@pytest.mark.parametrize(("levels", "edges_levels"), [(40, 0), (-40, 0), (-40, -28)])
def test_a_shift_from_one_block_on_is_seen(levels: int, edges_levels: int) -> None:
    data = shifted(levels, edges_levels=edges_levels)
    assert _compiled.account(data)[:2] == SOUND[:2]
    with pytest.raises(InvalidPicture, match=r"2[12]%"):
        jpeg_damage.check(data)


@pytest.mark.parametrize("down_px", [0, 3, 8])
def test_an_edge_that_is_not_between_blocks_is_the_pictures(down_px: int) -> None:
    jpeg_damage.check(shifted(40 if down_px else 0, down_px))


def test_a_bar_across_the_picture_is_no_shift() -> None:
    """As below a letterbox, and where a camera fills up its last row of blocks."""
    samples = photo(WIDTH_PX, HEIGHT_PX, seed=8).astype(np.int16) * 3 // 5 + 50
    samples[18 * MCU_PX :] += 60
    data = encode(np.clip(samples, 0, 255).astype(np.uint8), "JPEG", quality=90)
    assert _compiled.account(data) == SOUND


def _segments(data: bytes, marker: int) -> list[tuple[int, int]]:
    """Begin and end of all segments of a kind before the first scan's data."""
    return [(begin - 4, end) for kind, begin, end in jpeg.segments(data) if kind == marker]


@pytest.mark.parametrize("progressive", [False, True])
def test_tables_that_are_lost_are_not_taken_for_the_usual_ones(
    progressive: bool,  # noqa: FBT001 - a parameter
) -> None:
    data = pictures.jpeg(WIDTH_PX, HEIGHT_PX, seed=8, quality=88, progressive=progressive)
    for begin, end in _segments(data, 0xC4):
        for lost in (6, end - begin):
            with pytest.raises(InvalidPicture):
                large(data[:begin] + bytes(lost) + data[begin + lost :])


def test_a_picture_of_a_film_has_the_usual_tables_and_tells_none() -> None:
    data = pictures.jpeg(WIDTH_PX, HEIGHT_PX, seed=8, quality=88)
    bare = data
    for begin, end in reversed(_segments(data, 0xC4)):
        bare = bare[:begin] + bare[end:]
    jpeg_damage.check(bare)
    assert np.abs(large(bare).astype(int) - large(data)).mean() < 1


@pytest.mark.parametrize("progressive", [False, True])
@pytest.mark.parametrize("colour", [0, 1])
@pytest.mark.parametrize("width_px", [720, 2400])
def test_no_quantiser_is_zero(
    progressive: bool,  # noqa: FBT001 - a parameter
    colour: int,
    width_px: int,
) -> None:
    data = pictures.jpeg(width_px, HEIGHT_PX, seed=8, quality=88, progressive=progressive)
    tables = [begin for begin, _ in _segments(data, jpeg.DQT)]
    at = tables[colour] + 5 if len(tables) > 1 else tables[0] + 5 + 65 * colour
    with pytest.raises(InvalidPicture):
        large(data[:at] + b"\0" + data[at + 1 :])


def test_a_progressive_picture_that_lost_its_first_scan_is_damaged() -> None:
    data = pictures.jpeg(WIDTH_PX, HEIGHT_PX, seed=8, quality=88, progressive=True)
    ((begin, _),) = _segments(data, jpeg.SOS)
    with pytest.raises(InvalidPicture):
        large(data[:begin] + bytes(4) + data[begin + 4 :])


def _scan_ends(data: bytes) -> list[int]:
    """Where each scan of a progressive JPEG begins with its tables, and where the last one ends."""
    found = [data.index(b"\xff\xc4")]
    while found[-1] < len(data) - 2:
        at = data.index(b"\xff\xda", found[-1]) + 2  # in coded data, 0 follows 255
        while data[at] != 0xFF or data[at + 1] == 0:
            at += 1
        found.append(at)
    return found


def _place_of_bits(data: bytes, begin: int) -> int:
    """Where a scan says which bits of coefficients it brings: Ah and Al, a half of a byte each."""
    at = data.index(b"\xff\xda", begin)
    return at + 1 + int.from_bytes(data[at + 2 : at + 4], "big")


@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK"])
def test_bits_that_do_not_come_in_order_are_damage(mode: str) -> None:
    picture = Image.fromarray(photo(320, 240, seed=8)).convert(mode)
    data = encode(picture, "JPEG", quality=88, progressive=True)
    space = {"RGB": "RGB", "L": "GRAY", "CMYK": "CMYK"}[mode]
    for begin in _scan_ends(data)[:-1]:
        at = _place_of_bits(data, begin)
        high, low = data[at] & 0xF0, data[at] & 15
        changed = {high | bit for bit in (0, 1, 2, 3, 7, 13)} | {bit << 4 | low for bit in range(4)}
        damaged = data
        for bits in changed - {data[at]}:
            damaged = data[:at] + bytes([bits]) + data[at + 1 :]
            with pytest.raises(ValueError, match=r"progressi"):  # libjpeg-turbo says so as well
                simplejpeg.decode_jpeg(damaged, space, strict=True)
            # What libjpeg-turbo refuses need not be looked at.
            if high == 0 or bits >> 4 == 0:
                assert _compiled.account(damaged)[0] == 0
        with pytest.raises(Fault):
            large(damaged)


def test_bits_that_are_not_all_there_or_come_twice_cost_nothing() -> None:
    data = encode(photo(320, 240, seed=8), "JPEG", quality=88, progressive=True)
    sound, ends = large(data).astype(int), _scan_ends(data)
    for begin, end in itertools.pairwise(ends):
        high, low = divmod(data[_place_of_bits(data, begin)], 16)
        if high:
            forged = data[:begin] + data[end:] if low == 0 else data[:end] + data[ends[-1] :]
        else:
            forged = data[:end] + data[begin:]
        assert _compiled.account(forged)[0] == 1
        assert np.abs(large(forged) - sound).mean() < 3


def test_bits_out_of_order_are_damage_in_the_scans_that_are_read_at_an_eighth() -> None:
    data = pictures.jpeg(2400, 1800, seed=8, quality=88, subsampling="4:4:4", progressive=True)
    at = _place_of_bits(data, 0)
    for changed in (data[at] | 0x20, data[at] | 0x10):
        with pytest.raises(InvalidPicture):
            large(data[:at] + bytes([changed]) + data[at + 1 :])
    with pytest.raises(InvalidPicture):
        large(data[: at - 2] + b"\1" + data[at - 1 :])
