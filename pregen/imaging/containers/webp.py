"""The coded picture in a WebP, and what it is without its last bytes (RFC 9649, 2)."""

from __future__ import annotations

from typing import Final

_HEADER_BYTES: Final = 12
_CHUNK_BYTES: Final = 8
#: Of an animation: place, duration and flags of a frame, whose chunks follow.
_FRAME_BYTES: Final = 16
#: Nobody writes more before the first picture: a profile, alpha, chunks of other programs.
_MOST_CHUNKS: Final = 64
#: What is taken from a picture. Writers of VP8 fill up to four bytes, and libwebp looks as far
#: ahead. In lossless ones it forgives the last pixels, whose codes have 60 bits at most: four of 15
#: bits, or two with 28 bits more for length and distance (RFC 9649, 5.2).
_END_BYTES: Final = {b"VP8 ": 16, b"VP8L": 9}
_LEAST_BYTES: Final = 64


def without_end(data: bytes) -> bytes | None:
    """Return the first picture as a WebP of its own without its last bytes, and without alpha.

    Args:
        data: a whole WebP.

    Returns:
        None: there is no picture, or a tiny one.
    """
    at = _HEADER_BYTES
    for _ in range(_MOST_CHUNKS):
        kind = data[at : at + 4]
        size_bytes = int.from_bytes(data[at + 4 : at + _CHUNK_BYTES], "little")
        at += _CHUNK_BYTES
        if at + size_bytes > len(data):
            return None
        if kind == b"ANMF":
            at += _FRAME_BYTES
        elif kind in _END_BYTES:
            if size_bytes < _LEAST_BYTES:
                return None
            part = data[at : at + size_bytes - _END_BYTES[kind]]
            chunk = kind + len(part).to_bytes(4, "little") + part + bytes(len(part) % 2)
            return b"RIFF" + (4 + len(chunk)).to_bytes(4, "little") + b"WEBP" + chunk
        else:
            at += size_bytes + size_bytes % 2
    return None
