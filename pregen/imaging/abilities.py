"""What this installation reads: each format, by which library, or what it lacks. For people.

Imports every decoder there is, which takes half a second: nothing for a run.
"""

from __future__ import annotations

from importlib import import_module, metadata
from typing import TYPE_CHECKING, NamedTuple

from PIL import features

from pregen import __version__
from pregen.imaging import compiled, sniff
from pregen.imaging.decoders import libwebp, openjpeg
from pregen.imaging.faults import NeedsExtra
from pregen.imaging.runtime import pyvips
from pregen.imaging.thumbnail import decoder_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pregen.imaging.formats import Format

#: Decoder -> the distribution whose version tells what it can.
_DISTRIBUTIONS = {
    "jpeg": "simplejpeg",
    "pillow": "pillow",
    "avif": "pillow",
    "jpeg2000": "pillow",
    "bmp": "numpy",
    "netpbm": "numpy",
    "pcx": "numpy",
    "radiance": "numpy",
    "fits": "numpy",
    "xpm": "numpy",
    "blend": "numpy",
    "dds": "pillow",
    "psd": "numpy",
    "heic": "pillow-heif",
    "raw": "rawpy",
    "video": "av",
    "pdf": "pypdfium2",
    "jxl": "pylibjxl",
}
#: Decoders that hand a stored picture to the others.
_FINDERS = frozenset({"archive", "stored"})
#: What a build of Pillow or libvips may lack, by format.
_OF_PILLOW = {"avif": "avif"}
_OF_VIPS = {"png": "png", "gif": "gif", "webp": "webp", "tiff": "tiff", "svg": "svg"}


class Ability(NamedTuple):
    """One format, and whether it is read here."""

    name: str
    mimes: tuple[str, ...]
    reads: bool
    library: str = ""
    """Name and version apart; both empty where it is not read."""
    version: str = ""
    extra: str = ""
    """The extra that it belongs to; empty for what the core reads, or nothing does."""
    trouble: str = ""
    """Why it is not read; empty when it is."""


def abilities() -> list[Ability]:
    """Return every format that pregen knows by its content, the frequent ones first."""
    kinds: dict[tuple[str, str, str], list[Format]] = {}
    for found in sniff.FORMATS:
        kinds.setdefault((found.name, found.decoder, found.extra), []).append(found)
    return [_ability(formats) for formats in kinds.values()]


def _ability(formats: list[Format]) -> Ability:
    first = formats[0]
    mimes = tuple(dict.fromkeys(each.mime for each in formats))
    bare = Ability(first.name, mimes, reads=False, extra=first.extra)
    if not first.decoder:
        return bare._replace(trouble="not supported" if not first.extra else "not supported yet")
    try:
        decoder_of(first)
    except NeedsExtra as needs:
        return bare._replace(trouble=str(needs))
    if first.decoder == "raw":
        try:
            import_module("pregen.imaging.decoders.libraw")
        except ImportError:
            return bare._replace(trouble="embedded previews only; needs pregen[raw] for the rest")
    library, version = _library(first.decoder)
    if _was_left_out(first):
        return bare._replace(trouble=f"this build of {library} {version} cannot read it")
    return bare._replace(reads=True, library=library, version=version)


def _library(decoder: str) -> tuple[str, str]:
    if decoder == "jpeg" and compiled.IS_HERE:
        return "pregen", __version__
    if decoder in _DISTRIBUTIONS:
        name = _DISTRIBUTIONS[decoder]
        return name, metadata.version(name)
    if decoder in _FINDERS:
        return "pregen", __version__
    if decoder == "webp" and (number := libwebp.version()):
        return "libwebp", number
    return "libvips", ".".join(str(pyvips.version(part)) for part in range(3))


def _was_left_out(found: Format) -> bool:
    if found.decoder in {"pillow", "avif"} and found.name in _OF_PILLOW:
        return not features.check(_OF_PILLOW[found.name])
    if found.decoder == "jpeg2000":
        return not openjpeg.is_there()
    if found.decoder in {"png", "svg", "tiff", "vips", "webp"} and found.name in _OF_VIPS:
        return not pyvips.type_find("VipsForeign", f"{_OF_VIPS[found.name]}load")
    return False


def missing_extras(found: Iterable[Ability]) -> list[str]:
    """Return the extras that would add to what is read."""
    return sorted({each.extra for each in found if each.extra and not each.reads})
