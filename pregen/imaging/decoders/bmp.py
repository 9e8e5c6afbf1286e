"""BMP of every kind that Windows and OS/2 wrote, by numpy.

Pillow reads a part of them: neither OS/2's further headers and compressions, nor other bit masks
than the usual, nor 2 bits a pixel, nor the JPEG and PNG that printers are sent in a BMP.

References: Microsoft, "Bitmap Storage" (BITMAPCOREHEADER to BITMAPV5HEADER, "Bitmap Compression");
IBM, OS/2 Presentation Manager Programming Reference (BITMAPINFOHEADER2, "Bit-Map Example").
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from pregen.imaging import sniff
from pregen.imaging.decoders import jpeg, vips
from pregen.imaging.decoders.base import Opened, Request
from pregen.imaging.faults import ENOUGH_ROWS, InvalidPicture, TruncatedPicture, Unsupported
from pregen.imaging.pixels import colour
from pregen.imaging.pixels.resample import averaged, image_of
from pregen.imaging.source_bytes import WHOLE_FILE_BYTES, SourceBytes

if TYPE_CHECKING:
    from typing import Any

    from numpy.typing import NDArray

    from pregen.imaging.pixels.resample import Pixels

_FILE_HEADER_BYTES: Final = 14
#: An array of bitmaps has a header of as many bytes before that of its first.
_ARRAY: Final = b"BA"
#: Width, height, planes (not read), bits a pixel: of OS/2 1, and of all that came later.
_CORE: Final = struct.Struct("<HH2xH")
_INFO: Final = struct.Struct("<ii2xH")
_CORE_BYTES: Final = 12
#: Later headers have the same fields in the same places, as far as they go.
_INFO_BYTES: Final = 16
_LARGEST_BYTES: Final = 124
_COMPRESSION_AT, _COLOURS_AT, _MASKS_AT = 16, 32, 40
_MASKS: Final = struct.Struct("<4I")
#: The header that has all four masks in it; the shorter ones of Windows have them behind it.
_WITH_ALPHA_BYTES: Final = 56
_WINDOWS_BYTES: Final = frozenset({40, 52, 56, 108, 124})
_RAW, _RLE8, _RLE4, _BY_MASKS, _JPEG, _PNG, _BY_ALL_MASKS = range(7)
#: What OS/2 means by the numbers of `_BY_MASKS` and `_JPEG`.
_HUFFMAN, _RLE24 = 103, 104
_RUNS: Final = {_RLE8: 8, _RLE4: 4, _RLE24: 24}
_PALETTE_BITS: Final = frozenset({1, 2, 4, 8})
_TYPES: Final = {16: "<u2", 32: "<u4"}
_USUAL_MASKS: Final = {16: (0x7C00, 0x3E0, 0x1F), 32: (0xFF0000, 0xFF00, 0xFF)}
_RGB_BITS: Final = 24
#: Of a BITMAPV5HEADER: the kind of colours, "MBED" as a number, and the place of a profile.
_KIND_AT, _PROFILE_AT = 56, 112
_EMBEDDED: Final = b"DEBM"
_MAX_PROFILE_BYTES: Final = 4 * 1024 * 1024
_ROWS: Final = 64
#: A run shows 255 pixels for two bytes; only leaps over what is left out can do better.
_MOST_PER_BYTE: Final = 4096
#: What may stand behind the end of runs that end early, without being the rest of the picture.
_SPARE_BYTES: Final = 64


class BitmapHeader(NamedTuple):
    """What stands before the pixels."""

    pixels_at: int
    width_px: int
    height_px: int
    bottom_up: bool
    bits: int
    """Of a pixel."""
    compression: int
    masks: tuple[int, ...]
    """Of red, green, blue and maybe alpha; none where pixels are not made of masks."""
    palette: bytes
    colour_bytes: int
    """Of an entry of the palette: blue, green, red, and maybe one that says nothing."""
    profile: bytes


class Bitmap(Opened):
    """A BMP whose header has been read."""

    loader = "numpy"

    def __init__(self, request: Request, header: BitmapHeader) -> None:
        self._request = request
        self._header = header
        self.width_px = header.width_px
        self.height_px = header.height_px

    def decode(self, box_px: int) -> Pixels:
        """See `base.Opened`."""
        header = self._header
        self._request.reserve(header.width_px * header.height_px * (header.bits // 8 + 5))
        if header.compression in _RUNS:
            samples = self._of_runs(_RUNS[header.compression])
        else:
            samples = self._of_rows()
        if header.bottom_up:
            samples = samples[::-1]
        image = image_of(samples, "srgb")
        if header.profile:
            colour.attach(image, header.profile)
        return averaged(image, box_px)

    def _of_rows(self) -> NDArray[np.uint8]:
        """Return what is stored row by row, each filled up to four bytes."""
        header = self._header
        wide_bytes = (header.width_px * header.bits + 7) // 8
        row_bytes = (wide_bytes + 3) // 4 * 4
        data = self._request.source.first(header.pixels_at + row_bytes * header.height_px)
        # The last row may come without what would fill it up.
        there = min(
            header.height_px,
            max(0, len(data) - header.pixels_at + row_bytes - wide_bytes) // row_bytes,
        )
        _check_rows(there, header.height_px)
        data = data.ljust(header.pixels_at + there * row_bytes, b"\0")
        lines = np.frombuffer(data, np.uint8, there * row_bytes, header.pixels_at)
        lines = lines.reshape(there, row_bytes)[:, :wide_bytes]
        bands = len(header.masks) or 3
        samples = np.zeros((header.height_px, header.width_px, bands), np.uint8)
        for top in range(0, there, _ROWS):
            block = lines[top : top + _ROWS]
            samples[top : top + len(block)] = self._meant(block)
        if bands > 3 and not samples[:there, :, 3].any():  # noqa: PLR2004 - R, G, B
            # Many programs leave at zero what they do not use.
            samples = samples[..., :3]
        return samples

    def _meant(self, lines: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Return rows of bytes as rows x columns x bands."""
        header = self._header
        if header.masks:
            values = np.ascontiguousarray(lines).view(_TYPES[header.bits])
            return np.stack([under_mask(values, mask) for mask in header.masks], axis=-1)
        if header.bits == _RGB_BITS:
            return lines.reshape(len(lines), header.width_px, 3)[..., ::-1]
        each = 8 // header.bits
        if each > 1:
            shifts = np.arange(8 - header.bits, -1, -header.bits, dtype=np.uint8)
            parts = lines[..., np.newaxis] >> shifts & np.uint8((1 << header.bits) - 1)
            lines = parts.reshape(len(lines), -1)[:, : header.width_px]
        return self._table()[lines]

    def _table(self) -> NDArray[np.uint8]:
        """Return 256 colours; those that are not told are black."""
        header = self._header
        count = len(header.palette) // header.colour_bytes
        table = np.zeros((256, 3), np.uint8)
        told = np.frombuffer(header.palette, np.uint8, count * header.colour_bytes)
        table[:count] = told.reshape(count, header.colour_bytes)[:, 2::-1]
        return table

    def _of_runs(self, bits: int) -> NDArray[np.uint8]:
        """Return what is run-length encoded; what the runs leave out has the first colour."""
        header = self._header
        self._request.check_size("a run-length encoded BMP", WHOLE_FILE_BYTES)
        data = self._request.source.whole()[header.pixels_at :]
        if header.width_px * header.height_px > _MOST_PER_BYTE * len(data):
            raise TruncatedPicture
        flat, rows = unpacked(data, header.width_px, header.height_px, bits)
        _check_rows(rows, header.height_px)
        samples = np.frombuffer(flat, np.uint8).reshape(header.height_px, header.width_px, -1)
        return samples[..., ::-1] if bits == _RGB_BITS else self._table()[samples[..., 0]]


