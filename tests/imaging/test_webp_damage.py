"""Whether a WebP shows what was written: codes that are counted, and pictures that look damaged."""

from __future__ import annotations

import io
import random
import subprocess
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image

from pregen.imaging import compiled
from pregen.imaging.containers import webp
from pregen.imaging.faults import Fault, InvalidPicture
from tests.support.files import pictures
from tests.support.files.photo import photo
from tests.support.files.pictures import encode
from tests.support.judges.decoding import large, make
from tests.support.running.capabilities import Capability, needs

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from numpy.typing import NDArray

_EDGES_PX = (300, 225)


def _alpha() -> Image.Image:
    picture = pictures.image(*_EDGES_PX, 3).convert("RGBA")
    picture.putalpha(Image.fromarray(photo(*_EDGES_PX, seed=4)).convert("L"))
    return picture


def _ground() -> NDArray[np.uint8]:
    """Return heights in three bytes, as maps store them: the last starts anew again and again."""
    down, across = np.mgrid[: _EDGES_PX[1], : _EDGES_PX[0]]
    height = (np.sin(across / 60) * 4000 + np.cos(down / 50) * 3000 + 9000).astype(int)
    bytes_ = [height >> 14, height >> 6 & 255, height * 4 & 255]
    return np.stack(bytes_, -1).astype(np.uint8)


def _drawing() -> Image.Image:
    noise = np.random.default_rng(1).integers(0, 2, (_EDGES_PX[1], _EDGES_PX[0], 3), np.uint8)
    return Image.fromarray(noise * 255)


def _kinds() -> dict[str, Image.Image]:
    picture = pictures.image(*_EDGES_PX, 2)
    return {
        "photo": picture,
        "alpha": _alpha(),
        "grey": picture.convert("L"),
        "palette": picture.quantize(40).convert("RGB"),
        "few": picture.quantize(3).convert("RGB"),
        "drawing": _drawing(),
        "ground": Image.fromarray(_ground()),
    }


# --- sound files ----------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", _kinds())
def test_what_libwebp_writes_is_sound(kind: str) -> None:
    for method, quality in ((0, 20), (3, 0), (4, 75), (6, 100)):
        for lossless in (True, False):
            data = encode(_kinds()[kind], "WEBP", lossless=lossless, method=method, quality=quality)
            picture = webp.first_picture(data)
            assert picture
            if picture.lossless is not None and compiled.IS_HERE:
                assert compiled.lossless(*picture.lossless)[0]
            large(data)


@needs(Capability.IMAGEMAGICK)
@pytest.mark.parametrize(
    "options",
    [
        ["webp:lossless=true"],
        ["webp:lossless=true", "webp:near-lossless=40"],
        ["webp:partitions=3"],
        ["webp:alpha-compression=0"],
        ["webp:alpha-filtering=2"],
        ["webp:segments=1"],
    ],
)
def test_so_is_what_imagemagick_makes_it_write(tmp_path: Path, options: list[str]) -> None:
    png = pictures.put(tmp_path / "a.png", encode(_alpha(), "PNG"))
    file = tmp_path / "a.webp"
    defines = [part for option in options for part in ("-define", option)]
    subprocess.run(["convert", str(png), *defines, str(file)], check=True, timeout=60)
    large(file.read_bytes())


def test_an_animation_is_judged_by_its_first_picture() -> None:
    first, *rest = (pictures.image(*_EDGES_PX, seed) for seed in range(3))
    data = bytearray(
        encode(first, "WEBP", save_all=True, append_images=rest, lossless=True, method=0)
    )
    assert make(bytes(data)).frames == 3
    second = data.index(b"VP8L", data.index(b"VP8L") + 4)
    data[second + 300 : second + 400] = bytes(100)
    assert make(bytes(data)).frames == 3
    at = data.index(b"VP8L") + 300
    data[at : at + 100] = bytes(100)
    with pytest.raises(Fault):
        make(bytes(data))


# --- codes that are counted -----------------------------------------------------------------------


def _codes(**options: Any) -> webp.LosslessCodes:
    picture = webp.first_picture(
        encode(pictures.image(*_EDGES_PX, 2), "WEBP", lossless=True, **options)
    )
    assert picture
    assert picture.lossless
    return picture.lossless


@needs(Capability.COMPILED)
def test_codes_end_with_the_picture() -> None:
    data, *edges_px = _codes(method=0)
    assert compiled.lossless(data, *edges_px) == (True, True)
    assert compiled.lossless(data + bytes(2), *edges_px)[0]
    for other in (data + bytes(5), data + b"\1", data[:-1], data[:-4], b""):
        assert compiled.lossless(other, *edges_px)[0] is False
    width_px, height_px = edges_px
    assert compiled.lossless(data, width_px, height_px - 1)[0] is False
    assert compiled.lossless(data, width_px, height_px + 1)[0] is False
    with pytest.raises(ValueError, match="no picture has"):
        compiled.lossless(data, 0, 1)
    with pytest.raises(ValueError, match="no picture has"):
        compiled.lossless(data, 1, 16385)


