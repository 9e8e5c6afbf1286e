"""Every entry is accepted by every desktop: the first promise, asked of the desktops themselves."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.judges import desktops
from tests.support.running.capabilities import Capability, needs

if TYPE_CHECKING:
    from tests.conformance.conftest import Library

pytestmark = [pytest.mark.desktop, pytest.mark.xdist_group("desktops"), pytest.mark.slow]

each_flavor = pytest.mark.parametrize("flavor", desktops.FLAVORS)


def test_every_made_picture_got_its_entries(library: Library) -> None:
    kinds = library.kinds("made")
    assert set(kinds.values()) == {"made"}, kinds


@needs(Capability.CORPUS)
@pytest.mark.parametrize(("folder", "count"), [("camera", 22), ("orientation", 16)])
def test_every_real_photo_got_its_entries(library: Library, folder: str, count: int) -> None:
    kinds = library.kinds(folder)
    assert kinds == dict.fromkeys(kinds, "made")
    assert len(kinds) == count


@needs(Capability.CORPUS)
def test_real_files_of_other_formats_end_as_they_should(library: Library) -> None:
    expected = {
        "alpha-lossy.webp": "made",
        "alpha-palette.png": "made",
        "animation.webp": "made",
        "balloon.jp2": "made",
        "exif.webp": "made",
        "large.png": "made",
        "lossy.webp": "made",
        "multipage.tif": "made",
        "photo.avif": "made",
        "scan-v800.tif": "made",
        "cheers.heic": "made",
        "exif-at-eof.heic": "made",
        "iphone.heic": "made",
        "nikon.nef": "made",  # a JPEG by its content
        "clip.3gp": "made",
        "clip.mov": "made",
        "clip.mp4": "made",
        "clip.mts": "made",
        "tiny-cmyk16.psd": "small",
        "tiny-interlaced.png": "small",
        "tiny.bmp": "small",
        "tiny.gif": "small",
        "tiny.ppm": "small",
    }
    assert library.kinds("formats") == expected


@needs(Capability.GIO)
@each_flavor
def test_gio_says_valid(library: Library, flavor: str) -> None:
    answers = desktops.gio_flavor(library.cache, flavor, library.made)
    refused = {s.name: a for s, a in zip(library.made, answers, strict=True) if not a.valid}
    assert not refused
    assert [a.uri for a in answers] == [desktops.glib_uri(source) for source in library.made]


@needs(Capability.GIO)
def test_gio_says_valid_with_all_flavors_there(library: Library) -> None:
    answers = desktops.gio(library.cache, library.made)
    assert all(answer.valid for answer in answers)
    assert all(b"/xx-large/" in (answer.path or b"") for answer in answers)


@needs(Capability.GNOME_DESKTOP)
@each_flavor
def test_gnome_desktop_finds_it(library: Library, flavor: str) -> None:
    answers = desktops.gnome_desktop(library.cache, flavor, library.made)
    missed = [s.name for s, answer in zip(library.made, answers, strict=True) if not answer.path]
    assert not missed


@needs(Capability.TUMBLER)
@each_flavor
def test_tumbler_is_content_and_leaves_it_alone(library: Library, flavor: str) -> None:
    answers = desktops.tumbler(library.cache, flavor, library.made)
    wanted = desktops.TumblerAnswer(ready=True, error="", untouched=True)
    assert {s.name: a for s, a in zip(library.made, answers, strict=True) if a != wanted} == {}
