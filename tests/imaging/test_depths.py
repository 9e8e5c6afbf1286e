"""Samples of every depth, brought to sRGB by the profile a picture has."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image, ImageCms

from pregen.imaging.runtime import pyvips
from tests.support.files import deep_samples, profiles
from tests.support.files.photo import photo
from tests.support.judges.decoding import large

if TYPE_CHECKING:
    from numpy.typing import DTypeLike, NDArray

#: As large as the entry: nothing is resampled, so that every sample can be compared.
_WIDTH_PX, _HEIGHT_PX = 256, 192
#: TIFF's depths; what one level of 8 bits is in them.
_DEPTHS: dict[str, tuple[DTypeLike, float]] = {
    "8": (np.uint8, 1),
    "16": (np.uint16, 257),
    "float16": (np.float16, 1 / 255),
    "float32": (np.float32, 1 / 255),
}
#: Pillow's mode for the colours, and TIFF's photometric interpretation.
_KINDS = {
    "grey": ("L", deep_samples.MINISBLACK),
    "RGB": ("RGB", deep_samples.RGB),
    "RGBA": ("RGB", deep_samples.RGB),
    "CMYK": ("CMYK", deep_samples.SEPARATED),
}
#: What 10 bits of linear light, as luma and chroma, leave of dark colours.
_DEEP_AVIF_LEVELS = 0.4
_BY_FORMAT = {"PNG": (("grey", "RGB", "RGBA"), ("8", "16")), "TIFF": (_KINDS, _DEPTHS)}
_CASES = [
    (file_format, kind, depth)
    for file_format, (kinds, depths) in _BY_FORMAT.items()
    for kind in kinds
    for depth in depths
]


def _levels(kind: str) -> NDArray[np.uint8]:
    """Return a picture in 8 bits, rows x columns x samples, of colours that sRGB has.

    Beyond them a channel is cut off at black, where one level more or less going in makes ten.
    """
    vivid = photo(_WIDTH_PX, _HEIGHT_PX, seed=6)
    rgb: NDArray[np.uint8] = (vivid / 2 + vivid.mean(-1, keepdims=True) / 2).astype(np.uint8)
    ramp = np.linspace(80, 255, _WIDTH_PX).astype(np.uint8)
    fourth = np.broadcast_to(ramp[None, :, None], (_HEIGHT_PX, _WIDTH_PX, 1))
    match kind:
        case "grey":
            return rgb[..., 1:2]
        case "RGBA":
            return np.concatenate([rgb, fourth], axis=-1)
        case "CMYK":
            return np.concatenate([255 - rgb, fourth // 3], axis=-1)
        case _:
            return rgb


def _profile(kind: str, *, linear: bool = False) -> bytes:
    if kind == "CMYK":
        return bytes(pyvips.Image.profile_load("cmyk"))
    return profiles.grey() if kind == "grey" else profiles.display_p3(linear=linear)


def _by_littlecms(levels: NDArray[np.uint8], mode: str, profile: bytes) -> NDArray[np.int16]:
    """Return what the profile makes of 8 bits, without libvips."""
    transform = ImageCms.buildTransform(
        ImageCms.ImageCmsProfile(io.BytesIO(profile)), ImageCms.createProfile("sRGB"), mode, "RGB",
        renderingIntent=ImageCms.Intent.RELATIVE_COLORIMETRIC,
    )  # fmt: skip
    picture = Image.fromarray(np.ascontiguousarray(levels.squeeze()))
    if mode == "CMYK":
        picture = Image.frombytes(mode, picture.size, levels.tobytes())
    return np.asarray(ImageCms.applyTransform(picture, transform), np.int16)


def _stored(file_format: str, kind: str, samples: NDArray[Any], profile: bytes) -> bytes:
    if file_format == "PNG":
        return deep_samples.png(samples, profile)
    return deep_samples.tiff(samples, profile, _KINDS[kind][1], alpha=kind == "RGBA")


@pytest.mark.parametrize(("file_format", "kind", "depth"), _CASES)
def test_a_profile_is_applied_to_samples_of_every_depth(
    file_format: str, kind: str, depth: str
) -> None:
    levels, profile = _levels(kind), _profile(kind)
    dtype, level = _DEPTHS[depth]
    found = large(_stored(file_format, kind, (levels * np.float64(level)).astype(dtype), profile))
    mode = _KINDS[kind][0]
    wanted = _by_littlecms(levels[..., : len(mode)], mode, profile)
    # An alpha multiplied into 8 bits and out of them again costs a level before the profile.
    assert np.abs(found[..., :3] - wanted).max() <= (3 if (kind, depth) == ("RGBA", "8") else 2)
    alpha = levels[..., 3] if kind == "RGBA" else np.full(found.shape[:2], 255, np.uint8)
    assert np.abs(found[..., 3].astype(int) - alpha).max() <= 1


@pytest.mark.parametrize("dtype", [np.float16, np.float32])
def test_linear_light_in_floating_point_keeps_its_shadows(dtype: DTypeLike) -> None:
    levels, profile = _levels("RGB"), profiles.display_p3(linear=True)
    encoded = levels / 255
    linear = np.where(encoded <= 0.04045, encoded / 12.92, ((encoded + 0.055) / 1.055) ** 2.4)
    found = large(deep_samples.tiff(linear.astype(dtype), profile))
    wanted = _by_littlecms(levels, "RGB", profiles.display_p3())
    assert np.abs(found[..., :3] - wanted).max() <= 2


@pytest.mark.parametrize("bits", [10, 12])
def test_a_deep_avif_keeps_its_shadows(bits: int) -> None:
    levels = _levels("RGB")
    encoded = levels / 255
    linear = np.where(encoded <= 0.04045, encoded / 12.92, ((encoded + 0.055) / 1.055) ** 2.4)
    found = large(deep_samples.avif(linear, profiles.display_p3(linear=True), bits))
    wanted = _by_littlecms(levels, "RGB", profiles.display_p3())
    # Cut down to 8 bits on the way it is 1.0 levels off, and dark colours up to 28.
    assert np.abs(found[..., :3] - wanted).mean() < _DEEP_AVIF_LEVELS


def test_light_beyond_white_is_white_and_below_black_is_black() -> None:
    samples = np.full((_HEIGHT_PX, _WIDTH_PX, 3), 7.5, np.float32)
    samples[:, : _WIDTH_PX // 2] = -0.25
    found = large(deep_samples.tiff(samples, profiles.display_p3(linear=True)))
    assert (found[:, :100, :3] == 0).all()
    assert (found[:, -100:, :3] == 255).all()