class _Bits:
    """Writes bits, the lowest first (RFC 9649, 3)."""

    def __init__(self) -> None:
        self.value: int = 0
        self.count: int = 0

    def put(self, value: int, count: int) -> None:
        self.value |= value << self.count
        self.count += count

    def table(self, length: int, used: int) -> None:
        """Write a code of `used` symbols of so many bits each, of an alphabet of 256 or 280."""
        self.put(0, 1)
        self.put(15, 4)
        order = (17, 18, 0, 1, 2, 3, 4, 5, 16, *range(6, 16))
        for symbol in order:
            self.put(int(symbol in {0, length}), 3)
        self.put(0, 1)
        for symbol in range(used):
            self.put(int(symbol < 1 << length), 1)

    def data(self) -> bytes:
        return self.value.to_bytes(-(-self.count // 8), "little")


def _written(pixels: NDArray[np.uint8]) -> bytes:
    """Write rows x columns x 2 of green and red below 16, each in a code of four bits."""
    rows, columns, _ = pixels.shape
    bits = _Bits()
    for flag in (0, 0, 0):  # no transform, no cache, one group of codes
        bits.put(flag, 1)
    bits.table(4, 280)
    bits.table(4, 256)
    for symbol in (0, 255, 0):  # blue, alpha, distance: one symbol each
        bits.put(0b101 if symbol else 0b001, 3)
        bits.put(symbol, 8 if symbol else 1)
    for value in pixels.ravel():
        bits.put(int(f"{value:04b}"[::-1], 2), 4)
    edges = (columns - 1) | (rows - 1) << 14
    body: bytes = b"\x2f" + edges.to_bytes(4, "little") + bits.data()
    chunk = b"VP8L" + len(body).to_bytes(4, "little") + body + bytes(len(body) % 2)
    return b"RIFF" + (4 + len(chunk)).to_bytes(4, "little") + b"WEBP" + chunk


@needs(Capability.COMPILED)
@pytest.mark.parametrize(
    ("green", "red", "sound"),
    [("even", "even", True), ("even", "skewed", False), ("skewed", "skewed", True)],
)
def test_codes_are_the_best_ones_for_what_was_written(*, green: str, red: str, sound: bool) -> None:
    """Where none is, somebody writes by other rules."""
    even = np.tile(np.arange(16, dtype=np.uint8), 200).reshape(40, 80)
    skewed = even * (np.arange(80) % 5 == 0)
    planes = {"even": even, "skewed": skewed.astype(np.uint8)}
    pixels = np.stack([planes[green], planes[red]], -1)
    data = _written(pixels)
    shown = np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))
    assert (shown[..., 1] == pixels[..., 0]).all()
    assert (shown[..., 0] == pixels[..., 1]).all()
    picture = webp.first_picture(data)
    assert picture
    assert picture.lossless
    assert compiled.lossless(*picture.lossless)[0] is sound


def _damaged(data: bytes, at: int, end: int, count: int) -> Iterator[bytes]:
    """Yield a file with some noise between two places, so often."""
    chance = random.Random(5)  # noqa: S311 - damage, not secrets
    for _ in range(count):
        place = chance.randrange(at, end - 8)
        yield data[:place] + chance.randbytes(8) + data[place + 8 :]


@needs(Capability.COMPILED)
def test_damaged_alpha_is_refused_or_hardly_seen() -> None:
    data = encode(_alpha(), "WEBP", quality=80)
    at = data.index(b"ALPH")
    size_bytes = int.from_bytes(data[at + 4 : at + 8], "little")
    sound, refused = large(data).astype(int), 0
    for damaged in _damaged(data, at + 40, at + 8 + size_bytes, 20):
        try:
            apart = np.abs(large(damaged) - sound).max(-1)
        except InvalidPicture:
            refused += 1
        else:
            assert (apart <= 20).mean() >= 0.75
    assert refused >= 10


def test_without_our_count_libwebp_is_asked_for_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compiled, "IS_HERE", False)
    data = encode(pictures.image(*_EDGES_PX, 2), "WEBP", lossless=True, method=0)
    large(data)
    body = webp.first_picture(data)
    assert body
    longer = body.data + bytes(10 + len(body.data) % 2)
    chunk = b"VP8L" + len(longer).to_bytes(4, "little") + longer
    whole = b"RIFF" + (4 + len(chunk)).to_bytes(4, "little") + b"WEBP" + chunk
    with pytest.raises(InvalidPicture, match="damaged"):
        large(whole)


