"""Samples that are averaged in C as they come: TIFF and LZW, and what is left to others.

Judges are numpy (means), imagecodecs (LZW) and libvips (files).
"""

from __future__ import annotations

import io
import random
from typing import TYPE_CHECKING, Any

import imagecodecs
import numpy as np
import pytest
import tifffile
from PIL import Image

from pregen.imaging import _compiled, compiled
from pregen.imaging.containers import tiff_layout
from pregen.imaging.decoders import boxed
from pregen.imaging.decoders.base import Request
from pregen.imaging.faults import Fault
from pregen.imaging.sniff import sniff
from pregen.imaging.source_bytes import SourceBytes
from pregen.model import Flavor
from tests.support.files import pictures, profiles
from tests.support.files.photo import photo, psnr_db
from tests.support.judges.decoding import large, make, pixels_of
from tests.support.running.capabilities import Capability, needs

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from pregen.imaging.compiled import Averaged

pytestmark = needs(Capability.COMPILED)

_SIZE_PX = (703, 505)
TAKERS = ("tiff_picture",)


def noise(rows: int, columns: int, bands: int, seed: int = 1) -> NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 256, (rows, columns, bands), np.uint8)


def array_of(averaged: Averaged) -> NDArray[np.float32]:
    kind = np.float32 if averaged.weighed else np.uint8
    samples = np.frombuffer(averaged.samples, kind)
    return samples.reshape(averaged.rows, averaged.columns, 4).astype(np.float32)


def as_rgba(samples: NDArray[np.uint8]) -> NDArray[np.uint8]:
    rows, columns, bands = samples.shape
    alpha = samples[..., -1:] if bands % 2 == 0 else np.full((rows, columns, 1), 255, np.uint8)
    colours = samples[..., :3] if bands >= 3 else samples[..., :1].repeat(3, axis=2)
    return np.concatenate([colours, alpha], axis=2)


def means(rgba: NDArray[np.uint8], block: int, *, weighed: bool) -> NDArray[np.float64]:
    """Means of blocks, by numpy; the last ones of what there is."""
    whole = rgba.astype(float)
    if weighed:
        whole[..., :3] *= whole[..., 3:] / 255
    rows, columns = whole.shape[:2]
    return np.array(
        [
            [
                whole[top : top + block, left : left + block].mean(axis=(0, 1))
                for left in range(0, columns, block)
            ]
            for top in range(0, rows, block)
        ]
    )


