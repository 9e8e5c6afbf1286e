"""How much of a TIFF's data is sound.

libtiff tells a strip or tile that it cannot unpack; libvips paints it black. What can be unpacked
may be wrong all the same: Deflate has a checksum that libtiff leaves alone, LZW has an end that a
damaged strip misses, JPEG goes on after an error, and samples that are not compressed are any bytes
at all. Of those only two losses can be told from a picture: zeros that begin and end in the middle
of rows which are not dark, and noise beside what is none.
"""

from __future__ import annotations

import re
from collections import Counter
from typing import TYPE_CHECKING, Final

import numpy as np
import simplejpeg
from isal import igzip_lib, isal_zlib

from pregen.imaging import compiled
from pregen.imaging.containers import jpeg, tiff_layout
from pregen.imaging.decoders import vips
from pregen.imaging.runtime import pyvips
from pregen.imaging.source_bytes import WHOLE_FILE_BYTES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

    from pregen.imaging.containers.tiff_layout import TiffLayout
    from pregen.imaging.source_bytes import SourceBytes

#: So many strips or tiles, evenly over the picture, speak for all.
_SAMPLED: Final = 256
#: Likewise where the check unpacks them again although libtiff found nothing wrong.
_SAMPLED_AGAIN: Final = 32
#: Fewer are no sample.
_LEAST_SAMPLED: Final = 4
#: What can be measured here.
_MEASURED: Final = frozenset(
    {
        tiff_layout.NONE, tiff_layout.LZW, tiff_layout.JPEG, tiff_layout.PACKBITS,
        *tiff_layout.DEFLATE, *tiff_layout.FAX,
    }
)  # fmt: skip
#: LZW is measured at 45 MB a second: this takes 90 ms.
_LZW_BYTES: Final = 4 * 1024 * 1024
#: Input of Deflate at once: it grows to a thousand times as much at most.
_DEFLATE_BYTES: Final = 64 * 1024
_LINE: Final = re.compile(r"at (?:line|scanline) (\d+)")
#: What fills up a strip behind its picture. Elsewhere something that matters may be lost, as a
#: table: libjpeg then decodes by those that it has, without a word.
_HARMLESS: Final = re.compile(r"extraneous bytes before marker 0xd9", re.IGNORECASE)


def is_measured(layout: TiffLayout, source: SourceBytes) -> bool:
    """Tell whether damage can be measured. Of JPEG without loss nothing tells it."""
    if layout.compression != tiff_layout.JPEG:
        return layout.compression in _MEASURED
    head = jpeg.read(_whole_jpeg(layout.jpeg_tables, layout.stored(source, 0)))
    return head is None or not head.lossless


def share_after_error(layout: TiffLayout, source: SourceBytes) -> float:
    """Return how much of the strips or tiles can be unpacked, 0 to 1, once libtiff has refused."""
    return _share(layout, source, _spread(layout.pieces, _SAMPLED))


def share_of_unpacked(layout: TiffLayout, source: SourceBytes) -> float:
    """Return how much is what it was when it was written, where libtiff has unpacked everything."""
    match layout.compression:
        case tiff_layout.NONE:
            return min(_share_as_told(layout, source), 1.0 - _lost_samples(layout, source))
        case tiff_layout.LZW:
            share = min(1.0, _LZW_BYTES / max(1, sum(layout.counts)))
            pieces = _spread(layout.pieces, max(_LEAST_SAMPLED, round(layout.pieces * share)))
            return _share(layout, source, pieces)
        case compression if compression in tiff_layout.DEFLATE:
            # What is not in memory is read again for this.
            most = layout.pieces if source.size_bytes <= WHOLE_FILE_BYTES else _SAMPLED
            return _share(layout, source, _spread(layout.pieces, most))
        case tiff_layout.GROUP_3 | tiff_layout.GROUP_4:
            # Zeros are its end, or are skipped: nothing is wrong with them for libtiff.
            return _share(layout, source, _spread(layout.pieces, _SAMPLED), _share_before_zeros)
        case tiff_layout.JPEG | tiff_layout.PACKBITS:
            return _share(layout, source, _spread(layout.pieces, _SAMPLED_AGAIN))
        case _:
            return 1.0


