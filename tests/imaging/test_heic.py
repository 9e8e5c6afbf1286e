"""HEIC: its thumbnail item or itself, upright, in the right colours; refusals by their name."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image

from pregen.imaging import faults
from pregen.imaging.containers import heif
from pregen.imaging.runtime import pyvips
from pregen.imaging.source_bytes import DamagedError
from pregen.model import Flavor
from tests.support.files import broken, pictures
from tests.support.files.heifs import BLUE, GREEN, RED, WHITE, corners, heic, turned
from tests.support.files.photo import photo, psnr_db
from tests.support.files.pictures import image
from tests.support.judges.decoding import large, make, pixels_of
from tests.support.running.capabilities import Capability, corpus, needs

if TYPE_CHECKING:
    from numpy.typing import NDArray

#: HEVC blurs edges, not the middle of a quarter.
_TOLERANCE = 12


def _db(shown: Image.Image, wanted: Image.Image) -> float:
    return psnr_db(np.asarray(shown), np.asarray(wanted))


def _quarters(pixels: NDArray[np.uint8]) -> list[tuple[int, ...]]:
    rows, columns = pixels.shape[:2]
    places = [(1, 1), (1, 3), (3, 1), (3, 3)]
    return [tuple(map(int, pixels[rows * y // 4, columns * x // 4, :3])) for y, x in places]


def _like(found: list[tuple[int, ...]], wanted: list[tuple[int, int, int]]) -> bool:
    return all(
        abs(a - b) <= _TOLERANCE
        for one, other in zip(found, wanted, strict=True)
        for a, b in zip(one, other, strict=True)
    )


def _meta(data: bytes) -> heif.Meta:
    return heif.read(lambda at, count: data[at : at + count], len(data))


def test_a_picture_without_a_thumbnail_is_decoded_itself() -> None:
    original = image(1200, 800, seed=2)
    made = make(heic(original))
    assert (made.mime, made.loader) == ("image/heif", "ffmpeg")
    assert (made.width_px, made.height_px) == (1200, 800)
    reduced = original.resize((256, 171), Image.Resampling.LANCZOS)
    shown = Image.fromarray(pixels_of(made.pictures[Flavor.LARGE])).convert("RGB")
    assert _db(shown, reduced) > 30


@pytest.mark.parametrize("thumbnails", [[], [320]])
@pytest.mark.parametrize("irot", [True, False])
def test_irot_counts_and_exif_only_without_it(thumbnails: list[int], irot: bool) -> None:  # noqa: FBT001 - a parameter of the test
    data = turned(corners(1200, 800), irot=irot, exif=6, thumbnails=thumbnails)
    made = make(data)
    assert (made.width_px, made.height_px) == (800, 1200)
    for picture in made.pictures.values():
        assert _like(_quarters(pixels_of(picture)), [BLUE, RED, WHITE, GREEN])


def test_an_irot_of_nothing_makes_exif_void() -> None:
    data = turned(corners(1200, 800), irot=True, exif=6)
    at = data.index(b"irot") + 4
    made = make(data[:at] + b"\0" + data[at + 1 :])
    assert (made.width_px, made.height_px) == (1200, 800)
    assert _like(_quarters(pixels_of(made.pictures[Flavor.LARGE])), [RED, GREEN, BLUE, WHITE])


def test_the_thumbnail_item_is_used_when_it_covers_the_largest_flavor_only() -> None:
    data = bytearray(heic(image(1200, 800, seed=4), quality=95, thumbnails=[320]))
    number = next(i.number for i in _meta(bytes(data)).items.values() if i.refers_to(b"thmb"))
    extent = _meta(bytes(data)).items[number].extents[0]
    made = make(bytes(data))
    assert made.bytes_read < len(data) / 2
    assert make(bytes(data), (Flavor.X_LARGE,)).bytes_read >= len(data)
    data[extent.offset : extent.offset + extent.size_bytes] = bytes(extent.size_bytes)
    assert make(bytes(data)).pictures, "a broken item costs no picture"


def test_an_item_of_another_shape_is_not_used() -> None:
    picture = image(1200, 800, seed=4)
    data = heic(picture, quality=95, thumbnails=[320])
    assert make(data).bytes_read < len(data) / 2
    size = struct.pack(">II", 320, 212)
    at = data.index(struct.pack(">4xII", 320, 213)[4:]) if size not in data else data.index(size)
    letterboxed = data[:at] + struct.pack(">II", 320, 240) + data[at + 8 :]
    assert make(letterboxed).bytes_read >= len(data)


def test_profiles_and_transparency_are_respected() -> None:
    p3 = bytes(pyvips.Image.profile_load("p3"))
    pixels = large(heic(Image.new("RGB", (600, 400), (200, 100, 50)), icc_profile=p3, quality=-1))
    assert all(
        abs(int(a) - b) <= 4 for a, b in zip(pixels[80, 120, :3], (215, 93, 31), strict=True)
    )
    rgba = pictures.rgba(600, 400)
    shown = Image.fromarray(large(heic(rgba, quality=-1, thumbnails=[320])))
    reduced = rgba.resize(shown.size, Image.Resampling.LANCZOS).getchannel("A")
    assert _db(shown.getchannel("A"), reduced) > 30


@pytest.mark.parametrize("share", [0.001, 0.1, 0.6])
def test_a_heic_cut_off_is_truncated(share: float) -> None:
    data = heic(image(1200, 800, seed=2), thumbnails=[320])
    with pytest.raises(faults.TruncatedPicture, match="ends before"):
        make(broken.truncated(data, max(share, 40 / len(data))))


def test_a_heic_that_holds_nothing_is_invalid_and_a_foreign_codec_unsupported() -> None:
    data = heic(image(600, 400, seed=2))
    with pytest.raises(faults.InvalidPicture):
        make(data.replace(b"pitm", b"free"))
    with pytest.raises(faults.Unsupported):
        make(data.replace(b"hvc1", b"vvc1").replace(b"hvcC", b"vvcC"))


def test_what_our_walk_does_not_understand_libheif_may() -> None:
    data = heic(corners(600, 400))
    # More boxes before the list of items than our walk looks at.
    at = data.index(b"meta") - 4
    offset = _meta(data).items[1].extents[0].offset
    free = struct.pack(">I4s", 8, b"free") * 1001
    moved = struct.pack(">I", offset + len(free))
    spoiled = data[:at] + free + data[at:].replace(struct.pack(">I", offset), moved, 1)
    with pytest.raises(DamagedError):
        _meta(spoiled)
    assert _like(_quarters(large(spoiled)), [RED, GREEN, BLUE, WHITE])


@needs(Capability.CORPUS)
def test_a_phone_photo_is_shown_from_its_first_64_kib() -> None:
    data = (corpus() / "formats" / "iphone.heic").read_bytes()
    made = make(data)
    assert made.bytes_read <= 128 * 1024
    assert (made.width_px, made.height_px) == (4032, 3024)
    main = Image.fromarray(
        pixels_of(make(data, (Flavor.X_LARGE,)).pictures[Flavor.X_LARGE])
    ).convert("RGB")
    shown = Image.fromarray(pixels_of(made.pictures[Flavor.LARGE])).convert("RGB")
    assert _db(shown, main.resize(shown.size, Image.Resampling.LANCZOS)) > 24


def test_items_built_on_each_other_in_a_ring_end() -> None:
    ring = {
        number: heif.HeifItem(number, b"grid", references=((b"dimg", (3 - number,)),))
        for number in (1, 2)
    }
    meta = heif.Meta(1, ring)
    assert len(meta.parts(1)) == 2
    assert heif.share_present(meta, 1, 100) == 1


def test_a_picture_that_tells_no_size_is_invalid() -> None:
    # libheif opens it all the same, as one of 0 x 0 pixels.
    data = heic(image(300, 200))
    assert b"ispe" in data
    with pytest.raises(faults.InvalidPicture, match="no pixels"):
        make(data.replace(b"ispe", b"xspe"))


def test_damaged_codes_are_refused_though_libheif_decodes_them() -> None:
    data = heic(Image.fromarray(photo(720, 540, seed=8)))
    meta = _meta(data)
    (extent,) = meta.items[meta.primary].extents
    for share in (0.2, 0.5, 0.8):
        at = extent.offset + int(extent.size_bytes * share)
        damaged = data[:at] + bytes(30) + data[at + 30 :]
        with pytest.raises(faults.InvalidPicture, match="its data is damaged"):
            large(damaged)
