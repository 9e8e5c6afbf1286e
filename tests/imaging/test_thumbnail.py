"""`imaging.thumbnail.make` on pictures made here: shape, colour, orientation, refusals."""

from __future__ import annotations

import io
import os
import sys
import zlib
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageCms

from pregen.config import Decoder
from pregen.imaging import compiled, faults, thumbnail
from pregen.imaging.pixels import stream
from pregen.imaging.pixels.sizes import fit
from pregen.imaging.runtime import pyvips
from pregen.model import Flavor, Kind
from tests.support.faults import missing_extras
from tests.support.files import broken, deep_samples, pictures, profiles
from tests.support.files.photo import photo, psnr_db

if TYPE_CHECKING:
    from pathlib import Path

BOTH = (Flavor.NORMAL, Flavor.LARGE)
EVERY = pictures.every_format()


def make(
    path: Path, data: bytes, flavors: tuple[Flavor, ...] = BOTH, **options: Any
) -> thumbnail.Thumbnails:
    """Write `data` to a file and thumbnail it as a worker would."""
    path.write_bytes(data)
    settings: dict[str, Any] = {"max_pixels": 500_000_000, "ask": lambda _: None} | options
    fd = os.open(path, os.O_RDONLY)
    try:
        return thumbnail.make(fd, len(data), flavors, **settings)
    finally:
        os.close(fd)


def pixels_of(picture: thumbnail.Picture) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """Unfilter the IDAT data with nothing but zlib and the PNG standard (filter Sub)."""
    stride = 1 + picture.width_px * 4
    rows = np.frombuffer(zlib.decompress(picture.idat), np.uint8).reshape(-1, stride)
    assert rows.shape[0] == picture.height_px
    assert set(rows[:, 0]) == {1}
    samples = rows[:, 1:].reshape(picture.height_px, picture.width_px, 4)
    return np.cumsum(samples, axis=1, dtype=np.uint8)


def reference(upright: Image.Image, box_px: int) -> Image.Image:
    """Reduce with the other library's Lanczos."""
    size = fit(upright.width, upright.height, box_px)
    return upright.resize(size, Image.Resampling.LANCZOS)


@pytest.mark.parametrize("name", EVERY)
def test_every_format_comes_out_at_the_exact_size_of_each_flavor(name: str, tmp_path: Path) -> None:
    made = make(tmp_path / name, EVERY[name], tuple(Flavor))
    original = max(made.width_px, made.height_px)
    assert not made.small
    for flavor, picture in made.pictures.items():
        assert max(picture.width_px, picture.height_px) == min(flavor.box_px, original)
        assert pixels_of(picture).shape == (picture.height_px, picture.width_px, 4)


@pytest.mark.parametrize(
    "name",
    ["a.jpg", "progressive.jpg", "a.png", "a.webp", "lossless.webp", "a.tif", "lzw.tif", "a.bmp",
     "a.tga", "a.pcx", "a.ppm", "a.jp2", "a.avif", "two.mpo", "animated.webp", "pages.tif",
     "sixteen.png", "interlaced.png", "merged.psd"],
)  # fmt: skip
def test_a_colour_picture_looks_like_its_first_frame(name: str, tmp_path: Path) -> None:
    with (
        Image.open(io.BytesIO(EVERY[name])) if name != "sixteen.png" else pictures.image() as first
    ):
        upright = first.convert("RGB")
    made = make(tmp_path / name, EVERY[name])
    for flavor, picture in made.pictures.items():
        found = pixels_of(picture)
        assert (found[..., 3] == 255).all()
        assert psnr_db(found[..., :3], reference(upright, flavor.box_px)) > 34


