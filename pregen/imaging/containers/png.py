"""The chunks of a PNG (third edition of the standard): what it is, where its pixels are. Pure."""

from __future__ import annotations

import struct
import zlib
from typing import TYPE_CHECKING, Final, NamedTuple

from pregen.imaging.containers import tiff
from pregen.imaging.source_bytes import DamagedError

if TYPE_CHECKING:
    from pregen.imaging.source_bytes import SourceBytes

_SIGNATURE: Final = b"\x89PNG\r\n\x1a\n"
_SIGNATURE_BYTES: Final = 8
#: Length and kind, and the check sum behind the body.
_HEAD_BYTES: Final = 8
_SUM_BYTES: Final = 4
_CHUNK: Final = struct.Struct(">I4s")
#: 500 MB in chunks of 8 KiB, as libpng writes them.
_MOST_CHUNKS: Final = 1 << 16
_MOST_EXIF_BYTES: Final = 1 << 16
#: Of a profile, unpacked.
_MOST_PROFILE_BYTES: Final = 16 * 1024 * 1024
_HEADER: Final = struct.Struct(">IIBBBBB")
#: Kinds that have to be understood, besides the pixels; one of each. (11.2)
_CRITICAL: Final = frozenset({b"IHDR", b"PLTE", b"IEND"})
#: What colours mean by numbers (11.3.2), which only libvips is asked about.
_BY_NUMBERS: Final = frozenset({b"cICP", b"mDCV", b"cLLI"})
_BITS: Final = 8
#: Samples of a pixel, by the type of colours.
_BANDS: Final = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
_PALETTE: Final = 3
_MOST_COLOURS: Final = 256
_OPAQUE: Final = b"\xff"


class PngLayout(NamedTuple):
    """What the chunks of a whole PNG of 8 bits a sample say."""

    width_px: int
    height_px: int
    bands: int
    """Samples of a stored pixel: grey or a palette's index (1), grey and alpha (2), RGB (3), RGBA
    (4)."""
    palette: bytes
    """RGBA of each colour; empty where there is none."""
    spans: tuple[tuple[int, int], ...]
    """Where the parts of the zlib stream begin and end. Their check sums are not looked at: behind
    each stands that of the part and of the four bytes before (`sum_of`)."""
    orientation: int
    """EXIF's, 1 to 8."""
    profile: bytes
    """ICC; empty where there is none."""

    @property
    def is_grey(self) -> bool:
        """Whether there is but one colour."""
        return self.bands < 3 and not self.palette  # noqa: PLR2004 - R, G, B

    @property
    def clear(self) -> bool:
        """Whether pixels may be transparent."""
        return self.bands % 2 == 0 or bool(self.palette[3::4].strip(_OPAQUE))


def read(data: bytes) -> PngLayout | None:
    """Return what a whole PNG of 8 bits is.

    Returns:
        None: it is interlaced, of another depth, has one colour that is transparent, says what its
            colours mean by numbers, or anything is wrong with a chunk.
    """
    try:
        return _head(*_parts(data))
    except (DamagedError, struct.error, zlib.error):
        return None


def sum_of(data: bytes, at: int) -> int:
    """Return the check sum that is stored there."""
    return int.from_bytes(data[at : at + _SUM_BYTES], "big")


def _parts(data: bytes) -> tuple[dict[bytes, bytes], tuple[tuple[int, int], ...]]:
    """Return the bodies of the chunks that are no pixels, and the spans of those that are.

    Raises:
        DamagedError: a chunk is cut off, stands where it should not, or is not what was written.
    """
    if not data.startswith(_SIGNATURE):
        raise DamagedError("it does not begin as a PNG")
    bodies: dict[bytes, bytes] = {}
    spans: list[tuple[int, int]] = []
    at, previous = _SIGNATURE_BYTES, b""
    for _ in range(_MOST_CHUNKS):
        if at + _HEAD_BYTES > len(data):
            break
        length, kind = _CHUNK.unpack_from(data, at)
        begin = at + _HEAD_BYTES
        at = begin + length + _SUM_BYTES
        if at > len(data) or not (bodies or kind == b"IHDR"):
            break
        if kind == b"IDAT":
            if spans and previous != kind:
                break  # they follow one another
            spans.append((begin, begin + length))
        else:
            _keep(kind, data[begin : begin + length], bodies, after_pixels=bool(spans))
            if zlib.crc32(data[begin - 4 : begin + length]) != sum_of(data, begin + length):
                break
            if kind == b"IEND" and spans and not length:
                return bodies, tuple(spans)
        previous = kind
    raise DamagedError("its chunks do not lead to its end")


