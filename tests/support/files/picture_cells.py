"""Every kind of picture: the table of pairs, one cell for each, and the holes in it with a reason.

A cell names what is stored, who writes it, and which foreign decoders are to agree that the file
shows what it must. What pregen makes of it today is the tests' matter (tests/pictures).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from tests.support.files import foreign_writers as made_by
from tests.support.files import plain_writers as plain
from tests.support.files.foreign_writers import deep_png
from tests.support.files.pairs import PROFILES, pair
from tests.support.judges.likeness import EXACT, Bounds
from tests.support.running.capabilities import Capability

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tests.support.files.foreign_writers import Writer
    from tests.support.files.pairs import Pair

_IMAGEMAGICK, _GDK = Capability.IMAGEMAGICK, Capability.GDK_PIXBUF
#: What a decoder of a list needs of the machine; libraries are there with the suite.
NEEDS = {
    "imagemagick": _IMAGEMAGICK, "gdk-pixbuf": _GDK, "djxl": Capability.JXL_TOOLS,
    "avifdec": Capability.AVIF_TOOLS, "heif-convert": Capability.HEIF_TOOLS,
    "opj_decompress": Capability.JP2_TOOLS, "ffmpeg": Capability.FFMPEG,
}  # fmt: skip

#: A picture of two colours is all edges, and each way to reduce treats them in its own.
EDGES = Bounds(colour_levels=3.0, block_levels=30.0)
#: 8 bits of linear light are coarse in the shadows; so are programs that go through them.
COARSE = Bounds(block_levels=12.0)
#: Coded with loss: held to the foreign decode by `EXACT`, to the painting by this.
LOSSY = Bounds(colour_levels=3.0, block_levels=14.0, alpha_levels=2.5)
#: Programs disagree about the white point of Lab: CIE's D50, or TIFF's default, or D65.
WHITES = Bounds(colour_levels=5.0, block_levels=24.0)
#: Without a profile everybody has inks of their own: place and shape count, colours roughly.
INKS = Bounds(colour_levels=45.0, block_levels=150.0)


@dataclass(frozen=True)
class Cell:
    """One kind of picture."""

    file_format: str
    extension: str
    mode: str
    bits: str
    profile: str
    variant: str
    write: Writer
    readers: tuple[str, ...]
    orientation: int = 1
    """As EXIF counts."""
    place: str = ""
    """Where in the file the orientation stands."""
    edges_px: tuple[int, int] = (320, 240)
    bounds: Bounds = EXACT
    """Ours against what it must look like."""
    pair_bounds: Bounds = EXACT
    """The foreign decoder's."""
    lossy: bool = False
    """Compared with the foreign decode besides."""
    needs: tuple[Capability, ...] = field(default=())

    @property
    def name(self) -> str:
        """Unique, and the file's name without its extension."""
        turned = f"{self.place}{self.orientation}" if self.place else ""
        parts = (self.file_format, self.mode, self.bits, self.profile, self.variant, turned)
        return "-".join(part for part in parts if part)

    def pair(self) -> Pair:
        """What is stored, and what it must look like."""
        return pair(self.mode, self.bits, self.profile, self.edges_px, self.orientation)


def cells() -> list[Cell]:
    """Return the whole table."""
    made = (
        *_png(), *_jpeg(), *_tiff(), *_webp(), *_gif(), *_jxl(), *_avif(), *_heic(), *_jp2(),
        *_psd(), *_bmp(), *_small_old(), *_new(), *_films(),
    )  # fmt: skip
    names = [cell.name for cell in made]
    twice = {name for name in names if names.count(name) > 1}
    if twice:
        raise ValueError(f"two cells of one name: {twice}")
    return list(made)


_GREYS = ("none", "grey", "linear")
_COLOURS = tuple(profile for profile in PROFILES if profile != "grey")


def _profiles(mode: str) -> tuple[str, ...]:
    return _GREYS if mode.startswith("grey") else _COLOURS


def _coarse(profile: str, bits: str) -> Bounds:
    return COARSE if profile == "linear" and bits == "8" else EXACT


def _many(
    file_format: str,
    modes: Sequence[str],
    depths: Sequence[str],
    write: Writer,
    readers: str,
    *,
    profiles: Sequence[str] | None = None,
    variant: str = "",
    lossy: bool = False,
    bounds: Bounds | None = None,
    pair_bounds: Bounds | None = None,
    needs: tuple[Capability, ...] = (),
    extension: str = "",
    edges_px: tuple[int, int] = (320, 240),
) -> Iterator[Cell]:
    """Yield a cell for each mode, depth and profile."""
    for mode in modes:
        for bits in depths:
            for profile in _profiles(mode) if profiles is None else profiles:
                fits = bounds or (LOSSY if lossy else _coarse(profile, bits))
                yield Cell(
                    file_format, extension or file_format, mode, bits, profile, variant, write,
                    tuple(readers.split()), bounds=fits, pair_bounds=pair_bounds or fits,
                    lossy=lossy, needs=needs, edges_px=edges_px,
                )  # fmt: skip


def _turned(
    file_format: str,
    place: str,
    write: Writer,
    readers: str,
    *,
    orientations: Sequence[int] = range(2, 9),
    variant: str = "",
    lossy: bool = False,
    pair_bounds: Bounds | None = None,
    needs: tuple[Capability, ...] = (),
    extension: str = "",
    mode: str = "rgb",
    edges_px: tuple[int, int] = (320, 240),
) -> Iterator[Cell]:
    """Yield a cell for each orientation."""
    for orientation in orientations:
        fits = LOSSY if lossy else EXACT
        yield Cell(
            file_format, extension or file_format, mode, "8", "none", variant, write,
            tuple(readers.split()), orientation, place, edges_px, fits, pair_bounds or fits,
            lossy, needs,
        )  # fmt: skip


