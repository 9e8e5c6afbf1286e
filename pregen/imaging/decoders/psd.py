"""Photoshop files, PSD and PSB (Adobe, Photoshop File Formats): the merged picture.

Pillow's reader takes every channel for a colour and reads 8 bits only. Here the channels of the
mode are read, and the one behind them as alpha where the file says that it is transparency and not
a saved selection. Layers are passed over unread.
"""

from __future__ import annotations

import struct
import zlib
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np
from PIL import Image

from pregen.imaging.containers import tiff
from pregen.imaging.decoders.base import Opened, Request
from pregen.imaging.faults import ENOUGH_ROWS, InvalidPicture, TruncatedPicture, Unsupported
from pregen.imaging.pixels import colour
from pregen.imaging.pixels.resample import averaged, image_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from numpy.typing import NDArray

    from pregen.imaging.pixels.resample import Pixels
    from pregen.imaging.source_bytes import SourceBytes

_HEADER: Final = struct.Struct(">4xH6xHIIHH")
_BITMAP, _GREY, _INDEXED, _RGB, _CMYK, _INKS, _DUOTONE, _LAB = 0, 1, 2, 3, 4, 7, 8, 9
#: Channels that are colours.
_COLOURS: Final = {
    _BITMAP: 1, _GREY: 1, _INDEXED: 1, _RGB: 3, _CMYK: 4, _INKS: 3, _DUOTONE: 1, _LAB: 3,
}  # fmt: skip
_TYPES: Final = {1: "u1", 8: "u1", 16: ">u2", 32: ">f4"}
_PALETTE_BYTES: Final = 768
_RAW, _PACKED, _DEFLATED, _PREDICTED = range(4)
#: Input of Deflate at once: it grows to a thousand times as much at most.
_DEFLATE_BYTES: Final = 64 * 1024
#: Image resources: profile, EXIF, the transparent entry of a palette, and what Photoshop says of
#: the file's making.
_ICC, _TRANSPARENT, _VERSION, _EXIF = 1039, 1047, 1057, 1058
_RESOURCE_SIGNATURES: Final = frozenset({b"8BIM", b"MeSa", b"AgHg", b"PHUT", b"DCSR"})
#: Signature, number, length of the name.
_RESOURCE_HEAD_BYTES: Final = 7
#: More resources than Photoshop knows; of those that are read, none is larger.
_MOST_RESOURCES: Final = 1000
_RESOURCE_BYTES: Final = 16 * 1024 * 1024
_MOST_EDGE_PX: Final = 300_000
#: Blocks behind the layers that say the same of 16 and 32 bits as a negative count of layers.
_MERGED_ALPHA: Final = frozenset({b"Mtrn", b"Mt16", b"Mt32"})
_MOST_BLOCKS: Final = 100
#: Their lengths have eight bytes in a PSB.
_LONG_BLOCKS: Final = frozenset(
    {b"LMsk", b"Lr16", b"Lr32", b"Layr", b"Mt16", b"Mt32", b"Mtrn", b"Alph", b"FMsk", b"lnk2",
     b"FEid", b"FXid", b"PxSD"}
)  # fmt: skip
#: Rows in which white is taken out at once.
_ROWS: Final = 64
#: This share of the transparent pixels may be darker than white shines through them, by rounding.
_MOST_TOO_DARK: Final = 0.01
_FULL_16: Final = 65_535


class _Sections(NamedTuple):
    """What stands before the pixels."""

    palette: bytes
    resources: dict[int, bytes]
    merged_alpha: bool
    pixels_at: int


