"""Cells of the small old formats, textures and the pictures of scientists."""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING, Any

from tests.support.cells.cell import EDGES, LOSSY, many
from tests.support.files import foreign_writers as made_by
from tests.support.files import plain_writers as plain
from tests.support.judges.likeness import Bounds
from tests.support.running.capabilities import Capability

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.cells.cell import Cell
    from tests.support.files.foreign_writers import Writer
    from tests.support.files.pairs import Pair

_BY = "gdk-pixbuf imagemagick"
_WIDE = "gdk-pixbuf imagemagick ffmpeg pillow"
_NEEDS = Capability.IMAGEMAGICK


def cells() -> Iterator[Cell]:
    """Yield them all."""
    return chain(_bmp_of_masks(), _bmp_of_rows(), _tga(), _others(), _exchanged())


#: Bits of a channel, masks of red, green, blue and maybe alpha, bits of a pixel.
_MASKS: dict[str, tuple[str, tuple[int, ...], int]] = {
    "555": ("5", (0x7C00, 0x3E0, 0x1F), 16),
    "565": ("5", (0xF800, 0x7E0, 0x1F), 16),
    "444": ("4", (0xF00, 0xF0, 0xF), 16),
    "1010102": ("10", (0x3FF00000, 0xFFC00, 0x3FF), 32),
    "bgrx": ("8", (0xFF0000, 0xFF00, 0xFF), 32),
    "rgbx": ("8", (0xFF, 0xFF00, 0xFF0000), 32),
    "xrgb": ("8", (0xFF00, 0xFF0000, 0xFF000000), 32),
    "bgra": ("8", (0xFF0000, 0xFF00, 0xFF, 0xFF000000), 32),
}


def _bmp_of_masks() -> Iterator[Cell]:
    for name, (bits, masks, width) in _MASKS.items():
        mode = "rgba" if name == "bgra" else "rgb"
        # Compression 6 (masks with alpha behind the short header) is read by nobody at hand.
        for header in ("v3", "v4") if mode == "rgb" else ("v4",):

            def write(
                stored: Pair,
                masks: tuple[int, ...] = masks,
                width: int = width,
                header: str = header,
            ) -> bytes:
                return plain.bmp(stored, masks, width, header=header)

            yield from many("bmp", mode, bits, write, _BY, variant=f"{name}-{header}")


def _bmp_of_rows() -> Iterator[Cell]:
    for header in plain.BITMAP_HEADERS:
        write = _bitmap_rows(24, header)
        by = "" if header == "os2-2-short" else _WIDE
        yield from many("bmp", "rgb", "8", write, by, variant=header)
        for bits in (1, 2, 4, 8):
            write = _bitmap_rows(bits, header)
            # Nobody at hand reads the short header, or 2 bits.
            by = "" if header == "os2-2-short" or bits == 2 else _WIDE
            yield from many("bmp", "palette", f"{bits}", write, by, variant=header)
    for bits in (4, 8):
        write = _bitmap_rows(bits, packed_by="rle")
        yield from many("bmp", "palette", f"{bits}", write, _WIDE, variant="runs")
        write = _bitmap_rows(bits, "os2-2", packed_by="rle")
        yield from many("bmp", "palette", f"{bits}", write, _WIDE, variant="runs-os2-2")
    # No program at hand reads these, or their profile.
    write = _bitmap_rows(24, "v5")
    yield from many("bmp", "rgb", "8", write, "", variant="v5", profiles="adobe prophoto")
    for header in ("os2-2", "v3"):
        write = _bitmap_rows(24, header, packed_by="rle")
        yield from many("bmp", "rgb", "8", write, "", variant=f"runs-{header}")
    for inner in ("png", "jpeg"):
        write = _bitmap_rows(24, packed_by=inner)
        yield from many("bmp", "rgb", "8", write, "", variant=inner, bounds=LOSSY)
    write = _bitmap_rows(8, "os2-1", array=True)
    yield from many("bmp", "palette", "8", write, "", variant="array")
    write = _bitmap_rows(1)
    yield from many("bmp", "bilevel", "1", write, _WIDE, variant="plain", bounds=EDGES)

    def down(stored: Pair) -> bytes:
        return plain.bmp(stored, _MASKS["bgrx"][1], 32, header="v3", down=True)

    yield from many("bmp", "rgb", "8", down, _BY, variant="top-down")
    yield from many("bmp", "rgb", "8", made_by.magick("bmp"), _BY, variant="24", needs=_NEEDS)
    few = made_by.magick("bmp", "-compress", "None", "-type", "Palette")
    yield from many("bmp", "palette", "4 8", few, _BY, needs=_NEEDS)
    runs = made_by.magick("bmp", "-compress", "RLE", "-type", "Palette")
    yield from many("bmp", "palette", "8", runs, _BY, variant="rle", needs=_NEEDS)
    two = made_by.magick("bmp", "-type", "Bilevel")
    yield from many("bmp", "bilevel", "1", two, _BY, needs=_NEEDS, bounds=EDGES)


