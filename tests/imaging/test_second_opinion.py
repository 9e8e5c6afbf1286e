"""Another decoder agrees about sound files, and not about entries that show something else."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import numpy as np
import pytest

from pregen.imaging import review, second_opinion, sniff, thumbnail, witness_names
from pregen.imaging.faults import Fault
from pregen.imaging.pixels import stream
from pregen.model import Flavor
from pregen.thumbspec import pngbuild
from tests.support.files import colour_spaces, sound_files
from tests.support.judges.decoding import make, pixels_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from pregen.imaging.thumbnail import Thumbnails

    Rgba = NDArray[np.uint8]

#: Every format that has a decoder; one without a sample below fails.
_FORMATS = sorted({found.name for found in sniff.FORMATS if found.decoder})
#: A picture whose red and blue are nearer to its green than this has no colours to be wrong.
_COLOURFUL_LEVELS = 8.0
#: Formats that hold one plane only.
_COLOURLESS = frozenset({"fits", "xbm"})
#: What differs by less is no fault.
_SAME_LEVELS = 4.0


def _by_another(data: bytes) -> Thumbnails:
    fd = os.memfd_create("source")
    try:
        os.write(fd, data)
        return thumbnail.make_by_another(fd, len(data), (Flavor.LARGE,), 10**9, lambda _: None)
    finally:
        os.close(fd)


def _png(rgba: Rgba) -> bytes:
    height_px, width_px, _ = rgba.shape
    return pngbuild.assemble(width_px, height_px, b"", stream.compress(rgba))


def _white(rgba: Rgba) -> Rgba:
    return np.full_like(rgba, 255)


def _turned(rgba: Rgba) -> Rgba:
    return np.ascontiguousarray(rgba[::-1, ::-1])


def _samples_of(space: str) -> Callable[[Rgba], Rgba]:
    """Return what shows samples of another space as if they were sRGB's."""

    def shown(rgba: Rgba) -> Rgba:
        codes = colour_spaces.rgb(space).from_srgb(rgba[..., :3] / 255)
        wrong = np.clip(np.rint(codes * 255), 0, 255).astype(np.uint8)
        return np.concatenate([wrong, rgba[..., 3:]], axis=-1)

    return shown


_FAULTS = {
    "white": _white,
    "turned": _turned,
    **{space: _samples_of(space) for space in ("adobe", "p3", "prophoto", "linear")},
}


@pytest.fixture(scope="module")
def samples() -> dict[str, list[bytes]]:
    found = sound_files.by_format(with_corpus=False)
    # A cursor is an icon by another number.
    return found | {"cur": [b"\0\0\2\0" + data[4:] for data in found["ico"]]}


@pytest.mark.parametrize("name", _FORMATS)
def test_another_decoder_sees_what_is_wrong_with_an_entry_and_no_more(
    name: str, samples: dict[str, list[bytes]]
) -> None:
    judged = 0
    for data in samples[name]:
        try:
            made = make(data, (Flavor.LARGE,))
        except Fault:
            continue  # RAWs without a picture, made for the walkers alone
        if made.small:
            continue
        ours = pixels_of(made.pictures[Flavor.LARGE])
        found = _by_another(data)
        fresh = _png(pixels_of(found.pictures[Flavor.LARGE]))
        by, whole = witness_names.witness_in(found.loader)
        assert bool(by) or not second_opinion.witnesses_of(name, made.loader) or name in {
            "tiff", "psd", "ppm", "heic", "raw", "bmp", "jpeg", "pcx",
        }, (name, found.loader)  # fmt: skip
        assert review.difference(_png(ours), fresh, exact=whole) == "", (name, found.loader)
        colours = ours[..., :3].astype(float)
        strength = np.sqrt(np.mean((colours[..., [0, 2]] - colours[..., [1]]) ** 2))
        if strength < _COLOURFUL_LEVELS or not whole:
            continue
        judged += 1
        for fault, plant in _FAULTS.items():
            planted = plant(ours)
            if np.abs(planted.astype(int) - ours).mean() < _SAME_LEVELS:
                continue  # a drawing may look the same upside down
            words = review.difference(_png(planted), fresh, exact=True)
            assert words, (name, found.loader, fault)
    assert judged or name in _COLOURLESS, f"no sample of {name} in colours"


def test_every_format_has_witnesses_or_a_reason_for_none() -> None:
    for name in _FORMATS:
        others = second_opinion.witnesses_of(name, "")
        assert bool(others) != (name in second_opinion.ALONE), name


def test_a_decoder_is_no_witness_of_itself() -> None:
    for name in _FORMATS:
        for loader in ("pillow", "vips", "ffmpeg", "libraw"):
            assert loader not in second_opinion.witnesses_of(name, loader)
