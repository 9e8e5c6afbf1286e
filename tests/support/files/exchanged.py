"""Formats for exchange between programs: DDS, SGI, Sun, X11, FITS, Radiance, PAM, PFM, FLI, icons.

By Pillow and imagecodecs where they write them, else put together by the descriptions.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

import imagecodecs
import numpy as np
from PIL import Image

from tests.support.files.pictures import encode

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

_KEYS = "".join(chr(code) for code in range(35, 92))


def every(picture: Image.Image) -> Iterator[bytes]:
    """Yield a picture in each of them."""
    for pixel_format in ("DXT1", "DXT5"):
        yield encode(picture.convert("RGBA"), "DDS", pixel_format=pixel_format)
    yield encode(picture, "DDS", pixel_format="BC5")
    yield encode(picture, "DDS")
    yield encode(picture, "SGI")
    yield encode(picture.convert("1"), "XBM")
    yield encode(picture.resize((128, 128)), "ICNS")
    yield old_icon()
    yield sun(picture)
    yield sun(picture, run_lengths=True)
    yield xpm(picture)
    yield fits(picture)
    yield radiance(picture)
    yield pam(picture)
    yield pfm(picture)
    yield fli(picture)


def old_icon() -> bytes:
    """Return an Apple icon of bare samples, 128 pixels wide, and their mask."""
    samples = np.tile(np.arange(128, dtype=np.uint8), (128, 1))
    colours = b"\0\0\0\0" + np.stack([samples] * 3, axis=-1).tobytes()
    mask = np.full((128, 128), 255, np.uint8).tobytes()
    body = b"".join(
        kind + struct.pack(">I", 8 + len(part)) + part
        for kind, part in ((b"it32", colours), (b"t8mk", mask))
    )
    return b"icns" + struct.pack(">I", 8 + len(body)) + body


def sun(picture: Image.Image, *, run_lengths: bool = False) -> bytes:
    """Return a Sun raster (the escape of its run lengths is 0x80)."""
    rows = np.asarray(picture.convert("RGB"))[..., ::-1]
    lines = [row.tobytes() + b"\0" * (row.size % 2) for row in rows]
    data = b"".join(lines)
    if run_lengths:
        data = data.replace(b"\x80", b"\x80\0")
    head = struct.pack(
        ">8I", 0x59A66A95, *picture.size, 24, len(data), 2 if run_lengths else 1, 0, 0
    )
    return head + data


def xpm(picture: Image.Image, names: dict[int, str] | None = None, characters: int = 2) -> bytes:
    """Return an XPM of 200 colours; some of them may have names instead of numbers."""
    small = picture.convert("RGB").quantize(200)
    palette = np.asarray(small.getpalette("RGB"), np.uint8).reshape(-1, 3)

    def key(index: int) -> str:
        return _KEYS[index % len(_KEYS)] + (_KEYS[index // len(_KEYS)] * (characters - 1))

    lines = [f"{small.width} {small.height} {len(palette)} {characters}"]
    for index, rgb in enumerate(palette.tolist()):
        told = (names or {}).get(index) or "#{:02x}{:02x}{:02x}".format(*rgb)
        lines.append(f"{key(index)} c {told}")
    lines += ["".join(map(key, row)) for row in np.asarray(small).tolist()]
    text = ",\n".join(f'"{line}"' for line in lines)
    return f"/* XPM */\nstatic char *a[] = {{\n{text}\n}};\n".encode()


def fits(
    picture: Image.Image | NDArray[np.generic],
    *,
    more: tuple[str, ...] = (),
    empty_first: bool = False,
) -> bytes:
    """Return a FITS of samples as they are, in the lowest row first."""
    samples = np.asarray(picture.convert("L") if isinstance(picture, Image.Image) else picture)
    bits = -8 * samples.itemsize if samples.dtype.kind == "f" else 8 * samples.itemsize
    planes = samples if samples.ndim == 3 else samples[None]
    first = "XTENSION= 'IMAGE   '" if empty_first else "SIMPLE  =                    T"
    cards = [
        first,
        f"BITPIX  = {bits:20}",
        f"NAXIS   = {samples.ndim:20}",
        f"NAXIS1  = {planes.shape[2]:20} / columns",
        f"NAXIS2  = {planes.shape[1]:20}",
        *([f"NAXIS3  = {len(planes):20}"] if samples.ndim == 3 else []),
        *more,
        "END",
    ]
    data = planes[:, ::-1].astype(samples.dtype.newbyteorder(">")).tobytes()
    whole = _blocks("".join(card.ljust(80) for card in cards).encode(), b" ") + _blocks(data, b"\0")
    if not empty_first:
        return whole
    cards = [
        "SIMPLE  =                    T",
        "BITPIX  =                    8",
        "NAXIS   =                    0",
        "END",
    ]
    return _blocks("".join(card.ljust(80) for card in cards).encode(), b" ") + whole


def _blocks(data: bytes, filler: bytes) -> bytes:
    return data + filler * (-len(data) % 2880)


def radiance(picture: Image.Image) -> bytes:
    """Return a Radiance picture, its rows run-length encoded."""
    light = (np.asarray(picture.convert("RGB"), np.float32) / 255) ** 2.2
    return bytes(imagecodecs.rgbe_encode(np.ascontiguousarray(light), header=True, rle=True))


def pam(picture: Image.Image) -> bytes:
    """Return a PAM with an alpha."""
    rgba = picture.convert("RGBA")
    head = f"P7\nWIDTH {rgba.width}\nHEIGHT {rgba.height}\nDEPTH 4\nMAXVAL 255\n"
    return head.encode() + b"# ours\nTUPLTYPE RGB_ALPHA\nENDHDR\n" + rgba.tobytes()


def pfm(picture: Image.Image, order: str = "<") -> bytes:
    """Return a PFM of linear light."""
    light = (np.asarray(picture.convert("RGB"), np.float32) / 255) ** 2.2
    scale = "-1.0" if order == "<" else "1.0"
    head = f"PF\n{picture.width} {picture.height}\n{scale}\n".encode()
    return head + light[::-1].astype(f"{order}f4").tobytes()


def fli(picture: Image.Image, frames: int = 2) -> bytes:
    """Return an FLC: each frame a palette (chunk 4) and bare pixels (chunk 16)."""
    small = picture.convert("RGB").quantize(256)
    palette = bytes(small.getpalette("RGB") or ()).ljust(768, b"\0")
    colours = struct.pack("<IHHBB", 6 + 4 + 768, 4, 1, 0, 0) + palette
    pixels = struct.pack("<IH", 6 + small.width * small.height, 16) + small.tobytes()
    frame = struct.pack("<IHH8x", 16 + len(colours) + len(pixels), 0xF1FA, 2) + colours + pixels
    body = frame * frames
    head = struct.pack(
        "<IHHHHHHI", 128 + len(body), 0xAF12, frames, small.width, small.height, 8, 3, 70
    )
    return head.ljust(128, b"\0") + body
