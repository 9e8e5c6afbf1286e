"""What a container holds, and the bounded reading that finds it out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    ReadAt = Callable[[int, int], bytes]
    """Offset and count -> bytes, fewer at the end of the file."""

#: A round trip to a share costs more than the bytes; a few IFDs lie together.
_BLOCK_BYTES: Final = 8 * 1024
#: Half a megabyte. The fullest real RAW at hand (a CR3) needs eight blocks behind its head.
_MAX_BLOCKS: Final = 64
#: No structure that is read as one piece is larger: the tile offsets of a 100 Mpx DNG take 6 KB.
MAX_PIECE_BYTES: Final = 64 * 1024
_SOI: Final = b"\xff\xd8\xff"
_FRAMES: Final = frozenset({0xC0, 0xC1, 0xC2})
_OTHER_FRAMES: Final = frozenset({0xC3, *range(0xC5, 0xC8), *range(0xC9, 0xCC), 0xCD, 0xCE, 0xCF})
_END_OF_HEADER: Final = frozenset({0xD9, 0xDA})
_ALONE: Final = frozenset({0x01, *range(0xD0, 0xD9)})
#: Segments before the frame header: a camera writes ten to twenty, with a large profile sixty.
_MAX_SEGMENTS: Final = 200


class DamagedError(Exception):
    """The container contradicts itself, or is not of the kind it seemed."""


class Preview(NamedTuple):
    """A smaller picture inside the file."""

    offset: int
    size_bytes: int
    width_px: int = 0
    """As stored; 0 when only its own header tells."""
    height_px: int = 0
    rgb: bool = False
    """Bare samples, 8 bits each of red, green and blue; otherwise a JPEG."""

    @property
    def long_px(self) -> int:
        """Its longer edge."""
        return max(self.width_px, self.height_px)


class Layout(NamedTuple):
    """What was found in a RAW."""

    width_px: int = 0
    """Of the full picture as stored, before orientation; 0 when not told."""
    height_px: int = 0
    orientation: int = 0
    """EXIF's 1 to 8; 0 when not told."""
    previews: tuple[Preview, ...] = ()
    sensor: tuple[int, int] = (0, 0)
    """Where the sensor data begins and ends, in bytes; zeros when not told."""


class ByteSource:
    """Bytes of a file by their offsets. A bounded number of them can be read."""

    def __init__(self, read_at: ReadAt, size_bytes: int, head: bytes = b"") -> None:
        self.size_bytes = size_bytes
        self._read_at = read_at
        self._head = head
        self._blocks: dict[int, bytes] = {}

    def get(self, offset: int, count: int) -> bytes:
        """Return exactly `count` bytes. DamagedError where the file does not hold them."""
        end = offset + count
        if 0 <= offset <= end <= len(self._head):
            return self._head[offset:end]
        if offset < 0 or not 0 <= count <= MAX_PIECE_BYTES or end > self.size_bytes:
            raise DamagedError("it points outside of the file")
        first, last = offset // _BLOCK_BYTES, (end - 1) // _BLOCK_BYTES
        data = b"".join(self._block(number) for number in range(first, last + 1))
        start = offset - first * _BLOCK_BYTES
        if len(data) < start + count:
            raise DamagedError("the file became shorter")
        return data[start : start + count]

    def number(self, offset: int, count: int, order: str) -> int:
        """Return an unsigned number of `count` bytes; `order` is "<" or ">"."""
        return int.from_bytes(self.get(offset, count), "little" if order == "<" else "big")

    def is_jpeg(self, offset: int) -> bool:
        """True when a JPEG begins there."""
        try:
            return self.get(offset, len(_SOI)) == _SOI
        except DamagedError:
            return False

    def _block(self, number: int) -> bytes:
        block = self._blocks.get(number)
        if block is None:
            if len(self._blocks) >= _MAX_BLOCKS:
                raise DamagedError("its structures never end")
            at = number * _BLOCK_BYTES
            count = min(_BLOCK_BYTES, self.size_bytes - at)
            block = self._head[at : at + count]
            if len(block) < count:
                block = self._read_at(at, count)
            self._blocks[number] = block
        return block


