"""JPEG: from some coefficients where 1/8 to 1/2 will do, libjpeg-turbo and libvips for the rest.

At 1/8 our own decoder of DC coefficients needs half of libjpeg-turbo's time for the same pixels, at
1/4 and 1/2 seven and eight tenths; libjpeg-turbo 3 (simplejpeg) needs a tenth less than libvips'
mozjpeg. They get plain grey and colour Huffman JPEGs; CMYK, arithmetic coding and everything that
makes libjpeg-turbo complain go to libvips, which also shows files that end early.

With `--previews auto` the picture that a camera stored beside the main one is decoded where it will
do. That is never a failure of its own: with a damaged preview, the main picture is
decoded. What is wrong with the main picture goes unnoticed then: it was not read.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
import simplejpeg

from pregen.config import Decoder
from pregen.imaging import compiled, sniff
from pregen.imaging.containers import jpeg, jpeg_scales, jpeg_scans
from pregen.imaging.containers.jpeg_scales import DC_SHRINK
from pregen.imaging.decoders import jpeg_damage, vips
from pregen.imaging.decoders.base import Opened, Request, import_decoder
from pregen.imaging.faults import (
    ENOUGH_ROWS,
    Fault,
    InvalidPicture,
    TruncatedPicture,
    Unsupported,
    fault_of_error,
)
from pregen.imaging.pixels import colour, resample, srgb_profiles
from pregen.imaging.pixels.resample import Pixels, Plain
from pregen.imaging.previews import jpeg_previews
from pregen.imaging.previews.layout import is_plausible, pick
from pregen.imaging.runtime import pyvips
from pregen.imaging.source_bytes import WHOLE_FILE_BYTES, DamagedError, SourceBytes

if TYPE_CHECKING:
    from pregen.imaging.containers.jpeg import JpegHead
    from pregen.imaging.pixels.resample import Samples
    from pregen.imaging.previews.layout import Layout, Preview

_EOI: Final = b"\xff\xd9"
#: What libjpeg-turbo says of junk that costs nothing.
_HARMLESS: Final = "extraneous bytes"
_OPAQUE: Final = 255
_RGB: Final = 3
_COLOURS: Final = {1: "GRAY", _RGB: "RGB"}
#: The name of the fourth band says nothing; its count does.
_BANDS: Final = {"GRAY": 1, "RGB": _RGB, "RGBA": 4}
#: So much of a file that its head is looked for again, in heads of `sniff.HEAD_BYTES`.
_MORE_HEAD: Final = 4
#: More than this and the main picture is as cheap: a full-size "preview" of a screen-sized photo.
_WORTHWHILE_SHARE: Final = 0.5


class JpegSource:
    """A plain JPEG: its bytes, what its segments say, and how its pixels shall come out."""

    def __init__(self, request: Request, head: JpegHead) -> None:
        self.request = request
        self.head = head
        profile = head.profile
        self.srgb = srgb_profiles.means_srgb(profile, head.components)
        # The fourth band of a plain picture costs nothing here and saves a copy later.
        self.space = "RGBA" if self.srgb else _COLOURS[head.components]

    def decode(self, data: bytes, shrink: int, *, strict: bool = False) -> tuple[Samples, str]:
        """Decode at a scale; return the samples and the name of what decoded them.

        Args:
            data: of `jpeg_scales.data_for` this scale.
            shrink: of `jpeg_scales.shrink_for`.
            strict: all has to be there and sound. Otherwise what libvips forgives is forgiven:
                junk, bad restarts, and an end after `ENOUGH_ROWS`.

        Raises:
            ValueError, pyvips.Error: something is wrong that is not forgiven.
            InvalidPicture, TruncatedPicture: too little of it is there and sound.
            MemoryError: there was not enough memory.
        """
        request, head = self.request, self.head
        area_px = head.width_px * head.height_px
        if jpeg_scales.takes_blocks(head, shrink) and request.decoder is Decoder.AUTO:
            request.reserve(jpeg_scales.blocks_bytes(head, shrink))
            samples = decode_dc(data, head.width_px, head.height_px, _BANDS[self.space], shrink)
            if samples is not None:
                return samples, jpeg_scales.LOADERS[shrink]
        ends_early = jpeg_damage.check(data)
        # The coefficients of a progressive JPEG are all held until the end, two bytes each.
        request.reserve(area_px * 6 if head.progressive else area_px * 4 // shrink**2)
        if request.decoder is Decoder.VIPS:
            samples, loader = _by_vips(self, data, shrink), "vips"
        else:
            loader = "turbo"
            if ends_early and not strict:
                # It will complain of that alone: all else was counted.
                samples = _by_turbo(self, data, shrink, strict=False)
            else:
                samples = self._by_turbo(data, shrink, strict=strict)
        if not self._enough(data, samples, strict=strict):
            raise ValueError("the file ends early")
        return samples, loader

    def _by_turbo(self, data: bytes, shrink: int, *, strict: bool) -> Samples:
        """Decode with libjpeg-turbo; once more where it has something to forgive.

        Raises:
            ValueError: there is something that is not forgiven.
            InvalidPicture: it lost its way before `ENOUGH_ROWS` of a file that has its end.
        """
        try:
            return _by_turbo(self, data, shrink, strict=True)
        except ValueError as error:
            if strict:
                raise
            samples = _by_turbo(self, data, shrink, strict=False)
            if _HARMLESS in str(error) or not self._enough(data, samples, strict=False):
                return samples
            share = _rows_shown(samples)
            if share < ENOUGH_ROWS:
                if isinstance(fault_of_error(error), Unsupported):
                    raise
                raise InvalidPicture(
                    f"its data is damaged: {share:.0%} of the rows are present,"
                    f" {ENOUGH_ROWS:.0%} needed"
                ) from error
            return samples

    def finished(self, samples: Samples, shrink: int) -> Pixels | Plain:
        """Return decoded samples with all that says how they are meant."""
        extent = (self.head.width_px / shrink, self.head.height_px / shrink)
        if not (extent[0].is_integer() and extent[1].is_integer()):
            samples = resample.without_padding(samples, extent)
        if self.srgb:
            return Plain(samples, extent)
        image = resample.image_of(samples, "srgb" if samples.shape[2] == _RGB else "b-w")
        colour.attach(image, self.head.profile)
        return Pixels(image, extent=extent)

    def _enough(self, data: bytes, samples: Samples, *, strict: bool) -> bool:
        """True when the file does not end early, or (not `strict`) most of its rows are there."""
        whole = data.rfind(_EOI, self.head.scan_at) >= 0
        if whole or strict:
            return whole
        if self.head.progressive:
            return jpeg_scans.shows_all_rows(data, self.head)
        # A picture that is flat at its end looks the same, so this can only say yes; libvips counts
        # exactly.
        return _rows_shown(samples) >= ENOUGH_ROWS


def _rows_shown(samples: Samples) -> float:
    """The share of rows up to those that are flat at the end, 0 to 1.

    A decoder out of data repeats the last colour it knew.
    """
    flat = (samples == samples[-1, -1]).all(axis=(1, 2))
    missing = len(flat) if flat.all() else int(np.argmin(flat[::-1]))
    return 1 - missing / len(flat)


def decode_dc(
    data: bytes, width_px: int, height_px: int, bands: int, shrink: int = DC_SHRINK
) -> Samples | None:
    """Return a JPEG at 1/8 from its DC alone, or at 1/4 or 1/2 from more; None if it is not for it.

    It takes the plain files that cameras make, and only whole ones.

    Args:
        data: a whole JPEG, or a progressive one reduced by `jpeg_scans`.
        width_px: as its frame header says.
        height_px: likewise.
        bands: 1 for grey, 3 for RGB, 4 for RGB and a band of 255.
        shrink: 8, 4 or 2.

    Raises:
        MemoryError: there was not enough memory.
    """
    samples = np.empty((-(-height_px // shrink), -(-width_px // shrink), bands), np.uint8)
    found = compiled.decode(data, samples.data, (width_px, height_px), shrink, bands)
    return samples if found else None


def _by_turbo(source: JpegSource, data: bytes, shrink: int, *, strict: bool) -> Samples:
    rows = -(-source.head.height_px // shrink)
    columns = -(-source.head.width_px // shrink)
    # Forgiving, simplejpeg also returns what libjpeg-turbo gave up on: memory as it was.
    buffer = None if strict else np.zeros((rows, columns, _BANDS[source.space]), np.uint8)
    samples: Samples = simplejpeg.decode_jpeg(
        data, source.space, min_height=rows, min_width=columns, strict=strict, buffer=buffer
    )
    return samples


def _by_vips(source: JpegSource, data: bytes, shrink: int) -> Samples:
    """Decode with libvips, for those who want one library for all."""
    options = {"shrink": shrink} if shrink > 1 else {}
    image = pyvips.Image.jpegload_buffer(data, access="sequential", fail_on="none", **options)
    if source.srgb and image.bands == 1:
        image = image.bandjoin([image, image])
    if source.srgb:
        image = image.bandjoin(_OPAQUE)
    # libvips leaves out a last row or column that is not all there.
    columns = -(-source.head.width_px // shrink)
    rows = -(-source.head.height_px // shrink)
    image = image.copy_memory()
    if (image.width, image.height) != (columns, rows):
        image = image.embed(0, 0, columns, rows, extend="copy")
    samples = np.frombuffer(image.write_to_memory(), np.uint8)
    return samples.reshape(rows, columns, image.bands).copy()


class JpegPicture(Opened):
    """A plain JPEG whose segments have been read, and the previews that it holds."""

    def __init__(self, source: JpegSource, layout: Layout | None = None) -> None:
        self._source = source
        self.loader = "vips" if source.request.decoder is Decoder.VIPS else "turbo"
        self._layout = layout
        """None where previews are not wanted, or none is there."""
        self.width_px = source.head.width_px
        self.height_px = source.head.height_px
        self.orientation = source.head.orientation

    def decode(self, box_px: int) -> Pixels | Plain:
        """See `base.Opened`."""
        if self._layout is not None:
            pixels = self._by_preview(self._layout, box_px)
            if pixels is not None:
                self.loader = "preview"
                return pixels
        source = self._source
        shrink = jpeg_scales.shrink_for(source.head, box_px)
        data = jpeg_scales.data_for(source.request.source, source.head, shrink)
        try:
            samples, self.loader = source.decode(data, shrink)
        except (ValueError, pyvips.Error):
            # libvips can show what is there of a file with something wrong, or say what it is.
            picture = vips.VipsPicture(source.request, data)
            self.loader = picture.loader
            return picture.decode(box_px)
        return source.finished(samples, shrink)

    def _by_preview(self, layout: Layout, box_px: int) -> Pixels | Plain | None:
        """Decode the preview that covers a box; None when there is none that shows a picture."""
        request = self._source.request
        preview = pick(layout, box_px)
        if preview is None or preview.size_bytes >= request.source.size_bytes * _WORTHWHILE_SHARE:
            return None
        if preview.long_px > max(self.width_px, self.height_px):
            return None
        try:
            # It has to be whole: the main picture is better than a part of a preview.
            pixels = _whole_preview(request, preview, box_px)
            return pixels if is_plausible(resample.samples_of(pixels)) else None
        except (Fault, ValueError, MemoryError, pyvips.Error):
            return None


def open_picture(request: Request) -> Opened:
    """Read the segments before the first scan. Raises Fault when the header makes no sense."""
    source = request.source
    head = jpeg.read(source.head)
    if source.size_bytes > WHOLE_FILE_BYTES:
        return _by_libvips(request, head)
    if request.previews and (head is None or head.scan_at < 0):
        # A thumbnail in the EXIF pushes the scan out of the first 64 KiB.
        head = jpeg.read(source.first(_MORE_HEAD * len(source.head)))
    if head is None or head.scan_at < 0:
        head = jpeg_scales.head_of(source)
    if head is not None and head.sample_bits != jpeg_scales.SAMPLE_BITS:
        deep: Opened = import_decoder("deep_jpeg", "video", request.format.mime).open_picture(
            request, head
        )
        return deep
    if head is None or not jpeg_scales.is_plain(head):
        return _by_libvips(request, head)
    layout = None
    if request.previews and request.decoder is not Decoder.VIPS:
        layout = _previews_of(request, head)
    if layout is None and not head.progressive:
        source.whole()
    return JpegPicture(JpegSource(request, head), layout)


def _by_libvips(request: Request, head: JpegHead | None) -> Opened:
    picture = vips.open_picture(request)
    # Asked for a smaller one, libjpeg-turbo gives the first corner of a lossless JPEG.
    picture.reducible = head is None or not head.lossless
    return picture


# Previews ------------------------------------------------------------------------------------


class SamplesPicture(Opened):
    """Red, green and blue, eight bits each, in rows."""

    loader = "samples"

    def __init__(self, data: bytes, preview: Preview) -> None:
        self._data = data
        self.width_px = preview.width_px
        self.height_px = preview.height_px

    def decode(self, box_px: int) -> Plain:
        """See `base.Opened`."""
        del box_px
        samples = np.frombuffer(self._data, np.uint8)
        return resample.opaque(samples.reshape(self.height_px, self.width_px, 3))


def open_preview(request: Request, preview: Preview) -> Opened:
    """Read a preview, and nothing else of the file. Raises Fault when its header makes no sense."""
    if preview.size_bytes > WHOLE_FILE_BYTES:
        raise InvalidPicture("its preview is larger than any camera writes")
    data = request.source.read_at(preview.offset, preview.size_bytes)
    if len(data) < preview.size_bytes:
        raise TruncatedPicture("the file ends within its preview")
    return SamplesPicture(data, preview) if preview.rgb else open_picture(_inner(request, data))


def open_embedded(request: Request, data: bytes) -> Opened:
    """Read the header of a JPEG that lay in a source. Raises Fault when it makes no sense."""
    return open_picture(_inner(request, data))


def _inner(request: Request, data: bytes) -> Request:
    return request._replace(source=SourceBytes.of(data), format=sniff.JPEG, previews=False)


def _previews_of(request: Request, head: JpegHead) -> Layout | None:
    """Look for previews; None where there is none that could do.

    A picture with a colour profile of its own is decoded itself: previews seldom say what their
    numbers mean, and the same numbers with another profile are other colours.
    """
    if not srgb_profiles.means_srgb(head.profile, head.components):
        return None
    try:
        layout = jpeg_previews.layout(request.source, request.source.head, head)
    except DamagedError:
        return None
    return layout if layout.previews else None


def _whole_preview(request: Request, preview: Preview, box_px: int) -> Pixels | Plain:
    """Decode a preview. Raises Fault when it is not ordinary, ValueError when not whole."""
    data = request.source.read_at(preview.offset, preview.size_bytes)
    head = jpeg.read(data)
    if head is None or not jpeg_scales.is_plain(head):
        raise InvalidPicture("the preview is not an ordinary JPEG")
    inner = JpegSource(_inner(request, data), head)
    shrink = jpeg_scales.shrink_for(head, box_px)
    samples, _ = inner.decode(
        jpeg_scales.data_for(inner.request.source, head, shrink), shrink, strict=True
    )
    return inner.finished(samples, shrink)
