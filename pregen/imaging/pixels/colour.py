"""Anything a decoder gives -> 8-bit sRGB, three or four bands. Works on small pictures only.

The transform runs after the reduction, where it costs 3 ms at most instead of 100, and not at all
for a profile that is sRGB in other words.
"""

from __future__ import annotations

import functools
import struct
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from pregen.imaging.pixels.resample import image_of
from pregen.imaging.pixels.srgb_profiles import is_srgb
from pregen.imaging.runtime import pyvips

if TYPE_CHECKING:
    from pregen.imaging.containers.heif import Colour
    from pregen.imaging.pixels.resample import Pixels

_PROFILE: Final = "icc-profile-data"
#: Interpretations that are sRGB already, given 8 bits.
_SRGB_8: Final = frozenset({"srgb", "rgb", "multiband"})
#: What makes 8 bits of an alpha of this format. TIFF's floating point runs from 0 to 1.
_ALPHA_SCALES: Final = {"ushort": 1 / 257, "float": 255.0}


def attach(image: pyvips.Image, profile: bytes) -> None:
    """Give an image of one's own (a copy) an ICC profile for `to_srgb` to apply."""
    image.set_type(pyvips.GValue.blob_type, _PROFILE, profile)


def to_srgb(image: pyvips.Image) -> pyvips.Image:
    """Return `image` in sRGB with 8 bits per sample, alpha kept, profile removed."""
    profile = bytes(image.get(_PROFILE)) if image.get_typeof(_PROFILE) else b""
    bands = image.bands - (1 if image.hasalpha() else 0)
    if profile and not (bands == 3 and image.format == "uchar" and is_srgb(profile)):  # noqa: PLR2004 - R, G, B
        image = _by_profile(image, bands)
    elif image.interpretation not in _SRGB_8 or image.format != "uchar" or bands < 3:  # noqa: PLR2004
        image = image.colourspace("srgb")
    if image.format != "uchar":
        image = image.cast("uchar")
    return image


def _by_profile(image: pyvips.Image, bands: int) -> pyvips.Image:
    """Transform with the embedded profile; fall back on the interpretation when it is unusable."""
    alpha = image[bands] if image.hasalpha() else None
    colours = image.extract_band(0, n=bands) if alpha is not None else image
    # libvips transforms from 8 or 16 bits: 0 to 1 would be taken for the darkest of 8.
    samples = (colours * 65535).cast("ushort") if colours.format == "float" else colours
    try:
        # Without a depth 16 bits stay 16 bits, of which a cast keeps what is below 256.
        colours = samples.icc_transform(
            "srgb", embedded=True, intent="relative", depth=8
        ).copy_memory()
    except pyvips.Error:
        # A damaged profile, or one for another number of bands, must not cost the picture.
        colours = colours.copy()
        colours.remove(_PROFILE)
        colours = colours.colourspace("srgb")
    if alpha is None:
        return colours
    if alpha.format != "uchar":
        alpha = (alpha * _ALPHA_SCALES.get(alpha.format, 1.0)).rint().cast("uchar")
    return colours.bandjoin(alpha)


# HDR (PQ, HLG in BT.2020) -> sRGB that looks right on an ordinary screen ---------------------
#
# Up to diffuse white nothing is changed; what is brighter is rolled off, so that a sky keeps its
# shape.

Light = NDArray[np.floating[Any]]
"""Rows x columns x 3; linear, 1 is diffuse white."""

#: Transfer characteristics (ITU-T H.273, table 3).
PQ: Final = 16
HLG: Final = 18
#: Diffuse white (BT.2408-7, 3.1) and the display HLG is graded for (BT.2100-2, note 5i).
_WHITE_NITS: Final = 203.0
_HLG_PEAK_NITS: Final = 1000.0
_PQ_PEAK_NITS: Final = 10_000.0
#: SMPTE ST 2084.
_M1, _M2 = 2610 / 16384, 2523 / 4096 * 128
_C1, _C2, _C3 = 3424 / 4096, 2413 / 4096 * 32, 2392 / 4096 * 32
#: BT.2100-2, table 5.
_A, _B, _C = 0.17883277, 0.28466892, 0.55991073
_HLG_SYSTEM_GAMMA: Final = 1.2
_LUMINANCE_2020: Final = np.array([0.2627, 0.6780, 0.0593])
#: Linear BT.2020 -> linear BT.709 (BT.2087-0).
_TO_709: Final = np.array(
    [[1.6605, -0.5876, -0.0728], [-0.1246, 1.1329, -0.0083], [-0.0182, -0.1006, 1.1187]]
)
#: Above this share of white the roll-off begins.
_KNEE: Final = 0.6


