"""Decodes a JPEG 2000 codestream, and tells how much of what comes out is the picture.

A decoder makes coefficients of any bytes, so a damaged file becomes noise, and one that ends early
becomes grey, without a word. Three things are looked at:

*   A block of coefficients ends with its bytes. One that was damaged wants more, or less. OpenJPEG
    counts that where a file says that each of its blocks ends so that this can be told
    ("predictable termination"). All files are decoded as if they said so: it changes no pixel, and
    what sound blocks leave over has a small bound.
*   OpenJPEG refuses what contradicts itself, unless it is asked to go on.
*   What is missing at the end is filled with noise: where that changes the picture, it is missed.
    So are zeros, which are packets without content, where later packets are not found behind them.

The first decode of a sound file is the only one.
"""

from __future__ import annotations

import math
import random
import re
from collections import Counter
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from pregen.imaging.containers import jp2
from pregen.imaging.containers.jp2 import GridArea
from pregen.imaging.decoders import openjpeg
from pregen.imaging.decoders.openjpeg import Wish
from pregen.imaging.faults import ENOUGH_ROWS, Fault, InvalidPicture, TruncatedPicture

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pregen.imaging.containers.jp2 import Codestream, Jp2, TilePart
    from pregen.imaging.decoders.openjpeg import Components
    from pregen.imaging.source_bytes import ReadAt, SourceBytes

#: A damaged picture is looked at in so many windows by so many, a power of two, of at least the
#: edge of a block as all encoders have it: a smaller window costs as many blocks as that.
_WINDOWS: Final = 8
_LEAST_WINDOW: Final = 64
#: Samples that differ by less than this share of their range show the same.
_SAME: Final = 1 / 16
#: Of this many bytes noise is made, again and again.
_NOISE_BYTES: Final = 64 * 1024
#: Where the length of what is missing is not told.
_MISSING_BYTES: Final = 1024 * 1024
#: Noise without loss takes 1.14 times what its samples do.
_MOST_OF_SAMPLES: Final = 2
#: Sound files have up to 50 zeros together.
_ZEROS: Final = bytes(256)
_ZERO_RUN: Final = re.compile(rb"\0{256,}")
#: In so many places they are looked at; a file with more of them takes no more time.
_MOST_RUNS: Final = 64
#: What the blocks of sound files leave over, and want beyond their end. Of 128 files of a
#: collection most want nothing, the others up to 17 bytes.
_LEFT_BYTES: Final = 2
_WANTED_BYTES: Final = 20
#: OpenJPEG's own want so much, of which it does not tell.
_WANTED_OF_OPENJPEG_BYTES: Final = 2
#: Where a block has an end for each layer, and where a writer cuts all blocks short: FFmpeg's with
#: layers, by up to 136 bytes.
_WANTED_OF_LAYERS_BYTES: Final = 40
_WANTED_OF_SHORT_BYTES: Final = 150
#: An early OpenJPEG told lengths that are too large, and none that is too small. So many blocks
#: show the way of a writer.
_MANY: Final = 16
_BLOCK_BYTES: Final = 4 * 1024 * 1024
#: How much of the end of a tile is taken away: this part of it, and no less than that.
_CUT: Final = 16
_LEAST_CUT_BYTES: Final = 16


def decode(file: Jp2, source: SourceBytes, halvings: int) -> list[NDArray[np.int32]]:
    """Return each component's samples, rows x columns.

    Args:
        file: what the headers say.
        source: where it lies.
        halvings: how many of the largest resolutions are left out.

    Raises:
        Fault: OpenJPEG refuses it, or less than `ENOUGH_ROWS` of it is sound.
        MemoryError: there was not enough memory.
        OSError: the file cannot be read.
    """
    return _Reading(file, source, halvings).planes()


