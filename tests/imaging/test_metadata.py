"""Whatever is wrong with what is written beside a picture, the picture is shown."""

from __future__ import annotations

import io
import random
import struct
import subprocess
import zlib
from typing import TYPE_CHECKING

import numpy as np
import pillow_heif
import pytest
from PIL import Image

from pregen.imaging.containers import heif
from pregen.imaging.source_bytes import SourceBytes
from tests.support.files import pictures
from tests.support.judges import png_walk
from tests.support.judges.decoding import large
from tests.support.running.capabilities import Capability, needs

if TYPE_CHECKING:
    from pathlib import Path

_EDGES_PX = (300, 200)
_TIFF = b"II*\0\x08\0\0\0\x01\0\x0f\x01\x02\0\x06\0\0\0\x1a\0\0\0\0\0\0\0Canon\0"
_NOISE = random.Random(1).randbytes(400)  # noqa: S311 - damage, not secrets
_WRONG = {
    "noise": _NOISE,
    "a directory of noise": b"II*\0\x08\0\0\0\xff\xff" + _NOISE,
    "a loop": b"II*\0\x08\0\0\0\x01\0\x69\x87\x04\0\x01\0\0\0\x08\0\0\0\x08\0\0\0",
    "two bytes": b"II",
    "nothing": b"",
}
#: How far the mean of an entry may be from that of the same picture without metadata, in levels.
_LEVELS = 1.0


def _picture() -> Image.Image:
    return pictures.image(*_EDGES_PX, 5)


def _by_pillow(kind: str, **options: object) -> bytes:
    out = io.BytesIO()
    _picture().save(out, kind, **options)
    return out.getvalue()


def _shows_the_same(data: bytes, sound: bytes) -> None:
    assert np.abs(large(data).astype(float) - large(sound)).mean() < _LEVELS


@pytest.mark.parametrize("wrong", _WRONG)
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "AVIF", "TIFF"])
def test_a_broken_profile_is_no_profile(kind: str, wrong: str) -> None:
    _shows_the_same(_by_pillow(kind, icc_profile=_WRONG[wrong]), _by_pillow(kind))


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_a_profile_of_other_channels_is_no_profile(kind: str) -> None:
    cmyk = bytearray(Image.new("RGB", (1, 1)).info.get("icc_profile") or _grey_profile())
    _shows_the_same(_by_pillow(kind, icc_profile=bytes(cmyk)), _by_pillow(kind))


def _grey_profile() -> bytes:
    from tests.support.files import colour_spaces  # noqa: PLC0415 - for one

    return colour_spaces.grey("grey").icc


@pytest.mark.parametrize("wrong", _WRONG)
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_broken_exif_and_xmp_cost_nothing(kind: str, wrong: str) -> None:
    exif = b"Exif\0\0" + _WRONG[wrong]
    _shows_the_same(_by_pillow(kind, exif=exif), _by_pillow(kind))
    if kind != "PNG":
        _shows_the_same(_by_pillow(kind, xmp=_WRONG[wrong]), _by_pillow(kind))


def test_png_chunks_that_are_no_picture_may_be_broken() -> None:
    sound = _by_pillow("PNG")
    chunks = png_walk.chunks(sound)
    for kind, body in (
        (b"iCCP", b"p\0\0" + b"not deflate"),
        (b"iCCP", b"p\0\0" + zlib.compress(bytes(1 << 24))),
        (b"iTXt", b"XML:com.adobe.xmp\0\1\0\0\0" + b"not deflate"),
        (b"zTXt", b"Raw profile type exif\0\0" + zlib.compress(bytes(1 << 24))),
        (b"gAMA", bytes(4)),
        (b"cHRM", bytes(32)),
        (b"sBIT", b"\0\xff\0"),
        (b"tIME", b"\0"),
    ):
        head, *rest = chunks
        _shows_the_same(png_walk.build([head, (kind, body), *rest]), sound)


def test_tags_of_a_tiff_that_are_no_picture_may_point_nowhere() -> None:
    sound = _by_pillow("TIFF")
    for tag in (700, 33723, 34377, 34665, 34675, 34853):
        for kind, count, value in ((4, 1, 0xFFFFFFF0), (7, 0x7FFFFFFF, 8), (4, 1, 8)):
            _shows_the_same(_with_tag(sound, tag, kind, count, value), sound)


def _with_tag(data: bytes, tag: int, kind: int, count: int, value: int) -> bytes:
    """Return a little-endian TIFF whose first directory stands at its end, with one tag more."""
    at = int.from_bytes(data[4:8], "little")
    number = int.from_bytes(data[at : at + 2], "little")
    entries = [data[at + 2 + 12 * n : at + 14 + 12 * n] for n in range(number)]
    entries.append(struct.pack("<HHII", tag, kind, count, value))
    entries.sort(key=lambda entry: int.from_bytes(entry[:2], "little"))
    end = len(data) + len(data) % 2
    table = struct.pack("<H", len(entries)) + b"".join(entries) + bytes(4)
    return data[:4] + end.to_bytes(4, "little") + data[8:].ljust(end - 8, b"\0") + table


