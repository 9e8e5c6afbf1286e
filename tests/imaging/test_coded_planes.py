"""HEIC and AVIF by FFmpeg's planes: what it shows is right, and what it does not know is left."""

from __future__ import annotations

import contextlib
import struct
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image

from pregen.imaging.containers import coded_picture, heif
from pregen.imaging.containers.coded_picture import LeftAloneError
from pregen.imaging.containers.heif import LumaCoding
from pregen.imaging.decoders import base, coded_planes
from pregen.imaging.faults import Fault, InvalidPicture
from pregen.imaging.pixels import planes
from pregen.imaging.pixels.planes import Planes
from pregen.model import Flavor
from tests.support.files import heifs, pictures
from tests.support.files.heifs import camera_hif, coded, file_of, grid, heic
from tests.support.files.photo import photo, psnr_db
from tests.support.files.pictures import encode
from tests.support.judges.decoding import make, pixels_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from tests.support.files.heifs import Part

#: Beside a full decode and Lanczos-3.
_LIKE_DB = 45.0
_THUMBNAIL_PX = (512, 341)


def _photo(width_px: int, height_px: int, seed: int = 5) -> Image.Image:
    return Image.fromarray(photo(width_px, height_px, seed=seed))


def _shown(data: bytes, flavor: Flavor = Flavor.LARGE) -> tuple[Image.Image, str]:
    made = make(data, (flavor,))
    return Image.fromarray(pixels_of(made.pictures[flavor])).convert("RGB"), made.loader


def _db(shown: Image.Image, full: Image.Image) -> float:
    wanted = full.convert("RGB").resize(shown.size, Image.Resampling.LANCZOS)
    return psnr_db(np.asarray(shown), np.asarray(wanted))


