"""A file without a name: blocks of bytes that do not fit in memory, written once and read back.

It is made with the first block, in a folder of the caller's choice, and gone with the process,
however that ends.
"""

from __future__ import annotations

import os
import tempfile

_LENGTH_BYTES = 4


class Spool:
    """Blocks one after the other; one that ends at a position is followed by one that begins there.

    Args:
        directory: where the file is to be. It has to exist when the first block is written.
    """

    def __init__(self, directory: bytes) -> None:
        self._directory = directory
        self._fd = -1
        self.end = 0
        """Where the next block goes: the bytes written so far."""

    def append(self, block: bytes) -> None:
        """Write a block of less than 4 GiB. Raises OSError; the blocks before it are unharmed."""
        if self._fd < 0:
            with tempfile.TemporaryFile(dir=self._directory, buffering=0) as file:
                self._fd = os.dup(file.fileno())
        rest = memoryview(len(block).to_bytes(_LENGTH_BYTES, "little") + block)
        position = self.end
        while rest:
            written = os.pwrite(self._fd, rest, position)
            position += written
            rest = rest[written:]
        self.end = position

    def read(self, position: int) -> tuple[bytes, int]:
        """Return the block that begins at `position`, which is before `end`, and where it ends."""
        start = position + _LENGTH_BYTES
        length = int.from_bytes(os.pread(self._fd, _LENGTH_BYTES, position), "little")
        return os.pread(self._fd, length, start), start + length

    def clear(self) -> None:
        """Give the space of all blocks back."""
        self.end = 0
        if self._fd >= 0:
            os.ftruncate(self._fd, 0)

    def close(self) -> None:
        """Drop the file."""
        self.end = 0
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1
