"""Stills beyond the plain ones: pages, frames, pyramids, deep greymaps, drawings without a size."""

from __future__ import annotations

import contextlib
import gzip
import importlib
import io
import os
import struct
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

import imagecodecs
import numpy as np
import pytest
from PIL import Image, ImageCms

from pregen.imaging import faults, sniff
from pregen.imaging.decoders.base import Request
from pregen.imaging.pixels.resample import samples_of
from pregen.imaging.runtime import pyvips
from pregen.imaging.source_bytes import SourceBytes
from pregen.model import Flavor
from tests.support.files import bombs, broken, pictures, profiles
from tests.support.files.photo import photo, psnr_db
from tests.support.judges import others
from tests.support.judges.decoding import large, make, pixels_of
from tests.support.running.capabilities import Capability, needs

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray


def reduced(picture: NDArray[np.uint8], size: tuple[int, int]) -> Image.Image:
    return Image.fromarray(picture).resize(size, Image.Resampling.LANCZOS)


# --- pages and frames -----------------------------------------------------------------------------


@pytest.mark.parametrize("file_format", ["GIF", "WEBP", "AVIF"])
def test_an_animation_tells_its_frames_and_shows_the_first(file_format: str) -> None:
    data = (
        pictures.animation(file_format, frames=4)
        if file_format != "AVIF"
        else _moving_avif(frames=4)
    )
    made = make(data)
    assert (made.frames, made.pages) == (4, 0)
    found = pixels_of(made.pictures[Flavor.LARGE])[..., :3]
    assert psnr_db(found, reduced(photo(400, 300, 0), (256, 192))) > 24


def _moving_avif(frames: int) -> bytes:
    first, *rest = (pictures.image(400, 300, seed) for seed in range(frames))
    return pictures.encode(first, "AVIF", save_all=True, append_images=rest, speed=10)


@pytest.mark.parametrize("file_format", ["GIF", "WEBP", "AVIF", "PNG", "TIFF"])
def test_one_picture_tells_neither_pages_nor_frames(file_format: str) -> None:
    made = make(pictures.encode(pictures.image(300, 200), file_format))
    assert (made.frames, made.pages) == (0, 0)


# --- TIFF -----------------------------------------------------------------------------------------


def _pyramid(**options: Any) -> tuple[bytes, pyvips.Image]:
    """Return a pyramid whose levels can be told apart: each is brighter than the one above."""
    tiles = np.tile(photo(500, 375), (6, 6, 1))
    image = pyvips.Image.new_from_array(tiles)
    data = image.tiffsave_buffer(
        pyramid=True, tile=True, tile_width=128, tile_height=128, compression="deflate", **options
    )
    return bytes(data), image


@pytest.mark.parametrize("subifd", [False, True])
def test_a_pyramid_is_read_at_the_level_that_covers(subifd: bool) -> None:  # noqa: FBT001 - a parameter
    data, image = _pyramid(subifd=subifd)
    made = make(data)
    assert (made.width_px, made.height_px, made.pages) == (3000, 2250, 0)
    wanted = image.resize(256 / 3000, kernel="lanczos3").numpy()
    found = pixels_of(made.pictures[Flavor.LARGE])[..., :3]
    assert psnr_db(found[:190], wanted[:190]) > 30
    assert _decoded_px(data, "tiff") == 375
    assert _decoded_px(bytes(image.tiffsave_buffer(tile=True)), "tiff") > 375


def _decoded_px(data: bytes, decoder: str) -> int:
    """Return the width at which a decoder hands a picture on for the large flavor."""
    module = importlib.import_module(f"pregen.imaging.decoders.{decoder}")
    fd = os.memfd_create("source")
    try:
        os.write(fd, data)
        found = sniff.sniff(data[: sniff.HEAD_BYTES])
        assert found is not None
        source = SourceBytes(fd, len(data), data[: sniff.HEAD_BYTES])
        request = Request(source, found, lambda _: None)
        return int(samples_of(module.open_picture(request).decode(256)).shape[1])
    finally:
        os.close(fd)


