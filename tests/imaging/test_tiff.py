"""TIFFs of every kind of samples, and how much has to be there of a damaged one."""

from __future__ import annotations

import io
from random import Random
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import tifffile
from PIL import Image, ImageCms, ImageDraw
from PIL.TiffImagePlugin import TiffImageFile

from pregen.imaging.decoders import tiff_damage
from pregen.imaging.faults import Fault, InvalidPicture, TruncatedPicture, Unsupported
from pregen.imaging.runtime import pyvips
from pregen.model import Flavor
from tests.support.files import deep_samples, foreign_writers, pictures, tiffs
from tests.support.files.pairs import pair
from tests.support.files.photo import photo
from tests.support.judges.decoding import large, make, pixels_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import DTypeLike, NDArray

#: As large as the entry: nothing is resampled, so that every sample can be compared.
_WIDTH_PX, _HEIGHT_PX = 256, 192
_WHITE, _BLACK, _RGB, _INKS, _YCBCR, _CIELAB, _ICCLAB = 0, 1, 2, 5, 6, 8, 9
_ALPHA = 2


def _photo() -> NDArray[np.uint8]:
    """Return a picture of colours that every space here has."""
    vivid = photo(_WIDTH_PX, _HEIGHT_PX, seed=9)
    paler: NDArray[np.uint8] = (vivid / 2 + vivid.mean(-1, keepdims=True) / 2).astype(np.uint8)
    return paler


def _ramp() -> NDArray[np.uint8]:
    ramp = np.linspace(60, 255, _WIDTH_PX).astype(np.uint8)
    return np.broadcast_to(ramp[None, :, None], (_HEIGHT_PX, _WIDTH_PX, 1))


def _off(data: bytes, wanted: NDArray[Any]) -> float:
    """Return by how many levels an entry is off, in the mean over the colours."""
    return float(np.abs(large(data)[..., :3].astype(int) - wanted).mean())


# --- Samples --------------------------------------------------------------------------------------


@pytest.mark.parametrize("count", [1, 3])
@pytest.mark.parametrize("bits", [1, 2, 4, 6, 10, 12, 14, 24, 32])
def test_whole_numbers_of_every_depth(bits: int, count: int) -> None:
    most = (1 << bits) - 1
    samples = np.rint(_photo()[..., :count] / 255.0 * most)
    stored = samples.astype(np.uint32)
    photometric = _BLACK if count == 1 else _RGB
    data = (
        tiffs.raw(stored, photometric) if bits == 32 else tiffs.raw(stored, photometric, bits=bits)
    )
    if bits == 24:
        order = stored.astype("<u4").view(np.uint8).reshape(*stored.shape, 4)[..., :3]
        data = tiffs.raw(np.ascontiguousarray(order).reshape(_HEIGHT_PX, _WIDTH_PX, -1), _RGB)
        told = {258: tiffs.short(*[24] * count), 277: tiffs.short(count), 339: tiffs.short(1)}
        more = told | {262: tiffs.short(photometric)}
        flat = np.ascontiguousarray(order).reshape(_HEIGHT_PX, _WIDTH_PX, -1)
        data = tiffs.raw(flat, photometric, more=more)
    assert _off(data, np.rint(samples / most * 255)) < 1


@pytest.mark.parametrize("dtype", [np.int8, np.int16, np.int32])
def test_the_lowest_of_signed_samples_is_black(dtype: DTypeLike) -> None:
    levels = _photo()[..., :1].astype(np.int64)
    lowest = np.iinfo(dtype).min
    unit = -lowest // 128
    data = tiffs.raw((levels * unit + lowest).astype(dtype), _BLACK)
    assert _off(data, levels) < 1


