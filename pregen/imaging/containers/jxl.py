"""What a JPEG XL says of its colours, before its pixels (ISO/IEC 18181-1, Annex D; 18181-2).

libjxl gives the samples of a picture; pylibjxl tells a profile with them, but not whether the
samples are meant by it, nor colours that are told by numbers, nor whether alpha is multiplied in.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from pregen.imaging.containers import isobmff
from pregen.imaging.source_bytes import DamagedError

if TYPE_CHECKING:
    from pregen.imaging.source_bytes import SourceBytes

#: Colour spaces (18181-1, table E.1).
RGB: Final = 0
GREY: Final = 1
#: White points, primaries and transfer functions (tables E.2 to E.4): H.273's numbers, and 2 for
#: coordinates that follow.
LINEAR: Final = 8
SRGB: Final = 13
_CUSTOM: Final = 2
_D65: Final = 1
_XYB: Final = 2
_ALPHA: Final = 0
_SPOT: Final = 2
_CFA: Final = 5

_SIGNATURE: Final = b"\xff\x0a"
#: Names of extra channels may be longer than all of the rest.
_HEADER_BYTES: Final = 4096
_MOST_CHANNELS: Final = 64

# Fields of a few widths: a fixed number is an offset without bits.
_Choice = tuple[tuple[int, int], tuple[int, int], tuple[int, int], tuple[int, int]]
_ENUM: Final[_Choice] = ((0, 0), (0, 1), (4, 2), (6, 18))
_SIZE: Final[_Choice] = ((9, 1), (13, 1), (18, 1), (30, 1))
_COORDINATE: Final[_Choice] = ((19, 0), (19, 1 << 19), (20, 1 << 20), (21, 1 << 21))

Point = tuple[float, float]
"""x and y of CIE 1931."""

_WHITES: Final[dict[int, Point]] = {
    _D65: (0.3127, 0.3290), 10: (1 / 3, 1 / 3), 11: (0.314, 0.351),
}  # fmt: skip
_PRIMARIES: Final[dict[int, tuple[Point, Point, Point]]] = {
    1: ((0.639998686, 0.330010138), (0.300003784, 0.600003357), (0.150002046, 0.059997204)),
    9: ((0.708, 0.292), (0.170, 0.797), (0.131, 0.046)),
    11: ((0.680, 0.320), (0.265, 0.690), (0.150, 0.060)),
}


class JxlHeader(NamedTuple):
    """How the samples of a picture are meant."""

    xyb: bool = True
    """The picture is stored in a space of its own (as all lossy ones are), and the samples are what
    a decoder makes of it."""
    icc: bool = False
    """A profile says how it was. Samples of one stored as `xyb` are linear sRGB, or linear grey."""
    space: int = RGB
    white: Point = _WHITES[_D65]
    primaries: tuple[Point, Point, Point] = _PRIMARIES[1]
    primaries_number: int = 1
    transfer: int = SRGB
    gamma: float = 0.0
    """The exponent from samples to light; 0 where `transfer` tells it."""
    premultiplied: bool = False
    """Colours are multiplied by the alpha."""
    animated: bool = False


class _Bits:
    """Reads a codestream's fields, lowest bits first. Raises DamagedError at the end."""

    def __init__(self, data: bytes) -> None:
        self._number = int.from_bytes(data, "little")
        self._left = len(data) * 8
        self.at = 0

    def take(self, count: int) -> int:
        if count > self._left:
            raise DamagedError("its header ends early")
        value = (self._number >> self.at) & ((1 << count) - 1)
        self.at += count
        self._left -= count
        return value

    def choice(self, ways: _Choice) -> int:
        bits, offset = ways[self.take(2)]
        return self.take(bits) + offset

    def point(self) -> Point:
        first, second = (self.choice(_COORDINATE) for _ in range(2))
        x, y = ((code >> 1) ^ -(code & 1) for code in (first, second))
        return x / 1e6, y / 1e6