def _keep(kind: bytes, body: bytes, bodies: dict[bytes, bytes], *, after_pixels: bool) -> None:
    """Keep the body of a chunk that is no pixels. Raises DamagedError."""
    critical = not kind[0] & 0x20
    unknown = critical and (kind not in _CRITICAL or kind in bodies)
    misplaced = (kind == b"PLTE" and (after_pixels or b"tRNS" in bodies)) or (
        kind in {b"tRNS", b"iCCP"} and (after_pixels or kind in bodies)
    )
    if kind in _BY_NUMBERS or unknown or misplaced:
        raise DamagedError("a chunk that is not looked for there")
    bodies.setdefault(kind, body)


def _head(bodies: dict[bytes, bytes], spans: tuple[tuple[int, int], ...]) -> PngLayout:
    """Return what the chunks say. Raises DamagedError, struct.error, zlib.error."""
    width_px, height_px, bits, colours, *methods = _HEADER.unpack(bodies[b"IHDR"])
    if bits != _BITS or any(methods) or colours not in _BANDS or not width_px * height_px:
        raise DamagedError("another depth, interlaced, or of unknown methods")
    head = PngLayout(
        width_px,
        height_px,
        _BANDS[colours],
        _palette(bodies) if colours == _PALETTE else b"",
        spans,
        _orientation(bodies.get(b"eXIf", b"")),
        _profile(bodies.get(b"iCCP", b"")),
    )
    if colours != _PALETTE and b"tRNS" in bodies:
        raise DamagedError("one of its colours is transparent")
    if head.is_grey and (b"PLTE" in bodies or head.profile):
        raise DamagedError("colours of a picture that has none")
    return head


def _palette(bodies: dict[bytes, bytes]) -> bytes:
    """Return the colours and their alphas as RGBA. Raises DamagedError."""
    colours, alphas = bodies.get(b"PLTE", b""), bodies.get(b"tRNS", b"")
    count = len(colours) // 3
    if len(colours) % 3 or not len(alphas) <= count <= _MOST_COLOURS or not count:
        raise DamagedError("its palette makes no sense")
    alphas = alphas.ljust(count, _OPAQUE)
    return b"".join(
        colours[3 * number : 3 * number + 3] + alphas[number : number + 1]
        for number in range(count)
    )


def _orientation(exif: bytes) -> int:
    """Return EXIF's orientation. Raises DamagedError for what does not begin as it should."""
    if exif and exif[:4] not in tiff.MAGICS:
        raise DamagedError("metadata of another kind")
    return tiff.orientation(exif[:_MOST_EXIF_BYTES])


def _profile(body: bytes) -> bytes:
    """Return a profile unpacked (11.3.2.3). Raises DamagedError, zlib.error."""
    if not body:
        return b""
    _, _, packed = body.partition(b"\0")
    unpack = zlib.decompressobj()
    profile = unpack.decompress(packed[1:], _MOST_PROFILE_BYTES)
    if packed[:1] != b"\0" or not unpack.eof or profile[16:20] != b"RGB ":
        raise DamagedError("a profile that is not whole, or of other colours")
    return profile


def orientation(source: SourceBytes) -> int:
    """Return EXIF's 1 to 8, 1 where there is none. Raises OSError.

    libpng hands over what stands before the pixels only. ImageMagick writes it behind (the standard
    allows both, 11.3.4.5).
    """
    at = _SIGNATURE_BYTES
    for _ in range(_MOST_CHUNKS):
        head = source.read_at(at, _HEAD_BYTES)
        if len(head) < _HEAD_BYTES or head[4:] == b"IEND":
            break
        length = int.from_bytes(head[:4], "big")
        if head[4:] == b"eXIf":
            return tiff.orientation(source.read_at(at + _HEAD_BYTES, min(length, _MOST_EXIF_BYTES)))
        at += _HEAD_BYTES + length + _SUM_BYTES
    return 1
