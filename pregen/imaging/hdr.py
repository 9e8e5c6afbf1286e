"""HDR video and pictures (PQ, HLG in BT.2020) -> sRGB that looks right on an ordinary screen.

Up to diffuse white nothing is changed; what is brighter is rolled off, so that a sky keeps its
shape. Works on small pictures only.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

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


def to_srgb(signal: Light, transfer: int) -> NDArray[np.uint8]:
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
