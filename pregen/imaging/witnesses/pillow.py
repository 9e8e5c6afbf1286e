"""Pillow: readers of its own for PNG, GIF and BMP, and other builds of libraries for the rest."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Final

import numpy as np
from PIL import Image, ImageFile

from pregen.imaging.containers.heif import Colour
from pregen.imaging.decoders import bmp
from pregen.imaging.decoders.pillow import orientation_of
from pregen.imaging.faults import TooLarge
from pregen.imaging.witnesses import photoshop
from pregen.imaging.witnesses.base import NoWitness, Question, Sight

if TYPE_CHECKING:
    from pregen.imaging.witnesses.base import Samples

_FORMATS: Final = {
    "jpeg": "JPEG", "png": "PNG", "gif": "GIF", "webp": "WEBP", "tiff": "TIFF", "ppm": "PPM",
    "psd": "PSD", "bmp": "BMP", "avif": "AVIF",
}  # fmt: skip
#: Modes that hold what they say -> libvips' interpretation.
_SPACES: Final = {
    "L": "b-w", "LA": "b-w", "RGB": "srgb", "RGBA": "srgb", "CMYK": "cmyk", "LAB": "lab",
}  # fmt: skip
#: Tags of TIFF 6.0, and their values.
_BITS, _COMPRESSION, _PHOTOMETRIC, _PLANAR, _SAMPLE_FORMAT = 258, 259, 262, 284, 339
_WHITE_IS_ZERO, _YCBCR, _UNSIGNED, _FLOAT = 0, 6, 1, 3
_JPEGS: Final = frozenset({6, 7})
#: Photoshop's modes -> the channels they have. Pillow takes more of them for rows.
_PSD_CHANNELS: Final = {1: 1, 2: 1, 3: 3, 4: 4}
_FULL: Final = 65535


def look(question: Question) -> Sight:
    """Decode a source. Raises NoWitness, TooLarge, MemoryError."""
    request = question.request
    data = request.source.whole()
    if request.format.name == "psd":
        photoshop.check(request.source.head, _PSD_CHANNELS, {8})
        return decode(data, "PSD", question)._replace(orientation=question.orientation)
    return decode(data, _FORMATS[request.format.name], question)


def decode(data: bytes, plugin: str, question: Question) -> Sight:
    """Decode bytes by one plugin, once more where they end early. Raises as `look`."""
    try:
        return _decode(data, plugin, question)
    except (NoWitness, TooLarge, MemoryError):
        raise
    except Exception as error:  # noqa: BLE001 - Pillow's plugins raise anything
        try:
            ImageFile.LOAD_TRUNCATED_IMAGES = True
            return _decode(data, plugin, question)._replace(whole=False)
        except (NoWitness, TooLarge, MemoryError):
            raise
        except Exception:  # noqa: BLE001 - as above
            raise NoWitness(f"Pillow: {str(error) or type(error).__name__}") from error
        finally:
            ImageFile.LOAD_TRUNCATED_IMAGES = False


def _decode(data: bytes, plugin: str, question: Question) -> Sight:
    with Image.open(io.BytesIO(data), formats=[plugin]) as image:
        width_px, height_px = image.size
        question.check(width_px, height_px)
        if plugin == "TIFF":
            _check_tiff(image)
        if plugin == "JPEG":
            image.draft(None, (2 * question.box_px, 2 * question.box_px))
        image.load()
        samples, space = _samples(image)
        profile = image.info.get("icc_profile") or b""
        if plugin == "BMP":
            # Pillow passes it over.
            profile = bmp.read(question.request.source).profile
        return Sight(
            samples, space, width_px, height_px, orientation_of(image), Colour(bytes(profile))
        )


def _samples(image: Image.Image) -> tuple[Samples, str]:
    if image.mode in {"I;16", "I;16L", "I;16B"}:
        return np.asarray(image).astype(np.uint16)[..., np.newaxis], "b-w"
    if image.mode == "I":
        return np.asarray(image).clip(0, _FULL).astype(np.uint16)[..., np.newaxis], "b-w"
    if image.mode == "F":
        codes = (np.nan_to_num(np.asarray(image)).clip(0, 1) * _FULL).astype(np.uint16)
        # Floating point without a profile is linear light.
        return codes[..., np.newaxis], "b-w" if "icc_profile" in image.info else "scrgb"
    if image.mode == "1":
        image = image.convert("L")
    elif image.mode not in _SPACES or "transparency" in image.info:
        image = image.convert("RGBA" if image.has_transparency_data else "RGB")
    samples = np.asarray(image)
    if image.mode == "LAB":
        # a and b are signed: from here on 128 is none.
        samples = samples ^ np.array([0, 128, 128], np.uint8)
    return samples.reshape(*samples.shape[:2], -1), _SPACES[image.mode]


def _check_tiff(image: Image.Image) -> None:
    """Raise NoWitness for what Pillow shows wrongly or not at all, and does not always say so."""
    tags = image.tag_v2  # type: ignore[attr-defined]  # of TIFF's plugin
    bits = set(tags.get(_BITS, (1,)))
    kinds = set(tags.get(_SAMPLE_FORMAT, (_UNSIGNED,)))
    photometric = tags.get(_PHOTOMETRIC, 0)
    if bits <= {1, 2, 4, 8} and kinds == {_UNSIGNED}:
        if photometric == _YCBCR and tags.get(_COMPRESSION) not in _JPEGS:
            raise NoWitness("Pillow reads no YCbCr but JPEG's")
        return
    chunky = tags.get(_PLANAR, 1) == 1
    if bits == {16} and kinds == {_UNSIGNED} and chunky and photometric != _WHITE_IS_ZERO:
        return
    if bits == {32} and kinds == {_FLOAT} and image.mode == "F":
        return
    raise NoWitness("Pillow reads no TIFF of these samples")
