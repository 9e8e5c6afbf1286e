"""Cells of what scanners, photo editors, archives and the printing trade have: TIFF, JP2, PSD."""

from __future__ import annotations

from itertools import chain, product
from typing import TYPE_CHECKING, Any, Unpack

import numpy as np

from tests.support.cells import cell
from tests.support.cells.cell import ALL, COARSE, EDGES, WHITES, many, turned
from tests.support.files import foreign_writers as made_by
from tests.support.files import plain_writers as plain
from tests.support.judges.likeness import EXACT, Bounds
from tests.support.running.capabilities import Capability

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.cells.cell import Cell, Rest
    from tests.support.files.foreign_writers import Writer
    from tests.support.files.pairs import Pair

_tif = made_by.tiff
_EVERYBODY = "tifffile imagemagick pillow gdk-pixbuf"
_PROGRAMS = "imagemagick gdk-pixbuf pillow"
#: Whatever has a profile: floating point without one is a hole.
_PROFILED = "srgb adobe p3 prophoto linear"


def cells() -> Iterator[Cell]:
    """Yield them all."""
    return chain(
        _tiff_samples(), _tiff_colours(), _tiff_jpegs(), _tiff_layouts(), _jp2(), _psd()
    )  # fmt: skip


def _many(modes: str, depths: str, write: Writer, by: str, **rest: Unpack[Rest]) -> Iterator[Cell]:
    rest["extension"] = "tif"
    return cell.many("tiff", modes, depths, write, by, **rest)


def _tiff_samples() -> Iterator[Cell]:
    yield from _many("grey", "2 4 8 12 16", _tif(), _EVERYBODY, profiles=ALL)
    yield from _many("grey", "32", _tif(), _EVERYBODY, profiles=ALL)
    yield from _many("grey", "float", _tif(), _EVERYBODY, profiles="grey linear")
    yield from _many("grey+alpha", "8 16", _tif(), _EVERYBODY, profiles=ALL)
    white = _tif("miniswhite")
    yield from _many("grey", "1 8 16", white, _EVERYBODY, variant="miniswhite")
    yield from _many("rgb", "8 12 16", _tif(), _EVERYBODY, profiles=ALL)
    yield from _many("rgb", "2 4 10 14", _tif(), _EVERYBODY)
    yield from _many("rgb", "32", _tif(), _EVERYBODY, profiles="none adobe")
    yield from _many("rgba", "8 16", _tif(), _EVERYBODY, profiles=ALL)
    yield from _many("rgb rgba", "float", _tif(), _EVERYBODY, profiles=_PROFILED)
    half = _tif(as_dtype="float16")
    yield from _many("rgb", "float", half, _EVERYBODY, variant="half", profiles=_PROFILED)
    mixed = _tif(extra="assocalpha")
    yield from _many(
        "rgba", "8 16", mixed, _EVERYBODY, variant="premultiplied", pair_bounds=COARSE
    )  # fmt: skip
    yield from _many("grey", "16", _signed_grey, "", variant="signed")
    for photometric in ("minisblack", "miniswhite"):
        write = _tif(photometric)
        yield from _many("bilevel", "1", write, _EVERYBODY, variant=photometric, bounds=EDGES)
    for codec in ("group3", "group4", "tiff_ccitt", "packbits", "tiff_lzw"):
        write = made_by.pillow("TIFF", compression=codec)
        yield from _many("bilevel", "1", write, _PROGRAMS, variant=codec, bounds=EDGES)


def _tiff_colours() -> Iterator[Cell]:
    inks = _tif("separated")
    yield from _many("cmyk cmyk+alpha", "8 16", inks, _EVERYBODY, profiles="press")
    planes = _tif("separated", planar=True)
    yield from _many("cmyk", "8", planes, _EVERYBODY, profiles="press", variant="planar")
    yield from _many("palette", "1 2 4 8", plain.palette_tiff, _EVERYBODY)
    # As TIFF 6.0 has it; the unsigned kind (ICCLab) is read by nobody at hand.
    yield from _many("lab", "8 16", _signed_lab, _PROGRAMS, pair_bounds=WHITES)
    yield from _many("lab+alpha", "8 16", _signed_lab, "imagemagick tifffile", pair_bounds=WHITES)
    by = "gdk-pixbuf imagemagick tifffile"
    yield from _many("ycbcr", "8", _tif("ycbcr", subsampling=(1, 1)), by)
    packed = _tif("ycbcr", compression="lzw", subsampling=(1, 1))
    yield from _many("ycbcr", "8", packed, by, variant="lzw")
    yield from _many("ycbcr", "8", plain.subsampled_tiff, by, variant="420", pair_bounds=COARSE)
    # libtiff makes a gamma of 2 of it.
    rough = Bounds(colour_levels=11, block_levels=24)
    by = "gdk-pixbuf imagemagick"
    yield from _many("rgb", "float", plain.logluv_tiff, by, variant="logluv", bounds=rough)


