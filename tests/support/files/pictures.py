"""Real pictures of every format, encoded in memory. Broken ones: `files.broken`.

Each function returns the bytes of a file. `upright` pixels with an EXIF orientation are stored
turned the other way, so that every orientation looks alike once it is applied.
"""

from __future__ import annotations

import io
import os
import struct
import zlib
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from tests.support.files.photo import Pixels, photo
from tests.support.judges import png_walk

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

Transpose = Image.Transpose
#: How pixels are stored so that applying the EXIF orientation gives them back upright.
_STORED = {
    1: None,
    2: Transpose.FLIP_LEFT_RIGHT,
    3: Transpose.ROTATE_180,
    4: Transpose.FLIP_TOP_BOTTOM,
    5: Transpose.TRANSPOSE,
    6: Transpose.ROTATE_90,
    7: Transpose.TRANSVERSE,
    8: Transpose.ROTATE_270,
}
_EXIF_ORIENTATION = 0x0112
#: First column, first row, column step, row step of each pass (PNG standard, 8.2).
ADAM7 = (
    (0, 0, 8, 8),
    (4, 0, 8, 8),
    (0, 4, 4, 8),
    (2, 0, 4, 4),
    (0, 2, 2, 4),
    (1, 0, 2, 2),
    (0, 1, 1, 2),
)


def put(path: Path, data: bytes, mtime_ns: int | None = None) -> Path:
    """Write a file, its folders too, and give it an mtime; return its path."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    if mtime_ns is not None:
        os.utime(path, ns=(mtime_ns, mtime_ns))
    return path


def image(width_px: int = 640, height_px: int = 480, seed: int = 0) -> Image.Image:
    """Return photo-like RGB pixels as a Pillow image."""
    return Image.fromarray(photo(width_px, height_px, seed))


def encode(picture: Image.Image | Pixels, file_format: str, **options: Any) -> bytes:
    """Encode with Pillow; `options` go to its writer."""
    if not isinstance(picture, Image.Image):
        picture = Image.fromarray(picture)
    out = io.BytesIO()
    picture.save(out, file_format, **options)
    return out.getvalue()


def jpeg(width_px: int = 640, height_px: int = 480, seed: int = 0, **options: Any) -> bytes:
    """Return a baseline JPEG; `options` as Pillow's writer knows them (quality, progressive...)."""
    return encode(image(width_px, height_px, seed), "JPEG", **{"quality": 90, **options})


def exif(orientation: int) -> bytes:
    """Return an EXIF block that holds an orientation and nothing else."""
    block = Image.Exif()
    block[_EXIF_ORIENTATION] = orientation
    return block.tobytes()


def oriented(upright: Image.Image, orientation: int, file_format: str = "JPEG") -> bytes:
    """Return a picture that looks like `upright` once its EXIF orientation (1 to 8) is applied."""
    method = _STORED[orientation]
    stored = upright if method is None else upright.transpose(method)
    options: dict[str, Any] = {"exif": exif(orientation)}
    if file_format == "TIFF":
        options = {"tiffinfo": {_EXIF_ORIENTATION: orientation}}
    return encode(stored, file_format, **options)


def cmyk_jpeg(width_px: int = 640, height_px: int = 480, seed: int = 0) -> bytes:
    """Return a CMYK JPEG with Adobe's inverted values and no profile."""
    return encode(image(width_px, height_px, seed).convert("CMYK"), "JPEG", quality=92)


def png16(width_px: int = 640, height_px: int = 480, seed: int = 0) -> bytes:
    """Return a PNG with 16 bits in each of its three channels (Pillow writes none)."""
    rows = photo(width_px, height_px, seed).astype(">u2") * 257
    return _rgb_png(width_px, height_px, 16, [rows.view(np.uint8)], interlaced=False)


def interlaced_png(width_px: int = 640, height_px: int = 480, seed: int = 0) -> bytes:
    """Return an Adam7 PNG (Pillow writes none)."""
    pixels = photo(width_px, height_px, seed)
    passes = [pixels[y::dy, x::dx] for x, y, dx, dy in ADAM7]
    return _rgb_png(width_px, height_px, 8, passes, interlaced=True)