@pytest.mark.parametrize("kind", ["avif", "heic"])
@pytest.mark.parametrize(
    "places", [(0, b"\xff" * 4), (4, b"zzzz"), (4, b"MM\0\0"), (8, b"\xff\xff\xff\x7f")]
)
def test_a_broken_exif_item_costs_nothing(kind: str, places: tuple[int, bytes]) -> None:
    data = bytearray(_item_file(kind))
    offset, wrong = places
    at = data.rfind(b"II*\0") - 4 + offset
    data[at : at + len(wrong)] = wrong
    _shows_the_same(bytes(data), _item_file(kind))


def test_an_exif_item_past_the_end_costs_nothing() -> None:
    sound = _item_file("avif")
    meta = heif.read(SourceBytes.of(sound).read_at, len(sound))
    (item,) = [one for one in meta.items.values() if one.kind == b"Exif"]
    told = struct.pack(">II", *item.extents[0])
    assert sound.count(told) == 1
    past = struct.pack(">II", len(sound) + 100, 500)
    _shows_the_same(sound.replace(told, past), sound)


def _item_file(kind: str) -> bytes:
    if kind == "avif":
        return _by_pillow("AVIF", exif=_TIFF + bytes(200), xmp=b"<x:xmpmeta/>" * 9)
    out = io.BytesIO()
    file = pillow_heif.from_pillow(_picture())
    file.save(out, exif=b"Exif\0\0" + _TIFF + bytes(200), xmp=b"<x:xmpmeta/>" * 9)
    return out.getvalue()


# Tone mapping for brighter screens (ISO/IEC 21496-1), an item beside the picture -----------------


def _box(kind: bytes, *body: bytes) -> bytes:
    joined = b"".join(body)
    return struct.pack(">I4s", 8 + len(joined), kind) + joined


def _full(kind: bytes, body: bytes, version: int = 0) -> bytes:
    return _box(kind, struct.pack(">I", version << 24), body)


def _with_tone_map(tone_map: bytes, sources: tuple[int, ...]) -> bytes:
    """Return an AVIF of two coded items, of which a third makes a brighter one."""
    plain = _by_pillow("AVIF")
    meta = heif.read(SourceBytes.of(plain).read_at, len(plain))
    main = meta.items[meta.primary]
    offset, size = main.extents[0]
    coded = plain[offset : offset + size]
    names = ((1, b"av01"), (2, b"tmap"), (3, b"av01"))
    entries = b"".join(
        _full(b"infe", struct.pack(">HH4sB", number, 0, kind, 0), 2) for number, kind in names
    )
    told = struct.pack(">I", len(names))
    for number, _ in names:
        mine = [
            index | one.essential << 7
            for index, one in enumerate(main.properties, 1)
            if number != 2 or one.kind in {b"ispe", b"pixi", b"colr"}
        ]
        told += struct.pack(">HB", number, len(mine)) + bytes(mine)
    properties = _box(b"ipco", *(_box(one.kind, one.body) for one in main.properties))
    refers = struct.pack(f">HH{len(sources)}H", 2, len(sources), *sources)

    def listing(at: int) -> bytes:
        places = ((1, at, size), (2, at + size, len(tone_map)), (3, at, size))
        iloc = b"".join(struct.pack(">HHHII", number, 0, 1, *where) for number, *where in places)
        return _full(
            b"meta",
            _full(b"hdlr", struct.pack(">I4s12xB", 0, b"pict", 0))
            + _full(b"pitm", struct.pack(">H", 1))
            + _full(b"iloc", struct.pack(">HH", 0x4400, 3) + iloc)
            + _full(b"iinf", struct.pack(">H", 3) + entries)
            + _full(b"iref", _box(b"dimg", refers))
            + _box(b"iprp", properties, _full(b"ipma", told))
            + _box(b"grpl", _full(b"altr", struct.pack(">IIII", 100, 2, 2, 1))),
        )

    start = _box(b"ftyp", b"avif" + bytes(4) + b"avifmif1miaftmap")
    return start + listing(len(start) + len(listing(0)) + 8) + _box(b"mdat", coded, tone_map)


_TONE_MAPS = {
    "noise": (b"\0\0\0\0\0\xff" + b"x" * 20, (1, 3)),
    "one source": (bytes(66), (1,)),
    "a later version": (b"\1\2\3", (1, 3)),
    "nothing": (b"", (1, 3)),
}


@pytest.mark.parametrize("kind", _TONE_MAPS)
def test_a_broken_tone_map_costs_nothing(kind: str) -> None:
    _shows_the_same(_with_tone_map(*_TONE_MAPS[kind]), _by_pillow("AVIF"))


@needs(Capability.AVIF_TOOLS)
def test_avifdec_shows_them_too(tmp_path: Path) -> None:
    for name, (tone_map, sources) in _TONE_MAPS.items():
        file = pictures.put(tmp_path / f"{name}.avif", _with_tone_map(tone_map, sources))
        subprocess.run(["avifdec", file, tmp_path / "a.png"], check=True, capture_output=True)


def test_a_file_without_items_beside_its_picture_is_left_alone() -> None:
    assert heif.without_metadata(SourceBytes.of(_by_pillow("AVIF"))) is None
    assert heif.without_metadata(SourceBytes.of(b"\0\0\0\x20ftypavif")) is None
