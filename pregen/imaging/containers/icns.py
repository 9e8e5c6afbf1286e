"""Apple's icons: pictures of several sizes one after the other, the newer ones PNG or JPEG 2000.

A picture has a header of its own, which decoders believe instead of what its kind promises.
Reference: Apple, "Icon Services" (IconStorage.h), and Wikipedia, "Apple Icon Image format".
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pregen.imaging.source_bytes import DamagedError

if TYPE_CHECKING:
    from pregen.imaging.source_bytes import SourceBytes

_HEADER_BYTES: Final = 8
#: Apple's tools write about twelve.
_MOST_PICTURES: Final = 64
#: Kinds that hold a picture with a header of its own, the largest first.
_KINDS: Final = (
    b"ic10", b"ic14", b"ic09", b"ic13", b"ic08", b"ic07", b"icp6", b"ic12", b"icp5", b"ic11",
    b"icp4",
)  # fmt: skip
_BEGINNINGS: Final = (
    b"\x89PNG\r\n\x1a\n", b"\x00\x00\x00\x0cjP  ", b"\xff\x4f\xff\x51",
)  # fmt: skip
#: 1024 x 1024 pixels, not compressed at all.
_MOST_BYTES: Final = 8 * 1024 * 1024


def largest(source: SourceBytes) -> bytes | None:
    """Return the largest picture that has a header; None where there are only bare samples.

    Raises:
        DamagedError: there is no icon in it, or the largest one lies outside of the file.
        OSError: the file cannot be read.
    """
    at = _HEADER_BYTES
    found: dict[bytes, tuple[int, int]] = {}
    for _ in range(_MOST_PICTURES):
        header = source.read_at(at, _HEADER_BYTES)
        size_bytes = int.from_bytes(header[4:], "big")
        if len(header) < _HEADER_BYTES or size_bytes < _HEADER_BYTES:
            break
        found.setdefault(header[:4], (at + _HEADER_BYTES, size_bytes - _HEADER_BYTES))
        at += size_bytes
    if not found:
        raise DamagedError("its directory of icons is damaged")
    for kind in _KINDS:
        begin, size_bytes = found.get(kind, (0, 0))
        if not size_bytes:
            continue
        if size_bytes > _MOST_BYTES or begin + size_bytes > source.size_bytes:
            raise DamagedError("its icons lie outside of the file")
        data = source.read_at(begin, size_bytes)
        if data.startswith(_BEGINNINGS):
            return data
    return None
