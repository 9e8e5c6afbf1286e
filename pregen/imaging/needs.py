"""How much of a source a decode will surely read, told from its first bytes. Pure; only a hint.

Where a source lies on a share, so much of it is read before its turn comes. What comes after is
read when it is wanted; where a hint is wrong, that costs time only.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pregen.imaging import sniff
from pregen.imaging.containers import jpeg
from pregen.imaging.source_bytes import WHOLE_FILE_BYTES, DamagedError

if TYPE_CHECKING:
    from pregen.imaging.containers.jpeg import JpegHead

#: Modules of `decoders` that begin by reading the whole file, up to `WHOLE_FILE_BYTES`.
_READ_WHOLE: Final = frozenset(
    ("bmp", "dds", "jpeg2000", "jxl", "netpbm", "pcx", "pillow", "png", "radiance", "svg", "tiff",
     "vips", "webp", "xpm")
)  # fmt: skip
#: Most progressive JPEGs have their first scans in the second step (`decoders.jpeg`).
_PROGRESSIVE_BYTES: Final = 512 * 1024
#: Of a JPEG whose scan does not begin in the head, before a preview is looked for.
_PREVIEW_HEAD_BYTES: Final = 256 * 1024


def needed(head: bytes, size_bytes: int, *, previews: bool = False) -> int:
    """Return how many bytes from the beginning a decode surely reads.

    Args:
        head: the first `sniff.HEAD_BYTES`, or all of a shorter file.
        size_bytes: of the file.
        previews: a JPEG's own preview will do.
    """
    found = sniff.sniff(head) if len(head) < size_bytes <= WHOLE_FILE_BYTES else None
    if found is None:
        return len(head)
    if found.decoder == "jpeg":
        return min(size_bytes, _of_jpeg(_jpeg_head(head), len(head), size_bytes, previews=previews))
    return size_bytes if found.decoder in _READ_WHOLE else len(head)


def _jpeg_head(head: bytes) -> JpegHead | None:
    try:
        return jpeg.read(head)
    except DamagedError:
        return None


def _of_jpeg(head: JpegHead | None, known: int, size_bytes: int, *, previews: bool) -> int:
    if head is None or head.scan_at < 0:
        return _PREVIEW_HEAD_BYTES if previews else size_bytes
    if previews:
        return known
    return _PROGRESSIVE_BYTES if head.progressive else size_bytes
