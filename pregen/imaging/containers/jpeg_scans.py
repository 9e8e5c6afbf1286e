"""A progressive JPEG reduced to the scans that a decode at 1/8 uses.

At 1/8 each block of 8 x 8 samples is one pixel: its DC coefficient. A progressive file holds all
DC in its first scans, some 7 % of its bytes. Colour that is
stored at half the resolution in both directions is decoded at 1/4, so its lowest AC coefficients
count as well; and where the first scans leave out the last bit of the DC, a later scan brings it.
What is put together here decodes to the same pixels as the whole file within a level or two.
Decodes nothing itself.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, NamedTuple

from pregen.imaging.containers import jpeg

if TYPE_CHECKING:
    from collections.abc import Iterator

_EOI_BYTES: Final = b"\xff\xd9"
#: What ends entropy-coded data: any marker but stuffed zeros, restarts and fill (T.81, B.1.1.5).
_NEXT_MARKER = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]")
_TABLE_ENTRIES: Final = 64
#: No bit of a coefficient is known; bits have smaller numbers.
_UNKNOWN: Final = 255
#: What precedes the components in a frame header: precision, height, width, their count.
_FRAME_BYTES: Final = 5
#: Identifier, sampling factors, quantisation table (T.81, B.2.2).
_COMPONENT_BYTES: Final = 3
#: A segment's length counts these two bytes as well.
_LENGTH_BYTES: Final = 2
#: Places in zigzag order of the AC coefficients that a decode at 1/4 uses, besides the DC.
_LOW_AC: Final = frozenset({1, 2, 4})
#: A place that neither scale uses. A zero quantiser there keeps libjpeg-turbo (2.1 and newer)
#: from smoothing over the coefficients left out, which takes twice the time and is less exact.
_UNUSED_AC: Final = 3
#: Lost bits of the DC that are not worth fetching: a DC coefficient counts eighths of a level.
_HALF_A_LEVEL: Final = 4


class Incomplete(Exception):  # noqa: N818 - an answer, not an error
    """The scans that are needed run past the data at hand."""


class _Component(NamedTuple):
    """One colour component of the frame."""

    identifier: int
    table: int
    halved: bool
    """Stored at half the resolution, or less, in both directions."""


class _Scan(NamedTuple):
    """One scan: `data[sos:end]`, with the tables for it from `begin` on."""

    begin: int
    sos: int
    end: int
    components: frozenset[int]
    first_place: int
    """Of the coefficients it holds, in zigzag order; 0 is the DC."""
    last_place: int
    refined_bit: int
    """The lowest bit known before, of which it brings the next; 0: it is the first."""
    low_bit: int
    """The lowest bit of the coefficients that is known after this scan."""


class _Needs:
    """What has still to be found, scan by scan."""

    def __init__(self, components: list[_Component], quantisers: dict[int, int]) -> None:
        self._dc = {component.identifier for component in components}
        self._low_ac = {
            (component.identifier, place)
            for component in components
            if component.halved
            for place in _LOW_AC
        }
        self._dc_quantiser = {c.identifier: quantisers.get(c.table, 255) for c in components}
        self._lost_bits = dict.fromkeys(self._dc, 0)
        self._low_bits = {
            component.identifier: bytearray([_UNKNOWN]) * _TABLE_ENTRIES for component in components
        }

    @property
    def dc_found(self) -> bool:
        """True when every component's DC is known, if not to its last bit."""
        return not self._dc

    def met(self) -> bool:
        """True when a decode at 1/8 needs no more."""
        return self.dc_found and not self._low_ac and not self._lost()

    def take(self, scan: _Scan) -> bool:
        """Note what a scan brings; tell whether it is wanted."""
        if not scan.components <= self._dc_quantiser.keys():
            raise ValueError("a scan of a component that the frame does not have")
        self._note(scan)
        if scan.first_place == 0:
            self._dc -= scan.components
            self._lost_bits |= dict.fromkeys(scan.components, scan.low_bit)
            return True
        brought = {
            (identifier, place)
            for identifier, place in self._low_ac
            if identifier in scan.components and scan.first_place <= place <= scan.last_place
        }
        if scan.refined_bit or not brought:
            return False
        self._low_ac -= brought
        return True

    def _note(self, scan: _Scan) -> None:
        """Note which bits are known of what it holds: bit by bit they come (T.81, G.1.1.1.1)."""
        places = slice(scan.first_place, scan.last_place + 1)
        count = scan.last_place - scan.first_place + 1
        for identifier in scan.components:
            known = self._low_bits[identifier]
            if known[places].count(scan.refined_bit or _UNKNOWN) != count:
                raise ValueError("a scan does not begin with the bits where the one before ended")
            known[places] = bytes([scan.low_bit]) * count

    def _lost(self) -> bool:
        return any(
            ((1 << bits) - 1) * self._dc_quantiser[identifier] > _HALF_A_LEVEL
            for identifier, bits in self._lost_bits.items()
        )