def test_ycbcr_that_is_not_a_jpeg() -> None:
    ycbcr = np.asarray(Image.fromarray(_photo()).convert("YCbCr"))
    data = tiffs.raw(ycbcr, _YCBCR, more={530: tiffs.short(1, 1)})
    assert _off(data, _photo()) < 1
    blocks = ycbcr.reshape(_HEIGHT_PX // 2, 2, _WIDTH_PX // 2, 2, 3)
    means = np.rint(blocks[..., 1:].mean((1, 3))).astype(np.uint8)
    wide = ycbcr.copy()
    wide[..., 1:] = means.repeat(2, axis=0).repeat(2, axis=1)
    wanted = np.asarray(Image.fromarray(wide, "YCbCr").convert("RGB"), np.int16)
    assert _off(tiffs.subsampled(ycbcr), wanted) < 1


def _lab() -> NDArray[np.uint8]:
    """Return CIELab of 8 bits, `a` and `b` signed, by littleCMS."""
    transform = ImageCms.buildTransform(
        ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB"), "RGB", "LAB",
        renderingIntent=ImageCms.Intent.RELATIVE_COLORIMETRIC,
    )  # fmt: skip
    return np.asarray(ImageCms.applyTransform(Image.fromarray(_photo()), transform))


@pytest.mark.parametrize("alpha", [False, True])
@pytest.mark.parametrize("photometric", [_CIELAB, _ICCLAB])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_lab(dtype: DTypeLike, photometric: int, alpha: bool) -> None:  # noqa: FBT001 - a parameter
    lab = _lab().astype(np.int32)
    lab[..., 1:] = _lab()[..., 1:].view(np.int8)
    if photometric == _ICCLAB:
        lab[..., 1:] += 128
    if dtype == np.uint16:
        lab[..., 1:] *= 256
        lab[..., 0] *= 257 if photometric == _CIELAB else 256
    stored = lab.astype(dtype)
    if alpha:
        fourth = _ramp().astype(dtype) * (257 if dtype == np.uint16 else 1)
        stored = np.concatenate([stored, fourth.astype(dtype)], axis=-1)
    data = tiffs.raw(stored, photometric, extra=[_ALPHA] * alpha)
    # Lab of 8 bits is coarser than RGB.
    assert _off(data, _photo()) < 1.5
    seen = large(data)[..., 3].astype(int)
    assert np.abs(seen - (_ramp()[..., 0] if alpha else 255)).max() <= 1


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_tiles_of_separate_planes(dtype: DTypeLike) -> None:
    unit = 257 if dtype == np.uint16 else 1
    samples = (_photo().astype(np.uint16) * unit).astype(dtype)
    assert _off(tiffs.raw(samples, _RGB, tile_px=80), _photo()) < 1
    covered = np.concatenate([samples, (_ramp().astype(np.uint16) * unit).astype(dtype)], -1)
    data = tiffs.raw(covered, _RGB, tile_px=64, extra=[_ALPHA])
    assert _off(data, _photo()) < 1
    assert np.abs(large(data)[..., 3].astype(int) - _ramp()[..., 0]).max() <= 1


@pytest.mark.parametrize("dtype", [np.float16, np.float32])
def test_floating_point_of_grey_is_linear_light_without_a_profile(dtype: DTypeLike) -> None:
    levels = _photo()[..., 1:2]
    encoded = levels / 255
    linear = np.where(encoded <= 0.04045, encoded / 12.92, ((encoded + 0.055) / 1.055) ** 2.4)
    assert _off(deep_samples.tiff(linear.astype(dtype), b"", _BLACK), levels) < 1
    covered = np.concatenate([linear, _ramp() / 255], -1).astype(dtype)
    data = deep_samples.tiff(covered, b"", _BLACK, alpha=True)
    assert _off(data, levels) < 1
    assert np.abs(large(data)[..., 3].astype(int) - _ramp()[..., 0]).max() <= 1


def _inks() -> NDArray[np.uint8]:
    return np.concatenate([255 - _photo(), _ramp() // 4], axis=-1)


@pytest.mark.parametrize("profile", [b"", bytes(pyvips.Image.profile_load("cmyk"))])
@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.uint16])
def test_inks_of_every_depth_look_as_those_of_8_bits(dtype: DTypeLike, profile: bytes) -> None:
    wanted = large(deep_samples.tiff(_inks(), profile, _INKS))
    unit = 257.0 if dtype == np.uint16 else 1 / 255
    data = deep_samples.tiff((_inks() * unit).astype(dtype), profile, _INKS)
    assert _off(data, wanted[..., :3]) < 1
    covered = np.concatenate([_inks(), _ramp()], axis=-1)
    data = deep_samples.tiff((covered * unit).astype(dtype), profile, _INKS, alpha=True)
    assert _off(data, wanted[..., :3]) < 1.5
    assert np.abs(large(data)[..., 3].astype(int) - _ramp()[..., 0]).max() <= 1


def test_jpeg_as_tiff_had_it_before_1995() -> None:
    jpeg = pictures.encode(Image.fromarray(_photo()), "JPEG", quality=95, subsampling=0)
    data = tiffs.old_jpeg(jpeg, _WIDTH_PX, _HEIGHT_PX)
    with Image.open(io.BytesIO(jpeg)) as wanted:
        assert _off(data, np.asarray(wanted, np.int16)) < 1.5
    assert make(data).loader == "pillow"


def test_a_picture_below_a_preview_tells_its_own_size() -> None:
    picture = photo(1200, 900, 3)
    preview = np.asarray(Image.fromarray(picture).resize((160, 120)))
    made = make(tiffs.below_a_preview(picture, preview))
    assert (made.width_px, made.height_px) == (1200, 900)
    wanted = np.asarray(Image.fromarray(picture).resize((256, 192), Image.Resampling.LANCZOS))
    assert _off(tiffs.below_a_preview(picture, preview), wanted.astype(int)) < 1.5


def test_what_nobody_here_reads_is_not_called_damaged() -> None:
    jbig = 34661
    data = tiffs.raw(_photo(), _RGB, more={259: tiffs.short(jbig)})
    with pytest.raises(Unsupported):
        make(data)
    with pytest.raises(Unsupported):
        make(tiffs.raw(_photo().astype(np.uint64), _RGB))


@pytest.mark.parametrize("alpha", [False, True])
def test_four_inks_are_cmyk_whatever_they_are_called(*, alpha: bool) -> None:
    ink_set, other = 332, tiffs.short(2)
    samples = np.concatenate([_inks(), _ramp()], axis=-1) if alpha else _inks()
    extra = [_ALPHA] if alpha else []
    plain, named = (
        large(tiffs.raw(samples, _INKS, extra=extra, more=more)) for more in ({}, {ink_set: other})
    )
    assert np.array_equal(named, plain)
    assert _off(tiffs.raw(np.zeros_like(_inks()), _INKS, more={ink_set: other}), _full()) < 1
    five = np.concatenate([_inks(), _ramp()], axis=-1)
    with pytest.raises(Unsupported):
        make(tiffs.raw(five, _INKS, more={ink_set: other}))


def _full() -> NDArray[np.uint8]:
    return np.full((_HEIGHT_PX, _WIDTH_PX, 3), 255, np.uint8)


# --- Damage ---------------------------------------------------------------------------------------


def _page() -> Image.Image:
    page = Image.new("1", (1240, 1754), 1)
    draw, chance = ImageDraw.Draw(page), Random(3)  # noqa: S311 - letters, not secrets
    for top in range(60, 1700, 18):
        words = ("".join(chance.choices("abcdefghijklmnop", k=7)) for _ in range(22))
        draw.text((80, top), " ".join(words), fill=0)
    return page


def _by_libvips(**options: Any) -> bytes:
    return bytes(pyvips.Image.new_from_array(photo(700, 500, 4)).tiffsave_buffer(**options))


def _by_pillow(compression: str, **options: Any) -> bytes:
    return pictures.encode(pictures.image(700, 500, 4), "TIFF", compression=compression, **options)


_SOUND: dict[str, Callable[[], bytes]] = {
    "none": lambda: _by_pillow("raw"),
    "none, 16 bits": lambda: deep_samples.tiff(photo(700, 500, 4).astype(np.uint16) * 257, b""),
    "strips": _by_libvips,
    "LZW": lambda: _by_pillow("tiff_lzw"),
    "LZW, predictor": lambda: _by_libvips(compression="lzw", predictor="horizontal"),
    "LZW, one strip": lambda: _by_pillow("tiff_lzw", tiffinfo={278: 500}),
    "Deflate": lambda: _by_pillow("tiff_adobe_deflate"),
    "Deflate, tiles": lambda: _by_libvips(
        compression="deflate", predictor="horizontal", tile=True
    ),
    "PackBits": lambda: _by_pillow("packbits"),
    "JPEG": lambda: _by_pillow("jpeg"),
    "JPEG, tiles": lambda: _by_libvips(compression="jpeg", tile=True),
    "Group 3": lambda: pictures.encode(_page(), "TIFF", compression="group3"),
    "Group 4": lambda: pictures.encode(_page(), "TIFF", compression="group4"),
}  # fmt: skip
_ROUNDS = 12


def _damaged(sound: bytes, chance: Random, kind: str) -> bytes:
    data, size = bytearray(sound), int(len(sound) * chance.choice((0.01, 0.1, 0.3, 0.5, 0.8)))
    at = chance.randrange(len(sound) - size)
    match kind:
        case "zeroed":
            data[at : at + size] = bytes(size)
        case "randomised":
            data[at : at + size] = chance.randbytes(size)
        case _:
            del data[-size:]
    return bytes(data)


@pytest.mark.parametrize("kind", ["zeroed", "randomised", "cut"])
@pytest.mark.parametrize("name", _SOUND)
def test_three_quarters_are_shown_or_nothing(name: str, kind: str) -> None:
    sound = _SOUND[name]()
    wanted = large(sound).astype(int)
    for number in range(_ROUNDS):
        chance = Random(f"{name} {kind} {number}")  # noqa: S311 - damage, not secrets
        data = _damaged(sound, chance, kind)
        try:
            found = pixels_of(make(data).pictures[Flavor.LARGE]).astype(int)
        except Fault:
            continue
        assert found.shape == wanted.shape
        assert (np.abs(found - wanted).max(-1) <= 32).mean() >= 0.75, number


@pytest.mark.parametrize("name", _SOUND)
def test_most_of_the_bytes_lost_is_no_picture(name: str) -> None:
    sound = _SOUND[name]()
    first, last = len(sound) // 10, len(sound) * 9 // 10
    chance = Random(name)  # noqa: S311 - damage, not secrets
    for lost in (bytes(last - first), chance.randbytes(last - first)):
        with pytest.raises(InvalidPicture, match="sound"):
            make(sound[:first] + lost + sound[last:])


def test_tables_of_a_jpeg_that_are_lost_are_not_taken_for_the_usual_ones() -> None:
    sound = _SOUND["JPEG"]()
    at = sound.index(b"\xff\xc4", sound.index(b"\xff\xdb", len(sound) * 9 // 10))
    with pytest.raises(InvalidPicture):
        make(sound[:at] + bytes(8) + sound[at + 8 :])


@pytest.mark.parametrize("name", ["LZW", "Deflate", "JPEG"])
def test_compressed_samples_are_not_shown_as_they_are(name: str) -> None:
    sound = _SOUND[name]()
    at = sound.index(b"\x03\x01\x03\x00\x01\x00\x00\x00") + 8  # Compression
    with pytest.raises(Fault):
        make(sound[:at] + b"\x01\x00" + sound[at + 2 :])


def test_half_a_file_is_truncated() -> None:
    sound = _by_libvips(compression="lzw")
    with pytest.raises(TruncatedPicture):
        make(sound[: len(sound) // 2])
    first = _by_pillow("raw")
    with pytest.raises(TruncatedPicture, match="50%"):
        make(first[: len(first) // 2])


def _half_black() -> NDArray[np.uint8]:
    picture = photo(700, 500, 4)
    picture[200:] = 0
    return picture


def _text_on_black() -> NDArray[np.uint8]:
    return np.repeat(255 - np.asarray(_page().convert("L"))[:900, :, None], 3, axis=2)


def _framed() -> NDArray[np.uint8]:
    picture = np.zeros((900, 1200, 3), np.uint8)
    picture[300:600, 200:900] = photo(700, 300, 1)
    return picture


def _noise() -> NDArray[np.uint8]:
    return np.random.default_rng(1).integers(0, 256, (500, 700, 3), np.uint8)


_STRANGE: dict[str, Callable[[], NDArray[np.uint8]]] = {
    "half black": _half_black, "text on black": _text_on_black, "framed": _framed,
    "noise": _noise, "black": lambda: np.zeros((300, 300, 3), np.uint8),
    "white": lambda: np.full((300, 300, 3), 255, np.uint8),
}  # fmt: skip


@pytest.mark.parametrize("compression", ["none", "lzw", "deflate", "packbits", "jpeg"])
@pytest.mark.parametrize("tile", [False, True])
@pytest.mark.parametrize("name", _STRANGE)
def test_sound_pictures_that_look_lost_are_shown(name: str, tile: bool, compression: str) -> None:  # noqa: FBT001 - a parameter
    picture = _STRANGE[name]()
    image = pyvips.Image.new_from_array(picture)
    data = bytes(image.tiffsave_buffer(compression=compression, tile=tile))
    wanted = image.thumbnail_image(256).numpy().astype(int)
    if name != "noise":
        assert _off(data, wanted) < 4
    assert make(data).pictures
    assert make(_by_numpy_strips(picture)).pictures


def _by_numpy_strips(picture: NDArray[np.uint8]) -> bytes:
    return tiffs.raw(picture, _RGB)


@pytest.mark.parametrize("compression", ["group3", "group4", "tiff_ccitt", "tiff_lzw", "packbits"])
@pytest.mark.parametrize("ink", [0, 1])
def test_blank_pages_are_shown(ink: int, compression: str) -> None:
    page = Image.new("1", (1240, 1754), ink)
    assert (
        large(pictures.encode(page, "TIFF", compression=compression))[..., 0] == 255 * ink
    ).all()


@pytest.mark.parametrize("edge_px", [3, 40, 333])
@pytest.mark.parametrize("flat", [False, True])
def test_sound_lzw_is_measured_to_its_end(edge_px: int, flat: bool) -> None:  # noqa: FBT001 - a parameter
    samples = photo(edge_px, edge_px, 7)
    if flat:
        samples[:] = 90
    data = pictures.encode(Image.fromarray(samples), "TIFF", compression="tiff_lzw",
                           tiffinfo={278: edge_px})  # fmt: skip
    with TiffImageFile(io.BytesIO(data)) as image:
        tags = image.tag_v2
        at, size = tags[273][0], tags[279][0]
    strip = data[at : at + size]
    assert tiff_damage.lzw_share(strip, samples.nbytes, samples.nbytes) == 1.0
    assert tiff_damage.lzw_share(strip, samples.nbytes + 1, samples.nbytes + 1) != 1.0
    assert tiff_damage.lzw_share(strip[: size // 2], samples.nbytes, samples.nbytes) != 1.0


# --- Codecs, and bytes that are missing -----------------------------------------


@pytest.mark.parametrize(
    ("codec", "name"),
    [("jpegxl", "JPEG XL"), ("jpegxr", "JPEG XR"), ("png", "PNG")],
)
def test_a_codec_that_is_not_read_is_named(codec: str, name: str) -> None:
    with pytest.raises(Unsupported, match=name):
        make(foreign_writers.tiff("rgb", compression=codec)(pair("rgb", "8")))


@pytest.mark.parametrize("codec", ["webp", "zstd", "lzma"])
def test_newer_codecs_are_read(codec: str) -> None:
    chosen: dict[str, Any] = {"compressionargs": {"level": 100}} if codec == "webp" else {}
    stored = pair("rgb", "8", "none", (_WIDTH_PX, _HEIGHT_PX))
    data = foreign_writers.tiff("rgb", compression=codec, **chosen)(stored)
    assert _off(data, stored.samples) < 1.0


def _with_jpeg(jpeg: bytes, bits: int, bands: int, edges_px: tuple[int, int]) -> bytes:
    """Return a TIFF of one strip, which is a JPEG."""
    fields = {
        256: tiffs.long(edges_px[0]), 257: tiffs.long(edges_px[1]),
        258: tiffs.short(*[bits] * bands), 259: tiffs.short(7),
        262: tiffs.short(_RGB if bands > 1 else _BLACK), 273: tiffs.long(8),
        277: tiffs.short(bands), 278: tiffs.long(edges_px[1]), 279: tiffs.long(len(jpeg)),
        284: tiffs.short(1),
    }  # fmt: skip
    return tiffs.file_of(fields, jpeg)


@pytest.mark.parametrize("lossless", [False, True])
def test_grey_jpeg_of_12_bits_fills_the_whole_range(*, lossless: bool) -> None:
    stored = pair("grey", "12", "none", (_WIDTH_PX, _HEIGHT_PX))
    jpeg = foreign_writers.jpeg8(lossless=lossless)(stored)
    data = _with_jpeg(jpeg, 12, 1, (_WIDTH_PX, _HEIGHT_PX))
    assert _off(data, stored.samples / 4095 * 255) < 1.5


@pytest.mark.parametrize("mode", ["grey", "rgb"])
def test_jpeg_without_loss_is_not_decoded_smaller_than_it_is(mode: str) -> None:
    """What libjpeg-turbo is given for a reduced picture has no room for the whole one."""
    edges_px = (1600, 1200)
    stored = pair(mode, "8", "none", edges_px)
    jpeg = foreign_writers.jpeg8(lossless=True)(stored)
    found = large(_with_jpeg(jpeg, 8, stored.samples.shape[2], edges_px))[..., :3].astype(int)
    picture = Image.fromarray(np.broadcast_to(stored.samples, (*edges_px[::-1], 3)).copy())
    wanted = np.asarray(picture.resize((256, 192), Image.Resampling.LANCZOS))
    assert np.abs(found - wanted).mean() < 1.5


def test_a_strip_whose_size_is_told_as_zero_goes_on_to_the_end() -> None:
    sound = _by_pillow("tiff_lzw", tiffinfo={278: 500})
    at = sound.index(b"\x17\x01\x04\x00\x01\x00\x00\x00") + 8  # one StripByteCount
    assert (large(sound[:at] + bytes(4) + sound[at + 4 :]) == large(sound)).all()


@pytest.mark.parametrize("lost", [50, 1000, 9001])
def test_samples_with_a_gap_are_not_shown_sheared(lost: int) -> None:
    data = _bare(_landscape())
    assert _off(data, _landscape()) < 1.0
    middle = len(data) // 2
    with pytest.raises((InvalidPicture, TruncatedPicture)):
        make(data[:middle] + data[middle + lost :])


@pytest.mark.parametrize("lost", [50, 1000, 9001])
def test_samples_that_end_early_are_no_gap(lost: int) -> None:
    entry = large(_bare(_landscape())[:-lost])
    off = np.abs(entry[:100, :, :3].astype(int) - _landscape()[:100]).mean()
    assert off < 1.0


def _landscape() -> NDArray[np.uint8]:
    """A picture with something at every side, so that a row that is moved is another."""
    rows, columns = np.mgrid[0:_HEIGHT_PX, 0:_WIDTH_PX]
    bands = [columns * 0.9, rows * 0.4 + columns * 0.3, 200 - columns * 0.5]
    return np.stack(bands, axis=-1).astype(np.uint8)


def _bare(samples: NDArray[np.uint8]) -> bytes:
    """Return a TIFF whose directory stands before its samples, in one strip."""
    out = io.BytesIO()
    tifffile.imwrite(out, samples, photometric="rgb", metadata=None, rowsperstrip=len(samples))
    return out.getvalue()
