"""OpenJPEG by its own functions, of the library that Pillow brings.

Pillow's layer over it gives 8 bits, or 16 of grey, and drops what the library warns of. Here every
component comes out as it is stored, and warnings are counted: a decoder of JPEG 2000 makes pixels
of any bytes, and what it says beside them is all that tells noise from a picture.

References: openjpeg.h of OpenJPEG 2.5; what is used of it has not changed since 2.3.
"""

from __future__ import annotations

import ctypes
import functools
import re
import weakref
from collections import Counter
from ctypes import POINTER, byref, c_char_p, c_int, c_int32, c_int64, c_size_t, c_uint32, c_void_p
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np
from PIL import _imaging

from pregen.imaging.containers.jp2 import GridArea
from pregen.imaging.faults import Fault, InvalidPicture, Unsupported

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from pregen.imaging.source_bytes import ReadAt

#: Where Pillow has it linked in another way.
_SYSTEMS: Final = "libopenjp2.so.7"
_BARE_CODESTREAM: Final = 0
#: `opj_dparameters_t` has 8252 bytes; its first number is how often the picture is halved.
_PARAMETERS_BYTES: Final = 16 * 1024
_BLOCK_BYTES: Final = 1024 * 1024
_FAILED: Final = c_size_t(-1).value
#: Of messages a few are kept: a file may make the library say a lot.
_MOST_MESSAGES: Final = 16
#: What a block of coefficients left over, or wanted beyond its end, when it was decoded.
_UNEVEN: Final = re.compile(rb"PTERM check failure: (\d+) (remaining|synthesized)")
_DISORDER: Final = re.compile(
    rb"segment too long|Expected SOP|Expected EPH|Bad segmentation|Invalid (?:bit|precinct)"
    rb"|unsupported|Tile part length|too short|[Uu]nknown marker|Not enough space",
)

_Read = ctypes.CFUNCTYPE(c_size_t, c_void_p, c_size_t, c_void_p)
_Skip = ctypes.CFUNCTYPE(c_int64, c_int64, c_void_p)
_Seek = ctypes.CFUNCTYPE(c_int, c_int64, c_void_p)
_Message = ctypes.CFUNCTYPE(None, c_char_p, c_void_p)


class _StoredComponent(ctypes.Structure):
    _fields_ = [  # type: ignore[mutable-override]  # ctypes' stubs know no list in a class
        ("dx", c_uint32), ("dy", c_uint32), ("w", c_uint32), ("h", c_uint32), ("x0", c_uint32),
        ("y0", c_uint32), ("prec", c_uint32), ("bpp", c_uint32), ("sgnd", c_uint32),
        ("resno_decoded", c_uint32), ("factor", c_uint32), ("data", POINTER(c_int32)),
        ("alpha", ctypes.c_uint16),
    ]  # fmt: skip


class _Image(ctypes.Structure):
    _fields_ = [  # type: ignore[mutable-override]  # likewise
        ("x0", c_uint32), ("y0", c_uint32), ("x1", c_uint32), ("y1", c_uint32),
        ("numcomps", c_uint32), ("color_space", c_int), ("comps", POINTER(_StoredComponent)),
        ("icc_profile_buf", c_void_p), ("icc_profile_len", c_uint32),
    ]  # fmt: skip


class Wish(NamedTuple):
    """What is wanted of a codestream."""

    halvings: int = 0
    """How many of the largest resolutions are left out."""
    area: GridArea | None = None
    """Everything where there is none."""
    strict: bool = True
    """Refuse what ends early."""


class Components(NamedTuple):
    """What is stored."""

    planes: list[NDArray[np.int32]]
    """Rows x columns each, as the codestream has them: of any depth, with or without a sign."""
    left: Counter[int]
    """How many blocks of coefficients had so many bytes more than what is in them; only where the
    codestream asks for such a check."""
    wanted: Counter[int]
    """Likewise, so many fewer."""
    disorder: int
    """How many warnings there were of anything else."""


class FewerResolutions(InvalidPicture):
    """A part of the picture cannot be halved so often."""


