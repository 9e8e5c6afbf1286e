"""The oracles themselves: each says yes to the entry of DESIGN 3.3, and no where it should."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from tests.support.files import foreign_entries
from tests.support.files.pictures import image, jpeg, put
from tests.support.judges import desktops
from tests.support.running.capabilities import Capability, needs

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

pytestmark = pytest.mark.desktop

MTIME_NS = 1_700_000_000_123_456_789
FRACTIONAL = ("iTXt", "Thumb::MTime", "{mtime}.{fraction}")
URI = ("tEXt", "Thumb::URI", "{uri}")
WHOLE = ("tEXt", "Thumb::MTime", "{mtime}")


@pytest.fixture
def hand_made(tmp_path: Path) -> Callable[..., tuple[Path, Path]]:
    """Return a maker of a source and its entry; it gives the cache and the source."""

    def make(flavor: str, *texts: tuple[str, str, str]) -> tuple[Path, Path]:
        source = put(tmp_path / "pictures" / "a b.jpg", jpeg(1100, 700), MTIME_NS)
        box_px = foreign_entries.BOX_PX[flavor]
        picture = image(box_px, box_px // 2).convert("RGBA")
        foreign_entries.foreign(tmp_path / "cache", flavor, source, list(texts), picture)
        return tmp_path / "cache", source

    return make


@needs(Capability.GIO)
@pytest.mark.parametrize("flavor", desktops.FLAVORS)
def test_gio_accepts_a_good_entry_and_refuses_a_wrong_mtime(
    hand_made: Callable[..., tuple[Path, Path]], flavor: str
) -> None:
    cache, source = hand_made(flavor, FRACTIONAL, URI, WHOLE)
    (answer,) = desktops.gio_flavor(cache, flavor, [source])
    assert answer.valid
    assert answer.uri == desktops.glib_uri(source)

    os.utime(source, ns=(MTIME_NS + 10**9, MTIME_NS + 10**9))
    (answer,) = desktops.gio_flavor(cache, flavor, [source])
    assert answer.valid is False


@needs(Capability.GIO)
def test_gio_refuses_text_it_cannot_read_and_says_nothing_without_an_entry(
    hand_made: Callable[..., tuple[Path, Path]], tmp_path: Path
) -> None:
    cache, source = hand_made("normal", *(("zTXt", *text[1:]) for text in (URI, WHOLE)))
    assert desktops.gio(cache, [source])[0].valid is False
    assert desktops.gio(tmp_path / "empty", [source])[0].valid is None


@needs(Capability.GIO)
def test_gio_tells_many_files_apart_whatever_their_names(
    hand_made: Callable[..., tuple[Path, Path]], tmp_path: Path
) -> None:
    cache, source = hand_made("normal", URI, WHOLE)
    others = [put(tmp_path / "pictures" / name, b"x") for name in ("uri: x\nuri: y", "-v", "ü")]
    answers = desktops.gio(cache, [others[0], source, *others[1:]])
    assert [answer.valid for answer in answers] == [None, True, None, None]


@needs(Capability.GNOME_DESKTOP)
@pytest.mark.parametrize("flavor", desktops.FLAVORS)
def test_gnome_desktop_finds_a_good_entry_and_not_a_stale_one(
    hand_made: Callable[..., tuple[Path, Path]], flavor: str
) -> None:
    cache, source = hand_made(flavor, FRACTIONAL, URI, WHOLE)
    (answer,) = desktops.gnome_desktop(cache, flavor, [source])
    assert answer.path == bytes(desktops.entry_path(cache, flavor, desktops.glib_uri(source)))

    os.utime(source, ns=(MTIME_NS + 10**9, MTIME_NS + 10**9))
    assert desktops.gnome_desktop(cache, flavor, [source])[0].path is None


@needs(Capability.TUMBLER)
@pytest.mark.xdist_group("tumbler")
@pytest.mark.parametrize("flavor", desktops.FLAVORS)
def test_tumbler_leaves_a_good_entry_alone_and_remakes_one_without_microseconds(
    hand_made: Callable[..., tuple[Path, Path]], flavor: str
) -> None:
    cache, source = hand_made(flavor, FRACTIONAL, URI, WHOLE)
    (answer,) = desktops.tumbler(cache, flavor, [source])
    assert answer == desktops.TumblerAnswer(ready=True, error="", untouched=True)

    hand_made(flavor, URI, WHOLE)
    (answer,) = desktops.tumbler(cache, flavor, [source])
    assert not answer.untouched


@needs(Capability.TUMBLER)
@pytest.mark.xdist_group("tumbler")
def test_tumbler_in_a_cache_it_cannot_write_is_an_error_of_the_oracle(tmp_path: Path) -> None:
    put(tmp_path / "cache" / "thumbnails", b"a file where the cache should be")
    with pytest.raises(desktops.OracleError, match="control"):
        desktops.tumbler(tmp_path / "cache", "normal", [])
