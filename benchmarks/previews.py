#!/usr/bin/env python3
"""What `--previews auto` uses, reads and saves, file by file.

    python -m benchmarks.previews PHOTOS

For each JPEG the best of several decodes for both flavors, in processor time, by the main picture
and with previews allowed, in turns; what of the file was read; which of the two was used.
"""

from __future__ import annotations

import argparse
import os
import time
from pathlib import Path
from typing import NamedTuple

from pregen.imaging import thumbnail
from pregen.model import Flavor

_FLAVORS = (Flavor.NORMAL, Flavor.LARGE)
_ROUNDS = 7
_MOST_PIXELS = 10**9


class Row(NamedTuple):
    """One file, one way."""

    cpu_ms: float
    bytes_read: int
    loader: str


def measure(fd: int, size_bytes: int) -> tuple[Row, Row]:
    """Decode both ways; return the best of each."""
    rows: tuple[list[Row], list[Row]] = ([], [])
    for _ in range(_ROUNDS):
        for way in (0, 1):
            began_s = time.process_time()
            made = thumbnail.make(
                fd, size_bytes, _FLAVORS, _MOST_PIXELS, lambda _size: None, previews=bool(way)
            )
            spent_ms = 1e3 * (time.process_time() - began_s)
            rows[way].append(Row(spent_ms, made.bytes_read, made.loader))
    return min(rows[0]), min(rows[1])


def main() -> None:
    """Print the table."""
    about, _blank, rest = (__doc__ or "").partition("\n\n")
    parser = argparse.ArgumentParser(
        prog="benchmarks.previews",
        description=about,
        epilog=rest,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("photos", type=Path)
    photos = parser.parse_args().photos
    used: list[tuple[Row, Row]] = []
    print(f"{'file':46}{'never':>10}{'read':>10}{'auto':>12}{'read':>10}  used")
    for path in sorted(photos.iterdir()):
        if path.suffix.lower() not in {".jpg", ".jpeg"}:
            continue
        fd = os.open(path, os.O_RDONLY)
        try:
            never, auto = measure(fd, path.stat().st_size)
        finally:
            os.close(fd)
        print(
            f"{path.name[:44]:46}{never.cpu_ms:7.1f} ms{never.bytes_read / 1e6:7.2f} MB"
            f"{auto.cpu_ms:9.1f} ms{auto.bytes_read / 1e6:7.2f} MB  {auto.loader}"
        )
        if auto.loader == "preview":
            used.append((never, auto))
    if used:
        ratio = sum(never.cpu_ms for never, _ in used) / sum(auto.cpu_ms for _, auto in used)
        less = sum(never.bytes_read for never, _ in used) / sum(auto.bytes_read for _, auto in used)
        print(
            f"{len(used)} by their previews: {ratio:.1f} x the images/s, {less:.1f} x fewer bytes"
        )


if __name__ == "__main__":
    main()
