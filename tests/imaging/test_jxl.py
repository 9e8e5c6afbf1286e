"""JPEG XL: upright by its codestream, colours by its profile; refusals by their name."""

from __future__ import annotations

import contextlib
import subprocess
from typing import TYPE_CHECKING, Any

import numpy as np
import pylibjxl
import pytest
from PIL import Image

from pregen.imaging import faults
from pregen.imaging.containers import jxl
from pregen.imaging.runtime import pyvips
from pregen.imaging.source_bytes import DamagedError, SourceBytes
from pregen.model import Flavor
from tests.support.files import broken, pictures, profiles
from tests.support.files.heifs import BLUE, GREEN, RED, WHITE, corners
from tests.support.files.photo import photo, psnr_db
from tests.support.files.pictures import image
from tests.support.judges import foreign_decoders, likeness, others
from tests.support.judges.decoding import large, make, pixels_of
from tests.support.running.capabilities import Capability, needs

if TYPE_CHECKING:
    from pathlib import Path


def _db(shown: Image.Image, wanted: Image.Image) -> float:
    return psnr_db(np.asarray(shown), np.asarray(wanted))


def _jxl(picture: Image.Image, **options: Any) -> bytes:
    return bytes(pylibjxl.encode(np.asarray(picture), **options))


def test_a_picture_comes_out_as_it_is() -> None:
    original = image(1200, 800, seed=2)
    made = make(_jxl(original))
    assert (made.mime, made.loader) == ("image/jxl", "libjxl")
    assert (made.width_px, made.height_px) == (1200, 800)
    shown = Image.fromarray(pixels_of(made.pictures[Flavor.LARGE])).convert("RGB")
    assert _db(shown, original.resize(shown.size, Image.Resampling.LANCZOS)) > 35


@needs(Capability.JXL_TOOLS)
@pytest.mark.parametrize("lossless", [True, False])
@pytest.mark.parametrize("profile", [b"", profiles.display_p3()], ids=["", "profile"])
def test_an_animation_shows_its_first_frame(
    tmp_path: Path, profile: bytes, *, lossless: bool
) -> None:
    first, second = (photo(400, 300, seed) for seed in (3, 8))
    shown = [Image.fromarray(each) for each in (first, second, second)]
    options: dict[str, Any] = {"icc_profile": profile} if profile else {}
    shown[0].save(
        tmp_path / "a.png", save_all=True, append_images=shown[1:], duration=200, **options
    )
    command = ["cjxl", "-d", "0" if lossless else "1", tmp_path / "a.png", tmp_path / "a.jxl"]
    subprocess.run(command, check=True, capture_output=True)
    alone = pictures.encode(shown[0], "PNG", **options)
    found, wanted = large((tmp_path / "a.jxl").read_bytes()), large(alone)
    assert psnr_db(found[..., :3], wanted[..., :3]) > 35


def test_a_transcoded_jpeg_is_turned_once() -> None:
    jpeg = pictures.encode(corners(1200, 800), "JPEG", exif=pictures.exif(6), quality=95)
    pixels = large(bytes(pylibjxl.jpeg_to_jxl(jpeg)))
    assert pixels.shape == (256, 171, 4)
    for (row, column), colour in {
        (64, 43): BLUE, (64, 128): RED, (192, 43): WHITE, (192, 128): GREEN,
    }.items():  # fmt: skip
        assert np.abs(pixels[row, column, :3].astype(int) - colour).max() <= 8


def test_profile_alpha_and_grey_are_respected() -> None:
    p3 = bytes(pyvips.Image.profile_load("p3"))
    pixels = large(_jxl(Image.new("RGB", (600, 400), (200, 100, 50)), icc=p3, lossless=True))
    assert np.abs(pixels[80, 120, :3].astype(int) - (215, 93, 31)).max() <= 2
    rgba = pictures.rgba(600, 400)
    shown = Image.fromarray(large(_jxl(rgba, lossless=True)))
    reduced = rgba.resize(shown.size, Image.Resampling.LANCZOS).getchannel("A")
    assert _db(shown.getchannel("A"), reduced) > 30
    grey = large(_jxl(Image.new("L", (600, 400), 90), lossless=True))
    assert tuple(grey[50, 50]) == (90, 90, 90, 255)


