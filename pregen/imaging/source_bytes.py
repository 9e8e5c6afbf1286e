"""The bytes of a source: read once and within bounds, counted, and told by a fingerprint.

`first` and `whole` read a file from its beginning, `read_at` anywhere. `piece` is for structures
that point to one another (directories, boxes, segments): it reads in blocks, only what the file
holds, and not without end. `as_file` is for libraries that pick what they need.

The fingerprint in an entry lists what was read and in which portions, so the sizes of blocks are
part of what is written: to change one makes other entries of the same pictures.
"""

from __future__ import annotations

import io
import os
from collections import OrderedDict
from collections.abc import Callable
from typing import TYPE_CHECKING, Final, Literal

from pregen.thumbspec.fingerprint import ReadRanges

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

ReadAt = Callable[[int, int], bytes]
"""Offset and count -> bytes, fewer at the end of the file."""
ByteOrder = Literal["little", "big"]

#: Files up to this size are read in one piece, which is the fewest reads on a network share;
#: larger ones are streamed, so that no worker's memory grows with its sources.
WHOLE_FILE_BYTES: Final = 64 * 1024 * 1024
#: No structure that is read as one piece is larger: the tile offsets of a 100 Mpx DNG take 6 KB.
MAX_PIECE_BYTES: Final = 64 * 1024
#: A round trip to a share costs more than the bytes; a few directories lie together.
_PIECE_BLOCK_BYTES: Final = 8 * 1024
#: Half a megabyte. The fullest real RAW at hand (a CR3) needs eight blocks behind its head.
_MAX_PIECE_BLOCKS: Final = 64
#: What FFmpeg reads at once by default.
_FILE_BLOCK_BYTES: Final = 32 * 1024
#: Four megabytes in all.
_KEPT_FILE_BLOCKS: Final = 128
#: More than the keyframes of any camera, a few times over (a frame of uncompressed 8K has 100 MB).
MAX_FILE_BYTES: Final = 512 * 1024 * 1024


class DamagedError(Exception):
    """A container contradicts itself, or is not of the kind it seemed; the message says where."""


class EndsEarlyError(DamagedError):
    """What a container says is there lies past the end of the file."""


class SourceBytes:
    """An open file and what was read of it so far."""

    def __init__(self, fd: int, size_bytes: int, head: bytes, read: ReadAt | None = None) -> None:
        """Take a descriptor and the first bytes, which the caller has read; -1 where they are all.

        Args:
            fd: its position does not matter.
            size_bytes: of the file.
            head: at least `sniff.HEAD_BYTES`, or all of a shorter file.
            read: reads the same file, where some of it is in memory already (`readers`).
        """
        self._fd = fd
        self._read = read
        self.size_bytes = size_bytes
        self.head = head
        """The first bytes, as many as are known."""
        self.bytes_read = len(head)
        """For the record: what a network share had to deliver."""
        self._ranges = ReadRanges()
        self._all_known = True
        self._blocks: dict[int, bytes] = {}

    @classmethod
    def of(cls, data: bytes) -> SourceBytes:
        """Return bytes in memory as a source."""
        return cls(-1, len(data), data)

    @property
    def fd(self) -> int:
        """For libraries that read by themselves: what they look at is not known then."""
        self._all_known = False
        return self._fd

    @property
    def fingerprint(self) -> str:
        """What was looked at, so far; empty where that is not known (`thumbspec.fingerprint`)."""
        return self._ranges.fingerprint(self.head) if self._all_known else ""

    def whole(self) -> bytes:
        """All bytes of the source, in one read if the kernel allows."""
        return self.first(self.size_bytes)

    def first(self, count: int) -> bytes:
        """At least the first `count` bytes, or all there are.

        What is known already is read again: copying 64 KiB from the kernel costs less than
        joining megabytes.
        """
        count = min(count, self.size_bytes)
        if len(self.head) < count:
            data = self._pread(0, count)
            self.bytes_read += len(data) - len(self.head)
            self.head = data
        return self.head

    def read_at(self, offset: int, count: int) -> bytes:
        """`count` bytes from anywhere, fewer at the end of the file.

        Raises:
            OSError: the file cannot be read.
        """
        end = min(offset + count, self.size_bytes)
        if offset >= 0 and end <= len(self.head):
            return self.head[offset:end]
        return self._fetch(offset, end - offset) if 0 <= offset < end else b""

    def piece(self, offset: int, count: int) -> bytes:
        """Exactly `count` bytes of a structure, at most `MAX_PIECE_BYTES`.

        Raises:
            DamagedError: the file does not hold them, or too much of it was read already.
            OSError: the file cannot be read.
        """
        end = offset + count
        if 0 <= offset <= end <= len(self.head):
            return self.head[offset:end]
        if offset < 0 or not 0 <= count <= MAX_PIECE_BYTES or end > self.size_bytes:
            raise DamagedError("it points outside of the file")
        first, last = offset // _PIECE_BLOCK_BYTES, (end - 1) // _PIECE_BLOCK_BYTES
        data = b"".join(self._block(number) for number in range(first, last + 1))
        start = offset - first * _PIECE_BLOCK_BYTES
        if len(data) < start + count:
            raise DamagedError("the file became shorter")
        return data[start : start + count]

    def uint(self, offset: int, count: int, order: ByteOrder = "big") -> int:
        """Return an unsigned number of `count` bytes. Raises as `piece`."""
        return int.from_bytes(self.piece(offset, count), order)

    def as_file(self) -> SourceStream:
        """Return a seekable file for libraries that pick what they need: PDF, video."""
        return SourceStream(self)

    def _block(self, number: int) -> bytes:
        block = self._blocks.get(number)
        if block is None:
            if len(self._blocks) >= _MAX_PIECE_BLOCKS:
                raise DamagedError("its structures never end")
            block = self.read_at(number * _PIECE_BLOCK_BYTES, _PIECE_BLOCK_BYTES)
            self._blocks[number] = block
        return block

    def _fetch(self, offset: int, count: int) -> bytes:
        """Read, and note what and how much."""
        data = self._pread(offset, count)
        self.bytes_read += len(data)
        self._ranges.add(offset, data)
        return data

    def _pread(self, offset: int, count: int) -> bytes:
        if self._read is not None:
            return self._read(offset, count)
        data = os.pread(self._fd, count, offset)
        while len(data) < count and (
            more := os.pread(self._fd, count - len(data), offset + len(data))
        ):
            data += more
        return data


