"""Cells of the formats that cameras, phones, browsers and films have."""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING, Any

from tests.support.cells.cell import ALL, COARSE, DEEP, EDGES, LARGE_PX, LOSSY, many, turned
from tests.support.files import foreign_writers as made_by
from tests.support.files import plain_writers as plain
from tests.support.judges.likeness import Bounds
from tests.support.running.capabilities import Capability

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.cells.cell import Cell
    from tests.support.files.pairs import Pair

_TWO = "pillow imagemagick"


def cells() -> Iterator[Cell]:
    """Yield them all."""
    return chain(_png(), _jpeg(), _webp(), _gif(), _jxl(), _avif(), _heic(), _films())


def _png() -> Iterator[Cell]:
    yield from many("png", "grey", "1 2 4 8 16", plain.png, _TWO, profiles=ALL)
    yield from many("png", "grey+alpha rgb rgba", "8 16", plain.png, _TWO, profiles=ALL)
    yield from many("png", "palette", "1 2 4 8", plain.png, _TWO, profiles=ALL)
    yield from many("png", "palette+alpha", "2 4 8", plain.png, _TWO)
    yield from many("png", "bilevel", "1", plain.png, _TWO, bounds=EDGES)

    def marked(stored: Pair) -> bytes:
        return plain.png(stored, srgb=True)

    yield from many("png", "rgb", "8 16", marked, _TWO, variant="srgb-chunk")
    interlaced = made_by.magick("png", "-interlace", "PNG")
    yield from many(
        "png", "rgba", "8 16", interlaced, _TWO, profiles="none adobe", variant="interlaced",
        needs=Capability.IMAGEMAGICK,
    )  # fmt: skip
    for place in ("before", "behind"):

        def told(stored: Pair, place: str = place) -> bytes:
            return plain.png(stored, eexif=place)

        yield from turned("png", place, told, "pillow")


def _jpeg() -> Iterator[Cell]:
    best = made_by.pillow("JPEG", quality=97, subsampling=0)
    yield from many("jpeg", "grey rgb", "8", best, _TWO, profiles=ALL, lossy=True)
    inks = made_by.pillow("JPEG", _mode="CMYK", quality=97, subsampling=0)
    yield from many("jpeg", "cmyk", "8", inks, _TWO, profiles="press", lossy=True)
    ycck = made_by.jpeg8(colorspace="CMYK", outcolorspace="YCCK", inverted=True)
    yield from many("jpeg", "cmyk", "8", ycck, _TWO, profiles="press", variant="ycck", lossy=True)
    yield from many("jpeg", "grey rgb", "12", made_by.jpeg8(), "jpeg12", profiles=DEEP, lossy=True)
    whole = made_by.jpeg8(subsampling="444")
    yield from many("jpeg", "rgb", "12", whole, "jpeg12", variant="444", lossy=True)
    for size, edges_px in (("", (320, 240)), ("-large", LARGE_PX)):
        for name, option, value in (
            ("420", "subsampling", 2),
            ("422", "subsampling", 1),
            ("progressive", "progressive", True),
            ("restarts", "restart_marker_blocks", 3),
            ("rgb-stored", "keep_rgb", True),
        ):
            chosen: dict[str, Any] = {"quality": 97, option: value}
            yield from many(
                "jpeg", "rgb", "8", made_by.pillow("JPEG", **chosen), _TWO, profiles="none p3",
                variant=name + size, lossy=True, edges_px=edges_px,
            )  # fmt: skip
        lossless = made_by.jpeg8(lossless=True)
        yield from many(
            "jpeg", "grey rgb", "8 12 16", lossless, "ljpeg", variant="lossless" + size,
            edges_px=edges_px,
        )  # fmt: skip
        yield from turned(
            "jpeg", "exif", made_by.jpeg8(exif=True), _TWO, variant=size[1:], lossy=True,
            edges_px=edges_px,
        )  # fmt: skip


def _webp() -> Iterator[Cell]:
    lossless = made_by.pillow("WEBP", lossless=True, method=0, exact=True)
    yield from many("webp", "rgb rgba", "8", lossless, _TWO, profiles=ALL)
    lossy = made_by.pillow("WEBP", quality=97)
    yield from many(
        "webp", "rgb rgba", "8", lossy, _TWO, profiles="none adobe", variant="lossy", lossy=True
    )
    yield from turned(
        "webp", "exif", made_by.pillow("WEBP", exif=True, lossless=True, method=0), "pillow"
    )