def open_picture(request: Request) -> Opened:
    """Read the header. Raises Fault when it makes no sense."""
    header = read(request.source)
    if header.compression in {_JPEG, _PNG}:
        data = request.source.read_at(
            header.pixels_at, min(request.source.size_bytes, WHOLE_FILE_BYTES)
        )
        if header.compression == _JPEG:
            return jpeg.open_embedded(request, data)
        return vips.open_picture(request._replace(source=SourceBytes.of(data), format=sniff.PNG))
    return Bitmap(request, header)


def read(source: SourceBytes) -> BitmapHeader:
    """Read all that stands before the pixels.

    Raises:
        InvalidPicture: it makes no sense.
        Unsupported: it is of a kind that is not read.
        TruncatedPicture: the file ends within it.
    """
    start = _FILE_HEADER_BYTES if source.head.startswith(_ARRAY) else 0
    at = start + _FILE_HEADER_BYTES
    head = source.read_at(at, _LARGEST_BYTES)
    size_bytes = int.from_bytes(head[:4], "little")
    if len(head) < _CORE_BYTES:
        raise TruncatedPicture
    if size_bytes != _CORE_BYTES and not _INFO_BYTES <= size_bytes <= _LARGEST_BYTES:
        raise InvalidPicture(f"its BMP header claims to have {size_bytes} bytes")
    if len(head) < size_bytes:
        raise TruncatedPicture
    core = size_bytes == _CORE_BYTES
    width_px, height_px, bits = (_CORE if core else _INFO).unpack_from(head, 4)
    if width_px < 1 or not height_px:
        raise InvalidPicture("the header says it has no pixels")
    compression = _compression(head, size_bytes, bits)
    masks, masks_bytes = _masks(source, at, size_bytes, bits, compression)
    colour_bytes = 3 if core else 4
    palette_at = at + size_bytes + masks_bytes
    pixels_at = int.from_bytes(source.read_at(start + 10, 4), "little")
    palette = b""
    if bits in _PALETTE_BITS:
        count = _field(head, size_bytes, _COLOURS_AT) or 1 << bits
        count = min(count, 256)
        if at + size_bytes < pixels_at < palette_at + count * colour_bytes:
            count = max(0, pixels_at - palette_at) // colour_bytes
        palette = source.read_at(palette_at, count * colour_bytes)
    if pixels_at <= at:
        pixels_at = palette_at + len(palette)
    return BitmapHeader(
        pixels_at, width_px, abs(height_px), height_px > 0, bits, compression, masks, palette,
        colour_bytes, _profile(source, head, size_bytes, at),
    )  # fmt: skip