@pytest.mark.parametrize("share", [0.1, 0.6, 0.95])
def test_one_that_ends_early_is_truncated_where_it_says_how_long_it_is(share: float) -> None:
    picture = image(600, 400, seed=2)
    boxed = _jxl(picture, exif=b"MM\0*\0\0\0\x08\0\0\0\0\0\0")
    with pytest.raises(faults.TruncatedPicture, match="ends before"):
        make(broken.truncated(boxed, share))
    with pytest.raises(faults.InvalidPicture, match="libjxl cannot read it"):
        make(broken.truncated(_jxl(picture), share))


_P3_BY_NUMBER = "RGB_D65_DCI_Rel_SRG"


def _rgba(width_px: int = 640, height_px: int = 480) -> Image.Image:
    vivid = photo(width_px, height_px, seed=6)
    rgb = (vivid / 2 + vivid.mean(-1, keepdims=True) / 2).astype(np.uint8)
    picture = Image.fromarray(rgb)
    ramp = np.broadcast_to(np.linspace(60, 255, width_px).astype(np.uint8), (height_px, width_px))
    picture.putalpha(Image.fromarray(np.ascontiguousarray(ramp)))
    return picture


def _by_cjxl(folder: Path, picture: Image.Image, profile: bytes, *options: str) -> Path:
    stored = folder / "a.png"
    picture.save(stored, icc_profile=profile or None)
    others.run("cjxl", stored, folder / "a.jxl", "-e", "3", *options)
    return folder / "a.jxl"


@needs(Capability.JXL_TOOLS)
@pytest.mark.parametrize("lossy", [False, True], ids=["lossless", "lossy"])
@pytest.mark.parametrize("mode", ["L", "LA", "RGB", "RGBA"])
@pytest.mark.parametrize("profile", ["none", "told by coordinates", "gamma", "linear"])
def test_colours_are_those_of_the_profile(
    tmp_path: Path,
    mode: str,
    profile: str,
    lossy: bool,  # noqa: FBT001 - a parameter
) -> None:
    grey = mode[0] == "L"
    icc = {
        "none": b"",
        "told by coordinates": profiles.grey() if grey else profiles.display_p3(),
        "gamma": profiles.grey() if grey else profiles.display_p3(gamma=1.8),
        "linear": b"" if grey else profiles.display_p3(linear=True),
    }[profile]
    picture = _rgba().convert(mode)
    path = _by_cjxl(tmp_path, picture, icc, "-d", "1" if lossy else "0")
    colours, alpha = others.levels_apart(large(path.read_bytes()), others.djxl(path))
    assert colours < others.LEVELS
    assert alpha < others.LEVELS


