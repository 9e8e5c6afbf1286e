"""Thumbnails of bytes, as a worker makes them, and their pixels."""

from __future__ import annotations

import os
import subprocess
import sys
import zlib
from typing import TYPE_CHECKING, Any

import numpy as np

from pregen.imaging import thumbnail
from pregen.model import Flavor

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pregen.imaging.thumbnail import Picture, Thumbnails

BOTH = (Flavor.NORMAL, Flavor.LARGE)


def make(data: bytes, flavors: tuple[Flavor, ...] = BOTH, **options: Any) -> Thumbnails:
    """Thumbnail `data`. Raises what `thumbnail.make` raises."""
    settings: dict[str, Any] = {"max_pixels": 500_000_000, "ask": lambda _: None} | options
    fd = os.memfd_create("source")
    try:
        os.write(fd, data)
        return thumbnail.make(fd, len(data), flavors, **settings)
    finally:
        os.close(fd)


def pixels_of(picture: Picture) -> NDArray[np.uint8]:
    """Unfilter the IDAT data with nothing but zlib and the PNG standard (filter Sub)."""
    stride = 1 + picture.width_px * 4
    rows = np.frombuffer(zlib.decompress(picture.idat), np.uint8).reshape(-1, stride)
    samples = rows[:, 1:].reshape(picture.height_px, picture.width_px, 4)
    return np.cumsum(samples, axis=1, dtype=np.uint8)


def large(data: bytes) -> NDArray[np.uint8]:
    """Return the pixels of the `large` entry of a source."""
    return pixels_of(make(data).pictures[Flavor.LARGE])


def how_it_is_made(data: bytes) -> tuple[str, set[str]]:
    """Tell by what a source is decoded in a fresh process, and which libraries that imports."""
    ask = (
        "import os, sys\n"
        "from pregen.imaging import thumbnail\n"
        "from pregen.model import Flavor\n"
        "fd = os.memfd_create('x')\n"
        "size = os.write(fd, sys.stdin.buffer.read())\n"
        "made = thumbnail.make(fd, size, [Flavor.LARGE], 10**8, print)\n"
        "print(made.loader, *({'numpy', 'pyvips', 'PIL'} & set(sys.modules)))\n"
    )
    command = [sys.executable, "-c", ask]
    loader, *libraries = subprocess.check_output(command, input=data).decode().split()
    return loader, set(libraries)
