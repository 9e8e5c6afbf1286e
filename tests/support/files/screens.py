"""Files in which desktops keep the scale of screens, written by the rules of their sources."""

from __future__ import annotations

import json
import struct
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pregen.screens.settings import Panel


def monitors_xml(factor: float, connector: str = "eDP-1") -> bytes:
    """GNOME 3.26 and later (mutter, meta-monitor-config-store.c, `append_monitors`)."""
    return f"""<monitors version="2">
  <configuration>
    <layoutmode>logical</layoutmode>
    <logicalmonitor>
      <x>0</x>
      <y>0</y>
      <scale>{factor}</scale>
      <primary>yes</primary>
      <monitor>
        <monitorspec>
          <connector>{connector}</connector>
          <vendor>BOE</vendor>
          <product>0x0bca</product>
          <serial>0x00000000</serial>
        </monitorspec>
        <mode>
          <width>2256</width>
          <height>1504</height>
          <rate>59.999</rate>
        </mode>
      </monitor>
    </logicalmonitor>
  </configuration>
</monitors>
""".encode()


def kwinoutputconfig(factor: float) -> bytes:
    """Plasma 6 (KWin, outputconfigurationstore.cpp, `save`)."""
    mode = {"height": 1504, "refreshRate": 59999, "width": 2256}
    output = {
        "autoRotation": "InTabletMode",
        "connectorName": "eDP-1",
        "edidIdentifier": "BOE 3018 0 40 2019 0",
        "mode": mode,
        "scale": factor,
        "transform": "Normal",
    }
    place = {"enabled": True, "outputIndex": 0, "position": {"x": 0, "y": 0}, "priority": 0}
    setup = {"lidClosed": False, "outputs": [place]}
    sections = [{"data": [output], "name": "outputs"}, {"data": [setup], "name": "setups"}]
    return json.dumps(sections).encode()


def kscreen(factor: float) -> bytes:
    """Plasma 5 (KScreen, kded/config.cpp, `writeFile`)."""
    output = {
        "enabled": True,
        "id": "88bcd26c0e1e6d7e0f0a0a2b3c4d5e6f",
        "metadata": {"fullname": "xrandr-BOE", "name": "eDP-1"},
        "mode": {"refresh": 60, "size": {"height": 1504, "width": 2256}},
        "pos": {"x": 0, "y": 0},
        "primary": True,
        "rotation": 1,
        "scale": factor,
    }
    return json.dumps([output]).encode()


def kdeglobals(factor: float) -> str:
    """KDE's sessions on X11 (KScreen's module of System Settings)."""
    return f"[General]\nfont=Noto\n\n[KScreen]\nScreenScaleFactors=eDP-1={factor};\n"


def x_resources(factor: float) -> str:
    """What people write into .Xresources."""
    return f"! for the new screen\nXft.dpi: {96 * factor:g}\nXft.antialias: 1\n"


def xsettings_xml(factor: int | None) -> bytes:
    """Xfce (xfconf's perchannel-xml); None: nothing was set."""
    value = 'type="empty"' if factor is None else f'type="int" value="{factor}"'
    return f"""<?xml version="1.0" encoding="UTF-8"?>

<channel name="xsettings" version="1.0">
  <property name="Xft" type="empty">
    <property name="DPI" type="int" value="144"/>
  </property>
  <property name="Gdk" type="empty">
    <property name="WindowScalingFactor" {value}/>
  </property>
</channel>
""".encode()


def dconf(path: str, value: int) -> bytes:
    """A dconf database of one unsigned number (GVDB: header, table of one bucket, its items)."""
    folder, _, name = path.rpartition("/")
    keys = f"{folder}/".encode(), name.encode()
    table = struct.pack("<II", 0, 1) + struct.pack("<I", 0)
    start = 24
    texts = start + len(table) + 2 * 24
    data = struct.pack("<I", value) + b"\0u"
    at = (texts + sum(map(len, keys)) + 7) // 8 * 8
    items = struct.pack("<IIIHBxII", 0, 0xFFFFFFFF, texts, len(keys[0]), ord("L"), 0, 0)
    items += struct.pack(
        "<IIIHBxII", 0, 0, texts + len(keys[0]), len(keys[1]), ord("v"), at, at + len(data)
    )
    header = struct.pack("<8sIIII", b"GVariant", 0, 0, start, texts)
    whole = header + table + items + b"".join(keys)
    return whole.ljust(at, b"\0") + data


def edid(panel: Panel, *, timing: bool = True) -> bytes:
    """The first block of an EDID 1.4 of a screen (VESA E-EDID, release A2)."""
    width, height, width_mm, height_mm = panel
    block = bytearray(128)
    block[:8] = b"\x00\xff\xff\xff\xff\xff\xff\x00"
    block[18:20] = b"\x01\x04"
    block[21], block[22] = min(width_mm // 10, 255), min(height_mm // 10, 255)
    if timing:
        detailed = bytearray(18)
        detailed[0:2] = (53_300).to_bytes(2, "little")
        detailed[2], detailed[4] = width & 0xFF, width >> 8 << 4
        detailed[5], detailed[7] = height & 0xFF, height >> 8 << 4
        detailed[12], detailed[13] = width_mm & 0xFF, height_mm & 0xFF
        detailed[14] = width_mm >> 8 << 4 | height_mm >> 8
        block[54:72] = detailed
    block[127] = -sum(block) % 256
    return bytes(block)
