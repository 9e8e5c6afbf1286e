"""Pictures of every depth with a profile, written sample by sample: Pillow writes few of them."""

from __future__ import annotations

import io
import struct
import zlib
from typing import TYPE_CHECKING, Any

import numpy as np
import pillow_heif

from pregen.imaging.pixels import colour
from pregen.imaging.pixels.resample import image_of
from tests.support.files.heifs import AS_X265
from tests.support.judges import png_walk

if TYPE_CHECKING:
    from numpy.typing import NDArray

#: PNG colour types by the number of samples (PNG standard, 11.2.2).
_PNG_TYPES = {1: 0, 2: 4, 3: 2, 4: 6}
#: TIFF sample formats by numpy's letters (TIFF 6.0, section 19).
_SAMPLE_FORMATS = {"u": 1, "i": 2, "f": 3}
_SHORT, _LONG, _UNDEFINED = 3, 4, 7
_SIZES = {_SHORT: "H", _LONG: "I", _UNDEFINED: "B"}
MINISBLACK, RGB, SEPARATED = 1, 2, 5


def png(samples: NDArray[Any], profile: bytes) -> bytes:
    """Return a PNG of rows x columns x samples of 8 or 16 bits, the alpha last."""
    height_px, width_px, count = samples.shape
    depth = samples.itemsize * 8
    kind = _PNG_TYPES[count]
    header = struct.pack(">IIBBBBB", width_px, height_px, depth, kind, 0, 0, 0)
    rows = samples.astype(samples.dtype.newbyteorder(">"))
    lines = zlib.compress(b"".join(b"\0" + row.tobytes() for row in rows), 1)
    named = b"made here\0\0" + zlib.compress(profile)
    chunks = [(b"IHDR", header), (b"iCCP", named), (b"IDAT", lines), (b"IEND", b"")]
    return png_walk.build(chunks)


def tiff(
    samples: NDArray[Any], profile: bytes, photometric: int = RGB, *, alpha: bool = False
) -> bytes:
    """Return an uncompressed TIFF of rows x columns x samples of any depth, the alpha last."""
    height_px, width_px, count = samples.shape
    body = np.ascontiguousarray(samples, samples.dtype.newbyteorder("<")).tobytes()
    fields = {
        256: (_LONG, [width_px]),
        257: (_LONG, [height_px]),
        258: (_SHORT, [samples.itemsize * 8] * count),
        259: (_SHORT, [1]),
        262: (_SHORT, [photometric]),
        273: (_LONG, [8]),
        277: (_SHORT, [count]),
        278: (_LONG, [height_px]),
        279: (_LONG, [len(body)]),
        338: (_SHORT, [2] * alpha),
        339: (_SHORT, [_SAMPLE_FORMATS[samples.dtype.kind]] * count),
        34675: (_UNDEFINED, list(profile)),
    }
    told = {tag: field for tag, field in fields.items() if field[1]}
    body += bytes(len(body) % 2)
    directory, beyond = struct.pack("<H", len(told)), b""
    offset = 8 + len(body) + 2 + 12 * len(told) + 4
    for tag, (size, values) in told.items():
        value = struct.pack(f"<{len(values)}{_SIZES[size]}", *values)
        if len(value) > 4:
            value, stored = struct.pack("<I", offset + len(beyond)), value
            beyond += stored + bytes(len(stored) % 2)
        directory += struct.pack("<HHI4s", tag, size, len(values), value)
    start = b"II*\0" + struct.pack("<I", 8 + len(body))
    return start + body + directory + bytes(4) + beyond


def avif(light: NDArray[np.float64], profile: bytes, bits: int) -> bytes:
    """Return an AVIF of rows x columns x 3 of 0 to 1, without loss but that of luma and chroma."""
    samples = np.rint(light * 65535).astype(np.uint16)
    image = image_of(samples, "rgb16").copy()
    colour.attach(image, profile)
    return bytes(
        image.heifsave_buffer(
            compression="av1", bitdepth=bits, effort=0, Q=100, subsample_mode="off"
        )
    )


def heic(samples: NDArray[Any], profile: bytes = b"") -> bytes:
    """Return a HEIC of rows x columns x 3: of 8 bits a sample, or 10 where there are 16."""
    height_px, width_px, _ = samples.shape
    mode = "RGB;16" if samples.itemsize > 1 else "RGB"
    picture = pillow_heif.from_bytes(mode, (width_px, height_px), samples.tobytes())
    out = io.BytesIO()
    profiled = {"icc_profile": profile} if profile else {}
    picture.save(out, quality=90, **profiled, **AS_X265)
    return out.getvalue()
