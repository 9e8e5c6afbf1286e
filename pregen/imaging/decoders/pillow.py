"""Pictures through Pillow: AVIF that is not dav1d's alone, and the small old ones.

The format is pinned to what `sniff` found, so that no other parser ever sees the file.
"""

from __future__ import annotations

import io
import struct
from typing import TYPE_CHECKING, Final

import numpy as np
from PIL import ExifTags, Image, ImageFile, ImageOps, UnidentifiedImageError

from pregen.imaging.containers import heif
from pregen.imaging.decoders import av1_damage
from pregen.imaging.decoders.base import Opened, Request
from pregen.imaging.faults import (
    ENOUGH_ROWS,
    Fault,
    InvalidPicture,
    RefusedPicture,
    TruncatedPicture,
    fault_of_error,
)
from pregen.imaging.pixels import colour
from pregen.imaging.pixels.resample import averaged, image_of
from pregen.imaging.source_bytes import WHOLE_FILE_BYTES

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pregen.imaging.pixels.resample import Pixels
    from pregen.imaging.runtime import pyvips

_FORMATS: Final = {
    "avif": "AVIF", "bmp": "BMP", "ico": "ICO", "cur": "ICO",
    "tga": "TGA", "pcx": "PCX", "ppm": "PPM", "qoi": "QOI", "tiff": "TIFF",
    "dds": "DDS", "icns": "ICNS", "sgi": "SGI", "sun": "SUN", "xbm": "XBM", "fli": "FLI",
}  # fmt: skip
#: Modes that numpy and libvips understand as they are -> libvips' interpretation.
_MODES: Final = {
    "L": "b-w", "LA": "b-w", "RGB": "srgb", "RGBA": "srgb", "CMYK": "cmyk",
    "I;16": "grey16", "I;16L": "grey16", "I;16B": "grey16",
}  # fmt: skip

_ANIMATED: Final = frozenset({"avif", "fli"})

# The limit is `--max-pixels`, checked from the header before anything is decoded.
Image.MAX_IMAGE_PIXELS = None


class PillowPicture(Opened):
    """A picture whose header Pillow has read."""

    loader = "pillow"

    def __init__(self, request: Request) -> None:
        self._request = request
        self._image = self._open()
        self.width_px, self.height_px = self._image.size
        frames = getattr(self._image, "n_frames", 1) if request.format.name in _ANIMATED else 1
        self.frames = frames if frames > 1 else 0
        self.orientation = orientation_of(self._image)

    def _open(self) -> Image.Image:
        request = self._request
        if request.format.name == "avif":
            request.check_size("an AVIF")
        source = request.source
        stream: io.IOBase
        if request.format.name in {"ico", "cur"}:
            _check_icon(request)
        if source.size_bytes > WHOLE_FILE_BYTES:
            stream = open(source.fd, "rb", closefd=False)  # noqa: SIM115 - lives as long as the picture
        else:
            stream = io.BytesIO(_for_pillow(request.format.name, source.whole()))
        stream.seek(0)
        try:
            return self._identified(stream)
        except Fault:
            if request.format.name != "avif" or (rest := heif.without_metadata(source)) is None:
                raise
        # libavif refuses a picture for what is written beside it.
        return self._identified(io.BytesIO(rest))

    def _identified(self, stream: io.IOBase) -> Image.Image:
        """Have Pillow read the header. Raises Fault when it makes no sense of it."""
        try:
            return Image.open(stream, formats=[_FORMATS[self._request.format.name]])  # type: ignore[arg-type]  # an IO[bytes] in all but name
        except UnidentifiedImageError as error:
            raise _refusal(self._request) from error
        except MemoryError:
            raise
        except Exception as error:  # Pillow's plugins raise anything
            _reraise_if_unreadable(error)
            raise fault_of_error(error) from error

    def decode(self, box_px: int) -> Pixels:
        """See `base.Opened`."""
        self._request.reserve(self.width_px * self.height_px * 4)
        try:
            self._image.load()
        except MemoryError:
            raise
        except Exception as error:  # as above
            _reraise_if_unreadable(error)
            fault = fault_of_error(error)
            if not isinstance(fault, TruncatedPicture):
                raise fault from error
            self._load_truncated(fault)
        if self._request.format.name == "avif":
            av1_damage.check(self._request.source)
        return colour.managed(averaged(_to_vips(self._image), box_px), self._colour())

    def _colour(self) -> heif.Colour:
        """What an AVIF says of its colours by numbers, which Pillow does not tell."""
        if self._request.format.name != "avif" or self._image.info.get("icc_profile"):
            return heif.Colour()
        return heif.avif_colour(self._request.source)

    def _load_truncated(self, fault: Fault) -> None:
        """Take what is there of a picture that ends early, if that is most of its rows."""
        self._image = self._open()
        ImageFile.LOAD_TRUNCATED_IMAGES = True
        try:
            self._image.load()
        except Exception as error:
            raise fault from error
        finally:
            ImageFile.LOAD_TRUNCATED_IMAGES = False
        # Pillow leaves the rows it never got at zero.
        samples = np.asarray(self._image).reshape(self.height_px, self.width_px, -1)
        if self._request.format.name == "sgi":
            # One colour after the other: all rows of red tell nothing of blue.
            share = float(samples.any(axis=1).mean(axis=0).min())
        else:
            share = float(samples.any(axis=(1, 2)).mean())
        if share < ENOUGH_ROWS:
            raise TruncatedPicture(f"{share:.0%} of the rows are present") from fault


