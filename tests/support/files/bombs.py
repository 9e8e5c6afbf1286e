"""Small files that ask for the moon: one or more bombs of each format (further: `hostile`)."""

from __future__ import annotations

import gzip
import io
import struct
import zipfile
import zlib
from typing import TYPE_CHECKING

import numpy as np

from tests.support.files import archive_bombs, broken, films, pictures
from tests.support.files.films import Look
from tests.support.files.photo import photo
from tests.support.files.pictures import encode, image
from tests.support.judges import png_walk

if TYPE_CHECKING:
    from collections.abc import Callable

_SVG = b'<svg xmlns="http://www.w3.org/2000/svg" width="300" height="200"'
_BLOCK = 1_000_000


def _tiff(entries: list[tuple[int, int, int, int]], *, following: int = 0) -> bytes:
    """Return a TIFF of one IFD at 8 and 100 bytes of data at its end."""
    body = struct.pack("<2sHIH", b"II", 42, 8, len(entries))
    body += b"".join(struct.pack("<HHII", *entry) for entry in sorted(entries))
    return body + struct.pack("<I", following) + bytes(100)


def _tiff_fields(edge_px: int) -> list[tuple[int, int, int, int]]:
    return [
        (256, 4, 1, edge_px), (257, 4, 1, edge_px), (258, 3, 1, 8), (259, 3, 1, 1), (262, 3, 1, 1),
        (273, 4, 1, 130), (277, 3, 1, 1), (278, 4, 1, edge_px), (279, 4, 1, 100),
    ]  # fmt: skip


def tiff_header() -> bytes:
    """Return a TIFF of 100000 x 100000 samples that holds a hundred."""
    return _tiff(_tiff_fields(100_000))


def tiff_ring() -> bytes:
    """Return a TIFF whose only page is followed by itself."""
    return _tiff(_tiff_fields(10), following=8)


def tiff_pages(count: int = 20_000) -> bytes:
    """Return a TIFF of many pages that share one strip."""
    fields = _tiff_fields(150)
    step = 2 + 12 * len(fields) + 4
    data_at = 8 + step * count
    fields = [(*f[:3], data_at) if f[0] == 273 else f for f in fields]
    fields = [(*f[:3], 150 * 150) if f[0] == 279 else f for f in fields]
    one = struct.pack("<H", len(fields)) + b"".join(struct.pack("<HHII", *f) for f in fields)
    nexts = [*range(8 + step, data_at, step), 0]
    pages = b"".join(one + struct.pack("<I", following) for following in nexts)
    return struct.pack("<2sHI", b"II", 42, 8) + pages + bytes(150 * 150)


def gif_frames(count: int = 1_000_000) -> bytes:
    """Return a GIF of many frames of one pixel."""
    head = b"GIF89a" + struct.pack("<HHBBB", 200, 150, 0x80, 0, 0) + bytes([0, 0, 0, 255, 255, 255])
    control = b"\x21\xf9\4\0\1\0\0\0"
    frame = b"\x2c" + struct.pack("<HHHHB", 0, 0, 1, 1, 0) + b"\2\2\x44\1\0"
    return head + (control + frame) * count + b"\x3b"


def gif_header() -> bytes:
    """Return a GIF with a screen of 65535 x 65535 and a frame of one pixel."""
    data = bytearray(gif_frames(1))
    data[6:10] = b"\xff" * 4
    return bytes(data)


def webp_header() -> bytes:
    """Return a lossless WebP of 16384 x 16384 that ends at once."""
    body = b"\x2f" + struct.pack("<I", 0x0FFFFFFF) + bytes(20)
    chunk = b"VP8L" + struct.pack("<I", len(body)) + body + bytes(len(body) % 2)
    return b"RIFF" + struct.pack("<I", 4 + len(chunk)) + b"WEBP" + chunk


def webp_canvas() -> bytes:
    """Return a WebP with a canvas of 2^24 x 2^24."""
    data = bytearray(encode(pictures.rgba(200, 150), "WEBP"))
    assert data[12:16] == b"VP8X"
    data[24:30] = b"\xff" * 6
    return bytes(data)


def svg_uses(levels: int = 12) -> bytes:
    """Return a drawing of 10^`levels` circles: each group shows the one before ten times."""
    groups = [b'<g id="g0"><circle r="3"/></g>']
    groups += [
        b'<g id="g%d">%b</g>' % (level, b'<use href="#g%d"/>' % (level - 1) * 10)
        for level in range(1, levels + 1)
    ]
    return _SVG + b"><defs>" + b"".join(groups) + b'</defs><use href="#g%d"/></svg>' % levels