class _Talk:
    """What the library says while it decodes one picture."""

    def __init__(self) -> None:
        self.errors: list[str] = []
        self.left: Counter[int] = Counter()
        self.wanted: Counter[int] = Counter()
        self.disorder = 0

    def error(self, message: bytes, _: object) -> None:
        if len(self.errors) < _MOST_MESSAGES:
            self.errors.append(message.decode(errors="replace").strip())

    def warning(self, message: bytes, _: object) -> None:
        if found := _UNEVEN.match(message):
            blocks = self.wanted if found[2] == b"synthesized" else self.left
            blocks[int(found[1])] += 1
        elif _DISORDER.search(message):
            self.disorder += 1


class _Bytes:
    """A codestream, as the library reads it.

    What goes wrong is kept, and raised when the library has returned.
    """

    def __init__(self, read_at: ReadAt, size_bytes: int, changes: Mapping[int, int]) -> None:
        self._read_at = read_at
        self._size_bytes = size_bytes
        self._changes = changes
        self._at = 0
        self.error: Exception | None = None

    def read(self, buffer: int, count: int, _: object) -> int:
        try:
            data = self._read_at(self._at, min(count, self._size_bytes - self._at))
        except Exception as error:  # noqa: BLE001 - raised when the library has returned
            self.error = error
            return int(_FAILED)
        if not data:
            return int(_FAILED)
        ctypes.memmove(buffer, data, len(data))
        for at, value in self._changes.items():
            if self._at <= at < self._at + len(data):
                ctypes.memset(buffer + at - self._at, value, 1)
        self._at += len(data)
        return len(data)

    def skip(self, count: int, _: object) -> int:
        moved = max(-self._at, min(count, self._size_bytes - self._at))
        self._at += moved
        return moved or (0 if count == 0 else -1)

    def seek(self, at: int, _: object) -> int:
        if not 0 <= at <= self._size_bytes:
            return 0
        self._at = at
        return 1


@functools.cache
def _library() -> ctypes.CDLL:
    """Return the library with the types of its functions. Raises Unsupported without one."""
    for path in (_imaging.__file__, _SYSTEMS):
        try:
            found = ctypes.CDLL(path)
            return _typed(found)
        except (OSError, AttributeError):
            continue
    raise Unsupported("this build of Pillow brings no OpenJPEG that can be called")


def is_there() -> bool:
    """Tell whether there is a library to call."""
    try:
        _library()
    except Unsupported:
        return False
    return True


def _typed(library: ctypes.CDLL) -> ctypes.CDLL:
    kinds: dict[str, tuple[Any, list[Any]]] = {
        "opj_create_decompress": (c_void_p, [c_int]),
        "opj_set_default_decoder_parameters": (None, [c_void_p]),
        "opj_setup_decoder": (c_int, [c_void_p, c_void_p]),
        "opj_decoder_set_strict_mode": (c_int, [c_void_p, c_int]),
        "opj_set_error_handler": (c_int, [c_void_p, _Message, c_void_p]),
        "opj_set_warning_handler": (c_int, [c_void_p, _Message, c_void_p]),
        "opj_stream_create": (c_void_p, [c_size_t, c_int]),
        "opj_stream_set_read_function": (None, [c_void_p, _Read]),
        "opj_stream_set_skip_function": (None, [c_void_p, _Skip]),
        "opj_stream_set_seek_function": (None, [c_void_p, _Seek]),
        "opj_stream_set_user_data": (None, [c_void_p, c_void_p, c_void_p]),
        "opj_stream_set_user_data_length": (None, [c_void_p, ctypes.c_uint64]),
        "opj_read_header": (c_int, [c_void_p, c_void_p, POINTER(POINTER(_Image))]),
        "opj_set_decode_area": (
            c_int, [c_void_p, POINTER(_Image), c_int32, c_int32, c_int32, c_int32],
        ),
        "opj_decode": (c_int, [c_void_p, c_void_p, POINTER(_Image)]),
        "opj_stream_destroy": (None, [c_void_p]),
        "opj_destroy_codec": (None, [c_void_p]),
        "opj_image_destroy": (None, [POINTER(_Image)]),
    }  # fmt: skip
    for name, (result, arguments) in kinds.items():
        function = getattr(library, name)
        function.restype, function.argtypes = result, arguments
    return library