def _png() -> Iterator[Cell]:
    readers = "pillow imagemagick"
    yield from _many("png", ("grey",), ("1", "2", "4", "8", "16"), plain.png, readers)
    yield from _many("png", ("grey+alpha", "rgb", "rgba"), ("8", "16"), plain.png, readers)
    yield from _many("png", ("palette",), ("1", "2", "4", "8"), plain.png, readers)
    yield from _many("png", ("palette+alpha",), ("2", "4", "8"), plain.png, readers, profiles=("none",))
    yield from _many("png", ("bilevel",), ("1",), plain.png, readers, profiles=("none",), bounds=EDGES)
    yield from _many(
        "png", ("rgb",), ("8", "16"), lambda stored: plain.png(stored, srgb=True), readers,
        profiles=("none",), variant="srgb-chunk",
    )  # fmt: skip
    for place in ("before", "behind", "text"):
        yield from _turned(
            "png", place, lambda stored, place=place: plain.png(stored, eexif=place), "pillow",
            orientations=(3, 6) if place == "text" else range(2, 9),
        )  # fmt: skip
    write = made_by.magick("png", "-interlace", "PNG")
    yield from _many(
        "png", ("rgba",), ("8", "16"), write, readers, profiles=("none", "adobe"),
        variant="interlaced", needs=(_IMAGEMAGICK,),
    )  # fmt: skip


def _jpeg() -> Iterator[Cell]:
    readers = "pillow imagemagick"
    full = made_by.pillow("JPEG", quality=97, subsampling=0)
    yield from _many("jpeg", ("grey", "rgb"), ("8",), full, readers, lossy=True)
    for name, options in {
        "420": {"subsampling": 2}, "422": {"subsampling": 1}, "progressive": {"progressive": True},
        "restarts": {"restart_marker_blocks": 3}, "rgb-stored": {"keep_rgb": True},
    }.items():  # fmt: skip
        write = made_by.pillow("JPEG", quality=97, **options)
        for edges_px in ((320, 240), (1203, 901)):
            size = "" if edges_px[0] < 1000 else "-large"  # noqa: PLR2004 - more than twice an entry
            yield from _many(
                "jpeg", ("rgb",), ("8",), write, readers, profiles=("none", "p3"),
                variant=name + size, lossy=True, edges_px=edges_px,
            )  # fmt: skip
    yield from _many(
        "jpeg", ("cmyk",), ("8",), made_by.pillow("JPEG", _mode="CMYK", quality=97, subsampling=0), readers,
        profiles=("press",), lossy=True,
    )  # fmt: skip
    yield from _many(
        "jpeg", ("cmyk",), ("8",),
        made_by.jpeg8(colorspace="CMYK", outcolorspace="YCCK", inverted=True), readers,
        profiles=("press",), variant="ycck", lossy=True,
    )  # fmt: skip
    yield from _many(
        "jpeg", ("grey", "rgb"), ("12",), made_by.jpeg8(bitspersample=12), "jpeg12", lossy=True,
        profiles=("none",),
    )  # fmt: skip
    for edges_px in ((320, 240), (1203, 901)):
        size = "" if edges_px[0] < 1000 else "-large"  # noqa: PLR2004 - more than twice an entry
        yield from _many(
            "jpeg", ("grey", "rgb"), ("8", "16"), made_by.jpeg8(lossless=True), "ljpeg",
            profiles=("none",), variant="lossless" + size, edges_px=edges_px,
        )  # fmt: skip
    for edges_px in ((320, 240), (1203, 901)):
        size = "" if edges_px[0] < 1000 else "large"  # noqa: PLR2004 - more than twice an entry
        yield from _turned(
            "jpeg", "exif", made_by.jpeg8(exif=True), readers, variant=size, lossy=True, edges_px=edges_px
        )


