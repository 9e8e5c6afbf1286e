"""JPEG 2000: every size and depth at every resolution, what its boxes say, and damage."""

from __future__ import annotations

import contextlib
import os
import shutil
import struct
import subprocess
from random import Random
from typing import TYPE_CHECKING, Any

import imagecodecs
import numpy as np
import pytest
from PIL import Image

from pregen.imaging import sniff
from pregen.imaging.containers import jp2
from pregen.imaging.decoders import jpeg2000, openjpeg
from pregen.imaging.decoders.base import Request
from pregen.imaging.faults import Fault, InvalidPicture, TruncatedPicture
from pregen.imaging.pixels.resample import Pixels
from pregen.imaging.source_bytes import SourceBytes
from pregen.model import Flavor
from tests.support.files import pictures
from tests.support.files.photo import photo, psnr_db
from tests.support.judges import foreign_decoders
from tests.support.judges.decoding import large, make, pixels_of
from tests.support.running.capabilities import Capability, needs

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from numpy.typing import NDArray

#: A resolution is at least twice as large as what is asked for.
_BOX_PX = 8
_LEAST_PX = 2 * _BOX_PX


def _ramps(width_px: int, height_px: int) -> NDArray[np.uint8]:
    """Return a picture whose samples tell their column and row; a low-pass keeps it as it is."""
    columns = np.broadcast_to(np.arange(width_px)[None, :], (height_px, width_px))
    rows = np.broadcast_to(np.arange(height_px)[:, None], (height_px, width_px))
    return np.stack([columns, rows, columns], axis=-1).astype(np.uint8)


def _decoded(data: bytes, box_px: int = _BOX_PX) -> NDArray[Any]:
    """Return the pixels as the decoder hands them on."""
    fd = os.memfd_create("source")
    try:
        os.write(fd, data)
        found = sniff.sniff(data[: sniff.HEAD_BYTES])
        assert found is not None
        source = SourceBytes(fd, len(data), data[: sniff.HEAD_BYTES])
        request = Request(source, found, lambda _: None)
        pixels = jpeg2000.open_picture(request).decode(box_px)
        assert isinstance(pixels, Pixels)
        samples: NDArray[Any] = pixels.image.numpy()
        return samples
    finally:
        os.close(fd)


def _places(edge_px: int, count: int) -> NDArray[np.float64]:
    """Where the middles of `count` pixels lie that share an edge, in pixels of it."""
    return (np.arange(count) + 0.5) * edge_px / count - 0.5


