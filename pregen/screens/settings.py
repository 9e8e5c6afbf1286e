"""How desktops keep the scale of each screen, and what a screen says of itself. Pure.

Every function takes the content of one file, of which nothing is believed: ValueError tells why it
makes no sense. Where a format comes from stands at its function; [RUN] means seen on a machine.
"""

from __future__ import annotations

import json
import math
import re
from struct import Struct
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from pregen.desktop_settings import parse, read_gvdb

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from pregen.desktop_settings import Setting

#: No desktop offers more or less.
_LEAST, _MOST = 0.5, 8.0
#: What a screen without scale has (X resources, Xft).
_USUAL_DPI: Final = 96.0
_XFT_DPI: Final = re.compile(r"^[ \t]*Xft[.*]dpi[ \t]*:[ \t]*([0-9.]+)[ \t]*$", re.MULTILINE)

#: GNOME's, Cinnamon's and MATE's, by their paths in dconf; 0: by the screen's own size.
_SCALING: Final = (
    "/org/gnome/desktop/interface/scaling-factor",
    "/org/cinnamon/desktop/interface/scaling-factor",
    "/org/mate/interface/window-scaling-factor",
)
_SCALING_NAMES: Final = frozenset(path.rpartition("/")[2] for path in _SCALING)

_EDID_HEADER: Final = b"\x00\xff\xff\xff\xff\xff\xff\x00"
#: Of its first block: the size in cm at 21, the preferred mode at 54.
_EDID: Final = Struct("<8s13xBB31x18s56x")
#: Sizes that are the shape of the screen, written where its size should stand; in mm.
_SHAPES: Final = frozenset({(160, 90), (160, 100), (1600, 900), (1600, 1000), (16, 9), (16, 10)})


class Scale(NamedTuple):
    """How much larger than its pixels everything is shown on a screen."""

    screen: str
    """Its connector, such as eDP-1; empty: all screens of a session."""
    factor: float


class Panel(NamedTuple):
    """A screen by what it says of itself."""

    width_px: int
    height_px: int
    """Of its preferred mode."""
    width_mm: int
    height_mm: int
    """0: it does not say."""


def _factor(value: Any) -> float:
    """Return a scale as a number; ValueError where it cannot be one."""
    try:
        factor = float(value)
    except OverflowError as error:
        raise ValueError("a scale that is not finite") from error
    if not (math.isfinite(factor) and _LEAST <= factor <= _MOST):
        raise ValueError(f"{factor:g} is not a scale")
    return factor


def monitors_xml(data: bytes) -> list[Scale]:
    """Return the scales of all arrangements in GNOME's or Cinnamon's monitors.xml, version 2.

    In each <configuration> there is a <logicalmonitor> with a <scale> (1 where there is none) and
    the <connector> of every monitor that shows it (mutter, doc/monitor-configuration.md and
    meta-monitor-config-store.c). MATE's file of version 1 has no scales.
    """
    found: list[Scale] = []
    connectors: list[str] = []
    factor = 1.0

    def leaf(name: str, text: str) -> None:
        nonlocal factor
        if name == "scale":
            factor = _factor(text)
        elif name == "connector":
            connectors.append(text)

    def end(name: str) -> None:
        nonlocal factor
        if name == "logicalmonitor":
            found.extend(Scale(connector, factor) for connector in connectors)
        if name in {"logicalmonitor", "disabled"}:
            factor = 1.0
            connectors.clear()

    _walk_xml(data, "monitors", leaf, end)
    return found


def xsettings_xml(data: bytes) -> list[Scale]:
    """Return what Xfce's channel `xsettings` has as Gdk/WindowScalingFactor.

    <property name="Gdk"> holds <property name="WindowScalingFactor" type="int" value="2"/>
    (xfconf's perchannel-xml [RUN]). Its Xft/DPI is the size of letters: Thunar's icons stay.
    """
    found: list[Scale] = []

    def start(name: str, attributes: dict[str, str]) -> None:
        named = attributes.get("name") == "WindowScalingFactor"
        if name == "property" and named and attributes.get("type") == "int":
            found.append(Scale("", _factor(attributes.get("value", ""))))

    _walk_xml(data, "channel", start=start)
    return found


def _walk_xml(
    data: bytes,
    root: str,
    leaf: Callable[[str, str], None] | None = None,
    end: Callable[[str], None] | None = None,
    start: Callable[[str, dict[str, str]], None] | None = None,
) -> None:
    """Walk through an XML file; ValueError where it is not well-formed, or of another kind.

    One that declares entities is refused: no desktop writes them, and they can grow without end.

    Args:
        data: of the file.
        root: the name of its outermost element.
        leaf: told the name and the text of every element at its end.
        end: told the name likewise, after `leaf`.
        start: told the name and the attributes of every element at its beginning.
    """
    from pyexpat import ExpatError, ParserCreate  # noqa: PLC0415 - few machines have such files

    parser = ParserCreate("UTF-8")  # also if it declares another: no desktop writes one
    parser.buffer_text = True
    depth, texts = 0, [""]

    def started(name: str, attributes: dict[str, str]) -> None:
        nonlocal depth
        if not depth and name != root:
            raise ValueError(f"is a list of <{name[:40]}>, not of <{root}>")
        depth += 1
        texts[0] = ""
        if start:
            start(name, attributes)

    def ended(name: str) -> None:
        nonlocal depth
        depth -= 1
        if leaf:
            leaf(name, texts[0].strip())
        texts[0] = ""
        if end:
            end(name)

    def text(more: str) -> None:
        texts[0] = more

    def declared(*_: Any) -> None:
        raise ValueError("declares a document type")

    parser.StartElementHandler = started
    parser.EndElementHandler = ended
    parser.CharacterDataHandler = text
    parser.StartDoctypeDeclHandler = declared
    try:
        parser.Parse(data, True)  # noqa: FBT003 - pyexpat's signature: this is the end
    except ExpatError as error:
        raise ValueError(f"is not well-formed: {error}") from error