def test_pages_that_are_no_pyramid_are_pages() -> None:
    first = pictures.image(800, 600, 1)
    half = pictures.image(400, 300, 2)
    two = pictures.encode(first, "TIFF", save_all=True, append_images=[half])
    assert make(two).pages == 2
    odd = pictures.encode(first, "TIFF", save_all=True, append_images=[half, first, half])
    made = make(odd)
    assert made.pages == 4
    assert psnr_db(large(odd)[..., :3], reduced(photo(800, 600, 1), (256, 192))) > 30


# --- PNM ------------------------------------------------------------------------------------------


def _pnm(magic: bytes, largest: int, samples: NDArray[Any], comment: bytes = b"") -> bytes:
    height, width = samples.shape[:2]
    kind = ">u2" if largest > 255 else "u1"
    head = b"%s\n%s%d %d\n%d\n" % (magic, comment, width, height, largest)
    return head + samples.astype(kind).tobytes()


@pytest.mark.parametrize("largest", [65535, 4095, 255, 100, 1023])
@pytest.mark.parametrize("magic", [b"P5", b"P6"])
def test_every_depth_of_a_pnm_is_read(magic: bytes, largest: int) -> None:
    picture = photo(500, 400, 3)
    if magic == b"P5":
        picture = np.repeat(picture[..., 1:2], 3, axis=2)
    source = picture if magic == b"P6" else picture[..., :1]
    samples = np.round(source.astype(float) / 255 * largest)
    found = large(_pnm(magic, largest, samples, b"# a comment\n"))[..., :3]
    assert psnr_db(found, reduced(picture, (256, 205))) > 32


def test_a_deep_pixmap_of_a_camera_takes_no_half_minute() -> None:
    samples = np.tile(photo(600, 500).astype(np.uint16) * 257, (4, 4, 1))
    begun = time.process_time()
    assert make(_pnm(b"P6", 65535, samples)).pictures
    assert time.process_time() - begun < 4  # Pillow: 7 s for these 5 Mpx


def test_a_pnm_that_ends_early_shows_most_of_it_or_nothing() -> None:
    whole = _pnm(b"P6", 255, photo(500, 400, 3))
    assert make(broken.truncated(whole, 0.9)).pictures
    with pytest.raises(faults.TruncatedPicture):
        make(broken.truncated(whole, 0.6))


@pytest.mark.parametrize("head", [b"P6 0 5 255 ", b"P5 5 5 0 ", b"P6 5 5 70000 "])
def test_a_pnm_header_without_sense_is_invalid(head: bytes) -> None:
    with pytest.raises(faults.Fault):
        make(head + bytes(500))


@pytest.mark.parametrize("magic", [b"P1", b"P2", b"P3", b"P4"])
def test_the_other_kinds_of_pnm_are_pillows(magic: bytes) -> None:
    head = magic + b" 160 8" + (b" 255\n" if magic in {b"P2", b"P3"} else b"\n")
    body = bytes(20 * 8) if magic == b"P4" else b"1 " * (160 * 8 * (3 if magic == b"P3" else 1))
    made = make(head + body)
    assert (made.loader, made.width_px, made.height_px) == ("pillow", 160, 8)


# --- ICO, CUR, QOI ---------------------------------------------------------------------------


def test_an_icon_shows_its_largest_picture() -> None:
    data = pictures.encode(pictures.image(256, 256, 3), "ICO", sizes=[(16, 16), (256, 256)])
    assert make(data).width_px == 256
    cursor = b"\0\0\2\0" + data[4:]
    assert make(cursor).width_px in {16, 256}


@pytest.mark.parametrize("first_px", [1, 2, 62])
@pytest.mark.parametrize("channels", [3, 4])
def test_a_qoi_may_name_the_black_that_it_begins_with(first_px: int, channels: int) -> None:
    """Its place among the colours seen is known from the first run on, which Pillow passes over."""
    data = pictures.qoi_of_named_black(240, 160, first_px, channels)
    wanted = np.zeros((160, 240, 4), np.uint8)
    wanted[..., 3] = 255
    flat = wanted.reshape(-1, 4)
    flat[first_px::2, :3] = 200, 0, 0
    judged = imagecodecs.qoi_decode(data)
    assert np.array_equal(judged, wanted[..., :channels])
    assert np.array_equal(large(data), wanted)


