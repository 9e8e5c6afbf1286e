"""Profiles that are sRGB in other words, told by effect; Little CMS is the judge."""

from __future__ import annotations

import io
import random
import struct

import numpy as np
import pytest
import pyvips
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageCms

from pregen.imaging.pixels import srgb_profiles
from tests.support.files import profiles

#: sRGB's colorants and curve, as profiles have them (s15Fixed16).
_COLORANTS = ((0.43607, 0.22249, 0.01392), (0.38515, 0.71687, 0.09708), (0.14307, 0.06061, 0.7141))
_CURVE = (2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045)
_NAMES = (b"rXYZ", b"gXYZ", b"bXYZ")
_CURVES = (b"rTRC", b"gTRC", b"bTRC")


def _profile(
    curve: bytes, colorants: tuple[tuple[float, ...], ...] = _COLORANTS, **more: bytes
) -> bytes:
    tags = {
        name: b"XYZ " + bytes(4) + profiles.fixed(*xyz)
        for name, xyz in zip(_NAMES, colorants, strict=True)
    }
    tags |= {b"wtpt": b"XYZ " + bytes(4) + profiles.fixed(0.9642, 1.0, 0.8249)}
    tags |= dict.fromkeys(_CURVES, curve) | {name.encode(): tag for name, tag in more.items()}
    return profiles.assembled(b"RGB ", tags)


def _parametric(kind: int, *values: float) -> bytes:
    return b"para" + struct.pack(">IHH", 0, kind, 0) + profiles.fixed(*values)


def _sampled(count: int) -> bytes:
    values = np.linspace(0, 1, count)
    light = np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)
    table = np.round(light * 65535).astype(">u2")
    return b"curv" + struct.pack(">II", 0, count) + table.tobytes()


def _moved(profile: bytes) -> int | None:
    """By how many levels Little CMS moves a colour at most; None where it refuses the profile."""
    try:
        transform = ImageCms.buildTransform(
            ImageCms.ImageCmsProfile(io.BytesIO(profile)),
            ImageCms.createProfile("sRGB"),
            "RGB",
            "RGB",
            renderingIntent=ImageCms.Intent.RELATIVE_COLORIMETRIC,
        )
        levels = np.linspace(0, 255, 18).astype(np.uint8)
        grid = np.stack(np.meshgrid(levels, levels, levels), axis=-1).reshape(54, 108, 3)
        after = np.asarray(ImageCms.applyTransform(Image.fromarray(grid), transform), np.int16)
    except (ImageCms.PyCMSError, OSError):
        return None
    return int(np.abs(after - grid).max())


@pytest.mark.parametrize(
    "profile",
    [
        pytest.param(_profile(_parametric(3, *_CURVE)), id="a curve of five values"),
        pytest.param(_profile(_parametric(4, *_CURVE, 0, 0)), id="a curve of seven values"),
        pytest.param(_profile(_sampled(256)), id="a short table"),
        pytest.param(_profile(_sampled(1024)), id="a long table"),
        pytest.param(
            ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes(), id="of Little CMS"
        ),
        pytest.param(bytes(pyvips.Image.profile_load("srgb")), id="of libvips"),
    ],
)
def test_what_is_srgb_in_other_words(profile: bytes) -> None:
    assert srgb_profiles.is_srgb(profile)
    moved = _moved(profile)
    assert moved in {0, 1}


@pytest.mark.parametrize(
    "profile",
    [
        pytest.param(profiles.display_p3(), id="Display P3"),
        pytest.param(_profile(_parametric(0, 2.2)), id="an exponent"),
        pytest.param(_profile(b"curv" + struct.pack(">IIH", 0, 1, 0x233)), id="one in a table"),
        pytest.param(_profile(b"curv" + bytes(8)), id="linear"),
        pytest.param(_profile(_parametric(3, *_CURVE[:-1], 0.5)), id="a curve that breaks"),
        pytest.param(_profile(_parametric(3, 30000, 30000, 30000, 0, 0)), id="beyond any number"),
        pytest.param(_profile(_parametric(3, -1, 1, 0, 0, 0)), id="no number at black"),
        pytest.param(_profile(_sampled(256), _COLORANTS[::-1]), id="red and blue exchanged"),
        pytest.param(
            _profile(_sampled(256), tuple(tuple(0.98 * v for v in c) for c in _COLORANTS)), id="dim"
        ),
        pytest.param(_profile(_sampled(256), A2B0=b"mft2" + bytes(60)), id="tables come first"),
        pytest.param(profiles.grey(), id="grey"),
        pytest.param(b"not a profile", id="none"),
        pytest.param(b"", id="nothing"),
    ],
)
def test_what_is_not(profile: bytes) -> None:
    assert not srgb_profiles.is_srgb(profile)


@given(
    exponent=st.floats(2.3, 2.5),
    offset=st.floats(0.05, 0.06),
    drift=st.tuples(*[st.floats(-0.003, 0.003)] * 9),
)
def test_what_is_nearly_srgb_goes_as_little_cms_says(
    exponent: float, offset: float, drift: tuple[float, ...]
) -> None:
    curve = _parametric(3, exponent, 1 / (1 + offset), offset / (1 + offset), 1 / 12.92, 0.04045)
    colorants = tuple(
        tuple(v + d for v, d in zip(xyz, drift[3 * n : 3 * n + 3], strict=True))
        for n, xyz in enumerate(_COLORANTS)
    )
    profile = _profile(curve, colorants)
    moved = _moved(profile)
    assert moved is not None
    # Little CMS rounds to whole levels, and we do not: between the two a level is either
    assert moved <= 1 if srgb_profiles.is_srgb(profile) else moved >= 1


def test_no_damage_makes_another_profile_srgb() -> None:
    chance = random.Random(5)  # noqa: S311 - damage, not secrets
    kept = 0
    for whole in (_profile(_sampled(256)), _profile(_parametric(3, *_CURVE))):
        assert not any(map(srgb_profiles.is_srgb, (whole[:end] for end in range(len(whole)))))
        for _ in range(200):
            damaged = bytearray(whole)
            for _ in range(chance.choice((1, 1, 3))):
                damaged[chance.randrange(len(damaged))] = chance.choice((0, 1, 127, 128, 255))
            if srgb_profiles.is_srgb(bytes(damaged)):
                kept += 1
                assert (_moved(bytes(damaged)) or 0) <= 1
    assert kept > 20  # most of a header says nothing about colours
