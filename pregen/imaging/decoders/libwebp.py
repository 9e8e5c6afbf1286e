"""libwebp by its own functions, which make a picture smaller while they decode it.

Pillow's layer over libwebp decodes at full size. libvips' asks for the smaller picture, but in
one step, so that damage was told by a second decode; and the libwebp in its wheel is built to
be small, not fast. Here one decode does both: first it is given all of the coded picture but its
end, which must not suffice (decision 075), then the rest.

The interface is decode.h of libwebp 1.0 and later. It has a number of its own, which the library
compares with the caller's, so that none is called that would read the structures in another way.
"""

from __future__ import annotations

import ctypes
import functools
from ctypes import POINTER, byref, c_int, c_size_t, c_uint8, c_uint32, c_void_p
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from pregen.imaging import compiled

if TYPE_CHECKING:
    from pregen.imaging.containers.webp import WebpHead

#: What it is called in outcomes and records.
LOADER: Final = "webp"
#: Interface 2.9, the same since libwebp 0.6 of 2017.
_ABI: Final = 0x0209
_SYSTEMS: Final = "libwebp.so.7"
_RGBA: Final = 1
_BANDS: Final = 4
#: libwebp makes a picture smaller with a plain box; Lanczos-3 does the last halving.
MARGIN: Final = 2
#: Bits behind the codes of a first partition: writers leave 8 to 23 (decision 114).
_MOST_UNREAD_BITS: Final = 40
#: Of `VP8StatusCode`.
_DONE, _NO_MEMORY, _WAITS = 0, 1, 5


class _Features(ctypes.Structure):
    _fields_ = [  # type: ignore[mutable-override]  # ctypes' stubs know no list in a class
        ("width", c_int), ("height", c_int), ("has_alpha", c_int), ("has_animation", c_int),
        ("format", c_int), ("pad", c_uint32 * 5),
    ]  # fmt: skip


class _Rgba(ctypes.Structure):
    _fields_ = [("rgba", c_void_p), ("stride", c_int), ("size", c_size_t)]  # type: ignore[mutable-override]  # likewise


class _Yuva(ctypes.Structure):
    _fields_ = [  # type: ignore[mutable-override]  # likewise
        ("planes", c_void_p * 4), ("strides", c_int * 4), ("sizes", c_size_t * 4),
    ]  # fmt: skip


class _Samples(ctypes.Union):
    _fields_ = [("rgba", _Rgba), ("yuva", _Yuva)]  # type: ignore[mutable-override]  # likewise


class _Output(ctypes.Structure):
    _fields_ = [  # type: ignore[mutable-override]  # likewise
        ("colorspace", c_int), ("width", c_int), ("height", c_int), ("is_external_memory", c_int),
        ("samples", _Samples), ("pad", c_uint32 * 4), ("private_memory", c_void_p),
    ]  # fmt: skip


class _Options(ctypes.Structure):
    _fields_ = [  # type: ignore[mutable-override]  # likewise
        ("bypass_filtering", c_int), ("no_fancy_upsampling", c_int), ("use_cropping", c_int),
        ("crop", c_int * 4), ("use_scaling", c_int), ("scaled_width", c_int),
        ("scaled_height", c_int), ("use_threads", c_int), ("dithering_strength", c_int),
        ("flip", c_int), ("alpha_dithering_strength", c_int), ("pad", c_uint32 * 5),
    ]  # fmt: skip


class _Config(ctypes.Structure):
    _fields_ = [("input", _Features), ("output", _Output), ("options", _Options)]  # type: ignore[mutable-override]  # likewise


class Small(NamedTuple):
    """A decoded picture."""

    rgba: bytearray
    """Rows x columns x 4, straight alpha."""
    columns: int
    rows: int


