"""A JPEG's codes are counted: damage is seen that libjpeg decodes without a word."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from pregen.imaging import _compiled
from pregen.imaging.containers import jpeg
from pregen.imaging.decoders import jpeg_damage
from pregen.imaging.faults import InvalidPicture, TruncatedPicture
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


def shifted(levels: int, down_px: int = 0) -> bytes:
    """A photo that is brighter from a block in the middle of it on, as damage makes it."""
    samples = photo(WIDTH_PX, HEIGHT_PX, seed=8).astype(np.int16) * 3 // 5 + 50
    top, left = 7 * MCU_PX + down_px, 19 * MCU_PX
    samples[top : top + MCU_PX, left:] += levels
    samples[top + MCU_PX :] += levels
    return encode(np.clip(samples, 0, 255).astype(np.uint8), "JPEG", quality=90)


@pytest.mark.parametrize("levels", [40, -40])
def test_a_shift_from_one_block_on_is_seen(levels: int) -> None:
    assert _compiled.account(shifted(levels))[:2] == SOUND[:2]
    with pytest.raises(InvalidPicture, match=r"2[12]%"):
        jpeg_damage.check(shifted(levels))


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