def _tiff() -> Iterator[Cell]:  # noqa: C901 - a table
    tif = made_by.tiff
    readers = "tifffile imagemagick pillow gdk-pixbuf"
    others = "imagemagick gdk-pixbuf pillow"

    def many(
        modes: Sequence[str], depths: Sequence[str], write: Writer, variant: str = "", *,
        profiles: Sequence[str] | None = None, lossy: bool = False, bounds: Bounds | None = None,
        pair_bounds: Bounds | None = None, by: str = readers, needs: tuple[Capability, ...] = (),
        edges_px: tuple[int, int] = (320, 240),
    ) -> Iterator[Cell]:  # fmt: skip
        return _many(
            "tiff", modes, depths, write, by, profiles=profiles, variant=variant, lossy=lossy,
            bounds=bounds, pair_bounds=pair_bounds, needs=needs, extension="tif", edges_px=edges_px,
        )  # fmt: skip

    plain_only = ("none",)
    yield from many(("grey",), ("2", "4", "8", "12", "16"), tif())
    yield from many(("grey",), ("32", "float"), tif(), profiles=("grey", "linear"))
    yield from many(("grey",), ("32",), tif(), profiles=plain_only)
    yield from many(("grey+alpha",), ("8", "16"), tif())
    yield from many(("grey",), ("1", "8", "16"), tif("miniswhite"), "miniswhite", profiles=plain_only)
    yield from many(("rgb",), ("8", "12", "16"), tif())
    yield from many(("rgb",), ("2", "4", "10", "14"), tif(), profiles=plain_only)
    yield from many(("rgba",), ("8", "16"), tif())
    yield from many(("rgb", "rgba"), ("float",), tif(), profiles=_COLOURS[1:])
    yield from many(("rgb",), ("32",), tif(), profiles=("none", "adobe"))
    yield from many(
        ("rgb",), ("float",), tif(as_dtype="float16"), "half", profiles=_COLOURS[1:]
    )  # fmt: skip
    yield from many(
        ("rgba",), ("8", "16"), tif(extra="assocalpha"), "premultiplied", profiles=plain_only,
        bounds=COARSE,
    )  # fmt: skip
    yield from many(("cmyk",), ("8", "16"), tif("separated"), profiles=("press",))
    yield from many(("cmyk+alpha",), ("8", "16"), tif("separated"), profiles=("press",))
    yield from many(("palette",), ("1", "2", "4", "8"), plain.palette_tiff, profiles=plain_only)
    # Lab: as TIFF 6.0 has it (a and b signed) and as ICC has it (unsigned).
    signed = _signed_lab
    yield from many(("lab",), ("8", "16"), signed("cielab"), profiles=plain_only, by=others, pair_bounds=WHITES, bounds=WHITES)
    yield from many(("lab+alpha",), ("8", "16"), signed("cielab"), profiles=plain_only, by="imagemagick tifffile", pair_bounds=WHITES, bounds=WHITES)
    yield from many(("lab",), ("8", "16"), tif("icclab"), "icclab", profiles=plain_only, by="imagemagick gdk-pixbuf", pair_bounds=WHITES, bounds=WHITES)
    # YCbCr without JPEG.
    ycc: dict[str, object] = {"subsampling": (1, 1)}
    by = "gdk-pixbuf imagemagick tifffile"
    yield from many(("ycbcr",), ("8",), tif("ycbcr", **ycc), profiles=plain_only, by=by)
    yield from many(("ycbcr",), ("8",), tif("ycbcr", compression="lzw", **ycc), "lzw", profiles=plain_only, by=by)
    yield from many(("ycbcr",), ("8",), plain.subsampled_tiff, "420", profiles=plain_only, by=by, bounds=COARSE)
    # JPEG within, new and old.
    for name, subsampling in {"444": (1, 1), "420": (2, 2)}.items():
        write = tif("rgb", compression="jpeg", compressionargs={"level": 95}, subsampling=subsampling)
        yield from many(("rgb",), ("8",), write, "jpeg-" + name, profiles=("none", "adobe"), lossy=True, by=others)
    yield from many(("grey",), ("8",), tif(compression="jpeg", compressionargs={"level": 95}), "jpeg", profiles=plain_only, lossy=True, by=others)
    for strips in (True, False):
        yield from many(
            ("grey", "rgb"), ("8",),
            lambda stored, strips=strips: plain.old_jpeg_tiff(
                stored, made_by.jpeg8(subsampling="444")(stored._replace(icc=b"")), strips=strips
            ),
            "old-jpeg" + ("-strips" if strips else ""), profiles=plain_only, lossy=True, by="gdk-pixbuf pillow",
        )  # fmt: skip
    yield from many(("rgb",), ("float",), plain.logluv_tiff, "logluv", profiles=plain_only, by="gdk-pixbuf imagemagick", bounds=Bounds(colour_levels=11, block_levels=16))
    # Ways to store samples.
    codecs = ("lzw", "zlib", "packbits", "zstd", "lzma", "webp", "jpegxl", "jpeg2000")
    for codec in codecs:
        args = {"compressionargs": {"level": 100 if codec in {"webp"} else 0}} if codec in {"webp", "jpegxl", "jpeg2000"} else {}
        write = tif(compression=codec, **args)
        yield from many(("rgb",), ("8",), write, codec, profiles=plain_only, by=readers)
    for codec in ("lzw", "zlib"):
        yield from many(("rgb", "grey"), ("8", "16"), tif(compression=codec, predictor=True), codec + "-predictor", profiles=plain_only)
    yield from many(("rgb",), ("float",), tif(compression="zlib", predictor=True), "zlib-predictor", profiles=("srgb",))
    layouts = {
        "tiled": {"tile": (64, 64)}, "planar": {"planar": True},
        "tiled-planar": {"tile": (64, 64), "planar": True}, "strips": {"rowsperstrip": 7},
        "big-endian": {"byteorder": ">"}, "bigtiff": {"bigtiff": True},
    }  # fmt: skip
    for name, options in layouts.items():
        for mode in ("rgb", "rgba"):
            yield from many((mode,), ("8", "16"), tif(**options), name, profiles=("none", "adobe") if mode == "rgb" else plain_only)
    yield from many(("cmyk",), ("8",), tif("separated", planar=True), "planar", profiles=("press",))
    yield from many(("grey",), ("16",), _signed_grey, "signed", profiles=plain_only, by="")
    # One bit.
    for photometric in ("minisblack", "miniswhite"):
        yield from many(("bilevel",), ("1",), tif(photometric), photometric, profiles=plain_only, bounds=EDGES)
    for codec in ("group3", "group4", "tiff_ccitt", "packbits", "tiff_lzw"):
        yield from many(("bilevel",), ("1",), made_by.pillow("TIFF", compression=codec), codec, profiles=plain_only, bounds=EDGES, by="imagemagick gdk-pixbuf")
    # Orientation, with what makes readers take another way.
    for name, options in {"": {}, "tiled": {"tile": (64, 64)}, "jpeg": {"compression": "jpeg"}}.items():
        yield from _turned(
            "tiff", "tag", tif(**options), readers, variant=name, lossy=name == "jpeg", extension="tif",
            orientations=range(2, 9) if not name else (3, 6),
        )  # fmt: skip