def _spread(count: int, most: int) -> Iterator[int]:
    """Yield up to `most` of the numbers below `count`, evenly."""
    most = min(count, most)
    return (number * count // most for number in range(most))


def _share(
    layout: TiffLayout,
    source: SourceBytes,
    pieces: Iterator[int],
    measure: Callable[[TiffLayout, bytes, int], float] | None = None,
) -> float:
    """Return how much of some strips or tiles is sound, 0 to 1, by the pixels that they show."""
    area = sound = 0.0
    lost = False
    for piece in pieces:
        rows = layout.rows_of(piece)
        pixels = rows * layout.columns_of(piece)
        area += pixels
        data = b"" if lost else layout.stored(source, piece)
        if data:
            share = (
                measure(layout, data, rows)
                if measure
                else _share_of_piece(layout, piece, data, rows)
            )
            sound += pixels * share
            # libvips shows nothing of a fax behind the first line that is wrong.
            lost = share < 1 and layout.compression in tiff_layout.FAX
    return sound / area if area else 0.0


def _share_of_piece(layout: TiffLayout, piece: int, data: bytes, rows: int) -> float:
    """Return how much of a strip or tile is sound, counted from its top.

    Of one that the file has whole it is all or nothing: it is unknown where something went wrong.
    """
    whole = layout.piece_bytes
    wanted = whole if layout.tile_px[0] else layout.bytes_of(rows)
    if layout.compression == tiff_layout.NONE:
        return min(1.0, len(data) / wanted)
    share: float | None = None
    if layout.compression in tiff_layout.DEFLATE:
        share = deflate_share(data, wanted)
    elif layout.compression == tiff_layout.LZW and not layout.reversed_bits:
        share = lzw_share(data, wanted, whole)
    elif layout.compression == tiff_layout.JPEG and layout.bits == 8 and layout.samples in {1, 3}:  # noqa: PLR2004 - what simplejpeg knows
        share = _jpeg_share(layout.jpeg_tables, data)
    if share is None:
        share = _libtiff_share(layout, data, rows)
        if layout.compression in {tiff_layout.GROUP_3, tiff_layout.GROUP_4}:
            share = min(share, _share_before_zeros(layout, data, rows))
    ends_early = len(data) < layout.counts[piece] and layout.predictor == 1
    partial = ends_early or layout.compression in tiff_layout.FAX
    return share if partial else float(share == 1.0)


def _libtiff_share(layout: TiffLayout, data: bytes, rows: int) -> float:
    """Have libtiff unpack one strip or tile; a fax tells the line at which it went wrong."""
    columns, rows_px = layout.width_px, rows
    if layout.tile_px[0]:
        columns, rows_px = layout.tile_px
    # What only warns is sound in a fax, and data that do not fill a strip in PackBits.
    warns = layout.compression in {tiff_layout.PACKBITS, tiff_layout.JPEG}
    strict = "warning" if warns else "error"
    try:
        image = pyvips.Image.tiffload_buffer(
            layout.rebuilt([data], rows_px, columns), fail_on=strict, access="sequential"
        )
        pyvips.Region.new(image).fetch(0, 0, image.width, image.height)
    except pyvips.Error as error:
        if isinstance(fault := vips.fault_of(error), MemoryError):
            raise fault from error
        told = _LINE.search(f"{error.message}\n{error.detail}")
        if told is None or layout.compression not in tiff_layout.FAX:
            return 0.0
        return min(1.0, int(told[1]) / rows)
    return 1.0


#: No code of Group 4 and the next have so many zero bits between them.
_ZEROS: Final = bytes(3)
#: No line of a fax is filled up with so many (ITU-T T.4: 20 ms at 9600 bit/s).
_FILL: Final = bytes(32)
#: Its end, two times a 1 behind 11 zeros (ITU-T T.6, 2.4.1.1), stands within so many bytes.
_FAX_END: Final = "000000000001" * 2
_FAX_END_BYTES: Final = 6


def _share_before_zeros(layout: TiffLayout, data: bytes, rows: int) -> float:
    """Return how much of a strip of a fax comes before zeros that should not be there."""
    if layout.compression == tiff_layout.GROUP_3:
        # Zeros may fill a line up to its end. Where lines lack an end they took its place.
        lines = _line_ends(data)
        if layout.reversed_bits or not 0 < lines < rows - 1:
            return 1.0
        return max(0, data.find(_FILL)) / len(data)
    at = data.find(_ZEROS)
    if at < 0:
        return 1.0
    before = data[max(0, at - _FAX_END_BYTES) : at + 1]
    bits = f"{int.from_bytes(before, 'big'):0{len(before) * 8}b}"
    mirrored = "".join(f"{byte:08b}"[::-1] for byte in before)
    return 1.0 if _FAX_END in bits or _FAX_END in mirrored else at / len(data)


def _line_ends(data: bytes) -> int:
    """Count the ends of lines in Group 3: a 1 behind 11 zeros or more (ITU-T T.4, 4.1.2)."""
    ones = np.flatnonzero(np.unpackbits(np.frombuffer(data, np.uint8)))
    return int((np.diff(ones, prepend=-1) > 11).sum())  # noqa: PLR2004 - see above


def deflate_share(data: bytes, wanted: int) -> float:
    """Return how much of a strip Deflate's own checks let pass (RFC 1950, 1951).

    None of one whose checksum is wrong, since it is unknown where it went wrong.
    """
    inflate = isal_zlib.decompressobj()
    made = 0
    for at in range(0, len(data), _DEFLATE_BYTES):
        try:
            made += len(inflate.decompress(data[at : at + _DEFLATE_BYTES]))
        except igzip_lib.IsalError:  # type: ignore[misc]  # the stub has an instance of it
            # The checksum comes last: everything is there, and something of it is wrong.
            return 0.0 if at + _DEFLATE_BYTES >= len(data) else min(1.0, made / wanted)
        if inflate.eof or made > wanted + _DEFLATE_BYTES:
            break
    return min(1.0, made / wanted)


def _jpeg_share(tables: bytes, data: bytes) -> float:
    """Return 1 for a strip of sound codes that libjpeg decodes without a warning, else 0."""
    whole = _whole_jpeg(tables, data)
    if compiled.IS_HERE and compiled.account(whole)[0] < 1:
        return 0.0
    smallest = {"min_height": 1, "min_width": 1} if jpeg.is_scalable(whole) else {}
    try:
        simplejpeg.decode_jpeg(whole, "GRAY", strict=True, **smallest)
    except ValueError as error:
        return float(_HARMLESS.search(str(error)) is not None)
    return 1.0


def _whole_jpeg(tables: bytes, data: bytes) -> bytes:
    """Return a strip with the tables that it has in common with others."""
    shared = tables[:2] == jpeg.SOI[:2] == data[:2]
    return tables[:-2] + data[2:] if shared else data


# LZW: how many bytes come out, and whether the end is where it should be ---------------------
#
# What a code stands for does not matter, only how long it is. Between two codes that clear the
# table every width is known beforehand, so that a few thousand codes are read at once.

_CLEAR: Final = 256
_END: Final = 257
_FIRST: Final = 258
#: libtiff takes so many beyond the 4096 of a full table.
_MOST_CODES: Final = 4096 + 1024 - _FIRST
_WIDTHS: Final = np.array(
    [9 + sum(257 + n > last for last in (510, 1022, 2046)) for n in range(_MOST_CODES)], np.int64
)
_PLACES: Final = np.concatenate([[0], np.cumsum(_WIDTHS)])
#: Half a kilobyte a table is far below what any encoder fills before it clears.
_LEAST_SEGMENT_BYTES: Final = 512
#: A byte of padding, and what a code of 12 bits may leave.
_SPARE_BITS: Final = 40


def lzw_share(data: bytes, wanted: int, whole: int) -> float | None:
    """Return how much of a strip of LZW (TIFF 6.0, section 13) is sound; None where it is unclear.

    Args:
        data: the strip as it is stored.
        wanted: how many bytes it has to make.
        whole: how many it may make instead: a last strip may be filled up.
    """
    if len(data) >= 2 and data[0] == 0 and data[1] & 1:  # noqa: PLR2004 - the first code
        return None  # as libtiff before 1990 wrote it
    padded = np.frombuffer(data + bytes(3), np.uint8).astype(np.int64)
    bits = len(data) * 8
    at = made = 0
    for _ in range(64 + len(data) // _LEAST_SEGMENT_BYTES):
        codes = _codes(padded, at, bits)
        ends = np.flatnonzero((codes == _CLEAR) | (codes == _END))
        count = int(ends[0]) if len(ends) else len(codes)
        lengths = _lengths(codes[:count])
        made += int(lengths.sum())
        if len(lengths) < count:
            return min(1.0, made / wanted) if made < wanted else 1.0
        stopped = not len(ends) or codes[count] == _END
        at += int(_PLACES[min(count + 1, len(codes))])
        if made >= wanted or stopped:
            break
    else:
        return None
    if made < wanted:
        return made / wanted
    # More came out than there should be, or something is left: it went wrong, who knows where.
    left = bits - at
    follows = _codes(padded, at, bits)[:2]
    ended = stopped or left <= _SPARE_BITS or _END in follows
    return float(made in {wanted, whole} and ended)


def _codes(padded: NDArray[np.int64], at: int, bits: int) -> NDArray[np.int64]:
    """Return the codes that begin at a bit, as far as they go."""
    count = int(np.searchsorted(_PLACES[1:], bits - at, side="right"))
    places = at + _PLACES[:count]
    byte = places >> 3
    window = padded[byte] << 16 | padded[byte + 1] << 8 | padded[byte + 2]
    widths = _WIDTHS[:count]
    return np.asarray(window >> (24 - (places & 7) - widths) & ((1 << widths) - 1))


def _lengths(codes: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the bytes that each code stands for, up to the first that is not in the table."""
    numbers = np.arange(len(codes))
    wrong = np.flatnonzero(codes > np.where(numbers > 0, 257 + numbers, 255))
    if len(wrong):
        codes, numbers = codes[: wrong[0]], numbers[: wrong[0]]
    longer = codes >= _FIRST
    # Entry n + 258 is what code n stood for and one byte more.
    jumps = np.where(longer, codes - _FIRST, numbers)
    lengths = longer.astype(np.int64)
    while (further := lengths[jumps]).any():
        lengths, jumps = lengths + further, jumps[jumps]
    return lengths + 1


# Samples that are not compressed --------------------------------------------------------------

#: How many places are looked at, and how many bytes of each.
_PROBES: Final = 1024
_PROBE_BYTES: Final = 64
_NOISE_PROBES: Final = 128
_NOISE_BYTES: Final = 2048
#: Chi-squared of 256 bins: 255 for noise, with a deviation of 23; thousands for any picture.
_NOISE: Final = 400.0
#: A picture that is noise everywhere is meant to be.
_ALL_NOISE: Final = 0.97
#: A run of zeros is worth a closer look from this share of the picture on.
_LEAST_RUN: Final = 1 / 64
#: So much of a row beside zeros has to be something else.
_BRIGHT: Final = 0.9


def _share_as_told(layout: TiffLayout, source: SourceBytes) -> float:
    """Return how much may be samples, 0 to 1, where it is told that they are not compressed.

    Where a damaged tag says so, strips of as many rows differ in size, or the file is too small.
    """
    if layout.planar and layout.subsampling != (1, 1):
        return 1.0  # planes of different sizes
    full = Counter(
        count
        for piece, count in enumerate(layout.counts[: layout.pieces])
        if layout.rows_of(piece) == layout.piece_rows
    )
    alike = max(full.values(), default=1) / max(1, full.total())
    wanted = layout.row_bytes * layout.unit_rows(layout.height_px) * layout.planes
    return min(alike, source.size_bytes / wanted)


def _lost_samples(layout: TiffLayout, source: SourceBytes) -> float:
    """Return how much of samples that lie in one piece is noise or lost to zeros, 0 to 1."""
    start = min(layout.offsets)
    size = sum(layout.counts[: layout.pieces])
    if not layout.whole_bytes or size < _PROBES or start + size > source.size_bytes:
        return 0.0
    ends = [a + b for a, b in zip(layout.offsets, layout.counts, strict=False)]
    if max(ends) - start > size + size // 8:
        return 0.0  # scattered: what lies between is something else
    noise = _noise_share(layout, source, start, size)
    return (noise if noise < _ALL_NOISE else 0.0) + _zero_share(layout, source, start, size)


def share_before_cut(layout: TiffLayout, source: SourceBytes) -> float:
    """Return how much of samples that are not compressed comes before a gap, 0 to 1.

    A file from whose middle bytes were lost ends early by as many. All behind the gap stands that
    much further on than it should, so that it is there, and only there, that a row is followed
    not by what is below it but by what should be so many bytes before that.
    """
    row = layout.row_bytes
    if layout.compression != tiff_layout.NONE or layout.tile_px[0] or not layout.whole_bytes:
        return 1.0
    start, size = min(layout.offsets, default=0), sum(layout.counts[: layout.pieces])
    missing = start + size - source.size_bytes
    if missing <= 0 or missing % row == 0 or size > WHOLE_FILE_BYTES or layout.planar:
        return 1.0
    data = np.frombuffer(source.read_at(start, size), np.uint8)
    count = len(data) // row - 1
    if count < 3 * _BAND_ROWS:
        return 1.0
    step = max(1, row // _ROW_SAMPLES)
    here, there = (
        _band_means(data[begin : begin + count * row].reshape(count, row)[:, ::step])
        for begin in (0, -missing % row)
    )
    # A band, the torn row, and the band behind it, as it stands and as it stood.
    apart = 1 + _BAND_ROWS
    before = here[:-apart]
    as_it_is = np.abs(before - here[apart:]).mean(axis=1)
    as_it_was = np.abs(before - there[apart:]).mean(axis=1)
    least = max(_LEAST_LEVELS, _MORE_THAN_USUAL * float(np.median(as_it_is)))
    torn = (as_it_is > least) & (as_it_was < as_it_is * _NEARER)
    return float((np.argmax(torn) + _BAND_ROWS) / layout.height_px) if torn.any() else 1.0


def _band_means(rows: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Return the mean of each row with those below it, as many as a band has."""
    sums = np.cumsum(rows, axis=0, dtype=np.float64)
    return np.asarray((sums[_BAND_ROWS:] - sums[:-_BAND_ROWS]) / _BAND_ROWS, np.float32)


def _noise_share(layout: TiffLayout, source: SourceBytes, start: int, size: int) -> float:
    """Return how many places hold noise, by the bytes that weigh most in their samples."""
    every = layout.bits // 8
    first = every - 1 if layout.order == "little" else 0
    count = min(_NOISE_PROBES, size // (_NOISE_BYTES * every))
    noisy = 0
    for number in range(count):
        at = number * (size // count) // every * every
        block = np.frombuffer(source.read_at(start + at, _NOISE_BYTES * every), np.uint8)
        block = block[first::every]
        bins = np.bincount(block, minlength=256)
        expected = len(block) / 256
        noisy += bool(len(block)) and float(((bins - expected) ** 2).sum()) / expected < _NOISE
    return noisy / max(1, count)


def _zero_share(layout: TiffLayout, source: SourceBytes, start: int, size: int) -> float:
    step = size // _PROBES
    zero = [
        not any(source.read_at(start + number * step, _PROBE_BYTES)) for number in range(_PROBES)
    ]
    lost = 0
    number = 0
    while number < _PROBES:
        first = number
        while number < _PROBES and zero[number]:
            number += 1
        if number - first > _PROBES * _LEAST_RUN:
            begin = _last_byte(source, start, (first - 1) * step, first * step) if first else 0
            end = _first_byte(source, start, (number - 1) * step, min(size, number * step + step))
            lost += _lost_run(layout, source, (start, size), (begin, end))
        number += 1
    return lost / size


def _last_byte(source: SourceBytes, start: int, low: int, high: int) -> int:
    """Return where the zeros before `high` begin."""
    found = np.flatnonzero(np.frombuffer(source.read_at(start + low, high - low), np.uint8))
    return low + int(found[-1]) + 1 if len(found) else low


def _first_byte(source: SourceBytes, start: int, low: int, high: int) -> int:
    """Return where the zeros from `low` end."""
    found = np.flatnonzero(np.frombuffer(source.read_at(start + low, high - low), np.uint8))
    return low + int(found[0]) if len(found) else high


def _lost_run(
    layout: TiffLayout, source: SourceBytes, within: tuple[int, int], run: tuple[int, int]
) -> int:
    """Return the bytes of a run of zeros which no picture has; 0 if one may have it.

    Args:
        layout: of the picture.
        source: the file.
        within: where the samples begin, and how many bytes they are.
        run: where it begins and ends in the samples.
    """
    start, size = within
    begin, end = run
    row = layout.row_bytes
    if (begin, end) == (0, size):
        return 0
    if begin and not (begin % row and _is_bright(layout, source, start + begin - row, row)):
        return 0
    if end < size and not (end % row and _is_bright(layout, source, start + end, row)):
        return 0
    for at in range(begin, end, _CHUNK_BYTES):
        if any(source.read_at(start + at, min(_CHUNK_BYTES, end - at)).lstrip(b"\0")[:1]):
            return 0
    return end - begin


#: Rows that are compared together: a picture's grain hides what it shows in one.
_BAND_ROWS: Final = 8
#: Places of a row that speak for it.
_ROW_SAMPLES: Final = 512
#: By how many levels bands around a gap differ at least, how much more than others do, and how near
#: they are when one of them is moved back.
_LEAST_LEVELS: Final = 2.0
_MORE_THAN_USUAL: Final = 1.5
_NEARER: Final = 0.5
#: Bytes of a run that are looked at together.
_CHUNK_BYTES: Final = 1024 * 1024


def _is_bright(layout: TiffLayout, source: SourceBytes, at: int, row: int) -> bool:
    """Tell whether a row's worth of pixels is hardly ever zero."""
    step = max(1, layout.row_bytes // (layout.tile_px[0] or layout.width_px))
    data = np.frombuffer(source.read_at(max(0, at), row), np.uint8)
    data = data[: len(data) // step * step].reshape(-1, step)
    return bool(len(data)) and float(data.any(axis=1).mean()) > _BRIGHT
