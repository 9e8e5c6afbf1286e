"""Whether coded pictures of AV1 end where their data does, asked of dav1d itself.

Codes of AV1 are arithmetic: damaged ones mean something as well, and the picture goes on in wrong
colours. But the codes of each tile end with a bit that is set and zeros (AV1, 8.2.4), and dav1d
looks for them where it is told to be strict. libavif never tells it. So the picture is decoded once
more, without filters and colours, and its alpha as well. What dav1d refuses, libaom has the last
word about, through libvips: it always looks, and is less strict with headers.

Reference: dav1d.h of dav1d 1.0 to 1.5.
"""

from __future__ import annotations

import ctypes
import errno
import functools
import sys
from ctypes import POINTER, byref, c_int, c_size_t, c_uint, c_uint8, c_void_p
from typing import TYPE_CHECKING, Any, Final

from pregen.imaging.containers import heif
from pregen.imaging.faults import ENOUGH_ROWS, InvalidPicture
from pregen.imaging.runtime import pyvips
from pregen.imaging.source_bytes import DamagedError

if TYPE_CHECKING:
    from pregen.imaging.containers.heif import HeifItem
    from pregen.imaging.source_bytes import SourceBytes

#: The compiled part of Pillow, which brings libavif, which brings dav1d.
_LAYER: Final = "PIL._avif"
#: Where Pillow's libavif has it linked in another way.
_SYSTEMS: Final = ("libdav1d.so.7", "libdav1d.so.6")
#: What is written of these structures is at the same place in all versions; they may grow.
_ROOM_BYTES: Final = 4096
#: A coded picture may be larger than its item by less than a superblock (AV1, 3).
_PADDING_PX: Final = 127
#: A still has one picture, and several of a layered one are few.
_MOST_STEPS: Final = 1000


class _Settings(ctypes.Structure):
    """`Dav1dSettings`."""

    _fields_ = [  # type: ignore[mutable-override]  # ctypes' stubs know no list in a class
        ("threads", c_int),
        ("delay", c_int),
        ("grain", c_int),
        ("operating_point", c_int),
        ("all_layers", c_int),
        ("most_pixels", c_uint),
        ("allocator", c_void_p * 3),
        ("logger", c_void_p * 2),
        ("strict", c_int),
        ("invisible", c_int),
        ("filters", c_int),
        ("more", c_uint8 * _ROOM_BYTES),
    ]


class _Data(ctypes.Structure):
    """`Dav1dData`."""

    _fields_ = [  # type: ignore[mutable-override]  # likewise
        ("bytes", c_void_p),
        ("size_bytes", c_size_t),
        ("more", c_uint8 * _ROOM_BYTES),
    ]


def check(source: SourceBytes) -> None:
    """Raise InvalidPicture where less than `ENOUGH_ROWS` of an AVIF's area is sound.

    What has boxes that make no sense to us is taken as it is, and all where dav1d is not there.

    Args:
        source: a file that libavif has decoded.

    Raises:
        InvalidPicture: see above.
        MemoryError: there was not enough memory.
    """
    library = _library()
    try:
        meta = heif.read(source.read_at, source.size_bytes)
    except DamagedError:
        return
    alpha = meta.alpha_of(meta.primary)
    pictures = [meta.primary, *([alpha.number] if alpha else [])]
    share = min(_share_sound(library, meta.parts(number), source) for number in pictures)
    if share < ENOUGH_ROWS and not _libaom_shows(source):
        raise InvalidPicture(
            f"its data is damaged: {share:.0%} of the picture is certainly intact,"
            f" {ENOUGH_ROWS:.0%} needed"
        )


def _share_sound(library: ctypes.CDLL | None, items: list[HeifItem], source: SourceBytes) -> float:
    """Return the share of a picture's parts that dav1d finds nothing wrong with."""
    parts = [item for item in items if item.kind == b"av01" and item.extents]
    if library is None or not parts:
        return 1.0
    return sum(_is_sound(library, part, source) for part in parts) / len(parts)


def _is_sound(library: ctypes.CDLL, item: HeifItem, source: SourceBytes) -> bool:
    size = heif.size(item)
    if size is None:
        return True
    data = b"".join(source.read_at(one.offset, one.size_bytes) for one in item.extents)
    settings, context = _Settings(), c_void_p()
    library.dav1d_default_settings(byref(settings))
    settings.threads = settings.delay = settings.strict = 1
    settings.grain = settings.filters = 0
    settings.logger = (c_void_p * 2)()  # it would write to the standard error
    settings.most_pixels = min((size[0] + _PADDING_PX) * (size[1] + _PADDING_PX), 2**32 - 1)
    if library.dav1d_open(byref(context), byref(settings)):
        return True
    try:
        return _decodes(library, context, data)
    finally:
        library.dav1d_close(byref(context))


def _decodes(library: ctypes.CDLL, context: c_void_p, data: bytes) -> bool:
    """Tell whether dav1d decodes all units of a coded picture."""
    packet, picture = _Data(), (c_uint8 * _ROOM_BYTES)()
    begin = library.dav1d_data_create(byref(packet), len(data)) if data else None
    if not begin:
        return True
    ctypes.memmove(begin, data, len(data))
    try:
        for _ in range(_MOST_STEPS):
            sent = library.dav1d_send_data(context, byref(packet)) if packet.size_bytes else 0
            got = library.dav1d_get_picture(context, byref(picture))
            if not got:
                library.dav1d_picture_unref(byref(picture))
            if -errno.ENOMEM in {sent, got}:
                raise MemoryError
            if {sent, got} - {0, -errno.EAGAIN}:
                # Larger than its item says: libavif, which decoded it, knows better.
                return -errno.ERANGE in {sent, got}
            if got and not packet.size_bytes:
                return True
    finally:
        library.dav1d_data_unref(byref(packet))
    return True


def _libaom_shows(source: SourceBytes) -> bool:
    """Tell whether libvips decodes a file without an error."""
    try:
        pyvips.Image.heifload_buffer(source.whole(), fail_on="error").avg()
    except pyvips.Error:
        return False
    return True


@functools.cache
def _library() -> ctypes.CDLL | None:
    """Return the library with the types of its functions; None where it cannot be called."""
    for path in (getattr(sys.modules.get(_LAYER), "__file__", None), *_SYSTEMS):
        try:
            return _typed(ctypes.CDLL(path))
        except (OSError, AttributeError):
            continue
    return None


def _typed(library: ctypes.CDLL) -> ctypes.CDLL:
    kinds: dict[str, tuple[Any, list[Any]]] = {
        "dav1d_default_settings": (None, [POINTER(_Settings)]),
        "dav1d_open": (c_int, [POINTER(c_void_p), POINTER(_Settings)]),
        "dav1d_close": (None, [POINTER(c_void_p)]),
        "dav1d_data_create": (c_void_p, [POINTER(_Data), c_size_t]),
        "dav1d_data_unref": (None, [POINTER(_Data)]),
        "dav1d_send_data": (c_int, [c_void_p, POINTER(_Data)]),
        "dav1d_get_picture": (c_int, [c_void_p, c_void_p]),
        "dav1d_picture_unref": (None, [c_void_p]),
    }
    for name, (result, arguments) in kinds.items():
        function = getattr(library, name)
        function.restype, function.argtypes = result, arguments
    return library
