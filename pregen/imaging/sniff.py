"""What a file is, by its first bytes. Decodes nothing and looks at no name.

Mime types are those of shared-mime-info 2.4 (freedesktop.org.xml). TIFF-like camera RAWs and
the ISO base media family need a look inside: `containers.tiff` and `containers.isobmff`.
"""

from __future__ import annotations

import re
import zlib
from typing import NamedTuple

from pregen.imaging.containers import archives, gcode, isobmff, tiff
from pregen.imaging.containers import zip as zip_file
from pregen.imaging.formats import Format

#: As much of the file as `sniff` wants to see: the IFDs of camera RAWs lie within it.
HEAD_BYTES = 64 * 1024

JPEG = Format("jpeg", "image/jpeg", "jpeg")
PNG = Format("png", "image/png", "png")
GIF = Format("gif", "image/gif", "vips")
WEBP = Format("webp", "image/webp", "webp")
TIFF = Format("tiff", "image/tiff", "tiff")
SVG = Format("svg", "image/svg+xml", "svg")
SVGZ = Format("svg", "image/svg+xml-compressed", "svg")
BMP = Format("bmp", "image/bmp", "bmp")
ICO = Format("ico", "image/vnd.microsoft.icon", "pillow")
CUR = Format("cur", "image/x-win-bitmap", "pillow")
TGA = Format("tga", "image/x-tga", "pillow")
PCX = Format("pcx", "image/vnd.zbrush.pcx", "pcx")
PSD = Format("psd", "image/vnd.adobe.photoshop", "psd")
PSB = Format("psb", "image/vnd.adobe.photoshop", "psd")
JP2 = Format("jp2", "image/jp2", "jpeg2000")
JPX = Format("jp2", "image/jpx", "jpeg2000")
JPM = Format("jpm", "image/jpm")
J2K = Format("j2k", "image/x-jp2-codestream", "jpeg2000")
QOI = Format("qoi", "image/qoi", "pillow")
PDF = Format("pdf", "application/pdf", "pdf", "pdf")
JXL = Format("jxl", "image/jxl", "jxl", "jxl")
_NETPBM = {
    b"P1": Format("ppm", "image/x-portable-bitmap", "pillow"),
    b"P2": Format("ppm", "image/x-portable-graymap", "pillow"),
    b"P3": Format("ppm", "image/x-portable-pixmap", "pillow"),
    b"P4": Format("ppm", "image/x-portable-bitmap", "pillow"),
    b"P5": Format("ppm", "image/x-portable-graymap", "netpbm"),
    b"P6": Format("ppm", "image/x-portable-pixmap", "netpbm"),
}
_PFM = Format("pfm", "image/x-pfm", "netpbm")
_HDR = Format("hdr", "image/vnd.radiance", "radiance")
_SGI = Format("sgi", "image/x-sgi", "pillow")
_XBM = Format("xbm", "image/x-xbitmap", "pillow")
_FLI = Format("fli", "video/x-flic", "pillow")
_GCODE = Format("gcode", "text/x.gcode", "stored")
_BLEND = Format("blend", "application/x-blender", "blend")


def _video(mime: str) -> Format:
    return Format("video", mime, "video", "video")


def _audio(mime: str) -> Format:
    """Sound, of which a cover may be shown."""
    return Format("audio", mime, "video", "video")


