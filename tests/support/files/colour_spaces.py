"""Colour spaces with their ICC profiles, and the same in numbers: neither asks a colour engine.

Only sRGB to CMYK and back is left to littleCMS, because it is a table, not a formula.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple

import imagecodecs
import numpy as np
import pyvips
from numpy.typing import NDArray

from tests.support.files import profiles

if TYPE_CHECKING:
    from collections.abc import Callable

Floats = NDArray[np.float64]

#: sRGB's transfer curve as an ICC parametric curve of type 3: g, a, b, c, d (IEC 61966-2-1).
_SRGB_CURVE = (2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045)
#: XYZ of red, green and blue, adapted to D50 by Bradford.
_PRIMARIES: dict[str, tuple[tuple[float, ...], ...]] = {
    "srgb": (
        (0.4360747, 0.2225045, 0.0139322),
        (0.3850649, 0.7168786, 0.0971045),
        (0.1430804, 0.0606169, 0.7141733),
    ),
    "adobe": (
        (0.6097559, 0.3111242, 0.0194811),
        (0.2052401, 0.6256560, 0.0608902),
        (0.1492240, 0.0632197, 0.7448387),
    ),
    "p3": (
        (0.515102, 0.241182, -0.001049),
        (0.291965, 0.692236, 0.041882),
        (0.157153, 0.066582, 0.784379),
    ),
    "prophoto": (
        (0.7976749, 0.2880402, 0.0),
        (0.1351917, 0.7118741, 0.0),
        (0.0313534, 0.0000857, 0.8252100),
    ),
}
_D50 = np.array([0.9642, 1.0, 0.8249])


def srgb_encoded(light: Floats) -> Floats:
    """Return sRGB's code values of 0 to 1 for linear light; what lies beyond is cut off."""
    light = np.clip(light, 0, 1)
    low = light <= 0.0031308
    return np.where(low, light * 12.92, 1.055 * np.maximum(light, 1e-9) ** (1 / 2.4) - 0.055)


def srgb_decoded(code: Floats) -> Floats:
    """Return linear light of 0 to 1 for sRGB's code values."""
    return np.where(code <= 0.04045, code / 12.92, ((code + 0.055) / 1.055) ** 2.4)


class Space(NamedTuple):
    """One way to write colours down as numbers of 0 to 1."""

    icc: bytes
    """Empty where a file says nothing, and sRGB is meant."""
    from_srgb: Callable[[Floats], Floats]
    """From rows x columns x 3 (grey: 1) of sRGB's code values."""
    to_srgb: Callable[[Floats], Floats]


@cache
def rgb(name: str) -> Space:
    """Return one of none, srgb, adobe, p3, prophoto, linear."""
    if name == "none":
        return Space(b"", np.copy, np.copy)
    primaries = _PRIMARIES["srgb" if name == "linear" else name]
    gamma = {"adobe": 563 / 256, "prophoto": 461 / 256, "linear": 1.0}.get(name)
    tags = {
        tag: b"XYZ " + bytes(4) + profiles.fixed(*xyz)
        for tag, xyz in zip((b"rXYZ", b"gXYZ", b"bXYZ"), primaries, strict=True)
    }
    icc = profiles.assembled(
        b"RGB ", tags | dict.fromkeys((b"rTRC", b"gTRC", b"bTRC"), _curve(gamma))
    )
    to_xyz = np.array(primaries).T
    over = np.linalg.inv(to_xyz) @ np.array(_PRIMARIES["srgb"]).T
    back = np.linalg.inv(over)

    def from_srgb(code: Floats) -> Floats:
        light = np.clip(srgb_decoded(code) @ over.T, 0, 1)
        return srgb_encoded(light) if gamma is None else light ** (1 / gamma)

    def to_srgb(code: Floats) -> Floats:
        light = srgb_decoded(code) if gamma is None else np.clip(code, 0, 1) ** gamma
        return srgb_encoded(light @ back.T)

    return Space(icc, from_srgb, to_srgb)


@cache
def grey(name: str) -> Space:
    """Return one of none, grey (a gamma of 1.8), linear."""
    if name == "none":
        return Space(b"", np.copy, np.copy)
    gamma = {"grey": 461 / 256, "linear": 1.0}[name]
    icc = profiles.assembled(b"GRAY", {b"kTRC": _curve(gamma)})
    return Space(
        icc,
        lambda code: srgb_decoded(code) ** (1 / gamma),
        lambda code: srgb_encoded(np.clip(code, 0, 1) ** gamma),
    )


