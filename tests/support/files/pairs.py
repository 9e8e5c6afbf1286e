"""A picture as numbers of a certain kind and depth, and what it must look like in the end."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from PIL import Image

from tests.support.files import colour_spaces, painting

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from tests.support.files.colour_spaces import Floats

MODES = ("grey", "grey+alpha", "rgb", "rgba", "cmyk", "lab", "ycbcr", "palette", "bilevel")
BITS = ("1", "2", "4", "8", "10", "12", "16", "32", "float")
PROFILES = ("none", "srgb", "adobe", "p3", "prophoto", "linear", "grey")
#: Channels without the alpha.
COLOURS = {"grey": 1, "rgb": 3, "cmyk": 4, "lab": 3, "ycbcr": 3, "palette": 1, "bilevel": 1}


class Pair(NamedTuple):
    """What a writer gets, and what a reader must show."""

    samples: NDArray[Any]
    """As stored: rows x columns x channels, whole numbers up to `most`, or floating point."""
    most: int
    """The number that stands for full; 1 for floating point."""
    icc: bytes
    truth: Floats
    """Upright: rows x columns x 4, sRGB's code values and alpha, of 0 to 1."""
    orientation: int
    palette: NDArray[np.uint8]
    """Colours x 4; empty but for palettes."""

    @property
    def as_bytes(self) -> NDArray[np.uint8]:
        """The samples as bytes, for those that have 8 bits."""
        return self.samples.astype(np.uint8)


@lru_cache(maxsize=256)
def pair(
    mode: str,
    bits: str = "8",
    profile: str = "none",
    edges_px: tuple[int, int] = (320, 240),
    orientation: int = 1,
) -> Pair:
    """Return the painting in a mode, a depth, a profile, stored a turn away."""
    width_px, height_px = edges_px
    upright = _upright(edges_px)
    kind, _, alpha = mode.replace("rgba", "rgb+alpha").partition("+")
    most = 1 if bits == "float" else (1 << int(bits)) - 1
    palette = np.zeros((0, 4), np.uint8)
    icc = b""
    if kind == "bilevel":
        values = painting.shapes(width_px, height_px)[..., None]
        truth = values
    elif kind == "palette":
        flat = Image.fromarray((upright[..., :3] * 255 + 0.5).astype(np.uint8))
        few = flat.quantize(min(most + 1, 256) - bool(alpha), dither=Image.Dither.NONE)
        rgb = np.array(few.getpalette("RGB"), np.uint8).reshape(-1, 3)
        palette = np.concatenate([rgb, np.full((len(rgb), 1), 255, np.uint8)], axis=1)
        index = np.asarray(few)
        if alpha:
            index = np.where(upright[..., 3] < 0.05, len(palette), index)
            palette = np.concatenate([palette, np.zeros((1, 4), np.uint8)])
        space = colour_spaces.rgb(profile)
        icc = space.icc
        truth = np.concatenate(
            [space.to_srgb(palette[index][..., :3] / 255), palette[index][..., 3:] / 255], -1
        )
        values = index[..., None] / most
    else:
        values, truth, icc = _continuous(kind, profile, upright[..., :3], most, bits)
    if alpha and kind != "palette":
        covered = _stepped(upright[..., 3:], most, bits)
        values = np.concatenate([values, covered], axis=-1)
        truth = np.concatenate([truth, covered], axis=-1)
    samples = painting.laid_down(values * most, orientation)
    if bits == "float":
        samples = samples.astype(np.float32)
    else:
        samples = np.rint(samples).astype(
            np.uint8 if most < 256 else np.uint16 if most < 65536 else np.uint32
        )
    if truth.shape[-1] < 3:
        truth = np.concatenate([truth[..., :1]] * 3 + [truth[..., 1:]], axis=-1)
    if truth.shape[-1] == 3:
        truth = np.concatenate([truth, np.ones((*truth.shape[:2], 1))], axis=-1)
    return Pair(samples, most, icc, truth, orientation, palette)


@lru_cache(maxsize=4)
def _upright(edges_px: tuple[int, int]) -> Floats:
    return painting.painting(*edges_px)


def _continuous(
    kind: str, profile: str, rgb: Floats, most: int, bits: str
) -> tuple[Floats, Floats, bytes]:
    """Return code values of 0 to 1 in steps of the depth, what they look like, and the profile."""
    match kind:
        case "grey":
            luma = rgb @ np.array([[0.299], [0.587], [0.114]])
            space = colour_spaces.grey(profile)
            values = _stepped(space.from_srgb(luma), most, bits)
            return values, space.to_srgb(values), space.icc
        case "rgb":
            space = colour_spaces.rgb(profile)
            values = _stepped(space.from_srgb(rgb), most, bits)
            return values, space.to_srgb(values), space.icc
        case "cmyk":
            values = _stepped(colour_spaces.cmyk_from_srgb(rgb), most, bits)
            return values, colour_spaces.cmyk_to_srgb(values), colour_spaces.cmyk_icc()
        case "lab":
            # As unsigned numbers: L of 0 to 100, a and b of -128 to 127.
            lab = colour_spaces.lab_from_srgb(rgb)
            values = _stepped(
                lab / [100, 255, 255] + np.array([0, 128 / 255, 128 / 255]), most, bits
            )
            back = (values - [0, 128 / 255, 128 / 255]) * [100, 255, 255]
            return values, colour_spaces.lab_to_srgb(back), b""
        case "ycbcr":
            values = _stepped(colour_spaces.ycbcr_from_rgb(rgb), most, bits)
            return values, colour_spaces.ycbcr_to_rgb(values), b""
        case _:
            raise ValueError(kind)


def _stepped(values: Floats, most: int, bits: str) -> Floats:
    return values if bits == "float" else np.rint(values * most) / most
