"""The whole table, and why there is no cell where there is none."""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from tests.support.cells import archives, small, web

if TYPE_CHECKING:
    from tests.support.cells.cell import Cell


def cells() -> list[Cell]:
    """Return every cell. Raises ValueError where two have one name."""
    made = [*web.cells(), *archives.cells(), *small.cells()]
    names = [cell.name for cell in made]
    if len(set(names)) < len(names):
        raise ValueError(f"two of one name: {[name for name in names if names.count(name) > 1]}")
    return made


#: Format, modes, bits and profiles by patterns, and why nobody can have such a file, or why it is
#: left out. A cell that exists needs no line here.
_HOLES = """
*    bilevel    *           *        it is 1 bit without a profile
*    palette    *           grey     a palette holds colours
*    grey*      *           [sap]*   a profile of RGB does not fit grey
*    rgb*       *           grey     a profile of grey does not fit RGB
*    cmyk       *           *        inks have one profile here, "press"; without, no two agree
*    lab        *           *        needs no profile; TIFF, JP2 and PSD have it, of 8 and 16 bits
*    ycbcr      *           *        stored as such in TIFF and JPEG 2000 of 8 bits only
*    *          float       none     programs do not agree whether that is linear
png  *          10|12|32|float *     it has 1, 2, 4, 8 and 16 bits
png  palette    16          *        palettes have 256 colours at most
png  *          1|2|4       *        these are for grey and palettes
jpeg *+alpha|rgba|palette * *        it has neither alpha nor palettes
jpeg *          1|2|4|10|32|float *  it has 8 and 12 bits, and up to 16 without loss
jpeg *          12|16       *        rare: a few profiles stand for all
tiff palette    *           *        up to 8 bits; profiles with palettes are not seen
tiff *          1|2|4|10    *        cells without a profile stand for the odd depths
tiff *+alpha|rgba *         *        alpha is tried with 8 and 16 bits, and RGB's in floating point
tiff *          32          *        one profile stands for all
webp grey*|palette *        *        it has RGB and RGBA
webp *          *           *        it has 8 bits
gif  *          *           *        it has palettes of 8 bits, and no profile that anybody writes
jxl  palette    *           *        it has none that shows
jxl  *          1|2|4|32    *        cjxl makes 8 bits of fewer; nobody writes more than 16
jxl  *          10|12       *        imagecodecs makes them, as linear light without a profile
jxl  *          float       *        cjxl takes it as linear and without a profile
avif|heic palette *         *        they have none
avif|heic *     1|2|4|16|32|float *  they have 8, 10 and 12 bits
avif|heic *     10|12       *        without a profile, with the farthest from sRGB, and linear
heic grey+alpha *           *        heif-enc makes RGB of it
jp2  palette    *           *        one of 8 bits stands for all
jp2  *          32|float    *        nobody writes more than 16 bits
jp2  *          1|2|4       *        grey stands for few bits
jp2  *+alpha|rgba 10|12     *        alpha is tried with 8 and 16 bits
psd  *          1|2|4|10|12|32 *     it has 1 (bilevel), 8 and 16 bits, and 32 of floating point
psd  *          float       *        it is linear light in Photoshop
psd  palette    *           *        8 bits; profiles with palettes are not seen
psd  *          *           *        one profile of a kind stands for the others
bmp  grey*      *           *        it has RGB and palettes
bmp  *          *           *        up to 10 bits a channel; profiles (V5) are read by no desktop
tga  *          *           *        it has 8 bits and no profile
pcx  *          *           *        it has up to 8 bits, no alpha and no profile
ppm  *          *           *        grey and RGB; no alpha, no profile; 12 bits go the way of 10
qoi  *          *           *        it has RGB and RGBA of 8 bits
ico  *          *           *        few bits are in the corpus only
"""

#: Where an orientation can stand, and why there is no cell for it.
PLACES_LEFT_OUT = {
    "XMP's tiff:Orientation, in any format": "no desktop reads it; EXIF beside it says the same",
    "PNG: EXIF as text (Raw profile type exif)": "a relic, ignored by most desktops",
    "JPEG: EXIF behind the pixels": "not allowed, and nobody writes it",
    "HEIC: irot and EXIF that disagree": "tests/imaging/test_heic.py has every mixture",
    "AVIF: EXIF beside irot": "readers must ignore it (MIAF 7.3.6.7); avifenc writes irot for it",
    "JPEG XL: the Exif box": "informative only (ISO 18181-2, 9.3)",
    "JPEG 2000": "no field of its own; EXIF in a uuid box is read by nobody",
    "GIF, BMP, TGA, PCX, PNM, QOI, ICO": "no field; rows that run the other way are variants",
    "films": "tests/imaging/test_video.py turns them; FFmpeg is on both sides",
}
#: Formats that no foreign program draws the same way.
FORMATS_LEFT_OUT = {
    "SVG": "librsvg is on both sides: the desktops' reader and ours",
    "documents, books, comics, sound, scenes": "tests/imaging/test_stored.py: a picture in them",
    "FLI": "no program at hand writes it; tests/imaging/test_exchanged.py does",
    "PDF": "pdfium and poppler draw text differently; page and shape are tested in tests/imaging",
    "camera RAW": "developing differs by taste; previews are tested in tests/imaging/test_raw.py",
}


def hole(*kind: str) -> str:
    """Return why there is no cell of a format, mode, depth, profile; empty if nobody has said."""
    for line in _HOLES.strip().splitlines():
        *patterns, reason = line.split(maxsplit=4)
        if all(
            any(fnmatchcase(word, pattern) for pattern in alternatives.split("|"))
            for word, alternatives in zip(kind, patterns, strict=True)
        ):
            return reason
    return ""