class PsdPicture(Opened):
    """A Photoshop file whose header has been read."""

    loader = "psd"

    def __init__(self, request: Request) -> None:
        self._request = request
        head = request.source.head
        if len(head) < _HEADER.size:
            raise TruncatedPicture
        version, self._channels, self.height_px, self.width_px, self._bits, self._mode = (
            _HEADER.unpack_from(head)
        )
        self._wide = version == 2  # noqa: PLR2004 - PSB
        if not (
            self._channels
            and 0 < self.width_px <= _MOST_EDGE_PX
            and 0 < self.height_px <= _MOST_EDGE_PX
        ):
            raise InvalidPicture("its PSD header is damaged")
        self._sections = _sections(request.source, wide=self._wide)
        exif = self._sections.resources.get(_EXIF, b"")
        self.orientation = tiff.orientation(exif.removeprefix(b"Exif\0\0"))

    def decode(self, box_px: int) -> Pixels:
        """See `base.Opened`."""
        mode, bits = self._mode, self._bits
        count = _COLOURS.get(mode, 0)
        if mode == _INKS:
            count = min(self._channels, _COLOURS[_CMYK])
        if not count or bits not in _TYPES or (bits == 1) != (mode == _BITMAP):
            raise Unsupported(f"PSD of mode {mode} with {bits} bits per channel is not supported")
        if self._channels < count:
            raise InvalidPicture(f"a PSD of this mode has at least {count} channels")
        version = self._sections.resources.get(_VERSION, b"\0\0\0\1\1")
        if version[4:5] == b"\0":
            raise Unsupported("a PSD that was saved without a merged picture is not supported")
        alpha = self._sections.merged_alpha and self._channels > count and mode != _INDEXED
        depth = np.dtype(_TYPES[bits]).itemsize
        planes = count + alpha
        self._request.reserve(self.width_px * self.height_px * planes * depth * 2)
        samples = self._planes(planes, max(self.width_px, self.height_px) / box_px)
        match mode:
            case 0:
                samples = np.unpackbits(samples[..., 0], axis=1, count=self.width_px) ^ 1
                return self._shown(samples[..., np.newaxis] * np.uint8(255), "b-w", box_px)
            case 2:
                return self._shown(self._coloured(samples[..., 0]), "srgb", box_px)
            case _:
                return self._finished(samples, box_px, alpha=alpha)

    def _finished(self, samples: NDArray[Any], box_px: int, *, alpha: bool) -> Pixels:
        """Bring samples of the modes without a table to what libvips knows."""
        mode = self._mode
        if samples.dtype.kind == "f":
            samples = self._in_16_bits(samples, alpha=alpha)
        if alpha:
            _take_out_white(samples, lab=mode == _LAB)
        deep = samples.itemsize > 1
        if mode == _LAB:
            return _from_lab(averaged(image_of(samples, "rgb16" if deep else "srgb"), box_px))
        # Of a single ink nothing tells the colour: it is shown as black.
        if mode == _CMYK or (mode == _INKS and samples.shape[2] > 1):
            # libvips knows inks of 8 bits by every way; no printer has more.
            if deep:
                samples = ((samples.astype(np.uint32) * 255 + 32_895) >> 16).astype(np.uint8)
            inks = _COLOURS[_CMYK]
            if (missing := inks - samples.shape[2]) > 0:
                samples = np.pad(samples, ((0, 0), (0, 0), (0, missing)), constant_values=255)
            samples[..., :inks] ^= 255
            return self._shown(samples, "cmyk", box_px)
        grey = samples.shape[2] - alpha == 1
        return self._shown(samples, _NAMES[grey, deep], box_px)

    def _shown(self, samples: NDArray[Any], interpretation: str, box_px: int) -> Pixels:
        image = image_of(samples, interpretation)
        if (profile := self._sections.resources.get(_ICC)) and self._mode != _INDEXED:
            colour.attach(image, profile)
        return averaged(image, box_px)

    def _coloured(self, indices: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Look up a palette: 256 reds, greens and blues."""
        if len(self._sections.palette) < _PALETTE_BYTES:
            raise InvalidPicture("its PSD palette is damaged")
        table = np.frombuffer(self._sections.palette, np.uint8, _PALETTE_BYTES).reshape(3, 256).T
        transparent = self._sections.resources.get(_TRANSPARENT, b"")
        if len(transparent) >= 2:  # noqa: PLR2004 - a number
            opaque = np.full((256, 1), 255, np.uint8)
            opaque[min(int.from_bytes(transparent[:2], "big"), 255)] = 0
            table = np.concatenate([table, opaque], axis=-1)
        return table[indices]

    def _in_16_bits(self, light: NDArray[np.float32], *, alpha: bool) -> NDArray[np.uint16]:
        """Make 16 bits of floating point, which is linear light unless a profile says otherwise.

        Inks and Lab are no light.
        """
        codes = np.nan_to_num(np.clip(light, 0, 1))
        if self._mode in {_GREY, _RGB} and _ICC not in self._sections.resources:
            colours = codes[..., :-1] if alpha else codes
            colours[...] = np.where(
                colours <= 0.0031308, 12.92 * colours, 1.055 * colours ** (1 / 2.4) - 0.055  # noqa: PLR2004 - IEC 61966-2-1
            )  # fmt: skip
        return np.asarray(codes * _FULL_16 + 0.5, np.uint16)

    def _planes(self, count: int, reduction: float) -> NDArray[Any]:
        """Read the first channels as rows x columns (or bytes of eight pixels) x channels.

        Args:
            count: of the channels.
            reduction: how many rows a row of the thumbnail stands for.

        Raises:
            Unsupported: they are compressed in a way that is not seen in merged pictures.
            TruncatedPicture: of less than `ENOUGH_ROWS` all of them are there.
        """
        kind = np.dtype(_TYPES[self._bits])
        columns = -(-self.width_px // 8) if self._bits == 1 else self.width_px
        samples = np.zeros((self.height_px, columns, count), kind.newbyteorder("="))
        at = self._sections.pixels_at
        how = int.from_bytes(self._request.source.read_at(at, 2), "big")
        if how > _PREDICTED:
            raise Unsupported(f"a merged picture of compression {how} is not supported")
        rows = (self._raw_rows, self._packed_rows, self._deflated_rows, self._predicted_rows)[how]
        there = np.zeros((count, self.height_px), bool)
        for channel, row, data in rows(at + 2, columns * kind.itemsize, count):
            samples[row, :, channel] = np.frombuffer(data, kind)
            there[channel, row] = True
        # A row is lost with any of its colours: damage may take the end of one and begin the next.
        share = float(_shown_whole(np.all(there, axis=0), reduction).mean())
        if share < ENOUGH_ROWS:
            raise TruncatedPicture(
                f"the file ends early or is damaged: {share:.0%} of the rows are present"
            )
        return samples

    def _raw_rows(self, at: int, row_bytes: int, count: int) -> Iterator[tuple[int, int, bytes]]:
        """Yield channel, row and bytes of each row that is there."""
        for channel in range(count):
            size_bytes = row_bytes * self.height_px
            data = self._request.source.read_at(at + channel * size_bytes, size_bytes)
            for row in range(len(data) // row_bytes):
                yield channel, row, data[row * row_bytes : (row + 1) * row_bytes]

    def _packed_rows(self, at: int, row_bytes: int, count: int) -> Iterator[tuple[int, int, bytes]]:
        """Likewise, of rows that are run-length encoded and begin with a table of their lengths."""
        source, height_px = self._request.source, self.height_px
        number = np.dtype(">u4" if self._wide else ">u2")
        table = source.read_at(at, count * height_px * number.itemsize)
        lengths = np.frombuffer(table[: len(table) // number.itemsize * number.itemsize], number)
        if len(lengths) < count * height_px:
            return
        at += self._channels * height_px * number.itemsize
        # A row that does not get smaller takes one more byte for each 128.
        most = row_bytes + row_bytes // 64 + 16
        for channel in range(count):
            sizes = lengths[channel * height_px : (channel + 1) * height_px].astype(np.int64)
            if sizes.max() > most:
                return
            data = source.read_at(at, int(sizes.sum()))
            at += int(sizes.sum())
            ends = np.cumsum(sizes)
            ends = ends[: np.searchsorted(ends, len(data), side="right")]
            sound = _packed_soundly(np.frombuffer(data, np.uint8), ends, row_bytes)
            for row in np.flatnonzero(sound).tolist():
                begin, end = int(ends[row - 1]) if row else 0, int(ends[row])
                try:
                    line = Image.frombytes(
                        "L", (row_bytes, 1), data[begin:end], "packbits", "L"
                    ).tobytes()
                except ValueError:
                    continue
                yield channel, row, line

    def _deflated_rows(
        self, at: int, row_bytes: int, count: int
    ) -> Iterator[tuple[int, int, bytes]]:
        """Likewise, of all rows of all channels in one stream of Deflate."""
        inflate = zlib.decompressobj()
        size_bytes = self._request.source.size_bytes
        data = b""
        for number in range(count * self.height_px):
            while len(data) < row_bytes and not inflate.eof:
                more = inflate.unconsumed_tail
                if not more:
                    more = self._request.source.read_at(at, min(_DEFLATE_BYTES, size_bytes - at))
                    at += len(more)
                if not more:
                    return
                try:
                    data += inflate.decompress(more, max(row_bytes, _DEFLATE_BYTES))
                except zlib.error:
                    return
            if len(data) < row_bytes:
                return
            yield *divmod(number, self.height_px), data[:row_bytes]
            data = data[row_bytes:]

    def _predicted_rows(
        self, at: int, row_bytes: int, count: int
    ) -> Iterator[tuple[int, int, bytes]]:
        """Likewise, each sample but the first of a row stored as the distance from the last.

        Of 32 bits it is the bytes, all the highest of a row before all the next (as the predictor
        of floating point in TIFF technical note 3).
        """
        deep = self._bits == 16  # noqa: PLR2004 - bits
        for channel, row, data in self._deflated_rows(at, row_bytes, count):
            steps = np.frombuffer(data, ">u2" if deep else "u1")
            line = np.cumsum(steps, dtype=np.uint16 if deep else np.uint8)
            if deep:
                line = line.astype(">u2")
            elif self._bits == 32:  # noqa: PLR2004 - bits
                line = np.ascontiguousarray(line.reshape(4, -1).T)
            yield channel, row, line.tobytes()


def _shown_whole(there: NDArray[np.bool_], reduction: float) -> NDArray[np.bool_]:
    """Tell which rows a thumbnail shows as they are.

    A row of it is mixed of those that it stands for, so what lies beside a lost one is not whole.

    Args:
        there: which rows are.
        reduction: how many of them a row of the thumbnail stands for.
    """
    beside = int(reduction)
    lost = np.cumsum(np.pad(~there, (beside + 1, beside)))
    return np.asarray(lost[2 * beside + 1 :] == lost[: -2 * beside - 1])


# PackBits (Apple, TN1023): a byte that says how many follow as they are, or how often the next --

_LITERAL_MOST, _NOTHING = 127, 128
_CODES: Final = np.arange(256)
#: By that byte: how far it is to the next, and how many samples there are until then.
_STEPS: Final = np.where(
    _CODES <= _LITERAL_MOST, _CODES + 2, np.where(_CODES == _NOTHING, 1, 2)
)  # fmt: skip
_MADE: Final = np.where(
    _CODES <= _LITERAL_MOST, _CODES + 1, np.where(_CODES == _NOTHING, 0, 257 - _CODES)
)  # fmt: skip
#: Rows of more runs are not followed to their ends: nothing that packs so badly is packed.
_MOST_RUNS: Final = 20_000
#: Rows may be filled up to an even number of bytes.
_SPARE: Final = 1


def _packed_soundly(
    data: NDArray[np.uint8], ends: NDArray[np.int64], row_bytes: int
) -> NDArray[np.bool_]:
    """Tell of each row whether its runs end where it does, and make what a row has.

    Anything at all can be unpacked, and noise makes more than a row.

    Args:
        data: rows as they are stored, one behind the other.
        ends: where each of them ends.
        row_bytes: what each has to make.
    """
    at = np.concatenate([[0], ends[:-1]]) if len(ends) else ends
    made = np.zeros(len(ends), np.int64)
    going = np.flatnonzero(at < ends)
    for _ in range(_MOST_RUNS):
        if not len(going):
            break
        codes = data[at[going]]
        at[going] += _STEPS[codes]
        made[going] += _MADE[codes]
        going = going[at[going] < ends[going]]
    sound = (at - ends <= _SPARE) & (made >= row_bytes) & (made <= row_bytes + _SPARE)
    sound[going] = True
    return np.asarray(sound)


#: libvips' names by (grey, deep).
_NAMES: Final = {
    (True, False): "b-w", (True, True): "grey16", (False, False): "srgb", (False, True): "rgb16",
}  # fmt: skip


def open_picture(request: Request) -> PsdPicture:
    """Read what stands before the pixels. Raises Fault when it makes no sense."""
    return PsdPicture(request)


def _sections(source: SourceBytes, *, wide: bool) -> _Sections:
    """Walk the sections of a file by their lengths."""
    at = _HEADER.size
    palette_bytes = _number(source, at, 4)
    palette = source.read_at(at + 4, min(palette_bytes, _PALETTE_BYTES))
    at += 4 + palette_bytes
    resources_bytes = _number(source, at, 4)
    resources = _resources(source, at + 4, at + 4 + resources_bytes)
    at += 4 + resources_bytes
    size = 8 if wide else 4
    layers_bytes = _number(source, at, size)
    begin, end = at + size, at + size + layers_bytes
    return _Sections(palette, resources, _has_merged_alpha(source, begin, end, wide=wide), end)


def profile_of(source: SourceBytes) -> bytes:
    """Return the ICC profile of a file whose header is sound; empty where there is none."""
    wide = int.from_bytes(source.head[4:6], "big") == 2  # noqa: PLR2004 - PSB
    return _sections(source, wide=wide).resources.get(_ICC, b"")


def _number(source: SourceBytes, at: int, count: int) -> int:
    data = source.read_at(at, count)
    if len(data) < count:
        raise TruncatedPicture
    return int.from_bytes(data, "big")


def _resources(source: SourceBytes, at: int, end: int) -> dict[int, bytes]:
    """Read the resources that count; what is damaged among them costs the rest of them only."""
    found: dict[int, bytes] = {}
    for _ in range(_MOST_RESOURCES):
        header = source.read_at(at, _RESOURCE_HEAD_BYTES)
        whole = len(header) == _RESOURCE_HEAD_BYTES
        if at >= end or not whole or header[:4] not in _RESOURCE_SIGNATURES:
            break
        at += 6 + (1 + header[6] + 1) // 2 * 2
        size = source.read_at(at, 4)
        size_bytes = int.from_bytes(size, "big")
        if len(size) < 4 or at + 4 + size_bytes > end:  # noqa: PLR2004 - a number
            break
        number = int.from_bytes(header[4:6], "big")
        if number in {_ICC, _TRANSPARENT, _VERSION, _EXIF} and size_bytes <= _RESOURCE_BYTES:
            found[number] = source.read_at(at + 4, size_bytes)
        at += 4 + (size_bytes + 1) // 2 * 2
    return found


def _has_merged_alpha(source: SourceBytes, at: int, end: int, *, wide: bool) -> bool:
    """Tell whether the channel behind the colours is the transparency of the merged picture."""
    size = 8 if wide else 4
    if end - at < size:
        return False
    layers_bytes = int.from_bytes(source.read_at(at, size), "big")
    at += size
    if layers_bytes and int.from_bytes(source.read_at(at, 2), "big", signed=True) < 0:
        return True
    at += layers_bytes
    at += 4 + int.from_bytes(source.read_at(at, 4), "big")
    for _ in range(_MOST_BLOCKS):
        header = source.read_at(at, 16)
        if at + 12 > end or header[:4] not in {b"8BIM", b"8B64"}:
            break
        key = header[4:8]
        if key in _MERGED_ALPHA:
            return True
        size = 8 if wide and key in _LONG_BLOCKS else 4
        length = int.from_bytes(header[8 : 8 + size], "big")
        at += 8 + size + (length + 3) // 4 * 4
    return False


def _take_out_white(samples: NDArray[Any], *, lab: bool) -> None:
    """Colours are mixed with white where they are transparent; take it out, in place.

    ImageMagick writes them as they are. Such a picture has pixels darker than that white.
    """
    most = 255 if samples.itemsize == 1 else _FULL_16
    white = np.array([most, (most + 1) // 2, (most + 1) // 2] if lab else [most], np.float32)
    blocks = [samples[top : top + _ROWS] for top in range(0, len(samples), _ROWS)]
    faint = [block for block in blocks if block[..., -1].min() < most]
    # The first is lightness, a grey, a colour or an ink: white is full in any of them.
    too_dark = sum(
        int((np.int32(most - most // 64) - block[..., -1] > block[..., 0].astype(np.int32)).sum())
        for block in faint
    )
    if too_dark > sum(int((block[..., -1] < most).sum()) for block in faint) * _MOST_TOO_DARK:
        return
    for block in faint:
        cover = np.maximum(block[..., -1:], 1).astype(np.float32) / most
        found = white + (block[..., :-1] - white) / cover
        block[..., :-1] = np.clip(np.rint(found), 0, most)


def _from_lab(pixels: Pixels) -> Pixels:
    """Bring CIELab of 8 or 16 bits, small already, to sRGB."""
    image = pixels.image
    if pixels.premultiplied:
        image = image.unpremultiply()
    samples = image.numpy().astype(np.float32)
    # Averages are floating point; which depth they are of, the interpretation still says.
    deep = image.interpretation == "rgb16"
    lightness = samples[..., :1] * (100 / (_FULL_16 if deep else 255))
    shades = samples[..., 1:3] / 256 - 128 if deep else samples[..., 1:3] - 128
    found = colour.lab_to_srgb(np.concatenate([lightness, shades], axis=-1))
    if samples.shape[2] > 3:  # noqa: PLR2004 - there is an alpha
        alpha = samples[..., 3:] / (257 if deep else 1)
        found = np.concatenate([found, np.asarray(np.clip(alpha + 0.5, 0, 255), np.uint8)], -1)
    return pixels._replace(image=image_of(found, "srgb"), premultiplied=False)
