"""Pictures through libvips: PNG, WebP, GIF, TIFF (`tiff`), and JPEG where nothing is faster.

Loaders are named, never searched for: the search would take UltraHDR JPEGs to a slower loader
and RAWs to the TIFF one (formats-and-decoders, sections 3 and 7).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from pregen.imaging.decoders.base import WHOLE_FILE_BYTES, Opened, Pixels, Request
from pregen.imaging.faults import Fault, InvalidPicture, TruncatedPicture, Unsupported
from pregen.imaging.pixels import exact
from pregen.imaging.runtime import pyvips

if TYPE_CHECKING:
    from collections.abc import Callable


# --- What libvips' errors mean, and how much of a picture that ends early is there
#
# libvips is lazy: an error is raised by whatever runs the pipeline, not by the call that loads.


#: A picture with this share of its rows is worth showing; below it a thumbnail would mislead
#: (issue A, imaging: "about 3/4 of the rows").
ENOUGH_ROWS = 0.75
#: How many steps the rows are counted in: libvips reports an error per strip, not per row.
_STRIPS = 64

#: libvips names the C function that met the error; nobody who has photos knows it.
_FUNCTION = re.compile(r"^[A-Za-z0-9_]+: +")
_OUT_OF_MEMORY = re.compile(r"out of memory|unable to allocate|cannot allocate", re.IGNORECASE)
_NO_DECODER = re.compile(
    r"not configured|not supported|not been built in|not implemented"
    r"|unsupported (?:bit|compression|colou?r|mode|bands|depth|BMP bitfields)",
    re.IGNORECASE,
)
_ENDS_EARLY = re.compile(
    r"premature end|unexpected end|end of file|truncat|read error|not enough data|short read"
    r"|unable to parse image|invalid strip|read past end|eof",
    re.IGNORECASE,
)


def fault_of(error: pyvips.Error) -> Fault | MemoryError:
    """The fault that a libvips error stands for; MemoryError when memory ran out."""
    return fault_of_words(_words(error))


def fault_of_words(text: str) -> Fault | MemoryError:
    """The fault that a decoder's message stands for; MemoryError when memory ran out."""
    if _OUT_OF_MEMORY.search(text):
        return MemoryError(text)
    if _NO_DECODER.search(text):
        return Unsupported(text)
    if _ENDS_EARLY.search(text):
        return TruncatedPicture(f"the file ends before the picture does ({text})")
    return InvalidPicture(text)


def recover(error: pyvips.Error, load: Callable[[str], pyvips.Image]) -> pyvips.Image:
    """Begin a decode that leaves missing rows as they are, if most of the rows are there.

    Args:
        error: what a strict decode raised.
        load: begins a decode anew, with the given `fail_on`.

    Raises:
        Fault: too little is there, or the error was of another kind.
        MemoryError: the error was for want of memory.
    """
    fault = fault_of(error)
    if not isinstance(fault, TruncatedPicture):
        raise fault from error
    share = _share_of_rows(load("truncated"))
    if share < ENOUGH_ROWS:
        raise TruncatedPicture(
            f"the file ends early: {share:.0%} of the rows are there, {ENOUGH_ROWS:.0%} are needed;"
            " copy it again from its origin if you can"
        ) from error
    return load("none")