def hdr_to_srgb(signal: Light, transfer: int) -> NDArray[np.uint8]:
    """Return 8-bit sRGB for a non-linear BT.2020 RGB signal of 0 to 1.

    Args:
        signal: rows x columns x 3.
        transfer: `PQ`, `HLG`, or any other for a signal that is not HDR; then sRGB's is taken.
    """
    signal = np.clip(signal, 0.0, 1.0)
    if transfer in {PQ, HLG}:
        light = _rolled_off(_from_pq(signal) if transfer == PQ else _from_hlg(signal))
    else:
        light = np.where(signal <= 0.04045, signal / 12.92, ((signal + 0.055) / 1.055) ** 2.4)  # noqa: PLR2004 - IEC 61966-2-1
    light = np.clip(light @ _TO_709.T, 0.0, 1.0)
    return _srgb_codes(light)


def _srgb_codes(light: NDArray[np.floating[Any]]) -> NDArray[np.uint8]:
    coded = np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)  # noqa: PLR2004 - IEC 61966-2-1
    return np.asarray(coded * 255 + 0.5, np.uint8)


def _from_pq(signal: Light) -> Light:
    root = signal ** (1 / _M2)
    nits = _PQ_PEAK_NITS * (np.maximum(root - _C1, 0) / (_C2 - _C3 * root)) ** (1 / _M1)
    return np.asarray(nits / _WHITE_NITS)


def _from_hlg(signal: Light) -> Light:
    scene = np.where(signal <= 0.5, signal**2 / 3, (np.exp((signal - _C) / _A) + _B) / 12)  # noqa: PLR2004 - BT.2100-2, table 5
    luminance = (scene @ _LUMINANCE_2020)[..., np.newaxis]
    shown = scene * np.maximum(luminance, 1e-6) ** (_HLG_SYSTEM_GAMMA - 1)
    return np.asarray(shown * (_HLG_PEAK_NITS / _WHITE_NITS))


def _rolled_off(light: Light) -> Light:
    """Bring every channel below 1 by the brightest one, which keeps the hue."""
    brightest = light.max(axis=2, keepdims=True)
    above = np.maximum(brightest - _KNEE, 0) / (1 - _KNEE)
    wanted = np.where(above > 0, _KNEE + (1 - _KNEE) * (1 - np.exp(-above)), brightest)
    return np.asarray(light * (wanted / np.maximum(brightest, 1e-9)))


# Colour told by coordinates and a curve, as JPEG XL does -------------------------------------

_Point = tuple[float, float]
_Primaries = tuple[_Point, _Point, _Point]
#: What primaries and a white may differ by from those of sRGB without being others.
_SAME_COORDINATE: Final = 0.002
_SRGB_PRIMARIES: Final = ((0.64, 0.33), (0.30, 0.60), (0.15, 0.06))
_D65: Final = (0.3127, 0.3290)
#: The white of profiles, and the matrix to the cones' answers (ICC.1:2022, 7.2.16 and annex E).
_D50: Final = np.array([0.9642, 1.0, 0.8249])
_BRADFORD: Final = np.array(
    [[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]]
)
#: sRGB's curve as a parametric curve of type 3 (ICC.1:2022, table 68).
_SRGB_CURVE: Final = (2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045)
_BT709, _LINEAR, _DCI = 1, 8, 17
#: XYZ under D50 -> linear sRGB: the inverse of its primaries as profiles have them.
_TO_SRGB: Final = np.linalg.inv(
    [[0.4360, 0.3851, 0.1431], [0.2225, 0.7169, 0.0606], [0.0139, 0.0971, 0.7139]]
)


def srgb_codes(transfer: int, gamma: float = 0.0) -> NDArray[np.uint8] | None:
    """Return sRGB's 8-bit code for each code of a transfer function; None where it is sRGB's.

    Args:
        transfer: H.273's number; one that is not known is taken for sRGB's.
        gamma: the exponent that makes light of a signal, instead of a number; 0 for none.
    """
    signal = np.arange(256) / 255
    if gamma:
        light = signal**gamma
    elif transfer == _LINEAR:
        light = signal
    elif transfer == _BT709:
        light = np.where(signal < 0.081, signal / 4.5, ((signal + 0.099) / 1.099) ** (1 / 0.45))  # noqa: PLR2004 - BT.709-6, 1.2
    elif transfer == _DCI:
        light = signal**2.6
    else:
        return None
    return _srgb_codes(light)


def is_near_srgb(primaries: _Primaries, white: _Point) -> bool:
    """True for the primaries and the white of sRGB."""
    told = np.array([*primaries, white]) - np.array([*_SRGB_PRIMARIES, _D65])
    return bool(np.abs(told).max() <= _SAME_COORDINATE)