def _signed_lab(photometric: str) -> Writer:
    """CIELab of TIFF: a and b are signed, of 16 bits 256 to a unit (TIFF technical note 4)."""
    import numpy as np  # noqa: PLC0415 - for one kind

    def write(stored: Pair) -> bytes:
        values = stored.samples.astype(np.float64) / stored.most
        ab = values[..., 1:3] * 255 - 128
        samples = stored.samples.copy()
        if stored.most == 255:  # noqa: PLR2004 - a byte
            samples[..., 1:3] = np.rint(ab).astype(np.int8).view(np.uint8)
        else:
            samples[..., 1:3] = np.rint(ab * 256).astype(np.int16).view(np.uint16)
        return made_by.tiff(photometric)(stored._replace(samples=samples))

    return write


def _signed_grey(stored: Pair) -> bytes:
    """Signed samples: black is the lowest of them."""
    import numpy as np  # noqa: PLC0415 - for one kind

    lowered = (stored.samples.astype(np.int32) - 32768).astype(np.int16)
    return made_by.tiff(as_dtype="int16")(stored._replace(samples=lowered))


def _webp() -> Iterator[Cell]:
    readers = "pillow imagemagick"
    yield from _many("webp", ("rgb", "rgba"), ("8",), made_by.pillow("WEBP", lossless=True, exact=True), readers)
    yield from _many(
        "webp", ("rgb", "rgba"), ("8",), made_by.pillow("WEBP", quality=97), readers,
        profiles=("none", "adobe"), variant="lossy", lossy=True,
    )  # fmt: skip
    yield from _turned("webp", "exif", made_by.pillow("WEBP", exif=True, lossless=True), "pillow")


def _gif() -> Iterator[Cell]:
    readers = "pillow imagemagick gdk-pixbuf"
    yield from _many("gif", ("palette",), ("1", "4", "8"), made_by.pillow("GIF"), readers, profiles=("none",))
    yield from _many(
        "gif", ("palette",), ("8",), made_by.magick("gif", "-interlace", "GIF"), readers,
        profiles=("none",), variant="interlaced", needs=(_IMAGEMAGICK,),
    )  # fmt: skip
    yield from _many(
        "gif", ("palette+alpha",), ("8",), made_by.magick("gif"), readers, profiles=("none",),
        needs=(_IMAGEMAGICK,),
    )  # fmt: skip


def _jxl() -> Iterator[Cell]:
    needs = (Capability.JXL_TOOLS,)
    for mode in ("grey", "grey+alpha", "rgb", "rgba"):
        yield from _many(
            "jxl", (mode,), ("8", "16"), made_by.cjxl("-d", "0"), "djxl", needs=needs,
            bounds=COARSE, variant="lossless",
        )  # fmt: skip
        yield from _many(
            "jxl", (mode,), ("8",), made_by.cjxl("-d", "0.3"), "djxl", needs=needs, lossy=True,
            variant="lossy",
        )  # fmt: skip
    for name, before in {"10": "ppm", "12": "ppm"}.items():
        yield from _many(
            "jxl", ("grey", "rgb"), (name,), made_by.cjxl("-d", "0", source=plain.netpbm, before=before),
            "djxl", needs=needs, profiles=("none",), variant="lossless",
        )  # fmt: skip
    yield from _many(
        "jxl", ("rgba", "grey+alpha"), ("8",), made_by.cjxl("-d", "0", "--premultiply=1"), "djxl",
        profiles=("none",), variant="premultiplied", needs=needs, bounds=COARSE,
    )  # fmt: skip
    for kind, write in {
        "p3-by-number": made_by.cjxl("-d", "0.3", "-x", "color_space=RGB_D65_DCI_Rel_SRG", source=_without_icc),
        "linear-by-number": made_by.cjxl("-d", "0.3", "-x", "color_space=RGB_D65_SRG_Rel_Lin", source=_without_icc),
    }.items():
        yield from _many(
            "jxl", ("rgb",), ("16",), write, "djxl", profiles=(kind.split("-")[0],),
            variant="by-number", needs=needs, lossy=True,
        )  # fmt: skip
    yield from _turned(
        "jxl", "codestream",
        made_by.cjxl("-d", "0", source=lambda stored: deep_png(stored, eexif="before")), "djxl",
        needs=needs,
    )  # fmt: skip
    yield from _many(
        "jxl", ("rgb",), ("8",), made_by.cjxl(source=made_by.pillow("JPEG", quality=97), before="jpg"),
        "djxl", profiles=("none", "adobe"), variant="from-jpeg", needs=needs, lossy=True,
    )  # fmt: skip


def _without_icc(stored: Pair) -> bytes:
    return deep_png(stored._replace(icc=b""))


def _avif() -> Iterator[Cell]:
    needs = (Capability.AVIF_TOOLS,)
    for bits in ("8", "10", "12"):
        yield from _many(
            "avif", ("grey", "grey+alpha", "rgb", "rgba"), (bits,), made_by.avifenc("-d", bits),
            "avifdec", needs=needs, lossy=True,
        )  # fmt: skip
    for yuv in ("420", "422"):
        yield from _many(
            "avif", ("rgb", "rgba"), ("8",), made_by.avifenc("-y", yuv), "avifdec", needs=needs,
            lossy=True, profiles=("none", "p3"), variant=yuv,
        )  # fmt: skip
    yield from _many(
        "avif", ("rgb",), ("8",), made_by.avifenc("-r", "limited"), "avifdec", needs=needs,
        lossy=True, profiles=("none",), variant="limited",
    )  # fmt: skip
    yield from _many(
        "avif", ("rgba",), ("8",), made_by.avifenc("-p"), "avifdec", needs=needs, lossy=True,
        profiles=("none",), variant="premultiplied",
    )  # fmt: skip
    yield from _many(
        "avif", ("rgb",), ("10",), made_by.avifenc("-d", "10", "--cicp", "12/13/6", "--ignore-icc"), "",
        needs=needs, lossy=False, profiles=("p3",), variant="by-number", bounds=LOSSY,
    )  # fmt: skip
    for orientation, arguments in _HEIF_TURNS.items():
        yield from _turned(
            "avif", "irot", made_by.avifenc(*arguments), "avifdec imagemagick", needs=needs, lossy=True,
            orientations=(orientation,),
        )  # fmt: skip
    yield from _turned(
        "avif", "irot", made_by.avifenc("--irot", "3"), "avifdec", needs=needs, lossy=True,
        orientations=(6,), mode="rgba",
    )  # fmt: skip


