"""What of a source a decode will surely read, told from what is known of it. Only a hint.

Where a source lies on a share, this is read before its turn comes. What comes after is read when it
is wanted; where a hint is wrong, that costs time only.
"""

from __future__ import annotations

from contextlib import suppress
from importlib.util import find_spec
from typing import TYPE_CHECKING, Final

from pregen.imaging import sniff
from pregen.imaging.containers import heif, isobmff, jpeg
from pregen.imaging.pixels.srgb_profiles import means_srgb
from pregen.imaging.previews import heif_thumbnails, jpeg_previews, raw
from pregen.imaging.previews.layout import pick
from pregen.imaging.source_bytes import WHOLE_FILE_BYTES, DamagedError

if TYPE_CHECKING:
    from pregen.imaging.containers.jpeg import JpegHead
    from pregen.imaging.formats import Format
    from pregen.imaging.source_bytes import SourceBytes

#: Modules of `decoders` that begin by reading the whole file, up to `WHOLE_FILE_BYTES`.
_READ_WHOLE: Final = frozenset(
    ("avif", "bmp", "dds", "jpeg2000", "jxl", "netpbm", "pcx", "pillow", "png", "radiance", "svg",
     "tiff", "vips", "webp", "xpm")
)  # fmt: skip
#: Those whose library is not always there: nothing is read for an outcome that says so.
_LIBRARIES: Final = {"heic": "pillow_heif", "jxl": "pylibjxl"}
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
    found = _format(head, size_bytes)
    if found is None:
        return len(head)
    if found.decoder == "jpeg":
        return min(size_bytes, _of_jpeg(_jpeg_head(head), len(head), size_bytes, previews=previews))
    return size_bytes if found.decoder in _READ_WHOLE else len(head)


def read(source: SourceBytes, box_px: int, *, previews: bool = False) -> None:
    """Read what a decode surely reads, in the same places and portions.

    Args:
        source: of which the head is known.
        box_px: the largest one that is wanted.
        previews: a JPEG's own preview will do.

    Raises:
        OSError: the source cannot be read.
    """
    found = _format(source.head, source.size_bytes)
    if found is None:
        return
    try:
        if found.decoder == "raw":
            _read_raw(source, found, box_px)
        elif found.decoder == "heic":
            _read_heic(source, box_px)
        elif found.decoder == "jpeg" and previews:
            _read_jpeg(source, box_px)
        else:
            source.first(needed(source.head, source.size_bytes))
    except DamagedError:
        pass  # the decode will say it


def _format(head: bytes, size_bytes: int) -> Format | None:
    """Return the format of a file of which more than the head may be wanted."""
    if not len(head) < size_bytes <= WHOLE_FILE_BYTES:
        return None
    found = sniff.sniff(head)
    library = _LIBRARIES.get(found.decoder) if found else None
    return None if library and find_spec(library) is None else found


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


def _read_jpeg(source: SourceBytes, box_px: int) -> None:
    """Read a preview where there is one that will do, else what is decoded then."""
    source.first(needed(source.head, source.size_bytes, previews=True))
    head = _jpeg_head(source.head)
    preview = None
    if head and head.scan_at >= 0 and means_srgb(head.profile, head.components):
        with suppress(DamagedError):
            preview = pick(jpeg_previews.layout(source, source.head, head), box_px)
    if preview is None:
        source.first(needed(source.head, source.size_bytes))
    else:
        source.read_at(preview.offset, preview.size_bytes)


def _read_raw(source: SourceBytes, found: Format, box_px: int) -> None:
    layout = raw.layout(source)
    if found is isobmff.CR3:
        isobmff.declared_bytes(source.read_at, source.size_bytes)
    preview = pick(layout, box_px)
    if preview is not None:
        source.read_at(preview.offset, preview.size_bytes)


def _read_heic(source: SourceBytes, box_px: int) -> None:
    file = source.as_file()
    meta = heif.read(file.read_at, source.size_bytes)
    main = meta.items.get(meta.primary)
    size = heif.shown_size(main) if main else None
    thumbnails = heif_thumbnails.usable(meta, main, size) if main and size else []
    chosen = next((each for each in thumbnails if heif_thumbnails.covers(each, box_px)), None)
    if chosen is None:
        source.whole()
        return
    if main and not heif.orientation(main) and (exif := meta.exif()):
        file.read_at(exif.offset, exif.size_bytes)
    for extent in chosen.extents:
        file.read_at(extent.offset, extent.size_bytes)
    if file.error is not None:
        raise file.error