def _rgb_png(
    width_px: int, height_px: int, depth: int, passes: list[Pixels], *, interlaced: bool
) -> bytes:
    """Assemble an unfiltered RGB PNG from the rows of its passes, each height x width x bytes."""
    header = struct.pack(">IIBBBBB", width_px, height_px, depth, 2, 0, 0, interlaced)
    rows = b"".join(b"\0" + row.tobytes() for part in passes if part.size for row in part)
    return png_walk.build([(b"IHDR", header), (b"IDAT", zlib.compress(rows, 1)), (b"IEND", b"")])


def palette_png_with_alpha(width_px: int = 640, height_px: int = 480, seed: int = 0) -> bytes:
    """Return a palette PNG whose first colour is transparent, in the upper left quarter."""
    picture = image(width_px, height_px, seed).quantize(64)
    box = Image.new("P", (width_px // 2, height_px // 2), 0)
    picture.paste(box, (0, 0))
    return encode(picture, "PNG", transparency=0)


def rgba(width_px: int = 640, height_px: int = 480, seed: int = 0) -> Image.Image:
    """Return a picture that fades out from left to right."""
    picture = image(width_px, height_px, seed)
    picture.putalpha(Image.linear_gradient("L").rotate(90).resize(picture.size))
    return picture


def animation(
    file_format: str, width_px: int = 400, height_px: int = 300, frames: int = 3
) -> bytes:
    """Return a GIF, WebP or multipage TIFF; frame n is `image(..., seed=n)`."""
    pictures = [image(width_px, height_px, seed) for seed in range(frames)]
    timing: dict[str, Any] = {} if file_format == "TIFF" else {"duration": 100}
    return encode(pictures[0], file_format, save_all=True, append_images=pictures[1:], **timing)


def psd(width_px: int = 640, height_px: int = 480, seed: int = 0) -> bytes:
    """Return a Photoshop file: 8-bit RGB, uncompressed, merged picture only."""
    header = b"8BPS" + struct.pack(">H6xHIIHH", 1, 3, height_px, width_px, 8, 3)
    planes = photo(width_px, height_px, seed).transpose(2, 0, 1)
    return header + bytes(4) + bytes(4) + bytes(4) + bytes(2) + planes.tobytes()


def exif_behind(png: bytes) -> bytes:
    """Return a PNG whose EXIF stands behind the pixels, where ImageMagick writes it."""
    chunks = png_walk.chunks(png)
    order = {b"eXIf": 1, b"IEND": 2}
    return png_walk.build(sorted(chunks, key=lambda chunk: order.get(chunk[0], 0)))


def photoshop(
    samples: Pixels, *, transparent: bool = False, big: bool = False, mode: int = 3,
    orientation: int = 1,
) -> bytes:  # fmt: skip
    """Return a Photoshop file whose rows are run-length encoded, of rows x columns x channels."""
    height_px, width_px, channels = samples.shape
    rows = [
        b"".join(
            bytes([len(line[at : at + 128]) - 1]) + line[at : at + 128]
            for at in range(0, len(line), 128)
        )
        for plane in np.moveaxis(samples, -1, 0)
        for line in map(bytes, np.ascontiguousarray(plane))
    ]  # fmt: skip
    body = exif(orientation).removeprefix(b"Exif\0\0")
    resources = b"8BIM" + struct.pack(">HHI", 1058, 0, len(body)) + body + bytes(len(body) % 2)
    wide, count = (">Q", ">I") if big else (">I", ">H")
    layers = struct.pack(wide, 2) + struct.pack(">h", -1) + bytes(4) if transparent else b""
    palette = bytes(range(256)) * 3 if mode == 2 else b""
    return b"".join(
        [
            struct.pack(
                ">4sH6xHIIHH", b"8BPS", 1 + big, channels, height_px, width_px, 8, mode
            ),
            struct.pack(">I", len(palette)), palette, struct.pack(">I", len(resources)), resources,
            struct.pack(wide, len(layers)), layers,
            b"\0\1", *(struct.pack(count, len(row)) for row in rows), *rows,
        ]
    )  # fmt: skip


def icon(found: list[tuple[Image.Image, int]], number: int, told: tuple[int, int] | None) -> bytes:
    """Return an icon of bitmaps of 24 or 32 bits a pixel, as it is defined by Microsoft.

    Args:
        found: pictures and their bits.
        number: 1 for an icon, 2 for a cursor.
        told: what the directory says of planes and bits; a cursor has its hot spot there. None:
            what they are.
    """
    directory = struct.pack("<HHH", 0, number, len(found))
    bodies = b""
    for picture, bits in found:
        wide, high = picture.size
        pixels = np.asarray(picture.convert("RGBA"))[::-1, :, [2, 1, 0, 3]][..., : bits // 8]
        mask = bytes(-(-wide // 32) * 4 * high)
        body = struct.pack("<IiiHHIIiiII", 40, wide, 2 * high, 1, bits, 0, 0, 0, 0, 0, 0)
        body += pixels.tobytes() + mask
        at = 6 + 16 * len(found) + len(bodies)
        directory += struct.pack(
            "<BBBBHHII", wide % 256, high % 256, 0, 0, *(told or (1, bits)), len(body), at
        )
        bodies += body
    return directory + bodies


def qoi_of_named_black(width_px: int, height_px: int, first_px: int, channels: int) -> bytes:
    """Return a QOI that begins with a run of black; then red and black take turns.

    Both are named by their places among the colours seen: 13 and 53.
    """
    turns = width_px * height_px - first_px
    chunks = bytes([0xC0 + first_px - 1, 0xFE, 200, 0, 0]) + (b"\x35\x0d" * turns)[: turns - 1]
    return (
        struct.pack(">4sIIBB", b"qoif", width_px, height_px, channels, 0)
        + chunks
        + bytes(7)
        + b"\1"
    )


@cache
def every_format() -> Mapping[str, bytes]:
    """Return one ordinary picture of each format pregen decodes without an extra, by file name."""
    picture = image(640, 427, seed=11)
    plain: dict[str, tuple[str, dict[str, Any]]] = {
        "a.jpg": ("JPEG", {"quality": 90}),
        "progressive.jpg": ("JPEG", {"progressive": True}),
        "a.png": ("PNG", {}),
        "a.webp": ("WEBP", {"quality": 85}),
        "lossless.webp": ("WEBP", {"lossless": True}),
        "a.tif": ("TIFF", {}),
        "lzw.tif": ("TIFF", {"compression": "tiff_lzw"}),
        "a.bmp": ("BMP", {}),
        "a.tga": ("TGA", {}),
        "a.pcx": ("PCX", {}),
        "a.ppm": ("PPM", {}),
        "a.jp2": ("JPEG2000", {}),
        "a.avif": ("AVIF", {"quality": 70, "speed": 9}),
        "a.gif": ("GIF", {}),
    }
    made = {name: encode(picture, kind, **options) for name, (kind, options) in plain.items()}
    return made | {
        "grey.jpg": encode(picture.convert("L"), "JPEG"),
        "grey.png": encode(picture.convert("L"), "PNG"),
        "grey-alpha.png": encode(rgba().convert("LA"), "PNG"),
        "one-bit.png": encode(picture.convert("1"), "PNG"),
        "sixteen.png": png16(),
        "interlaced.png": interlaced_png(),
        "palette-alpha.png": palette_png_with_alpha(),
        "alpha.png": encode(rgba(), "PNG"),
        "alpha.webp": encode(rgba(), "WEBP"),
        "alpha.avif": encode(rgba(), "AVIF", speed=9),
        "cmyk.jpg": cmyk_jpeg(),
        "cmyk.tif": encode(picture.convert("CMYK"), "TIFF"),
        "animated.gif": animation("GIF"),
        "animated.webp": animation("WEBP"),
        "pages.tif": animation("TIFF"),
        "merged.psd": psd(),
        "icon.ico": encode(image(256, 256, seed=3), "ICO", sizes=[(256, 256)]),
        "two.mpo": animation("MPO"),
        "drawing.svg": svg(),
        "tall.jpg": jpeg(90, 1500, seed=4),
        "thread.png": encode(image(2000, 1, seed=5), "PNG"),
    }


def svg(width_px: int = 600, height_px: int = 400) -> bytes:
    """Return a drawing with a solid background and a disc."""
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width_px}" height="{height_px}">'
        f'<rect width="100%" height="100%" fill="#204080"/>'
        f'<circle cx="50%" cy="50%" r="25%" fill="#e0c020"/></svg>'
    ).encode()
