"""Pictures through libvips: PNG, GIF, and WebP, TIFF and JPEG where nothing is faster.

Loaders are named, never searched for: the search would take UltraHDR JPEGs to a slower loader
and RAWs to the TIFF one. libvips is lazy: an error is raised by what runs the pipeline, not by
the call that loads.
"""

from __future__ import annotations

import mmap
import os
import re
from typing import TYPE_CHECKING, Any, Final

from pregen.imaging.containers import gif, png
from pregen.imaging.decoders import gif_damage, jpeg_damage
from pregen.imaging.decoders.base import Opened, Request
from pregen.imaging.faults import (
    ENOUGH_ROWS,
    Fault,
    InvalidPicture,
    TruncatedPicture,
    fault_of_message,
)
from pregen.imaging.pixels import resample
from pregen.imaging.runtime import pyvips
from pregen.imaging.source_bytes import WHOLE_FILE_BYTES

if TYPE_CHECKING:
    from collections.abc import Callable

    from pregen.imaging.pixels.resample import Pixels

#: How many steps the rows are counted in: libvips reports an error per strip, not per row.
_STRIPS: Final = 64
#: libvips names the C function that met the error, which means nothing to users.
_FUNCTION = re.compile(r"^[A-Za-z0-9_]+: +")
_LOADERS: Final = {
    "jpeg": "jpegload",
    "png": "pngload",
    "webp": "webpload",
    "tiff": "tiffload",
    "gif": "gifload",
}
#: Formats whose pages are pages of a document, not frames of an animation.
_PAGED: Final = frozenset({"tiff"})
_ANIMATED: Final = frozenset({"gif", "webp"})
#: JPEG scales that libjpeg offers besides 1/1.
_JPEG_SHRINKS: Final = (8, 4, 2)
_OPAQUE: Final = 255
#: What is said of damage that leaves no more than it changes.
PARTLY_WRONG: Final = "its data is damaged, and a part of the picture would be wrong"
#: A picture of 2^31 pixels halves that often.
_MAX_LEVELS: Final = 31
#: A pyramid has three levels at least: a page and a page of half its size may be just that.
_LEAST_LEVELS: Final = 3


