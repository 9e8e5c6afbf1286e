"""TIFFs of kinds that Pillow does not write, sample by sample."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

_SHORT, _LONG, _UNDEFINED = 3, 4, 7
_CODES = {_SHORT: "H", _LONG: "I", _UNDEFINED: "B"}
_SAMPLE_FORMATS = {"u": 1, "i": 2, "f": 3}


def short(*values: int) -> tuple[int, Sequence[int]]:
    """Return a field of 16-bit numbers."""
    return _SHORT, values


def long(*values: int) -> tuple[int, Sequence[int]]:
    """Return a field of 32-bit numbers."""
    return _LONG, values


def file_of(fields: dict[int, tuple[int, Sequence[int]]], body: bytes) -> bytes:
    """Return a little-endian TIFF of one directory; `body` begins at 8."""
    body += bytes(len(body) % 2)
    place = 8 + len(body)
    return b"II*\0" + struct.pack("<I", place) + body + directory(fields, place)


def directory(fields: dict[int, tuple[int, Sequence[int]]], place: int) -> bytes:
    """Return a directory that stands at `place`, and its values before the next."""
    beyond_at = place + 2 + 12 * len(fields) + 4
    entries, beyond = struct.pack("<H", len(fields)), b""
    for tag, (kind, values) in sorted(fields.items()):
        value = struct.pack(f"<{len(values)}{_CODES[kind]}", *values)
        if len(value) > 4:
            value, told = struct.pack("<I", beyond_at + len(beyond)), value
            beyond += told + bytes(len(told) % 2)
        entries += struct.pack("<HHI4s", tag, kind, len(values), value)
    return entries + bytes(4) + beyond


def raw(
    samples: NDArray[Any],
    photometric: int,
    *,
    bits: int = 0,
    extra: Sequence[int] = (),
    tile_px: int = 0,
    more: dict[int, tuple[int, Sequence[int]]] | None = None,
) -> bytes:
    """Return an uncompressed TIFF of rows x columns x samples.

    Args:
        samples: of any type.
        photometric: TIFF's number of what they mean.
        bits: of each sample, where they are no whole bytes.
        extra: what the samples beside the colours are.
        tile_px: the edge of tiles, in planes; 0 for one strip.
        more: further fields, or other values.
    """
    rows, columns, count = samples.shape
    if tile_px:
        bodies = _planes_of_tiles(samples, tile_px)
    elif bits:
        bodies = [packed(samples, bits)]
    else:
        bodies = [np.ascontiguousarray(samples, samples.dtype.newbyteorder("<")).tobytes()]
    sizes = [len(body) for body in bodies]
    offsets = [8 + sum(sizes[:n]) for n in range(len(sizes))]
    fields = {
        256: long(columns), 257: long(rows), 258: short(*[bits or samples.itemsize * 8] * count),
        259: short(1), 262: short(photometric), 277: short(count), 284: short(1),
        339: short(*[_SAMPLE_FORMATS[samples.dtype.kind]] * count),
    }  # fmt: skip
    if extra:
        fields[338] = short(*extra)
    if tile_px:
        fields |= {284: short(2), 322: short(tile_px), 323: short(tile_px)}
        fields |= {324: long(*offsets), 325: long(*sizes)}
    else:
        fields |= {273: long(*offsets), 278: long(rows), 279: long(*sizes)}
    return file_of(fields | (more or {}), b"".join(bodies))


def packed(samples: NDArray[Any], bits: int) -> bytes:
    """Return samples of so many bits, the highest first, each row in bytes of its own."""
    shifts = np.arange(bits - 1, -1, -1)
    flat = samples.reshape(len(samples), -1, 1).astype(np.int64) >> shifts & 1
    return np.packbits(flat.reshape(len(samples), -1).astype(np.uint8), axis=1).tobytes()


def _planes_of_tiles(samples: NDArray[Any], tile_px: int) -> list[bytes]:
    rows, columns, count = samples.shape
    margins = ((0, -rows % tile_px), (0, -columns % tile_px), (0, 0))
    whole = np.pad(samples, margins, mode="edge")
    return [
        np.ascontiguousarray(whole[top : top + tile_px, left : left + tile_px, plane]).tobytes()
        for plane in range(count)
        for top in range(0, rows, tile_px)
        for left in range(0, columns, tile_px)
    ]


def subsampled(ycbcr: NDArray[np.uint8]) -> bytes:
    """Return YCbCr of which 2 x 2 pixels share a colour (TIFF 6.0, section 21)."""
    rows, columns, _ = ycbcr.shape
    blocks = ycbcr.reshape(rows // 2, 2, columns // 2, 2, 3).swapaxes(1, 2)
    shared = np.rint(blocks[..., 1:].astype(float).mean((2, 3))).astype(np.uint8)
    luma = blocks[..., 0].reshape(rows // 2, columns // 2, 4)
    body = np.concatenate([luma, shared], axis=-1).tobytes()
    fields = {
        256: long(columns), 257: long(rows), 258: short(8, 8, 8), 259: short(1), 262: short(6),
        273: long(8), 277: short(3), 278: long(rows), 279: long(len(body)), 284: short(1),
        530: short(2, 2), 531: short(1),
    }  # fmt: skip
    return file_of(fields, body)


def old_jpeg(jpeg: bytes, width_px: int, height_px: int) -> bytes:
    """Return a TIFF that points to a whole JPEG (TIFF 6.0, section 22), 4:4:4."""
    fields = {
        256: long(width_px), 257: long(height_px), 258: short(8, 8, 8), 259: short(6),
        262: short(6), 273: long(8), 277: short(3), 278: long(height_px), 279: long(len(jpeg)),
        284: short(1), 512: short(1), 513: long(8), 514: long(len(jpeg)), 530: short(1, 1),
    }  # fmt: skip
    return file_of(fields, jpeg)


def below_a_preview(picture: NDArray[np.uint8], preview: NDArray[np.uint8]) -> bytes:
    """Return a TIFF whose first page is a preview of what lies in its SubIFD."""
    body = preview.tobytes() + picture.tobytes()

    def fields(samples: NDArray[np.uint8], at: int) -> dict[int, tuple[int, Sequence[int]]]:
        rows, columns, _ = samples.shape
        return {
            256: long(columns), 257: long(rows), 258: short(8, 8, 8), 259: short(1), 262: short(2),
            273: long(at), 277: short(3), 278: long(rows), 279: long(samples.nbytes), 284: short(1),
        }  # fmt: skip

    below_at = 8 + len(body)
    below = directory(fields(picture, 8 + preview.nbytes), below_at)
    first_at = below_at + len(below)
    first = {254: long(1), 330: long(below_at)} | fields(preview, 8)
    return b"II*\0" + struct.pack("<I", first_at) + body + below + directory(first, first_at)
