"""The chunks of a WebP (RFC 9649, 2): what it is, its coded picture, and where that ends. Pure."""

from __future__ import annotations

from typing import Final, NamedTuple

from pregen.imaging.containers import tiff

_HEADER_BYTES: Final = 12
_CHUNK_BYTES: Final = 8
#: Of an animation: place, duration and flags of a frame, whose chunks follow.
_FRAME_BYTES: Final = 16
#: Encoders write no more: a profile, alpha, the picture, metadata, chunks of other programs.
_MOST_CHUNKS: Final = 64
LOSSY, LOSSLESS = b"VP8 ", b"VP8L"
#: What is taken from a picture at least. Of 230 sound lossy ones of many writers none decodes with
#: five bytes less: writers of VP8 fill up to four. In lossless ones libwebp
#: forgives the last pixels, whose codes have 60 bits at most: four of 15 bits, or two with 28 bits
#: more for length and distance (RFC 9649, 5.2).
_END_BYTES: Final = {LOSSY: 5, LOSSLESS: 9}
_LEAST_BYTES: Final = 64
#: Of a lossless picture: what it is, its edges and flags (3). Of a lossy one: edges in 14 bits each
#: (RFC 6386, 9.1). Of alpha: how it is packed.
_LOSSLESS_HEADER_BYTES: Final = 5
_LOSSY_EDGES_AT: Final = 6
_TAG_BYTES: Final = 3
_SIZE_AT_BIT: Final = 5
_LOSSY_HEADER_BYTES: Final = 10
_EDGE: Final = 0x3FFF
_PACKING: Final = 3
_PACKED: Final = 1

#: Flags of the chunk VP8X.
_ANIMATION, _EXIF, _ALPHA, _PROFILE = 0x02, 0x08, 0x10, 0x20
_EXTENDED_BYTES: Final = 10
#: What some writers put before the metadata.
_EXIF_NAME: Final = b"Exif\0\0"


class WebpHead(NamedTuple):
    """What the chunks of a WebP of one picture say."""

    width_px: int
    height_px: int
    lossless: bool
    alpha: bool
    """It may be transparent."""
    begin: int
    """Where the coded picture begins, in bytes from the beginning of the file."""
    end: int
    """Where it ends."""
    spare: int
    """So many bytes before that a decoder needs: without them it has to wait for more. 0 where
    the picture is too short to tell."""
    orientation: int
    """EXIF's, 1 to 8."""
    profile: bytes
    """ICC; empty where there is none."""


class _RiffChunk(NamedTuple):
    kind: bytes
    begin: int
    end: int


def read(data: bytes) -> WebpHead | None:
    """Return what a whole WebP is; None for animations, and for what is damaged or unusual."""
    chunks = _chunks(data)
    pictures = [chunk for chunk in chunks if chunk.kind in _END_BYTES]
    if len(pictures) != 1:
        return None
    picture = pictures[0]
    coded = _coded(picture.kind, data[picture.begin : picture.begin + _CODED_BYTES])
    if coded is None:
        return None
    width_px, height_px, alpha = coded
    flags = _ALPHA * alpha
    if chunks[0].kind == b"VP8X":
        extended = data[chunks[0].begin : chunks[0].end]
        if len(extended) < _EXTENDED_BYTES:
            return None
        flags = extended[0]
        size = (_uint24(extended, 4) + 1, _uint24(extended, 7) + 1)
        alpha = alpha or any(chunk.kind == b"ALPH" for chunk in chunks)
        if flags & _ANIMATION or size != (width_px, height_px) or (alpha and not flags & _ALPHA):
            return None
    elif chunks[0] is not picture:
        return None
    size_bytes = picture.end - picture.begin
    return WebpHead(
        width_px,
        height_px,
        picture.kind == LOSSLESS,
        bool(flags & _ALPHA),
        picture.begin,
        picture.end,
        _END_BYTES[picture.kind] if size_bytes >= _LEAST_BYTES else 0,
        tiff.orientation(_metadata(data, chunks, b"EXIF", flags & _EXIF).removeprefix(_EXIF_NAME)),
        _metadata(data, chunks, b"ICCP", flags & _PROFILE),
    )


def _chunks(data: bytes) -> list[_RiffChunk]:
    """Return the chunks of the file, no more than `_MOST_CHUNKS`; none where one is cut off."""
    found: list[_RiffChunk] = []
    at, end = _HEADER_BYTES, _CHUNK_BYTES + int.from_bytes(data[4:8], "little")
    if end > len(data):
        return []
    while at + _CHUNK_BYTES <= end and len(found) < _MOST_CHUNKS:
        begin = at + _CHUNK_BYTES
        size_bytes = int.from_bytes(data[at + 4 : begin], "little")
        if begin + size_bytes > end:
            return []
        found.append(_RiffChunk(data[at : at + 4], begin, begin + size_bytes))
        at = begin + size_bytes + size_bytes % 2
    return found


