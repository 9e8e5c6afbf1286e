"""A plain picture -> all its pictures without any picture library, finished in one call of C.

That is what a camera writes: 8-bit Huffman JPEGs, grey or of three colours, in sRGB, whole, and
large enough to be decoded at 1/8, 1/4 or 1/2; progressive ones at 1/8. Likewise PNG of 8 bits and
lossy WebP, opaque and in sRGB. Everything else, and what looks suspicious, goes the ordinary way
(`stages`), which knows what to forgive and what to say. A worker that meets nothing else never
imports numpy, Pillow or libvips.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final, NamedTuple

from pregen.config import Decoder
from pregen.imaging import compiled
from pregen.imaging.containers import jpeg_scales, png, webp
from pregen.imaging.pixels import sizes, srgb_profiles, stream
from pregen.imaging.source_bytes import WHOLE_FILE_BYTES
from pregen.model import SMALL_BOX_PX

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from pregen.imaging.compiled import Made
    from pregen.imaging.containers.jpeg import JpegHead
    from pregen.imaging.decoders.base import Request
    from pregen.model import Flavor

#: Three colours, which a profile of RGB describes.
_RGB: Final = 3


class Pictures(NamedTuple):
    """The pictures of one source, upright."""

    sizes: dict[Flavor, sizes.Size]
    idats: dict[Flavor, bytes]
    """Their zlib streams."""
    width_px: int
    """Of the original, after orientation."""
    height_px: int
    loader: str
    decode_ns: int
    resize_ns: int
    encode_ns: int


class _Stored(NamedTuple):
    """The original as it is stored."""

    width_px: int
    height_px: int
    orientation: int
    """EXIF's."""

    def is_wanted(self, max_pixels: int) -> bool:
        """Tell whether it is neither too large nor so small that it needs no entry."""
        edge_px = max(self.width_px, self.height_px)
        return edge_px > SMALL_BOX_PX and self.width_px * self.height_px <= max_pixels


def pictures(request: Request, flavors: Collection[Flavor], max_pixels: int) -> Pictures | None:
    """Make the pictures of all flavors; None for what goes the ordinary way.

    Raises:
        MemoryError: there was not enough memory.
        OSError: the source cannot be read.
    """
    take = _TAKERS.get(request.format.name)
    if take is None or not compiled.IS_HERE or request.source.size_bytes > WHOLE_FILE_BYTES:
        return None
    ordered = sorted(flavors, key=lambda flavor: flavor.box_px, reverse=True)
    return take(request, ordered, max_pixels)


def _jpeg(request: Request, flavors: Sequence[Flavor], max_pixels: int) -> Pictures | None:
    if request.decoder is not Decoder.AUTO or request.previews:
        return None
    head = jpeg_scales.head_of(request.source)
    if head is None or not jpeg_scales.is_plain(head) or not _is_srgb(head):
        return None
    stored = _Stored(head.width_px, head.height_px, head.orientation)
    shrink = jpeg_scales.shrink_for(head, flavors[0].box_px)
    if not stored.is_wanted(max_pixels) or not jpeg_scales.takes_blocks(head, shrink):
        return None
    request.reserve(jpeg_scales.blocks_bytes(head, shrink))
    made = compiled.pictures(
        jpeg_scales.data_for(request.source, head, shrink),
        (head.width_px, head.height_px),
        shrink,
        head.orientation,
        _wanted(stored, flavors),
    )
    return None if made is None else _finished(made, flavors, stored, jpeg_scales.LOADERS[shrink])


def _png(request: Request, flavors: Sequence[Flavor], max_pixels: int) -> Pictures | None:
    from pregen.imaging.decoders import boxed  # noqa: PLC0415 - photos of cameras need no ISA-L

    head = png.read(request.source.whole())
    if head is None or (head.palette and head.clear):
        return None
    if head.profile and not srgb_profiles.is_srgb(head.profile):
        return None
    stored = _Stored(head.width_px, head.height_px, head.orientation)
    if not stored.is_wanted(max_pixels):
        return None
    begun_ns = time.perf_counter_ns()
    averaged = boxed.png_picture(request, head, flavors[0].box_px, clear=False)
    if averaged is None:
        return None
    drawn = _Drawn(averaged.samples, (averaged.columns, averaged.rows), averaged.extent)
    return _of_drawn(drawn, begun_ns, flavors, stored, boxed.PNG_LOADER)


def _webp(request: Request, flavors: Sequence[Flavor], max_pixels: int) -> Pictures | None:
    from pregen.imaging.decoders import libwebp  # noqa: PLC0415 - photos of cameras need no ctypes

    data = request.source.whole()
    head = webp.read(data)
    if head is None or head.lossless or head.alpha or head.profile:
        return None
    stored = _Stored(head.width_px, head.height_px, head.orientation)
    if not stored.is_wanted(max_pixels):
        return None
    begun_ns = time.perf_counter_ns()
    small = libwebp.decode(data, head, flavors[0].box_px)
    if small is None:
        return None
    size = (small.columns, small.rows)
    drawn = _Drawn(small.rgba, size, size)
    return _of_drawn(drawn, begun_ns, flavors, stored, libwebp.LOADER)


_TAKERS: Final = {"jpeg": _jpeg, "png": _png, "webp": _webp}


class _Drawn(NamedTuple):
    """An opaque picture that another decoder has made."""

    samples: bytes | bytearray
    """Rows x columns x 4."""
    size: tuple[int, int]
    """Columns and rows."""
    extent: tuple[float, float]
    """Where the picture ends within the last of them."""


def _of_drawn(
    drawn: _Drawn, begun_ns: int, flavors: Sequence[Flavor], stored: _Stored, loader: str
) -> Pictures | None:
    decode_ns = time.perf_counter_ns() - begun_ns
    made = compiled.finish(*drawn, stored.orientation, _wanted(stored, flavors))
    if made is None:
        return None
    return _finished(made._replace(decode_ns=decode_ns), flavors, stored, loader)


def _wanted(stored: _Stored, flavors: Sequence[Flavor]) -> list[sizes.Size]:
    return [sizes.fit(stored.width_px, stored.height_px, flavor.box_px) for flavor in flavors]


def _finished(made: Made, flavors: Sequence[Flavor], stored: _Stored, loader: str) -> Pictures:
    turned = stored.orientation in sizes.QUARTER_TURNS
    found = dict(zip(flavors, made.pictures, strict=True))
    return Pictures(
        {flavor: sizes.Size(width, height) for flavor, (width, height, _) in found.items()},
        {flavor: stream.finish(packed) for flavor, (_, _, packed) in found.items()},
        stored.height_px if turned else stored.width_px,
        stored.width_px if turned else stored.height_px,
        loader,
        made.decode_ns,
        made.resize_ns,
        made.encode_ns,
    )


def _is_srgb(head: JpegHead) -> bool:
    return srgb_profiles.means_srgb(head.profile, head.components)