#: Turned first, then mirrored (ISO 23008-12, 6.5.10 and 6.5.12).
_HEIF_TURNS = {
    2: ("--imir", "1"), 3: ("--irot", "2"), 4: ("--imir", "0"), 5: ("--irot", "1", "--imir", "0"),
    6: ("--irot", "3"), 7: ("--irot", "1", "--imir", "1"), 8: ("--irot", "1"),
}  # fmt: skip


def _heic() -> Iterator[Cell]:
    needs = (Capability.HEIF_TOOLS,)
    for bits in ("8", "10", "12"):
        yield from _many(
            "heic", ("grey", "rgb", "rgba"), (bits,), made_by.heif_enc("-b", bits), "heif-convert imagemagick",
            needs=needs, lossy=True,
        )  # fmt: skip


def _jp2() -> Iterator[Cell]:
    readers, needs = "opj_decompress imagemagick", ()

    def with_alpha(stored: Pair) -> bytes:
        return plain.jp2(stored, alpha=True)

    depths = ("1", "4", "8", "10", "12", "16")
    yield from _many("jp2", ("grey", "rgb"), depths[2:], plain.jp2, readers, needs=needs)
    yield from _many("jp2", ("grey",), ("1", "4"), plain.jp2, readers, profiles=("none",), needs=needs)
    yield from _many("jp2", ("grey+alpha", "rgba"), ("8", "16"), with_alpha, readers, needs=needs)
    yield from _many("jp2", ("palette",), ("8",), plain.jp2, readers, profiles=("none",), needs=needs)
    yield from _many(
        "jp2", ("ycbcr",), ("8",), lambda stored: plain.jp2(stored, enumerated=plain.SYCC, mct=False),
        readers, profiles=("none",), needs=needs,
    )  # fmt: skip
    for mode in ("grey", "rgb"):
        yield from _many(
            "jp2", (mode,), ("8", "16"), lambda stored: plain.jp2(stored, bare=True), readers,
            profiles=("none",), variant="bare", extension="j2k", needs=needs,
        )  # fmt: skip
    for edges_px in ((1203, 901), (1025, 770)):
        for mode in ("rgb", "rgba"):
            yield from _many(
                "jp2", (mode,), ("8", "16"),
                with_alpha if mode == "rgba" else plain.jp2, readers, profiles=("none",),
                variant=f"{edges_px[0]}x{edges_px[1]}", edges_px=edges_px, needs=needs,
            )  # fmt: skip
    yield from _many(
        "jp2", ("rgb",), ("8",), lambda stored: plain.jp2(stored, level=40, reversible=False), readers,
        profiles=("none",), variant="lossy", lossy=True, needs=needs,
    )  # fmt: skip
    yield from _many(
        "jp2", ("rgb",), ("8",), made_by.program(["opj_compress", "-i", "IN", "-o", "OUT", "-t", "128,128"], "jp2"),
        readers, profiles=("none",), variant="tiled", needs=(Capability.JP2_TOOLS,),
    )  # fmt: skip


def _psd() -> Iterator[Cell]:
    both = "imagemagick psd-tools"

    def writer(mode: str, **options: object) -> Writer:
        return lambda stored: plain.psd(stored, mode, **options)  # type: ignore[arg-type]

    for packbits in (False, True):
        how = "packbits" if packbits else "raw"
        for mode in ("grey", "rgb", "cmyk", "lab"):
            colours = {"cmyk": ("press",), "lab": ("none",)}.get(mode)
            yield from _many(
                "psd", (mode,), ("8", "16"), writer(mode, packbits=packbits), both, variant=how,
                profiles=colours or (("none", "adobe") if mode == "rgb" else ("none", "grey")),
                bounds=WHITES if mode == "lab" else None,
            )  # fmt: skip
            for extra in (1, 2):
                yield from _many(
                    "psd", (mode,), ("8",), writer(mode, packbits=packbits, extra=extra), both,
                    variant=f"{how}-{extra}-selections", profiles=colours or ("none",),
                    bounds=WHITES if mode == "lab" else None,
                )  # fmt: skip
        for mode, base in (("rgba", "rgb"), ("grey+alpha", "grey"), ("cmyk+alpha", "cmyk"), ("lab+alpha", "lab")):
            colours = {"cmyk": ("press",)}.get(base, ("none",))
            yield from _many(
                "psd", (mode,), ("8", "16"), writer(base, alpha=True, packbits=packbits), both, variant=how,
                profiles=colours, bounds=WHITES if base == "lab" else COARSE,
            )  # fmt: skip
            yield from _many(
                "psd", (mode,), ("8",), writer(base, alpha=True, packbits=packbits, extra=1), both,
                variant=f"{how}-1-selections", profiles=colours, bounds=WHITES if base == "lab" else COARSE,
            )  # fmt: skip
        yield from _many("psd", ("bilevel",), ("1",), writer("bilevel", packbits=packbits), both, variant=how, profiles=("none",), bounds=EDGES)
        yield from _many("psd", ("palette",), ("8",), writer("palette", packbits=packbits), "psd-tools", variant=how, profiles=("none",))
    yield from _many("psd", ("grey", "rgb"), ("float",), writer_by_mode, both, profiles=("linear",))
    yield from _turned("psd", "exif", lambda stored: plain.psd(stored, "rgb", orientation=stored.orientation), both, orientations=(3, 6, 8))
    yield from _many("psb", ("rgb",), ("8",), writer("rgb", big=True, packbits=True), both, profiles=("none",))


