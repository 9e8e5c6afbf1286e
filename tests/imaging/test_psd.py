"""Photoshop files: every mode and depth, saved selections, transparency; damage by its name."""

from __future__ import annotations

import io
import re
import struct
from random import Random
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pytest
from PIL import Image, ImageCms

from pregen.imaging import faults
from tests.support.files import pictures, profiles
from tests.support.files.photo import photo
from tests.support.judges import others
from tests.support.judges.decoding import large, make
from tests.support.running.capabilities import Capability, needs

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

_WIDTH_PX, _HEIGHT_PX = 500, 370
_BITMAP, _GREY, _INDEXED, _RGB, _CMYK, _INKS, _DUOTONE, _LAB = 0, 1, 2, 3, 4, 7, 8, 9


class _Parts(NamedTuple):
    """What a file has beside its samples."""

    packed: bool = False
    big: bool = False
    transparent: bool = False
    """The channel behind the colours is the transparency of the merged picture."""
    palette: bytes = b""
    resources: tuple[tuple[int, bytes], ...] = ()


def _psd(samples: NDArray[Any], mode: int, parts: _Parts | None = None) -> bytes:
    """Return a file of rows x columns x channels; of rows x bytes x 1 for one bit a pixel."""
    parts = parts or _Parts()
    height_px, columns, channels = samples.shape
    bits = 1 if mode == _BITMAP else samples.itemsize * 8
    width_px = _WIDTH_PX if bits == 1 else columns
    lines = [
        plane[row].astype(samples.dtype.newbyteorder(">")).tobytes()
        for plane in np.moveaxis(samples, -1, 0)
        for row in range(height_px)
    ]
    data = b"\0\0" + b"".join(lines)
    if parts.packed:
        rows = [_packed(line) for line in lines]
        size = ">I" if parts.big else ">H"
        data = b"\0\1" + b"".join(struct.pack(size, len(row)) for row in rows) + b"".join(rows)
    wide = ">Q" if parts.big else ">I"
    layers = b""
    if parts.transparent:
        layers = struct.pack(wide, 2) + struct.pack(">h", -1) + bytes(4)
    resources = b"".join(
        b"8BIM" + struct.pack(">HHI", number, 0, len(body)) + body + bytes(len(body) % 2)
        for number, body in parts.resources
    )
    head = struct.pack(
        ">4sH6xHIIHH", b"8BPS", 1 + parts.big, channels, height_px, width_px, bits, mode
    )
    return b"".join(
        [
            head, struct.pack(">I", len(parts.palette)), parts.palette,
            struct.pack(">I", len(resources)), resources, struct.pack(wide, len(layers)), layers,
            data,
        ]
    )  # fmt: skip


#: The same three times or more, or what stands before such.
_PIECES = re.compile(rb"(.)\1{2,127}|(?:(.)(?!\2\2)){1,128}", re.DOTALL)


def _packed(line: bytes) -> bytes:
    """PackBits: what is the same three times or more as a run, all else as it is."""
    out = bytearray()
    for piece in _PIECES.finditer(line):
        size = len(piece[0])
        out += bytes([257 - size]) + piece[1] if piece[1] else bytes([size - 1]) + piece[0]
    return bytes(out)


def _rgb() -> NDArray[np.uint8]:
    vivid = photo(_WIDTH_PX, _HEIGHT_PX, seed=6)
    muted: NDArray[np.uint8] = (vivid / 2 + vivid.mean(-1, keepdims=True) / 2).astype(np.uint8)
    muted[:20, :100] = 240  # for runs
    return muted


def _alpha() -> NDArray[np.uint8]:
    ramp = np.linspace(60, 255, _WIDTH_PX).astype(np.uint8)
    return np.broadcast_to(ramp[None, :, None], (_HEIGHT_PX, _WIDTH_PX, 1))


def _selections(count: int) -> NDArray[np.uint8]:
    chosen = np.zeros((_HEIGHT_PX, _WIDTH_PX, count), np.uint8)
    chosen[50:100, 100:300] = 255
    return chosen


def _check(found: NDArray[np.uint8], wanted: Image.Image) -> None:
    colours, alpha = others.levels_apart(found, wanted)
    assert colours < others.LEVELS
    assert alpha < others.LEVELS


_WAYS = pytest.mark.parametrize("parts", [_Parts(), _Parts(packed=True)], ids=["raw", "packed"])