class SourceStream(io.RawIOBase):
    """A source as a file that is read in blocks, of which the last ones are kept.

    Libraries come back to the same places, and a network share should have to deliver each of them
    once. What goes wrong is remembered instead of raised, because an exception gets lost in a
    library's C code: after an error, or past `MAX_FILE_BYTES`, the file seems to end.
    """

    def __init__(self, source: SourceBytes) -> None:
        super().__init__()
        self._source = source
        self._size_bytes = source.size_bytes
        self._left_bytes = MAX_FILE_BYTES
        self._at = 0
        self._blocks: OrderedDict[int, bytes] = OrderedDict()
        head = source.head
        for at in range(0, len(head), _FILE_BLOCK_BYTES):
            block = head[at : at + _FILE_BLOCK_BYTES]
            if len(block) == _FILE_BLOCK_BYTES or at + len(block) == self._size_bytes:
                self._blocks[at // _FILE_BLOCK_BYTES] = block
        self.error: OSError | None = None
        """Why the file could not be read."""
        self.exhausted = False
        """More was asked for than may be read."""

    def readable(self) -> bool:
        """Return True: it can be read."""
        return True

    def seekable(self) -> bool:
        """Return True: it can be read from anywhere."""
        return True

    def tell(self) -> int:
        """Return the position."""
        return self._at

    def seek(self, offset: int, whence: int = os.SEEK_SET, /) -> int:
        """Move and return the position; one before the beginning is the beginning."""
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self._size_bytes}[whence]
        self._at = max(0, base + offset)
        return self._at

    def readinto(self, buffer: WriteableBuffer, /) -> int:
        """Fill a buffer as far as there is data; never fewer bytes than that."""
        view = memoryview(buffer).cast("B")
        filled = 0
        while filled < len(view):
            number, skip = divmod(self._at, _FILE_BLOCK_BYTES)
            part = self._block(number)[skip : skip + len(view) - filled]
            if not part:
                break
            view[filled : filled + len(part)] = part
            filled += len(part)
            self._at += len(part)
        return filled

    def read(self, size: int = -1, /) -> bytes:
        """Return as many bytes as asked for, fewer only at the end."""
        left = max(0, self._size_bytes - self._at)
        buffer = bytearray(left if size < 0 else min(size, left))
        return bytes(buffer[: self.readinto(buffer)])

    def read_at(self, offset: int, count: int) -> bytes:
        """Return bytes from anywhere, fewer at the end (a `ReadAt`)."""
        self.seek(offset)
        return self.read(count)

    def _block(self, number: int) -> bytes:
        if number in self._blocks:
            self._blocks.move_to_end(number)
            return self._blocks[number]
        at = number * _FILE_BLOCK_BYTES
        if self.error or self._left_bytes <= 0 or at >= self._size_bytes:
            self.exhausted = self.exhausted or self._left_bytes <= 0
            return b""
        try:
            # A block of the head that was let go is read again, and told by the fingerprint.
            data = self._source._fetch(at, min(_FILE_BLOCK_BYTES, self._size_bytes - at))  # noqa: SLF001 - of this module
        except OSError as error:
            self.error = error
            return b""
        self._left_bytes -= len(data)
        self._blocks[number] = data
        if len(self._blocks) > _KEPT_FILE_BLOCKS:
            self._blocks.popitem(last=False)
        return data
