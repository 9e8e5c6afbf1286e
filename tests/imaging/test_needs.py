"""What is read of a source before its turn is what its decode reads: all of it, and no more."""

from __future__ import annotations

import os
from functools import cache
from typing import TYPE_CHECKING

import numpy as np
import pylibjxl
import pytest
from PIL import Image

from pregen.imaging import needs, sniff, thumbnail
from pregen.imaging.source_bytes import SourceBytes
from pregen.model import Flavor
from tests.support.files import camera_jpegs, profiles, raws
from tests.support.files.heifs import heic
from tests.support.files.photo import photo
from tests.support.files.pictures import encode

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

BOTH = (Flavor.NORMAL, Flavor.LARGE)
EDGES_PX = (900, 600)


def grainy() -> Image.Image:
    """A photo that no format makes smaller than what is read to tell it."""
    noise = np.random.default_rng(1).integers(0, 80, (EDGES_PX[1], EDGES_PX[0], 3), np.uint8)
    return Image.fromarray(photo(*EDGES_PX, seed=3) // 2 + noise)


def resized(width_px: int) -> Image.Image:
    return grainy().resize((width_px, width_px * 2 // 3))


def with_ifd1(**options: object) -> bytes:
    main = encode(grainy(), "JPEG", quality=95, **options)
    return camera_jpegs.with_ifd1(main, encode(resized(300), "JPEG", quality=60))


#: By name: a file, and the share of it that is needed.
FILES: dict[str, tuple[Callable[[], bytes], float]] = {
    "JPEG": (lambda: encode(grainy(), "JPEG", quality=95), 1),
    "PNG": (lambda: encode(grainy(), "PNG"), 1),
    "WebP": (lambda: encode(grainy(), "WEBP", quality=95), 1),
    "AVIF": (lambda: encode(grainy(), "AVIF", quality=95, speed=10), 1),
    "TIFF": (lambda: encode(grainy(), "TIFF"), 1),
    "GIF": (lambda: encode(grainy(), "GIF"), 1),
    "BMP": (lambda: encode(grainy(), "BMP"), 1),
    "JP2": (lambda: encode(grainy(), "JPEG2000"), 1),
    "JXL": (lambda: pylibjxl.encode(np.asarray(grainy())), 1),
    "HEIC": (lambda: heic(grainy(), quality=95), 1),
    "HEIC with a thumbnail": (lambda: heic(grainy(), quality=95, thumbnails=[320]), 0.6),
    "HEIC with a small one": (lambda: heic(grainy(), quality=95, thumbnails=[160]), 1),
    "DNG": (lambda: raws.dng([resized(255), resized(600)]), 0.05),
    "CR3": (lambda: raws.cr3(resized(900)), 1),
    "RAF": (lambda: raws.raf(resized(900)), 1),
}
#: The same, where previews will do.
WITH_PREVIEWS: dict[str, tuple[Callable[[], bytes], float]] = {
    "a preview": (with_ifd1, 0.8),
    "no preview": (lambda: encode(grainy(), "JPEG", quality=95), 1),
    "a progressive one": (lambda: encode(grainy(), "JPEG", quality=95, progressive=True), 1),
    "a small preview": (
        lambda: camera_jpegs.with_ifd1(
            encode(grainy(), "JPEG", quality=95), encode(resized(120), "JPEG")
        ),
        1,
    ),
    "a preview of unknown colours": (lambda: with_ifd1(icc_profile=profiles.display_p3()), 1),
}


@cache
def made(name: str) -> bytes:
    return {**FILES, **WITH_PREVIEWS}[name][0]()


class Pieces:
    """A file of which some is in memory."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._begin = data[: sniff.HEAD_BYTES]
        self._pieces: dict[int, bytes] = {}
        self.missed: list[tuple[int, int]] = []

    @property
    def read_bytes(self) -> int:
        return len(self._begin) + sum(map(len, self._pieces.values()))

    def source(self) -> SourceBytes:
        return SourceBytes(-1, len(self._data), self._begin, self._fetch)

    def _fetch(self, offset: int, count: int) -> bytes:
        piece = self._data[offset : offset + count]
        if offset:
            self._pieces[offset] = piece
        else:
            self._begin = piece
        return piece

    def read(self, offset: int, count: int) -> bytes:
        known = self._pieces.get(offset, b"") if offset else self._begin
        piece = self._data[offset : offset + count]
        if len(piece) > len(known) and offset + len(piece) > len(self._begin):
            self.missed.append((offset, count))
        return piece


@pytest.mark.parametrize("name", [*FILES, *WITH_PREVIEWS])
def test_a_decode_finds_in_memory_what_was_read_before_its_turn(name: str, tmp_path: Path) -> None:
    data, previews = made(name), name in WITH_PREVIEWS
    needed = {**FILES, **WITH_PREVIEWS}[name][1]
    assert len(data) > sniff.HEAD_BYTES
    pieces = Pieces(data)
    needs.read(pieces.source(), Flavor.LARGE.box_px, previews=previews)
    assert pieces.read_bytes <= needed * len(data) + 2 * sniff.HEAD_BYTES
    (tmp_path / "source").write_bytes(data)
    fd = os.open(tmp_path / "source", os.O_RDONLY)
    try:
        shown = thumbnail.make(
            fd, len(data), BOTH, 10**9, lambda _: None, previews=previews, read=pieces.read
        )
    finally:
        os.close(fd)
    assert len(shown.pictures) == len(BOTH)
    assert not pieces.missed


@pytest.mark.parametrize("name", [*FILES, *WITH_PREVIEWS])
@pytest.mark.parametrize("seed", range(5))
def test_of_a_damaged_file_nothing_is_told(name: str, seed: int) -> None:
    """The decode will; and bytes that cannot be read end it."""
    data = bytearray(made(name))
    random = np.random.default_rng(seed)
    for at in random.integers(0, sniff.HEAD_BYTES, 400):
        data[at] = random.integers(0, 256)
    pieces = Pieces(bytes(data))
    needs.read(pieces.source(), Flavor.LARGE.box_px, previews=True)
    assert pieces.read_bytes <= 2 * len(data) + sniff.HEAD_BYTES


def test_what_no_library_here_reads_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    data = made("HEIC")
    monkeypatch.setattr(needs, "find_spec", lambda _name: None)
    pieces = Pieces(data)
    needs.read(pieces.source(), Flavor.LARGE.box_px)
    assert pieces.read_bytes == sniff.HEAD_BYTES