def _bitmap_rows(bits: int, header: str = "v3", **options: Any) -> Writer:
    return lambda stored: plain.bmp_rows(stored, bits, header, **options)


def _pcx(bits: int, planes: int, **options: Any) -> Writer:
    return lambda stored: plain.pcx(stored, bits, planes, **options)


def _tga() -> Iterator[Cell]:
    by = "imagemagick gdk-pixbuf"

    def runs(stored: Pair) -> bytes:
        return plain.tga(stored, run_lengths=True)

    def down(stored: Pair) -> bytes:
        return plain.tga(stored, topmost_first=True)

    yield from many("tga", "grey rgb rgba palette", "8", plain.tga, by, variant="raw")
    yield from many("tga", "grey rgb rgba palette", "8", runs, by, variant="rle")
    yield from many("tga", "rgb rgba", "8", down, by, variant="top-down")


def _others() -> Iterator[Cell]:
    by = "imagemagick ffmpeg"
    yield from many("pcx", "grey rgb palette", "8", made_by.magick("pcx"), by, needs=_NEEDS)
    yield from many("pcx", "palette", "4", made_by.magick("pcx"), by, needs=_NEEDS)
    two = made_by.magick("pcx", "-type", "Bilevel")
    yield from many("pcx", "bilevel", "1", two, by, needs=_NEEDS, bounds=EDGES)
    # With one plane of one bit the palette counts for nobody alike: `bilevel` above.
    for bits, planes in ((1, 2), (1, 3), (1, 4), (2, 1), (4, 1), (8, 1)):
        write = _pcx(bits, planes)
        variant = f"{planes}-planes"
        yield from many("pcx", "palette", f"{bits * planes}", write, by, variant=variant)
    for mode, planes in {"grey": 1, "rgb": 3, "rgba": 4}.items():
        by = "imagemagick" if planes > 1 else ""
        yield from many("pcx", mode, "8", _pcx(8, planes), by, variant="planes")
        # Nobody at hand reads runs over the ends of rows, or rows that are not packed.
        longer = _pcx(8, planes, packed_by="long runs")
        yield from many("pcx", mode, "8", longer, "", variant="long-runs")
        bare = _pcx(8, planes, packed_by="")
        yield from many("pcx", mode, "8", bare, "", variant="not-packed")
    by = "imagemagick gdk-pixbuf"

    def words(stored: Pair) -> bytes:
        return plain.netpbm(stored, plain=True)

    for how, write in {"raw": plain.netpbm, "plain": words}.items():
        yield from many("ppm", "bilevel", "1", write, by, variant=how, bounds=EDGES)
        yield from many("ppm", "grey rgb", "4 8 10 16", write, by, variant=how)
    yield from many("qoi", "rgb rgba", "8", made_by.qoi, "qoi ffmpeg")
    icon = made_by.magick("ico")
    yield from many("ico", "rgb rgba", "8", icon, by, needs=_NEEDS, edges_px=(240, 180))


def _exchanged() -> Iterator[Cell]:
    by = "imagemagick"
    for extension, mode in {
        "sgi": "grey rgb rgba", "ras": "rgb", "pam": "grey rgb rgba", "fits": "grey",
        "xpm": "palette",
    }.items():  # fmt: skip
        write = made_by.magick(extension)
        yield from many(extension, mode, "8", write, by, needs=_NEEDS)
    runs = made_by.magick("sgi", "-compress", "RLE")
    yield from many("sgi", "rgb", "8", runs, by, variant="rle", needs=_NEEDS)
    yield from many("pam", "rgb rgba", "16", made_by.magick("pam"), by, needs=_NEEDS)
    rough = Bounds(10, 40, 10)
    yield from many("dds", "rgba", "8", made_by.magick("dds"), by, needs=_NEEDS, bounds=rough)
    plainly = made_by.magick("dds", "-define", "dds:compression=none")
    yield from many("dds", "rgb rgba", "8", plainly, by, variant="masks", needs=_NEEDS)
    # ImageMagick takes PFM for codes, where KDE and Photoshop take it for light.
    light = Bounds(3, 14)
    yield from many("pfm", "grey rgb", "float", plain.pfm, "", profiles="linear", bounds=light)
    yield from many("xbm", "bilevel", "1", made_by.magick("xbm"), by, needs=_NEEDS, bounds=EDGES)
    yield from many("hdr", "rgb", "float", made_by.radiance, by, profiles="linear", bounds=light)
    yield from many("icns", "rgba", "8", plain.icns, "gdk-pixbuf", edges_px=(256, 256))
