"""Settings of KDE, Xfce, PCManFM and PCManFM-Qt."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final

from pregen.desktop_settings import boolean, matching, number, parse, read_text
from pregen.verbs.doctor.facts import Kde, LxFileManager, Thunar, Tumbler, TumblerPlugin
from pregen.verbs.doctor.readers.thumbnailers import kio_plugins, kio_version, tumbler_plugins
from pregen.verbs.doctor.readers.tools import ask, find, parse_xml

if TYPE_CHECKING:
    from pregen.desktop_settings import ConfigFolders

_KDE_GROUP: Final = "PreviewSettings"
_KDE_KEYS: Final = ("MaximumSize", "MaximumRemoteSize", "EnableRemoteFolderThumbnail", "Plugins")
#: What kreadconfig is told to print where nothing is set.
_UNSET: Final = "pregen-not-set"


def read_kde(config: ConfigFolders) -> Kde | None:
    """Return the settings of previews; None: there is no KDE here.

    Dolphin reads kdeglobals first and then dolphinrc, whose values go before (KConfig,
    `parseConfigFiles`).
    """
    reader = find("kreadconfig6", "kreadconfig5")
    version = kio_version()
    files = config.files("kdeglobals") + config.files("dolphinrc")
    if reader is None and not version and not files and find("dolphin") is None:
        return None

    def get(key: str, file: str) -> str | None:
        if reader is not None:
            command = (reader, "--file", file, "--group", _KDE_GROUP, "--key", key)
            said = ask(*command, "--default", _UNSET)
            if said is not None:
                value = said.rstrip("\n")
                return None if value == _UNSET else value
        found = (parse(read_text(path)).get(_KDE_GROUP, {}) for path in config.files(file))
        return next((values[key] for values in found if key in values), None)

    own = {key: value for key in _KDE_KEYS if (value := get(key, "dolphinrc")) is not None}
    values = {key: own.get(key) if key in own else get(key, "kdeglobals") for key in _KDE_KEYS}
    plugins = values["Plugins"]
    return Kde(
        writer="kwriteconfig5" if reader == "kreadconfig5" else "kwriteconfig6",
        config=os.fsencode(config.own),
        maximum_size_bytes=number(values["MaximumSize"]),
        maximum_remote_size_bytes=number(values["MaximumRemoteSize"]),
        remote_folders=boolean(values["EnableRemoteFolderThumbnail"]),
        plugins=None if plugins is None else tuple(filter(None, plugins.split(","))),
        in_dolphinrc=frozenset(own),
        installed=kio_plugins(config, version),
        version=version,
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
    """Return tumbler and its tumbler.rc; None: neither is there.

    Of several the first found counts alone [RUN].
    """
    files = config.files("tumbler/tumbler.rc")
    sections = parse(read_text(files[0])) if files else {}
    installed = tumbler_plugins(config, sections)
    if not files and not installed:
        return None
    plugins = tuple(
        TumblerPlugin(
            name,
            disabled=boolean(values.get("Disabled")) is True,
            maximum_size_bytes=number(values.get("MaxFileSize")) or 0,
            excludes=_folders(values.get("Excludes", ""), config.home),
            locations=_folders(values.get("Locations", ""), config.home),
        )
        for name, values in sections.items()
        if name
    )
    own = os.fsencode(f"{config.own}/tumbler/tumbler.rc")
    return Tumbler(os.fsencode(files[0]) if files else b"", own, plugins, installed)


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
        shows = boolean(value) is not False
        found.append(LxFileManager(name, os.fsencode(path), group, line, shows))
    return tuple(found)