@pytest.mark.parametrize("file_format", ["JPEG", "WEBP", "TIFF", "PNG"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_every_orientation_is_applied_once(
    orientation: int, file_format: str, tmp_path: Path
) -> None:
    upright = pictures.image(620, 410, seed=2)
    data = pictures.oriented(upright, orientation, file_format)
    made = make(tmp_path / "x", data)
    assert (made.width_px, made.height_px) == (620, 410)
    found = pixels_of(made.pictures[Flavor.LARGE])
    assert psnr_db(found[..., :3], reference(upright, 256)) > 30


def test_a_display_p3_picture_comes_out_in_srgb(tmp_path: Path) -> None:
    profile = profiles.display_p3()
    upright = pictures.image(640, 480, seed=3)
    data = pictures.encode(upright, "PNG", icc_profile=profile)
    transform = ImageCms.buildTransform(
        ImageCms.ImageCmsProfile(io.BytesIO(profile)), ImageCms.createProfile("sRGB"), "RGB", "RGB",
        renderingIntent=ImageCms.Intent.RELATIVE_COLORIMETRIC,
    )  # fmt: skip
    wanted = ImageCms.applyTransform(reference(upright, 256), transform)
    assert isinstance(wanted, Image.Image)
    found = pixels_of(make(tmp_path / "p3.png", data).pictures[Flavor.LARGE])[..., :3]
    # The two libraries' Lanczos differ by a level or two before any colour is touched.
    assert psnr_db(found, wanted) > 40


def test_flat_display_p3_colours_are_within_two_levels_of_the_reference(tmp_path: Path) -> None:
    profile = profiles.display_p3()
    for colour_in, colour_out in {
        (200, 100, 50): (215, 93, 31),
        (128, 128, 128): (128, 128, 128),
    }.items():
        flat = Image.new("RGB", (400, 300), colour_in)
        for kind in ("PNG", "WEBP", "TIFF"):
            data = pictures.encode(
                flat, kind, icc_profile=profile, **({"lossless": True} if kind == "WEBP" else {})
            )
            found = pixels_of(make(tmp_path / kind, data).pictures[Flavor.LARGE])[..., :3]
            assert np.abs(found.astype(int) - np.array(colour_out)).max() <= 2
        data = pictures.encode(flat, "JPEG", icc_profile=profile, quality=98)
        found = pixels_of(make(tmp_path / "jpeg", data).pictures[Flavor.LARGE])[..., :3]
        assert np.abs(found.astype(int) - np.array(colour_out)).max() <= 3


def test_a_damaged_profile_does_not_cost_the_picture(tmp_path: Path) -> None:
    upright = pictures.image(400, 300)
    data = pictures.encode(upright, "PNG", icc_profile=b"garbage" * 40)
    found = pixels_of(make(tmp_path / "x.png", data).pictures[Flavor.LARGE])
    assert psnr_db(found[..., :3], reference(upright, 256)) > 34


@pytest.mark.parametrize("name", ["cmyk.jpg", "cmyk.tif"])
def test_cmyk_is_not_inverted(name: str, tmp_path: Path) -> None:
    found = pixels_of(make(tmp_path / name, EVERY[name]).pictures[Flavor.LARGE])[..., :3]
    upright = pictures.image(640, 480) if name == "cmyk.jpg" else pictures.image(640, 427, seed=11)
    wanted = np.asarray(reference(upright, 256), float)
    # Ink simulation changes colours, but bright stays bright and dark stays dark.
    correlation = np.corrcoef(found.mean(axis=2).ravel(), wanted.mean(axis=2).ravel())[0, 1]
    assert correlation > 0.9


@pytest.mark.parametrize("name", ["alpha.png", "alpha.webp", "alpha.avif", "grey-alpha.png"])
def test_alpha_is_kept(name: str, tmp_path: Path) -> None:
    found = pixels_of(make(tmp_path / name, EVERY[name]).pictures[Flavor.LARGE])
    columns = found[..., 3].mean(axis=0)
    assert columns[0] < 10 or columns[-1] < 10
    assert columns.max() > 245
    assert np.abs(np.diff(columns)).max() < 12


def test_transparent_pixels_do_not_bleed_into_opaque_ones(tmp_path: Path) -> None:
    stripes = np.zeros((512, 512, 4), np.uint8)
    stripes[:, ::2] = (255, 0, 0, 255)
    stripes[:, 1::2] = (0, 255, 0, 0)
    found = pixels_of(
        make(tmp_path / "x.png", pictures.encode(Image.fromarray(stripes), "PNG")).pictures[
            Flavor.NORMAL
        ]
    )
    middle = found[20:-20, 20:-20].astype(int)
    assert np.abs(middle[..., :3] - (255, 0, 0)).max() <= 2
    assert np.abs(middle[..., 3] - 128).max() <= 4


@pytest.mark.parametrize("kind", ["rgb", "rgba", "grey-alpha", "rgb-16", "rgba-16"])
def test_blocks_that_reach_beyond_the_picture_do_not_shift_it(kind: str, tmp_path: Path) -> None:
    """1561 columns are 520 blocks of 3 and a third of one, which is no column of its own."""
    grey = kind.startswith("grey")
    columns = np.where(np.arange(1561) // 41 % 2, 30, 220).astype(np.uint8)
    samples = np.tile(columns[None, :, None], (438, 1, 1 if grey else 3))
    deep = kind.endswith("16")
    if grey or "rgba" in kind:
        samples = np.dstack([samples, np.full((438, 1561), 200, np.uint8)])
    stored = samples.astype(np.uint16) * 257 if deep else samples
    if deep:
        data = deep_samples.tiff(stored, b"", 2, alpha=samples.shape[2] == 4)
    else:
        data = pictures.encode(Image.fromarray(stored), "PNG")
    found = pixels_of(make(tmp_path / "a", data).pictures[Flavor.LARGE])
    wanted = reference(Image.fromarray(samples[..., :1].repeat(3, axis=2)), 256)
    assert np.abs(found[..., :3].astype(int) - np.asarray(wanted)).mean() < 2


def test_a_picture_of_128_pixels_is_small_and_of_129_is_not(tmp_path: Path) -> None:
    assert make(tmp_path / "a.png", pictures.encode(pictures.image(128, 128), "PNG")).small
    larger = make(tmp_path / "b.png", pictures.encode(pictures.image(129, 40), "PNG"))
    assert not larger.small
    normal, large = (larger.pictures[flavor] for flavor in BOTH)
    assert (normal.width_px, normal.height_px) == (128, 40)
    assert (large.width_px, large.height_px) == (129, 40)


def test_pages_of_a_tiff_are_counted_and_frames_of_an_animation_are_not(tmp_path: Path) -> None:
    assert make(tmp_path / "a.tif", EVERY["pages.tif"]).pages == 3
    assert make(tmp_path / "a.gif", EVERY["animated.gif"]).pages == 0


@pytest.mark.parametrize("name", ["a.jpg", "progressive.jpg", "grey.jpg"])
def test_both_decoders_give_the_same_picture(name: str, tmp_path: Path) -> None:
    turbo, vips = (
        make(tmp_path / name, EVERY[name], decoder=decoder)
        for decoder in (Decoder.TURBO, Decoder.VIPS)
    )
    assert (turbo.loader, vips.loader) == ("turbo", "vips")
    for flavor in BOTH:
        assert psnr_db(pixels_of(turbo.pictures[flavor]), pixels_of(vips.pictures[flavor])) > 45


@pytest.mark.parametrize("decoder", list(Decoder))
def test_only_the_needed_part_of_a_progressive_jpeg_is_read(
    decoder: Decoder, tmp_path: Path
) -> None:
    tiles = Image.fromarray(np.tile(photo(600, 450), (10, 10, 1)))
    data = pictures.encode(tiles, "JPEG", progressive=True, quality=88)
    made = make(tmp_path / "a.jpg", data, decoder=decoder)
    assert len(data) > 3_000_000
    assert made.bytes_read < len(data)


def test_a_jpeg_comes_from_our_decoder_or_turbo_and_a_cmyk_one_from_vips(tmp_path: Path) -> None:
    ours = "blocks" if compiled.IS_HERE else "turbo"
    assert make(tmp_path / "a.jpg", EVERY["a.jpg"]).loader == ours
    small = pictures.jpeg(400, 300)
    assert make(tmp_path / "c.jpg", small).loader == "turbo"
    assert make(tmp_path / "b.jpg", EVERY["cmyk.jpg"]).loader == "vips"


@pytest.mark.parametrize("progressive", [False, True])
def test_a_jpeg_with_most_of_its_rows_gives_its_picture(progressive: bool, tmp_path: Path) -> None:  # noqa: FBT001 - a parameter
    upright = pictures.image(1600, 1200, seed=7)
    data = pictures.encode(upright, "JPEG", quality=90, progressive=progressive)
    made = make(tmp_path / "a.jpg", broken.truncated(data, 0.93))
    found = pixels_of(made.pictures[Flavor.LARGE])[..., :3]
    wanted = np.asarray(reference(upright, 256))
    rows = int(found.shape[0] * 0.75)
    assert psnr_db(found[:rows], wanted[:rows]) > 26


@pytest.mark.parametrize(
    "name",
    [
        "a.jpg",
        "a.png",
        "a.webp",
        "lzw.tif",
        "a.bmp",
        "a.gif",
        "interlaced.png",
        "a.avif",
        "a.jp2",
        "a.ppm",
        "a.tga",
    ],
)
def test_a_tenth_of_a_file_is_truncated_and_no_half_grey_picture(name: str, tmp_path: Path) -> None:
    with pytest.raises(faults.Fault) as caught:
        make(tmp_path / name, broken.truncated(EVERY[name], 0.1))
    assert caught.value.kind in {Kind.TRUNCATED, Kind.INVALID}
    assert str(caught.value)


@pytest.mark.parametrize("name", ["a.jpg", "a.png", "a.bmp"])
def test_half_of_a_file_is_called_truncated(name: str, tmp_path: Path) -> None:
    with pytest.raises(faults.TruncatedPicture):
        make(tmp_path / name, broken.truncated(EVERY[name], 0.5))


@pytest.mark.parametrize(
    "bomb",
    [
        broken.png_header_bomb,
        broken.jpeg_header_bomb,
        broken.bmp_header_bomb,
        broken.png_zip_bomb,
    ],
)
def test_bombs_are_told_by_their_header(bomb: Any, tmp_path: Path) -> None:
    with pytest.raises(faults.TooLarge, match="--max-pixels"):
        make(tmp_path / "bomb", bomb())


def test_the_pixel_limit_is_a_limit_and_not_a_rough_one(tmp_path: Path) -> None:
    data = pictures.jpeg(200, 150)
    assert make(tmp_path / "a.jpg", data, max_pixels=200 * 150).pictures
    with pytest.raises(faults.TooLarge):
        make(tmp_path / "a.jpg", data, max_pixels=200 * 150 - 1)


def test_a_huge_interlaced_picture_asks_before_it_takes_memory(tmp_path: Path) -> None:
    asked: list[int] = []
    data = bytes(pyvips.Image.black(6000, 4000, bands=3).pngsave_buffer(interlace=True))
    make(tmp_path / "x.png", data, ask=asked.append)
    assert asked == [6000 * 4000 * 3]


@pytest.mark.parametrize(("name", "data"), broken.magic_only().items())
def test_formats_of_extras_are_named(
    name: str, data: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in missing_extras.MODULES.values():
        monkeypatch.setitem(sys.modules, module, None)
    for decoder in ("heic", "raw", "libraw", "video", "pdf", "jxl"):
        monkeypatch.delitem(sys.modules, f"pregen.imaging.decoders.{decoder}", raising=False)
    with pytest.raises(faults.NeedsExtra) as caught:
        make(tmp_path / name, data)
    extra = {"heic": "heic", "mp4": "video", "jxl": "jxl", "pdf": "pdf"}.get(
        name.rpartition(".")[2], "raw"
    )
    assert caught.value.extra == extra
    assert caught.value.mime


@given(st.binary(max_size=600))
def test_arbitrary_bytes_end_in_a_fault_and_nothing_else(data: bytes) -> None:
    fd = os.memfd_create("source")
    try:
        os.write(fd, data)
        thumbnail.make(fd, len(data), BOTH, 10_000_000, lambda _: None)
    except (faults.Fault, MemoryError):
        pass  # the answers that junk deserves: a header may ask for all memory there is
    finally:
        os.close(fd)


@given(
    prefix=st.sampled_from([EVERY[name][:400] for name in EVERY]),
    noise=st.binary(min_size=0, max_size=300),
    at=st.integers(0, 400),
)
def test_damaged_headers_end_in_a_fault_or_a_picture(prefix: bytes, noise: bytes, at: int) -> None:
    data = prefix[:at] + noise + prefix[at + len(noise) :]
    fd = os.memfd_create("source")
    try:
        os.write(fd, data)
        thumbnail.make(fd, len(data), BOTH, 10_000_000, lambda _: None)
    except (faults.Fault, MemoryError):
        pass
    finally:
        os.close(fd)


@given(st.integers(1, 100_000), st.integers(1, 100_000), st.sampled_from(list(Flavor)))
def test_fit_keeps_the_aspect_and_never_enlarges(
    width_px: int, height_px: int, flavor: Flavor
) -> None:
    size = fit(width_px, height_px, flavor.box_px)
    assert max(size) == min(flavor.box_px, max(width_px, height_px))
    assert 1 <= min(size) <= min(width_px, height_px)
    scale = max(size) / max(width_px, height_px)
    assert abs(min(size) - max(1, min(width_px, height_px) * scale)) <= 0.5


def test_png_compression_holds_the_pixels() -> None:
    rgba = np.dstack([photo(97, 61), np.full((61, 97), 200, np.uint8)])
    picture = thumbnail.Picture(97, 61, stream.compress(rgba))
    assert (pixels_of(picture) == rgba).all()


@pytest.mark.parametrize("share", [0.3, 0.5, 0.7])
@pytest.mark.parametrize("tail", [0, 4096])
def test_a_jpeg_whose_data_was_never_written_is_truncated(
    share: float, tail: int, tmp_path: Path
) -> None:
    tiles = Image.fromarray(np.tile(photo(400, 300), (6, 6, 1)))
    data = pictures.encode(tiles, "JPEG", quality=92)
    begin = int(len(data) * share) // 512 * 512
    end = (len(data) - tail) // 512 * 512 if tail else len(data)
    lost = data[:begin] + bytes(end - begin) + data[end:]
    assert len(lost) == len(data)
    with pytest.raises(faults.TruncatedPicture):
        make(tmp_path / "a.jpg", lost)


def test_a_sound_jpeg_full_of_zeros_is_a_picture(tmp_path: Path) -> None:
    white = Image.new("RGB", (6000, 6000), "white")
    data = pictures.encode(white, "JPEG", quality=95, optimize=True)
    assert make(tmp_path / "a.jpg", data).pictures