def _gif() -> Iterator[Cell]:
    readers, needs = _TWO + " gdk-pixbuf", Capability.IMAGEMAGICK
    yield from many("gif", "palette", "1 4 8", made_by.pillow("GIF"), readers)
    interlaced = made_by.magick("gif", "-interlace", "GIF")
    yield from many("gif", "palette", "8", interlaced, readers, variant="interlaced", needs=needs)
    yield from many("gif", "palette+alpha", "8", made_by.magick("gif"), readers, needs=needs)


def _jxl() -> Iterator[Cell]:
    needs = Capability.JXL_TOOLS
    modes = "grey grey+alpha rgb rgba"
    exact = made_by.cjxl("-d", "0")
    yield from many(
        "jxl", modes, "8 16", exact, "djxl", profiles=ALL, variant="lossless", needs=needs,
        pair_bounds=COARSE,
    )  # fmt: skip
    near = made_by.cjxl("-d", "0.3")
    yield from many(
        "jxl", modes, "8", near, "djxl", profiles=ALL, variant="lossy", lossy=True, needs=needs
    )
    yield from many(
        "jxl", "grey rgb", "10 12", made_by.jxl, "djxl", profiles="linear", variant="lossless",
        needs=needs,
    )  # fmt: skip
    premultiplied = made_by.cjxl("-d", "0", "--premultiply=1")
    yield from many(
        "jxl", "grey+alpha rgba", "8", premultiplied, "djxl", variant="premultiplied",
        needs=needs, pair_bounds=COARSE,
    )  # fmt: skip
    for profile, number in {"p3": "RGB_D65_DCI_Rel_SRG", "linear": "RGB_D65_SRG_Rel_Lin"}.items():
        by_number = made_by.cjxl("-d", "0.3", "-x", f"color_space={number}", source=_unprofiled)
        yield from many(
            "jxl", "rgb", "16", by_number, "djxl", profiles=profile, variant="by-number",
            lossy=True, needs=needs,
        )  # fmt: skip
    kept = made_by.cjxl(source=made_by.pillow("JPEG", quality=97), before="jpg")
    yield from many(
        "jxl", "rgb", "8", kept, "djxl", profiles="none adobe", variant="from-jpeg", lossy=True,
        needs=needs,
    )  # fmt: skip
    told = made_by.cjxl("-d", "0", source=lambda stored: made_by.deep_png(stored, eexif="before"))
    yield from turned("jxl", "codestream", told, "djxl", needs=needs)


def _unprofiled(stored: Pair) -> bytes:
    return made_by.deep_png(stored._replace(icc=b""))


def _avif() -> Iterator[Cell]:
    needs = Capability.AVIF_TOOLS
    modes = "grey grey+alpha rgb rgba"
    for bits, profiles in {"8": ALL, "10": DEEP, "12": DEEP}.items():
        write = made_by.avifenc("-d", bits)
        yield from many(
            "avif", modes, bits, write, "avifdec", profiles=profiles, lossy=True, needs=needs
        )
    for name, modes, arguments in (
        ("420", "rgb rgba", ("-y", "420")),
        ("422", "rgb", ("-y", "422")),
        ("limited", "rgb", ("-r", "limited")),
        ("premultiplied", "rgba", ("-p",)),
    ):
        write = made_by.avifenc(*arguments)
        yield from many("avif", modes, "8", write, "avifdec", variant=name, lossy=True, needs=needs)
    # avifdec hands numbers over to nobody: held to the painting alone.
    by_number = made_by.avifenc("-d", "10", "--cicp", "12/13/6", "--ignore-icc")
    yield from many(
        "avif", "rgb", "10", by_number, "", profiles="p3", variant="by-number", needs=needs,
        bounds=LOSSY,
    )  # fmt: skip
    for orientation, properties in _AVIF_TURNS.items():
        write = made_by.avifenc(*properties)
        yield from turned("avif", "irot", write, "avifdec", (orientation,), lossy=True, needs=needs)
    # What has more than 8 bits and a profile is decoded by another library.
    for orientation in (2, 6):
        write = made_by.avifenc("-d", "10", *_AVIF_TURNS[orientation])
        yield from turned(
            "avif", "irot", write, "avifdec", (orientation,), ("10", "linear"), lossy=True,
            needs=needs,
        )  # fmt: skip
    for name, modes, option in (("premultiplied", "rgba", ("-p",)), ("420", "rgb", ("-y", "420"))):
        write = made_by.avifenc("-d", "10", *option)
        yield from many(
            "avif", modes, "10", write, "avifdec", profiles="prophoto", variant=name, lossy=True,
            needs=needs,
        )  # fmt: skip
    yield from _avif_planes()