def decode(
    read_at: ReadAt, size_bytes: int, wish: Wish, changes: Mapping[int, int] | None = None
) -> Components:
    """Decode a codestream.

    Args:
        read_at: reads it, from its first marker on.
        size_bytes: of the codestream.
        wish: what is wanted of it.
        changes: bytes that are taken for others, by their offset.

    Raises:
        Fault: the library refuses it.
        OSError: the file cannot be read.
        MemoryError: there was not enough memory.
    """
    library, talk, image = _library(), _Talk(), POINTER(_Image)()
    source = _Bytes(read_at, size_bytes, changes or {})
    # They have to live as long as the library may call them.
    heard = (_Message(talk.error), _Message(talk.warning))
    calls = (_Read(source.read), _Skip(source.skip), _Seek(source.seek))
    codec = library.opj_create_decompress(_BARE_CODESTREAM)
    stream = library.opj_stream_create(_BLOCK_BYTES, 1)
    try:
        if not codec or not stream:
            raise MemoryError("OpenJPEG")
        library.opj_set_error_handler(codec, heard[0], None)
        library.opj_set_warning_handler(codec, heard[1], None)
        library.opj_stream_set_read_function(stream, calls[0])
        library.opj_stream_set_skip_function(stream, calls[1])
        library.opj_stream_set_seek_function(stream, calls[2])
        library.opj_stream_set_user_data(stream, None, None)
        library.opj_stream_set_user_data_length(stream, size_bytes)
        parameters = ctypes.create_string_buffer(_PARAMETERS_BYTES)
        library.opj_set_default_decoder_parameters(parameters)
        c_uint32.from_buffer(parameters).value = wish.halvings
        left, top, right, bottom = wish.area or GridArea(0, 0, 0, 0)
        done = (
            library.opj_setup_decoder(codec, parameters)
            and library.opj_decoder_set_strict_mode(codec, int(wish.strict))
            and library.opj_read_header(stream, codec, byref(image))
            and library.opj_set_decode_area(codec, image, left, top, right, bottom)
            and library.opj_decode(codec, stream, image)
        )
        if source.error is not None:
            raise source.error
        if not done:
            raise _fault_of(talk.errors)
        decoded, image = image, POINTER(_Image)()
        return Components(_planes(library, decoded), talk.left, talk.wanted, talk.disorder)
    finally:
        if image:  # type: ignore[truthy-bool]  # a pointer to nothing is false
            library.opj_image_destroy(image)
        if stream:
            library.opj_stream_destroy(stream)
        if codec:
            library.opj_destroy_codec(codec)


class _Owner:
    """A sample keeps this alive, and this the picture of the library."""


def _planes(library: ctypes.CDLL, image: Any) -> list[NDArray[np.int32]]:
    """Return the samples where the library has them; the picture is freed with the last of them."""
    owner = _Owner()
    weakref.finalize(owner, library.opj_image_destroy, image).atexit = False
    found = []
    for number in range(image.contents.numcomps):
        component = image.contents.comps[number]
        if not component.data or not component.w or not component.h:
            raise InvalidPicture("a component of it has no samples")
        address = ctypes.addressof(component.data.contents)
        samples: Any = (c_int32 * (component.w * component.h)).from_address(address)
        samples.owner = owner
        plane: NDArray[np.int32] = np.frombuffer(samples, np.int32)
        found.append(plane.reshape(component.h, component.w))
    return found


#: Of messages the first says what was wrong, and the rest who gave up because of it.
_OUT_OF_MEMORY: Final = re.compile(r"(?i)not enough memory|out of memory|cannot allocate")


def _fault_of(errors: list[str]) -> Fault | MemoryError:
    text = errors[0] if errors else "OpenJPEG gives no reason"
    if any(map(_OUT_OF_MEMORY.search, errors)):
        return MemoryError(text)
    if any("resolutions to remove" in error for error in errors):
        return FewerResolutions(text)
    return InvalidPicture(text)
