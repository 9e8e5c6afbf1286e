"""A plain JPEG -> all its pictures in one call of C, without any picture library.

That is what a camera writes: 8-bit Huffman JPEGs, grey or of three colours, in sRGB, whole, and
large enough to be decoded at 1/8, 1/4 or 1/2; progressive ones at 1/8. Everything else, and what
looks suspicious, goes the ordinary way (`stages`), which knows what to forgive and what to say. A
worker that meets nothing else never imports numpy, Pillow or libvips.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from pregen.config import Decoder
from pregen.imaging import compiled
from pregen.imaging.containers import jpeg_scales
from pregen.imaging.pixels import sizes, srgb_profiles, stream
from pregen.imaging.source_bytes import WHOLE_FILE_BYTES
from pregen.model import SMALL_BOX_PX

if TYPE_CHECKING:
    from collections.abc import Collection

    from pregen.imaging.compiled import Made
    from pregen.imaging.containers.jpeg import JpegHead
    from pregen.imaging.decoders.base import Request
    from pregen.model import Flavor

#: Three colours, which a profile of RGB describes.
_RGB: Final = 3


class Pictures(NamedTuple):
    """The pictures of one JPEG, upright."""

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


def pictures(request: Request, flavors: Collection[Flavor], max_pixels: int) -> Pictures | None:
    """Make the pictures of all flavors; None for what goes the ordinary way.

    Raises:
        MemoryError: there was not enough memory.
        OSError: the source cannot be read.
    """
    if (
        not compiled.IS_HERE
        or request.format.decoder != "jpeg"
        or request.decoder is not Decoder.AUTO
        or request.previews
        or request.source.size_bytes > WHOLE_FILE_BYTES
    ):
        return None
    head = jpeg_scales.head_of(request.source)
    if head is None or not jpeg_scales.is_plain(head) or not _is_srgb(head):
        return None
    width_px, height_px = head.width_px, head.height_px
    if width_px * height_px > max_pixels or max(width_px, height_px) <= SMALL_BOX_PX:
        return None
    ordered = sorted(flavors, key=lambda flavor: flavor.box_px, reverse=True)
    shrink = jpeg_scales.shrink_for(head, ordered[0].box_px)
    if not jpeg_scales.takes_blocks(head, shrink):
        return None
    request.reserve(jpeg_scales.blocks_bytes(head, shrink))
    made = compiled.pictures(
        jpeg_scales.data_for(request.source, head, shrink),
        (width_px, height_px),
        shrink,
        head.orientation,
        [sizes.fit(width_px, height_px, flavor.box_px) for flavor in ordered],
    )
    return None if made is None else _finished(made, ordered, head, shrink)


def _finished(made: Made, flavors: Collection[Flavor], head: JpegHead, shrink: int) -> Pictures:
    turned = head.orientation in sizes.QUARTER_TURNS
    found = dict(zip(flavors, made.pictures, strict=True))
    return Pictures(
        {flavor: sizes.Size(width, height) for flavor, (width, height, _) in found.items()},
        {flavor: stream.finish(packed) for flavor, (_, _, packed) in found.items()},
        head.height_px if turned else head.width_px,
        head.width_px if turned else head.height_px,
        jpeg_scales.LOADERS[shrink],
        made.decode_ns,
        made.resize_ns,
        made.encode_ns,
    )


def _is_srgb(head: JpegHead) -> bool:
    return not head.profile or (head.components == _RGB and srgb_profiles.is_srgb(head.profile))
