"""Samples that are averaged in C as they come: PNG, TIFF and LZW, and what is left to others.

Judges are numpy (means), imagecodecs (LZW) and libvips (files); libpng in `test_fuzz_decoder`.
"""

from __future__ import annotations

import functools
import io
import random
import struct
import tracemalloc
import zlib
from typing import TYPE_CHECKING, Any

import imagecodecs
import numpy as np
import pytest
import tifffile
from PIL import Image

from pregen.imaging import _compiled, compiled
from pregen.imaging.containers import png, tiff_layout
from pregen.imaging.decoders import boxed
from pregen.imaging.decoders.base import Request
from pregen.imaging.faults import Fault
from pregen.imaging.pixels.sizes import fit
from pregen.imaging.sniff import sniff
from pregen.imaging.source_bytes import SourceBytes
from pregen.model import Flavor
from tests.support.files import pictures, profiles
from tests.support.files.photo import photo, psnr_db
from tests.support.judges import png_walk
from tests.support.judges.decoding import how_it_is_made, large, make, pixels_of
from tests.support.running.capabilities import Capability, needs

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from pregen.imaging.compiled import Averaged

pytestmark = needs(Capability.COMPILED)

_SIZE_PX = (703, 505)
TAKERS = ("png_picture", "tiff_picture")


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


def test_a_colour_that_is_not_in_the_palette_is_no_row() -> None:
    boxes = compiled.Boxes((3, 2), 1, 1, compiled.AS_THEY_ARE, b"abc\xffdef\xff")
    assert boxes.rows(bytes([0, 1, 0]))
    assert not boxes.rows(bytes([0, 1, 2]))


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


