"""Files of desktops to sizes: each desktop's own format, at every scale, whole and damaged."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pregen.model import Flavor
from pregen.screens import settings
from pregen.screens.choice import (
    Connected,
    Filled,
    ScreenFacts,
    SetScale,
    choose,
    flavors_at,
    scale_by_size,
)
from pregen.screens.settings import Panel, Scale
from tests.support.files import screens

if TYPE_CHECKING:
    from collections.abc import Callable

NORMAL, LARGE, X_LARGE, XX_LARGE = Flavor

#: KIO 6.13 asked for previews of 128 and 256 px at these ratios (docs/desktops.md).
WANTED = {
    1.0: (NORMAL, LARGE),
    1.25: (LARGE, X_LARGE),
    1.5: (LARGE, X_LARGE),
    1.75: (LARGE, X_LARGE),
    2.0: (LARGE, X_LARGE),
    2.5: (X_LARGE, XX_LARGE),
    3.0: (X_LARGE, XX_LARGE),
    4.0: (X_LARGE, XX_LARGE),
    8.0: (XX_LARGE,),
}


@pytest.mark.parametrize(("factor", "wanted"), WANTED.items())
def test_the_sizes_that_file_managers_ask_for(factor: float, wanted: tuple[Flavor, ...]) -> None:
    assert flavors_at(factor) == wanted


FORMATS: dict[str, tuple[Callable[[float], bytes], Callable[[bytes], list[Scale]], str]] = {
    "GNOME": (screens.monitors_xml, settings.monitors_xml, "eDP-1"),
    "Plasma 6": (screens.kwinoutputconfig, settings.kwin_outputs, "eDP-1"),
    "Plasma 5": (screens.kscreen, settings.kscreen_outputs, "eDP-1"),
    "KDE on X11": (
        lambda factor: screens.kdeglobals(factor).encode(),
        lambda data: settings.kdeglobals(data.decode()),
        "eDP-1",
    ),
    "X resources": (
        lambda factor: screens.x_resources(factor).encode(),
        lambda data: settings.x_resources(data.decode()),
        "",
    ),
}


@pytest.mark.parametrize("factor", [1, 1.25, 1.5, 2, 3])
@pytest.mark.parametrize("desktop", FORMATS)
def test_each_desktops_own_file_at_each_scale(desktop: str, factor: float) -> None:
    write, read, screen = FORMATS[desktop]
    scales = read(write(factor))
    assert scales == [Scale(screen, factor)]
    chosen = choose(ScreenFacts(scales=(SetScale("file", scales[0]),)))
    assert set(chosen.flavors) == {NORMAL, LARGE, *WANTED[float(factor)]}
    assert f"{factor * 100:.0f}% (file)" in chosen.why
    assert ("x-large" in chosen.why) == (factor > 1)


@pytest.mark.parametrize("factor", [1, 2, 3])
def test_whole_scales_of_xfce_and_in_dconf(factor: int) -> None:
    assert settings.xsettings_xml(screens.xsettings_xml(factor)) == [Scale("", factor)]
    for path in ("/org/gnome/desktop/interface/scaling-factor",
                 "/org/cinnamon/desktop/interface/scaling-factor"):  # fmt: skip
        assert settings.dconf_scales(screens.dconf(path, factor)) == [Scale("", factor)]


def test_what_leaves_the_scale_open_sets_none() -> None:
    assert (
        settings.dconf_scales(screens.dconf("/org/gnome/desktop/interface/scaling-factor", 0)) == []
    )
    assert settings.dconf_scales(screens.dconf("/org/gnome/desktop/interface/other", 2)) == []
    assert settings.xsettings_xml(screens.xsettings_xml(None)) == []
    assert settings.x_resources("! Xft.dpi: 192\nXft.antialias: 1\n") == []
    assert (
        settings.kdeglobals("[KScreen]\nXwaylandClientsScale=false\n[General]\nScaleFactor=9\n")
        == []
    )
    assert settings.monitors_xml(b'<monitors version="1"><configuration/></monitors>') == []


def test_every_arrangement_of_monitors_counts_and_disabled_ones_do_not() -> None:
    data = (
        screens.monitors_xml(2).replace(b"</monitors>", b"")
        + b"""
      <configuration>
        <logicalmonitor><x>0</x><y>0</y>
          <monitor><monitorspec><connector>DP-1</connector></monitorspec></monitor>
          <monitor><monitorspec><connector>DP-2</connector></monitorspec></monitor>
        </logicalmonitor>
        <disabled><monitorspec><connector>eDP-1</connector></monitorspec></disabled>
        <logicalmonitor><scale>1.3333333730697632</scale>
          <monitor><monitorspec><connector>DP-3</connector></monitorspec></monitor>
        </logicalmonitor>
      </configuration></monitors>"""
    )
    *rest, last = settings.monitors_xml(data)
    assert rest == [Scale("eDP-1", 2), Scale("DP-1", 1), Scale("DP-2", 1)]
    assert last.screen == "DP-3"
    assert last.factor == pytest.approx(4 / 3)
    assert flavors_at(last.factor) == (LARGE, X_LARGE)


def test_the_last_of_several_lines_of_x_resources_counts() -> None:
    assert settings.x_resources("Xft.dpi: 96\n  Xft*dpi:\t192 \nother: 1\n") == [Scale("", 2)]


# -- damage ---------------------------------------------------------------------------------------

READERS: tuple[Callable[[bytes], object], ...] = (
    settings.monitors_xml,
    settings.xsettings_xml,
    settings.kwin_outputs,
    settings.kscreen_outputs,
    settings.dconf_scales,
    lambda data: settings.kdeglobals(data.decode("utf-8", "replace")),
    lambda data: settings.x_resources(data.decode("utf-8", "replace")),
    lambda data: settings.panel_of(data, ""),
)
_LAUGHS = b'<!DOCTYPE m [<!ENTITY a "ha"><!ENTITY b "&a;&a;">]><monitors>&b;</monitors>'


@pytest.mark.parametrize("data", [
    b"", b"\0" * 500, b"<", b"<monitors>", b"<other/>", _LAUGHS,
    b'<?xml version="1.0" encoding="utf-7"?><monitors><a>', b"<monitors>" + b"<a>" * 30_000,
    screens.monitors_xml(float("nan")), screens.monitors_xml(1e300), screens.monitors_xml(-1),
    screens.monitors_xml(0), screens.monitors_xml(2)[:-30],
])  # fmt: skip
def test_a_damaged_monitors_xml_is_a_value_error(data: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        settings.monitors_xml(data)


@pytest.mark.parametrize("text", [
    "", "{", "[" * 100_000, '[{"name":"outputs","data":[{"scale":1e999}]}]',
    f'[{{"name":"outputs","data":[{{"scale":{10**400}}}]}}]',
    '[{"name":"outputs","data":[{"scale":NaN}]}]',
])  # fmt: skip
def test_a_damaged_json_is_a_value_error(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        settings.kwin_outputs(text.encode())


@pytest.mark.parametrize("value", [
    None, 1, "x", [], [1], [{"name": "outputs"}], [{"name": "outputs", "data": {}}],
    [{"name": "outputs", "data": [None, 3, {}, {"scale": "2"}, {"scale": True}]}],
])  # fmt: skip
def test_json_of_another_shape_sets_nothing(value: object) -> None:
    assert settings.kwin_outputs(json.dumps(value).encode()) == []


HEADS = (
    b"",
    b"<monitors>",
    b"<channel>",
    b"[{",
    b"GVariant" + bytes(8) + b"\x18\0\0\0\xff\0\0\0",
    b"[KScreen]\nScaleFactor=",
    b"\x00\xff\xff\xff\xff\xff\xff\x00",
)


@given(st.binary(max_size=300), st.sampled_from(range(len(READERS))), st.integers(0, 6))
def test_any_bytes_are_read_or_a_value_error(data: bytes, reader: int, head: int) -> None:
    with suppress(ValueError):
        READERS[reader](HEADS[head] + data)


# -- screens by their size ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("panel", "factor"),
    [
        pytest.param(Panel(1920, 1080, 309, 174), 1, id="laptop, 14 inches"),
        pytest.param(Panel(2880, 1800, 302, 189), 2, id="laptop, 14 inches, 2.8K"),
        pytest.param(Panel(3840, 2160, 344, 194), 2, id="laptop, 15 inches, 4K"),
        pytest.param(Panel(2560, 1600, 286, 179), 2, id="laptop, 13 inches, 227 dpi"),
        pytest.param(Panel(2560, 1440, 597, 336), 1, id="27 inches, 1440p"),
        pytest.param(Panel(3840, 2160, 597, 336), 1, id="27 inches, 4K"),
        pytest.param(Panel(3840, 2160, 527, 296), 2, id="24 inches, 4K"),
        pytest.param(Panel(5120, 2880, 597, 336), 2, id="27 inches, 5K"),
        pytest.param(Panel(3840, 2160, 1210, 680), 1, id="television, 55 inches"),
        pytest.param(Panel(1080, 2340, 68, 147), 3, id="phone"),
        pytest.param(Panel(3840, 2160, 0, 0), 1, id="says no size"),
        pytest.param(Panel(4095, 4095, 1, 1), 4, id="says nonsense"),
    ],
)
def test_what_a_screen_is_scaled_by_where_nobody_has_set_it(panel: Panel, factor: int) -> None:
    assert scale_by_size(panel) == factor


def test_an_edid_says_its_size_and_its_mode() -> None:
    panel = Panel(3840, 2160, 344, 194)
    assert settings.panel_of(screens.edid(panel), "") == panel
    assert settings.panel_of(screens.edid(panel), "2560x1600\n1920x1080\n") == Panel(
        2560, 1600, 344, 194
    )
    coarse = settings.panel_of(screens.edid(panel, timing=False), "3840x2160\n")
    assert coarse == Panel(3840, 2160, 340, 190)
    shape = screens.edid(Panel(3840, 2160, 160, 90))
    assert settings.panel_of(shape, "") == Panel(3840, 2160, 0, 0)


# -- what goes before what ------------------------------------------------------------------------

SMALL_AND_DENSE = Connected("eDP-1", Panel(3840, 2160, 344, 194))


def scales(*factors: tuple[str, float]) -> tuple[SetScale, ...]:
    return tuple(SetScale("f", Scale(*each)) for each in factors)


CASES: dict[str, tuple[ScreenFacts, tuple[Flavor, ...], str]] = {
    "nothing known": (ScreenFacts(), (), "no screens were found"),
    "by its size": (
        ScreenFacts(connected=(SMALL_AND_DENSE,)),
        (X_LARGE,),
        "x-large for eDP-1 (3840 x 2160 on 344 x 194 mm)",
    ),
    "set to 100%, whatever its size": (
        ScreenFacts(scales(("eDP-1", 1)), (SMALL_AND_DENSE,)),
        (),
        "enough for eDP-1 at 100% (f)",
    ),
    "all set to 100%": (
        ScreenFacts(scales(("", 1)), (SMALL_AND_DENSE,)),
        (),
        "enough for screens at 100% (f)",
    ),
    "another one set": (
        ScreenFacts(scales(("DP-1", 1)), (SMALL_AND_DENSE,)),
        (X_LARGE,),
        "x-large for eDP-1 (3840 x 2160 on 344 x 194 mm)",
    ),
    "the largest of several": (
        ScreenFacts(scales(("DP-1", 1), ("eDP-1", 3), ("DP-2", 1.25))),
        (X_LARGE, XX_LARGE),
        "x-large and xx-large for eDP-1 at 300% (f)",
    ),
    "other programs' entries": (
        ScreenFacts(filled=(Filled(X_LARGE, 20, 15, 64, 0),)),
        (X_LARGE,),
        "x-large as other programs use it (15 of 20 thumbnails)",
    ),
    "a few of other programs'": (ScreenFacts(filled=(Filled(X_LARGE, 7, 7, 64, 0),)), (), "no"),
    "few of them by others": (ScreenFacts(filled=(Filled(X_LARGE, 64, 9, 64, 0),)), (), "no"),
    "kept as before": (
        ScreenFacts(filled=(Filled(XX_LARGE, 64, 0, 64, 60),)),
        (XX_LARGE,),
        "xx-large as before: 60 of 64 pictures checked have it",
    ),
    "one folder only": (ScreenFacts(filled=(Filled(X_LARGE, 64, 0, 64, 3),)), (), "no"),
    "an empty folder": (ScreenFacts(filled=(Filled(X_LARGE, 0, 0, 0, 0),)), (), "no"),
}  # fmt: skip


@pytest.mark.parametrize(("facts", "more", "why"), CASES.values(), ids=CASES.keys())
def test_what_is_chosen_and_why(facts: ScreenFacts, more: tuple[Flavor, ...], why: str) -> None:
    chosen = choose(facts)
    assert chosen.flavors == (NORMAL, LARGE, *more)
    assert chosen.why.startswith(why)