def svg_entities(levels: int = 12) -> bytes:
    """Return a drawing whose text is 10^`levels` words, by entities of entities."""
    entities = [b'<!ENTITY e0 "lol">']
    entities += [
        b'<!ENTITY e%d "%b">' % (level, b"&e%d;" % (level - 1) * 10)
        for level in range(1, levels + 1)
    ]
    doctype = b'<?xml version="1.0"?><!DOCTYPE svg [' + b"".join(entities) + b"]>"
    return doctype + _SVG + b"><text>&e%d;</text></svg>" % levels


def svg_filters() -> bytes:
    """Return a drawing with a chain of filters over an area of 10^12 pixels."""
    blurs = b'<feGaussianBlur stdDeviation="900"/><feTurbulence numOctaves="99999"/>' * 50
    return (
        _SVG + b' viewBox="0 0 1000000 1000000"><filter id="f" x="-9" y="-9" width="99">' + blurs
        + b'</filter><rect width="1000000" height="1000000" filter="url(#f)"/></svg>'
    )  # fmt: skip


def svg_deep(levels: int = 200_000) -> bytes:
    """Return a drawing of groups within groups: what recurses runs out of stack."""
    return _SVG + b">" + b"<g>" * levels + b"</g>" * levels + b"</svg>"


def svgz_zeros(inflated_bytes: int = 300_000_000) -> bytes:
    """Return a gzipped drawing with 300 MB of blanks in it."""
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    parts = [packer.compress(_SVG + b">")]
    parts += [packer.compress(b" " * _BLOCK) for _ in range(inflated_bytes // _BLOCK)]
    return b"".join((*parts, packer.compress(b"</svg>"), packer.flush()))


def _pdf(*objects: bytes) -> bytes:
    out = bytearray(b"%PDF-1.7\n")
    places = []
    for number, content in enumerate(objects, 1):
        places.append(len(out))
        out += b"%d 0 obj\n%b\nendobj\n" % (number, content)
    start = len(out)
    out += b"xref\n0 %d\n0000000000 65535 f \n" % (len(objects) + 1)
    out += b"".join(b"%010d 00000 n \n" % place for place in places)
    out += b"trailer\n<</Size %d/Root 1 0 R>>\n" % (len(objects) + 1)
    return bytes(out) + b"startxref\n%d\n%%%%EOF\n" % start


_CATALOG = b"<</Type/Catalog/Pages 2 0 R>>"
_PAGES = b"<</Type/Pages/Kids[3 0 R]/Count 1>>"


def _stream(entries: bytes, data: bytes) -> bytes:
    return b"<</Length %d%b>>\nstream\n%b\nendstream" % (len(data), entries, data)


def pdf_forms(levels: int = 12) -> bytes:
    """Return a page that draws a form ten times, which draws another ten times, and so on."""
    page = b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 600 400]/Contents 4 0 R/Resources"
    page += b"<</XObject<</F 5 0 R>>>>>>"
    draws = b"/F Do " * 10
    form = b"/Type/XObject/Subtype/Form/BBox[0 0 600 400]/Resources<</XObject<</F %d 0 R>>>>"
    forms = [_stream(form % (6 + level), draws) for level in range(levels)]
    last = _stream(b"/Type/XObject/Subtype/Form/BBox[0 0 600 400]", b"0 0 9 9 re f")
    return _pdf(_CATALOG, _PAGES, page, _stream(b"", draws), *forms, last)


def pdf_stream(inflated_bytes: int = 300_000_000) -> bytes:
    """Return a page whose content is 300 MB once it is inflated."""
    packer = zlib.compressobj(9)
    parts = [packer.compress(b" " * _BLOCK) for _ in range(inflated_bytes // _BLOCK)]
    page = b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 600 400]/Contents 4 0 R>>"
    content = b"".join((*parts, packer.flush()))
    return _pdf(_CATALOG, _PAGES, page, _stream(b"/Filter/FlateDecode", content))


def pdf_image(edge_px: int = 60_000) -> bytes:
    """Return a page with a picture of 3600 million samples."""
    page = b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 600 400]/Contents 4 0 R/Resources"
    page += b"<</XObject<</I 5 0 R>>>>>>"
    packer = zlib.compressobj(9)
    rows = b"".join(packer.compress(bytes(edge_px * 3)) for _ in range(100)) + packer.flush()
    entries = b"/Type/XObject/Subtype/Image/Width %d/Height %d" % (edge_px, edge_px)
    entries += b"/ColorSpace/DeviceRGB/BitsPerComponent 8/Filter/FlateDecode"
    draws = _stream(b"", b"600 0 0 400 0 0 cm /I Do")
    return _pdf(_CATALOG, _PAGES, page, draws, _stream(entries, rows))


def pdf_tree() -> bytes:
    """Return a document whose tree of pages is a ring and says to hold 10^9 of them."""
    return _pdf(_CATALOG, b"<</Type/Pages/Kids[2 0 R 2 0 R]/Count 1000000000/Parent 2 0 R>>")


def pdf_page() -> bytes:
    """Return a page of 10^9 x 10^9 units."""
    page = b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 1000000000 1000000000]/Contents 4 0 R>>"
    return _pdf(_CATALOG, _PAGES, page, _stream(b"", b"0 0 9 9 re f"))


