"""What another decoder makes of a source than the one that a run asks: so that they can disagree.

For `pregen verify --deep`, and for pictures that look wrong. The witness reads the source's bytes
itself, and colours are brought to sRGB here by a way of their own; shared with a run are the parts
of a format that say what its numbers mean where no library tells (HEIF's boxes).
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np

from pregen.imaging.faults import TooLarge
from pregen.imaging.pixels import colour, render
from pregen.imaging.pixels.resample import Pixels, image_of
from pregen.imaging.pixels.sizes import fit
from pregen.imaging.runtime import pyvips
from pregen.imaging.witnesses.base import NoWitness, Question, Sight

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pregen.imaging.decoders.base import Request
    from pregen.imaging.pixels.resample import Rgba

#: Format -> modules of `witnesses`, the one that shares least with the run's decoder first. A
#: format that is not here has no other decoder (`ALONE`).
_WITNESSES: Final = {
    "jpeg": ("pillow", "ffmpeg"),
    "png": ("pillow", "ffmpeg"),
    "gif": ("pillow",),
    "webp": ("pillow", "ffmpeg"),
    "tiff": ("pillow", "ffmpeg", "vips"),
    "heic": ("ffmpeg", "libheif"),
    "avif": ("vips", "ffmpeg", "pillow"),
    "jp2": ("ffmpeg",),
    "j2k": ("ffmpeg",),
    "psd": ("pillow", "ffmpeg"),
    "bmp": ("ffmpeg", "pillow"),
    "tga": ("ffmpeg",),
    "pcx": ("ffmpeg",),
    "qoi": ("ffmpeg",),
    "ppm": ("ffmpeg", "pillow"),
    "raw": ("libraw",),
}
#: Formats that one installed library alone decodes, and why no other does.
ALONE: Final = {
    "jxl": "libjxl is the only decoder that is installed",
    "psb": "only pregen reads PSB",
    "ico": "only Pillow decodes these",
    "cur": "only Pillow decodes these",
    "svg": "librsvg is the only renderer that is installed",
    "pdf": "PDFium is the only renderer that is installed",
    "video": "FFmpeg is the only decoder that is installed",
    **dict.fromkeys(
        ("dds", "fits", "hdr", "icns", "pam", "pfm", "sgi", "sun", "xbm", "xpm", "fli"),
        "only one library decodes exchange formats",
    ),
    **dict.fromkeys(
        ("odf", "krita", "ora", "epub", "cbz", "ooxml", "3mf", "gcode", "blend", "audio"),
        "the picture is stored in another file, and only pregen finds it there",
    ),
}
#: The run's decoders that are a witness's library -> that witness.
_SAME: Final = {
    "pillow": "pillow", "vips": "vips", "ffmpeg": "ffmpeg", "libraw": "libraw", "heif": "libheif",
    "libheif": "libheif",
}  # fmt: skip
_DEPTHS: Final = {1: "uchar", 2: "ushort"}
_BANDS: Final = {"b-w": 1, "srgb": 3, "cmyk": 4, "lab": 3, "scrgb": 1}
_DEEP: Final = {"b-w": "grey16", "srgb": "rgb16"}


class Opinion(NamedTuple):
    """A source as another decoder shows it."""

    rgba: Rgba
    """Rows x columns x 4, upright, sRGB, straight alpha; it fits in the box."""
    by: str
    """The witness."""
    whole: bool
    """False: a part of the picture is missing in it, or it is another rendering of the scene."""


def witnesses_of(name: str, loader: str) -> tuple[str, ...]:
    """Return who else may decode a format, by the name of the format and of the run's decoder."""
    return tuple(one for one in _WITNESSES.get(name, ()) if one != _SAME.get(loader))


def second_opinion(
    request: Request, loader: str, box_px: int, max_pixels: int, orientation: int = 1
) -> Opinion | None:
    """Decode a source by another decoder; None: no other can.

    Args:
        request: the source.
        loader: the decoder that made the picture (`Opened.loader`, after its decode).
        box_px: what the picture shall fit in.
        max_pixels: no larger picture is decoded.
        orientation: EXIF's, as the run's decoder found it (`Opened.orientation`): for formats of
            which the witness tells none.

    Raises:
        MemoryError: there was not enough memory.
        OSError: the source cannot be read.
    """
    question = Question(request, box_px, max_pixels, orientation)
    for name in witnesses_of(request.format.name, loader):
        try:
            witness = importlib.import_module(f"pregen.imaging.witnesses.{name}")
        except ImportError:
            continue  # its library belongs to an extra that is not installed
        try:
            sight: Sight = witness.look(question)
            return Opinion(_upright(sight, box_px), name, sight.whole)
        except (NoWitness, TooLarge, pyvips.Error):
            continue
    return None


def _upright(sight: Sight, box_px: int) -> Rgba:
    """Reduce a picture, bring it to sRGB, turn it."""
    size = fit(sight.width_px, sight.height_px, box_px)
    rows, columns, bands = sight.samples.shape
    kept = _BANDS[sight.space]
    deep = sight.samples.itemsize > 1
    space = "srgb" if sight.space == "lab" else sight.space
    image = image_of(sight.samples, _DEEP.get(space, space) if deep else space)
    alpha = bands > kept
    if alpha and not sight.premultiplied:
        image = image.premultiply(max_alpha=65535 if deep else 255)
    image = image.resize(size.width_px / columns, vscale=size.height_px / rows, kernel="lanczos3")
    if alpha:
        image = image.unpremultiply(max_alpha=65535 if deep else 255)
    samples = image.numpy().reshape(size.height_px, size.width_px, bands)
    most = 65535 if deep else 255
    samples = np.clip(np.rint(samples), 0, most).astype(sight.samples.dtype)
    found = np.full((size.height_px, size.width_px, 4), 255, np.uint8)
    found[..., :3] = _srgb(samples[..., :kept], sight)
    if alpha:
        found[..., 3] = np.rint(samples[..., kept] * (255 / most))
    return render.turn(found, sight.orientation)


def _srgb(samples: NDArray[Any], sight: Sight) -> NDArray[np.uint8]:
    """Return rows x columns x 3 for reduced samples without alpha."""
    deep = samples.itemsize > 1
    if sight.space == "lab":
        shades = samples[..., 1:].astype(np.float64) - 128
        return colour.lab_to_srgb(np.concatenate([samples[..., :1] / 2.55, shades], -1))
    if sight.space == "scrgb":
        light = samples / 65535
        codes = np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)  # noqa: PLR2004 - IEC 61966-2-1
        return np.repeat(np.asarray(codes * 255 + 0.5, np.uint8), 3, axis=-1)
    space = sight.space
    if sight.colour.profile[16:20] == b"GRAY" and space == "srgb":
        # A library that knows no grey makes three equal bands of it.
        samples, space = samples[..., 1:2], "b-w"
    image = image_of(samples, _DEEP.get(space, space) if deep else space)
    if sight.colour.profile:
        colour.attach(image, sight.colour.profile)
        try:
            image = image.icc_transform("srgb", embedded=True, intent="relative", depth=8)
            return np.asarray(image.numpy())
        except pyvips.Error:
            # A damaged profile, or one for another number of bands: no program applies it.
            image.remove("icc-profile-data")
    elif sight.colour.cicp is not None:
        # No library maps the tones of HDR: there is one way for both.
        image = colour.managed(Pixels(image), sight.colour).image
    image = colour.to_srgb(image)
    return np.asarray(image.numpy())[..., :3]
