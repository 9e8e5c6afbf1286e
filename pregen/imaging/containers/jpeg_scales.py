"""Scales at which a plain JPEG is decoded, and what of its file a decode at each of them needs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pregen.imaging.containers import jpeg, jpeg_scans

if TYPE_CHECKING:
    from pregen.imaging.containers.jpeg import JpegHead
    from pregen.imaging.source_bytes import SourceBytes

#: Blocks of 8 x 8 samples become a pixel each.
DC_SHRINK: Final = 8
#: Grey, and three colours.
PLAIN_COMPONENTS: Final = frozenset({1, 3})
#: Of a sample; what has more is another decoder's.
SAMPLE_BITS: Final = 8
#: The scales at which libjpeg-turbo has SIMD code, as denominators.
_SHRINKS: Final = (DC_SHRINK, 4, 2, 1)
#: Scales at which our own decoder reads blocks, and its name at each: the DC alone, or more.
LOADERS: Final = {DC_SHRINK: "dc", 4: "blocks", 2: "blocks"}
#: What it takes for pixels and coefficients, in quarters of a byte a pixel of the whole picture: at
#: 1/8 a 16th of a byte and 3/16, at 1/2 a byte and three quarters.
_QUARTER_BYTES: Final = {DC_SHRINK: 1, 4: 3, 2: 8}
#: A progressive JPEG is read in steps until its first scans are there: 64 KiB, 512 KiB, 4 MiB.
_READ_GROWTH: Final = 8


def head_of(source: SourceBytes) -> JpegHead | None:
    """Return the head, reading the whole file where it is not in its first bytes."""
    head = jpeg.read(source.head)
    if head is None or head.scan_at < 0:
        return jpeg.read(source.whole())
    return head


def is_plain(head: JpegHead) -> bool:
    """Tell whether it is a Huffman JPEG of 8 bits, grey or of three colours."""
    return (
        head.huffman
        and head.sample_bits == SAMPLE_BITS
        and head.components in PLAIN_COMPONENTS
        and head.width_px > 0
        and head.height_px > 0
        and head.scan_at > 0
    )


def shrink_for(head: JpegHead, box_px: int) -> int:
    """Return the scale of a decode that covers a box, as its denominator."""
    long_px = max(head.width_px, head.height_px)
    return next((n for n in _SHRINKS if long_px // n >= box_px), 1)


def takes_blocks(head: JpegHead, shrink: int) -> bool:
    """Tell whether our own decoder may take it: a progressive one at 1/8 only."""
    return shrink in LOADERS and (not head.progressive or shrink == DC_SHRINK)


def blocks_bytes(head: JpegHead, shrink: int) -> int:
    """Return the memory that our own decoder needs."""
    return head.width_px * head.height_px * _QUARTER_BYTES[shrink] // 4


def data_for(source: SourceBytes, head: JpegHead, shrink: int) -> bytes:
    """Return the part of the file that a decode at this scale needs; read no more than that."""
    if not head.progressive:
        return jpeg.before_zero_run(source.whole(), head.scan_at)
    if shrink == DC_SHRINK:
        known = len(source.head)
        while True:
            try:
                return jpeg_scans.reduced(source.first(known), head)
            except jpeg_scans.Incomplete:
                if known >= source.size_bytes:
                    break
                known *= _READ_GROWTH
            except ValueError:
                break
    return source.whole()