def _without_ffmpeg(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(base, "optional_module", lambda _: None)


# --- the thumbnails of cameras --------------------------------------------------------------------


def _padded(extra_px: int) -> tuple[bytes, Image.Image]:
    """Return a HIF, and what its thumbnail shows; the padding is red."""
    width_px, height_px = _THUMBNAIL_PX
    picture = _photo(*_THUMBNAIL_PX)
    whole = Image.new("RGB", (width_px, height_px + extra_px), "red")
    whole.paste(picture)
    return camera_hif(heic(_photo(900, 600)), heic(whole), _THUMBNAIL_PX), picture


def test_a_padded_thumbnail_is_shown_without_its_padding() -> None:
    data, picture = _padded(3)
    made = make(data)
    shown, loader = _shown(data)
    assert loader == "ffmpeg"
    assert made.bytes_read < len(data) / 2
    assert (made.width_px, made.height_px) == (900, 600)
    assert _db(shown, picture) > 35
    assert _db(shown.crop((0, 160, 256, 171)), picture.crop((0, 320, 512, 341))) > 24


def test_more_than_a_block_of_padding_is_no_padding() -> None:
    data, _ = _padded(64)
    assert make(data).bytes_read >= len(data)


# --- the picture itself ---------------------------------------------------------------------------


def _tiles(
    encoded: Callable[[Image.Image], bytes], size: tuple[int, int] = (700, 500)
) -> tuple[list[Part], Image.Image]:
    """Return a picture of 3 x 2 tiles of 256 pixels, and what it shows."""
    whole = _photo(768, 512)
    tiles = [
        coded(encoded(whole.crop((x, y, x + 256, y + 256))))
        for y in (0, 256)
        for x in (0, 256, 512)
    ]
    return [grid(3, 2, size), *tiles], whole.crop((0, 0, *size))


def _avif(picture: Image.Image) -> bytes:
    return encode(picture, "AVIF", quality=95, speed=9)


@pytest.mark.parametrize("kind", ["heic", "avif"])
@pytest.mark.parametrize("flavor", [Flavor.LARGE, Flavor.X_LARGE])
def test_tiles_make_one_picture(kind: str, flavor: Flavor, monkeypatch: pytest.MonkeyPatch) -> None:
    parts, whole = _tiles(heic if kind == "heic" else _avif)
    data = file_of(parts, kind.encode())
    shown, loader = _shown(data, flavor)
    assert loader == "ffmpeg"
    assert _db(shown, whole) > 33
    _without_ffmpeg(monkeypatch)
    theirs, other = _shown(data, flavor)
    assert other != "ffmpeg"
    assert psnr_db(np.asarray(shown), np.asarray(theirs)) > 42


@pytest.mark.parametrize(
    ("kind", "edges_px"),
    [("heic", (1202, 798)), ("heic", (302, 218)), ("avif", (1201, 799)), ("avif", (301, 217))],
)
def test_a_picture_is_what_the_other_decoder_shows(
    kind: str, edges_px: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    picture = _photo(*edges_px)
    data = heic(picture) if kind == "heic" else _avif(picture)
    shown, loader = _shown(data)
    assert loader == "ffmpeg"
    _without_ffmpeg(monkeypatch)
    theirs, other = _shown(data)
    assert other in {"heif", "pillow"}
    assert psnr_db(np.asarray(shown), np.asarray(theirs)) > _LIKE_DB


@pytest.mark.parametrize("transfer", [16, 18])
def test_hdr_is_mapped_as_by_the_other_decoder(
    transfer: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    nclx = b"nclx" + struct.pack(">HHHB", 9, transfer, 6, 0x80)
    data = file_of([coded(heic(_photo(1200, 800))).said(b"colr", nclx)])
    shown, loader = _shown(data)
    assert loader == "ffmpeg"
    _without_ffmpeg(monkeypatch)
    theirs, _ = _shown(data)
    assert psnr_db(np.asarray(shown), np.asarray(theirs)) > 40


def test_a_turned_picture_is_upright() -> None:
    data = heifs.turned(heifs.corners(1200, 800), irot=True, exif=6)
    made = make(data)
    assert (made.width_px, made.height_px, made.loader) == (800, 1200, "ffmpeg")


def _threads() -> dict[str, str]:
    """Return the threads of this process and their names."""
    found = {}
    for task in Path("/proc/self/task").iterdir():
        with contextlib.suppress(OSError):  # it has ended
            found[task.name] = (task / "comm").read_text().strip()
    return found


def test_decoding_starts_no_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    sources = heic(_photo(600, 400)), _avif(_photo(600, 400))
    for data in sources:  # what is imported may start some
        assert _shown(data)[1] == "ffmpeg"
    before = _threads()
    during: dict[str, str] = {}
    plane = coded_planes._plane

    def watched(frame: Any, number: int) -> Any:
        during.update(_threads())
        return plane(frame, number)

    monkeypatch.setattr(coded_planes, "_plane", watched)
    for data in sources:
        _shown(data)
    assert during
    begun = {name for task, name in during.items() if task not in before}
    assert begun <= {"libvips worker"}  # those of libvips come and go


@pytest.mark.parametrize(("lost_rows", "refused"), [(11, True), (9, False)])
def test_a_fifth_of_impossible_colours_is_more_than_a_fourth_lost(
    lost_rows: int, *, refused: bool
) -> None:
    signal = np.full((384, 512, 3), 0.5, np.float32)
    signal[-lost_rows * 8 :] = 1.5  # of 48 rows of windows
    with pytest.raises(InvalidPicture if refused else LeftAloneError):
        coded_planes._check_colours(signal)


# --- what is left to libheif and Pillow -----------------------------------------------------------


def _one() -> Part:
    return coded(heic(_photo(600, 400)))


_CLAP = struct.pack(">8I", 300, 1, 200, 1, 0, 1, 0, 1)


@pytest.mark.parametrize(
    "parts",
    [
        lambda: [_one().said(b"clap", _CLAP, essential=True)],
        lambda: [_one().said(b"colr", b"nclx" + struct.pack(">HHHB", 1, 13, 8, 0x80))],
        lambda: [coded(heic(_photo(600, 400).convert("L")))],
        lambda: _apart(_tiles(heic)[0], 1, lambda tile: tile.said(b"irot", b"\2", essential=True)),
        lambda: _apart(_tiles(heic)[0], 0, lambda whole: whole.said(b"irot", b"\2")._replace(
            references=((b"dimg", (2, 3, 4, 5, 6, 6)),)
        )),
    ],
    ids=["clap", "matrix", "grey", "turned-tile", "same-tile-twice"],
)  # fmt: skip
def test_what_is_unusual_is_left_alone(parts: Callable[[], list[Part]]) -> None:
    assert _shown(file_of(parts()))[1] == "heif"


def _apart(parts: list[Part], index: int, change: Callable[[Part], Part]) -> list[Part]:
    return [change(part) if number == index else part for number, part in enumerate(parts)]


@pytest.mark.parametrize("kind", ["heic", "avif"])
def test_transparency_is_left_alone(kind: str) -> None:
    picture = pictures.rgba(600, 400)
    data = heic(picture) if kind == "heic" else _avif(picture)
    made = make(data)
    assert made.loader in {"heif", "pillow"}
    alpha = pixels_of(made.pictures[Flavor.LARGE])[..., 3]
    assert alpha.min() < 50


def test_a_coded_picture_larger_than_it_says_is_not_decoded(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    seen: list[tuple[int, int]] = []
    plane = coded_planes._plane

    def watched(frame: Any, number: int) -> Any:
        seen.append((frame.width, frame.height))
        return plane(frame, number)

    monkeypatch.setattr(coded_planes, "_plane", watched)
    part = _one()
    assert _shown(file_of([part]))[1] == "ffmpeg"
    assert set(seen) == {(600, 400)}
    seen.clear()
    with pytest.raises(Fault):
        make(file_of([part.sized(300, 200)]))
    assert not seen


def test_codes_that_lost_their_way_are_left_alone() -> None:
    sound = heic(_photo(720, 540))
    loaders = set()
    for share in (0.2, 0.3, 0.4, 0.5):
        at = int(len(sound) * share)
        damaged = sound[:at] + bytes(40) + sound[at + 40 :]
        with contextlib.suppress(Fault):
            loaders.add(_shown(damaged)[1])
    assert _shown(sound)[1] == "ffmpeg"
    assert loaders <= {"heif"}


def test_an_essential_property_that_nobody_knows_is_left_alone() -> None:
    data = file_of([_one().said(b"what", b"?", essential=True)])
    meta = heif.read(lambda at, count: data[at : at + count], len(data))

    def read_at(at: int, count: int) -> bytes:
        return data[at : at + count]

    assert coded_picture.described(meta, meta.items[1], read_at, len(data)) is None


# --- planes ---------------------------------------------------------------------------------------


def _levels(rows: int, columns: int, bits: int, seed: int) -> NDArray[Any]:
    smooth = (
        np.asarray(Image.fromarray(photo(columns, rows, seed=seed)[..., seed % 3]), np.float64)
        / 255
    )
    return np.rint(smooth * ((1 << bits) - 1)).astype(np.uint8 if bits == 8 else np.uint16)


@pytest.mark.parametrize("bits", [8, 10, 12])
@pytest.mark.parametrize("halved", [(True, True), (True, False), (False, False)])
@pytest.mark.parametrize("full", [True, False])
def test_planes_become_what_the_numbers_mean(
    bits: int, halved: tuple[bool, bool], *, full: bool
) -> None:
    width_px, height_px = 403, 301
    rows, columns = -(-height_px // (1 + halved[1])), -(-width_px // (1 + halved[0]))
    luma = _levels(height_px, width_px, bits, 1)
    unit = 1 << (bits - 8)
    chroma = [
        (_levels(rows, columns, bits, seed).astype(np.int64) // 4 + 96 * unit).astype(luma.dtype)
        for seed in (2, 3)
    ]
    size = (width_px // 4, height_px // 4)
    found = planes.signal_of(
        Planes(luma, (chroma[0], chroma[1]), width_px, height_px, halved, bits),
        LumaCoding(9, full),
        size,
    )
    whole = [
        np.asarray(
            Image.fromarray(plane.astype(np.float32)).resize(
                size, Image.Resampling.LANCZOS,
                box=(0, 0, width_px / (1 + half[0]), height_px / (1 + half[1])),
            )
        )
        for plane, half in ((luma, (0, 0)), (chroma[0], halved), (chroma[1], halved))
    ]  # fmt: skip
    most = (1 << bits) - 1
    y = whole[0] / most if full else (whole[0] / unit - 16) / 219
    b, r = ((one - 128 * unit) / (most if full else 224 * unit) for one in whole[1:])
    # ITU-R BT.2020, table 4.
    wanted = np.stack([y + 1.4746 * r, y - 0.16455 * b - 0.57135 * r, y + 1.8814 * b], -1)
    assert np.abs(found - wanted).mean() < 0.006


def test_colours_that_no_rgb_has_are_seen() -> None:
    sound = np.linspace(0, 1, 64 * 64 * 3, dtype=np.float32).reshape(64, 64, 3)
    assert planes.excess(sound).max() == 0
    sound[8:12, 8:12, 2] = 1.2
    assert planes.excess(sound).max() == pytest.approx(0.2, abs=1e-3)
    assert planes.excess(np.full((1, 3, 1), -0.5, np.float32)).max() == 0.5
