"""`show` says of any entry what the clients themselves do with it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests.support.files import judged_entries
from tests.support.files.pictures import encode, put
from tests.support.judges import desktops
from tests.support.judges.desktop_roots import BOOKWORM, TRIXIE
from tests.support.running.capabilities import Capability, needs
from tests.support.running.program import run_pregen

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.support.judges.desktop_roots import DesktopRoot

    Sources = list[Path]
    Root = DesktopRoot | None

pytestmark = [pytest.mark.desktop, pytest.mark.slow]

MTIME_NS = 1_700_000_000_123_456_789
#: libfm-qt reads no larger one.
FLAVORS = ("normal", "x-large")


def _gio(cache: Path, flavor: str, sources: Sources, root: Root) -> list[bool]:
    return [bool(answer.valid) for answer in desktops.gio_flavor(cache, flavor, sources, root)]


def _gnome_desktop(cache: Path, flavor: str, sources: Sources, root: Root) -> list[bool]:
    answers = desktops.gnome_desktop(cache, flavor, sources, root)
    return [answer.path is not None for answer in answers]


def _tumbler(cache: Path, flavor: str, sources: Sources, root: Root) -> list[bool]:
    answers = desktops.tumbler(cache, flavor, sources, root)
    return [answer.ready and answer.untouched for answer in answers]


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Return a photo for each way in which an entry can be odd or damaged."""
    folder = tmp_path_factory.mktemp("photos")
    data = encode(judged_entries.source_picture(), "JPEG", quality=85)
    names = [f"photo {number} é.jpg" for number in range(len(judged_entries.ENTRIES))]
    return [put(folder / name, data, MTIME_NS) for name in names]


_GIO = "GLib/GIO (Nautilus, Nemo, Caja)", _gio
_GNOME = "gnome-desktop", _gnome_desktop
_TUMBLER = "tumbler (Thunar)", _tumbler
_KIO = "KIO (Dolphin)", desktops.kio
_LIBFM_QT = "libfm-qt (PCManFM-Qt)", desktops.libfm_qt


@pytest.mark.xdist_group("tumbler")
@pytest.mark.parametrize("flavor", FLAVORS)
@pytest.mark.parametrize(
    ("client", "ask", "root"),
    [
        pytest.param(*_GIO, None, marks=needs(Capability.GIO), id="gio-here"),
        pytest.param(*_GNOME, None, marks=needs(Capability.GNOME_DESKTOP), id="gnome-here"),
        pytest.param(*_TUMBLER, None, marks=needs(Capability.TUMBLER), id="tumbler-here"),
        pytest.param(*_KIO, BOOKWORM, marks=needs(Capability.DEBIAN_12), id="kio-12"),
        pytest.param(*_LIBFM_QT, BOOKWORM, marks=needs(Capability.DEBIAN_12), id="libfm-qt-12"),
        pytest.param(*_GIO, TRIXIE, marks=needs(Capability.DEBIAN_13), id="gio-13"),
        pytest.param(*_GNOME, TRIXIE, marks=needs(Capability.DEBIAN_13), id="gnome-13"),
        pytest.param(*_TUMBLER, TRIXIE, marks=needs(Capability.DEBIAN_13), id="tumbler-13"),
        pytest.param(*_KIO, TRIXIE, marks=needs(Capability.DEBIAN_13), id="kio-13"),
        pytest.param(*_LIBFM_QT, TRIXIE, marks=needs(Capability.DEBIAN_13), id="libfm-qt-13"),
    ],
)
def test_show_says_what_the_client_does(
    tmp_path: Path,
    sources: Sources,
    client: str,
    ask: Callable[..., list[bool]],
    root: Root,
    flavor: str,
) -> None:
    cache = tmp_path / "cache"
    for name, source in zip(judged_entries.ENTRIES, sources, strict=True):
        judged_entries.plant(cache, flavor, source, name)
    shown = run_pregen("show", "--json", *sources, cache=cache)
    assert shown.code == 0, shown
    expected = {}
    for name, line in zip(judged_entries.ENTRIES, shown.out.splitlines(), strict=True):
        (entry,) = json.loads(line)["uris"][0]["entries"]
        (verdict,) = (one for one in entry["desktops"] if one["client"] == client)
        assert verdict["looks_here"], name
        expected[name] = verdict["accepts"]
    said = ask(cache, flavor, sources, root)
    assert dict(zip(judged_entries.ENTRIES, said, strict=True)) == expected
    assert len({name for name, accepts in expected.items() if not accepts}) > 10
    assert len({name for name, accepts in expected.items() if accepts}) > 10