def profile_of(primaries: _Primaries, white: _Point) -> bytes:
    """Return an ICC profile of these primaries, adapted from this white, with sRGB's curve.

    Empty where they span no space.
    """
    try:
        columns = np.array([(x / y, 1.0, (1 - x - y) / y) for x, y in primaries]).T
        light = np.array([white[0] / white[1], 1.0, (1 - white[0] - white[1]) / white[1]])
        adapt = np.diag((_BRADFORD @ _D50) / (_BRADFORD @ light))
        bradford = np.linalg.inv(_BRADFORD) @ adapt @ _BRADFORD
        columns = bradford @ columns * np.linalg.solve(columns, light)
    except (ZeroDivisionError, np.linalg.LinAlgError):
        return b""
    if not np.abs(columns).max() < 4:  # noqa: PLR2004 - no light is that far from white; NaN is not either
        return b""
    tags = {
        name: b"XYZ " + bytes(4) + _fixed(*column)
        for name, column in zip((b"rXYZ", b"gXYZ", b"bXYZ"), columns.T, strict=True)
    }
    tags |= {b"wtpt": b"XYZ " + bytes(4) + _fixed(*_D50)}
    curve = b"para" + struct.pack(">IHH", 0, 3, 0) + _fixed(*_SRGB_CURVE)
    tags |= dict.fromkeys((b"rTRC", b"gTRC", b"bTRC"), curve)
    table, body = struct.pack(">I", len(tags)), b""
    for name, data in tags.items():
        table += name + struct.pack(">II", 132 + 12 * len(tags) + len(body), len(data))
        body += data
    header = struct.pack(">I4sI", 132 + len(table) - 4 + len(body), b"", 0x04000000)
    header += b"mntrRGB XYZ ".ljust(24, b"\0") + b"acsp" + bytes(28) + _fixed(*_D50)
    return header.ljust(128, b"\0") + table + body


def lab_to_srgb(lab: Light) -> NDArray[np.uint8]:
    """Return 8-bit sRGB for CIELab under D50, rows x columns x 3: L of 0 to 100, a and b."""
    middle = (lab[..., :1] + 16) / 116
    cubes = np.concatenate([middle + lab[..., 1:2] / 500, middle, middle - lab[..., 2:] / 200], -1)
    xyz = np.where(cubes > 6 / 29, cubes**3, (cubes - 4 / 29) * (108 / 841)) * _D50
    return _srgb_codes(np.clip(xyz @ _TO_SRGB.T, 0.0, 1.0))


def _fixed(*values: float) -> bytes:
    """s15Fixed16Number."""
    return struct.pack(f">{len(values)}i", *(round(value * 65536) for value in values))


# Colour told by numbers (ITU-T H.273) instead of a profile, as HEIC and AVIF do --------------

#: Colour primaries (H.273, table 2).
_BT2020: Final = 9
_DISPLAY_P3: Final = 12


def is_plain(told: Colour) -> bool:
    """True where `managed` leaves a picture as it is."""
    return not (told.profile or maps_tones(told)) and (
        told.cicp is None or told.cicp.primaries != _DISPLAY_P3
    )


def maps_tones(told: Colour) -> bool:
    """True where colours are told by numbers that need more than another profile."""
    return bool(
        not told.profile
        and told.cicp
        and (told.cicp.primaries == _BT2020 or told.cicp.transfer in {PQ, HLG})
    )


def managed(pixels: Pixels, told: Colour) -> Pixels:
    """Have a picture come out as it is meant: by its profile if there is one, else by numbers.

    Primaries near sRGB's stay as they are. So do HDR pictures with transparency: none are known.
    """
    image = pixels.image
    if told.profile:
        image = image.copy()
        attach(image, told.profile)
    elif told.cicp is None or image.bands < 3:  # noqa: PLR2004 - R, G, B
        return pixels
    elif told.cicp.primaries == _DISPLAY_P3:
        image = image.copy()
        attach(image, _display_p3())
    elif maps_tones(told) and image.bands == 3:  # noqa: PLR2004 - no alpha
        image = _by_numbers(image, told.cicp.transfer)
    return pixels._replace(image=image)


def _by_numbers(image: pyvips.Image, transfer: int) -> pyvips.Image:
    most = 65535 if image.format == "ushort" else 255
    return image_of(hdr_to_srgb(image.numpy().astype(np.float32) / most, transfer), "srgb")


@functools.cache
def _display_p3() -> bytes:
    """Display P3 as libvips brings it."""
    return bytes(pyvips.Image.profile_load("p3"))