def writer_by_mode(stored: Pair) -> bytes:
    """A PSD of grey or RGB by the number of channels."""
    return plain.psd(stored, "grey" if stored.samples.shape[2] == 1 else "rgb")


_MASKS: dict[str, tuple[str, tuple[int, ...], int]] = {
    "555": ("5", (0x7C00, 0x3E0, 0x1F), 16), "565": ("5", (0xF800, 0x7E0, 0x1F), 16),
    "444": ("4", (0xF00, 0xF0, 0xF), 16), "4444": ("4", (0xF00, 0xF0, 0xF, 0xF000), 16),
    "1555": ("5", (0x7C00, 0x3E0, 0x1F), 16), "1010102": ("10", (0x3FF00000, 0xFFC00, 0x3FF), 32),
    "bgrx": ("8", (0xFF0000, 0xFF00, 0xFF), 32), "rgbx": ("8", (0xFF, 0xFF00, 0xFF0000), 32),
    "xrgb": ("8", (0xFF00, 0xFF0000, 0xFF000000), 32),
    "bgra": ("8", (0xFF0000, 0xFF00, 0xFF, 0xFF000000), 32),
}  # fmt: skip


def _bmp() -> Iterator[Cell]:
    readers = "gdk-pixbuf imagemagick"
    for name, (bits, masks, width) in _MASKS.items():
        for header in ("v3", "v4"):
            yield from _many(
                "bmp", ("rgba" if len(masks) > 3 else "rgb",), (bits,),  # noqa: PLR2004 - with alpha
                lambda stored, masks=masks, width=width, header=header: plain.bmp(stored, masks, width, header=header),
                readers, profiles=("none",), variant=f"{name}-{header}", bounds=COARSE,
            )  # fmt: skip
    yield from _many("bmp", ("rgb",), ("8",), lambda stored: plain.bmp_os2(stored, second=False), readers, profiles=("none",), variant="os2-1")
    yield from _many("bmp", ("rgb",), ("8",), lambda stored: plain.bmp_os2(stored, second=True), readers, profiles=("none",), variant="os2-2")
    yield from _many("bmp", ("rgb",), ("8",), lambda stored: plain.bmp(stored, _MASKS["bgrx"][1], 32, header="v3", down=True), readers, profiles=("none",), variant="top-down")
    need = (_IMAGEMAGICK,)
    yield from _many("bmp", ("rgb",), ("8",), made_by.magick("bmp"), readers, profiles=("none",), variant="24", needs=need)
    yield from _many("bmp", ("palette",), ("4", "8"), made_by.magick("bmp", "-compress", "None", "-type", "Palette"), readers, profiles=("none",), needs=need)
    yield from _many("bmp", ("palette",), ("8",), made_by.magick("bmp", "-compress", "RLE", "-type", "Palette"), readers, profiles=("none",), variant="rle", needs=need)
    yield from _many("bmp", ("bilevel",), ("1",), made_by.magick("bmp", "-type", "Bilevel"), readers, profiles=("none",), needs=need, bounds=EDGES)


def _small_old() -> Iterator[Cell]:
    """TGA, PCX, PNM, QOI, icons."""
    need, none = (_IMAGEMAGICK,), ("none",)
    by = "imagemagick gdk-pixbuf"
    for how in ("None", "RLE"):
        write = made_by.magick("tga", "-compress", how)
        yield from _many("tga", ("grey", "rgb", "rgba", "palette"), ("8",), write, by, profiles=none, variant=how.lower(), needs=need)
    yield from _turned("tga", "origin", _tga_from_the_top, by, orientations=(4,))
    yield from _many("pcx", ("grey", "rgb", "palette"), ("8",), made_by.magick("pcx"), "imagemagick ffmpeg", profiles=none, needs=need)
    yield from _many("pcx", ("palette",), ("4",), made_by.magick("pcx"), "imagemagick ffmpeg", profiles=none, needs=need)
    yield from _many("pcx", ("bilevel",), ("1",), made_by.magick("pcx", "-type", "Bilevel"), "imagemagick ffmpeg", profiles=none, needs=need, bounds=EDGES)
    for is_plain in (False, True):
        write = lambda stored, is_plain=is_plain: plain.netpbm(stored, plain=is_plain)  # noqa: E731
        how = "plain" if is_plain else "raw"
        yield from _many("ppm", ("bilevel",), ("1",), write, by, profiles=none, variant=how, bounds=EDGES)
        yield from _many("ppm", ("grey", "rgb"), ("4", "8", "10", "16"), write, by, profiles=none, variant=how)
    yield from _many("qoi", ("rgb", "rgba"), ("8",), made_by.qoi, "qoi ffmpeg", profiles=none)
    yield from _many("ico", ("rgb", "rgba"), ("8",), made_by.magick("ico"), "imagemagick gdk-pixbuf", profiles=none, needs=need, edges_px=(240, 180))