class _Reading:
    """One codestream at one resolution."""

    def __init__(self, file: Jp2, source: SourceBytes, halvings: int) -> None:
        self._codestream = file.codestream
        self._source = source
        self._begin = file.begin
        self._size_bytes = file.end - file.begin
        self._halvings = halvings
        self._bounds: tuple[float, float] = (_LEFT_BYTES, _WANTED_BYTES)
        self._parts: list[TilePart] = []
        self._zeros: list[tuple[int, int]] = []

    def planes(self) -> list[NDArray[np.int32]]:
        """See `decode`."""
        self._parts = list(jp2.tile_parts(self._read_at, self._codestream, self._size_bytes))
        try:
            found = self._decoded(strict=True)
        except InvalidPicture as fault:
            return self._rest(self._decoded(strict=False), fault)
        self._bounds = _bounds(found, self._codestream)
        self._zeros = self._unread_zeros()
        if not (self._is_uneven(found) or found.disorder or self._zeros or self._lost_tiles()):
            return found.planes
        return self._rest(found, None)

    def _rest(self, found: Components, fault: Fault | None) -> list[NDArray[np.int32]]:
        """Take what is there of a damaged picture, if that is most of it."""
        planes = found.planes
        if not self._codestream.halvings:
            # All of a component is one packet: where that is lost, no window differs from another.
            why = f" ({fault})" if fault is not None else ""
            raise InvalidPicture(f"its data is damaged, and it has one resolution only{why}")
        rows, columns = max((plane.shape for plane in planes), key=lambda shape: shape[0])
        lost = np.zeros((rows, columns), bool)
        for tile in self._lost_tiles():
            lost[self._place(self._codestream.area_of(tile), lost)] = True
        end = self._missing_end()
        early = end > self._size_bytes
        if early or self._zeros:
            lost |= self._changed_by_noise(planes, end, lost.shape)
        uneven = self._is_uneven(found)
        if uneven or fault is not None or early or self._zeros:
            self._look_through(lost, planes, self._codestream.grid, _WINDOWS, bad=uneven)
        share = 1 - float(lost.mean())
        if share >= ENOUGH_ROWS:
            return planes
        because = f" ({fault})" if fault is not None else ""
        text = f"{share:.0%} of the picture is present, {ENOUGH_ROWS:.0%} needed{because}"
        raise TruncatedPicture(text) if early else InvalidPicture(text)

    def _lost_tiles(self) -> list[int]:
        """Tiles of which a part, or all, is nowhere in the file."""
        across, down = self._codestream.tiles
        seen = Counter(part.tile for part in self._parts)
        told = {part.tile: part.of_parts for part in self._parts if part.of_parts}
        if len(seen) == across * down and all(seen[tile] >= told[tile] for tile in told):
            return []
        return [tile for tile in range(across * down) if seen[tile] < told.get(tile, 1)]

    def _missing_end(self) -> int:
        """Where the codestream would end, if it is told that it goes on past its end.

        A damaged length may tell of gigabytes, and no tile takes more bytes than its samples do.
        """
        if not self._parts:
            return self._size_bytes
        last = self._parts[-1]
        end = last.end
        if last.open_end and self._read_at(self._size_bytes - 2, 2) != jp2.END:
            end = self._size_bytes + _MISSING_BYTES
        most = last.begin + _MOST_OF_SAMPLES * self._codestream.samples_bytes(last.tile)
        return min(end, max(most, self._size_bytes))

    def _unread_zeros(self) -> list[tuple[int, int]]:
        """Return runs of zeros, as begin and end, behind which packets are not where they were.

        A zero is a packet in which nothing is, so it stands for less than what it replaced, and
        when all packets are read bytes are left over. Where the end of a tile is not missed when
        it is taken away, and not read.
        """
        runs: dict[int, list[tuple[int, int]]] = {}
        for part in self._parts:
            end = min(part.end, self._size_bytes)
            if more := _zero_runs(self._read_at, part.begin, end):
                runs.setdefault(part.tile, []).extend(more)
            if len(runs) >= _MOST_RUNS:
                break
        found = []
        for tile, of_tile in runs.items():
            if self._is_not_missed(tile, max(stop for _, stop in of_tile)):
                found += of_tile
        return found

    def _is_not_missed(self, tile: int, behind: int) -> bool:
        """Tell whether a tile is read without a complaint when its end is taken away.

        For that one sample of it is wanted: all packets are read, and hardly a block is decoded.
        """
        parts = [part for part in self._parts if part.tile == tile]
        last = parts[-1]
        end = min(last.end, self._size_bytes)
        kept = end - max(_LEAST_CUT_BYTES, (end - max(behind, last.begin)) // _CUT)
        if kept <= last.begin + jp2.PART_HEAD_BYTES:
            return False
        head = self._read_at(0, self._codestream.tiles_at)
        for part in parts[:-1]:
            head += self._read_at(part.begin, part.end - part.begin)
        open_at = len(head) + jp2.PART_LENGTH_AT
        head += self._read_at(last.begin, kept - last.begin)
        left, top, _, _ = self._codestream.area_of(tile)
        corner = GridArea(left, top, left + 1, top + 1)
        wish = Wish(self._codestream.halvings, corner, strict=False)
        try:
            found = openjpeg.decode(
                lambda at, count: head[at : at + count], len(head), wish,
                dict.fromkeys(range(open_at, open_at + 4), 0),
            )  # fmt: skip
        except InvalidPicture:
            return False
        return not found.disorder

    def _changed_by_noise(
        self, planes: list[NDArray[np.int32]], end: int, shape: tuple[int, int]
    ) -> NDArray[np.bool_]:
        """Tell where the picture depends on what is missing."""
        noise = _noise()

        def read_at(at: int, count: int) -> bytes:
            data = self._read_at(at, count)
            data += _part_of(noise, at + len(data), min(count, end - at) - len(data))
            for begin, stop in self._zeros:
                first, last = max(begin, at), min(stop, at + len(data))
                if first < last:
                    made = _part_of(noise, first, last - first)
                    data = data[: first - at] + made + data[last - at :]
            return data

        try:
            other = openjpeg.decode(read_at, end, Wish(self._halvings, None, strict=False))
        except InvalidPicture:
            return np.ones(shape, bool)
        changed = np.zeros(shape, bool)
        for component, one, two in zip(
            self._codestream.components, planes, other.planes, strict=True
        ):
            apart = np.empty(one.shape, bool)
            for row, (mine, theirs) in enumerate(zip(one, two, strict=True)):
                least = _SAME * (1 << component.depth.bits)
                apart[row] = np.abs(mine.astype(np.int64) - theirs) > least
            changed |= _stretched(apart, shape)
        return changed

    def _look_through(
        self,
        lost: NDArray[np.bool_],
        planes: list[NDArray[np.int32]],
        area: GridArea,
        windows: int,
        *,
        bad: bool,
    ) -> None:
        """Mark where an area has nothing, or blocks that do not end with their bytes.

        Each sample is decoded three times at most, and the blocks at the edges of windows with it.

        Args:
            lost: is added to.
            planes: of the whole picture.
            area: is looked through.
            windows: how often its edge may be divided.
            bad: there is a damaged block in it.
        """
        place = self._place(area, lost)
        if all(np.ptp(plane[self._place(area, plane)]) == 0 for plane in planes):
            lost[place] = True
        elif bad:
            parts = _quarters(area, lost[place].shape) if windows > 1 else []
            lost[place] |= not parts
            for part in parts:
                if lost.mean() > 1 - ENOUGH_ROWS:
                    return
                if not lost[self._place(part, lost)].all():
                    found = self._is_damaged(part)
                    self._look_through(lost, planes, part, windows // 2, bad=found)

    def _is_damaged(self, area: GridArea) -> bool:
        try:
            return self._is_uneven(self._decoded(strict=False, area=area))
        except InvalidPicture:
            return True

    def _is_uneven(self, found: Components) -> bool:
        """Tell whether there are blocks that do not end with their bytes."""
        left, wanted = self._bounds
        return max(found.left, default=0) > left or max(found.wanted, default=0) > wanted

    def _place(self, area: GridArea, plane: NDArray[Any]) -> tuple[slice, slice]:
        """Where an area of the grid lies in a plane."""
        left, top, right, bottom = self._codestream.grid
        rows, columns = plane.shape
        across, down = columns / (right - left), rows / (bottom - top)
        begin = int((area.left - left) * across), int((area.top - top) * down)
        end = int(np.ceil((area.right - left) * across)), int(np.ceil((area.bottom - top) * down))
        return slice(begin[1], end[1]), slice(begin[0], end[0])

    def _decoded(self, *, strict: bool, area: GridArea | None = None) -> Components:
        changes = {at: style | jp2.CHECKED_END for at, style in self._codestream.styles}
        wish = Wish(self._halvings, area, strict=strict)
        return openjpeg.decode(self._read_at, self._size_bytes, wish, changes)

    def _read_at(self, at: int, count: int) -> bytes:
        return self._source.read_at(self._begin + at, max(0, min(count, self._size_bytes - at)))


def _bounds(found: Components, codestream: Codestream) -> tuple[float, float]:
    """Return how many bytes the blocks of a picture may leave over, and want, by who wrote them."""
    if codestream.by_openjpeg:
        return 0, _WANTED_OF_OPENJPEG_BYTES
    left, wanted = _LEFT_BYTES, _WANTED_BYTES
    if codestream.layers > 1:
        many = found.wanted.total() >= _MANY
        wanted = _WANTED_OF_SHORT_BYTES if many else _WANTED_OF_LAYERS_BYTES
    if found.left.total() >= _MANY and not found.wanted:
        return math.inf, wanted
    return left, wanted


def _quarters(area: GridArea, shape: tuple[int, ...]) -> list[GridArea]:
    """Halve an area by its edges that are long enough, given in samples; none where none is."""
    left, top, right, bottom = area
    columns, rows = [left, right], [top, bottom]
    for edges, samples in ((rows, shape[0]), (columns, shape[1])):
        if samples >= 2 * _LEAST_WINDOW:
            edges.insert(1, (edges[0] + edges[1]) // 2)
    found = [
        GridArea(columns[x], rows[y], columns[x + 1], rows[y + 1])
        for y in range(len(rows) - 1)
        for x in range(len(columns) - 1)
    ]
    return found if len(found) > 1 else []


def _zero_runs(read_at: ReadAt, begin: int, end: int) -> list[tuple[int, int]]:
    """Return begin and end of runs of zeros longer than any of a sound file."""
    found: list[tuple[int, int]] = []
    for at in range(begin, end, _BLOCK_BYTES):
        data = read_at(at, min(_BLOCK_BYTES, end - at))
        if _ZEROS not in data:
            continue
        for run in _ZERO_RUN.finditer(data):
            first, last = at + run.start(), at + run.end()
            if found and found[-1][1] == first:
                first = found.pop()[0]
            found.append((first, last))
        if len(found) > _MOST_RUNS:
            break
    return found


def _part_of(noise: bytes, at: int, count: int) -> bytes:
    if count <= 0:
        return b""
    skip = at % len(noise)
    return (noise * ((skip + count) // len(noise) + 1))[skip : skip + count]


def _noise() -> bytes:
    """Bytes as headers of packets begin with where there is something in them, always the same."""
    return bytes(byte | 0x80 for byte in random.Random(0).randbytes(_NOISE_BYTES))  # noqa: S311 - no secret


def _stretched(mask: NDArray[np.bool_], shape: tuple[int, int]) -> NDArray[np.bool_]:
    if mask.shape == shape:
        return mask
    rows, columns = (
        np.arange(wanted) * have // wanted for wanted, have in zip(shape, mask.shape, strict=True)
    )
    found: NDArray[np.bool_] = mask[rows[:, None], columns]
    return found