class VipsPicture(Opened):
    """A picture whose header libvips has read."""

    loader = "vips"
    reducible = True
    """Its decoder can make it smaller."""

    def __init__(self, request: Request, beginning: bytes | None = None) -> None:
        """Read the header. Raises Fault when libvips refuses it.

        Args:
            request: the source.
            beginning: what to decode of it, if not all.
        """
        self._request = request
        self._stream: pyvips.Source | None = None
        """Kept for libvips, which calls back into it as long as it decodes."""
        name = request.format.name
        self.data = beginning
        if beginning is None and request.source.size_bytes <= WHOLE_FILE_BYTES:
            self.data = request.source.whole()
        header = self._load(fail_on="none")
        self.width_px: int = header.width
        self.height_px: int = header.height
        self.orientation = field(header, "orientation", 1)
        if name == "png" and not header.get_typeof("exif-data"):
            self.orientation = png.orientation(request.source)
        if not 1 <= self.orientation <= 8:  # noqa: PLR2004 - EXIF 2.3
            self.orientation = 1
        pages = field(header, "n-pages", 1)
        self.pages = pages if name in _PAGED and pages > 1 else 0
        self.frames = pages if name in _ANIMATED and pages > 1 else 0
        self._interlaced = bool(
            field(header, "interlaced", 0) or field(header, "jpeg-multiscan", 0)
        )
        self._sample_bytes = header.bands * (2 if header.format in {"ushort", "short"} else 1)
        self._levels: list[tuple[int, dict[str, int]]] = []
        """Of a TIFF: long edge of each smaller copy in pixels, and what makes libvips open it."""
        self._main: dict[str, int] = {}
        """Likewise of the picture itself."""
        if name == "tiff":
            self._find_levels(field(header, "n-subifds", 0))

    def decode(self, box_px: int) -> Pixels:
        """See `base.Opened`."""
        options = self._scale(box_px)
        self._request.reserve(self._decode_bytes())

        def load(fail_on: str) -> pyvips.Image:
            return self._on_screen(self._load(fail_on=fail_on, **options))

        lazy = load("truncated")
        try:
            pixels = resample.into_memory(lazy, box_px)
        except pyvips.Error as error:
            pixels = resample.into_memory(recover(error, load), box_px)
        self._check(options, pixels)
        if "shrink" in options and pixels.image.bands in {1, 3}:
            shrink = options["shrink"]
            extent = (self.width_px / shrink, self.height_px / shrink)
            return pixels._replace(image=resample.covering(pixels.image, extent), extent=extent)
        return pixels

    def _check(self, options: dict[str, Any], pixels: Pixels) -> None:  # noqa: ARG002 - others need them
        """Raise a fault where a library decoded damage without a word.

        Args:
            options: those of the decode.
            pixels: what it made.
        """
        name, data = self._request.format.name, self.data
        if data is None:
            return
        if name == "jpeg":
            jpeg_damage.check(data)
        elif name == "gif":
            gif_damage.check(data)

    def _load(self, **options: Any) -> pyvips.Image:
        loader = _LOADERS[self._request.format.name]
        options["access"] = "sequential"
        # Given a buffer, pyvips would copy tens of megabytes each time.
        source = self._streamed() if self.data is None else pyvips.Source.new_from_memory(self.data)
        try:
            return pyvips.Operation.call(f"{loader}_source", source, **options)
        except pyvips.Error as error:
            raise fault_of(error) from error

    def _on_screen(self, image: pyvips.Image) -> pyvips.Image:
        """Make what the first picture of a GIF leaves free of its screen transparent, not black."""
        if self._request.format.name != "gif" or image.hasalpha():
            return image
        place = gif.first_place(self.data or self._request.source.head)
        if place is None or place == (0, 0, image.width, image.height):
            return image
        left, top, width_px, height_px = place
        if (
            left + width_px > image.width
            or top + height_px > image.height
            or not width_px * height_px
        ):
            return image
        part = image.crop(left, top, width_px, height_px).bandjoin(_OPAQUE)
        return part.embed(left, top, image.width, image.height, background=[0] * part.bands).copy(
            interpretation=image.interpretation
        )

    def _scale(self, box_px: int) -> dict[str, Any]:
        """Options that make the loader decode smaller, never below the box."""
        long_px = max(self.width_px, self.height_px)
        if not self.reducible:
            return {}
        if self._request.format.name == "jpeg":
            shrink = next((n for n in _JPEG_SHRINKS if long_px // n >= box_px), 1)
            return {"shrink": shrink} if shrink > 1 else {}
        covering = [level for level in self._levels if level[0] >= box_px]
        return dict(min(covering, key=lambda level: level[0])[1] if covering else self._main)

    def _streamed(self) -> pyvips.Source:
        """Return the source as libvips reads it piece by piece, for what is too large to hold."""
        source = self._request.source
        source.bytes_read = source.size_bytes
        fd = source.fd
        self._stream = (
            pyvips.Source.new_from_descriptor(fd)
            if _can_be_mapped(fd)
            else _in_pieces(fd, source.size_bytes)
        )
        return self._stream

    def _find_levels(self, sub_ifds: int) -> None:
        """Look for smaller copies of a TIFF's first page.

        Scans of slides and maps hold them in SubIFDs (TIFF supplement 1) or as further pages, each
        half as large as the one before.
        """
        for level in range(min(sub_ifds, _MAX_LEVELS)):
            self._keep_level({"subifd": level})
        largest_px, options = max(self._levels, key=lambda level: level[0], default=(0, {}))
        if largest_px > max(self.width_px, self.height_px):
            # The first page is a preview: the picture is below it.
            self._levels.append((max(self.width_px, self.height_px), {}))
            header = self._load(fail_on="none", **options)
            self.width_px, self.height_px = header.width, header.height
            self._main = options
        pages = self.pages
        if self._levels or pages < _LEAST_LEVELS:
            return
        for page in range(1, min(pages, _MAX_LEVELS)):
            if not self._keep_level({"page": page}, self.width_px >> page, self.height_px >> page):
                break
        if len(self._levels) + 1 < _LEAST_LEVELS:
            self._levels.clear()
        elif len(self._levels) + 1 == pages:
            self.pages = 0

    def _keep_level(self, options: dict[str, int], width_px: int = 0, height_px: int = 0) -> bool:
        """Note a smaller copy, if it is one; of this size, within a pixel, if one is given."""
        try:
            header = self._load(fail_on="none", **options)
        except (Fault, MemoryError):
            return False
        if width_px and max(abs(header.width - width_px), abs(header.height - height_px)) > 1:
            return False
        # Of another shape it is another picture: a mask, a label, an overview of the slide.
        shape = header.width * self.height_px - header.height * self.width_px
        if abs(shape) > 2 * max(self.width_px, self.height_px):
            return False
        self._levels.append((max(header.width, header.height), options))
        return True

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


def _can_be_mapped(fd: int) -> bool:
    """Tell whether there is address space for the whole file: libvips maps it and does not ask."""
    try:
        mmap.mmap(fd, 0, prot=mmap.PROT_READ).close()
    except (OSError, ValueError):
        return False
    return True


def _in_pieces(fd: int, size_bytes: int) -> pyvips.SourceCustom:
    """A source of 4 KiB reads: a third slower for a PNG, and all that is left for 10 GB."""
    at = 0

    def read(count: int) -> bytes:
        nonlocal at
        try:
            data = os.pread(fd, count, at)
        except OSError:
            return b""  # the end, for libvips; who asks why, reads again (`SourceFile.probe`)
        at += len(data)
        return data

    def seek(offset: int, whence: int) -> int:
        nonlocal at
        at = {os.SEEK_SET: 0, os.SEEK_CUR: at, os.SEEK_END: size_bytes}[whence] + offset
        return at

    source = pyvips.SourceCustom()
    source.on_read(read)
    source.on_seek(seek)
    return source


def field(image: pyvips.Image, name: str, default: int) -> int:
    """Return a number of a header, or what stands for its absence."""
    return int(image.get(name)) if image.get_typeof(name) else default


# What errors mean, and how much of a picture that ends early is there -------------------------


def fault_of(error: pyvips.Error) -> Fault | MemoryError:
    """The fault that a libvips error stands for; MemoryError when memory ran out."""
    return fault_of_message(_words(error))


def recover(error: pyvips.Error, load: Callable[[str], pyvips.Image]) -> pyvips.Image:
    """Begin a decode that leaves missing rows as they are, if most of the rows are present.

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
            f"{share:.0%} of the rows are present, {ENOUGH_ROWS:.0%} needed"
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
    return told[-1] if told else "its header is not understood"
