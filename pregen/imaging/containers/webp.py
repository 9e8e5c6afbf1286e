"""The first coded picture in a WebP, and what it is without its last bytes (RFC 9649, 2)."""

from __future__ import annotations

from typing import Final, NamedTuple

_HEADER_BYTES: Final = 12
_CHUNK_BYTES: Final = 8
#: Of an animation: place, duration and flags of a frame, whose chunks follow.
_FRAME_BYTES: Final = 16
#: Nobody writes more before the first picture: a profile, alpha, chunks of other programs.
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


class LosslessCodes(NamedTuple):
    """Codes of a lossless picture or of alpha, without a header."""

    data: bytes
    width_px: int
    height_px: int


class WebpPicture(NamedTuple):
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


def first_picture(data: bytes) -> WebpPicture | None:
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
            return WebpPicture(kind, body, alpha)
        if kind == b"ALPH":
            alpha = body
        at += size_bytes + size_bytes % 2
    return None