def jp2_header() -> bytes:
    """Return a JPEG 2000 codestream of 2^31 x 2^31 samples in tiles of one."""
    data = bytearray(encode(image(200, 150), "JPEG2000", no_jp2=True))
    at = data.index(b"\xff\x51")
    data[at + 6 : at + 14] = struct.pack(">II", 1 << 31, 1 << 31)
    data[at + 22 : at + 30] = struct.pack(">II", 1, 1)
    return bytes(data)


def jp2_tiles() -> bytes:
    """Return a JPEG 2000 codestream of 20000 x 20000 samples in tiles of one."""
    data = bytearray(encode(image(200, 150), "JPEG2000", no_jp2=True))
    at = data.index(b"\xff\x51")
    data[at + 6 : at + 14] = struct.pack(">II", 20_000, 20_000)
    data[at + 22 : at + 30] = struct.pack(">II", 1, 1)
    return bytes(data)


def avif_header() -> bytes:
    """Return an AVIF whose container says 65535 x 65535."""
    data = bytearray(encode(image(200, 150), "AVIF", speed=10))
    at = data.index(b"ispe")
    data[at + 8 : at + 16] = struct.pack(">II", 0xFFFF, 0xFFFF)
    return bytes(data)


def psd_header() -> bytes:
    """Return a PSD of 30000 x 30000."""
    data = bytearray(pictures.psd(200, 150))
    data[14:22] = struct.pack(">II", 30_000, 30_000)
    return bytes(data)


def tga_header() -> bytes:
    """Return a TGA of 65535 x 65535."""
    data = bytearray(encode(image(200, 150), "TGA", compression="tga_rle"))
    data[12:16] = b"\xff" * 4
    return bytes(data)


def pcx_header() -> bytes:
    """Return a PCX of 65535 x 65535."""
    data = bytearray(encode(image(200, 150), "PCX"))
    data[8:12] = b"\xfe\xff" * 2
    return bytes(data)


def qoi_header() -> bytes:
    """Return a QOI of 2^32 - 1 by as many."""
    return b"qoif" + b"\xff" * 8 + b"\4\0" + b"\xfd" * 200


def qoi_runs() -> bytes:
    """Return a QOI of 400 Mpx that are one long run of a colour, in a few kilobytes, cut short."""
    return b"qoif" + struct.pack(">II", 20_000, 20_000) + b"\4\0" + b"\xfd" * 5000


def ppm_header() -> bytes:
    """Return a PNM of 10^18 pixels."""
    return b"P6\n999999999 999999999\n255\n" + bytes(100)


def ppm_digits() -> bytes:
    """Return a PNM whose width is a number of a million digits."""
    return b"P6\n" + b"9" * 1_000_000 + b" 9\n255\n"


def ico_png() -> bytes:
    """Return an icon that holds a PNG bomb."""
    inner = broken.png_header_bomb()
    entry = struct.pack("<BBBBHHII", 0, 0, 0, 0, 1, 32, len(inner), 22)
    return struct.pack("<HHH", 0, 1, 1) + entry + inner