def _field(head: bytes, size_bytes: int, at: int) -> int:
    """Return a number of a header, 0 where the header is too short to have it."""
    return int.from_bytes(head[at : at + 4], "little") if at + 4 <= size_bytes else 0


def _compression(head: bytes, size_bytes: int, bits: int) -> int:
    """Return how the pixels are stored. Raises Unsupported for what is not read."""
    found = _field(head, size_bytes, _COMPRESSION_AT)
    os2 = size_bytes not in _WINDOWS_BYTES
    if found == _BY_MASKS and (os2 or bits == 1):
        found = _HUFFMAN
    elif found == _JPEG and (os2 or bits == _RGB_BITS):
        found = _RLE24
    if found in {_JPEG, _PNG}:
        return found
    if found in _RUNS and bits == _RUNS[found]:
        return found
    if found == _BY_MASKS and bits == _RGB_BITS:
        return _RAW
    if found in {_BY_MASKS, _BY_ALL_MASKS} and bits in _TYPES:
        return found
    if found == _RAW and bits in {*_PALETTE_BITS, *_TYPES, _RGB_BITS}:
        return found
    if (found == _RAW and bits not in {0, 64}) or bits > 64:  # noqa: PLR2004 - GDI+ has 64 bits a pixel
        raise InvalidPicture(f"its BMP header claims {bits} bits a pixel")
    name = "Huffman's" if found == _HUFFMAN else f"number {found}"
    raise Unsupported(f"BMP of {bits} bits a pixel and compression {name} is not supported")


def _masks(
    source: SourceBytes, at: int, size_bytes: int, bits: int, compression: int
) -> tuple[tuple[int, ...], int]:
    """Return the masks of a pixel, and how many bytes they take behind the header.

    Raises:
        Unsupported: a mask is more than one run of bits.
    """
    if bits not in _TYPES:
        return (), 0
    if compression not in {_BY_MASKS, _BY_ALL_MASKS}:
        return _USUAL_MASKS[bits], 0
    count = 4 if compression == _BY_ALL_MASKS or size_bytes >= _WITH_ALPHA_BYTES else 3
    told = source.read_at(at + _MASKS_AT, _MASKS.size).ljust(_MASKS.size, b"\0")
    masks = _MASKS.unpack(told)[:count]
    if count > 3 and not masks[3]:  # noqa: PLR2004 - R, G, B
        masks = masks[:3]
    behind_bytes = max(0, _MASKS_AT + count * 4 - size_bytes)
    if not any(masks[:3]):
        return _USUAL_MASKS[bits], behind_bytes
    if not all(is_run_of_bits(mask, bits) for mask in masks):
        raise Unsupported("BMP with bit masks that have gaps is not supported")
    return masks, behind_bytes


