"""What an entry looks like: upright, in sRGB, with the colours and the alpha of its source."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image, ImageCms

from tests.support.files import foreign_entries, pictures
from tests.support.files.photo import over_grey, psnr_db
from tests.support.files.profiles import display_p3
from tests.support.judges import desktops
from tests.support.running.capabilities import Capability, needs
from tests.support.running.program import run_pregen

if TYPE_CHECKING:
    from pathlib import Path

    from tests.conformance.conftest import Library

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("desktops")]


@needs(Capability.CORPUS)
@pytest.mark.parametrize("flavor", desktops.FLAVORS)
@pytest.mark.parametrize("kind", ["Landscape", "Portrait"])
def test_the_real_orientation_pictures_all_look_like_the_first(
    library: Library, kind: str, flavor: str
) -> None:
    def thumbnail(number: int) -> foreign_entries.Entry:
        source = library.folder / "orientation" / f"{kind}_{number}.jpg"
        return foreign_entries.read(library.cache, flavor, source)

    upright = thumbnail(1)
    width_px, height_px = upright.original_size
    assert (width_px > height_px) == (kind == "Landscape")
    for number in range(2, 9):
        turned = thumbnail(number)
        assert psnr_db(upright.image, turned.image) > 25, number
        assert turned.original_size == upright.original_size


@pytest.mark.parametrize("file_format", ["JPEG", "PNG", "WEBP", "TIFF", "AVIF"])
def test_all_eight_orientations_come_out_upright_in_every_format_that_has_them(
    tmp_path: Path, file_format: str
) -> None:
    upright = pictures.image(600, 400, seed=21)
    sources = [
        pictures.put(
            tmp_path / "photos" / f"{n}.{file_format.lower()}",
            pictures.oriented(upright, n, file_format),
        )
        for n in range(1, 9)
    ]
    run = run_pregen("run", "--json", tmp_path / "photos", cache=tmp_path / "cache")
    assert run.summary["kinds"] == {"made": 8}, run
    for source in sources:
        for flavor in ("normal", "large"):
            entry = foreign_entries.read(tmp_path / "cache", flavor, source)
            reference = upright.resize(entry.image.size, Image.Resampling.LANCZOS)
            assert psnr_db(reference, over_grey(entry.image)) > 25, source.name
            assert entry.original_size == (600, 400)


def test_alpha_is_kept_and_opaque_pictures_are_opaque(library: Library) -> None:
    fading = {"alpha.png", "alpha.webp", "alpha.avif", "grey-alpha.png", "palette-alpha.png"}
    for source in sorted((library.folder / "made").iterdir()):
        alpha = foreign_entries.read(library.cache, "large", source).image.getchannel("A")
        lowest, highest = np.asarray(alpha).min(), np.asarray(alpha).max()
        assert highest >= 250, source.name
        assert (lowest < 10) == (source.name in fading), source.name


def test_every_entry_looks_like_its_picture(library: Library) -> None:
    for source in sorted((library.folder / "made").iterdir()):
        if source.suffix == ".svg":
            continue  # Pillow draws none, so there is no second opinion
        entry = foreign_entries.read(library.cache, "large", source).image
        with Image.open(source) as opened:
            full = opened.convert("RGBA")
        reference = full.resize(entry.size, Image.Resampling.LANCZOS)
        # Without a profile each library has its own idea of what CMYK looks like.
        least_db = 14 if "cmyk" in source.name else 30
        assert psnr_db(over_grey(reference), over_grey(entry)) > least_db, source.name


PATCHES = ((200, 100, 50), (30, 200, 90), (20, 40, 220), (128, 128, 128), (250, 240, 20), (5, 5, 5))


@pytest.mark.parametrize(
    ("file_format", "options"),
    [
        ("JPEG", {"quality": 100, "subsampling": 0}),
        ("PNG", {}),
        ("TIFF", {}),
        ("WEBP", {"lossless": True}),
        ("AVIF", {"quality": 100, "subsampling": "4:4:4", "speed": 8}),
    ],
)
def test_a_display_p3_picture_comes_out_in_srgb(
    tmp_path: Path, file_format: str, options: dict[str, object]
) -> None:
    picture = Image.new("RGB", (200 * len(PATCHES), 400))
    for column, colour in enumerate(PATCHES):
        picture.paste(colour, (200 * column, 0, 200 * column + 200, 400))
    profile = display_p3()
    data = pictures.encode(picture, file_format, icc_profile=profile, **options)
    source = pictures.put(tmp_path / f"p3.{file_format.lower()}", data)
    run = run_pregen("run", "--json", source, cache=tmp_path / "cache")
    assert run.summary["kinds"] == {"made": 1}, run

    with Image.open(source) as stored:
        reference = ImageCms.profileToProfile(
            stored.convert("RGB"),
            ImageCms.ImageCmsProfile(io.BytesIO(profile)),
            ImageCms.createProfile("sRGB"),
            outputMode="RGB",
        )
    assert reference is not None
    for flavor in ("normal", "large"):
        thumbnail = foreign_entries.read(tmp_path / "cache", flavor, source).image
        patch_px = thumbnail.width / len(PATCHES)
        for column in range(len(PATCHES)):
            at = (int((column + 0.5) * patch_px), thumbnail.height // 2)
            got, expected = thumbnail.getpixel(at), reference.getpixel((200 * column + 100, 200))
            assert isinstance(got, tuple)
            assert isinstance(expected, tuple)
            assert max(abs(a - b) for a, b in zip(got, expected, strict=False)) <= 2, (
                got,
                expected,
            )
