"""What C makes of a JPEG: the pictures that the libraries make, within rounding, and nothing else.

Judges are Pillow and libvips (Lanczos-3), numpy (turning), zlib and Pillow (streams).
"""

from __future__ import annotations

import io
import json
import subprocess
import sys
import zlib
from typing import TYPE_CHECKING

import numpy as np
import pytest
import simplejpeg
from PIL import Image

from pregen.imaging import _compiled, compiled, thumbnail
from pregen.imaging.decoders import jpeg as jpeg_decoder
from pregen.imaging.pixels import render, resample, stream
from pregen.imaging.pixels.sizes import fit
from pregen.imaging.runtime import pyvips
from pregen.model import Flavor
from pregen.thumbspec import pngbuild
from tests.support.files import pictures
from tests.support.files.photo import photo, psnr_db
from tests.support.judges.decoding import BOTH, make, pixels_of
from tests.support.running.capabilities import Capability, needs

if TYPE_CHECKING:
    from tests.support.files.photo import Pixels

pytestmark = needs(Capability.COMPILED)


def samples(columns: int, rows: int, seed: int = 0) -> Pixels:
    """RGBX whose fourth band means nothing."""
    found = np.zeros((rows, columns, 4), np.uint8)
    found[..., :3] = photo(columns, rows, seed)
    return found


def reduced(
    picture: Pixels, extent: tuple[float, float], size: tuple[int, int], orientation: int = 1
) -> Pixels:
    rows, columns, _ = picture.shape
    ((width, height, made),) = _compiled.reduce(
        picture.data, columns, rows, extent, orientation, [size]
    )
    return np.frombuffer(made, np.uint8).reshape(height, width, 4)


# --- reduction ----------------------------------------------------------------------------------

SIZES = [
    ((500, 375), (500.0, 375.0), (256, 192)),
    ((516, 291), (516.0, 290.25), (256, 144)),
    ((1100, 701), (1099.125, 700.5), (128, 82)),
    ((256, 171), (256.0, 171.0), (128, 86)),
    ((300, 40), (299.5, 39.125), (128, 17)),
    ((129, 3), (128.25, 2.5), (128, 2)),
    ((4000, 5), (4000.0, 5.0), (128, 1)),
]


@pytest.mark.parametrize(("stored", "extent", "size"), SIZES)
def test_a_reduction_is_pillows_lanczos_with_a_box(
    stored: tuple[int, int], extent: tuple[float, float], size: tuple[int, int]
) -> None:
    picture = samples(*stored)
    found = reduced(picture, extent, size)
    other = Image.fromarray(picture[..., :3]).resize(
        size, Image.Resampling.LANCZOS, box=(0, 0, *extent)
    )
    # Pillow cuts off between the two directions what is above 255 or below 0.
    assert np.abs(found[..., :3].astype(int) - np.asarray(other)).max() <= 8
    assert psnr_db(found[..., :3], np.asarray(other)) > 45
    assert (found[..., 3] == 255).all()


def test_a_reduction_is_libvips_lanczos() -> None:
    picture = samples(500, 375)
    found = reduced(picture, (500, 375), (256, 192))
    image = pyvips.Image.new_from_memory(picture[..., :3].tobytes(), 500, 375, 3, "uchar")
    other = image.resize(256 / 500, vscale=192 / 375, kernel="lanczos3").numpy()
    assert psnr_db(found[..., :3], other) > 45


def test_nothing_is_lost_between_the_two_directions() -> None:
    """Closer to sums of real numbers than Pillow and libvips come, and not brighter or darker."""
    picture = samples(500, 375)
    exact = np.einsum("ya,abc->ybc", lanczos(375, 192), picture[..., :3].astype(float))
    exact = np.clip(np.einsum("xb,ybc->yxc", lanczos(500, 256), exact), 0, 255)
    apart = reduced(picture, (500, 375), (256, 192))[..., :3] - exact
    assert np.abs(apart).max() < 0.55
    assert abs(apart.mean()) < 0.02


def lanczos(pixels: int, results: int) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    """Weights of Lanczos-3, results x pixels."""
    scale = pixels / results
    places = (np.arange(pixels)[None] + 0.5 - (np.arange(results)[:, None] + 0.5) * scale) / scale
    weights: np.ndarray[tuple[int, ...], np.dtype[np.float64]] = np.where(
        np.abs(places) < 3, np.sinc(places) * np.sinc(places / 3), 0
    )
    weights /= weights.sum(1, keepdims=True)
    return weights


@pytest.mark.parametrize("level", [0, 1, 127, 254, 255])
def test_one_colour_stays_that_colour(level: int) -> None:
    picture = np.full((97, 203, 4), level, np.uint8)
    found = reduced(picture, (202.25, 96.5), (128, 61))
    assert (found[..., :3] == level).all()