def read(source: SourceBytes) -> JxlHeader:
    """Return what the header says.

    Raises:
        DamagedError: it makes no sense.
        OSError: the file cannot be read.
    """
    data = _codestream(source)
    if not data.startswith(_SIGNATURE):
        raise DamagedError("there is no codestream where one should be")
    bits = _Bits(data[len(_SIGNATURE) :])
    _skip_size(bits)
    if bits.take(1):
        return JxlHeader()
    animated = bool(bits.take(1)) and _tells_animation(bits)
    _skip_depth(bits)
    bits.take(1)
    count = bits.choice(((0, 0), (0, 1), (4, 2), (12, 1)))
    if count > _MOST_CHANNELS:
        raise DamagedError(f"it has {count} channels beside its colours")
    premultiplied = [_channel(bits) for _ in range(count)]
    # The first alpha is the one that decoders show.
    alphas = [known for known in premultiplied if known is not None]
    header = _colours(bits, JxlHeader(xyb=bool(bits.take(1))))
    return header._replace(premultiplied=bool(alphas and alphas[0]), animated=animated)


def _codestream(source: SourceBytes) -> bytes:
    """Its first bytes; they may be cut into partial boxes, of which the first will do."""
    if source.head.startswith(_SIGNATURE):
        return source.head[:_HEADER_BYTES]
    for box in isobmff.boxes(source.read_at, 0, source.size_bytes):
        if box.kind in {b"jxlc", b"jxlp"}:
            begin = box.begin + (4 if box.kind == b"jxlp" else 0)
            return source.read_at(begin, min(_HEADER_BYTES, max(0, box.end - begin)))
    raise DamagedError("it holds no codestream")


def _skip_size(bits: _Bits) -> None:
    small = bits.take(1)
    for edge in range(2):
        if edge and bits.take(3):
            return
        if small:
            bits.take(5)
        else:
            bits.choice(_SIZE)


def _tells_animation(bits: _Bits) -> bool:
    """Read the extra fields, of which the last tells that there are frames and how fast."""
    bits.take(3)
    if bits.take(1):
        _skip_size(bits)
    if bits.take(1):
        _skip_preview(bits)
    animated = bool(bits.take(1))
    if animated:
        bits.choice(((0, 100), (0, 1000), (10, 1), (30, 1)))
        bits.choice(((0, 1), (0, 1001), (8, 1), (10, 1)))
        bits.choice(((0, 0), (3, 0), (16, 0), (32, 0)))
        bits.take(1)
    return animated


def _skip_preview(bits: _Bits) -> None:
    ways: _Choice = ((6, 1), (8, 65), (10, 321), (12, 1345))
    if bits.take(1):
        ways = ((0, 16), (0, 32), (5, 1), (9, 33))
    bits.choice(ways)
    if not bits.take(3):
        bits.choice(ways)


def _skip_depth(bits: _Bits) -> None:
    if bits.take(1):
        bits.choice(((0, 32), (0, 16), (0, 24), (6, 1)))
        bits.take(4)
    else:
        bits.choice(((0, 8), (0, 10), (0, 12), (6, 1)))


def _channel(bits: _Bits) -> bool | None:
    """Whether an alpha is multiplied in; None for another channel."""
    if bits.take(1):
        return False
    kind = bits.choice(_ENUM)
    _skip_depth(bits)
    bits.choice(((0, 0), (0, 3), (0, 4), (3, 1)))
    bits.take(8 * bits.choice(((0, 0), (4, 0), (5, 16), (10, 48))))
    if kind == _ALPHA:
        return bool(bits.take(1))
    if kind == _SPOT:
        bits.take(4 * 16)
    elif kind == _CFA:
        bits.choice(((0, 1), (2, 0), (4, 3), (8, 19)))
    return None


def _colours(bits: _Bits, header: JxlHeader) -> JxlHeader:
    if bits.take(1):
        return header
    icc, space = bool(bits.take(1)), bits.choice(_ENUM)
    header = header._replace(icc=icc, space=space)
    if icc or space == _XYB:
        return header
    number = bits.choice(_ENUM)
    white = bits.point() if number == _CUSTOM else _WHITES.get(number)
    primaries_number, primaries = 1, _PRIMARIES.get(1)
    if space != GREY:
        primaries_number = bits.choice(_ENUM)
        primaries = _PRIMARIES.get(primaries_number)
        if primaries_number == _CUSTOM:
            primaries = (bits.point(), bits.point(), bits.point())
    gamma, transfer = 0.0, SRGB
    if bits.take(1):
        # What is stored is the exponent from light to samples.
        gamma = 1e7 / max(1, bits.take(24))
    else:
        transfer = bits.choice(_ENUM)
    if white is None or primaries is None:
        raise DamagedError("it names unknown colours")
    return header._replace(
        white=white,
        primaries=primaries,
        primaries_number=primaries_number,
        transfer=transfer,
        gamma=gamma,
    )