# --- SVG ------------------------------------------------------------------------------------------


def _svg(attributes: str) -> bytes:
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" {attributes}>'
        '<rect width="100%" height="100%" fill="#204080"/>'
        '<rect width="50%" height="50%" fill="#e0c020"/></svg>'
    ).encode()


@pytest.mark.parametrize(
    ("attributes", "size"),
    [
        ('width="600" height="400"', (600, 400)),
        ('viewBox="0 0 300 200"', (300, 200)),
        ('width="100%" height="100%" viewBox="0 0 640 320"', (640, 320)),
        ('width="300000" height="300000"', (300_000, 300_000)),
        ('width="5in" height="76.2mm"', (480, 288)),
    ],
)
@pytest.mark.parametrize("packed", [False, True])
def test_a_drawing_comes_out_in_its_proportions(
    attributes: str,
    size: tuple[int, int],
    packed: bool,  # noqa: FBT001 - a parameter
) -> None:
    data = gzip.compress(_svg(attributes)) if packed else _svg(attributes)
    made = make(data)
    assert (made.width_px, made.height_px) == size
    assert made.mime == ("image/svg+xml-compressed" if packed else "image/svg+xml")
    pixels = pixels_of(made.pictures[Flavor.LARGE])
    assert tuple(pixels[10, 10]) == (0xE0, 0xC0, 0x20, 255)
    assert tuple(pixels[-10, -10]) == (0x20, 0x40, 0x80, 255)