#: Formats told by how the file begins.
_PREFIXES: tuple[tuple[bytes, Format], ...] = (
    (b"\xff\xd8\xff", JPEG),
    (b"\x89PNG\r\n\x1a\n", PNG),
    (b"GIF87a", GIF),
    (b"GIF89a", GIF),
    (b"8BPS\x00\x01", PSD),
    (b"8BPS\x00\x02", PSB),
    (b"\x00\x00\x00\x0cjP  \r\n\x87\n", JP2),
    (b"\xff\x4f\xff\x51", J2K),
    (b"\xff\x0a", JXL),
    (b"\x00\x00\x00\x0cJXL \r\n\x87\n", JXL),
    (b"qoif", QOI),
    (b"%PDF-", PDF),
    (b"FUJIFILMCCD-RAW ", Format("raw", "image/x-fuji-raf", "raw", "raw")),
    (b"\x00MRM", Format("raw", "image/x-minolta-mrw", "raw", "raw")),
    (b"FOVb", Format("raw", "image/x-sigma-x3f", "raw", "raw")),
    (b"II\x1a\x00\x00\x00HEAPCCDR", Format("raw", "image/x-canon-crw", "raw", "raw")),
    (b"FLV\x01", _video("video/x-flv")),
    (b".RMF\x00\x00", _video("application/vnd.rn-realmedia")),
    (b"\x1f\x07\x00", _video("video/dv")),
    (b"\x06\x0e\x2b\x34\x02\x05\x01\x01\x0d\x01\x02", _video("application/mxf")),
    (b"\x30\x26\xb2\x75\x8e\x66\xcf\x11", _video("video/x-ms-wmv")),
    (b"\x00\x00\x01\xba", _video("video/mpeg")),
    (b"\x00\x00\x01\xb3", _video("video/mpeg")),
    (b"gimp xcf ", Format("xcf", "image/x-xcf")),
    (b"\x76\x2f\x31\x01", Format("exr", "image/x-exr")),
    (b"#?RADIANCE\n", _HDR),
    (b"#?RGBE\n", _HDR),
    (b"SIMPLE  =", Format("fits", "image/fits", "fits")),
    (b"II\xbc\x01", Format("jxr", "image/jxr")),
    (b"AT&TFORM", Format("djvu", "image/vnd.djvu")),
    (b"DDS ", Format("dds", "image/x-dds", "dds")),
    (b"icns", Format("icns", "image/x-icns", "stored")),
    (b"P7\n", Format("pam", "image/x-portable-anymap", "netpbm")),
    (b"PF\n", _PFM),
    (b"Pf\n", _PFM),
    (b"\x59\xa6\x6a\x95", Format("sun", "image/x-sun-raster", "pillow")),
    (b"/* XPM */", Format("xpm", "image/x-xpixmap", "xpm")),
    (b"BLENDER", _BLEND),
    (b"\x28\xb5\x2f\xfd", _BLEND),
    (b"ID3", _audio("audio/mpeg")),
    (b"fLaC", _audio("audio/flac")),
    (b"\xd7\xcd\xc6\x9a", Format("wmf", "image/wmf")),
)

#: All that `sniff` can answer, the frequent ones first.
FORMATS: tuple[Format, ...] = (
    JPEG, PNG, GIF, WEBP, TIFF, *isobmff.PICTURES, *tiff.FORMATS, JXL, JP2, JPX, J2K, JPM, PSD,
    PSB, SVG, SVGZ, BMP, ICO, CUR, TGA, PCX, QOI, *_NETPBM.values(), PDF, *isobmff.VIDEOS,
    *map(_video, ("video/x-matroska", "video/webm", "video/vnd.avi", "video/mp2t",
                  "video/x-theora+ogg")),
    _SGI, _XBM, _FLI, *archives.FORMATS, _GCODE, *isobmff.SOUNDS,
    *map(_audio, ("audio/x-opus+ogg", "audio/x-vorbis+ogg", "audio/x-flac+ogg",
                  "audio/x-speex+ogg")),
    *(found for _, found in _PREFIXES),
)  # fmt: skip