def _tga_from_the_top(stored: Pair) -> bytes:
    """A TGA whose first row is the lowest, or (bit 5) the topmost: stored upside down here."""
    samples = stored.as_bytes[..., ::-1]
    height_px, width_px = samples.shape[:2]
    head = bytes([0, 0, 2]) + bytes(9) + width_px.to_bytes(2, "little") + height_px.to_bytes(2, "little")
    return head + bytes([24, 0]) + samples.tobytes()


def _new() -> Iterator[Cell]:
    """Formats that pregen does not read yet."""
    need, none, by = (_IMAGEMAGICK,), ("none",), "imagemagick"
    for extension in ("dds", "sgi", "ras", "pam", "pfm", "hdr", "fits", "xpm", "xbm"):
        modes = {"xbm": ("bilevel",), "xpm": ("palette",), "fits": ("grey",), "dds": ("rgba",), "pam": ("rgb", "rgba")}.get(extension, ("rgb",))
        for mode in modes:
            yield from _many(
                extension, (mode,), ("1" if mode == "bilevel" else "8",), made_by.magick(extension), by,
                profiles=none, needs=need,
                bounds=EDGES if mode == "bilevel" else Bounds(10, 40, 10) if extension in {"dds", "hdr", "pfm"} else None,
            )  # fmt: skip
    yield from _many("icns", ("rgba",), ("8",), made_by.pillow("ICNS"), "gdk-pixbuf pillow", profiles=none, edges_px=(256, 256))


def _films() -> Iterator[Cell]:
    need, by = (Capability.FFMPEG,), "ffmpeg"
    x264 = ("-c:v", "libx264", "-crf", "4", "-preset", "ultrafast")
    for name, arguments in {
        "420": ("-pix_fmt", "yuv420p"), "444": ("-pix_fmt", "yuv444p"), "10": ("-pix_fmt", "yuv420p10le"),
        "full": ("-pix_fmt", "yuvj420p"),
    }.items():  # fmt: skip
        yield from _many(
            "mp4", ("rgb",), ("8",), made_by.ffmpeg("mp4", *x264, *arguments), by, profiles=("none",),
            variant=name, lossy=True, needs=need, bounds=Bounds(4, 20),
        )  # fmt: skip
    yield from _many(
        "mkv", ("rgb",), ("8",), made_by.ffmpeg("mkv", *x264, "-vf", "scale=out_color_matrix=bt709", "-colorspace", "bt709", "-pix_fmt", "yuv420p"),
        by, profiles=("none",), variant="bt709", lossy=True, needs=need, bounds=Bounds(4, 20),
    )  # fmt: skip