def test_a_picture_of_its_own_size_stays_as_it_is() -> None:
    picture = samples(64, 48)
    assert (reduced(picture, (64, 48), (64, 48))[..., :3] == picture[..., :3]).all()


@pytest.mark.parametrize("orientation", range(10))
def test_turning_is_what_numpy_does(orientation: int) -> None:
    picture = samples(120, 90)
    upright = reduced(picture, (120, 90), (64, 48), orientation)
    assert (upright == render.turn(reduced(picture, (120, 90), (64, 48)), orientation)).all()


@pytest.mark.parametrize(
    "arguments",
    [
        (bytes(64), 4, 5, (4.0, 4.0), 1, [(2, 2)]),
        (bytes(64), 4, 4, (4.5, 4.0), 1, [(2, 2)]),
        (bytes(64), 4, 4, (4.0, 3.0), 1, [(2, 2)]),
        (bytes(64), 4, 4, (float("nan"), 4.0), 1, [(2, 2)]),
        (bytes(64), 4, 4, (4.0, 4.0), 1, []),
        (bytes(64), 4, 4, (4.0, 4.0), 1, [(2, 2)] * 9),
        (bytes(64), 4, 4, (4.0, 4.0), 1, [(0, 2)]),
        (bytes(64), 4, 4, (4.0, 4.0), 1, [(2, 1 << 20)]),
        (b"", 0, 0, (0.0, 0.0), 1, [(2, 2)]),
    ],
)
def test_sizes_that_do_not_fit_are_refused(arguments: tuple[object, ...]) -> None:
    with pytest.raises(ValueError, match="size"):
        _compiled.reduce(*arguments)  # type: ignore[arg-type]


# --- streams ------------------------------------------------------------------------------------


def coloured(width_px: int, height_px: int, seed: int = 0) -> Pixels:
    """A photo with noise of its own in each colour, as sensors make it."""
    noise = np.random.default_rng(seed).normal(0, 3, (height_px, width_px, 3))
    return resample.opaque(
        np.clip(photo(width_px, height_px, seed) + noise, 0, 255).astype(np.uint8)
    ).samples


def pictures_of_all_kinds() -> dict[str, Pixels]:
    rng = np.random.default_rng(3)
    noise = rng.integers(0, 256, (50, 70, 4), np.uint8)
    text = np.full((200, 256, 4), 255, np.uint8)
    text[20:180:9, 10:240, :3] = 0
    return {
        "a photo": coloured(256, 192),
        "a small photo": coloured(128, 96, 5),
        "noise": noise,
        "one colour": np.full((64, 64, 4), 200, np.uint8),
        "text": text,
        "a grey photo": resample.opaque(np.repeat(photo(256, 192)[..., :1], 3, -1)).samples,
        "one pixel": np.array([[[1, 2, 3, 4]]], np.uint8),
        "a row": resample.opaque(photo(200, 1)).samples,
        "a column": resample.opaque(photo(1, 200)).samples,
        # One value in nearly all bytes, which makes the longest codes.
        "rare values": np.where(rng.random((512, 512, 4)) < 0.00002, noise[0, 0], 7).astype(
            np.uint8
        ),
    }


ALL_KINDS = pictures_of_all_kinds()


@pytest.mark.parametrize("name", ALL_KINDS)
def test_a_stream_holds_its_picture(name: str) -> None:
    picture = ALL_KINDS[name]
    height, width, _ = picture.shape
    packed = compiled.compress(picture.data, width, height)
    rows = zlib.decompress(packed.data) if packed.whole else packed.data
    assert len(rows) == height * (1 + 4 * width)
    png = pngbuild.assemble(width, height, b"", stream.compress(picture))
    shown = Image.open(io.BytesIO(png))
    assert shown.mode == "RGBA"
    assert (np.asarray(shown) == picture).all()


def test_what_repeats_itself_is_left_to_isal() -> None:
    whole = {
        name: compiled.compress(one.data, one.shape[1], one.shape[0]).whole
        for name, one in ALL_KINDS.items()
    }
    assert whole["a photo"]
    assert whole["a small photo"]
    assert not whole["text"]
    assert not whole["a grey photo"]
    assert not whole["one colour"]


def test_a_photo_takes_hardly_more_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    photos = [coloured(256, 192, seed) for seed in range(4)]
    ours = sum(len(stream.compress(one)) for one in photos)
    monkeypatch.setattr(compiled, "IS_HERE", False)
    assert ours <= 1.015 * sum(len(stream.compress(one)) for one in photos)