#: Major brands of the JPEG 2000 family: JPX is JP2 and more, JPM a document of layers.
_JP2_BRANDS = {b"jpx ": JPX, b"jpm ": JPM}
#: The sizes a DIB header can have (Microsoft, "Bitmap Header Types").
_DIB_HEADER_BYTES = frozenset({12, 16, 40, 52, 56, 64, 108, 124})
#: Of a plane of a PCX.
_PCX_BITS = frozenset({1, 2, 4, 8})
#: The first page of each stream of an Ogg stands at its beginning (RFC 3533, 4).
_OGG_BYTES = 1024
#: What the first packet of a stream of an Ogg begins with.
_OGG_STREAMS: dict[bytes, Format] = {
    b"OpusHead": _audio("audio/x-opus+ogg"),
    b"\x01vorbis": _audio("audio/x-vorbis+ogg"),
    b"\x7fFLAC": _audio("audio/x-flac+ogg"),
    b"Speex   ": _audio("audio/x-speex+ogg"),
}
#: The header of a Matroska file names its document type (RFC 8794, 11.2).
_EBML_BYTES = 64

_SVG_ROOT = re.compile(rb"<(?:[A-Za-z_][\w.-]*:)?svg[\s>]")
#: The size of an X bitmap, which is the text of a C program.
_XBM_START = re.compile(rb"\s*(?:/\*[^*]{0,200}\*/\s*)?#define[ \t]+[\w.-]{0,80}width[ \t]+\d")
_MARKUP_START = re.compile(rb"\s*(?:<\?xml|<!--|<!DOCTYPE\s+svg|<(?:[A-Za-z_][\w.-]*:)?svg[\s>])")


class _TgaHeader(NamedTuple):
    """The fields of a Truevision TGA header that are worth checking (TGA 2.0, section 1)."""

    colour_map: int
    image_type: int
    map_bits: int
    width_px: int
    height_px: int
    bits: int


def sniff(head: bytes) -> Format | None:
    """Return the format of a file that begins with `head`, or None when it is not a picture.

    Args:
        head: the first `HEAD_BYTES` of the file, or all of it when it is shorter.
    """
    for prefix, found in _PREFIXES:
        if head.startswith(prefix):
            return _JP2_BRANDS.get(head[20:24], found) if found is JP2 else found
    start = head[:4]
    if start in tiff.MAGICS:
        return tiff.raw_format(head) or TIFF
    if start in {b"RIFF", b"\x1aE\xdf\xa3", b"OggS", zip_file.LOCAL_MAGIC}:
        return _container(head)
    if (iso := isobmff.sniff(head)) is not None:
        return iso
    if head[:2] in _NETPBM and head[2:3] in b" \t\r\n#" and len(head) > 3:  # noqa: PLR2004 - past the magic
        return _NETPBM[head[:2]]
    return _bitmap(head) or _transport_stream(head) or _markup(head)


def _container(head: bytes) -> Format | None:
    """Boxes for anything: RIFF holds WebP and AVI, and much that is not a picture (WAV)."""
    if head.startswith(zip_file.LOCAL_MAGIC):
        return archives.sniff(head)
    if head[:4] == b"RIFF":
        return {b"WEBP": WEBP, b"AVI ": _video("video/vnd.avi")}.get(head[8:12])
    if head[:4] == b"OggS":
        pages = head[:_OGG_BYTES]
        if b"\x80theora" in pages:
            return _video("video/x-theora+ogg")
        return next((found for begin, found in _OGG_STREAMS.items() if begin in pages), None)
    webm = b"\x42\x82\x84webm" in head[:_EBML_BYTES]
    return _video("video/webm" if webm else "video/x-matroska")


def _bitmap(head: bytes) -> Format | None:
    """Formats whose magic is so short that the header must make sense as well."""
    start = 14 if head[:2] == b"BA" else 0  # an array of bitmaps, of OS/2
    if (
        head[start : start + 2] == b"BM"
        and (
            int.from_bytes(head[start + 14 : start + 18], "little") in _DIB_HEADER_BYTES
            # A damaged one: reserved fields are zero; the decoder says what is wrong.
            or head[start + 6 : start + 10] == b"\x00" * 4
        )
    ):
        return BMP
    count = int.from_bytes(head[4:6], "little")
    if head[:4] in {b"\x00\x00\x01\x00", b"\x00\x00\x02\x00"} and count and head[9:10] == b"\x00":
        return ICO if head[2] == 1 else CUR
    if _is_pcx(head):
        return PCX
    if _is_sgi(head):
        return _SGI
    if head[4:6] in {b"\x11\xaf", b"\x12\xaf"} and head[12:14] == b"\x08\x00":
        return _FLI
    return TGA if _is_tga(head) else None