def _curve(gamma: float | None) -> bytes:
    """An ICC curve: sRGB's, or a power."""
    if gamma is None:
        return b"para" + bytes(4) + b"\0\3\0\0" + profiles.fixed(*_SRGB_CURVE)
    if gamma == 1.0:
        return b"curv" + bytes(8)
    return b"curv" + bytes(4) + (1).to_bytes(4, "big") + round(gamma * 256).to_bytes(2, "big")


@cache
def cmyk_icc() -> bytes:
    """A press' profile: libvips brings one."""
    return bytes(pyvips.Image.profile_load("cmyk"))


def cmyk_from_srgb(code: Floats) -> Floats:
    """Return C, M, Y, K of 0 to 1, 1 being full ink."""
    return littlecms(code, srgb_icc(), cmyk_icc(), "rgb", "cmyk")


def cmyk_to_srgb(ink: Floats) -> Floats:
    """Return sRGB's code values for C, M, Y, K of 0 to 1."""
    return littlecms(ink, cmyk_icc(), srgb_icc(), "cmyk", "rgb")


@cache
def srgb_icc() -> bytes:
    """The sRGB that pictures are brought to."""
    return rgb("srgb").icc


def littlecms(values: NDArray[Any], icc: bytes, to: bytes, space: str, to_space: str) -> Floats:
    """Transform values of 0 to 1 by littleCMS, relative colorimetric.

    Raises:
        RuntimeError: one of the profiles is not one for these channels.
    """
    # littleCMS' floating point has ranges of its own for inks; 16 bits are as good.
    kind = np.float32 if values.dtype.kind == "f" and space == "rgb" else np.uint16
    scaled = values if kind is np.float32 else np.clip(values, 0, 1) * 65535 + 0.5
    if space == "gray":
        scaled = scaled.squeeze(-1)
    done = imagecodecs.cms_transform(
        np.ascontiguousarray(scaled, kind),
        icc,
        to,
        colorspace=space,
        outcolorspace=to_space,
        outdtype=np.float32 if kind is np.float32 and to_space == "rgb" else np.uint16,
        intent=imagecodecs.CMS.INTENT.RELATIVE_COLORIMETRIC,
    )
    return np.clip(done / (65535 if done.dtype == np.uint16 else 1), 0, 1).astype(np.float64)


def lab_from_srgb(code: Floats) -> Floats:
    """Return CIE L* (0 to 100), a*, b* under D50 (CIE 15)."""
    xyz = srgb_decoded(code) @ np.array(_PRIMARIES["srgb"]) / _D50
    bent = np.where(xyz > (6 / 29) ** 3, np.cbrt(xyz), xyz / (3 * (6 / 29) ** 2) + 4 / 29)
    x, y, z = np.moveaxis(bent, -1, 0)
    return np.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], axis=-1)


def lab_to_srgb(lab: Floats) -> Floats:
    """Return sRGB's code values for CIE L*, a*, b* under D50."""
    lightness, a, b = np.moveaxis(lab, -1, 0)
    y = (lightness + 16) / 116
    bent = np.stack([y + a / 500, y, y - b / 200], axis=-1)
    xyz = np.where(bent > 6 / 29, bent**3, 3 * (6 / 29) ** 2 * (bent - 4 / 29)) * _D50
    return srgb_encoded(xyz @ np.linalg.inv(np.array(_PRIMARIES["srgb"])))


#: R'G'B' -> Y'CbCr of full range (ITU-T T.871).
_TO_YCC = np.array(
    [[0.299, 0.587, 0.114], [-0.168735892, -0.331264108, 0.5], [0.5, -0.418687589, -0.081312411]]
)
_NEUTRAL = np.array([0, 128 / 255, 128 / 255])


def ycbcr_from_rgb(code: Floats) -> Floats:
    """Return Y, Cb, Cr of 0 to 1."""
    return np.asarray(code @ _TO_YCC.T + _NEUTRAL)


def ycbcr_to_rgb(ycc: Floats) -> Floats:
    """Return R, G, B of 0 to 1."""
    return np.asarray(np.clip((ycc - _NEUTRAL) @ np.linalg.inv(_TO_YCC).T, 0, 1))


def is_icc(data: bytes) -> bool:
    """Whether these bytes can be a profile at all (ICC.1, 7.2)."""
    return len(data) > 128 and data[36:40] == b"acsp"


def icc_space(data: bytes) -> str:
    """What a profile is made for: grey, rgb, cmyk, or something else by its four letters."""
    kinds = {b"GRAY": "gray", b"RGB ": "rgb", b"CMYK": "cmyk", b"Lab ": "lab"}
    return kinds.get(data[16:20], data[16:20].decode("latin-1"))
