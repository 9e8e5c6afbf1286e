"""Tells camera RAWs from plain TIFF by the first IFD. Decodes nothing.

libvips opens DNG and NEF as TIFF and shows their tiny first picture or raw sensor data
(formats-and-decoders, section 7), so RAWs must be told apart before any generic loader.
"""

from __future__ import annotations

import struct
from typing import Literal

from pregen.imaging.formats import Format

_RW2 = Format("raw", "image/x-panasonic-rw2", "raw", "raw")
_ORF = Format("raw", "image/x-olympus-orf", "raw", "raw")

#: Byte order and version of classic TIFF, BigTIFF and the RAWs that changed the version.
MAGICS = frozenset(
    {
        b"II*\x00", b"MM\x00*", b"II+\x00", b"MM\x00+",
        b"IIU\x00", b"IIRO", b"IIRS", b"MMOR",
    }
)  # fmt: skip
_BIG = frozenset({b"II+\x00", b"MM\x00+"})
_OWN_MAGIC = {b"IIU\x00": _RW2, b"IIRO": _ORF, b"IIRS": _ORF, b"MMOR": _ORF}

#: What some makers write right behind the TIFF header.
_BEHIND = {
    b"CR": Format("raw", "image/x-canon-cr2", "raw", "raw"),
    b"IIII": Format("raw", "image/x-phaseone-iiq", "raw", "raw"),
    b"MMMM": Format("raw", "image/x-phaseone-iiq", "raw", "raw"),
}

_NEW_SUBFILE_TYPE = 0x00FE
_COMPRESSION = 0x0103
_PHOTOMETRIC = 0x0106
_MAKE = 0x010F
_SUB_IFDS = 0x014A
_DNG_VERSION = 0xC612
#: Photometric interpretations that only sensor data has (CFA, linear raw; DNG 1.7, chapter 2).
_SENSOR = frozenset({32803, 34892})
#: Compression of Nikon and Sony sensor data.
_RAW_COMPRESSIONS = frozenset({34713, 32767})
#: The first letters of Make, and what a RAW of that maker is called.
_MAKERS = {
    b"NIKON": "image/x-nikon-nef",
    b"SONY": "image/x-sony-arw",
    b"Canon": "image/x-canon-cr2",
    b"PENTAX": "image/x-pentax-pef",
    b"RICOH": "image/x-pentax-pef",
    b"SAMSUNG": "image/x-samsung-srw",
    b"Hasselblad": "image/x-hasselblad-3fr",
    b"Phase One": "image/x-phaseone-iiq",
    b"Leaf": "image/x-leaf-mos",
    b"EASTMAN KODAK": "image/x-kodak-dcr",
    b"Kodak": "image/x-kodak-dcr",
    b"Mamiya": "image/x-mamiya-mef",
    b"EPSON": "image/x-epson-erf",
}
_DNG = Format("raw", "image/x-adobe-dng", "raw", "raw")
_OTHER = Format("raw", "image/x-dcraw", "raw", "raw")
#: All that `raw_format` can answer.
FORMATS = (
    _DNG,
    *(Format("raw", mime, "raw", "raw") for mime in dict.fromkeys(_MAKERS.values())),
    _RW2,
    _ORF,
    _OTHER,
)
#: An IFD with more entries than this is damaged; libtiff itself warns from 4096 on.
_MAX_ENTRIES = 4096
_ENTRY_BYTES = 12


def raw_format(head: bytes) -> Format | None:
    """Return the RAW format that `head` begins, None when it is an ordinary TIFF or damaged."""
    magic = head[:4]
    if magic in _OWN_MAGIC:
        return _OWN_MAGIC[magic]
    if magic in _BIG:
        return None
    if (behind := _BEHIND.get(head[8:12], _BEHIND.get(head[8:10]))) is not None:
        return behind
    tags = first_ifd(head)
    if _DNG_VERSION in tags:
        return _DNG
    make = _make(head, tags)
    mime = next((name for maker, name in _MAKERS.items() if make.startswith(maker)), "")
    sensor = tags.get(_PHOTOMETRIC) in _SENSOR or tags.get(_COMPRESSION) in _RAW_COMPRESSIONS
    # A camera's TIFF with SubIFDs whose first picture calls itself reduced holds the real one,
    # the sensor data, in a SubIFD.
    preview_first = tags.get(_NEW_SUBFILE_TYPE) == 1 and _SUB_IFDS in tags
    if sensor or (mime and preview_first):
        return Format("raw", mime, "raw", "raw") if mime else _OTHER
    return None


def first_ifd(head: bytes) -> dict[int, int]:
    """Tag -> the 32 bits of its value field (16 for a SHORT), as far as `head` holds the first IFD.

    Damage ends the list; nothing is raised.
    """
    order = _order(head)
    try:
        (at,) = struct.unpack_from(f"{order}I", head, 4)
        (count,) = struct.unpack_from(f"{order}H", head, at)
    except struct.error:
        return {}
    tags: dict[int, int] = {}
    for index in range(min(count, _MAX_ENTRIES)):
        try:
            tag, kind, values, value = struct.unpack_from(
                f"{order}HHII", head, at + 2 + index * _ENTRY_BYTES
            )
        except struct.error:
            break
        if kind == 3 and values == 1:  # noqa: PLR2004 - SHORT lies in the first two bytes
            (value,) = struct.unpack_from(f"{order}H", head, at + 2 + index * _ENTRY_BYTES + 8)
        tags.setdefault(tag, value)
    return tags


def _make(head: bytes, tags: dict[int, int]) -> bytes:
    at = tags.get(_MAKE)
    return b"" if at is None else head[at : at + 32].split(b"\x00")[0].strip()


def _order(head: bytes) -> Literal["<", ">"]:
    return "<" if head[:2] == b"II" else ">"
