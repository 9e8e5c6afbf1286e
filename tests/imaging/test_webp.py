"""WebP by libwebp itself: the picture that Pillow shows, and what is left to libvips."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image, ImageOps

from pregen.imaging.containers import webp
from pregen.imaging.decoders import libwebp
from pregen.imaging.pixels.sizes import fit
from pregen.model import Flavor
from tests.support.files import pictures, profiles
from tests.support.files.photo import photo, psnr_db
from tests.support.judges.decoding import how_it_is_made, large, make, pixels_of
from tests.support.running.capabilities import Capability, needs

if TYPE_CHECKING:
    from tests.support.files.photo import Pixels

_EDGES_PX = (1501, 1003)
KINDS = {
    "lossy": {"quality": 80, "method": 0},
    "lossless": {"lossless": True, "quality": 0, "method": 0},
}


def encoded(picture: Image.Image, kind: str, **options: object) -> bytes:
    return pictures.encode(picture, "WEBP", **KINDS[kind], **options)


@pytest.fixture(scope="module")
def sound() -> bytes:
    return encoded(Image.fromarray(photo(*_EDGES_PX, seed=5)), "lossy")


def shown_by_pillow(data: bytes, box_px: int) -> Pixels:
    with Image.open(io.BytesIO(data)) as opened:
        upright = ImageOps.exif_transpose(opened).convert("RGBA")
    return np.asarray(upright.resize(fit(*upright.size, box_px), Image.Resampling.LANCZOS))


@pytest.mark.parametrize("flavor", [Flavor.LARGE, Flavor.XX_LARGE])
@needs(Capability.COMPILED)
def test_a_picture_looks_as_pillow_shows_it(sound: bytes, flavor: Flavor) -> None:
    made = make(sound, (flavor,))
    assert made.loader == libwebp.LOADER
    assert (made.width_px, made.height_px) == _EDGES_PX
    found = pixels_of(made.pictures[flavor])
    assert psnr_db(found, shown_by_pillow(sound, flavor.box_px)) > 38


def test_the_systems_library_and_pillows_show_the_same(sound: bytes) -> None:
    head = webp.read(sound)
    assert head is not None
    found = []
    for find in (libwebp._system, libwebp._pillows):
        try:
            library = libwebp._typed(find())
        except OSError:
            continue  # the system has none
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(libwebp, "library", lambda library=library: library)
            small = libwebp.decode(sound, head, 256)
        assert small is not None
        found.append(np.frombuffer(small.rgba, np.uint8).astype(int))
    assert np.abs(found[0] - found[-1]).max() <= 1


@needs(Capability.COMPILED)
def test_no_picture_library_is_imported_for_it(sound: bytes) -> None:
    loader, libraries = how_it_is_made(sound)
    assert loader == "webp"
    assert libraries <= {"PIL"}  # which brings libwebp


def test_without_a_library_libvips_does_it(sound: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(libwebp, "library", lambda: None)
    assert make(sound).loader == "vips"
    assert psnr_db(large(sound), shown_by_pillow(sound, 256)) > 38


def test_an_animation_is_left_to_libvips() -> None:
    moving = pictures.every_format()["animated.webp"]
    assert webp.read(moving) is None
    assert make(moving).loader == "vips"


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("orientation", [1, 6, 7])
def test_it_is_turned_as_its_metadata_say(kind: str, orientation: int) -> None:
    picture = Image.fromarray(photo(500, 300))
    data = encoded(picture, kind, exif=pictures.exif(orientation))
    head = webp.read(data)
    assert head is not None
    assert head.orientation == orientation
    assert psnr_db(large(data), shown_by_pillow(data, 256)) > 36


def test_a_profile_is_respected_as_libvips_does() -> None:
    profile = profiles.display_p3(gamma=2.2)
    data = encoded(Image.fromarray(photo(900, 700)), "lossy", icc_profile=profile)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(libwebp, "library", lambda: None)
        assert make(data).loader == "vips"
        theirs = large(data)
    assert make(data).loader == libwebp.LOADER
    assert psnr_db(large(data)[..., :3], theirs[..., :3]) > 45


@pytest.mark.parametrize("kind", KINDS)
def test_codes_that_are_counted_and_transparency_are_left_to_libvips(kind: str) -> None:
    assert make(encoded(pictures.rgba(900, 700), kind)).loader == "vips"
    assert make(encoded(Image.fromarray(photo(900, 700)), "lossless")).loader == "vips"


def test_damage_is_left_to_libvips(sound: bytes) -> None:
    head = webp.read(sound)
    assert head is not None
    assert head.end <= len(sound)
    assert libwebp.decode(sound, head, 256) is not None
    assert libwebp.decode(sound, head._replace(end=head.end - 16), 256) is not None
    # Data that is left over: all of it was there before the end.
    longer = sound[: head.end] + bytes(200)
    longer = longer[:16] + (head.end - 20 + 200).to_bytes(4, "little") + longer[20:]
    longer = longer[:4] + (len(longer) - 8).to_bytes(4, "little") + longer[8:]
    head = webp.read(longer)
    assert head is not None
    assert libwebp.decode(longer, head, 256) is None
    for at in range(len(sound) // 8, len(sound), len(sound) // 8):
        cut = sound[:at]
        assert libwebp.decode(cut, head._replace(end=at), 256) is None


def extended(flags: int, size: tuple[int, int], picture: bytes) -> bytes:
    """Return a WebP with the chunk that tells more, in front of a simple one's picture."""
    body = bytes([flags, 0, 0, 0]) + b"".join((px - 1).to_bytes(3, "little") for px in size)
    chunks = b"VP8X" + len(body).to_bytes(4, "little") + body + picture[12:]
    return b"RIFF" + (4 + len(chunks)).to_bytes(4, "little") + b"WEBP" + chunks


def test_a_head_that_contradicts_itself_is_none() -> None:
    simple = encoded(Image.fromarray(photo(200, 150)), "lossless")
    clear = encoded(pictures.rgba(200, 150), "lossless")
    start = clear.index(b"VP8L")
    clear = b"RIFF" + (len(clear) - start + 4).to_bytes(4, "little") + b"WEBP" + clear[start:]
    for data, alpha in ((simple, False), (clear, True)):
        head = webp.read(data)
        assert head is not None
        assert (head.width_px, head.height_px, head.lossless, head.alpha) == (200, 150, True, alpha)
    assert webp.read(extended(0, (200, 150), simple)) is not None
    assert webp.read(extended(0x10, (200, 150), clear)) is not None
    assert webp.read(extended(0, (201, 150), simple)) is None
    assert webp.read(extended(0, (200, 150), clear)) is None
    assert webp.read(extended(0x02, (200, 150), simple)) is None
    assert webp.read(simple[:-1]) is None
    assert webp.read(simple[:12]) is None
    assert webp.read(simple[:21] + b"\xff" * 4 + simple[25:]) is None


def test_another_interface_is_not_called(monkeypatch: pytest.MonkeyPatch) -> None:
    """The library compares the numbers; one that says no is passed over."""
    libwebp.library.cache_clear()
    monkeypatch.setattr(libwebp, "_ABI", 0x0309)
    assert libwebp.library() is None
    assert libwebp.version() == ""
    libwebp.library.cache_clear()