@needs(Capability.JXL_TOOLS)
@pytest.mark.parametrize(
    ("mode", "told"),
    [
        ("RGB", _P3_BY_NUMBER), ("RGBA", _P3_BY_NUMBER), ("RGB", "RGB_D65_SRG_Rel_Lin"),
        ("RGB", "RGB_D65_SRG_Rel_709"), ("RGB", "RGB_D65_202_Rel_g0.5"),
        ("RGB", "RGB_DCI_DCI_Rel_DCI"),
        ("RGB", "RGB_EER_SRG_Rel_SRG"), ("L", "Gra_D65_Rel_Lin"), ("LA", "Gra_D65_Rel_g0.7"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("distance", ["0", "1"])
def test_colours_told_by_numbers_are_those(
    tmp_path: Path, mode: str, told: str, distance: str
) -> None:
    path = _by_cjxl(
        tmp_path, _rgba().convert(mode), b"", "-d", distance, "-x", f"color_space={told}"
    )
    colours, alpha = others.levels_apart(large(path.read_bytes()), others.djxl(path))
    assert colours < others.LEVELS
    assert alpha < others.LEVELS


def _said_to_be_multiplied(data: bytes) -> bytes:
    """Say so in the header, which no writer here has an option for.

    In place of the bit that says "an alpha as usual": kind 0, whole numbers, of 7 + 1 bits, not
    smaller, no name, multiplied in. That is 16 bits more, so that all behind
    it stays on its bytes.
    """
    wanted = jxl.read(SourceBytes.of(data))._replace(premultiplied=True)
    start = data.index(b"\xff\x0a", 12 if data[:2] == bytes(2) else 0)
    bits = "".join(f"{byte:08b}"[::-1] for byte in data[start:])
    alpha = "00001111100000001"
    for at in range(32, 120):
        changed = bits[:at] + alpha + bits[at + 1 :]
        out = bytes(int(changed[i : i + 8][::-1], 2) for i in range(0, len(changed), 8))
        with contextlib.suppress(DamagedError):
            if jxl.read(SourceBytes.of(out)) == wanted:
                return out
    raise AssertionError("there is no such bit")


def test_an_alpha_that_is_multiplied_in_is_taken_out(tmp_path: Path) -> None:
    rgba = np.asarray(_rgba())
    multiplied = rgba.copy()
    multiplied[..., :3] = rgba[..., :3] * (rgba[..., 3:] / 255) + 0.5
    path = tmp_path / "a.jxl"
    path.write_bytes(_said_to_be_multiplied(_jxl(Image.fromarray(multiplied), lossless=True)))
    found = large(path.read_bytes())
    # djxl is no judge of this: it writes what is multiplied into a PNG, where it must not be.
    colours, alpha = others.levels_apart(found, _rgba())
    assert colours < others.LEVELS
    assert alpha < others.LEVELS


# Frames that are smaller than their picture. cjxl writes none: these are two of its lossless
# pictures (400 x 290 of one colour, 450 x 310 of another) with other sizes and frame headers
# (ISO/IEC 18181-1, table F.1): a crop at 20, 7, alone and below a second layer.
_CROPPED = bytes.fromhex(
    "ff0aa809828380e242082228380489440001007c010000000a70800440002b59918282c23d4b00e7caad7609"
    "0a50fb774adeab8f7877d0c17087e0496837f469128deb450fdad51f1f0fc686636ebe049747c8fe217a3d4b"
    "b3d4d7e9b10e79e8d21347cfffc5d9fcffffff27058579c8df188359bb31c63d00000013000338540470c467"
    "e7708d156a7b48af336381fc8bab6e62000dc82cf7c98d29365e008522509545000338bf84b05f64a75b58b0"
    "e215017151e5b5fdaec99861225095450003383100d0126a49598000cb1edf491eb7010338e502804e66dfa3"
    "8019b7c91d3002"
)
_LAYERS = bytes.fromhex(
    "ff0aa809828380e242082228380489440000007c010000000a70800440002b59918282c23d4b00e7caad7609"
    "0a50fb774adeab8f7877d0c17087e0496837f469128deb450fdad51f1f0fc686636ebe049747c8fe217a3d4b"
    "b3d4d7e9b10e79e8d21347cfffc5d9fcffffff27058579c8df188359bb31c63d00000013000338540470c467"
    "e7708d156a7b48af336381fc8bab6e62000dc82cf7c98d29365e008522509545000338bf84b05f64a75b58b0"
    "e215017151e5b5fdaec99861225095450003383100d0126a49598000cb1edf491eb7010338e502804e66dfa3"
    "8019b7c91d30020802010088010000800a90800550002b59918282c23d4b00e7caad76090a50fb774adeab8f"
    "7877d0c17087e0496837f469128deb450fdad51f1f0fc686636ebe049747c8fe217a3d4bb3d4d7e9b10e79e8"
    "d21347cfffc5d9f4ffffff270585b9c8df1883191b638c1b63dc030000300100033a4f02e03105c44b51fcbd"
    "29382d76464e151e36cda02c5c105e97da71c5a771486f0af152147fae23033a6e001090097acb1268c2df70"
    "664fe580b043f2a371d76074f5c77146f152147fae23033a1f0090a00f8c5037fd4fb5769eafab575847ae23"
    "033a1c059024055606cfed7fb5983475a5c7a508"
)


@needs(Capability.JXL_TOOLS)
@pytest.mark.parametrize("data", [_CROPPED, _LAYERS], ids=["a crop", "layers"])
def test_frames_are_composed_as_djxl_does(tmp_path: Path, data: bytes) -> None:
    theirs = foreign_decoders.shown("djxl", pictures.put(tmp_path / "a.jxl", data))
    made = make(data)
    assert (made.width_px, made.height_px) == theirs.shape[1::-1] == (450, 310)
    entry = large(data) / 255
    assert likeness.compared(entry, theirs, 256).beyond(likeness.EXACT) == []