@functools.cache
def library() -> ctypes.CDLL | None:
    """Return the library that Pillow brings, else the system's; None without either."""
    for find in (_pillows, _system):
        try:
            found = _typed(find())
        except (ImportError, OSError, AttributeError):
            continue
        if found.WebPInitDecoderConfigInternal(byref(_Config()), _ABI):
            return found
    return None


def version() -> str:
    """Return the version of the library; empty without one."""
    found = library()
    number: int = found.WebPGetDecoderVersion() if found else 0
    return ".".join(str(number >> shift & 0xFF) for shift in (16, 8, 0)) if number else ""


def _system() -> ctypes.CDLL:
    return ctypes.CDLL(_SYSTEMS)


def _pillows() -> ctypes.CDLL:
    """Through Pillow's own module, which is linked to it."""
    from PIL import _webp  # noqa: PLC0415 - Pillow is not imported for photos

    return ctypes.CDLL(_webp.__file__)


def _typed(found: ctypes.CDLL) -> ctypes.CDLL:
    kinds: dict[str, tuple[Any, list[Any]]] = {
        "WebPGetDecoderVersion": (c_int, []),
        "WebPInitDecoderConfigInternal": (c_int, [POINTER(_Config), c_int]),
        "WebPIDecode": (c_void_p, [c_void_p, c_size_t, POINTER(_Config)]),
        "WebPIUpdate": (c_int, [c_void_p, ctypes.c_char_p, c_size_t]),
        "WebPIDelete": (None, [c_void_p]),
        "WebPFreeDecBuffer": (None, [POINTER(_Output)]),
    }
    for name, (result, arguments) in kinds.items():
        function = getattr(found, name)
        function.restype, function.argtypes = result, arguments
    return found


def reads_first_partition(coded: bytes | memoryview) -> bool:
    """Tell whether the codes of the first partition of a lossy picture end where it does.

    libwebp tells where they go beyond it, not where they end before. Without the compiled module
    this is not looked at.
    """
    unread = compiled.unread(coded) if compiled.IS_HERE else None
    return unread is None or unread <= _MOST_UNREAD_BITS


def decode(data: bytes, head: WebpHead, box_px: int) -> Small | None:
    """Decode a picture to twice a box, or to its own size; None where it is left to others.

    That is what is damaged, and everything where there is no library to call.

    Args:
        data: a whole WebP.
        head: of it.
        box_px: that of the largest picture that is to be made.

    Raises:
        MemoryError: there was not enough memory.
    """
    found = library()
    if found is None:
        return None
    scale = min(1.0, box_px * MARGIN / max(head.width_px, head.height_px))
    columns = max(1, round(head.width_px * scale))
    rows = max(1, round(head.height_px * scale))
    config = _Config()
    if not found.WebPInitDecoderConfigInternal(byref(config), _ABI):
        return None
    rgba = bytearray(columns * rows * _BANDS)
    output = config.output
    output.colorspace, output.is_external_memory = _RGBA, 1
    place = (c_uint8 * len(rgba)).from_buffer(rgba)
    output.samples.rgba = _Rgba(ctypes.addressof(place), columns * _BANDS, len(rgba))
    options = config.options
    options.use_scaling = (columns, rows) != (head.width_px, head.height_px)
    options.scaled_width, options.scaled_height = columns, rows
    decoder = found.WebPIDecode(None, 0, byref(config))
    if not decoder:
        raise MemoryError("libwebp")
    try:
        status = found.WebPIUpdate(decoder, data, head.end - head.spare) if head.spare else _WAITS
        if status == _WAITS:
            status = found.WebPIUpdate(decoder, data, len(data))
        elif status == _DONE:
            return None  # its end was not needed: codes before it are damaged
    finally:
        found.WebPIDelete(decoder)
        found.WebPFreeDecBuffer(byref(output))
    if status == _NO_MEMORY:
        raise MemoryError("libwebp")
    if status != _DONE or not reads_first_partition(memoryview(data)[head.begin : head.end]):
        return None
    return Small(rgba, columns, rows)