def _share_of_rows(image: pyvips.Image) -> float:
    """How much of a lazy image can be read before the error comes, 0 to 1."""
    step = max(1, image.height // _STRIPS)
    region = pyvips.Region.new(image)
    for top in range(0, image.height, step):
        try:
            region.fetch(0, top, image.width, min(step, image.height - top))
        except pyvips.Error:
            return float(top / image.height)
    return 1.0


def _words(error: pyvips.Error) -> str:
    """What libvips says, in one line: the last line is the cause, the first only names the call."""
    lines = [
        _FUNCTION.sub("", line.strip()) for line in f"{error.message}\n{error.detail}".splitlines()
    ]
    told = [line for line in lines if line and not line.startswith("unable to ")]
    return told[-1] if told else "its header is damaged"


# --- Pictures through libvips: PNG, WebP, GIF, TIFF (`tiff`), and JPEG where nothing is faster


_LOADERS: Final = {
    "jpeg": "jpegload",
    "png": "pngload",
    "webp": "webpload",
    "tiff": "tiffload",
    "gif": "gifload",
    "avif": "heifload",
}
#: Formats whose pages are pages of a document, not frames of an animation.
_PAGED: Final = frozenset({"tiff"})
_ANIMATED: Final = frozenset({"gif", "webp"})
#: JPEG scales that libjpeg offers besides 1/1.
_JPEG_SHRINKS: Final = (8, 4, 2)
#: libwebp scales while it decodes, with a plain box; Lanczos-3 does the last halving.
_WEBP_MARGIN: Final = 2
#: How many bands are colours, where it is not three. One more is the alpha.
_COLOUR_BANDS: Final = {"b-w": 1, "grey16": 1, "cmyk": 4}


class VipsPicture(Opened):
    """A picture whose header libvips has read."""

    loader = "vips"

    def __init__(self, request: Request, beginning: bytes | None = None) -> None:
        self._request = request
        name = request.format.name
        self.data = beginning
        if beginning is None and request.size_bytes <= WHOLE_FILE_BYTES:
            self.data = request.whole()
        header = self._load(fail_on="none")
        self.width_px: int = header.width
        self.height_px: int = header.height
        self.orientation = field(header, "orientation", 1)
        if not 1 <= self.orientation <= 8 or name == "avif":  # noqa: PLR2004 - EXIF 2.3; heifload turns by itself
            self.orientation = 1
        pages = field(header, "n-pages", 1)
        self.pages = pages if name in _PAGED and pages > 1 else 0
        self.frames = pages if name in _ANIMATED and pages > 1 else 0
        self._interlaced = bool(
            field(header, "interlaced", 0) or field(header, "jpeg-multiscan", 0)
        )
        self._sample_bytes = header.bands * (2 if header.format in {"ushort", "short"} else 1)

    def decode(self, box_px: int) -> Pixels:
        """See `base.Opened`."""
        options = self._scale(box_px)
        self._request.reserve(self._decode_bytes())

        def load(fail_on: str) -> pyvips.Image:
            return self._load(fail_on=fail_on, **options)

        lazy = load("truncated")
        try:
            pixels = into_memory(lazy, box_px)
        except pyvips.Error as error:
            pixels = into_memory(recover(error, load), box_px)
        if "shrink" in options and pixels.image.bands in {1, 3}:
            shrink = options["shrink"]
            extent = (self.width_px / shrink, self.height_px / shrink)
            return pixels._replace(image=exact.covering(pixels.image, extent), extent=extent)
        return pixels

    def _load(self, **options: Any) -> pyvips.Image:
        loader = _LOADERS[self._request.format.name]
        options["access"] = "sequential"
        try:
            if self.data is not None:
                return pyvips.Operation.call(f"{loader}_buffer", self.data, **options)
            return pyvips.Operation.call(f"{loader}_source", self._request.streamed(), **options)
        except pyvips.Error as error:
            raise fault_of(error) from error

    def _scale(self, box_px: int) -> dict[str, Any]:
        """Options that make the loader decode smaller, never below the box."""
        long_px = max(self.width_px, self.height_px)
        if self._request.format.name == "jpeg":
            shrink = next((n for n in _JPEG_SHRINKS if long_px // n >= box_px), 1)
            return {"shrink": shrink} if shrink > 1 else {}
        if self._request.format.name == "webp":
            scale = box_px * _WEBP_MARGIN / long_px
            return {"scale": scale} if scale < 1 else {}
        return {}

    def _decode_bytes(self) -> int:
        """An upper estimate of the memory a decode takes beyond a few strips."""
        pixels = self.width_px * self.height_px
        match self._request.format.name:
            case "jpeg":
                # Coefficients of all scans are held: two bytes each, 4:4:4 at worst.
                return pixels * 6 if self._interlaced else 0
            case "png":
                return pixels * self._sample_bytes if self._interlaced else 0
            case "tiff":
                return 0
            case _:
                return pixels * 4


def open_picture(request: Request) -> VipsPicture:
    """Read the header. Raises Fault when libvips refuses it."""
    picture = VipsPicture(request)
    if picture.width_px < 1 or picture.height_px < 1:
        raise InvalidPicture("the header says it has no pixels")
    return picture


def into_memory(image: pyvips.Image, box_px: int) -> Pixels:
    """Run a lazy decode: `averaged`, and in memory in any case."""
    kept = _COLOUR_BANDS.get(image.interpretation, 3) + 1
    if image.bands > kept:
        # A TIFF may have any number of samples beside the colours and the alpha.
        image = image.extract_band(0, n=kept)
    pixels = averaged(image, box_px)
    return Pixels(image.copy_memory()) if pixels.image is image else pixels


def averaged(image: pyvips.Image, box_px: int) -> Pixels:
    """Average whole blocks of pixels where there are far too many of them.

    What remains is at least twice the box, which is all that Lanczos-3 needs (the split that
    `vips_resize` makes as well), so a lazy 100 Mpx picture never lies in memory whole.
    """
    block = max(image.width, image.height) // (2 * box_px)
    if block < 2:  # noqa: PLR2004 - averaging one pixel is nothing
        return Pixels(image)
    if premultiplied := bool(image.hasalpha()):
        # Transparent pixels have a colour, too, and it must not bleed into the opaque ones.
        image = image.premultiply()
    columns, rows = min(block, image.width), min(block, image.height)
    extent = (image.width / columns, image.height / rows)
    image = image.shrink(columns, rows, ceil=True)
    return Pixels(image.copy_memory(), premultiplied, extent)


def field(image: pyvips.Image, name: str, default: int) -> int:
    """Return a number of a header, or what stands for its absence."""
    return int(image.get(name)) if image.get_typeof(name) else default