def test_codes_that_would_be_too_long_are_cut() -> None:
    """Values that are twice as rare each, as Fibonacci's numbers: a code of a bit more for each."""
    counts = [1, 1]
    while sum(counts) < 300_000:
        counts.append(counts[-1] + counts[-2])
    values = np.repeat(np.arange(len(counts), dtype=np.uint8) * 3, counts)
    np.random.default_rng(1).shuffle(values)
    width = 512
    rows = values[: len(values) // (4 * width) * 4 * width].reshape(-1, width, 4)
    picture = rows.cumsum(axis=1, dtype=np.uint8)
    packed = compiled.compress(np.ascontiguousarray(picture).data, width, len(picture))
    assert packed.whole
    filtered = np.frombuffer(zlib.decompress(packed.data), np.uint8).reshape(len(picture), -1)
    assert (filtered[:, 1:] == rows.reshape(len(picture), -1)).all()


# --- the chain ----------------------------------------------------------------------------------


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("size", [(2400, 1803), (1203, 2101)])
def test_at_once_or_by_stages_it_is_the_same_picture(
    size: tuple[int, int], orientation: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = pictures.jpeg(*size, quality=92, exif=pictures.exif(orientation))
    at_once = make(data)
    monkeypatch.setattr(compiled, "IS_HERE", False)
    by_stages = make(data)
    assert (at_once.loader, by_stages.loader) == ("dc", "turbo")
    assert (at_once.width_px, at_once.height_px) == (by_stages.width_px, by_stages.height_px)
    assert at_once.fingerprint == by_stages.fingerprint
    assert at_once.bytes_read == by_stages.bytes_read
    for flavor in BOTH:
        one, other = (pixels_of(each.pictures[flavor]) for each in (at_once, by_stages))
        assert one.shape == other.shape
        assert psnr_db(one, other) > 45


def test_flavors_come_from_one_another_in_any_order() -> None:
    data = pictures.jpeg(9000, 600, seed=2)
    every = make(data, (Flavor.NORMAL, Flavor.XX_LARGE, Flavor.LARGE, Flavor.X_LARGE))
    assert every.loader == "dc"
    for flavor, picture in every.pictures.items():
        assert (picture.width_px, picture.height_px) == fit(9000, 600, flavor.box_px)


def test_one_colour_is_looked_at_by_others() -> None:
    """It may be what a lost decoder leaves."""
    data = pictures.encode(np.full((2400, 3200, 3), 90, np.uint8), "JPEG")
    assert _compiled.pictures(data, 3200, 2400, 8, 1, [(256, 192), (128, 96)]) is None
    assert make(data).pictures.keys() == set(BOTH)


@pytest.mark.parametrize(
    "arguments", [(0, 10, 8), (10, 0, 8), (70_000, 10, 8), (10, 10, 3), (10, 10, 0)]
)
def test_a_size_or_scale_that_cannot_be_is_refused(arguments: tuple[int, int, int]) -> None:
    with pytest.raises(ValueError, match="size"):
        _compiled.pictures(b"", *arguments, 1, [(1, 1)])


LIBRARIES = ("numpy", "PIL", "pyvips", "simplejpeg", "isal")
_LIGHT = """
import json, os, sys
from pregen.imaging import thumbnail
from pregen.model import Flavor
made = []
for name in sys.argv[1:]:
    fd = os.open(name, os.O_RDONLY)
    found = thumbnail.make(fd, os.fstat(fd).st_size, list(Flavor)[:2], 10**9, print)
    made.append([found.loader, len(found.pictures)])
print(json.dumps([made, [name for name in {libraries} if name in sys.modules]]))
"""


@pytest.mark.parametrize("progressive", [False, True])
def test_a_camera_jpeg_needs_no_picture_library(
    tmp_path_factory: pytest.TempPathFactory,
    progressive: bool,  # noqa: FBT001 - a parameter
) -> None:
    file = tmp_path_factory.mktemp("photos") / "a.jpg"
    file.write_bytes(pictures.jpeg(2400, 1800, quality=90, progressive=progressive))
    command = [sys.executable, "-c", _LIGHT.format(libraries=LIBRARIES), str(file)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    assert json.loads(done.stdout) == [[["dc", 2]], []]


def test_a_small_jpeg_needs_no_entry() -> None:
    assert make(pictures.jpeg(100, 90)).small
    assert isinstance(make(pictures.jpeg(1200, 900)), thumbnail.Thumbnails)


# --- 1/4 and 1/2 --------------------------------------------------------------------------------


def decoded(data: bytes, size: tuple[int, int], shrink: int, bands: int = 3) -> Pixels | None:
    return jpeg_decoder.decode_dc(data, *size, bands, shrink)


def by_turbo(data: bytes, size: tuple[int, int], shrink: int) -> Pixels:
    width, height = (-(-edge // shrink) for edge in size)
    found: Pixels = simplejpeg.decode_jpeg(data, "RGB", min_height=height, min_width=width)
    return found


@pytest.mark.parametrize("subsampling", ["4:4:4", "4:2:2", "4:2:0"])
@pytest.mark.parametrize(("shrink", "box_px"), [(4, 512), (2, 1024)])
@pytest.mark.parametrize("size", [(2400, 1803), (2051, 1599), (2049, 7)])
def test_more_of_a_block_is_as_close_to_the_whole_decode_as_libjpeg_turbo(
    subsampling: str, shrink: int, box_px: int, size: tuple[int, int]
) -> None:
    data = pictures.jpeg(*size, seed=shrink, subsampling=subsampling, quality=92)
    ours = decoded(data, size, shrink)
    assert ours is not None
    turbo = by_turbo(data, size, shrink)
    assert ours.shape == turbo.shape
    small = fit(*size, min(box_px, max(size) // shrink))
    whole = Image.open(io.BytesIO(data)).convert("RGB").resize(small, Image.Resampling.LANCZOS)
    extent = size[0] / shrink, size[1] / shrink
    one, other = (
        psnr_db(
            np.asarray(
                Image.fromarray(each).resize(small, Image.Resampling.LANCZOS, (0, 0, *extent))
            ),
            np.asarray(whole),
        )
        for each in (ours, turbo)
    )
    assert one > other - 0.3
    assert one > 30


@pytest.mark.parametrize("shrink", [4, 2])
def test_a_smooth_picture_is_libjpeg_turbos(shrink: int) -> None:
    """Nothing is left out of it, so only rounding differs: place and colour are right."""
    y, x = np.mgrid[0:600, 0:800].astype(np.float32)
    smooth = np.stack([x / 4, y / 3, 128 + 60 * np.sin(x / 90) * np.cos(y / 70)], -1)
    for subsampling in ("4:4:4", "4:2:2", "4:2:0"):
        data = pictures.encode(smooth.astype(np.uint8), "JPEG", quality=95, subsampling=subsampling)
        ours = decoded(data, (800, 600), shrink)
        assert ours is not None
        assert psnr_db(ours, by_turbo(data, (800, 600), shrink)) > 46


@pytest.mark.parametrize("shrink", [4, 2])
@pytest.mark.parametrize("bands", [1, 3, 4])
def test_a_grey_jpeg_at_every_scale(shrink: int, bands: int) -> None:
    data = pictures.encode(pictures.image(803, 597, seed=4).convert("L"), "JPEG", quality=88)
    ours = decoded(data, (803, 597), shrink, bands)
    assert ours is not None
    assert psnr_db(np.repeat(ours[..., :1], 3, -1), by_turbo(data, (803, 597), shrink)) > 32


@pytest.mark.parametrize("shrink", [4, 2])
def test_restarts_are_followed_at_every_scale(shrink: int) -> None:
    plain = pictures.jpeg(811, 604, seed=3)
    restarted = pictures.jpeg(811, 604, seed=3, restart_marker_blocks=3)
    one, other = (decoded(data, (811, 604), shrink) for data in (plain, restarted))
    assert one is not None
    assert other is not None
    assert (one == other).all()


@pytest.mark.parametrize("shrink", [4, 2])
def test_what_is_damaged_or_progressive_is_left_to_others(shrink: int) -> None:
    data = pictures.jpeg(811, 604, seed=3)
    assert decoded(data, (811, 604), shrink) is not None
    assert decoded(data[: len(data) // 2], (811, 604), shrink) is None
    progressive = pictures.jpeg(811, 604, seed=3, progressive=True)
    assert decoded(progressive, (811, 604), shrink) is None


@pytest.mark.parametrize(
    ("flavors", "size", "loader"),
    [
        ((Flavor.NORMAL, Flavor.LARGE), (2100, 1400), "dc"),
        ((Flavor.LARGE,), (1100, 1400), "blocks"),
        ((Flavor.X_LARGE, Flavor.LARGE), (2100, 1400), "blocks"),
        (tuple(Flavor), (2100, 1400), "blocks"),
        (tuple(Flavor), (1400, 1100), "turbo"),
    ],
)
def test_each_flavor_is_read_at_the_scale_that_covers_it(
    flavors: tuple[Flavor, ...],
    size: tuple[int, int],
    loader: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    data = pictures.jpeg(*size, seed=9, exif=pictures.exif(6))
    at_once = make(data, flavors)
    assert at_once.loader == loader
    monkeypatch.setattr(compiled, "IS_HERE", False)
    by_stages = make(data, flavors)
    assert by_stages.loader == "turbo"
    for flavor in flavors:
        one, other = (pixels_of(each.pictures[flavor]) for each in (at_once, by_stages))
        assert one.shape == other.shape
        assert psnr_db(one, other) > 36
