"""What is found on a machine: settings in their places, screens of the kernel, entries."""

from __future__ import annotations

import os
import subprocess
from typing import TYPE_CHECKING

import pytest
from PIL.PngImagePlugin import PngInfo

from pregen.model import Flavor
from pregen.screens.choice import Connected, Filled, choose
from pregen.screens.facts import flavors_for_screens, screen_facts
from pregen.screens.settings import Panel, Scale
from tests.support.files import screens
from tests.support.files.pictures import encode, image, put
from tests.support.running.capabilities import Capability, needs

if TYPE_CHECKING:
    from pathlib import Path

    from pregen.screens.choice import ScreenFacts

PANEL = Panel(3840, 2160, 344, 194)


@pytest.fixture
def config(home: Path) -> Path:
    """Where this test's settings files are."""
    assert home.is_dir()
    return home / "config"


def look(home: Path, cache: Path | None = None) -> ScreenFacts:
    return screen_facts(os.environ, str(home), bytes(cache or home / "cache" / "thumbnails"))


PLACES = {
    "config/monitors.xml": (screens.monitors_xml(1.5), "eDP-1"),
    "config/cinnamon-monitors.xml": (screens.monitors_xml(1.5), "eDP-1"),
    "config/kwinoutputconfig.json": (screens.kwinoutputconfig(1.5), "eDP-1"),
    "config/kdeglobals": (screens.kdeglobals(1.5).encode(), "eDP-1"),
    "data/kscreen/2f1d": (screens.kscreen(1.5), "eDP-1"),
    "config/xfce4/xfconf/xfce-perchannel-xml/xsettings.xml": (screens.xsettings_xml(2), ""),
    "config/dconf/user": (screens.dconf("/org/gnome/desktop/interface/scaling-factor", 2), ""),
    ".Xresources": (screens.x_resources(1.5).encode(), ""),
    ".Xdefaults": (screens.x_resources(1.5).encode(), ""),
}


@pytest.mark.parametrize(("place", "data", "screen"), [(k, *v) for k, v in PLACES.items()])
def test_each_file_is_found_in_its_place(home: Path, place: str, data: bytes, screen: str) -> None:
    put(home / place, data)
    facts = look(home)
    assert facts.ignored == ()
    ((source, scale),) = facts.scales
    assert (source, scale.screen) == (place.rpartition("/")[2], screen)
    assert choose(facts).flavors == (Flavor.NORMAL, Flavor.LARGE, Flavor.X_LARGE)


@needs(Capability.DCONF)
def test_a_scale_that_gsettings_wrote_is_found(home: Path) -> None:
    script = "gsettings set org.gnome.desktop.interface scaling-factor 2"
    subprocess.run(["dbus-run-session", "--", "sh", "-c", script], check=True, timeout=60)
    ((_, scale),) = look(home).scales
    assert scale == Scale("", 2)


def test_screens_of_the_kernel(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    drm = home / "sysfs" / "class" / "drm"
    monkeypatch.setenv("SYSFS_PATH", str(home / "sysfs"))
    for name, status, edid in (
        ("card0-eDP-1", b"connected\n", screens.edid(PANEL)),
        ("card0-HDMI-A-1", b"disconnected\n", b""),
        ("card0-Virtual-1", b"connected\n", b""),
        ("card1-DP-1", b"connected\n", b"\xff" * 128),
    ):
        put(drm / name / "status", status)
        put(drm / name / "edid", edid)
        put(drm / name / "modes", b"3840x2160\n1920x1080\n")
    (drm / "card0").mkdir()
    (drm / "version").write_text("drm")
    facts = look(home)
    assert facts.connected == (Connected("eDP-1", PANEL),)
    (ignored,) = facts.ignored
    assert "card1-DP-1/edid is ignored: is not an EDID" in ignored
    assert choose(facts).flavors[2:] == (Flavor.X_LARGE,)
    put(home / "config" / "kwinoutputconfig.json", screens.kwinoutputconfig(1))
    assert choose(look(home)).flavors[2:] == ()


def test_what_makes_no_sense_is_named_and_does_not_count(home: Path, config: Path) -> None:
    put(config / "monitors.xml", b"<monitors>")
    put(config / "kwinoutputconfig.json", b"[" * 100_000)
    put(config / "kdeglobals", b"[KScreen]\nScaleFactor=4\n" + b"#" * 1024 * 1024)
    os.mkfifo(home / ".Xresources")
    (home / ".Xdefaults").mkdir()
    put(config / "xfce4" / "xfconf" / "xfce-perchannel-xml" / "xsettings.xml", b"\0")
    facts = look(home)
    assert facts.scales == ()
    found = sorted(each.split(" is ignored: ")[0].rpartition("/")[2] for each in facts.ignored)
    assert found == ["kdeglobals", "kwinoutputconfig.json", "monitors.xml", "xsettings.xml"]
    chosen = choose(facts)
    assert chosen.flavors == (Flavor.NORMAL, Flavor.LARGE)
    assert chosen.ignored == facts.ignored


# -- entries of others ----------------------------------------------------------------------------


def entries(folder: Path, number: int, software: str, first: int = 0) -> None:
    for each in range(first, first + number):
        texts = PngInfo()
        for key, value in ("Thumb::URI", f"file:///{each}"), ("Software", software):
            texts.add_text(key, value)
        put(folder / f"{each:032x}.png", encode(image(8, 8), "PNG", pnginfo=texts))


def test_sizes_that_other_programs_fill_are_seen(home: Path) -> None:
    cache = home / "thumbs"
    entries(cache / "normal", 70, "pregen 0.1.0")
    entries(cache / "x-large", 12, "KDE Thumbnail Generator Images (v2)")
    entries(cache / "x-large", 3, "pregen 0.1.0", first=50)
    entries(cache / "xx-large", 5, "pregen 0.1.0")
    put(cache / "x-large" / f"{99:032x}.png", b"no picture")
    facts = look(home, cache)
    large, largest = facts.filled
    assert large[:3] == (Flavor.X_LARGE, 15, 12)
    assert largest[:3] == (Flavor.XX_LARGE, 5, 0)
    chosen = flavors_for_screens(os.environ, str(home), bytes(cache))
    assert Flavor.X_LARGE in chosen.flavors


def test_a_size_goes_on_being_kept_once_it_is_full(home: Path) -> None:
    """Or a run would fill it because others had begun to, and the next would drop it again."""
    cache = home / "thumbs"
    for flavor in ("normal", "x-large"):
        entries(cache / flavor, 200, "pregen 0.1.0")
    (filled,) = look(home, cache).filled
    assert filled == Filled(Flavor.X_LARGE, 64, 0, 64, 64)
    assert Flavor.X_LARGE in choose(look(home, cache)).flavors


def test_where_a_scale_is_set_the_cache_is_not_looked_at(home: Path, config: Path) -> None:
    cache = home / "thumbs"
    entries(cache / "x-large", 20, "gThumb")
    put(config / "monitors.xml", screens.monitors_xml(1))
    assert look(home, cache).filled == ()
    assert choose(look(home, cache)).flavors == (Flavor.NORMAL, Flavor.LARGE)


def test_a_cache_that_is_not_there_or_closed_says_nothing(home: Path) -> None:
    assert look(home, home / "nowhere").filled == ()
    put(home / "thumbs" / "x-large", b"a file")
    assert look(home, home / "thumbs").filled == ()