def is_run_of_bits(mask: int, bits: int) -> bool:
    """Tell whether a mask is one run of bits, or none, within a pixel of `bits`."""
    most = mask >> max(0, (mask & -mask).bit_length() - 1)
    return not (most & (most + 1) or mask >> bits)


def under_mask(values: NDArray[Any], mask: int) -> NDArray[np.uint8]:
    """Return the bits of a mask stretched to 8."""
    if not mask:
        return np.zeros(values.shape, np.uint8)
    low = (mask & -mask).bit_length() - 1
    most = mask >> low
    if most == 0xFF:  # noqa: PLR2004 - 8 bits
        return np.asarray(values >> values.dtype.type(low), np.uint8)
    wide = (values.astype(np.uint64) & np.uint64(mask)) >> np.uint64(low)
    return np.asarray((wide * np.uint64(255) + np.uint64(most // 2)) // np.uint64(most), np.uint8)


def _profile(source: SourceBytes, head: bytes, size_bytes: int, at: int) -> bytes:
    """Return the ICC profile of a BITMAPV5HEADER. Others that describe colours no desktop reads."""
    if size_bytes < _LARGEST_BYTES or head[_KIND_AT : _KIND_AT + 4] != _EMBEDDED:
        return b""
    place, length = struct.unpack_from("<II", head, _PROFILE_AT)
    return source.read_at(at + place, length) if length <= _MAX_PROFILE_BYTES else b""


def _check_rows(there: int, height_px: int) -> None:
    if there < height_px * ENOUGH_ROWS:
        raise TruncatedPicture(
            f"the file ends early or is damaged: {there / height_px:.0%} of the rows are present"
        )


def unpacked(data: bytes, width_px: int, height_px: int, bits: int) -> tuple[bytearray, int]:
    """Undo run-length encoding.

    Args:
        data: from the first run on.
        width_px: of the picture.
        height_px: likewise.
        bits: 4, 8 or 24: what a pixel has, and thus which of the three kinds it is.

    Returns:
        A byte for each pixel, or three of 24 bits, in the order of storage; and the rows that are
        known to be there.
    """
    unit = 3 if bits == _RGB_BITS else 1
    flat = bytearray(width_px * height_px * unit)
    at = x = y = 0
    while y < height_px and at + 2 <= len(data):
        count, value = data[at], data[at + 1]
        at += 2
        if count:
            pixels = _run(data[at - 1 : at - 1 + unit], count, bits)
            at += unit - 1
        elif value > 2:  # noqa: PLR2004 - so many pixels follow as they are
            size = (value * bits + 7) // 8
            pixels = _unit_pixels(data[at : at + size], value, bits)
            at += size + size % 2
        else:
            if value == 0:
                x, y = 0, y + 1
            elif value == 1:
                early = len(data) - at > _SPARE_BYTES and y < height_px * ENOUGH_ROWS
                return flat, y if early else height_px
            elif at + 2 <= len(data):
                x, y = x + data[at], y + data[at + 1]
                at += 2
            continue
        fits = max(0, min(len(pixels) // unit, width_px - x))
        begin = (y * width_px + x) * unit
        flat[begin : begin + fits * unit] = pixels[: fits * unit]
        x += len(pixels) // unit
    # Some encoders write no end.
    return flat, min(height_px, y + (x >= width_px))


def _run(pixel: bytes, count: int, bits: int) -> bytes:
    if bits != _RLE4_BITS:
        return pixel * count
    return (bytes([pixel[0] >> 4, pixel[0] & 15]) * (count // 2 + 1))[:count]


_RLE4_BITS: Final = 4


def _unit_pixels(data: bytes, count: int, bits: int) -> bytes:
    if bits != _RLE4_BITS:
        return data
    return bytes(half for byte in data for half in (byte >> 4, byte & 15))[:count]