def kwin_outputs(data: bytes) -> list[Scale]:
    """Return the scales in Plasma 6's kwinoutputconfig.json.

    A list of objects; the one named "outputs" has as its data a list of outputs, each with a
    connectorName and a scale (KWin, outputconfigurationstore.cpp). Those that were connected once
    stay in it.
    """
    found = []
    for section in _json_objects(data):
        outputs = section.get("data")
        if section.get("name") == "outputs" and isinstance(outputs, list):
            for output in outputs:
                found += _scale_of(output, "connectorName")
    return found


def kscreen_outputs(data: bytes) -> list[Scale]:
    """Return the scales in one file of Plasma 5's folder `kscreen`.

    A list of outputs, each with a scale and its name in "metadata" (libkscreen; KWin,
    kscreenintegration.cpp).
    """
    found = []
    for output in _json_objects(data):
        metadata = output.get("metadata")
        found += _scale_of({**(metadata if isinstance(metadata, dict) else {}), **output}, "name")
    return found


def _json_objects(data: bytes) -> Iterator[dict[str, Any]]:
    try:
        parsed = json.loads(data)
    except RecursionError as error:
        raise ValueError("is nested too deeply") from error
    for each in parsed if isinstance(parsed, list) else [parsed]:
        if isinstance(each, dict):
            yield each


def _scale_of(output: Any, name: str) -> list[Scale]:
    """Return the scale of an output, if it has one."""
    scale = output.get("scale") if isinstance(output, dict) else None
    if not isinstance(scale, int | float) or isinstance(scale, bool):
        return []
    connector = output.get(name)
    return [Scale(connector if isinstance(connector, str) else "", _factor(scale))]


def kdeglobals(text: str) -> list[Scale]:
    """Return what KDE sets for sessions of X11, group KScreen of kdeglobals.

    ScaleFactor=1.5, and ScreenScaleFactors=eDP-1=1.5;HDMI-1=1; (plasma-workspace,
    startkde/startplasma.cpp).
    """
    values = parse(text).get("KScreen", {})
    found = []
    if value := values.get("ScaleFactor"):
        found.append(Scale("", _factor(value)))
    for part in filter(None, values.get("ScreenScaleFactors", "").split(";")):
        screen, _, value = part.rpartition("=")
        found.append(Scale(screen, _factor(value)))
    return found


def dconf_scales(data: bytes) -> list[Scale]:
    """Return the scaling factors that GNOME, Cinnamon and MATE have in dconf's database.

    Whole numbers; 0 leaves it to the screen. GNOME's text-scaling-factor is for letters: icons and
    thumbnails stay (gsettings-desktop-schemas, org.gnome.desktop.interface).
    """
    if not any(name.encode() in data for name in _SCALING_NAMES):
        return []
    return _scaling(read_gvdb(data, _SCALING_NAMES))


def _scaling(values: dict[str, Setting]) -> list[Scale]:
    factors = (values.get(path) for path in _SCALING)
    return [Scale("", _factor(each)) for each in factors if isinstance(each, int) and each > 0]


def x_resources(text: str) -> list[Scale]:
    """Return the scale that Xft.dpi stands for, of which the last counts (xrdb(1)).

    Qt divides it by 96 for its device pixel ratio on X11 (qxcbscreen.cpp, logicalDpi).
    """
    found = _XFT_DPI.findall(text)
    return [Scale("", _factor(float(found[-1]) / _USUAL_DPI))] if found else []


def panel_of(edid: bytes, modes: str) -> Panel:
    """Return what a screen says of itself.

    Args:
        edid: VESA E-EDID 1.4: its size in mm stands in the preferred detailed timing (3.10.2),
            in cm among the basic parameters (3.6.2).
        modes: `WIDTHxHEIGHT` a line, the preferred one first (Linux, drm_sysfs.c); it may be more
            than the timing, whose numbers have twelve bits.
    """
    if len(edid) < _EDID.size or not edid.startswith(_EDID_HEADER):
        raise ValueError("is not an EDID")
    _, width_cm, height_cm, timing = _EDID.unpack_from(edid)
    width_px = timing[2] | (timing[4] & 0xF0) << 4
    height_px = timing[5] | (timing[7] & 0xF0) << 4
    width_mm = timing[12] | (timing[14] & 0xF0) << 4
    height_mm = timing[13] | (timing[14] & 0x0F) << 8
    if not (timing[0] or timing[1]):  # no pixel clock: a text, not a timing
        width_px = height_px = width_mm = height_mm = 0
    if not (width_mm and height_mm):
        width_mm, height_mm = width_cm * 10, height_cm * 10
    mode = re.match(r"([0-9]{1,5})x([0-9]{1,5})", modes)
    if mode:
        width_px, height_px = int(mode[1]), int(mode[2])
    if (width_mm, height_mm) in _SHAPES or not (width_mm and height_mm):
        width_mm = height_mm = 0
    return Panel(width_px, height_px, width_mm, height_mm)