def film_frames() -> bytes:
    """Return a film whose pictures say that they are 65500 x 65500."""
    data = films.film([photo(176, 130, 1)] * 3, "mov", "mjpeg", Look("yuvj420p"))
    at = data.find(b"\xff\xc0")
    while at >= 0:
        data = data[: at + 5] + struct.pack(">HH", 65_500, 65_500) + data[at + 9 :]
        at = data.find(b"\xff\xc0", at + 9)
    return data


def png_profile() -> bytes:
    """Return a PNG with a colour profile that inflates to 300 MB."""
    packer = zlib.compressobj(9)
    parts = [packer.compress(bytes(_BLOCK)) for _ in range(300)]
    profile = b"".join((*parts, packer.flush()))
    rows = np.zeros((150, 601), np.uint8).tobytes()
    return png_walk.build(
        [
            (b"IHDR", struct.pack(">IIBBBBB", 200, 150, 8, 2, 0, 0, 0)),
            (b"iCCP", b"bomb\0\0" + profile),
            (b"IDAT", zlib.compress(rows)),
            (b"IEND", b""),
        ]
    )


def nested_zips(levels: int = 6) -> bytes:
    """Return archives within archives; the innermost are full of zeros."""
    inner = bytes(10_000_000)
    for _ in range(levels):
        out = io.BytesIO()
        with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
            for number in range(10):
                archive.writestr(f"{number}.zip", inner)
        inner = out.getvalue()
    return inner


def nested_gzips(levels: int = 4) -> bytes:
    """Return gzip within gzip, and zeros at the bottom."""
    inner = bytes(100_000_000)
    for _ in range(levels):
        inner = gzip.compress(inner, mtime=0)
    return inner


def xpm_colours() -> bytes:
    """Return an XPM of a thousand million colours."""
    return b'/* XPM */\n"200 200 999999999 2",\n' + b'"ab c red",\n' * 1000


def fits_axes() -> bytes:
    """Return a FITS of numbers of 64 bits, 10^12 of them."""
    cards = (
        b"SIMPLE  = T",
        b"BITPIX  = -64",
        b"NAXIS   = 2",
        b"NAXIS1  = 999999",
        b"NAXIS2  = 999999",
    )
    return b"".join(card.ljust(80) for card in (*cards, b"END")).ljust(2880) + bytes(2880)


def radiance_runs() -> bytes:
    """Return a Radiance picture of 480 Mpx, in which rows are short runs that never end."""
    return b"#?RADIANCE\n\n-Y 20000 +X 24000\n" + (b"\2\2\x5d\xc0" + b"\x81\7" * 30) * 3000


#: By the file's name.
BOMBS: dict[str, Callable[[], bytes]] = {
    "header.tif": tiff_header,
    "ring.tif": tiff_ring,
    "pages.tif": tiff_pages,
    "frames.gif": gif_frames,
    "header.gif": gif_header,
    "header.webp": webp_header,
    "canvas.webp": webp_canvas,
    "entities.svg": svg_entities,
    "filters.svg": svg_filters,
    "deep.svg": svg_deep,
    "zeros.svgz": svgz_zeros,
    "stream.pdf": pdf_stream,
    "image.pdf": pdf_image,
    "tree.pdf": pdf_tree,
    "page.pdf": pdf_page,
    "header.j2k": jp2_header,
    "tiles.j2k": jp2_tiles,
    "header.avif": avif_header,
    "header.psd": psd_header,
    "header.tga": tga_header,
    "header.pcx": pcx_header,
    "header.qoi": qoi_header,
    "runs.qoi": qoi_runs,
    "header.ppm": ppm_header,
    "digits.ppm": ppm_digits,
    "png.ico": ico_png,
    "frames.mov": film_frames,
    "profile.png": png_profile,
    "zip.jpg": nested_zips,
    "archive.zip": nested_zips,
    "gzip.svgz": nested_gzips,
    "colours.xpm": xpm_colours,
    "axes.fits": fits_axes,
    "runs.hdr": radiance_runs,
    "header.pfm": lambda: b"PF\n999999999 999999999\n-1.0\n" + bytes(100),
    "header.pam": lambda: (
        b"P7\nWIDTH 999999999\nHEIGHT 999999999\nDEPTH 4\nMAXVAL 65535\nENDHDR\n" + bytes(100)
    ),
    **archive_bombs.BOMBS,
}
#: Those that take a limit of time or memory to end.
SLOW_BOMBS: dict[str, Callable[[], bytes]] = {"uses.svg": svg_uses, "forms.pdf": pdf_forms}
