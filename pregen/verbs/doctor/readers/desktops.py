"""Settings of KDE, Xfce, PCManFM and PCManFM-Qt."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final

from pregen.desktop_settings import boolean, matching, number, parse, read_text
from pregen.verbs.doctor.facts import Kde, LxFileManager, Thunar, Tumbler, TumblerPlugin
from pregen.verbs.doctor.readers.tools import ask, find, parse_xml

if TYPE_CHECKING:
    from pregen.desktop_settings import ConfigFolders

_KDE_GROUP: Final = "PreviewSettings"
#: What kreadconfig is told to print where nothing is set.
_UNSET: Final = "pregen-not-set"


def read_kde(config: ConfigFolders) -> Kde | None:
    """Return the settings of previews; None: there is no KDE here."""
    reader = find("kreadconfig6", "kreadconfig5")
    files = config.files("kdeglobals") + config.files("dolphinrc")
    if reader is None and not files and find("dolphin") is None:
        return None

    def get(key: str, file: str = "kdeglobals") -> str | None:
        if reader is not None:
            command = (reader, "--file", file, "--group", _KDE_GROUP, "--key", key)
            said = ask(*command, "--default", _UNSET)
            if said is not None:
                value = said.rstrip("\n")
                return None if value == _UNSET else value
        found = (parse(read_text(path)).get(_KDE_GROUP, {}) for path in config.files(file))
        return next((values[key] for values in found if key in values), None)

    own, shared = get("Plugins", "dolphinrc"), get("Plugins")
    plugins = own if own is not None else shared
    return Kde(
        writer="kwriteconfig5" if reader == "kreadconfig5" else "kwriteconfig6",
        maximum_size_bytes=number(get("MaximumSize")),
        maximum_remote_size_bytes=number(get("MaximumRemoteSize")),
        remote_folders=boolean(get("EnableRemoteFolderThumbnail")),
        plugins=None if plugins is None else tuple(filter(None, plugins.split(","))),
        plugins_file="kdeglobals" if own is None and shared is not None else "dolphinrc",
    )


def read_thunar(config: ConfigFolders) -> Thunar | None:
    """Return Thunar's settings; None: there is no Thunar here."""
    files = config.files("xfce4/xfconf/xfce-perchannel-xml/thunar.xml")
    if not files and find("thunar") is None:
        return None
    values = {
        each.get("name", ""): each.get("value", "")
        for path in reversed(files)
        for each in parse_xml(read_text(path)).findall("property")
    }
    for key in ("misc-thumbnail-mode", "misc-thumbnail-max-file-size"):
        said = ask("xfconf-query", "-c", "thunar", "-p", f"/{key}")
        if said is not None:
            values[key] = said.strip()
    maximum = number(values.get("misc-thumbnail-max-file-size"))
    return Thunar(values.get("misc-thumbnail-mode"), maximum)


def read_tumbler(config: ConfigFolders) -> Tumbler | None:
    """Return tumbler.rc, of which the first found counts alone [RUN]; None: there is none."""
    files = config.files("tumbler/tumbler.rc")
    if not files:
        return None
    plugins = tuple(
        TumblerPlugin(
            name,
            disabled=boolean(values.get("Disabled")) is True,
            maximum_size_bytes=number(values.get("MaxFileSize")) or 0,
            excludes=_folders(values.get("Excludes", ""), config.home),
            locations=_folders(values.get("Locations", ""), config.home),
        )
        for name, values in parse(read_text(files[0])).items()
        if name
    )
    own = os.fsencode(f"{config.own}/tumbler/tumbler.rc")
    return Tumbler(os.fsencode(files[0]), own, plugins)


def _folders(text: str, home: str) -> tuple[bytes, ...]:
    """Return a list of tumbler.rc: `~/Pictures;$HOME/x`."""
    parts = [os.path.expandvars(part.strip()) for part in text.split(";") if part.strip()]
    at_home = [home + part[1:] if part == "~" or part.startswith("~/") else part for part in parts]
    return tuple(os.fsencode(os.path.expanduser(part)) for part in at_home)


def read_lx(config: ConfigFolders) -> tuple[LxFileManager, ...]:
    """Return what PCManFM and PCManFM-Qt are set to, in each of their profiles."""
    places = [
        (path, "PCManFM-Qt", "Thumbnail", "ShowThumbnails=true")
        for path in matching(config.own, "pcmanfm-qt/*/settings.conf")
    ]
    gtk = f"{config.own}/libfm/libfm.conf"
    if os.path.isfile(gtk):
        places.append((gtk, "PCManFM", "ui", "show_thumbnail=1"))
    found = []
    for path, name, group, line in places:
        value = parse(read_text(path)).get(group, {}).get(line.partition("=")[0])
        found.append(LxFileManager(name, os.fsencode(path), line, boolean(value) is not False))
    return tuple(found)
