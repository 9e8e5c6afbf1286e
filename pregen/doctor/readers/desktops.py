"""Settings of KDE, Xfce, PCManFM and PCManFM-Qt."""

from __future__ import annotations

import glob
import os
from typing import TYPE_CHECKING, Final
from xml.etree import ElementTree as ET

from pregen.doctor.facts import Kde, LxFileManager, Thunar, Tumbler, TumblerPlugin
from pregen.doctor.readers import inifile, tools

if TYPE_CHECKING:
    from collections.abc import Mapping

_GROUP: Final = "PreviewSettings"
_CONFIG_DIRS: Final = "/etc/xdg"


class Config:
    """Where settings files are (XDG Base Directory)."""

    def __init__(self, environ: Mapping[str, str], home: str) -> None:
        own = environ.get("XDG_CONFIG_HOME", "")
        self.home = home
        self.own = own if own.startswith("/") else f"{home}/.config"
        dirs = (environ.get("XDG_CONFIG_DIRS") or _CONFIG_DIRS).split(":")
        self.shared = [folder for folder in dirs if folder.startswith("/")]

    def files(self, name: str) -> list[str]:
        """Return the places of a file that are there, the most important first."""
        places = [f"{folder}/{name}" for folder in (self.own, *self.shared)]
        return [place for place in places if os.path.isfile(place)]


# -- KDE --------------------------------------------------------------------------------------


def read_kde(config: Config) -> Kde | None:
    """Return the settings of previews; None: there is no KDE here."""
    reader = tools.find("kreadconfig6", "kreadconfig5")
    files = config.files("kdeglobals") + config.files("dolphinrc")
    if reader is None and not files and tools.find("dolphin") is None:
        return None
    get = _KdeGet(config, reader)
    own, shared = get("dolphinrc", "Plugins"), get("kdeglobals", "Plugins")
    plugins = own if own is not None else shared
    return Kde(
        writer="kwriteconfig5" if reader == "kreadconfig5" else "kwriteconfig6",
        maximum_size_bytes=inifile.number(get("kdeglobals", "MaximumSize")),
        maximum_remote_size_bytes=inifile.number(get("kdeglobals", "MaximumRemoteSize")),
        remote_folders=inifile.boolean(get("kdeglobals", "EnableRemoteFolderThumbnail")),
        plugins=None if plugins is None else tuple(filter(None, plugins.split(","))),
        plugins_file="kdeglobals" if own is None and shared is not None else "dolphinrc",
    )


class _KdeGet:
    """Looks one value up; None: it is not set."""

    def __init__(self, config: Config, reader: str | None) -> None:
        self._config = config
        self._reader = reader

    def __call__(self, file: str, key: str) -> str | None:
        if self._reader is not None:
            command = (self._reader, "--file", file, "--group", _GROUP, "--key", key)
            said = tools.ask(*command, "--default", _UNSET)
            if said is not None:
                value = said.rstrip("\n")
                return None if value == _UNSET else value
        for path in self._config.files(file):
            value_in_file = (inifile.read(path) or {}).get(_GROUP, {}).get(key)
            if value_in_file is not None:
                return value_in_file
        return None


#: What kreadconfig is told to print where nothing is set.
_UNSET: Final = "pregen-not-set"

# -- Xfce -------------------------------------------------------------------------------------


def read_thunar(config: Config) -> Thunar | None:
    """Return Thunar's settings; None: there is no Thunar here."""
    files = config.files("xfce4/xfconf/xfce-perchannel-xml/thunar.xml")
    if not files and tools.find("thunar") is None:
        return None
    stored = [_xfconf(path) for path in reversed(files)]
    values = {key: value for one in stored for key, value in one.items()}
    for key in ("misc-thumbnail-mode", "misc-thumbnail-max-file-size"):
        said = tools.ask("xfconf-query", "-c", "thunar", "-p", f"/{key}")
        if said is not None:
            values[key] = said.strip()
    maximum = inifile.number(values.get("misc-thumbnail-max-file-size"))
    return Thunar(values.get("misc-thumbnail-mode"), maximum)


def _xfconf(path: str) -> dict[str, str]:
    """Return the properties at the top of a channel's file."""
    try:
        root = ET.fromstring((inifile.read_text(path) or "").encode())  # noqa: S314 - as above
    except ET.ParseError:
        return {}
    properties = root.findall("property")
    return {each.get("name", ""): each.get("value", "") for each in properties}


def read_tumbler(config: Config) -> Tumbler | None:
    """Return tumbler.rc, of which the first found counts alone [RUN]; None: there is none."""
    files = config.files("tumbler/tumbler.rc")
    if not files:
        return None
    groups = inifile.read(files[0]) or {}
    plugins = tuple(
        TumblerPlugin(
            name,
            disabled=inifile.boolean(values.get("Disabled")) is True,
            maximum_size_bytes=inifile.number(values.get("MaxFileSize")) or 0,
            excludes=_folders(values.get("Excludes", ""), config.home),
            locations=_folders(values.get("Locations", ""), config.home),
        )
        for name, values in groups.items()
        if name
    )
    own = os.fsencode(f"{config.own}/tumbler/tumbler.rc")
    return Tumbler(os.fsencode(files[0]), own, plugins)


def _folders(text: str, home: str) -> tuple[bytes, ...]:
    """Return a list of tumbler.rc: `~/Pictures;$HOME/x`."""
    parts = [os.path.expandvars(part.strip()) for part in text.split(";") if part.strip()]
    at_home = [home + part[1:] if part == "~" or part.startswith("~/") else part for part in parts]
    return tuple(os.fsencode(os.path.expanduser(part)) for part in at_home)


# -- LXDE and LXQt ----------------------------------------------------------------------------


def read_lx(config: Config) -> tuple[LxFileManager, ...]:
    """Return what PCManFM and PCManFM-Qt are set to, in each of their profiles."""
    found = []
    for path in sorted(glob.glob(f"{glob.escape(config.own)}/pcmanfm-qt/*/settings.conf")):
        shows = (inifile.read(path) or {}).get("Thumbnail", {}).get("ShowThumbnails")
        on = inifile.boolean(shows) is not False
        found.append(LxFileManager("PCManFM-Qt", os.fsencode(path), "ShowThumbnails=true", on))
    path = f"{config.own}/libfm/libfm.conf"
    groups = inifile.read(path)
    if groups is not None:
        on = inifile.boolean(groups.get("ui", {}).get("show_thumbnail")) is not False
        found.append(LxFileManager("PCManFM", os.fsencode(path), "show_thumbnail=1", on))
    return tuple(found)