def jpeg_size(source: ByteSource, offset: int, size_bytes: int) -> tuple[int, int]:
    """Return width and height of a JPEG in a file; zeros when it is none that can be shown.

    The lossless JPEGs (SOF3) that hold sensor data are none (ITU T.81, table B.1).
    """
    at, end = offset + 2, min(offset + size_bytes, source.size_bytes)
    if not source.is_jpeg(offset):
        return 0, 0
    try:
        for _ in range(_MAX_SEGMENTS):
            if at + 9 > end:
                break
            mark, marker, high, low, _, *size = source.get(at, 9)
            if mark != 0xFF or marker in _END_OF_HEADER or marker in _OTHER_FRAMES:  # noqa: PLR2004 - every marker begins so
                break
            if marker in _FRAMES:
                return size[2] << 8 | size[3], size[0] << 8 | size[1]
            at += 1 if marker == 0xFF else 2 if marker in _ALONE else 2 + (high << 8 | low)  # noqa: PLR2004 - fill bytes
    except DamagedError:
        pass
    return 0, 0


def sized(source: ByteSource, previews: Iterable[Preview]) -> list[Preview]:
    """Return the previews that lie in the file with their sizes, the smallest first."""
    found = []
    for preview in previews:
        inside = 0 < preview.offset <= preview.offset + preview.size_bytes <= source.size_bytes
        if not inside or not preview.size_bytes:
            continue
        if not preview.width_px or not preview.height_px:
            width_px, height_px = jpeg_size(source, preview.offset, preview.size_bytes)
            preview = preview._replace(width_px=width_px, height_px=height_px)  # noqa: PLW2901 - the same, with its size
        if preview.width_px and preview.height_px:
            found.append(preview)
    return sorted(found, key=lambda each: (each.long_px, each.size_bytes))


# --- Which preview may stand for a picture: it covers what is wanted and has the picture's shape


#: Letterboxed, squeezed and turned previews are further off than this, honest ones within 1 %
#: (formats-and-decoders, section 6).
_ASPECT_TOLERANCE: Final = 0.02


def choose(layout: Layout, box_px: int) -> Preview | None:
    """Return the smallest preview that covers a box and has the right shape, None without one."""
    return next(
        (
            preview
            for preview in sorted(layout.previews, key=lambda each: each.long_px)
            if preview.long_px >= box_px
            and same_shape(
                (preview.width_px, preview.height_px), (layout.width_px, layout.height_px)
            )
        ),
        None,
    )


def same_shape(one: tuple[int, int], other: tuple[int, int]) -> bool:
    """Tell whether two pictures have one aspect, within 2 %; True when the other is not known."""
    if min(other) <= 0:
        return True
    here, there = one[0] * other[1], one[1] * other[0]
    return abs(here - there) <= _ASPECT_TOLERANCE * there


# --- Whether the pixels of a preview show a picture: not black, and no bars where the picture
# ends
#
# Cameras write previews for their own screens: a 3:2 photo between black bars in 4:3, or nothing
# but black when the battery ran out. A photo of the night may look so, too; then the main picture
# is decoded, which is the truth anyway.


#: JPEG leaves black bars within a few levels of it.
_BLACK: Final = 16
#: Bars are as wide as shapes differ: 3:2 in 4:3 leaves 5.5 % on each side, 16:9 in 3:2 7.8 %.
#: Of 240 rows 3 % lie within the first row of blocks, which the picture beside a bar of 13 does not
#: reach with its ringing.
_BAR: Final = 0.03


def is_doubtful(samples: NDArray[np.uint8]) -> bool:
    """Tell whether these are no picture to be shown.

    Args:
        samples: rows x columns x bands; of more than three bands the first three count.
    """
    # The mean, because colour is coarser than brightness in a JPEG and bleeds into the bars.
    brightest = samples[..., :3].max(axis=2)
    rows, columns = brightest.mean(axis=1) <= _BLACK, brightest.mean(axis=0) <= _BLACK
    return bool(rows.all()) or _between_bars(rows) or _between_bars(columns)


def _between_bars(black: NDArray[np.bool_]) -> bool:
    wide = max(2, int(len(black) * _BAR))
    return bool(black[:wide].all() and black[-wide:].all())
