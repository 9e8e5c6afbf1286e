"""What is suspicious is decoded once more, by another library, before it is stored or refused."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image

from pregen.config import Decoder
from pregen.imaging import last_look, sniff, thumbnail
from pregen.imaging.decoders.base import Opened, Request
from pregen.imaging.faults import Fault, InvalidPicture, Unsupported
from pregen.imaging.pixels import flatness
from pregen.imaging.pixels.flatness import Seen
from pregen.imaging.source_bytes import SourceBytes
from pregen.model import Flavor
from tests.support.files import deep_samples, pictures, profiles
from tests.support.files.photo import photo
from tests.support.files.pictures import encode
from tests.support.judges import png_walk

if TYPE_CHECKING:
    from pathlib import Path

    from pregen.imaging.thumbnail import Thumbnails

MAX_PIXELS = 10**9
LARGE = (Flavor.NORMAL, Flavor.LARGE)


def make(path: Path, data: bytes) -> Thumbnails:
    path.write_bytes(data)
    with path.open("rb") as file:
        return thumbnail.make(file.fileno(), len(data), LARGE, MAX_PIXELS, lambda _: None)


def opened(data: bytes) -> tuple[Opened, Request]:
    """Open a source as a run does, and decode it."""
    request = Request(SourceBytes.of(data), thumbnail.identify(data), lambda _: None, Decoder.AUTO)
    found: Opened = thumbnail.decoder_of(request.format).open_picture(request)
    found.decode(256)
    return found, request


def look(data: bytes, levels: tuple[int, int, int, int]) -> None:
    """Look at a picture of one colour as if it had come out of this source."""
    found, request = opened(data)
    picture = np.full((96, 128, 4), levels, np.uint8)
    last_look.check({Flavor.NORMAL: picture}, found, request, MAX_PIXELS)


WHITE, BLACK, CLEAR = (255, 255, 255, 255), (0, 0, 0, 255), (0, 0, 0, 0)


@cache
def photos() -> dict[str, bytes]:
    rgb, samples = pictures.image(800, 600), photo(800, 600)
    deep = samples.astype(np.uint16) * 257
    return {
        "a.jpg": encode(rgb, "JPEG"),
        "deep.png": deep_samples.png(deep, profiles.display_p3()),
        "deep.tif": deep_samples.tiff(deep, profiles.display_p3()),
        "lzw.tif": encode(rgb, "TIFF", compression="tiff_lzw"),
        "a.webp": encode(rgb, "WEBP"),
        "a.gif": encode(rgb, "GIF"),
        "a.psd": pictures.photoshop(samples),
        "a.bmp": encode(rgb, "BMP"),
        "a.avif": encode(rgb, "AVIF"),
    }


@pytest.mark.parametrize("name", photos())
@pytest.mark.parametrize("levels", [WHITE, BLACK, CLEAR])
def test_one_colour_out_of_a_photo_is_not_stored(
    name: str, levels: tuple[int, int, int, int]
) -> None:
    seen = "nothing visible" if levels is CLEAR else "nothing but one colour"
    with pytest.raises(InvalidPicture, match=f"decodes to {seen}, but .* shows a picture"):
        look(photos()[name], levels)


@cache
def flats() -> dict[str, bytes]:
    white = Image.new("RGB", (1200, 900), "white")
    clear = Image.new("RGBA", (1200, 900), (0, 0, 0, 0))
    return {
        "white.jpg": encode(white, "JPEG"),
        "white.png": encode(white, "PNG"),
        "stored.png": encode(white, "PNG", compress_level=0),
        "white.tif": encode(white, "TIFF"),
        "page.tif": encode(white.convert("1"), "TIFF", compression="group4"),
        "inks.tif": encode(Image.new("CMYK", (1200, 900), (20, 200, 30, 0)), "TIFF"),
        "white.bmp": encode(white, "BMP"),
        "blue.webp": encode(Image.new("RGB", (1200, 900), "blue"), "WEBP"),
        "grey.gif": encode(Image.new("L", (1200, 900), 128), "GIF"),
        "clear.png": encode(clear, "PNG"),
        "stored-clear.png": encode(clear, "PNG", compress_level=0),
        "clear.webp": encode(clear, "WEBP", lossless=True),
        "clear.tif": encode(clear, "TIFF"),
        "clear.gif": encode(clear, "GIF"),
        "white.psd": pictures.photoshop(np.full((900, 1200, 3), 255, np.uint8)),
        "white.avif": encode(white, "AVIF"),
        "noisy.jpg": encode(white, "JPEG", quality=100, comment=bytes(60_000)),
    }


@pytest.mark.parametrize("name", flats())
def test_pages_of_one_colour_and_transparent_pictures_are_stored(tmp_path: Path, name: str) -> None:
    assert make(tmp_path / name, flats()[name]).pictures.keys() == set(LARGE)


def test_a_picture_is_told_from_one_colour() -> None:
    grey = np.full((96, 128, 4), (90, 90, 90, 255), np.uint8)
    assert flatness.seen(grey) is Seen.COLOUR
    grey[50:, :, 0] += 2
    assert flatness.seen(grey) is Seen.COLOUR, "rounding"
    grey[90, 7, 1] = 200
    assert flatness.seen(grey) is Seen.PICTURE, "a single pixel"
    grey[..., 3] = 0
    assert flatness.seen(grey) is Seen.NOTHING
    grey[90, 7, 3] = 1
    assert flatness.seen(grey) is not Seen.NOTHING


# What one library refuses -------------------------------------------------------------------------


def refusal(path: Path, data: bytes) -> Fault:
    with pytest.raises(Fault) as caught:
        make(path, data)
    return caught.value


def test_what_another_library_reads_is_not_called_damaged(tmp_path: Path) -> None:
    """A chunk that nobody knows, and that says it is indispensable: Pillow does without."""
    header, *rest = png_walk.chunks(encode(pictures.image(640, 480), "PNG"))
    fault = refusal(tmp_path / "a.png", png_walk.build([header, (b"ABCD", b"odd"), *rest]))
    assert isinstance(fault, Unsupported)
    assert "Pillow reads it, so it is not damaged" in str(fault)
    assert fault.mime == "image/png"


@pytest.mark.parametrize("name", ["a.png", "a.gif"])
def test_advice_is_given_where_two_libraries_agree(tmp_path: Path, name: str) -> None:
    kind = name[2:].upper()
    data = bytearray(encode(pictures.image(640, 480), kind))
    data[16 if kind == "PNG" else 13 :] = bytes(3000)
    fault = refusal(tmp_path / name, bytes(data))
    assert isinstance(fault, InvalidPicture)
    assert str(fault).endswith(" it, too")
    assert sniff.sniff(bytes(data)) is not None