def strip_of(*codes: int) -> bytes:
    """Codes of nine bits."""
    bits = "".join(f"{code:09b}" for code in codes)
    bits += "0" * (-len(bits) % 8)
    return int(bits, 2).to_bytes(len(bits) // 8, "big")


def test_lzw_is_what_was_packed_and_nothing_else() -> None:
    for wanted in packed_strips():
        data = bytes(imagecodecs.lzw_encode(wanted))
        assert compiled.unpack_lzw(data, len(wanted)) == wanted
        assert compiled.unpack_lzw(data + bytes(200), len(wanted)) == wanted  # behind its end
        for size in (len(wanted) - 1, len(wanted) + 1):
            assert size < 1 or compiled.unpack_lzw(data, size) is None
        assert compiled.unpack_lzw(data[: len(data) // 2], len(wanted)) is None
    assert compiled.unpack_lzw(b"", 1) is None
    assert compiled.unpack_lzw(strip_of(256, 97, 258, 98, 257), 4) == b"aaab"
    for codes in ((256, 97, 259), (256, 258), (256, 97, 98, 260), (256, 97, 256, 258)):
        # What is not in the table yet, by one.
        assert all(compiled.unpack_lzw(strip_of(*codes, 257), size) is None for size in range(1, 9))
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


# --- PNG ----------------------------------------------------------------------------------------

PNGS = (
    "grey", "grey-alpha", "rgb", "rgba", "rgba-opaque", "palette", "palette-alpha", "profile",
)  # fmt: skip


@functools.cache
def png_file(name: str, size: tuple[int, int] = _SIZE_PX, **more: object) -> bytes:
    picture = Image.fromarray(photo(*size, seed=3)).convert("RGB")
    clear = pictures.rgba(*size)
    options: dict[str, Any] = {"compress_level": 1, **more}
    match name:
        case "grey":
            picture = picture.convert("L")
        case "grey-alpha":
            picture = clear.convert("LA")
        case "rgba":
            picture = clear
        case "rgba-opaque":
            picture.putalpha(255)
        case "palette" | "palette-alpha":
            picture = picture.quantize(100, Image.Quantize.FASTOCTREE)
            options["bits"] = 8
            if name == "palette-alpha":
                options["transparency"] = bytes(range(0, 200, 2))
        case "profile":
            options["icc_profile"] = profiles.display_p3(gamma=2.2)
        case _:
            pass
    return pictures.encode(picture, "PNG", **options)


@pytest.mark.parametrize("name", PNGS)
def test_a_png_looks_as_libvips_shows_it(name: str) -> None:
    looks_the_same(png_file(name), boxed.PNG_LOADER)


@pytest.mark.parametrize("size", [(1, 700), (700, 1), (129, 131), (1024, 768), (2048, 300)])
def test_a_png_of_any_size_looks_as_libvips_shows_it(size: tuple[int, int]) -> None:
    for name in ("rgb", "rgba", "rgba-opaque"):
        flavors = (Flavor.X_LARGE, Flavor.LARGE, Flavor.NORMAL)
        looks_the_same(png_file(name, size), boxed.PNG_LOADER, flavors)


def test_a_clear_png_that_ends_within_a_block_is_not_shifted() -> None:
    data = png_file("rgba-opaque", (1500, 1003))
    assert make(data).loader == boxed.PNG_LOADER
    with Image.open(io.BytesIO(data)) as opened_png:
        size = fit(*opened_png.size, 256)
        wanted = np.asarray(opened_png.resize(size, Image.Resampling.LANCZOS))
    assert psnr_db(large(data), wanted) > 40


@pytest.mark.parametrize("place", ["before", "behind", "named"])
def test_a_png_is_turned_as_its_metadata_say(place: str) -> None:
    data = png_file("rgb", exif=pictures.exif(6))
    if place == "behind":
        data = pictures.exif_behind(data)
    if place == "named":
        chunks = [
            (kind, b"Exif\0\0" + body if kind == b"eXIf" else body)
            for kind, body in png_walk.chunks(data)
        ]
        data = png_walk.build(chunks)
        assert png.read(data) is None
    else:
        looks_the_same(data, boxed.PNG_LOADER)
        made = make(data)
        assert (made.width_px, made.height_px) == _SIZE_PX[::-1]


def filtered(samples: NDArray[np.uint8], choose: list[int]) -> bytes:
    """Rows that begin with the number of a filter, and are anything."""
    return b"".join(
        bytes([choose[row % len(choose)]]) + samples[row].tobytes() for row in range(len(samples))
    )


def png_of(rows: bytes, size: tuple[int, int], colours: int, *chunks: tuple[bytes, bytes]) -> bytes:
    header = struct.pack(">IIBBBBB", *size, 8, colours, 0, 0, 0)
    pixels = zlib.compress(rows)
    parts = [(b"IDAT", pixels[:50]), (b"IDAT", pixels[50:]), (b"IEND", b"")]
    return png_walk.build([(b"IHDR", header), *chunks, *parts])


def averaged(data: bytes) -> Averaged | None:
    head = png.read(data)
    assert head is not None
    kind = sniff(data[:4096])
    assert kind is not None
    request = Request(SourceBytes.of(data), kind, lambda _: None)
    return boxed.png_picture(request, head, 100, clear=head.clear)


@pytest.mark.parametrize("bands", [1, 2, 3, 4])
@pytest.mark.parametrize("choose", [[0], [1], [2], [3], [4], [4, 3, 2, 1, 0, 4, 4]])
def test_every_filter_is_undone_as_pillow_does(bands: int, choose: list[int]) -> None:
    data = png_of(filtered(noise(33, 47, bands), choose), (47, 33), (0, 0, 4, 2, 6)[bands])
    with Image.open(io.BytesIO(data)) as opened_png:
        wanted = np.asarray(opened_png.convert("RGBA"))
    found = averaged(data)
    assert found is not None
    assert np.array_equal(array_of(found), wanted)


def test_pixels_that_are_not_sound_are_left_to_libvips() -> None:
    sound = filtered(noise(33, 47, 3), [1, 2])
    bad = bytearray(sound)
    bad[142] = 5
    whole = png_of(sound, (47, 33), 2)
    assert averaged(whole) is not None
    for rows in (sound[:-1], sound + b"x", bytes(bad)):
        assert averaged(png_of(rows, (47, 33), 2)) is None
    at = whole.index(b"IDAT") + 4
    for place in (at, at + 50, whole.index(b"IEND") - 9):
        broken = bytearray(whole)
        broken[place] ^= 1
        assert averaged(bytes(broken)) is None  # the check sum of the chunk
    first, *_, last = png_walk.chunks(whole)
    stream = zlib.compress(sound)
    for wrong in (
        stream + b"x",
        stream[:-1],
        stream[:-4] + b"\0" * 4,
        b"\x78\xff" + stream[2:],
        b"",
    ):
        assert averaged(png_walk.build([first, (b"IDAT", wrong), last])) is None  # what is inside
        pieces = [(b"IDAT", wrong[at : at + 9]) for at in range(0, len(wrong), 9)]
        assert not pieces or averaged(png_walk.build([first, *pieces, last])) is None
    assert averaged(png_walk.build([first, (b"IDAT", stream), (b"IDAT", b""), last])) is not None
    assert averaged(png_walk.build([first, (b"IDAT", stream), (b"IDAT", b"x"), last])) is None


@pytest.mark.parametrize(
    ("colours", "chunks"),
    [
        (2, [(b"tRNS", bytes(6))]),
        (0, [(b"PLTE", bytes(6))]),
        (3, []),
        (3, [(b"PLTE", bytes(7))]),
        (3, [(b"tRNS", bytes(2)), (b"PLTE", bytes(6))]),
        (3, [(b"PLTE", bytes(6)), (b"tRNS", bytes(3))]),
        (3, [(b"PLTE", bytes(6)), (b"PLTE", bytes(6))]),
        (2, [(b"IHDR", bytes(13))]),
        (2, [(b"cICP", b"\x09\x10\0\1")]),
        (2, [(b"iCCP", b"name\0\0" + zlib.compress(bytes(200)))]),
        (2, [(b"iCCP", b"name\0\0garbage")]),
        (2, [(b"ABCD", b"")]),
        (1, []),
        (5, []),
    ],
)
def test_heads_that_are_unusual_are_none(colours: int, chunks: list[tuple[bytes, bytes]]) -> None:
    rows = bytes(11 * 200)
    assert png.read(png_of(rows, (200, 11), 2, (b"abCd", b"anything"))) is not None
    assert png.read(png_of(rows, (200, 11), 3, (b"PLTE", bytes(6)))) is not None
    assert png.read(png_of(rows, (200, 11), colours, *chunks)) is None


def test_chunks_that_are_cut_off_or_out_of_order_are_none() -> None:
    whole = png_of(filtered(noise(33, 47, 3), [0]), (47, 33), 2, (b"gAMA", bytes(4)))
    assert png.read(whole) is not None
    assert png.read(whole + b"behind the end") is not None
    assert all(png.read(whole[:size]) is None for size in range(0, len(whole), 7))
    head, gamma, *pixels, end = png_walk.chunks(whole)
    for parts in (
        [gamma, head, *pixels, end],
        [head, *pixels[:1], gamma, *pixels[1:], end],
        [head, end],
        [head, *pixels],
        [head, *pixels, (b"PLTE", bytes(6)), end],
        [head, *pixels, (b"IEND", b"x")],
    ):
        assert png.read(png_walk.build(parts)) is None
    assert png.read(whole.replace(b"gAMA\0", b"gAMA\1")) is None
    for at, value in ((8, 16), (10, 1), (11, 1), (12, 1)):  # depth, methods, interlace
        header = bytearray(head[1])
        header[at] = value
        assert png.read(png_walk.build([(b"IHDR", bytes(header)), *pixels, end])) is None


def test_no_picture_library_is_imported_for_an_opaque_png() -> None:
    for name in ("palette", "rgba-opaque"):
        assert how_it_is_made(png_file(name)) == ("png", set())


def test_a_huge_png_takes_little_memory() -> None:
    """192 MB of rows, one at a time."""
    size = 8000
    packed = zlib.compressobj(1)
    row = bytes(1) + bytes(range(200)) * (size * 3 // 200)
    stream = b"".join(packed.compress(row) for _ in range(size)) + packed.flush()
    header = struct.pack(">IIBBBBB", size, size, 8, 2, 0, 0, 0)
    data = png_walk.build([(b"IHDR", header), (b"IDAT", stream), (b"IEND", b"")])
    make(png_file("rgb"))
    tracemalloc.start()
    try:
        made = make(data)
        _, peak_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert made.loader == boxed.PNG_LOADER
    assert peak_bytes < 16 << 20


# --- All of it ----------------------------------------------------------------------------------


def damaged_files() -> Iterator[bytes]:
    chance = random.Random(11)  # noqa: S311 - damages, not secrets
    picture = Image.fromarray(photo(300, 200, seed=4)).convert("RGB")
    files = [
        pictures.encode(picture, "TIFF", compression=name)
        for name in ("raw", "tiff_lzw", "tiff_adobe_deflate")
    ]
    for sound in (*files, pictures.encode(picture, "PNG"), png_file("palette-alpha", (300, 200))):
        for _ in range(10):
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
