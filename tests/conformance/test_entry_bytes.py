"""What an entry is made of: pixels, text, place and modes, read by others than pregen."""

from __future__ import annotations

import stat
from typing import TYPE_CHECKING

import pytest

from tests.support.files import foreign_entries
from tests.support.judges import desktops, png_walk

if TYPE_CHECKING:
    from tests.conformance.conftest import Library

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("desktops")]

each_flavor = pytest.mark.parametrize("flavor", desktops.FLAVORS)


@each_flavor
def test_pillow_reads_8_bit_rgba_with_the_exact_long_edge(library: Library, flavor: str) -> None:
    for source in library.made:
        entry = foreign_entries.read(library.cache, flavor, source)
        header = png_walk.chunks(entry.data)[0][1]
        assert tuple(header[8:13]) == (8, 6, 0, 0, 0), f"{source.name}: not 8-bit RGBA, plain"
        picture, original = entry.image, entry.original_size
        assert picture.mode == "RGBA"
        assert max(picture.size) == min(foreign_entries.BOX_PX[flavor], max(original)), source.name
        scale = max(picture.size) / max(original)
        for got, full in zip(picture.size, original, strict=True):
            assert abs(got - max(full * scale, 1)) <= 1, f"{source.name}: aspect not kept"


@each_flavor
def test_the_text_stands_in_the_order_that_all_desktops_can_read(
    library: Library, flavor: str
) -> None:
    for source in library.made:
        facts = source.stat()
        seconds, nanoseconds = divmod(facts.st_mtime_ns, 10**9)
        found = png_walk.texts(foreign_entries.read(library.cache, flavor, source).data)
        assert all(text.before_idat for text in found)
        if nanoseconds // 1000:
            first, *found = found
            assert first[:2] == ("iTXt", "Thumb::MTime")
            assert first.value == f"{seconds}.{nanoseconds // 1000:06d}"
        assert {text.kind for text in found} == {"tEXt"}
        keys = [text.key for text in found]
        assert keys == [key for key in foreign_entries.KEYS if key in keys], source.name
        values = {text.key: text.value for text in found}
        assert values["Thumb::URI"] == desktops.glib_uri(source)
        assert values["Thumb::MTime"] == str(seconds)
        assert values["Thumb::Size"] == str(facts.st_size)
        assert values["Software"].startswith("pregen ")


def test_the_text_tells_the_type_and_the_size_of_the_original(library: Library) -> None:
    expected = {
        "a.jpg": ("image/jpeg", (640, 427)),
        "a.png": ("image/png", (640, 427)),
        "a.webp": ("image/webp", (640, 427)),
        "a.tif": ("image/tiff", (640, 427)),
        "a.avif": ("image/avif", (640, 427)),
        "a.jp2": ("image/jp2", (640, 427)),
        "a.gif": ("image/gif", (640, 427)),
        "a.bmp": ("image/bmp", (640, 427)),
        "merged.psd": ("image/vnd.adobe.photoshop", (640, 480)),
        "drawing.svg": ("image/svg+xml", (600, 400)),
        "tall.jpg": ("image/jpeg", (90, 1500)),
    }
    for name, facts in expected.items():
        entry = foreign_entries.read(library.cache, "large", library.folder / "made" / name)
        assert (entry.text("Thumb::Mimetype"), entry.original_size) == facts


def test_modes_are_private_whatever_the_umask(library: Library) -> None:
    root = library.cache / "thumbnails"
    folders = [root, *(path for path in root.rglob("*") if path.is_dir())]
    assert {folder.name for folder in folders} >= {"thumbnails", *desktops.FLAVORS}
    assert {stat.S_IMODE(folder.stat().st_mode) for folder in folders} == {0o700}
    assert {stat.S_IMODE(file.stat().st_mode) for file in foreign_entries.files(library.cache)} == {
        0o600
    }
    assert not foreign_entries.leftovers(library.cache)
