"""What pregen's decoders are compared with: Pillow, and the floor. For `pregen bench` only.

Both take an open JPEG and give times, not entries. A run never comes here.
"""

from __future__ import annotations

import io
import os
from time import perf_counter_ns
from typing import TYPE_CHECKING

import numpy as np
import simplejpeg
from PIL import Image, ImageOps

from pregen.imaging.containers import jpeg
from pregen.imaging.faults import InvalidPicture
from pregen.imaging.pixels import stream
from pregen.imaging.pixels.sizes import fit
from pregen.model import Stages

if TYPE_CHECKING:
    from collections.abc import Collection

    from pregen.model import Flavor

#: Scales at which libjpeg-turbo decodes fastest.
_SHRINKS = (8, 4, 2, 1)


def by_pillow(fd: int, size_bytes: int, flavors: Collection[Flavor]) -> Stages:
    """Make the picture of every flavor as good programs do with Pillow; return what it took.

    `draft` decodes at a reduced scale, Lanczos-3 does the rest, the orientation is applied;
    encoded as pregen does, so that decoders are what is compared. No colour management.

    Raises:
        InvalidPicture: Pillow refuses it.
    """
    begun_ns = perf_counter_ns()
    data = os.pread(fd, size_bytes, 0)
    read_ns = perf_counter_ns()
    box_px = max(flavor.box_px for flavor in flavors)
    try:
        with Image.open(io.BytesIO(data), formats=["JPEG"]) as opened:
            opened.draft("RGB", fit(*opened.size, box_px))
            opened.load()
            decoded_ns = perf_counter_ns()
            small = ImageOps.exif_transpose(opened).convert("RGB")
    except MemoryError:
        raise
    except Exception as error:  # Pillow's parsers raise anything
        raise InvalidPicture(str(error) or type(error).__name__) from error
    made = []
    for flavor in sorted(flavors, key=lambda flavor: flavor.box_px, reverse=True):
        small = small.resize(fit(*small.size, flavor.box_px), Image.Resampling.LANCZOS)
        made.append(small)
    resized_ns = perf_counter_ns()
    for picture in made:
        stream.compress(np.asarray(picture.convert("RGBA")))
    encoded_ns = perf_counter_ns()
    return Stages(
        read_ns - begun_ns, decoded_ns - read_ns, resized_ns - decoded_ns, encoded_ns - resized_ns
    )


def floor(fd: int, size_bytes: int, box_px: int) -> Stages:
    """Let libjpeg-turbo decode at the smallest scale that covers a box, and do nothing else.

    Raises:
        InvalidPicture: libjpeg-turbo refuses it.
    """
    begun_ns = perf_counter_ns()
    data = os.pread(fd, size_bytes, 0)
    read_ns = perf_counter_ns()
    try:
        height_px, width_px, _, _ = simplejpeg.decode_jpeg_header(data, strict=False)
        long_px = max(height_px, width_px)
        shrinks = _SHRINKS if jpeg.is_scalable(data) else ()
        shrink = next((n for n in shrinks if long_px // n >= box_px), 1)
        simplejpeg.decode_jpeg(
            data,
            "RGB",
            min_height=-(-height_px // shrink),
            min_width=-(-width_px // shrink),
            strict=False,
        )
    except ValueError as error:
        raise InvalidPicture(str(error)) from error
    return Stages(read_ns - begun_ns, perf_counter_ns() - read_ns)
