"""JPEGs from their DC alone: libjpeg-turbo's pixels at 1/8, or an honest no, whatever the bytes."""

from __future__ import annotations

import importlib
import random
from typing import TYPE_CHECKING

import numpy as np
import pytest
import simplejpeg
from hypothesis import given
from hypothesis import strategies as st

from pregen.config import Decoder
from pregen.imaging import compiled
from pregen.imaging.containers import jpeg, jpeg_scans
from pregen.imaging.decoders import jpeg as jpeg_decoder
from tests.support.files import pictures
from tests.support.files.photo import psnr_db
from tests.support.judges.decoding import BOTH, make, pixels_of
from tests.support.running.capabilities import Capability, needs

if TYPE_CHECKING:
    from tests.support.files.photo import Pixels

pytestmark = needs(Capability.COMPILED)

SAMPLINGS = ["4:4:4", "4:2:2", "4:2:0"]


def by_turbo(data: bytes, width_px: int, height_px: int, space: str = "RGB") -> Pixels:
    pixels: Pixels = simplejpeg.decode_jpeg(
        data, space, min_height=-(-height_px // 8), min_width=-(-width_px // 8)
    )
    return pixels


def farthest(one: Pixels, other: Pixels) -> int:
    assert one.shape == other.shape
    return int(np.abs(one.astype(np.int16) - other).max())


@pytest.mark.parametrize("subsampling", SAMPLINGS)
@pytest.mark.parametrize("quality", [20, 75, 95, 100])
@pytest.mark.parametrize("size", [(800, 600), (803, 597), (641, 479), (17, 9), (8, 1000)])
def test_a_baseline_jpeg_has_the_pixels_of_libjpeg_turbo(
    subsampling: str, quality: int, size: tuple[int, int]
) -> None:
    data = pictures.jpeg(*size, seed=quality, subsampling=subsampling, quality=quality)
    found = jpeg_decoder.decode_dc(data, *size, 3)
    assert found is not None
    # Chroma at 1/4 is rounded once here and twice there: a level of it, two of blue.
    assert farthest(found, by_turbo(data, *size)) <= (2 if subsampling == "4:2:0" else 0)


@pytest.mark.parametrize("size", [(800, 600), (33, 65)])
@pytest.mark.parametrize(("bands", "space"), [(1, "GRAY"), (3, "RGB"), (4, "RGBA")])
def test_a_grey_jpeg_has_them_in_as_many_bands_as_asked(
    size: tuple[int, int], bands: int, space: str
) -> None:
    data = pictures.encode(pictures.image(*size, seed=4).convert("L"), "JPEG", quality=88)
    found = jpeg_decoder.decode_dc(data, *size, bands)
    assert found is not None
    assert farthest(found, by_turbo(data, *size, space)) == 0


@pytest.mark.parametrize("options", [{"restart_marker_blocks": 3}, {"restart_marker_rows": 1}])
@pytest.mark.parametrize("subsampling", SAMPLINGS)
def test_restarts_are_followed(options: dict[str, int], subsampling: str) -> None:
    data = pictures.jpeg(811, 604, seed=3, subsampling=subsampling, quality=90, **options)
    assert b"\xff\xd3" in data
    found = jpeg_decoder.decode_dc(data, 811, 604, 3)
    assert found is not None
    assert farthest(found, by_turbo(data, 811, 604)) <= 2


@pytest.mark.parametrize("optimize", [False, True])
def test_codes_of_any_table_are_read(optimize: bool) -> None:  # noqa: FBT001 - a parameter
    noise = np.random.default_rng(5).integers(0, 256, (600, 800, 3), np.uint8)
    data = pictures.encode(noise, "JPEG", quality=100, optimize=optimize, subsampling="4:2:0")
    found = jpeg_decoder.decode_dc(data, 800, 600, 3)
    assert found is not None
    assert farthest(found, by_turbo(data, 800, 600)) <= 3


@pytest.mark.parametrize("subsampling", SAMPLINGS)
@pytest.mark.parametrize("quality", [40, 95])
def test_a_progressive_jpeg_has_the_pixels_of_its_first_scans(
    subsampling: str, quality: int
) -> None:
    data = pictures.jpeg(
        1601, 1203, seed=8, progressive=True, subsampling=subsampling, quality=quality
    )
    head = jpeg.read(data)
    assert head is not None
    cut = jpeg_scans.reduced(data, head)
    found = jpeg_decoder.decode_dc(cut, 1601, 1203, 3)
    assert found is not None
    assert farthest(found, by_turbo(cut, 1601, 1203)) <= 2
    whole = jpeg_decoder.decode_dc(data, 1601, 1203, 3)
    assert whole is not None
    # Last bits of AC coefficients are passed over: they bring little, and stand at the file's end.
    assert psnr_db(whole, by_turbo(data, 1601, 1203)) > 45


WHOLE = pictures.jpeg(320, 240, seed=1, quality=90, restart_marker_rows=2)
PROGRESSIVE = pictures.jpeg(320, 240, seed=1, quality=90, progressive=True)


@pytest.mark.parametrize("share", [0.3, 0.7, 0.99])
def test_a_file_that_ends_early_is_left_to_others(share: float) -> None:
    assert jpeg_decoder.decode_dc(WHOLE[: int(len(WHOLE) * share)], 320, 240, 3) is None


def test_a_restart_marker_that_is_not_due_is_left_to_others() -> None:
    at = WHOLE.index(b"\xff\xd0")
    assert jpeg_decoder.decode_dc(WHOLE[:at] + b"\xff\xd1" + WHOLE[at + 2 :], 320, 240, 3) is None


def test_a_size_that_is_not_the_frames_is_left_to_others() -> None:
    assert jpeg_decoder.decode_dc(WHOLE, 320, 248, 3) is None


NOISE = np.random.default_rng(2).integers(0, 256, (24, 32, 3), np.uint8)
GREY = pictures.encode(NOISE[..., 0], "JPEG", quality=60)
#: Red and blue within each block of chroma: what makes its first AC coefficient large.
STRIPES = np.tile(np.repeat(np.array([[[255, 0, 0], [0, 0, 255]]], np.uint8), 8, 1), (24, 2, 1))
HALVED = pictures.encode(STRIPES, "JPEG", quality=100, subsampling="4:2:0")
SCANS = pictures.encode(NOISE, "JPEG", quality=60, subsampling="4:2:0", progressive=True)
RGB = pictures.encode(NOISE, "JPEG", keep_rgb=True)


def with_a_code_of_ones(data: bytes) -> bytes:
    """The first table of DC codes gets one more, which C.2 keeps free: nine ones."""
    at = data.index(b"\xff\xc4\x00\x1f\x00")
    lengths = bytearray(data[at + 5 : at + 21])
    lengths[8] += 1
    return data[: at + 3] + b"\x20\0" + lengths + data[at + 21 : at + 33] + b"\0" + data[at + 33 :]


def with_factors(data: bytes, factors: int) -> bytes:
    at = data.index(b"\xff\xc0") + 11
    return data[:at] + bytes([factors]) + data[at + 1 :]


def scan_ends(data: bytes) -> list[int]:
    """Return where the data of each scan ends."""
    found = [data.index(b"\xff", data.index(b"\xff\xda") + 2)]
    while not data.startswith(b"\xff\xd9", found[-1]):
        at = data.index(b"\xff\xda", found[-1]) + 2
        while data[at] != 0xFF or data[at + 1] == 0:
            at += 1
        found.append(at)
    return found


def with_a_scan_twice(data: bytes) -> bytes:
    """The second scan of a progressive JPEG, chroma's first AC coefficients, comes again."""
    first, second, *_ = scan_ends(data)
    return data[:second] + data[first:second] + data[second:]


def with_bytes_behind_a_scan(data: bytes) -> bytes:
    at = scan_ends(data)[0]
    return data[:at] + b"\x12\x34" * 20 + data[at:]


def with_a_quantiser(data: bytes, table: int, place: int, value: int) -> bytes:
    """One of its quantisers becomes larger, which makes of its coefficients what none can be."""
    at = data.index(b"\xff\xdb\x00\x43" + bytes([table])) + 5 + place
    return data[:at] + bytes([value]) + data[at + 1 :]


FORGED = {
    "a code of ones": (GREY, with_a_code_of_ones(GREY)),
    "sampling factors beyond 4": (GREY, with_factors(GREY, 0x2C)),
    "no sampling factor": (GREY, with_factors(GREY, 0x10)),
    "a scan twice": (SCANS, with_a_scan_twice(SCANS)),
    "bytes behind a scan": (SCANS, with_bytes_behind_a_scan(SCANS)),
    "a marker that means nothing": (GREY, GREY[:2] + b"\xff\xf0\0\4\0\0" + GREY[2:]),
    "a JFIF that is too short": (GREY, RGB[:2] + b"\xff\xe0\0\7JFIF\0" + RGB[2:]),
    "a DC that none can be": (HALVED, with_a_quantiser(HALVED, 0, 0, 255)),
    "an AC that none can be": (HALVED, with_a_quantiser(HALVED, 1, 1, 80)),
}


@pytest.mark.parametrize("name", FORGED)
def test_what_libjpeg_turbo_would_refuse_or_show_otherwise_is_left_to_it(name: str) -> None:
    sound, forged = FORGED[name]
    assert jpeg_decoder.decode_dc(sound, 32, 24, 3) is not None
    assert jpeg_decoder.decode_dc(forged, 32, 24, 3) is None


def test_rgb_and_cmyk_are_left_to_others() -> None:
    rgb = pictures.encode(pictures.image(320, 240), "JPEG", keep_rgb=True)
    assert jpeg_decoder.decode_dc(rgb, 320, 240, 3) is None
    assert jpeg_decoder.decode_dc(pictures.cmyk_jpeg(320, 240), 320, 240, 3) is None


@pytest.mark.parametrize("data", [b"", b"\xff", b"\xff\xd8", b"\xff\xd8\xff\xd9", WHOLE[:300]])
def test_what_has_no_scan_is_left_to_others(data: bytes) -> None:
    assert jpeg_decoder.decode_dc(data, 320, 240, 3) is None


def test_a_buffer_of_another_size_is_refused() -> None:
    compiled = importlib.import_module("pregen.imaging._compiled")
    with pytest.raises(ValueError, match="sizes"):
        compiled.decode(WHOLE, bytearray(100), 320, 240, 8, 3)
    with pytest.raises(ValueError, match="sizes"):
        compiled.decode(WHOLE, bytearray(40 * 30 * 2), 320, 240, 8, 2)
    with pytest.raises(ValueError, match="sizes"):
        compiled.decode(WHOLE, bytearray(0), 0, 240, 8, 3)
    with pytest.raises(ValueError, match="sizes"):
        compiled.decode(WHOLE, bytearray(320 * 240 * 3), 320, 240, 1, 3)


@given(
    st.sampled_from([WHOLE, PROGRESSIVE]),
    st.lists(st.tuples(st.integers(0, 2**32), st.integers(0, 255)), max_size=8),
    st.integers(0, 2**32),
)
def test_damage_gives_a_picture_or_none(
    data: bytes, changes: list[tuple[int, int]], end: int
) -> None:
    damaged = bytearray(data)
    for at, value in changes:
        damaged[at % len(data)] = value
    found = jpeg_decoder.decode_dc(bytes(damaged[: end % (len(data) + 1)]), 320, 240, 4)
    assert found is None or found.shape == (30, 40, 4)


@pytest.mark.parametrize("seed", range(20))
def test_damage_to_the_tables_gives_a_picture_or_none(seed: int) -> None:
    chance = random.Random(seed)  # noqa: S311 - damage, not secrets
    for _ in range(300):
        damaged = bytearray(chance.choice([WHOLE, PROGRESSIVE]))
        for _ in range(chance.randrange(1, 5)):
            damaged[chance.randrange(2, 700)] = chance.randrange(256)
        jpeg_decoder.decode_dc(bytes(damaged), 320, 240, 4)


@pytest.mark.parametrize("progressive", [False, True])
def test_thumbnails_hardly_differ_from_libjpeg_turbos(progressive: bool) -> None:  # noqa: FBT001 - a parameter
    data = pictures.jpeg(2400, 1803, seed=6, progressive=progressive, quality=92)
    fast, turbo = (make(data, decoder=decoder) for decoder in (Decoder.AUTO, Decoder.TURBO))
    assert (fast.loader, turbo.loader) == ("dc", "turbo")
    for flavor in BOTH:
        one, other = (pixels_of(each.pictures[flavor]) for each in (fast, turbo))
        assert farthest(one, other) <= 4


def test_without_the_compiled_module_libjpeg_turbo_does_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(compiled, "IS_HERE", False)
    assert make(pictures.jpeg(2400, 1800)).loader == "turbo"
