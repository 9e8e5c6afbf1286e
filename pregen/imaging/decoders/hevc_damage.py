"""Whether coded pictures of HEVC end where their data does, asked of libde265 itself.

Codes of HEVC are arithmetic: damaged ones mean something as well, and the picture goes on in wrong
colours. But each slice says behind its last block that it ends, and each row of blocks that may be
decoded beside others likewise. libde265 warns where that is not so, or where it is too soon.
libheif never asks for these warnings. So the picture is decoded once more, without filters and
colours.

Reference: de265.h of libde265 1.0; ISO/IEC 23008-2 (7.3.8.1) and 14496-15 (8.3.3.1, `hvcC`).
"""

from __future__ import annotations

import ctypes
import functools
import sys
from ctypes import POINTER, byref, c_char_p, c_int, c_int64, c_void_p
from typing import TYPE_CHECKING, Any, Final

import pillow_heif  # noqa: F401 - brings the library along

from pregen.imaging.containers.isobmff import Cursor
from pregen.imaging.faults import ENOUGH_ROWS, InvalidPicture
from pregen.imaging.source_bytes import DamagedError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from pregen.imaging.containers.heif import HeifItem, Meta

#: The compiled part of pillow-heif, which brings libheif, which brings libde265.
_LAYER: Final = "_pillow_heif"
#: Where libheif has it linked in another way.
_SYSTEMS: Final = "libde265.so.0"
#: Numbers of warnings that tell of damage: a slice that ends early or goes on behind its last
#: block, parts that begin where none can, a row of blocks without an end, blocks divided too often.
_DAMAGE: Final = frozenset({1002, 1003, 1004, 1017, 1020, 1034})
_OK: Final = 0
_WAITING: Final = 13
"""Nothing is left to decode: no error."""
#: Numbers of parameters.
_WITHOUT_DEBLOCKING, _WITHOUT_SAO = 7, 8
#: A still has one picture, of a slice for each row of blocks at most.
_MOST_STEPS: Final = 10_000
_LENGTH_AT: Final = 21
_ARRAYS_AT: Final = 22


def check(meta: Meta, number: int, read: Callable[[int, int], bytes]) -> None:
    """Raise InvalidPicture where less than `ENOUGH_ROWS` of a picture's area is sound.

    Args:
        meta: of the file.
        number: of the picture, or of one that is put together from others.
        read: gives so many bytes from an offset.

    Raises:
        InvalidPicture: see above.
    """
    parts = [part for part in meta.parts(number) if part.kind == b"hvc1" and part.extents]
    if not parts or (library := _library()) is None:
        return
    sound = 0
    for part in parts:
        data = b"".join(read(extent.offset, extent.size_bytes) for extent in part.extents)
        sound += not _is_damaged(library, part, data)
    share = sound / len(parts)
    if share < ENOUGH_ROWS:
        raise InvalidPicture(
            f"its data is damaged: {share:.0%} of the picture is certainly intact,"
            f" {ENOUGH_ROWS:.0%} needed"
        )


def _is_damaged(library: ctypes.CDLL, item: HeifItem, data: bytes) -> bool:
    """Tell whether libde265 warns of damage in one coded picture."""
    setup = item.first(b"hvcC") or b""
    try:
        units = [*_setup_units(setup), *_units(data, (setup[_LENGTH_AT] & 3) + 1)]
    except (DamagedError, IndexError):
        return False  # libheif, which decoded it, knows better
    decoder = library.de265_new_decoder()
    if not decoder:
        return False
    try:
        for parameter in (_WITHOUT_DEBLOCKING, _WITHOUT_SAO):
            library.de265_set_parameter_bool(decoder, parameter, 1)
        for unit in units:
            library.de265_push_NAL(decoder, unit, len(unit), 0, None)
        library.de265_flush_data(decoder)
        more, told, error = c_int(1), set(), _OK
        for _ in range(_MOST_STEPS):
            error = library.de265_decode(decoder, byref(more))
            while warning := library.de265_get_warning(decoder):
                told.add(warning)
            library.de265_release_next_picture(decoder)
            if error != _OK or not more.value:
                break
        return bool(told & _DAMAGE) or error not in {_OK, _WAITING}
    finally:
        library.de265_free_decoder(decoder)


def _setup_units(setup: bytes) -> Iterator[bytes]:
    """Yield the parameter sets."""
    cursor = Cursor(setup, _ARRAYS_AT, len(setup))
    for _ in range(cursor.uint(1)):
        cursor.take(1)
        for _ in range(cursor.uint(2)):
            yield cursor.take(cursor.uint(2))


def _units(data: bytes, length_bytes: int) -> Iterator[bytes]:
    cursor = Cursor(data, 0, len(data))
    while cursor.at < len(data):
        yield cursor.take(cursor.uint(length_bytes))


@functools.cache
def _library() -> ctypes.CDLL | None:
    """Return the library with the types of its functions; None where it cannot be called."""
    for path in (sys.modules[_LAYER].__file__, _SYSTEMS):
        try:
            return _typed(ctypes.CDLL(path))
        except (OSError, AttributeError):
            continue
    return None


def _typed(library: ctypes.CDLL) -> ctypes.CDLL:
    kinds: dict[str, tuple[Any, list[Any]]] = {
        "de265_new_decoder": (c_void_p, []),
        "de265_free_decoder": (c_int, [c_void_p]),
        "de265_set_parameter_bool": (None, [c_void_p, c_int, c_int]),
        "de265_push_NAL": (c_int, [c_void_p, c_char_p, c_int, c_int64, c_void_p]),
        "de265_flush_data": (c_int, [c_void_p]),
        "de265_decode": (c_int, [c_void_p, POINTER(c_int)]),
        "de265_get_warning": (c_int, [c_void_p]),
        "de265_release_next_picture": (None, [c_void_p]),
    }
    for name, (result, arguments) in kinds.items():
        function = getattr(library, name)
        function.restype, function.argtypes = result, arguments
    return library