@_WAYS
@pytest.mark.parametrize("count", [0, 1, 2, 53])
def test_saved_selections_are_no_colours(parts: _Parts, count: int) -> None:
    rgb = _rgb()
    grey, cmyk = rgb[..., :1], np.concatenate([rgb, _alpha()], axis=-1)
    selections = _selections(count)
    _check(large(_psd(np.dstack([rgb, selections]), _RGB, parts)), Image.fromarray(rgb))
    wanted = Image.fromarray(grey[..., 0])
    _check(large(_psd(np.dstack([grey, selections]), _GREY, parts)), wanted)
    _check(large(_psd(np.dstack([grey, selections]), _DUOTONE, parts)), wanted)
    # By another way to the same inks: a TIFF of the samples, without a profile as well.
    inks = Image.frombytes("CMYK", (_WIDTH_PX, _HEIGHT_PX), (255 - cmyk).tobytes())
    shown = large(_psd(np.dstack([cmyk, selections]), _CMYK, parts))
    _check(shown, Image.fromarray(large(pictures.encode(inks, "TIFF"))))
    if not count:
        assert (large(_psd(cmyk, _INKS, parts)) == shown).all()


@_WAYS
@pytest.mark.parametrize("kind", ["u1", ">u2"])
@pytest.mark.parametrize("count", [0, 1])
def test_what_is_half_transparent_keeps_no_white(parts: _Parts, kind: str, count: int) -> None:
    rgb, alpha = _rgb(), _alpha()
    for colours, mode in ((rgb, _RGB), (rgb[..., :1], _GREY)):
        cover = alpha / 255
        mixed = np.rint(colours * cover + 255 * (1 - cover))
        stored = np.dstack([mixed, alpha, _selections(count)]) * (257 if kind == ">u2" else 1)
        file = _psd(stored.astype(kind), mode, parts._replace(transparent=True))
        wanted = Image.fromarray(np.dstack([np.broadcast_to(colours, rgb.shape), alpha]))
        _check(large(file), wanted)


@_WAYS
@pytest.mark.parametrize("big", [False, True])
@pytest.mark.parametrize("profile", [b"", profiles.display_p3()], ids=["none", "P3"])
def test_sixteen_bits_and_large_documents(parts: _Parts, big: bool, profile: bytes) -> None:  # noqa: FBT001 - a parameter
    rgb = _rgb()
    wanted = Image.fromarray(rgb)
    if profile:
        transform = ImageCms.buildTransform(
            ImageCms.ImageCmsProfile(io.BytesIO(profile)),
            ImageCms.createProfile("sRGB"), "RGB", "RGB",
            renderingIntent=ImageCms.Intent.RELATIVE_COLORIMETRIC,
        )  # fmt: skip
        ImageCms.applyTransform(wanted, transform, inPlace=True)
    told = parts._replace(big=big, resources=((1039, profile),) if profile else ())
    for samples in (rgb, rgb.astype(np.uint16) * 257):
        found = make(_psd(samples, _RGB, told))
        assert (found.mime, found.loader) == ("image/vnd.adobe.photoshop", "psd")
        _check(large(_psd(samples, _RGB, told)), wanted)


def test_floating_point_is_linear_light() -> None:
    rgb = _rgb()
    codes = rgb / 255
    light = np.where(codes <= 0.04045, codes / 12.92, ((codes + 0.055) / 1.055) ** 2.4)
    _check(large(_psd(light.astype(np.float32), _RGB)), Image.fromarray(rgb))
    found = large(_psd(light[..., :1].astype(np.float32), _GREY))
    _check(found, Image.fromarray(rgb[..., 0]))


@_WAYS
def test_lab_is_shown_in_its_colours(parts: _Parts) -> None:
    rgb = _rgb()
    transform = ImageCms.buildTransform(
        ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB"), "RGB", "LAB",
        renderingIntent=ImageCms.Intent.RELATIVE_COLORIMETRIC,
    )  # fmt: skip
    signed = np.asarray(ImageCms.applyTransform(Image.fromarray(rgb), transform))
    lab = signed ^ np.array([0, 128, 128], np.uint8)
    for samples in (lab, np.dstack([lab, _selections(2)])):
        _check(large(_psd(samples, _LAB, parts)), Image.fromarray(rgb))
    deep = lab.astype(np.uint16) * np.array([257, 256, 256], np.uint16)
    _check(large(_psd(deep, _LAB, parts)), Image.fromarray(rgb))


@_WAYS
def test_one_bit_and_palettes(parts: _Parts) -> None:
    rgb = _rgb()
    black = rgb[..., 1] < 128
    bits = np.packbits(black, axis=1)[..., None]
    _check(large(_psd(bits, _BITMAP, parts)), Image.fromarray(~black))
    indexed = Image.fromarray(rgb).quantize(200)
    table = np.zeros((256, 3), np.uint8)
    colours = np.array(indexed.getpalette(), np.uint8).reshape(-1, 3)
    table[: len(colours)] = colours
    file = _psd(np.asarray(indexed)[..., None], _INDEXED, parts._replace(palette=table.T.tobytes()))
    _check(large(file), indexed.convert("RGB"))


