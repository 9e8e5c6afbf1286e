"""Sound files of every format, small, for being damaged: made here, and taken from the corpus."""

from __future__ import annotations

import gzip
import io
from typing import TYPE_CHECKING, Any

import numpy as np
import pillow_heif
import pylibjxl

from pregen.imaging import sniff
from tests.support.files import (
    deep_samples,
    exchanged,
    films,
    foreign_writers,
    pdfs,
    pictures,
    plain_writers,
    profiles,
    raws,
    stored,
)
from tests.support.files.films import Look
from tests.support.files.pairs import pair
from tests.support.files.photo import photo
from tests.support.files.pictures import encode, image
from tests.support.running.capabilities import corpus

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from PIL import Image

#: Larger files of the corpus are left out: thousands of copies of each are written.
MAX_BYTES = 450_000
#: Just larger than what needs no entry, so that each is decoded to its end.
_EDGES_PX = (176, 130)


def by_format(*, with_corpus: bool) -> dict[str, list[bytes]]:
    """Return sound files by the name `sniff` has for their format."""
    found: dict[str, list[bytes]] = {}
    for data in (*_made(), *(_from_corpus() if with_corpus else ())):
        known = sniff.sniff(data[: sniff.HEAD_BYTES])
        if known is not None:
            found.setdefault(known.name, []).append(data)
    return dict(sorted(found.items()))


def _made() -> Iterator[bytes]:
    picture = image(*_EDGES_PX, seed=3)
    for kind, options in _PILLOW:
        yield encode(picture, kind, **options)
    yield encode(picture.convert("L"), "JPEG")
    yield encode(picture.convert("CMYK"), "JPEG")
    yield encode(picture.convert("CMYK"), "TIFF", compression="jpeg")
    yield encode(picture.convert("P"), "PNG")
    yield encode(picture.convert("1"), "TIFF", compression="group4")
    yield encode(picture.convert("1"), "PPM")
    yield encode(pictures.rgba(*_EDGES_PX), "PNG")
    yield encode(pictures.rgba(*_EDGES_PX), "WEBP")
    yield encode(pictures.rgba(*_EDGES_PX), "TGA", compression="tga_rle")
    yield encode(picture, "ICO", sizes=[_EDGES_PX, (32, 32)])
    yield encode(picture, "ICO", sizes=[_EDGES_PX], bitmap_format="bmp")
    for kind in ("GIF", "WEBP", "TIFF", "PNG", "AVIF"):
        yield pictures.animation(kind, *_EDGES_PX)
    yield deep_samples.avif(np.asarray(picture) / 255, profiles.display_p3(), 10)
    yield pictures.oriented(picture, 6)
    yield pictures.png16(*_EDGES_PX)
    yield pictures.interlaced_png(*_EDGES_PX)
    yield pictures.psd(*_EDGES_PX)
    yield pictures.photoshop(np.asarray(pictures.rgba(*_EDGES_PX)), transparent=True)
    yield pictures.photoshop(np.asarray(picture), big=True, orientation=6)
    few, rgb = pair("palette", "4", "none", _EDGES_PX), pair("rgb", "8", "none", _EDGES_PX)
    for header in plain_writers.BITMAP_HEADERS:
        yield plain_writers.bmp_rows(few, 4, header)
        yield plain_writers.bmp_rows(rgb, 24, header)
    for kind in ("rle", "jpeg", "png"):
        yield plain_writers.bmp_rows(rgb, 24, "os2-2" if kind == "rle" else "v3", packed_by=kind)
    yield plain_writers.bmp_rows(few, 4, packed_by="rle")
    yield plain_writers.bmp_rows(few, 4, "os2-1", array=True)
    yield plain_writers.pcx(few, 1, 4)
    yield plain_writers.pcx(few, 4, 1, packed_by="")
    yield plain_writers.pcx(rgb, 8, 3, packed_by="long runs")
    for how in ("deflated", "predicted"):
        yield plain_writers.psd(rgb, "rgb", packed_by=how)
    yield foreign_writers.jpeg8()(pair("rgb", "12", "none", _EDGES_PX))
    yield foreign_writers.jpeg8(lossless=True)(pair("grey", "16", "none", _EDGES_PX))
    yield pictures.svg()
    yield gzip.compress(_DRAWING)
    yield _DRAWING
    yield pdfs.pdf(2)
    for container, codec, pix_fmt in _FILMS:
        yield films.film([photo(*_EDGES_PX, 1)] * 3, container, codec, Look(pix_fmt))
    for make in _EXTRAS:
        yield make(picture)
    yield from _raws()
    yield from exchanged.every(picture)
    yield from _holders(picture)


