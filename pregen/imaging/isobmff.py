"""The ISO base media family (HEIC, AVIF, CR3, MP4, MOV, ...) told apart by its `ftyp` box.

Reads nothing but the brands (ISO/IEC 14496-12, 4.3; 23008-12, Annex B).
"""

from __future__ import annotations

from pregen.imaging.formats import Format

AVIF = Format("avif", "image/avif", "pillow")
HEIC = Format("heic", "image/heif", "heic", "heic")
CR3 = Format("raw", "image/x-canon-cr3", "raw", "raw")

_AVIF = frozenset({b"avif", b"avis"})
_HEVC = frozenset({b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs"})
_IMAGE = frozenset({b"mif1", b"mif2", b"msf1", b"miaf", b"jpeg", b"j2ki"})
_AUDIO = frozenset({b"M4A ", b"M4B ", b"M4P "})
#: What old QuickTime files begin with instead of `ftyp`.
_QUICKTIME_BOXES = frozenset({b"moov", b"mdat", b"wide", b"pnot"})
QUICKTIME = Format("video", "video/quicktime", "video", "video")
_VIDEO_MIMES = {
    b"qt  ": "video/quicktime",
    b"M4V ": "video/mp4",
    b"mj2s": "video/mj2",
    b"mjp2": "video/mj2",
}
#: All that `sniff` can answer.
PICTURES = (HEIC, AVIF, CR3)
VIDEOS = (
    QUICKTIME,
    *(
        Format("video", f"video/{kind}", "video", "video")
        for kind in ("mp4", "3gpp", "3gpp2", "mj2")
    ),
)
#: An `ftyp` lists few brands; a larger box is a lie.
_MAX_FTYP_BYTES = 1024


def sniff(head: bytes) -> Format | None:
    """Return the format of an ISO base media file, None when `head` is not the start of one."""
    box = head[4:8]
    if box in _QUICKTIME_BOXES:
        return QUICKTIME
    if box != b"ftyp":
        return None
    size_bytes = int.from_bytes(head[:4], "big")
    if not 16 <= size_bytes <= _MAX_FTYP_BYTES:  # noqa: PLR2004 - header, major brand, version
        return None
    major = head[8:12]
    brands = [major, *(head[at : at + 4] for at in range(16, min(size_bytes, len(head)), 4))]
    return _by_brands(major, brands)


def _by_brands(major: bytes, brands: list[bytes]) -> Format | None:
    if major == b"crx ":
        return CR3
    if major in _AUDIO:
        return None
    if major in _HEVC or (major in _IMAGE and not _AVIF.intersection(brands)):
        return HEIC
    if _AVIF.intersection(brands):
        return AVIF
    if _HEVC.intersection(brands):
        return HEIC
    phone = {b"3gp": "video/3gpp", b"3g2": "video/3gpp2"}.get(major[:3], "video/mp4")
    mime = _VIDEO_MIMES.get(major, phone)
    return Format("video", mime, "video", "video")