def left_to_others(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in TAKERS:
        monkeypatch.setattr(boxed, name, lambda *_, **__: None)


def looks_the_same(data: bytes, loader: str, flavors: tuple[Flavor, ...] = (Flavor.LARGE,)) -> None:
    """A source is made by our own code, and looks as libvips shows it."""
    made = make(data, flavors)
    assert made.loader == loader
    with pytest.MonkeyPatch.context() as patch:
        left_to_others(patch)
        other = make(data, flavors)
    assert other.loader == "vips"
    assert (made.width_px, made.height_px) == (other.width_px, other.height_px)
    for flavor in flavors:
        ours, theirs = (pixels_of(one.pictures[flavor]) for one in (made, other))
        assert psnr_db(ours, theirs) > 40


# --- Boxes --------------------------------------------------------------------------------------


@pytest.mark.parametrize("bands", [1, 2, 3, 4])
@pytest.mark.parametrize("block", [1, 2, 5, 7, 40])
@pytest.mark.parametrize("clear", [False, True])
def test_blocks_become_their_means(bands: int, block: int, *, clear: bool) -> None:
    samples = noise(40, 83, bands)
    weighed = clear and bands % 2 == 0
    if not clear and bands % 2 == 0:
        samples[..., -1] = 255
    boxes = compiled.Boxes((83, 40), bands, block, compiled.AS_THEY_ARE, clear=clear)
    data, at = samples.tobytes(), 0
    for size in (1, 2, 83 * bands, 83 * bands + 1, 700, len(data)):
        assert boxes.averaged() is None
        assert boxes.rows(data[at : at + size])
        at += size
    found = boxes.averaged()
    assert found is not None
    assert found.weighed == (weighed and block > 1)
    assert found.extent == (83 / block, 40 / block)
    wanted = means(as_rgba(samples), block, weighed=found.weighed)
    assert np.abs(array_of(found) - wanted).max() <= (0.001 if found.weighed else 0.5)
    assert not boxes.rows(b"x" * 83 * bands)  # a row too many


def test_the_largest_sums_fit() -> None:
    white = bytes([255]) * 256 * 4
    for clear in (False, True):
        boxes = compiled.Boxes((256, 256), 4, 256, compiled.AS_THEY_ARE, clear=clear)
        assert all(boxes.rows(white) for _ in range(256))
        found = boxes.averaged()
        assert found is not None
        assert array_of(found).tolist() == [[[255.0] * 4]]


def test_what_should_be_opaque_and_is_not_is_no_row() -> None:
    for bands in (2, 4):
        row = bytearray(b"\xff" * 9 * bands)
        boxes = compiled.Boxes((9, 9), bands, 2, compiled.AS_THEY_ARE)
        assert boxes.rows(row)
        row[bands * 5 - 1] = 254
        assert not boxes.rows(row)


def test_tiles_make_the_picture_that_rows_make() -> None:
    for storing, (wide, high) in ((0, (16, 32)), (1, (16, 16)), (1, (100, 100)), (0, (7, 61))):
        boxes = compiled.Boxes((61, 83), 3, 5, storing)
        padded = np.zeros((-(-83 // high) * high, -(-61 // wide) * wide, 3), np.uint8)
        samples = noise(83, 61, 3)
        padded[:83, :61] = samples
        tile = padded[:high, :wide]
        for top in range(0, len(padded), high):
            for left in range(0, padded.shape[1], wide):
                tile = padded[top : top + high, left : left + wide]
                if storing:
                    tile = np.diff(tile, axis=1, prepend=np.uint8(0)).astype(np.uint8)
                assert not boxes.tile(tile.tobytes()[1:], wide, high)
                assert boxes.tile(tile.tobytes(), wide, high)
        found = boxes.averaged()
        assert found is not None
        assert np.abs(array_of(found) - means(as_rgba(samples), 5, weighed=False)).max() <= 0.5
        assert not boxes.tile(tile.tobytes(), wide, high)  # one too many
    boxes = compiled.Boxes((61, 83), 3, 5, 0)
    assert boxes.tile(bytes(16 * 8 * 3), 16, 8)
    assert not boxes.tile(bytes(16 * 9 * 3), 16, 9)  # higher than the one beside it


@pytest.mark.parametrize(
    "arguments",
    [
        (0, 1, 1, 1, 1, 0, b"", False),
        (1, 65537, 1, 1, 1, 0, b"", False),
        (9, 9, 5, 1, 1, 0, b"", False),
        (9, 9, 1, 257, 1, 0, b"", False),
        (9, 9, 1, 10, 1, 0, b"", False),
        (9, 9, 1, 1, 0, 0, b"", False),
        (9, 9, 1, 1, 1, 3, b"", False),
        (9, 9, 3, 1, 1, 2, bytes(4), False),
        (9, 9, 1, 1, 1, 2, bytes(5), False),
        (9, 9, 1, 1, 1, 2, bytes(1028), False),
    ],
)
def test_sizes_that_do_not_fit_together_are_an_error(arguments: tuple[Any, ...]) -> None:
    with pytest.raises(ValueError, match="sizes"):
        _compiled.Boxes(*arguments)


# --- LZW ----------------------------------------------------------------------------------------


def packed_strips() -> Iterator[bytes]:
    chance = random.Random(3)  # noqa: S311 - samples, not secrets
    yield b"a"
    yield b"a" * 100_000
    yield bytes(range(256)) * 40
    for values in (2, 17, 256):
        yield bytes(chance.choices(range(values), k=60_000))


def test_lzw_is_what_was_packed_and_nothing_else() -> None:
    for wanted in packed_strips():
        data = bytes(imagecodecs.lzw_encode(wanted))
        assert compiled.unpack_lzw(data, len(wanted)) == wanted
        assert compiled.unpack_lzw(data + bytes(200), len(wanted)) == wanted  # behind its end
        for size in (len(wanted) - 1, len(wanted) + 1):
            assert size < 1 or compiled.unpack_lzw(data, size) is None
        assert compiled.unpack_lzw(data[: len(data) // 2], len(wanted)) is None
    assert compiled.unpack_lzw(b"", 1) is None
    assert compiled.unpack_lzw(b"\x80\x3f\xff\xff", 3) is None  # a code that is not there
    with pytest.raises(ValueError, match="size"):
        compiled.unpack_lzw(b"", 0)


# --- TIFF ---------------------------------------------------------------------------------------

LAYOUTS: dict[str, dict[str, Any]] = {
    "strips": {"rowsperstrip": 37},
    "one strip": {"rowsperstrip": 505},
    "tiles": {"tile": (64, 96)},
}
PACKED: dict[str, dict[str, Any]] = {
    "none": {},
    "lzw": {"compression": "lzw"},
    "lzw, predictor": {"compression": "lzw", "predictor": True},
    "deflate": {"compression": "zlib"},
    "deflate, predictor": {"compression": "zlib", "predictor": True},
}


def tiff_file(samples: NDArray[np.uint8], **options: Any) -> bytes:
    kept = io.BytesIO()
    kind = "rgb" if samples.ndim == 3 else "minisblack"
    tifffile.imwrite(kept, samples, photometric=kind, metadata=None, **options)
    return kept.getvalue()


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("packed", PACKED)
def test_a_tiff_looks_as_libvips_shows_it(layout: str, packed: str) -> None:
    samples = photo(*_SIZE_PX, seed=2)[..., :3]
    for each, order in ((samples, "<"), (np.ascontiguousarray(samples[..., 1]), ">")):
        data = tiff_file(each, byteorder=order, **LAYOUTS[layout], **PACKED[packed])
        looks_the_same(data, boxed.TIFF_LOADER)


@pytest.mark.parametrize("size", [(1, 700), (700, 1), (129, 131), (2060, 300)])
def test_a_tiff_of_any_size_looks_as_libvips_shows_it(size: tuple[int, int]) -> None:
    data = tiff_file(photo(*size, seed=9)[..., :3], compression="lzw")
    looks_the_same(data, boxed.TIFF_LOADER, (Flavor.X_LARGE, Flavor.LARGE, Flavor.NORMAL))


@pytest.mark.parametrize("size", [(700, 500), (1500, 1003)])
def test_a_transparent_tiff_looks_as_libvips_shows_it(size: tuple[int, int]) -> None:
    samples = np.asarray(pictures.rgba(*size))
    data = tiff_file(samples, compression="zlib", extrasamples=["unassalpha"])
    looks_the_same(data, boxed.TIFF_LOADER)


@pytest.mark.parametrize("orientation", [3, 5, 6])
def test_a_tiff_is_turned_as_it_says(orientation: int) -> None:
    samples = photo(*_SIZE_PX, seed=2)[..., :3]
    data = tiff_file(samples, extratags=[(274, "H", 1, orientation, True)])
    looks_the_same(data, boxed.TIFF_LOADER)
    turned = orientation > 4
    made = make(data)
    assert (made.width_px, made.height_px) == (_SIZE_PX[::-1] if turned else _SIZE_PX)


@pytest.mark.parametrize("compression", ["raw", "tiff_lzw"])
def test_a_tiff_with_a_profile_comes_out_in_its_colours(compression: str) -> None:
    picture = Image.fromarray(photo(*_SIZE_PX, seed=2))
    profile = profiles.display_p3(gamma=2.2)
    data = pictures.encode(picture, "TIFF", compression=compression, icc_profile=profile)
    looks_the_same(data, boxed.TIFF_LOADER)


def opened(data: bytes) -> tuple[Request, tiff_layout.TiffLayout]:
    source = SourceBytes.of(data)
    kind = sniff(data[:4096])
    assert kind is not None
    return Request(source, kind, lambda _: None), tiff_layout.read(
        source, tiff_layout.directory(source)
    )


@pytest.mark.parametrize("compression", ["raw", "tiff_lzw", "tiff_adobe_deflate"])
def test_a_tiff_that_is_unusual_or_not_sound_is_left_to_libtiff(compression: str) -> None:
    picture = Image.fromarray(photo(*_SIZE_PX, seed=2)).convert("RGB")
    sound = pictures.encode(picture, "TIFF", compression=compression)
    request, layout = opened(sound)
    assert boxed.tiff_picture(request, layout, 128) is not None
    chance = random.Random(5)  # noqa: S311 - damages, not secrets
    refused = 0
    for _ in range(30):
        damaged = bytearray(sound)
        at = chance.randrange(layout.offsets[0], layout.offsets[0] + sum(layout.counts) - 40)
        damaged[at : at + 40] = chance.randbytes(40)
        refused += boxed.tiff_picture(opened(bytes(damaged))[0], layout, 128) is None
    # Codes of LZW may become others of the same lengths: nothing tells them from the right ones.
    assert refused >= {"raw": 0, "tiff_lzw": 27, "tiff_adobe_deflate": 30}[compression]
    for changed in (
        layout._replace(height_px=layout.height_px + 1000),
        layout._replace(width_px=layout.width_px - 1),
        layout._replace(counts=(layout.counts[0] - 40, *layout.counts[1:])),
        layout._replace(offsets=(len(sound) - 5, *layout.offsets[1:])),
        layout._replace(offsets=layout.offsets[:-1], counts=layout.counts[:-1]),
        layout._replace(bits=16),
        layout._replace(planar=True),
        layout._replace(predictor=3),
        layout._replace(samples=4),
        layout._replace(photometric=tiff_layout.WHITE_IS_ZERO),
        layout._replace(kind=tiff_layout.SIGNED),
    ):
        assert boxed.tiff_picture(request, changed, 128) is None


# --- All of it ----------------------------------------------------------------------------------


def damaged_files() -> Iterator[bytes]:
    chance = random.Random(11)  # noqa: S311 - damages, not secrets
    picture = Image.fromarray(photo(300, 200, seed=4)).convert("RGB")
    for name in ("raw", "tiff_lzw", "tiff_adobe_deflate"):
        sound = pictures.encode(picture, "TIFF", compression=name)
        for _ in range(12):
            data = bytearray(sound)
            at, size = chance.randrange(len(data)), chance.randrange(1, 60)
            data[at : at + size] = chance.randbytes(chance.randrange(1, 60))
            yield bytes(data)


def test_damaged_files_are_judged_as_before(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is refused without our own code is refused with it; what is stored looks the same."""
    for data in damaged_files():
        said: list[Any] = []
        for ours in (True, False):
            with monkeypatch.context() as patch:
                if not ours:
                    left_to_others(patch)
                try:
                    said.append(large(data))
                except (Fault, KeyError) as fault:
                    said.append(type(fault))
        if isinstance(said[0], type) or isinstance(said[1], type):
            assert said[0] == said[1]
        else:
            assert psnr_db(said[0], said[1]) > 40