@pytest.mark.parametrize("orientation", range(1, 9))
def test_it_is_turned_as_its_exif_says(orientation: int) -> None:
    picture = Image.fromarray(_rgb())
    stored = Image.open(io.BytesIO(pictures.oriented(picture, orientation)))
    exif = pictures.exif(orientation).removeprefix(b"Exif\0\0")
    made = large(_psd(np.asarray(stored), _RGB, _Parts(resources=((1058, exif),))))
    _check(made, picture)


@needs(Capability.IMAGEMAGICK)
@pytest.mark.parametrize(
    "options",
    [
        "-depth 8", "-depth 16", "-depth 8 -compress RLE", "-colorspace Gray -depth 8",
        "-colorspace Gray -depth 16 -compress RLE", "-colorspace CMYK -depth 8",
        "-alpha set -channel A -evaluate multiply 0.6 +channel -depth 8",
    ],
)  # fmt: skip
@pytest.mark.parametrize("kind", ["psd", "psb"])
def test_what_imagemagick_writes_it_shows_alike(tmp_path: Path, kind: str, options: str) -> None:
    pictures.put(tmp_path / "a.png", pictures.encode(_rgb(), "PNG"))
    file = tmp_path / f"a.{kind}"
    others.run("convert", tmp_path / "a.png", *options.split(), f"{kind}:{file}")
    if "CMYK" in options:
        # Inks without a profile: what libvips makes of them is its own affair, their place is not.
        theirs = np.asarray(others.imagemagick(file).convert("L").resize((256, 189)), float)
        ours = np.asarray(Image.fromarray(large(file.read_bytes())).convert("L"), float)
        assert np.corrcoef(ours.ravel(), theirs.ravel())[0, 1] > 0.95
        return
    wanted = others.imagemagick(file)
    if "-alpha" in options:
        # It takes out a white that it has not put in.
        wanted = Image.fromarray(_rgb())
        wanted.putalpha(153)
    _check(large(file.read_bytes()), wanted)


@_WAYS
def test_three_quarters_of_the_rows_or_none(parts: _Parts) -> None:
    file = _psd(_rgb(), _RGB, parts)
    assert make(file[: int(len(file) * 0.97)]).pictures
    for share in (0.5, 0.8, 0.01):
        with pytest.raises(faults.TruncatedPicture):
            make(file[: int(len(file) * share)])


def test_rows_are_lost_with_any_of_their_colours() -> None:
    file = _psd(_rgb(), _RGB, _Parts(packed=True))
    noise = Random(4).randbytes(len(file) // 5)  # noqa: S311 - damage, not secrets
    # It takes the last quarter of red and the first third of green.
    at = len(file) // 4
    with pytest.raises(faults.TruncatedPicture):
        make(file[:at] + noise + file[at + len(noise) :])
    # A fifth of red alone is not too much.
    assert make(file[:at] + noise[: len(noise) // 3] + file[at + len(noise) // 3 :]).pictures


def test_what_the_thumbnail_mixes_with_lost_rows_is_lost() -> None:
    grey = photo(800, 600)[..., :1]
    file = _psd(grey, _GREY)
    left_out = {rows: file[: len(file) - grey.size + rows * 800] for rows in (451, 460)}
    with pytest.raises(faults.TruncatedPicture):
        make(left_out[451])
    wanted, found = (large(data).astype(int) for data in (file, left_out[460]))
    assert (np.abs(found - wanted).max(-1) <= 20).mean() >= faults.ENOUGH_ROWS


def test_what_is_not_read_is_said() -> None:
    rgb = _rgb()
    with pytest.raises(faults.Unsupported, match="without a merged picture"):
        make(_psd(rgb, _RGB, _Parts(resources=((1057, b"\0\0\0\1\0" + bytes(9)),))))
    zipped = bytearray(_psd(rgb, _RGB))
    zipped[-rgb.size - 1] = 4
    with pytest.raises(faults.Unsupported, match="compression 4"):
        make(bytes(zipped))
    with pytest.raises(faults.InvalidPicture, match="3 channels"):
        make(_psd(rgb[..., :2], _RGB))
    with pytest.raises(faults.Unsupported, match="mode 5"):
        make(_psd(rgb, 5))
    assert make(_psd(rgb[:60, :100], 5)).small


def test_one_ink_is_grey_and_missing_inks_are_none() -> None:
    """Multichannel (mode 7) has as many inks as a picture was printed with."""
    samples = photo(300, 200, seed=4)
    one, grey = (large(pictures.photoshop(samples[..., :1], mode=mode)) for mode in (7, 1))
    assert np.array_equal(one, grey)
    three = samples.copy()
    three[..., 2] = 255
    two = large(pictures.photoshop(samples[..., :2], mode=7))
    assert np.array_equal(two, large(pictures.photoshop(three, mode=7)))