#: Format, mode, bits, profile by patterns, and why nobody can have such a file, or why it is left
#: out. The first that fits counts; a cell that exists needs none.
HOLES: tuple[tuple[str, str, str, str, str], ...] = (
    ("*", "bilevel", "*", "*", "bilevel is 1 bit without a profile"),
    ("*", "palette", "*", "grey", "a palette holds colours"),
    ("*", "grey*", "*", "[sap]*", "a profile of RGB does not fit grey"),
    ("*", "rgb*", "*", "grey", "a profile of grey does not fit RGB"),
    ("*", "cmyk", "*", "*", "inks have one profile here, the press' (its cells say press); without one no two programs agree on colours"),
    ("*", "lab", "*", "*", "Lab needs no profile; it exists in TIFF and PSD of 8 and 16 bits"),
    ("*", "ycbcr", "*", "*", "stored YCbCr is a matter of TIFF and JPEG 2000 of 8 bits; elsewhere it is how RGB is coded"),
    ("*", "*", "float", "none", "floating point without a profile: programs do not agree whether it is linear"),
    ("png", "*", "10", "*", "PNG has 1, 2, 4, 8 and 16 bits"),
    ("png", "*", "12", "*", "PNG has 1, 2, 4, 8 and 16 bits"),
    ("png", "*", "32", "*", "PNG has 1, 2, 4, 8 and 16 bits"),
    ("png", "*", "float", "*", "PNG has whole numbers only"),
    ("png", "palette", "16", "*", "PNG's palettes have 256 colours at most"),
    ("png", "*", "[124]", "*", "fewer than 8 bits are for grey and palettes"),
    ("jpeg", "*+alpha", "*", "*", "JPEG has no alpha"),
    ("jpeg", "rgba", "*", "*", "JPEG has no alpha"),
    ("jpeg", "palette", "*", "*", "JPEG has no palettes"),
    ("jpeg", "*", "[124]", "*", "JPEG has 8 and 12 bits, lossless up to 16"),
    ("jpeg", "*", "10", "*", "JPEG has 8 and 12 bits, lossless up to 16"),
    ("jpeg", "*", "32", "*", "JPEG has 8 and 12 bits, lossless up to 16"),
    ("jpeg", "*", "float", "*", "JPEG has whole numbers only"),
    ("jpeg", "*", "1[26]", "*", "12 and 16 bits are rare; their cells have no profile"),
    ("tiff", "palette", "*", "*", "a TIFF's palette has up to 8 bits; profiles with palettes are not seen"),
    ("tiff", "*", "[1-4]", "*", "few bits are for grey without colour management, cells without a profile stand for them"),
    ("tiff", "*", "10", "*", "odd depths: cells without a profile stand for them"),
    ("tiff", "*+alpha", "*", "*", "12, 32 bits and floating point with grey and alpha are not seen"),
    ("tiff", "rgba", "*", "*", "12 and 32 bits with alpha are not seen"),
    ("tiff", "*", "32", "*", "whole numbers of 32 bits: cells with one profile stand for all"),
    ("webp", "grey*", "*", "*", "WebP has RGB and RGBA of 8 bits"),
    ("webp", "palette", "*", "*", "WebP has RGB and RGBA of 8 bits"),
    ("webp", "*", "[!8]*", "*", "WebP has RGB and RGBA of 8 bits"),
    ("gif", "[!p]*", "*", "*", "GIF has palettes only"),
    ("gif", "*", "*", "*", "GIF has up to 8 bits, and no profile that anybody writes"),
    ("jxl", "palette", "*", "*", "JPEG XL has no palette that shows"),
    ("jxl", "*", "[124]", "*", "cjxl makes 8 bits of fewer"),
    ("jxl", "*", "1[02]", "*", "netpbm, from which they are made, carries no profile and no alpha"),
    ("jxl", "*", "32", "*", "JPEG XL has up to 24 bits of whole numbers; nobody writes more than 16"),
    ("jxl", "*", "float", "*", "cjxl takes floating point as linear and without a profile"),
    ("avif", "palette", "*", "*", "AVIF has no palettes"),
    ("avif", "*", "[!18]*", "*", "AVIF has 8, 10 and 12 bits"),
    ("avif", "*", "1", "*", "AVIF has 8, 10 and 12 bits"),
    ("avif", "*", "16", "*", "AVIF has 8, 10 and 12 bits"),
    ("heic", "palette", "*", "*", "HEIC has no palettes"),
    ("heic", "grey+alpha", "*", "*", "heif-enc makes RGB of grey with alpha"),
    ("heic", "*", "[!18]*", "*", "HEVC's common profiles have 8, 10 and 12 bits"),
    ("heic", "*", "1", "*", "HEVC's common profiles have 8, 10 and 12 bits"),
    ("heic", "*", "16", "*", "HEVC's common profiles have 8, 10 and 12 bits"),
    ("jp2", "palette", "*", "*", "a palette of 8 bits and no profile stands for all"),
    ("jp2", "*", "32", "*", "OpenJPEG codes up to 26 bits; nobody writes more than 16"),
    ("jp2", "*", "float", "*", "JPEG 2000 has whole numbers only"),
    ("jp2", "*", "[124]", "*", "grey without a profile stands for few bits"),
    ("jp2", "*+alpha", "1[02]", "*", "alpha is tried at 8 and 16 bits"),
    ("jp2", "rgba", "1[02]", "*", "alpha is tried at 8 and 16 bits"),
    ("psd", "*", "[24]", "*", "PSD has 1, 8, 16 and 32 bits"),
    ("psd", "*", "1[02]", "*", "PSD has 1, 8, 16 and 32 bits"),
    ("psd", "*", "1", "*", "one bit is for bilevel"),
    ("psd", "*", "32", "*", "PSD's 32 bits are floating point"),
    ("psd", "*", "float", "*", "floating point is linear light in Photoshop"),
    ("psd", "palette", "*", "*", "palettes have 8 bits; profiles with palettes are not seen"),
    ("psd", "*", "*", "*", "one profile of a kind (none, Adobe RGB, grey gamma) stands for the others: they take the same way as in TIFF"),
    ("bmp", "grey*", "*", "*", "BMP has RGB and palettes"),
    ("bmp", "*", "*", "[!n]*", "profiles of BMP (V5) are read by no desktop"),
    ("bmp", "*", "*", "*", "BMP's pixels have up to 32 bits, by masks of 4, 5, 8 and 10 bits, alpha with 4 and 8"),
    ("tga", "*", "*", "*", "TGA has 8 bits a sample and no profile"),
    ("pcx", "*", "*", "*", "PCX has up to 8 bits a sample, no alpha and no profile"),
    ("ppm", "*", "*", "*", "Netpbm has grey and RGB, no alpha, no profile; 12 bits go the way of 10 and 16"),
    ("qoi", "*", "*", "*", "QOI has RGB and RGBA of 8 bits"),
    ("ico", "*", "*", "*", "icons: 8 bits with and without alpha; few bits are seen in the corpus only"),
)  # fmt: skip

#: Where an orientation can stand, and why there is no cell for it.
PLACES_LEFT_OUT = {
    "XMP tiff:Orientation, in any format": "no desktop reads it; EXIF beside it says the same",
    "JPEG: EXIF behind the pixels": "not allowed, and nobody writes it",
    "HEIC: irot and imir, and EXIF beside them": "tests/imaging/test_heic.py has every mixture",
    "AVIF: EXIF beside irot": "readers must ignore it (MIAF 7.3.6.7); avifenc writes irot for it",
    "JPEG XL: the Exif box": "informative only (ISO 18181-2, 9.3)",
    "JPEG 2000": "no field of its own; EXIF in a uuid box is read by nobody",
    "GIF, BMP, PCX, PNM, QOI, ICO": "no field; a BMP that runs top-down is a variant",
    "camera RAW": "tests/imaging/test_raw.py; no second program at hand develops the same",
    "films": "tests/imaging/test_video.py turns them; FFmpeg is on both sides",
}
#: Formats whose pixels no foreign program makes the same way.
FORMATS_LEFT_OUT = {
    "SVG": "librsvg is on both sides: the desktops' reader and ours",
    "PDF": "pdfium and poppler draw text differently; page and shape are tested in tests/imaging",
    "camera RAW": "what a camera's preview shows is the picture; developing differs by taste",
}


def hole(file_format: str, mode: str, bits: str, profile: str) -> str:
    """Return why there is no such cell; empty when nobody has said."""
    for *patterns, reason in HOLES:
        if all(map(fnmatchcase, (file_format, mode, bits, profile), patterns)):
            return reason
    return ""
