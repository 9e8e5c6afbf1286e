"""The floor: libjpeg-turbo decodes every JPEG at the smallest useful scale, and nothing else.

No resize, no PNG, no file written, no name computed. No program that decodes with libjpeg-turbo
can be faster, so every other time is given as a multiple of this one. The scale is the smallest
of 1/8, 1/4, 1/2, 1 whose long edge still covers the largest box: for what a camera makes, 1/8 for
256 px, 1/4 for 512, 1/2 for 1024.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import simplejpeg

from benchmarks.peers import common

#: Denominators that libjpeg-turbo decodes fastest.
_SHRINKS = (8, 4, 2, 1)


def decode(path: str, box_px: int) -> None:
    """Decode a file so that it covers a box; make sure that the scale meant was the scale used."""
    data = Path(path).read_bytes()
    height_px, width_px, _colour, _sampling = simplejpeg.decode_jpeg_header(data, strict=False)
    shrink = next(s for s in _SHRINKS if s == 1 or max(height_px, width_px) >= s * box_px)
    pixels = simplejpeg.decode_jpeg(
        data, "RGB", min_height=height_px // shrink, min_width=width_px // shrink, strict=False
    )
    expected = (-(-height_px // shrink), -(-width_px // shrink), 3)
    if pixels.shape != expected:
        sys.exit(f"{path}: decoded to {pixels.shape}, not {expected}: this is not the floor")


def main() -> None:
    """Split the files over forked processes, one in N each, and wait for them."""
    asked = common.request()
    paths = list(common.files(asked.tree))
    children = []
    for worker in range(asked.workers):
        child = os.fork()
        if child == 0:
            for path in paths[worker :: asked.workers]:
                decode(path, max(asked.boxes_px.values()))
            os._exit(0)
        children.append(child)
    if any(os.waitpid(child, 0)[1] for child in children):
        sys.exit("a process of the floor failed")


if __name__ == "__main__":
    main()