def _is_pcx(head: bytes) -> bool:
    """PCX has a number, its version and whether it is packed; where it is not, all must fit."""
    if len(head) < 4 or head[0] != 10 or head[1] not in {0, 2, 3, 4, 5} or head[2] > 1:  # noqa: PLR2004 - four fields, the first is 10
        return False
    if head[2]:
        return head[1] != 4 or head[3] in _PCX_BITS  # noqa: PLR2004 - a rare version
    sizes = [int.from_bytes(head[at : at + 2], "little") for at in (4, 6, 8, 10)]
    return (
        head[1] != 0
        and head[3] in _PCX_BITS
        and head[64:65] == b"\0"
        and head[65:66] in {b"\x01", b"\x02", b"\x03", b"\x04"}
        and sizes[0] <= sizes[2] > 0
        and sizes[1] <= sizes[3] > 0
    )


def _is_sgi(head: bytes) -> bool:
    """A magic of two bytes; compression, bytes a sample and dimensions must be among the few."""
    return (
        head[:2] == b"\x01\xda"
        and len(head) > 12  # noqa: PLR2004 - up to the count of channels
        and head[2] in {0, 1}
        and head[3] in {1, 2}
        and head[4] == 0
        and head[5] in {1, 2, 3}
    )


def _is_tga(head: bytes) -> bool:
    """TGA has no magic: every field of the header must be one that the format allows."""
    if len(head) < 18:  # noqa: PLR2004 - the size of a TGA header
        return False
    tga = _TgaHeader(
        head[1], head[2], head[7],
        int.from_bytes(head[12:14], "little"), int.from_bytes(head[14:16], "little"), head[16],
    )  # fmt: skip
    mapped = tga.image_type in {1, 9}
    return (
        tga.image_type in {1, 2, 3, 9, 10, 11}
        and tga.colour_map == int(mapped)
        and tga.map_bits in ({15, 16, 24, 32} if mapped else {0})
        and (mapped or head[3:7] == b"\x00" * 4)
        and tga.width_px > 0
        and tga.height_px > 0
        and tga.bits in ({8, 16} if mapped or tga.image_type in {3, 11} else {15, 16, 24, 32})
    )


def _transport_stream(head: bytes) -> Format | None:
    """MPEG transport streams: a sync byte every 188 bytes, or every 192 with a time stamp."""
    for first, step in ((0, 188), (4, 192)):
        marks = head[first : first + 8 * step : step]
        if len(marks) == 8 and set(marks) == {0x47}:  # noqa: PLR2004 - eight in a row are no accident
            return _video("video/mp2t")
    return None


def _markup(head: bytes) -> Format | None:
    """SVG, plain or gzipped (markup whose root element is svg), and other text with pictures."""
    if head[:3] == b"\x1f\x8b\x08":
        try:
            text = zlib.decompressobj(wbits=31).decompress(head, HEAD_BYTES)
        except zlib.error:
            return None
        if text.startswith(b"BLENDER"):
            return _BLEND
        return SVGZ if _is_svg(text) else None
    if _is_svg(head):
        return SVG
    if gcode.is_illustrated(head):
        return _GCODE
    return _XBM if _XBM_START.match(head) and b"_bits[]" in head else None


def _is_svg(text: bytes) -> bool:
    """True when the markup begins like XML and has an svg element near its start."""
    text = text.removeprefix(b"\xef\xbb\xbf")
    return _MARKUP_START.match(text) is not None and _SVG_ROOT.search(text) is not None