def reduced(data: bytes, head: jpeg.JpegHead) -> bytes:
    """Return a JPEG of the scans that a decode at 1/8 uses.

    Args:
        data: a progressive JPEG, or its beginning.
        head: what `jpeg.read` found in it.

    Raises:
        Incomplete: `data` ends before they do.
        ValueError: the file's scans are not those of a progressive JPEG.
    """
    needs = _needs(data)
    parts = [_without_smoothing(data[: head.scan_at])]
    for scan in _scans(data, head.scan_at):
        wanted = needs.take(scan)
        # Tables stay: a later scan may use what an unwanted one brought.
        parts.append(data[scan.begin : scan.end if wanted else scan.sos])
        if needs.met():
            break
    if not needs.met():
        raise ValueError("the file ends without all that a decode at 1/8 uses")
    return b"".join([*parts, _EOI_BYTES])


def shows_all_rows(data: bytes, head: jpeg.JpegHead) -> bool:
    """True when the DC of every block is there, so that a file cut short is a picture still."""
    try:
        needs = _needs(data)
        for scan in _scans(data, head.scan_at):
            needs.take(scan)
            if needs.dc_found:
                return True
    except (Incomplete, ValueError):
        pass
    return False


def _needs(data: bytes) -> _Needs:
    for marker, begin, end in jpeg.segments(data):
        if marker == jpeg.SOF2:
            body = data[begin:end]
            break
    else:
        raise ValueError("not a progressive JPEG")
    count = body[5] if len(body) > _FRAME_BYTES else 0
    fields = [body[6 + 3 * n : 9 + 3 * n] for n in range(count)]
    if not fields or len(fields[-1]) < _COMPONENT_BYTES:
        raise ValueError("the frame header is cut short")
    across = max(field[1] >> 4 for field in fields)
    down = max(field[1] & 15 for field in fields)
    components = [
        _Component(
            field[0], field[2], 2 * (field[1] >> 4) <= across and 2 * (field[1] & 15) <= down
        )
        for field in fields
    ]
    return _Needs(components, {table.number: table.dc for table in _tables(data)})


def _scans(data: bytes, at: int) -> Iterator[_Scan]:
    """Yield the scans from the first SOS at `at` on, until the end of the image."""
    begin = at
    while True:
        if at + 4 > len(data):
            raise Incomplete
        if not data.startswith(b"\xff", at):
            raise ValueError("a marker is missing")
        marker = data[at + 1]
        if marker == jpeg.EOI:
            return
        length = int.from_bytes(data[at + 2 : at + 4], "big")
        if length < _LENGTH_BYTES:
            raise ValueError("a segment without a length")
        if marker != jpeg.SOS:
            at += 2 + length
            continue
        after = _NEXT_MARKER.search(data, at + 2 + length)
        if after is None:
            raise Incomplete
        yield _scan(data[at + 4 : at + 2 + length], begin, at, after.start())
        begin = at = after.start()


def _scan(header: bytes, begin: int, sos: int, end: int) -> _Scan:
    """Read a scan header (T.81, B.2.3)."""
    count = header[0] if header else 0
    if not count or len(header) < 4 + 2 * count:
        raise ValueError("a scan header is cut short")
    first_place, last_place, bits = header[1 + 2 * count : 4 + 2 * count]
    return _Scan(
        begin, sos, end, frozenset(header[1 : 1 + 2 * count : 2]),
        first_place, last_place, refined_bit=bits >> 4, low_bit=bits & 15,
    )  # fmt: skip


class _Table(NamedTuple):
    """A quantisation table: `entry_bytes` each, from `begin` on."""

    number: int
    begin: int
    entry_bytes: int
    dc: int


def _tables(data: bytes) -> Iterator[_Table]:
    """Every quantisation table before the first scan (T.81, B.2.4.1)."""
    for marker, begin, end in jpeg.segments(data):
        at = begin
        while marker == jpeg.DQT and at < min(end, len(data)):
            entry_bytes = 2 if data[at] >> 4 else 1
            number = data[at] & 15
            at += 1
            yield _Table(
                number, at, entry_bytes, int.from_bytes(data[at : at + entry_bytes], "big")
            )
            at += _TABLE_ENTRIES * entry_bytes


def _without_smoothing(tables: bytes) -> bytes:
    """The segments before the first scan, with a zero quantiser where none is used."""
    changed = bytearray(tables)
    for table in _tables(tables):
        at = table.begin + _UNUSED_AC * table.entry_bytes
        if at + table.entry_bytes <= len(changed):
            changed[at : at + table.entry_bytes] = bytes(table.entry_bytes)
    return bytes(changed)
