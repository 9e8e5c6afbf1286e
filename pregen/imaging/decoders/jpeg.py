"""JPEG: from the DC alone where 1/8 will do, libjpeg-turbo and libvips for all the rest.

At 1/8 `jpegdc` needs half of libjpeg-turbo's time for the same pixels, and libjpeg-turbo 3
(simplejpeg) a tenth less than libvips' mozjpeg (ARCHITECTURE.md, Decisions). They get plain grey
and colour Huffman JPEGs; CMYK, arithmetic coding, 12 bit and everything that makes libjpeg-turbo
complain go to libvips, which also salvages files that end early.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
import simplejpeg
from numpy.typing import NDArray

from pregen.config import Decoder
from pregen.imaging import sniff
from pregen.imaging.containers import jpeg, jpeg_scans
from pregen.imaging.decoders import jpegdc, vips
from pregen.imaging.decoders.base import WHOLE_FILE_BYTES, Opened, Pixels, Plain, Request
from pregen.imaging.faults import Fault, InvalidPicture, TruncatedPicture
from pregen.imaging.pixels import colour, exact
from pregen.imaging.previews import jpeg_previews
from pregen.imaging.previews import layout as choice
from pregen.imaging.previews import layout as doubt
from pregen.imaging.previews.layout import ByteSource, DamagedError
from pregen.imaging.runtime import pyvips

if TYPE_CHECKING:
    from pregen.imaging.containers.jpeg import JpegHead
    from pregen.imaging.previews.layout import Layout, Preview


Samples = NDArray[np.uint8]
"""Rows x columns x 1, 3 or 4."""

_EOI = b"\xff\xd9"
_OPAQUE = 255
_RGB = 3
_COLOURS = {1: "GRAY", _RGB: "RGB"}
#: The scales at which libjpeg-turbo has SIMD code.
_SHRINKS = (8, 4, 2, 1)
#: The name of the fourth band says nothing; its count does.
_BANDS = {"GRAY": 1, "RGB": _RGB, "RGBA": 4}
#: A progressive JPEG is read in steps until its first scans are there: 64 KiB, 512 KiB, 4 MiB.
_READ_GROWTH = 8


class TurboPicture(Opened):
    """A plain JPEG whose segments have been read."""

    loader = "turbo"
    strict = False
    """All has to be there and sound. Off, what libvips forgives is forgiven: junk, bad restarts."""

    def __init__(self, request: Request, head: jpeg.JpegHead) -> None:
        self._request = request
        self._head = head
        self.width_px = head.width_px
        self.height_px = head.height_px
        self.orientation = head.orientation
        profile = head.profile
        self._srgb = not profile or (head.components == _RGB and colour.is_srgb(profile))
        # The fourth band of a plain picture costs nothing here and saves a copy later.
        self._space = "RGBA" if self._srgb else _COLOURS[head.components]

    def decode(self, box_px: int) -> Pixels | Plain:
        """See `base.Opened`."""
        head = self._head
        long_px = max(head.width_px, head.height_px)
        shrink = next((n for n in _SHRINKS if long_px // n >= box_px), 1)
        data = data_for(self._request, head, shrink)
        if not head.progressive:
            data = jpeg.before_the_first(data, head.scan_at)
        try:
            pixels = self._by_blocks(data, shrink)
            if pixels is None:
                pixels = self._all_of_it(data, shrink)
        except (ValueError, pyvips.Error):
            return self._by_vips(data, box_px)
        extent = (head.width_px / shrink, head.height_px / shrink)
        if not (extent[0].is_integer() and extent[1].is_integer()):
            pixels = exact.without_padding(pixels, extent)
        if self._srgb:
            return Plain(pixels, extent)
        return Pixels(self._as_image(pixels), extent=extent)

    def _by_blocks(self, data: bytes, shrink: int) -> Samples | None:
        """Decode the DC alone; None where that is not enough, or not possible."""
        head = self._head
        if shrink != jpegdc.SHRINK or self._request.decoder is not Decoder.AUTO:
            return None
        # The pixels take a 16th of a byte each, the coefficients 3/16 at most.
        self._request.reserve(head.width_px * head.height_px // 4)
        bands = _BANDS[self._space]
        pixels = jpegdc.decode(data, head.width_px, head.height_px, bands)
        if pixels is not None:
            self.loader = "dc"
        return pixels

    def _all_of_it(self, data: bytes, shrink: int) -> Samples:
        """Decode with a library. ValueError when less than most of the picture is there."""
        head = self._head
        area_px = head.width_px * head.height_px
        # The coefficients of a progressive JPEG are all held until the end, two bytes each.
        self._request.reserve(area_px * 6 if head.progressive else area_px * 4 // shrink**2)
        pixels = self._decode(data, shrink)
        if not self._enough(data, pixels):
            raise ValueError("the file ends early")
        return pixels

    def _decode(self, data: bytes, shrink: int) -> Samples:
        """Decode; ValueError for what is not forgiven."""
        head = self._head
        pixels: Samples = simplejpeg.decode_jpeg(
            data,
            self._space,
            min_height=-(-head.height_px // shrink),
            min_width=-(-head.width_px // shrink),
            strict=self.strict,
        )
        return pixels

    def _enough(self, data: bytes, pixels: Samples) -> bool:
        """True when the file does not end early, or (not `strict`) most of its rows are there."""
        whole = data.rfind(_EOI, self._head.scan_at) >= 0
        if whole or self.strict:
            return whole
        if self._head.progressive:
            return jpeg_scans.shows_all_rows(data, self._head)
        # A decoder out of data repeats the last colour it knew. A picture that is flat at its
        # end looks the same, so this can only say yes; libvips counts exactly.
        flat = (pixels == pixels[-1, -1]).all(axis=(1, 2))
        missing = len(flat) if flat.all() else int(np.argmin(flat[::-1]))
        return 1 - missing / len(flat) >= vips.ENOUGH_ROWS

    def _by_vips(self, data: bytes, box_px: int) -> Pixels:
        """Leave a file with something wrong to libvips, which can salvage it or say what it is."""
        picture = vips.VipsPicture(self._request, data)
        self.loader = picture.loader
        return picture.decode(box_px)

    def _as_image(self, pixels: Samples) -> pyvips.Image:
        rows, columns, bands = pixels.shape
        image = pyvips.Image.new_from_memory(pixels.data, columns, rows, bands, "uchar")
        image = image.copy(interpretation="srgb" if bands == _RGB else "b-w")
        colour.attach(image, self._head.profile)
        return image


class VipsJpeg(TurboPicture):
    """A plain JPEG that libvips decodes, for those who want one library for all."""

    loader = "vips"

    def _decode(self, data: bytes, shrink: int) -> Samples:
        options = {"shrink": shrink} if shrink > 1 else {}
        image = pyvips.Image.jpegload_buffer(data, access="sequential", fail_on="none", **options)
        if self._srgb and image.bands == 1:
            image = image.bandjoin([image, image])
        if self._srgb:
            image = image.bandjoin(_OPAQUE)
        # libvips leaves out a last row or column that is not all there.
        columns = -(-self.width_px // shrink)
        rows = -(-self.height_px // shrink)
        image = image.copy_memory()
        if (image.width, image.height) != (columns, rows):
            image = image.embed(0, 0, columns, rows, extend="copy")
        samples = np.frombuffer(image.write_to_memory(), np.uint8)
        return samples.reshape(rows, columns, image.bands).copy()


def data_for(request: Request, head: jpeg.JpegHead, shrink: int) -> bytes:
    """The part of a file that a decode at this scale needs; reads no more than that."""
    if head.progressive and shrink == jpegdc.SHRINK:
        known = len(request.head)
        while True:
            try:
                return jpeg_scans.reduced(request.first(known), head)
            except jpeg_scans.Incomplete:
                if known >= request.size_bytes:
                    break
                known *= _READ_GROWTH
            except ValueError:
                break
    return request.whole()


def open_picture(request: Request) -> Opened:
    """Read the segments before the first scan. Raises Fault when the header makes no sense."""
    if request.size_bytes > WHOLE_FILE_BYTES:
        return vips.open_picture(request)
    head = jpeg.read(request.head)
    if request.previews and (head is None or head.scan_at < 0):
        # A thumbnail in the EXIF pushes the scan out of the first 64 KiB.
        head = jpeg.read(request.first(_READ_GROWTH * len(request.head) // 2))
    if head is None or head.scan_at < 0:
        head = jpeg.read(request.whole())
    if head is None or not is_plain(head):
        return vips.open_picture(request)
    if request.decoder is Decoder.VIPS:
        return VipsJpeg(request, head)
    if request.previews:
        found = open_preview(request, head)
        if found is not None:
            return found
    if not head.progressive:
        request.whole()
    return TurboPicture(request, head)


def is_plain(head: jpeg.JpegHead) -> bool:
    """Tell whether `TurboPicture` takes it."""
    return (
        head.huffman
        and head.sample_bits == 8  # noqa: PLR2004 - 12-bit JPEG needs another build of the library
        and head.components in _COLOURS
        and head.width_px > 0
        and head.height_px > 0
        and head.scan_at > 0
    )


# --- Previews found in a file -> pixels: JPEGs by the JPEG decoder, bare samples as they are


def read_at(request: Request, offset: int, count: int) -> bytes:
    """Return bytes of a source, from what is known of it where they are there; counts the rest."""
    head = request.head
    if 0 <= offset <= offset + count <= len(head):
        return head[offset : offset + count]
    return request.read_at(offset, count)


def opened(request: Request, preview: Preview) -> Opened:
    """Read a preview, and nothing else of the file. Raises Fault when its header makes no sense."""
    if preview.size_bytes > WHOLE_FILE_BYTES:
        raise InvalidPicture("its preview is larger than any camera makes them")
    data = read_at(request, preview.offset, preview.size_bytes)
    if len(data) < preview.size_bytes:
        raise TruncatedPicture("the file ends within its preview")
    return EmbeddedSamples(data, preview) if preview.rgb else jpeg_of(request, data)


def jpeg_of(request: Request, data: bytes) -> Opened:
    """Read the header of a JPEG that lay in a source. Raises Fault when it makes no sense."""
    inner = Request(-1, len(data), data, sniff.JPEG, request.reserve, request.decoder)
    return open_picture(inner)


def samples_of(pixels: Pixels | Plain) -> NDArray[np.uint8]:
    """Return decoded pixels as rows x columns x bands."""
    if isinstance(pixels, Plain):
        return pixels.samples
    image = pixels.image
    samples = np.frombuffer(image.write_to_memory(), np.uint8)
    return samples.reshape(image.height, image.width, image.bands)


class EmbeddedSamples(Opened):
    """Red, green and blue, eight bits each, in rows."""

    loader = "samples"
    orientation = 1

    def __init__(self, data: bytes, preview: Preview) -> None:
        self._data = data
        self.width_px = preview.width_px
        self.height_px = preview.height_px

    def decode(self, box_px: int) -> Pixels | Plain:
        """See `base.Opened`."""
        del box_px
        shape = self.height_px, self.width_px
        pixels = np.full((*shape, 4), 255, np.uint8)
        pixels[..., :3] = np.frombuffer(self._data, np.uint8).reshape(*shape, 3)
        return Plain(pixels, (self.width_px, self.height_px))


# --- JPEGs by the preview that the camera stored in them (`--previews auto`)
#
# Never a failure of its own: whatever is wrong with a preview, the main picture is decoded. What is
# wrong with the main picture goes unnoticed where the preview will do: nobody read it.


#: More than this and the main picture is as cheap: a full-size "preview" of a screen-sized photo.
_WORTH: Final = 0.5


class WholePicture(TurboPicture):
    """A preview that has to be whole: there is a better picture than a salvaged one."""

    strict = True

    def _by_vips(self, data: bytes, box_px: int) -> Pixels:
        del data, box_px
        raise InvalidPicture("the preview is damaged")


class PreviewedPicture(TurboPicture):
    """A plain JPEG with at least one preview."""

    def __init__(self, request: Request, head: JpegHead, layout: Layout) -> None:
        super().__init__(request, head)
        self._layout = layout

    def decode(self, box_px: int) -> Pixels | Plain:
        """See `base.Opened`."""
        preview = choice.choose(self._layout, box_px)
        if preview is not None and preview.size_bytes < self._request.size_bytes * _WORTH:
            pixels = self._preview(preview, box_px)
            if pixels is not None:
                self.loader = "preview"
                return pixels
        if not self._head.progressive:
            self._request.whole()
        return super().decode(box_px)

    def _preview(self, preview: Preview, box_px: int) -> Pixels | Plain | None:
        """Decode a preview; None when it does not show a picture."""
        try:
            pixels = self._whole(preview).decode(box_px)
            if doubt.is_doubtful(samples_of(pixels)):
                return None
        except (Fault, ValueError, MemoryError, pyvips.Error):
            return None
        return pixels

    def _whole(self, preview: Preview) -> WholePicture:
        """Read a preview. Raises Fault when it is not ordinary, or larger than the picture."""
        if preview.long_px > max(self._head.width_px, self._head.height_px):
            raise InvalidPicture("the preview says that it is larger than the picture")
        data = read_at(self._request, preview.offset, preview.size_bytes)
        head = jpeg.read(data)
        if head is None or not is_plain(head):
            raise InvalidPicture("the preview is no ordinary JPEG")
        request = self._request
        return WholePicture(
            Request(-1, len(data), data, sniff.JPEG, request.reserve, request.decoder), head
        )


def open_preview(request: Request, head: JpegHead) -> PreviewedPicture | None:
    """Look for previews; None where there is none that could do.

    A picture with a colour profile of its own is decoded itself: previews seldom say what their
    numbers mean, and the same numbers with another profile are other colours.
    """
    if head.profile and not (head.components == 3 and colour.is_srgb(head.profile)):  # noqa: PLR2004 - RGB
        return None
    source = ByteSource(request.read_at, request.size_bytes, request.head)
    try:
        layout = jpeg_previews.layout(source, request.head, head)
    except DamagedError:
        return None
    return PreviewedPicture(request, head, layout) if layout.previews else None