def _tiff_jpegs() -> Iterator[Cell]:
    level = {"level": 95}
    for name, subsampling in {"444": (1, 1), "420": (2, 2)}.items():
        write = _tif("rgb", compression="jpeg", compressionargs=level, subsampling=subsampling)
        yield from _many(
            "rgb", "8", write, _PROGRAMS, variant="jpeg-" + name, profiles="none adobe", lossy=True
        )
    write = _tif(compression="jpeg", compressionargs=level)
    yield from _many("grey", "8", write, _PROGRAMS, variant="jpeg", lossy=True)
    for name in ("old-jpeg", "old-jpeg-strips"):

        def old(stored: Pair, *, strips: bool = name.endswith("strips")) -> bytes:
            jpeg = made_by.jpeg8(subsampling="444")(stored)
            return plain.old_jpeg_tiff(stored, jpeg, strips=strips)

        yield from _many("grey rgb", "8", old, "gdk-pixbuf pillow", variant=name, lossy=True)


def _tiff_layouts() -> Iterator[Cell]:
    for codec in ("lzw", "zlib", "packbits", "zstd", "lzma"):
        write = _tif(compression=codec)
        yield from _many("rgb", "8", write, _EVERYBODY, variant=codec)
    for codec, level in {"webp": 100, "jpeg2000": 0}.items():
        write = _tif(compression=codec, compressionargs={"level": level})
        yield from _many("rgb", "8", write, _EVERYBODY, variant=codec)
    write = _tif(compression="jpeg2000", compressionargs={"level": 0}, tile=(64, 64))
    yield from _many("grey rgb rgba", "8 16", write, "tifffile", variant="jpeg2000-tiled")
    for codec in ("lzw", "zlib"):
        name = codec + "-predictor"
        write = _tif(compression=codec, predictor=True)
        yield from _many("grey rgb", "8 16", write, _EVERYBODY, variant=name)
        yield from _many("rgb", "float", write, _EVERYBODY, variant=name, profiles="srgb")
    layouts: dict[str, dict[str, Any]] = {
        "tiled": {"tile": (64, 64)},
        "planar": {"planar": True},
        "tiled-planar": {"tile": (64, 64), "planar": True},
        "strips": {"rowsperstrip": 7},
        "big-endian": {"byteorder": ">"},
        "bigtiff": {"bigtiff": True},
    }
    for name, options in layouts.items():
        write = _tif(**options)
        yield from _many("rgb", "8 16", write, _EVERYBODY, variant=name, profiles="none adobe")
        yield from _many("rgba", "8 16", write, _EVERYBODY, variant=name)
    yield from turned("tiff", "tag", _tif(), _EVERYBODY, extension="tif")
    tiles, jpeg = _tif(tile=(64, 64)), _tif(compression="jpeg")
    yield from turned("tiff", "tag", tiles, _EVERYBODY, (3, 6), variant="tiled", extension="tif")
    yield from turned(
        "tiff", "tag", jpeg, _EVERYBODY, (3, 6), variant="jpeg", lossy=True, extension="tif"
    )


def _signed_lab(stored: Pair) -> bytes:
    """CIELab of TIFF: a and b are signed, of 16 bits 256 to a unit (TIFF technical note 4)."""
    ab = stored.samples[..., 1:3].astype(np.float64) / stored.most * 255 - 128
    samples = stored.samples.copy()
    if samples.dtype == np.uint8:
        samples[..., 1:3] = np.rint(ab).astype(np.int8).view(np.uint8)
    else:
        samples[..., 1:3] = np.rint(ab * 256).astype(np.int16).view(np.uint16)
    return made_by.tiff("cielab")(stored._replace(samples=samples))


def _signed_grey(stored: Pair) -> bytes:
    """Signed samples: black is the lowest of them. No program at hand shows them so."""
    lowered = stored.samples.astype(np.int32) - 32768
    return made_by.tiff(as_dtype="int16")(stored._replace(samples=lowered))


