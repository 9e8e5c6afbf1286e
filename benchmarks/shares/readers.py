"""Reads every file below a folder with so many threads, and does nothing with what it reads.

    python -m benchmarks.shares.readers THREADS FOLDER [inode]

In the order of names, or of inodes.
"""

from __future__ import annotations

import os
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

_CHUNK_BYTES = 1 << 17


def _read(path: Path) -> int:
    size_bytes = 0
    fd = os.open(path, os.O_RDONLY)
    try:
        while data := os.read(fd, _CHUNK_BYTES):
            size_bytes += len(data)
    finally:
        os.close(fd)
    return size_bytes


def main() -> None:
    """Read, and say how much that was."""
    threads, folder, *order = sys.argv[1:]
    paths = sorted(Path(top) / name for top, _, names in os.walk(folder) for name in names)
    if order == ["inode"]:
        paths.sort(key=lambda path: path.stat().st_ino)
    with ThreadPoolExecutor(int(threads)) as pool:
        print(sum(pool.map(_read, paths)))


if __name__ == "__main__":
    main()