@needs(Capability.COMPILED)
def test_longest_codes_are_judged_where_others_show_that_libwebp_wrote_them() -> None:
    """This alpha has some. Without a look at them 18 of 120 are told, with it 32."""
    edges_px = (560, 420)
    picture = Image.fromarray(photo(*edges_px, seed=8))
    picture.putalpha(Image.fromarray(photo(*edges_px, seed=9)).convert("L"))
    coded = webp.first_picture(encode(picture, "WEBP", quality=80))
    assert coded
    codes = coded.lossless
    assert codes
    assert compiled.lossless(*codes)[0]
    begin, end = len(codes.data) // 30, len(codes.data)
    found = [
        compiled.lossless(each, *edges_px)[0] for each in _damaged(codes.data, begin, end, 120)
    ]
    assert found.count(False) >= 25


# --- the first partition of lossy ones ------------------------------------------------------------


def _lossy(coded: bytes) -> bytes:
    """Return a WebP of a picture as VP8 has it."""
    chunk = b"VP8 " + len(coded).to_bytes(4, "little") + coded + bytes(len(coded) % 2)
    return b"RIFF" + (4 + len(chunk)).to_bytes(4, "little") + b"WEBP" + chunk


def _longer(coded: bytes, size_bytes: int) -> bytes:
    """Put so many zeros behind the codes of the first partition."""
    tag = int.from_bytes(coded[:3], "little") + (size_bytes << 5)
    end = 10 + (int.from_bytes(coded[:3], "little") >> 5)
    return tag.to_bytes(3, "little") + coded[3:end] + bytes(size_bytes) + coded[end:]


@needs(Capability.COMPILED)
@pytest.mark.parametrize("alpha", [False, True])
def test_the_first_partition_ends_with_its_codes(*, alpha: bool) -> None:
    """A decoder shows the very same picture, however much it leaves unread."""
    data = encode(_alpha() if alpha else pictures.image(*_EDGES_PX, 2), "WEBP", quality=80)
    picture = webp.first_picture(data)
    assert picture
    unread = compiled.unread(picture.data)
    assert unread is not None
    assert 8 <= unread < 24
    shown = [
        Image.open(io.BytesIO(_lossy(_longer(picture.data, more)))).tobytes() for more in (0, 2, 6)
    ]
    assert shown[0] == shown[1] == shown[2]
    for more in (0, 2, 6):
        coded = _longer(picture.data, more)
        assert compiled.unread(coded) == unread + 8 * more
        before, after = _lossy(picture.data)[12:], _lossy(coded)[12:]
        assert data.endswith(before)
        file = data.removesuffix(before) + after
        file = file[:4] + (len(file) - 8).to_bytes(4, "little") + file[8:]
        if more < 4:
            large(file)
        else:
            with pytest.raises(InvalidPicture, match="damaged"):
                large(file)


@needs(Capability.COMPILED)
def test_a_first_partition_that_is_not_all_there_is_left_to_others() -> None:
    picture = webp.first_picture(encode(pictures.image(*_EDGES_PX, 2), "WEBP"))
    assert picture
    end = 10 + (int.from_bytes(picture.data[:3], "little") >> 5)
    assert compiled.unread(picture.data[:end]) is not None
    for cut in (end - 1, 10, 9, 0):
        assert compiled.unread(picture.data[:cut]) is None
    no_width = picture.data[:6] + bytes(2) + picture.data[8:]
    assert compiled.unread(no_width) is None


# --- pictures that look damaged -------------------------------------------------------------------


def _wrapping(rows: slice) -> NDArray[np.uint8]:
    """Return a photo of which red went over the ends of its range in some rows."""
    pixels = photo(*_EDGES_PX, seed=2).copy()
    pixels[rows, :, 0] += np.uint8(256 - int(np.median(pixels[rows, :, 0])))
    return pixels


def _stored(pixels: NDArray[np.uint8]) -> None:
    large(encode(Image.fromarray(pixels), "WEBP", lossless=True, method=0))


def test_jumps_from_a_row_on_are_damage() -> None:
    with pytest.raises(InvalidPicture, match="damaged"):
        _stored(_wrapping(slice(80, None)))


@pytest.mark.parametrize("rows", [slice(0, None), slice(60, 80), slice(0, 80)])
def test_jumps_elsewhere_are_the_picture_s_own(rows: slice) -> None:
    _stored(_wrapping(rows))


def test_ground_in_the_lower_half_of_a_photo_is_no_damage_where_it_is_flat_above() -> None:
    pixels = _ground()
    pixels[:100] = 90
    _stored(pixels)