def _holders(picture: Image.Image) -> Iterator[bytes]:
    """Files that hold a picture."""
    jpeg, png = encode(picture, "JPEG"), encode(picture, "PNG")
    yield stored.document(("Thumbnails/thumbnail.png", png))
    yield stored.painting("application/x-krita", ("mergedimage.png", png), ("preview.png", png))
    yield stored.painting("image/openraster", ("mergedimage.png", png))
    yield stored.book(jpeg)
    yield stored.zipped(("p2.jpg", jpeg), ("p10.jpg", jpeg), ("ComicInfo.xml", "<ComicInfo/>"))
    yield stored.package(jpeg)
    yield stored.package(jpeg, folder="3D")
    yield stored.gcode((16, 16, jpeg), (176, 130, png))
    for packed in ("", "gzip", "zstd"):
        yield stored.blend(picture, packed=packed)
    yield stored.blend(picture, version="17-01v0500")
    for container, codec in (("mp3", "libmp3lame"), ("flac", "flac"), ("mp4", "aac")):
        song = stored.song(container, codec, jpeg)
        yield song.replace(b"ftypisom", b"ftypM4A ", 1)
    yield stored.song("opus", "libopus", jpeg)


#: Most of what librsvg has code for.
_DRAWING = b"""<?xml version="1.0"?>
<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink"
 viewBox="0 0 300 200" width="300" height="200"><defs>
<linearGradient id="g" x1="0" x2="1"><stop offset="0" stop-color="#fc0"/>
<stop offset="1" stop-color="#04c"/></linearGradient>
<filter id="f"><feGaussianBlur stdDeviation="2"/><feOffset dx="3" dy="3"/></filter>
<pattern id="p" width="20" height="20" patternUnits="userSpaceOnUse"><circle r="8"/></pattern>
<clipPath id="c"><rect width="250" height="150"/></clipPath>
<mask id="m"><ellipse cx="150" cy="100" rx="90" ry="60" fill="white"/></mask></defs>
<style>.a{fill:url(#g);stroke:#123456;stroke-width:3}</style>
<g clip-path="url(#c)" transform="rotate(10 150 100) scale(1.1)">
<rect class="a" x="10" y="10" width="200" height="100" rx="12" filter="url(#f)"/>
<path id="q" d="M10 80 C 40 10, 65 10, 95 80 S 150 150, 180 80 Z" fill="url(#p)"/>
<use xlink:href="#q" x="40" y="20" mask="url(#m)" opacity="0.5"/>
<polygon points="100,10 40,198 190,78"/><text x="20" y="180" font-size="24">words</text></g></svg>
"""

_PILLOW: tuple[tuple[str, dict[str, Any]], ...] = (
    ("JPEG", {"exif": pictures.exif(8), "icc_profile": b"p" * 300}),
    ("JPEG", {"progressive": True, "subsampling": 2}),
    ("JPEG", {"restart_marker_blocks": 4}),
    ("PNG", {}),
    ("GIF", {}),
    ("WEBP", {"quality": 80}),
    ("WEBP", {"lossless": True}),
    ("TIFF", {}),
    ("TIFF", {"compression": "tiff_lzw"}),
    ("TIFF", {"compression": "tiff_adobe_deflate", "tiffinfo": {274: 6}}),
    ("TIFF", {"compression": "jpeg"}),
    ("BMP", {}),
    ("TGA", {}),
    ("PCX", {}),
    ("PPM", {}),
    ("JPEG2000", {}),
    ("JPEG2000", {"irreversible": True, "num_resolutions": 4}),
    ("JPEG2000", {"no_jp2": True}),
    ("JPEG2000", {"tile_size": (100, 70), "offset": (17, 5), "progression": "PCRL"}),
    ("JPEG2000", {"quality_mode": "rates", "quality_layers": [40, 10], "precinct_size": (64, 64)}),
    ("AVIF", {"speed": 10}),
    ("QOI", {}),
)
_FILMS = (
    ("mp4", "libx264", "yuv420p"),
    ("mov", "mjpeg", "yuvj420p"),
    ("3gp", "mpeg4", "yuv420p"),
    ("matroska", "libx264", "yuv420p"),
    ("webm", "libvpx", "yuv420p"),
    ("avi", "mpeg4", "yuv420p"),
    ("mpegts", "libx264", "yuv420p"),
    ("flv", "flv1", "yuv420p"),
    ("asf", "wmv2", "yuv420p"),
)


def _heic(picture: Image.Image) -> bytes:
    out = io.BytesIO()
    pillow_heif.from_pillow(picture).save(out, quality=60)
    return out.getvalue()


def _jxl(picture: Image.Image) -> bytes:
    return bytes(pylibjxl.encode(np.asarray(picture), effort=1))


def _raws() -> Iterator[bytes]:
    """A RAW for each walker there is, and one that LibRaw has to develop."""
    small, medium = image(192, 128, seed=4), image(384, 256, seed=5)
    yield raws.dng((), (320, 240))
    yield raws.dng((small, medium), (320, 240), orientation=6)
    yield raws.cr3(medium)
    yield raws.raf(medium)


_EXTRAS: tuple[Callable[[Image.Image], bytes], ...] = (_heic, _jxl)


def _from_corpus() -> Iterator[bytes]:
    if not corpus().is_dir():
        return
    for path in sorted(corpus().rglob("*")):
        if path.is_file() and path.name != "README.md" and path.stat().st_size <= MAX_BYTES:
            yield path.read_bytes()