def _metadata(data: bytes, chunks: list[_RiffChunk], kind: bytes, wanted: int) -> bytes:
    found = [chunk for chunk in chunks if wanted and chunk.kind == kind]
    return data[found[0].begin : found[0].end] if found else b""


#: How much of a coded picture tells its size.
_CODED_BYTES: Final = 10
_VP8_START: Final = b"\x9d\x01\x2a"
_VP8L_START: Final = 0x2F


def _coded(kind: bytes, start: bytes) -> tuple[int, int, bool] | None:
    """Return width and height in pixels and alpha, by the header of VP8 (RFC 6386, 9.1) or VP8L."""
    if len(start) < _CODED_BYTES:
        return None
    if kind == LOSSY:
        if start[0] & 1 or start[3:6] != _VP8_START:
            return None
        size = int.from_bytes(start[6:8], "little"), int.from_bytes(start[8:10], "little")
        return size[0] & 0x3FFF, size[1] & 0x3FFF, False
    bits = int.from_bytes(start[1:5], "little")
    if start[0] != _VP8L_START or bits >> 29:
        return None
    return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1, bool(bits >> 28 & 1)


def _uint24(data: bytes, at: int) -> int:
    return int.from_bytes(data[at : at + 3], "little")


class LosslessCodes(NamedTuple):
    """Codes of a lossless picture or of alpha, without a header."""

    data: bytes
    width_px: int
    height_px: int


class CodedWebp(NamedTuple):
    """A coded picture as its chunks have it."""

    kind: bytes
    data: bytes
    alpha: bytes
    """Of a lossy one; empty where it has none."""

    @property
    def lossless(self) -> LosslessCodes | None:
        """The codes of a lossless picture, or of the alpha of a lossy one if they are of that kind.

        None: there are none.
        """
        data = self.data
        if self.kind == LOSSLESS and len(data) > _LOSSLESS_HEADER_BYTES:
            edges = int.from_bytes(data[1:_LOSSLESS_HEADER_BYTES], "little")
            codes = data[_LOSSLESS_HEADER_BYTES:]
            return LosslessCodes(codes, (edges & _EDGE) + 1, (edges >> 14 & _EDGE) + 1)
        if not self.alpha or self.alpha[0] & _PACKING != _PACKED or len(data) < _LOSSY_HEADER_BYTES:
            return None
        at = _LOSSY_EDGES_AT
        width_px, height_px = (
            int.from_bytes(data[n : n + 2], "little") & _EDGE for n in (at, at + 2)
        )
        return LosslessCodes(self.alpha[1:], width_px, height_px)

    def without_end(self) -> bytes | None:
        """Return the picture as a WebP of its own without its last bytes, and without alpha.

        None: it is tiny.
        """
        if len(self.data) < _LEAST_BYTES:
            return None
        part = self.data[: -_END_BYTES[self.kind]]
        if len(part) % 2 and self.kind == LOSSY:
            # libwebp would take what fills up an odd chunk for codes. A byte more at the end of the
            # first partition, of which the header tells the size, is one that it does not read.
            tag = int.from_bytes(part[:_TAG_BYTES], "little")
            end = _LOSSY_HEADER_BYTES + (tag >> _SIZE_AT_BIT)
            longer = (tag + (1 << _SIZE_AT_BIT)) & 0xFFFFFF
            part = longer.to_bytes(_TAG_BYTES, "little") + part[_TAG_BYTES:end] + b"\0" + part[end:]
        chunk = self.kind + len(part).to_bytes(4, "little") + part + bytes(len(part) % 2)
        return b"RIFF" + (4 + len(chunk)).to_bytes(4, "little") + b"WEBP" + chunk


def first_picture(data: bytes) -> CodedWebp | None:
    """Return the first picture of a whole WebP; None where there is none, or not all of it."""
    at, alpha = _HEADER_BYTES, b""
    for _ in range(_MOST_CHUNKS):
        kind = data[at : at + 4]
        size_bytes = int.from_bytes(data[at + 4 : at + _CHUNK_BYTES], "little")
        at += _CHUNK_BYTES
        if at + size_bytes > len(data):
            return None
        if kind == b"ANMF":
            at += _FRAME_BYTES
            continue
        body = data[at : at + size_bytes]
        if kind in _END_BYTES:
            return CodedWebp(kind, body, alpha)
        if kind == b"ALPH":
            alpha = body
        at += size_bytes + size_bytes % 2
    return None
