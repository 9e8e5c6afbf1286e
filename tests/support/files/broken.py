"""Files that are broken, or built to hurt: bombs, truncation, and formats known by magic only."""

from __future__ import annotations

import struct
import zlib

from tests.support.files.pictures import jpeg
from tests.support.judges import png_walk

#: libjpeg refuses more (JPEG_MAX_DIMENSION), so 100000 cannot be said to it at all.
JPEG_EDGE_PX = 65_500


def png_header_bomb(width_px: int = 100_000, height_px: int = 100_000) -> bytes:
    """Return a PNG that promises a huge RGBA picture and holds a few bytes of it."""
    header = struct.pack(">IIBBBBB", width_px, height_px, 8, 6, 0, 0, 0)
    return png_walk.build(
        [(b"IHDR", header), (b"IDAT", zlib.compress(bytes(1000))), (b"IEND", b"")]
    )


def jpeg_header_bomb(width_px: int = JPEG_EDGE_PX, height_px: int = JPEG_EDGE_PX) -> bytes:
    """Return a small JPEG whose frame header claims other dimensions."""
    data = bytearray(jpeg(64, 64))
    at = data.index(b"\xff\xc0")
    data[at + 5 : at + 9] = struct.pack(">HH", height_px, width_px)
    return bytes(data)


def bmp_header_bomb(width_px: int = 100_000, height_px: int = 100_000) -> bytes:
    """Return a BMP that promises a huge picture and ends after a few pixels."""
    info = struct.pack("<IiiHHIIiiII", 40, width_px, height_px, 1, 24, 0, 0, 2835, 2835, 0, 0)
    return b"BM" + struct.pack("<IHHI", 54 + 300, 0, 0, 54) + info + bytes(300)


def png_zip_bomb(width_px: int = 30_000, height_px: int = 30_000) -> bytes:
    """Return a complete, valid 1-bit PNG: a huge white picture in a file of a few hundred kB."""
    packer = zlib.compressobj(9)
    row = b"\0" + b"\xff" * ((width_px + 7) // 8)
    idat = b"".join(packer.compress(row) for _ in range(height_px)) + packer.flush()
    header = struct.pack(">IIBBBBB", width_px, height_px, 1, 0, 0, 0, 0)
    return png_walk.build([(b"IHDR", header), (b"IDAT", idat), (b"IEND", b"")])


def png_text_bomb(inflated_bytes: int = 300_000_000) -> bytes:
    """Return a small ordinary PNG with a zTXt chunk that inflates to `inflated_bytes`."""
    packer = zlib.compressobj(9)
    block = bytes(1_000_000)
    text = b"".join(packer.compress(block) for _ in range(inflated_bytes // len(block)))
    text += packer.flush()
    rows = b"".join(b"\0" + bytes([y % 256]) * 300 for y in range(200))
    return png_walk.build(
        [
            (b"IHDR", struct.pack(">IIBBBBB", 300, 200, 8, 0, 0, 0, 0)),
            (b"zTXt", b"Comment\0\0" + text),
            (b"IDAT", zlib.compress(rows)),
            (b"IEND", b""),
        ]
    )


def truncated(data: bytes, fraction: float) -> bytes:
    """Return the first `fraction` of a file."""
    return data[: int(len(data) * fraction)]


def magic_only() -> dict[str, bytes]:
    """Return files that are HEIC, RAW, video... by their first bytes and hold nothing else."""
    rest = bytes(4000)

    def ftyp(brand: bytes, *more: bytes) -> bytes:
        body = b"ftyp" + brand + bytes(4) + brand + b"".join(more)
        return struct.pack(">I", len(body) + 4) + body + rest

    return {
        "phone.heic": ftyp(b"heic", b"mif1"),
        "canon.cr3": ftyp(b"crx ", b"isom"),
        "clip.mp4": ftyp(b"isom", b"mp42"),
        "canon.cr2": b"II*\0\x10\0\0\0CR\x02\0" + rest,
        "fuji.raf": b"FUJIFILMCCD-RAW 0201" + rest,
        "olympus.orf": b"IIRO\x08\0\0\0" + rest,
        "panasonic.rw2": b"IIU\0\x18\0\0\0" + rest,
        "new.jxl": b"\0\0\0\x0cJXL \r\n\x87\n" + rest,
        "paper.pdf": b"%PDF-1.7\n" + rest,
    }