@pytest.mark.parametrize("tiles", [{}, {"tile_size": (50, 37)}])
@pytest.mark.parametrize("bare", [False, True])
@pytest.mark.parametrize("halvings", [1, 2, 3])
def test_every_size_is_read_at_a_reduced_resolution(
    halvings: int,
    bare: bool,  # noqa: FBT001 - a parameter
    tiles: dict[str, Any],
) -> None:
    step = 1 << halvings
    for width_px in range(_LEAST_PX * step, (_LEAST_PX + 1) * step):
        for height_px in range(7 * step, 8 * step, 1 + (step > 4)):
            picture = _ramps(width_px, height_px)
            data = pictures.encode(picture, "JPEG2000", num_resolutions=4, no_jp2=bare, **tiles)
            found = _decoded(data)
            rows, columns = -(-height_px // step), -(-width_px // step)
            assert found.shape == (rows, columns, 3), (width_px, height_px)
            inner = slice(1, -2), slice(1, -2)
            across = np.abs(found[..., 0] - _places(width_px, columns)[None, :])[inner]
            down = np.abs(found[..., 1] - _places(height_px, rows)[:, None])[inner]
            assert across.max() <= 1.5, (width_px, height_px)
            assert down.max() <= 1.5, (width_px, height_px)


def test_a_thread_is_read_at_a_reduced_resolution() -> None:
    data = pictures.encode(_ramps(250, 1), "JPEG2000", num_resolutions=4, tile_size=(64, 64))
    assert _decoded(data).shape == (1, 16, 3)


@pytest.mark.parametrize("bare", [False, True])
@pytest.mark.parametrize(
    "grid",
    [
        {"offset": (17, 5), "tile_size": (2000, 2000)},
        {"offset": (0, 9), "tile_size": (256, 256)},
        {"offset": (1, 1), "tile_size": (300, 200)},
        {"offset": (17, 5), "tile_offset": (3, 2), "tile_size": (300, 200)},
    ],
)
def test_a_part_of_a_larger_grid_is_read(bare: bool, grid: dict[str, Any]) -> None:  # noqa: FBT001 - a parameter
    picture = Image.fromarray(photo(1025, 771))
    found = large(pictures.encode(picture, "JPEG2000", no_jp2=bare, **grid))
    wanted = picture.resize((256, 193), Image.Resampling.LANCZOS)
    assert psnr_db(found[..., :3], wanted) > 40


def test_what_lies_before_the_codestream_is_not_taken_for_it() -> None:
    data = pictures.encode(_ramps(130, 60), "JPEG2000", num_resolutions=3)
    box = b"\0\0\0\x18uuid" + b"\xff\x52" * 8
    at = data.index(b"jp2c") - 4
    assert _decoded(data[:at] + box + data[at:]).shape == (8, 17, 3)


@pytest.mark.parametrize("marker", [0xFF30, 0xFF3F])
def test_a_marker_without_a_length_is_passed_over(marker: int) -> None:
    """Those are reserved (15444-1, A.1.3); files of the standard's own tests have one."""
    data = pictures.encode(_ramps(130, 60), "JPEG2000", no_jp2=True, num_resolutions=3)
    at = data.index(b"\xff\x90")
    more = data[:at] + marker.to_bytes(2, "big") + data[at:]
    assert np.array_equal(_decoded(more), _decoded(data))


# --- What the boxes and the components say --------------------------------------------------------

_WIDTH_PX, _HEIGHT_PX = 701, 503
_PHOTO = photo(_WIDTH_PX, _HEIGHT_PX, 5)


def _box(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", 8 + len(body)) + kind + body


def _boxed(samples: NDArray[Any], *boxes: bytes, bits: int = 0) -> bytes:
    """Return a JP2 of rows x columns x components; boxes behind its size are what is tried."""
    bits = bits or samples.itemsize * 8
    height_px, width_px, count = samples.shape
    stream = imagecodecs.jpeg2k_encode(
        np.ascontiguousarray(samples),
        level=0,
        reversible=True,
        mct=False,
        codecformat="j2k",
        bitspersample=bits,
    )
    size = _box(b"ihdr", struct.pack(">IIHBBBB", height_px, width_px, count, bits - 1, 7, 0, 0))
    return (
        _box(b"jP  ", b"\r\n\x87\n")
        + _box(b"ftyp", b"jp2 \0\0\0\0jp2 ")
        + _box(b"jp2h", size + b"".join(boxes))
        + _box(b"jp2c", bytes(stream))
    )


def _space(number: int) -> bytes:
    return _box(b"colr", struct.pack(">BBBI", 1, 0, 0, number))


def _roles(*parts: tuple[int, int, int]) -> bytes:
    body = b"".join(struct.pack(">HHH", *part) for part in parts)
    return _box(b"cdef", struct.pack(">H", len(parts)) + body)


def _ycc(rgb: NDArray[np.uint8], *, narrow: bool = False) -> NDArray[np.uint8]:
    """BT.601, of full range or not, by its definition."""
    red, green, blue = np.moveaxis(rgb / 255, -1, 0)
    luma = 0.299 * red + 0.587 * green + 0.114 * blue
    cb, cr = (blue - luma) / 1.772, (red - luma) / 1.402
    parts = [16 + 219 * luma, 128 + 224 * cb, 128 + 224 * cr]
    if not narrow:
        parts = [255 * luma, 128 + 255 * cb, 128 + 255 * cr]
    return np.asarray(np.clip(np.rint(np.stack(parts, -1)), 0, 255), np.uint8)


_ALPHA = np.broadcast_to(
    np.linspace(40, 255, _WIDTH_PX).astype(np.uint8)[None, :, None], (_HEIGHT_PX, _WIDTH_PX, 1)
)
_MULTIPLIED = np.rint(_PHOTO * (_ALPHA / 255)).astype(np.uint8)
_SAME: dict[str, Callable[[], bytes]] = {
    "blue first": lambda: _boxed(
        _PHOTO[..., ::-1], _space(16), _roles((0, 0, 3), (1, 0, 2), (2, 0, 1))
    ),
    "sYCC": lambda: _boxed(_ycc(_PHOTO), _space(18)),
    "JFIF's YCbCr": lambda: _boxed(_ycc(_PHOTO), _space(3)),
    "narrow YCbCr": lambda: _boxed(_ycc(_PHOTO, narrow=True), _space(4)),
    "CMY": lambda: _boxed(255 - _PHOTO, _space(11)),
    "a space nobody knows before one": lambda: _boxed(_PHOTO, _space(99), _space(16)),
    "16 bits": lambda: _boxed(_PHOTO.astype(np.uint16) * 257, _space(16)),
    "12 bits": lambda: _boxed(
        np.rint(_PHOTO / 255 * 4095).astype(np.uint16), _space(16), bits=12
    ),
    "signed": lambda: _boxed((_PHOTO ^ 128).view(np.int8), _space(16)),
    "a channel that is no colour": lambda: _boxed(
        np.dstack([_PHOTO, _ALPHA]), _space(16),
        _roles((0, 0, 1), (1, 0, 2), (2, 0, 3), (3, 65535, 65535)),
    ),
    "five components": lambda: _boxed(np.dstack([_PHOTO, _ALPHA, _ALPHA]), _space(16)),
}  # fmt: skip


def _apart(found: NDArray[np.uint8], wanted: Image.Image) -> float:
    """Mean difference of colours, in levels, from a picture reduced by Pillow."""
    size = (found.shape[1], found.shape[0])
    best = np.asarray(wanted.convert("RGBA").resize(size, Image.Resampling.LANCZOS)).astype(int)
    assert np.abs(found[..., 3] - best[..., 3]).mean() < 1.5
    return float(np.abs(found[..., :3].astype(int) - best[..., :3]).mean())


@pytest.mark.parametrize("name", _SAME)
def test_a_picture_is_shown_as_its_boxes_say(name: str) -> None:
    assert _apart(large(_SAME[name]()), Image.fromarray(_PHOTO)) < 1.5


@pytest.mark.parametrize("kind", ["u1", "u2"])
@pytest.mark.parametrize("multiplied", [False, True])
def test_an_alpha_is_one_whether_multiplied_in_or_not(multiplied: bool, kind: str) -> None:  # noqa: FBT001 - a parameter
    colours = _MULTIPLIED if multiplied else _PHOTO
    samples = np.dstack([colours, _ALPHA]).astype(kind) * (1 if kind == "u1" else 257)
    roles = _roles((0, 0, 1), (1, 0, 2), (2, 0, 3), (3, 1 + multiplied, 0))
    wanted = Image.fromarray(np.dstack([_PHOTO, _ALPHA]))
    assert _apart(large(_boxed(samples, _space(16), roles)), wanted) < 1.5
    # An alpha may come first.
    first = np.roll(samples, 1, axis=-1)
    roles = _roles((0, 1 + multiplied, 0), (1, 0, 1), (2, 0, 2), (3, 0, 3))
    assert _apart(large(_boxed(first, _space(16), roles)), wanted) < 1.5


@pytest.mark.parametrize("bits", [1, 2, 4])
def test_few_bits_are_the_whole_range(bits: int) -> None:
    most = (1 << bits) - 1
    grey = np.rint(_PHOTO[..., :1] / 255 * most).astype(np.uint8)
    found = large(_boxed(grey, _space(17), bits=bits))
    wanted = Image.fromarray((grey[..., 0] * (255 // most)).astype(np.uint8))
    assert _apart(found, wanted) < 4


def test_a_palette_may_have_a_depth_and_columns_of_its_own() -> None:
    few = Image.fromarray(_PHOTO).quantize(64, dither=Image.Dither.NONE)
    rgb = np.array(few.getpalette("RGB"), np.uint16).reshape(-1, 3)
    rows = (rgb[:, ::-1] * 257).astype(">u2").tobytes()
    palette = _box(b"pclr", struct.pack(">HB3B", len(rgb), 3, 15, 15, 15) + rows)
    channels = _box(b"cmap", b"".join(struct.pack(">HBB", 0, 1, n) for n in (2, 1, 0)))
    data = _boxed(np.asarray(few)[..., None], _space(16), palette, channels)
    assert _apart(large(data), few.convert("RGB")) < 1.5


def test_a_damaged_palette_is_no_picture() -> None:
    palette = _box(b"pclr", struct.pack(">HB3B", 1, 3, 7, 7, 7) + bytes(3))
    channels = _box(b"cmap", struct.pack(">HBB", 7, 1, 0))
    with pytest.raises(InvalidPicture, match="palette"):
        make(_boxed(_PHOTO[..., :1], _space(16), palette, channels))


@needs(Capability.JP2_TOOLS)
@pytest.mark.parametrize(
    "options",
    [
        ["-d", "37,21"], ["-d", "37,21", "-t", "300,200", "-T", "11,7"], ["-t", "123,77"],
        ["-p", "PCRL", "-r", "4"], ["-r", "30,20,10"], ["-I", "-r", "10"], ["-M", "63"],
        ["-n", "1"], ["-s", "2,2"], ["-SOP", "-EPH"], ["-b", "16,16", "-c", "[64,64],[64,64]"],
    ],
    ids=" ".join,
)  # fmt: skip
def test_others_show_the_same(options: list[str], tmp_path: Path) -> None:
    Image.fromarray(photo(1203, 901, 2)).save(tmp_path / "a.ppm")
    paths = [str(tmp_path / name) for name in ("a.ppm", "a.jp2")]
    command = ["opj_compress", "-i", paths[0], "-o", paths[1], *options]
    subprocess.run(command, check=True, capture_output=True)
    theirs = foreign_decoders.opj_decompress(tmp_path / "a.jp2")
    wanted = Image.fromarray(np.rint(theirs.samples[..., :3] * 255).astype(np.uint8))
    assert _apart(large((tmp_path / "a.jp2").read_bytes()), wanted) < 1.5


@needs(Capability.JP2_TOOLS, Capability.FFMPEG)
@pytest.mark.parametrize("pixels", ["yuv420p", "yuv422p", "yuv444p", "rgb48"])
def test_components_may_share_pixels(pixels: str, tmp_path: Path) -> None:
    Image.fromarray(photo(1202, 900, 2)).save(tmp_path / "a.ppm")
    assert shutil.which("ffmpeg")
    subprocess.run(
        ["ffmpeg", "-v", "error", "-i", tmp_path / "a.ppm", "-c:v", "jpeg2000", "-pix_fmt", pixels,
         "-frames:v", "1", tmp_path / "a.jp2"], check=True,
    )  # fmt: skip
    theirs = foreign_decoders.opj_decompress(tmp_path / "a.jp2")
    wanted = Image.fromarray(np.rint(theirs.samples[..., :3] * 255).astype(np.uint8))
    assert _apart(large((tmp_path / "a.jp2").read_bytes()), wanted) < 1.5


# --- Damage ---------------------------------------------------------------------------------------


def _encoded(**options: Any) -> bytes:
    return pictures.encode(Image.fromarray(_PHOTO), "JPEG2000", **options)


_SOUND: dict[str, Callable[[], bytes]] = {
    "reversible": lambda: _encoded(num_resolutions=6),
    "bare": lambda: _encoded(no_jp2=True),
    "layers": lambda: _encoded(
        irreversible=True, quality_mode="rates", quality_layers=[80, 40, 20, 8]
    ),
    "tiles": lambda: _encoded(tile_size=(128, 128), quality_mode="rates", quality_layers=[8]),
    "RPCL": lambda: _encoded(progression="RPCL", quality_mode="rates", quality_layers=[10]),
    "PCRL": lambda: _encoded(progression="PCRL", quality_mode="rates", quality_layers=[10]),
    "CPRL": lambda: _encoded(progression="CPRL", quality_mode="rates", quality_layers=[10]),
    "small blocks": lambda: _encoded(codeblock_size=(16, 16), precinct_size=(64, 64)),
    "one resolution": lambda: _encoded(num_resolutions=1),
}
_ROUNDS = 8


@pytest.mark.parametrize("kind", ["zeroed", "randomised", "cut"])
@pytest.mark.parametrize("name", _SOUND)
def test_three_quarters_are_shown_or_nothing(name: str, kind: str) -> None:
    sound = _SOUND[name]()
    wanted = large(sound).astype(int)
    for number in range(_ROUNDS):
        chance = Random(f"{name} {kind} {number}")  # noqa: S311 - damage, not secrets
        data = bytearray(sound)
        size = int(len(sound) * chance.choice((0.01, 0.1, 0.3, 0.5, 0.8)))
        at = chance.randrange(len(sound) - size)
        if kind == "zeroed":
            data[at : at + size] = bytes(size)
        elif kind == "randomised":
            data[at : at + size] = chance.randbytes(size)
        else:
            del data[-size:]
        try:
            found = pixels_of(make(bytes(data)).pictures[Flavor.LARGE]).astype(int)
        except Fault:
            continue
        assert found.shape == wanted.shape
        assert (np.abs(found - wanted).max(-1) <= 32).mean() >= 0.75, number


@pytest.mark.parametrize("places", [0, 1, 6])
def test_a_damaged_file_costs_a_few_decodes(places: int, monkeypatch: pytest.MonkeyPatch) -> None:
    sound = _SOUND["PCRL"]()
    chance = Random(places)  # noqa: S311 - damage, not secrets
    data = bytearray(sound)
    for _ in range(places):
        at = chance.randrange(500, len(sound) - 500)
        data[at : at + 200] = chance.randbytes(200)
    decode, wholes, samples = openjpeg.decode, 0, 0

    def counted(read_at: Any, size_bytes: int, wish: openjpeg.Wish, *more: Any) -> Any:
        nonlocal wholes, samples
        if wish.area is None:
            wholes += 1
        else:
            left, top, right, bottom = wish.area
            samples += (right - left) * (bottom - top)
        return decode(read_at, size_bytes, wish, *more)

    monkeypatch.setattr(openjpeg, "decode", counted)
    with contextlib.suppress(InvalidPicture):
        make(bytes(data))
    assert wholes == 1
    assert (samples > 0) == (places > 0)
    assert samples <= 3 * _WIDTH_PX * _HEIGHT_PX


@needs(Capability.FFMPEG)
@pytest.mark.parametrize("rates", ["100,20,5", "200,50", "10,1"])
def test_blocks_that_a_writer_cuts_short_are_sound(rates: str, tmp_path: Path) -> None:
    samples = np.full((400, 620, 3), 90, np.uint8)
    samples[60:200, 90:380] = (200, 60, 40)
    samples[250:, 400:] = _PHOTO[:150, :220]
    picture, file = Image.fromarray(samples), tmp_path / "a.j2k"
    picture.save(tmp_path / "a.png")
    subprocess.run(
        ["ffmpeg", "-v", "error", "-i", tmp_path / "a.png", "-c:v", "jpeg2000", "-format", "j2k",
         "-layer_rates", rates, "-f", "image2", file],
        check=True,
    )  # fmt: skip
    assert _apart(large(file.read_bytes()), picture) < 4


@pytest.mark.parametrize(
    ("at", "size", "options"),
    [
        (1636, 269, {}),
        (1947, 21, {"irreversible": True, "quality_layers": [20]}),
    ],
)
def test_a_few_zeros_in_the_coarsest_blocks_are_seen(
    at: int, size: int, options: dict[str, Any]
) -> None:
    sound = pictures.encode(photo(720, 540, seed=8), "JPEG2000", **options)
    with pytest.raises(InvalidPicture):
        large(sound[:at] + bytes(size) + sound[at + size :])


def test_a_damaged_length_costs_no_more_than_the_tile_can_have(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    sound = _SOUND["bare"]()
    length_at = sound.index(b"\xff\x90\0\x0a") + jp2.PART_LENGTH_AT
    decode, longest_bytes = openjpeg.decode, 0

    def counted(read_at: Any, size_bytes: int, *more: Any) -> Any:
        nonlocal longest_bytes
        longest_bytes = max(longest_bytes, size_bytes)
        return decode(read_at, size_bytes, *more)

    monkeypatch.setattr(openjpeg, "decode", counted)
    make(sound[:length_at] + b"\xff" * 4 + sound[length_at + 4 :])
    assert len(sound) < longest_bytes < 3 * _PHOTO.size


def test_a_file_that_ends_early_says_so() -> None:
    sound = _SOUND["PCRL"]()
    with pytest.raises(TruncatedPicture, match="75% needed"):
        make(sound[: len(sound) // 2])
    with pytest.raises(TruncatedPicture):
        make(sound[:100])
    tiles = _SOUND["tiles"]()
    with pytest.raises(TruncatedPicture):
        make(tiles[: len(tiles) // 2])


def test_what_is_left_of_most_of_a_file_is_shown() -> None:
    tiles = _SOUND["tiles"]()
    wanted = large(tiles).astype(int)
    found = large(tiles[: len(tiles) * 95 // 100]).astype(int)
    assert (np.abs(found - wanted).max(-1) <= 32).mean() > 0.85


def test_long_runs_of_packets_without_content_are_no_damage() -> None:
    flat = np.zeros((2000, 2000, 3), np.uint8)
    flat[900:1000, 900:1000] = _PHOTO[:100, :100]
    data = pictures.encode(
        Image.fromarray(flat), "JPEG2000", precinct_size=(64, 64), num_resolutions=6,
        codeblock_size=(16, 16), quality_mode="rates", quality_layers=[400, 200, 100, 50],
    )  # fmt: skip
    # OpenJPEG writes packets in which no block begins as 0x80; as zeros they say the same.
    body = data[:-2].rstrip(b"\x80") + bytes([0x80] * 8)
    data = body + bytes(len(data) - 2 - len(body)) + data[-2:]
    assert bytes(256) in data
    assert _apart(large(data), Image.fromarray(flat)) < 1.5


def test_messages_of_the_library_do_not_pile_up() -> None:
    talk = openjpeg._Talk()
    for _ in range(1000):
        talk.error(b"x" * 100, None)
    assert len(talk.errors) < 100