def _jp2() -> Iterator[Cell]:
    # ImageMagick is three times as fast, and hands over no profile.
    by = "imagemagick opj_decompress"

    def covered(stored: Pair) -> bytes:
        return plain.jp2(stored, alpha=True)

    def bare(stored: Pair) -> bytes:
        return plain.jp2(stored, bare=True)

    def lossy(stored: Pair) -> bytes:
        return plain.jp2(stored, level=40, reversible=False)

    yield from many("jp2", "grey rgb", "8 10 12 16", plain.jp2, by, profiles=ALL)
    yield from many("jp2", "grey", "1 4", plain.jp2, by)
    yield from many("jp2", "grey+alpha rgba", "8 16", covered, by, profiles=ALL)
    yield from many("jp2", "palette", "8", plain.jp2, by)
    yield from many("jp2", "grey rgb", "8 16", bare, by, variant="bare", extension="j2k")
    yield from many(
        "jp2", "ycbcr", "8",
        lambda stored: plain.jp2(stored, enumerated=plain.SYCC, mct=False), by,
    )  # fmt: skip
    yield from many("jp2", "rgb", "8", lossy, by, variant="lossy", lossy=True)
    # What no program at hand shows as its numbers say: inks by their profile, and CIELab.
    yield from many("jp2", "cmyk", "8 16", plain.jp2, "", profiles="press")
    yield from many(
        "jp2", "lab", "8 16", lambda stored: plain.jp2(stored, enumerated=plain.CIELAB), ""
    )
    # Sizes that are rounded differently at each of the stored resolutions.
    for edges_px in ((1203, 901), (1025, 770)):
        size = "{}x{}".format(*edges_px)
        yield from many("jp2", "rgb", "8 16", plain.jp2, by, variant=size, edges_px=edges_px)
        yield from many("jp2", "rgba", "8 16", covered, by, variant=size, edges_px=edges_px)
    tiled = made_by.program(["opj_compress", "-i", "IN", "-o", "OUT", "-t", "128,128"], "jp2")
    yield from many("jp2", "rgb", "8", tiled, by, variant="tiled", needs=Capability.JP2_TOOLS)


def _psd() -> Iterator[Cell]:
    by = "psd-tools imagemagick"
    kinds = {"grey": "none grey", "rgb": "none adobe", "cmyk": "press", "lab": "none"}
    for packed_by, (mode, profiles) in product(("", "packbits"), kinds.items()):
        how = packed_by or "raw"
        theirs = WHITES if mode == "lab" else EXACT
        write = _psd_by(mode, packed_by=packed_by)
        yield from many(
            "psd", mode, "8 16", write, by, variant=how, profiles=profiles, pair_bounds=theirs
        )
        # A second channel of grey is transparency to every program at hand.
        for extra in (1, 2) if mode != "grey" else ():
            name = f"{how}-{extra}-selections"
            write = _psd_by(mode, packed_by=packed_by, extra=extra)
            few = profiles.split()[0]
            yield from many(
                "psd", mode, "8", write, by, variant=name, profiles=few, pair_bounds=theirs
            )
    for packed_by in ("", "packbits"):
        how = packed_by or "raw"
        # The white that inks and Lab are mixed with below an alpha is taken off by nobody at hand;
        # to a reader they are the same as a saved selection but for the sign of a number.
        for mode, colours in {"rgba": "rgb", "grey+alpha": "grey"}.items():
            write = _psd_by(colours, alpha=True, packed_by=packed_by)
            yield from many("psd", mode, "8 16", write, by, variant=how, pair_bounds=COARSE)
            write = _psd_by(colours, alpha=True, packed_by=packed_by, extra=1)
            name = how + "-1-selections"
            yield from many("psd", mode, "8", write, by, variant=name, pair_bounds=COARSE)
        write = _psd_by("bilevel", packed_by=packed_by)
        yield from many("psd", "bilevel", "1", write, by, variant=how, bounds=EDGES)
        write = _psd_by("palette", packed_by=packed_by)
        yield from many("psd", "palette", "8", write, "psd-tools", variant=how)
    for mode in ("grey", "rgb"):
        yield from many("psd", mode, "float", _psd_by(mode), by, profiles="linear")
    # Photoshop writes no merged picture so, other programs do. ImageMagick 6 reads none of it.
    for mode, how in product(("grey", "rgb", "cmyk"), ("deflated", "predicted")):
        write = _psd_by(mode, packed_by=how)
        of = "press" if mode == "cmyk" else "none"
        yield from many("psd", mode, "8 16", write, "psd-tools", variant=how, profiles=of)
        if mode != "cmyk":
            yield from many(
                "psd", mode, "float", write, "", variant=how, profiles="linear"
            )  # fmt: skip
    # Nobody at hand reads inks and Lab of 32 bits: a rare program may write what Photoshop cannot.
    yield from many("psd", "cmyk", "float", _psd_by("cmyk"), "", profiles="press")
    big = _psd_by("rgb", big=True, packed_by="packbits")
    yield from many("psb", "rgb", "8", big, by)
    # ImageMagick 7 and KDE turn them; what stands in Debian 12 does not.
    yield from turned(
        "psd", "exif",
        lambda stored: plain.psd(stored, "rgb", orientation=stored.orientation), "", (3, 6, 8),
    )  # fmt: skip


def _psd_by(mode: str, **options: Any) -> Writer:
    return lambda stored: plain.psd(stored, mode, **options)