def open_picture(request: Request) -> Opened:
    """Read the header. Raises Fault when Pillow refuses it."""
    return PillowPicture(request)


def _reraise_if_unreadable(error: Exception) -> None:
    """Tell a disk that fails from a file that is wrong: Pillow's own OSErrors have no number."""
    if isinstance(error, OSError) and error.errno is not None:
        raise error


def _refusal(request: Request) -> Fault:
    """Why Pillow did not take a file whose first bytes are right."""
    name = request.format.name.upper()
    if name == "AVIF" and heif.ends_early(request.source):
        return TruncatedPicture()
    return RefusedPicture(f"its {name} header is not understood")


def orientation_of(image: Image.Image) -> int:
    """Return EXIF's orientation; Pillow turns AVIF's irot and imir into it as well."""
    # Without EXIF Pillow takes it from XMP, which avifdec and ImageMagick do not.
    image.info.pop("xmp", None)
    try:
        value = image.getexif().get(ExifTags.Base.Orientation, 1)
    except Exception:  # noqa: BLE001 - broken metadata must not cost the picture
        return 1
    return value if isinstance(value, int) and 1 <= value <= 8 else 1  # noqa: PLR2004 - EXIF 2.3


def _to_vips(image: Image.Image) -> pyvips.Image:
    """Hand Pillow's pixels to libvips, with the profile, in a mode that both know."""
    profile: bytes = image.info.get("icc_profile") or b""
    if image.format == "AVIF" and profile[16:20] == b"GRAY":
        # Pillow makes three equal channels of grey, which its profile does not fit.
        image = image.convert("LA" if image.mode == "RGBA" else "L")
    if image.format == "XBM":
        # A bit is ink (X11's Xlib, C library, 16.9); Pillow takes it for light.
        image = ImageOps.invert(image.convert("L"))
    if image.mode == "I":
        # Pillow's 32-bit mode holds 16-bit samples of PNM.
        pixels = np.asarray(image).clip(0, 65535).astype(np.uint16)
        found = image_of(pixels, "grey16")
    else:
        if image.mode not in _MODES:
            image = image.convert("RGBA" if image.has_transparency_data else "RGB")
        pixels = np.asarray(image)
        if pixels.dtype.byteorder == ">":
            pixels = pixels.astype(np.uint16)
        found = image_of(pixels, _MODES[image.mode])
    if profile:
        colour.attach(found, profile)
    return found


def _for_pillow(name: str, data: bytes) -> bytes:
    """Return a file, or one with the same picture that Pillow does not get wrong."""
    if name in {"ico", "cur"}:
        return _best_of_icon(data)
    if name == "qoi" and begins_with_run(data):
        return _with_first_colour(data)
    return data


# The first run of a QOI ---------------------------------------------------------------------
#
# A run repeats the colour before it; the first one repeats black, which is seen with that: later
# pixels may name it by its place among the colours seen. Pillow does not put it there, and shows
# them transparent. Reference: The Quite OK Image Format, Specification 1.0; its own decoder.

_QOI_HEAD_BYTES: Final = 14
#: Two bits say that it is a run; the rest is its length less one. 62 and 63 are other chunks.
_RUN, _LONGEST_RUN = 0xC0, 0xFD
#: One pixel of it, by its samples.
_OPAQUE_BLACK: Final = b"\xff\x00\x00\x00\xff"


def begins_with_run(head: bytes) -> bool:
    """Tell whether the first pixels of a QOI repeat the colour that it begins with."""
    return _RUN <= int.from_bytes(head[_QOI_HEAD_BYTES : _QOI_HEAD_BYTES + 1]) <= _LONGEST_RUN