@pytest.mark.parametrize("attributes", ['width="127mm" height="3in"', 'width="480" height="18pc"'])
def test_an_inch_of_a_drawing_has_96_pixels(attributes: str) -> None:
    """Without a viewBox pixels and inches meet: CSS Values and Units 4, section 6.2."""
    drawing = (
        f'<svg xmlns="http://www.w3.org/2000/svg" {attributes}>'
        '<rect width="480" height="288" fill="#204080"/>'
        '<rect width="240" height="1.5in" fill="#e0c020"/></svg>'
    ).encode()
    made = make(drawing)
    assert (made.width_px, made.height_px) == (480, 288)
    pixels = pixels_of(made.pictures[Flavor.LARGE])
    wide, high = pixels.shape[1], pixels.shape[0]
    assert tuple(pixels[high // 2 - 3, wide // 2 - 3]) == (0xE0, 0xC0, 0x20, 255)
    for row, column in ((high // 2 + 3, 3), (3, wide // 2 + 3), (-3, -3)):
        assert tuple(pixels[row, column]) == (0x20, 0x40, 0x80, 255)


def test_an_svg_that_ends_early_or_is_none_is_no_picture() -> None:
    whole = _svg('width="600" height="400"')
    with pytest.raises(faults.Fault):
        make(whole[:-20])
    with pytest.raises(faults.Fault):
        make(gzip.compress(whole)[:-30])


def test_an_svg_reads_no_other_file(tmp_path: Any) -> None:
    secret = tmp_path / "secret.png"
    secret.write_bytes(pictures.encode(Image.new("RGB", (300, 300), "red"), "PNG"))
    linked = (
        '<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" '
        f'width="300" height="300"><image xlink:href="file://{secret}" width="300" height="300"/>'
        "</svg>"
    ).encode()
    assert large(linked)[..., 3].max() == 0


def test_jpeg_2000_is_read_at_a_reduced_resolution() -> None:
    big = Image.fromarray(np.tile(photo(500, 400), (5, 5, 1)))
    out = io.BytesIO()
    big.save(out, "JPEG2000", quality_mode="rates", quality_layers=[20], num_resolutions=6)
    assert _decoded_px(out.getvalue(), "jpeg2000") == 625
    wanted = big.resize((256, 205), Image.Resampling.LANCZOS)
    assert psnr_db(large(out.getvalue())[..., :3], wanted) > 30


def test_a_gzipped_drawing_is_inflated_up_to_a_limit() -> None:
    drawing = gzip.compress(pictures.svg())
    assert make(drawing).mime == "image/svg+xml-compressed"
    with pytest.raises(faults.TruncatedPicture):
        make(drawing[:-20])
    with pytest.raises(faults.InvalidPicture, match="more than 67 MB"):
        make(bombs.svgz_zeros(80_000_000))


def test_a_file_larger_than_the_address_space_is_read_in_pieces(tmp_path: Path) -> None:
    picture = pictures.put(tmp_path / "a.tif", pictures.encode(pictures.image(1300, 1000), "TIFF"))
    os.truncate(picture, 5 << 30)
    script = (
        "import os, resource, sys\n"
        "from pregen.imaging import thumbnail\n"
        "from pregen.model import Flavor\n"
        "resource.setrlimit(resource.RLIMIT_AS, (2 << 30, 2 << 30))\n"
        "fd = os.open(sys.argv[1], os.O_RDONLY)\n"
        "made = thumbnail.make(fd, 5 << 30, {Flavor.LARGE}, 1 << 30, lambda _: None)\n"
        "print(made.width_px, made.height_px)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, picture], capture_output=True, text=True, check=False
    )
    assert done.stdout == "1300 1000\n", done.stderr


@pytest.mark.parametrize(
    ("interpretation", "bands"), [("srgb", 5), ("srgb", 35), ("b-w", 7), ("cmyk", 9)]
)
def test_a_tiff_of_many_samples_shows_its_colours(interpretation: str, bands: int) -> None:
    colours = {"b-w": 1, "cmyk": 4}.get(interpretation, 3)
    levels = [40, 90, 140, 20][:colours] + [255] + [0] * (bands - colours - 1)
    flat = pyvips.Image.black(300, 200, bands=bands) + levels
    data = flat.cast("uchar").copy(interpretation=interpretation).tiffsave_buffer()
    found = large(data)
    assert found.shape[2] == 4
    assert (found[..., 3] == 255).all()
    if interpretation == "srgb":
        assert (abs(found[..., :3].astype(int) - levels[:3]) <= 1).all()


# --- JPEG without loss, and damaged ones ----------------------------------------------------------


def _lossless_jpeg(samples: Any) -> bytes:
    """Encode by T.81, annex H: each sample is told by its neighbour to the left."""
    rows, columns, bands = samples.shape
    above = np.vstack([np.full((1, 1, bands), 128), samples[:-1, :1].astype(int)])
    differences = np.diff(np.concatenate([above, samples.astype(int)], axis=1), axis=1)
    words = []
    for value in differences.ravel().tolist():
        kind = abs(value).bit_length()
        words.append(f"{kind:05b}")
        if kind:
            words.append(f"{value if value > 0 else value + (1 << kind) - 1:0{kind}b}")
    bits = "".join(words)
    bits += "1" * (-len(bits) % 8)
    body = int(bits, 2).to_bytes(len(bits) // 8, "big").replace(b"\xff", b"\xff\0")
    numbers = range(1, bands + 1)
    frame = struct.pack(">BHHB", 8, rows, columns, bands)
    frame += b"".join(bytes([number, 0x11, 0]) for number in numbers)
    table = bytes([0, 0, 0, 0, 0, 17, *[0] * 11, *range(17)])
    scan = bytes([bands, *(byte for number in numbers for byte in (number, 0)), 1, 0, 0])
    return (
        b"\xff\xd8"
        + b"".join(
            b"\xff" + bytes([marker]) + struct.pack(">H", len(part) + 2) + part
            for marker, part in ((0xC3, frame), (0xC4, table), (0xDA, scan))
        )
        + body
        + b"\xff\xd9"
    )


@pytest.mark.parametrize("bands", [1, 3])
def test_a_jpeg_without_loss_is_shown_whole(bands: int) -> None:
    picture = photo(800, 535, seed=4)[..., :bands]
    colours, _ = others.levels_apart(
        large(_lossless_jpeg(picture)), Image.fromarray(np.broadcast_to(picture, (535, 800, 3)))
    )
    assert colours < others.LEVELS


@pytest.mark.parametrize("marker", [b"\xff\xd9", b"\xff\xc4", b"\xff\xff"])
@pytest.mark.parametrize("options", [{}, {"restart_marker_blocks": 8}])
@pytest.mark.parametrize("flavors", [(Flavor.LARGE,), (Flavor.X_LARGE,)])
@pytest.mark.parametrize("seed", range(3))
def test_a_jpeg_that_is_grey_from_its_middle_on_is_damaged(
    marker: bytes, options: dict[str, Any], flavors: tuple[Flavor, ...], seed: int
) -> None:
    data = bytearray(pictures.encode(pictures.image(1200, 900, seed), "JPEG", **options))
    assert make(bytes(data), flavors).pictures
    share = (0.12, 0.37, 0.6)[seed]
    at = int(len(data) * share)
    data[at : at + 2] = marker
    data[at + 2 : at + 200] = bytes(198)
    with contextlib.suppress(faults.InvalidPicture, faults.TruncatedPicture):
        shown = pixels_of(make(bytes(data), flavors).pictures[flavors[0]])
        assert (shown == shown[-1, -1]).all(axis=(1, 2)).mean() < 0.25
        assert marker == b"\xff\xff" or options


def test_junk_behind_a_picture_with_a_white_floor_costs_nothing() -> None:
    white = pictures.image(1200, 900, 3)
    white.paste("white", (0, 400, 1200, 900))
    data = pictures.encode(white, "JPEG")
    assert make(data[:-2] + b"junk" * 9 + data[-2:]).pictures


def test_what_libjpeg_gives_up_on_shows_no_foreign_memory() -> None:
    data = bytearray(pictures.encode(pictures.image(1200, 900, 3), "JPEG", progressive=True))
    at = len(data) // 8
    data[at : at + 2] = b"\xff\xc4"
    found: set[bytes | str] = set()
    for _ in range(3):
        try:
            found.add(large(bytes(data)).tobytes())
        except faults.Fault as fault:
            found.add(str(fault))
    assert len(found) == 1


# --- PNG ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_behind_the_pixels_turns_a_png(orientation: int) -> None:
    upright = pictures.image(600, 400, 5)
    before = pictures.oriented(upright, orientation, "PNG")
    behind = pictures.exif_behind(before)
    assert behind.index(b"eXIf") > behind.rindex(b"IDAT")
    for data in (before, behind):
        colours, _ = others.levels_apart(large(data), upright)
        assert colours < others.LEVELS


@needs(Capability.IMAGEMAGICK)
def test_a_png_by_imagemagick_is_upright(tmp_path: Path) -> None:
    upright = pictures.image(600, 400, 5)
    stored = pictures.put(tmp_path / "a.jpg", pictures.oriented(upright, 6))
    others.run("convert", stored, tmp_path / "a.png")
    data = (tmp_path / "a.png").read_bytes()
    assert data.index(b"eXIf") > data.index(b"IDAT")
    # ImageMagick 6 turns no PNG itself.
    colours, _ = others.levels_apart(large(data), upright)
    assert colours < others.LEVELS


# --- AVIF -----------------------------------------------------------------------------------------


def test_an_avif_is_not_turned_by_its_xmp() -> None:
    picture = pictures.image(300, 200, 5)
    plain = pictures.encode(picture, "AVIF", quality=80)
    xmp = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><a tiff:Orientation="3"/></x:xmpmeta>'
    turned = pictures.encode(picture, "AVIF", quality=80, xmp=xmp)
    assert np.array_equal(large(turned), large(plain))


@pytest.mark.parametrize("mode", ["L", "LA"])
def test_an_avif_of_grey_is_shown_by_its_profile(mode: str) -> None:
    grey = pictures.image(600, 400, 5).convert("L").point(lambda level: 60 + level // 2)
    picture = grey
    if mode == "LA":
        picture = Image.merge("LA", (grey, Image.new("L", grey.size, 200)))
    data = pictures.encode(picture, "AVIF", quality=95, icc_profile=profiles.grey())
    transform = ImageCms.buildTransform(
        ImageCms.ImageCmsProfile(io.BytesIO(profiles.grey())), ImageCms.createProfile("sRGB"),
        "L", "RGB", renderingIntent=ImageCms.Intent.RELATIVE_COLORIMETRIC,
    )  # fmt: skip
    wanted = ImageCms.applyTransform(grey, transform)
    assert wanted is not None
    if mode == "LA":
        wanted.putalpha(200)
    colours, alpha = others.levels_apart(large(data), wanted)
    assert colours < others.LEVELS
    assert alpha < others.LEVELS