def _avif_planes() -> Iterator[Cell]:
    """What is decoded to planes that are reduced before there are colours."""
    for name, bits, edges_px, arguments in (
        ("odd-420", "8", LARGE_PX, ("-y", "420")),
        ("odd-420", "10", LARGE_PX, ("-d", "10", "-y", "420")),
        ("odd-422", "12", LARGE_PX, ("-d", "12", "-y", "422")),
        ("odd-420-limited", "10", LARGE_PX, ("-d", "10", "-y", "420", "-r", "limited")),
        ("odd-444-limited", "12", LARGE_PX, ("-d", "12", "-y", "444", "-r", "limited")),
        ("grid", "8", _GRID_PX, ("-y", "420", "--grid", "2x2")),
        ("grid-422", "10", _GRID_PX, ("-d", "10", "-y", "422", "--grid", "3x2")),
        ("grain", "8", LARGE_PX, ("-y", "420", "-a", "film-grain-test=1")),
        # Matrices by H.273's number; the last three are left to Pillow.
        *(
            (f"matrix-{number}{'-limited' * limited}", "8", LARGE_PX,
             ("--cicp", f"1/13/{number}", *("-r", "limited") * limited))
            for number in (1, 5, 6, 9, 0, 7, 12) for limited in (False, True)
            if number or not limited
        ),
    ):  # fmt: skip
        yield from many(
            "avif", "rgb", bits, made_by.avifenc(*arguments), "avifdec", variant=name, lossy=True,
            edges_px=edges_px, needs=Capability.AVIF_TOOLS,
        )  # fmt: skip
    for bits in ("8", "10"):
        yield from many(
            "avif", "grey rgb", bits, made_by.avifenc("-d", bits, "-r", "limited"), "avifdec",
            profiles="linear", variant="limited", lossy=True, edges_px=LARGE_PX,
            needs=Capability.AVIF_TOOLS,
        )  # fmt: skip


#: Two by two tiles, and three by two, of edges that AV1 and MIAF allow.
_GRID_PX = (768, 512)
#: As `LARGE_PX`, of edges that HEVC has with half the chroma.
_EVEN_PX = (802, 602)
#: Turned first, then mirrored (ISO 23008-12, 6.5.10 and 6.5.12).
_AVIF_TURNS = {
    2: ("--imir", "1"),
    3: ("--irot", "2"),
    4: ("--imir", "0"),
    5: ("--irot", "1", "--imir", "0"),
    6: ("--irot", "3"),
    7: ("--irot", "1", "--imir", "1"),
    8: ("--irot", "1"),
}


def _heic() -> Iterator[Cell]:
    needs = Capability.HEIF_TOOLS
    for bits, profiles in {"8": ALL, "10": DEEP, "12": DEEP}.items():
        write = made_by.heif_enc("-b", bits)
        yield from many(
            "heic", "grey rgb rgba", bits, write, "heif-convert", profiles=profiles, lossy=True,
            needs=needs,
        )  # fmt: skip
    yield from turned("heic", "irot", made_by.heif, "heif-convert", lossy=True, needs=needs)
    for name, bits, arguments in (
        ("large", "8", ()),
        # libheif cuts what has odd edges out of one that has not.
        ("clap", "8", ()),
        ("large-422", "10", ("-p", "chroma=422")),
        ("large-444", "12", ("-p", "chroma=444")),
        ("large-limited", "8", ("--full_range_flag=0",)),
        ("large-limited", "10", ("--full_range_flag=0",)),
        ("large-709", "8", ("--matrix_coefficients=1",)),
        ("large-2020-limited", "10", ("--matrix_coefficients=9", "--full_range_flag=0")),
    ):
        write = made_by.heif_enc("-b", bits, *arguments)
        yield from many(
            "heic", "rgb", bits, write, "heif-convert", profiles="none p3", variant=name,
            lossy=True, edges_px=LARGE_PX if name == "clap" else _EVEN_PX, needs=needs,
        )  # fmt: skip


def _films() -> Iterator[Cell]:
    x264 = ("-c:v", "libx264", "-crf", "4", "-preset", "ultrafast")
    bt709 = ("-vf", "scale=out_color_matrix=bt709", "-colorspace", "bt709", "-pix_fmt", "yuv420p")
    for name, extension, arguments in (
        ("420", "mp4", ("-pix_fmt", "yuv420p")),
        ("444", "mp4", ("-pix_fmt", "yuv444p")),
        ("10", "mp4", ("-pix_fmt", "yuv420p10le")),
        ("full", "mp4", ("-pix_fmt", "yuvj420p")),
        ("bt709", "mkv", bt709),
    ):
        write = made_by.ffmpeg(extension, *x264, *arguments)
        yield from many(
            extension, "rgb", "8", write, "ffmpeg", variant=name, lossy=True,
            needs=Capability.FFMPEG, bounds=Bounds(4, 20),
        )  # fmt: skip