def _with_first_colour(data: bytes) -> bytes:
    """Return the same picture, with the first pixel of the run it begins with written out."""
    head, first, rest = (
        data[:_QOI_HEAD_BYTES], data[_QOI_HEAD_BYTES], data[_QOI_HEAD_BYTES + 1 :],
    )  # fmt: skip
    shorter = bytes([first - 1]) if first > _RUN else b""
    return head + _OPAQUE_BLACK + shorter + rest


# What the pictures in an icon say their size is ----------------------------------------------
#
# The directory of an icon tells edges up to 256; the pictures have headers of their own, and it is
# these that decoders believe. References: Microsoft, "Icons" (ICONDIR, ICONDIRENTRY).

#: Edges up to 256 are the rule, 1024 are seen. Pillow decodes an icon as it opens it, so the limit
#: of pixels comes too late for a picture that says something else than the directory.
_MAX_ICON_PX: Final = 2048
_COUNT_AT = 4
_DIRECTORY_BYTES = 6
_ENTRY_BYTES = 16
#: Where in a directory entry stands the offset of its picture.
_OFFSET_AT = 12
_PNG = b"\x89PNG\r\n\x1a\n"
#: Width and height in IHDR, and in a BITMAPINFOHEADER, of which the height counts the mask as well.
_PNG_SIZE = struct.Struct(">16xII")
_DIB_SIZE = struct.Struct("<4xii")
#: Edges (0 is 256), hot spot or planes and bits a pixel, size and offset.
_ENTRY = struct.Struct("<BBxxHHII")
#: An icon of one picture.
_ICON: Final = b"\x00\x00\x01\x00\x01\x00"
_ALPHA_BITS: Final = 32
#: A BITMAPCOREHEADER has its bits a pixel elsewhere.
_CORE_BYTES, _CORE_BITS_AT, _BITS_AT = 12, 10, 14


def _check_icon(request: Request) -> None:
    """Raise InvalidPicture where a picture in an icon says that it is far too large for one."""
    for width_px, height_px in icon_sizes(request.source.first(WHOLE_FILE_BYTES)):
        if max(width_px, height_px) > _MAX_ICON_PX:
            raise InvalidPicture(f"it claims to hold an icon of {width_px} x {height_px} pixels")


def icon_sizes(data: bytes) -> Iterator[tuple[int, int]]:
    """Yield width and height in pixels of each picture, as its own header has them.

    Pictures whose header lies outside of the data are left out: no decoder can read them either.
    """
    (count,) = struct.unpack_from("<H", data, _COUNT_AT) if len(data) >= _DIRECTORY_BYTES else (0,)
    last = min(_DIRECTORY_BYTES + count * _ENTRY_BYTES, len(data) - _ENTRY_BYTES + 1)
    for entry_at in range(_DIRECTORY_BYTES, last, _ENTRY_BYTES):
        (at,) = struct.unpack_from("<I", data, entry_at + _OFFSET_AT)
        try:
            if data.startswith(_PNG, at):
                yield _PNG_SIZE.unpack_from(data, at)
            else:
                width_px, height_px = _DIB_SIZE.unpack_from(data, at)
                yield abs(width_px), abs(height_px) // 2
        except struct.error:
            continue


def _best_of_icon(data: bytes) -> bytes:
    """Return an icon of one picture: the largest, and of equals the one of most bits.

    Pillow takes that of fewest bits. It believes the directory when it looks for transparency, in
    which a cursor has its hot spot instead of bits; and its reader of cursors knows no PNG.
    """
    best: tuple[int, int] = (0, 0)
    entry = b""
    count = int.from_bytes(data[_COUNT_AT:_DIRECTORY_BYTES], "little")
    entries = data[_DIRECTORY_BYTES : _DIRECTORY_BYTES + count * _ENTRY_BYTES]
    for at in range(0, len(entries) - _ENTRY_BYTES + 1, _ENTRY_BYTES):
        wide, high, _, _, size_bytes, offset = _ENTRY.unpack_from(entries, at)
        bits = _icon_bits(data, offset)
        rank = ((wide or 256) * (high or 256), bits)
        if rank > best:
            best = rank
            entry = _ENTRY.pack(wide, high, 1, bits, size_bytes, offset)
    return _ICON + entry + data[len(_ICON) + _ENTRY_BYTES :] if entry else data


def _icon_bits(data: bytes, at: int) -> int:
    """Return the bits a pixel of a picture, as its own header has them; 0 outside of the data."""
    if data.startswith(_PNG, at):
        return _ALPHA_BITS
    core = int.from_bytes(data[at : at + 4], "little") == _CORE_BYTES
    at += _CORE_BITS_AT if core else _BITS_AT
    return int.from_bytes(data[at : at + 2], "little")
