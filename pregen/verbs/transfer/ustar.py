"""Tar files, read and written as a stream: POSIX.1 ustar, and what others put into it. Pure.

Reads within bounds, also of a hostile stream: a member of any size that no archive of thumbnails
has ends the reading, and so does a header that the format does not know. Headers that only give
more facts of the next member (pax `x` and `g`, GNU `L` and `K`) are read as far as they are small,
and looked at for what would change where the next header is. Formats: POSIX.1-2017, pax; GNU tar
manual, Basic Tar Format; tar(5) of FreeBSD.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, BinaryIO, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

BLOCK_BYTES: Final = 512
#: What an archive ends with. One of the two will do.
END: Final = bytes(2 * BLOCK_BYTES)

#: More than the largest entry: a member of more is none, and is not read over either.
MOST_MEMBER_BYTES: Final = 16 << 20
#: What may be read over in one archive, beyond as much as is read of it. It costs nothing to write
#: where a file has holes.
MOST_PASSED_BYTES: Final = 256 << 20
#: Facts of one member: a path of PATH_MAX bytes, times and owners.
_MOST_FACTS_BYTES: Final = 64 << 10
#: Headers of facts before one member: pax, a long name and a long link.
_MOST_FACTS: Final = 4
_PORTION_BYTES: Final = 1 << 18

#: A number that is 0: owner and group.
_NOBODY: Final = b"0000000\0"
_ZEROS: Final = bytes(BLOCK_BYTES)
_NAME: Final = slice(0, 100)
_SIZE: Final = slice(124, 136)
_CHECK: Final = slice(148, 156)
_TYPE: Final = slice(156, 157)
_MAGIC: Final = slice(257, 263)
_PREFIX: Final = slice(345, 500)
#: POSIX, GNU, and before both.
_MAGICS: Final = (b"ustar\0", b"ustar ", bytes(6))
_OCTAL: Final = re.compile(rb" *([0-7]{1,12})[ \0]*")
#: A number of GNU's in base 256, positive or negative: of what no octal number can say.
_BASE_256: Final = 0x80
_FILES: Final = (b"0", b"\0")
_FOLDER: Final = b"5"
#: Links, devices, folders and FIFOs: no data follows, and their size means nothing.
_WITHOUT_DATA: Final = (b"1", b"2", b"3", b"4", b"5", b"6")
_FACTS: Final = (b"x", b"g", b"L", b"K", b"X")
_LONG_NAME: Final = b"L"
_PAX: Final = (b"x", b"g", b"X")
_PACKED: Final = (
    (b"\x1f\x8b", "gzip"),
    (b"BZh", "bzip2"),
    (b"\xfd7zXZ", "xz"),
    (b"(\xb5/\xfd", "zstd"),
)


class TarError(ValueError):
    """The stream cannot be read on; the message says why."""


class TarMember(NamedTuple):
    """A member of an archive."""

    name: str
    """As it stands there; bytes that are not UTF-8 as surrogates."""
    ordinary: bool
    """A plain file: no link, no device, nothing with holes."""
    folder: bool
    size_bytes: int
    """Of its data; 0 where none follows."""


class TarReader:
    """Reads an archive from front to back.

    Args:
        stream: Blocking; a short read is its end.
    """

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._left_bytes = 0
        self._padding_bytes = 0
        self._passed_bytes = 0
        self._begun = False

    def __iter__(self) -> Iterator[TarMember]:
        """Yield the members; what is not read of one is read over.

        Raises:
            TarError: This is no tar, or one that is damaged, cut off or beyond the bounds.
            OSError: The stream cannot be read.
        """
        while (member := self._next()) is not None:
            yield member
            self._pass_over(self._left_bytes)
            self._pass_over(self._padding_bytes)

    def read(self) -> bytes:
        """Return the data of the member that was yielded last, once.

        Raises:
            TarError: It is cut off.
            OSError: The stream cannot be read.
        """
        size_bytes, self._left_bytes = self._left_bytes, 0
        self._passed_bytes -= size_bytes
        return self._exactly(size_bytes)

    def _next(self) -> TarMember | None:
        long_name: bytes | None = None
        sparse = False
        for _ in range(_MOST_FACTS + 1):
            header = self._header()
            if header is None:
                return None
            kind = header[_TYPE]
            if kind not in _FACTS:
                return self._member(header, long_name, sparse=sparse)
            size_bytes = _number(header[_SIZE])
            if size_bytes > _MOST_FACTS_BYTES:
                raise TarError(f"a header of {size_bytes:,} bytes is not that of a thumbnail")
            facts = self._exactly(size_bytes)
            self._exactly(-size_bytes % BLOCK_BYTES)
            if kind == _LONG_NAME:
                long_name = facts.rstrip(b"\0")
            elif kind in _PAX:
                said = _pax(facts)
                long_name = said.get(b"path", long_name)
                sparse = sparse or any(key.startswith(b"GNU.sparse") for key in said)
        raise TarError(f"more than {_MOST_FACTS} headers describe one member")

    def _header(self) -> bytes | None:
        """Return the next header; None: the archive ends here."""
        block = self._stream.read(BLOCK_BYTES)
        packed = next((name for start, name in _PACKED if block.startswith(start)), "")
        if packed and not self._begun:
            raise TarError(f"it is compressed by {packed}: unpack it first")
        if len(block) < BLOCK_BYTES:
            raise TarError("it is cut off" if self._begun or not block else "it is not a tar file")
        if block == _ZEROS:
            return None
        found = _OCTAL.fullmatch(block[_CHECK])
        # The check counts its own field as blanks.
        total = sum(block) - sum(block[_CHECK]) + 8 * 0x20
        if found is None or int(found[1], 8) != total or block[_MAGIC] not in _MAGICS:
            raise TarError("a header is damaged" if self._begun else "it is not a tar file")
        self._begun = True
        return block

    def _member(self, header: bytes, long_name: bytes | None, *, sparse: bool) -> TarMember:
        kind = header[_TYPE]
        if kind == b"S":  # more headers may follow, as many as it likes
            raise TarError("it holds a file with holes (GNU sparse)")
        size_bytes = 0 if kind in _WITHOUT_DATA else _number(header[_SIZE])
        if size_bytes > MOST_MEMBER_BYTES:
            raise TarError(f"a member of {size_bytes:,} bytes is not that of a thumbnail")
        self._left_bytes, self._padding_bytes = size_bytes, -size_bytes % BLOCK_BYTES
        name = header[_NAME].partition(b"\0")[0]
        prefix = header[_PREFIX].partition(b"\0")[0] if header[_MAGIC] == _MAGICS[0] else b""
        whole = long_name if long_name is not None else b"/".join(filter(None, (prefix, name)))
        text = whole.decode("utf-8", "surrogateescape")
        return TarMember(text, kind in _FILES and not sparse, kind == _FOLDER, size_bytes)

    def _pass_over(self, size_bytes: int) -> None:
        self._passed_bytes += size_bytes
        if self._passed_bytes > MOST_PASSED_BYTES:
            raise TarError("most of it is not thumbnails")
        while size_bytes:
            size_bytes -= len(self._exactly(min(size_bytes, _PORTION_BYTES)))

    def _exactly(self, size_bytes: int) -> bytes:
        data = self._stream.read(size_bytes) if size_bytes else b""
        if len(data) < size_bytes:
            raise TarError("it is cut off")
        return data


def _number(field: bytes) -> int:
    """Return a size, which is octal.

    Raises:
        TarError: It is no number, or one of GNU's for more than 8 GB, or for less than nothing.
    """
    if field[0] & _BASE_256:
        raise TarError("a member has a size that no thumbnail has")
    found = _OCTAL.fullmatch(field)
    if found is None:
        raise TarError("a header is damaged")
    return int(found[1], 8)


def _pax(facts: bytes) -> dict[bytes, bytes]:
    """Return the records of a pax header, each of which begins with its own length.

    Raises:
        TarError: They are damaged, or one gives the next member another size than its own header:
            only files of more than 8 GB need that.
    """
    said: dict[bytes, bytes] = {}
    at = 0
    while at < len(facts):
        space = facts.find(b" ", at, at + 6)
        digits = facts[at:space] if space > at else b""
        end = at + int(digits) if digits.isdigit() else at
        key, equals, value = facts[space + 1 : end - 1].partition(b"=")
        if not at < space < end <= len(facts) or facts[end - 1 : end] != b"\n" or not equals:
            raise TarError("a header is damaged")
        said[key] = value
        at = end
    if b"size" in said:
        raise TarError("a member has a size that no thumbnail has")
    return said


def header(name: str, size_bytes: int, mtime_s: int) -> bytes:
    """Return the header of a plain file that no user of the other machine owns.

    Args:
        name: ASCII, at most 100 characters.
        size_bytes: Of the data, which follows, filled up to whole blocks.
        mtime_s: Since 1970.
    """
    block = b"".join(
        (
            name.encode("ascii").ljust(100, b"\0"),
            b"0000600\0",
            _NOBODY * 2,
            b"%011o\0" % size_bytes,
            b"%011o\0" % max(0, min(mtime_s, 8**11 - 1)),
            b" " * 8,
            b"0".ljust(101, b"\0"),
            b"ustar\0",
            b"00".ljust(249, b"\0"),
        )
    )
    return b"%b%06o\0 %b" % (block[: _CHECK.start], sum(block), block[_CHECK.stop :])
