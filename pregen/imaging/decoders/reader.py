"""A source as a seekable file for libraries that pick what they need: PDF, video.

Blocks are kept for a while: such libraries come back to the same places, and a network share should
have to deliver each of them once. What goes wrong is remembered instead of raised, because an
exception gets lost in a library's C code.
"""

from __future__ import annotations

import io
import os
from collections import OrderedDict
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

    from pregen.imaging.decoders.base import Request

#: What FFmpeg reads at once by default; a round trip to a share costs more than the bytes.
BLOCK_BYTES = 32 * 1024
#: Four megabytes in all.
_KEPT_BLOCKS = 128
#: More than the keyframes of any camera, a few times over (a frame of uncompressed 8K has 100 MB).
LIMIT_BYTES = 512 * 1024 * 1024


class Reader(io.RawIOBase):
    """Reads a source by its descriptor; counts into `Request.bytes_read`.

    After an error, or past `limit_bytes`, the file seems to end: see `error` and `exhausted`.
    """

    def __init__(self, request: Request, limit_bytes: int = LIMIT_BYTES) -> None:
        super().__init__()
        self._request = request
        self._left_bytes = limit_bytes
        self._at = 0
        self._blocks: OrderedDict[int, bytes] = OrderedDict()
        head = request.head
        for at in range(0, len(head), BLOCK_BYTES):
            block = head[at : at + BLOCK_BYTES]
            if len(block) == BLOCK_BYTES or at + len(block) == request.size_bytes:
                self._blocks[at // BLOCK_BYTES] = block
        self.error: OSError | None = None
        """Why the file could not be read."""
        self.exhausted = False
        """More was asked for than may be read."""
        self.met_end = False
        """More was asked for than there is."""

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
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self._request.size_bytes}
        self._at = max(0, base[whence] + offset)
        return self._at

    def readinto(self, buffer: WriteableBuffer, /) -> int:
        """Fill a buffer as far as there is data; never fewer bytes than that."""
        view = memoryview(buffer).cast("B")
        filled = 0
        while filled < len(view):
            number, skip = divmod(self._at, BLOCK_BYTES)
            part = self._block(number)[skip : skip + len(view) - filled]
            if not part:
                self.met_end = True
                break
            view[filled : filled + len(part)] = part
            filled += len(part)
            self._at += len(part)
        return filled

    def read(self, size: int = -1, /) -> bytes:
        """Return as many bytes as asked for, fewer only at the end."""
        if size < 0:
            size = max(0, self._request.size_bytes - self._at)
        buffer = bytearray(min(size, max(0, self._request.size_bytes - self._at)))
        count = self.readinto(buffer)
        self.met_end = self.met_end or count < size
        return bytes(buffer[:count])

    def _block(self, number: int) -> bytes:
        if number in self._blocks:
            self._blocks.move_to_end(number)
            return self._blocks[number]
        if self.error or self._left_bytes <= 0 or number * BLOCK_BYTES >= self._request.size_bytes:
            self.exhausted = self.exhausted or self._left_bytes <= 0
            return b""
        try:
            data = self._request.read_at(number * BLOCK_BYTES, BLOCK_BYTES)
        except OSError as error:
            self.error = error
            return b""
        self._left_bytes -= len(data)
        self._blocks[number] = data
        if len(self._blocks) > _KEPT_BLOCKS:
            self._blocks.popitem(last=False)
        return data
