"""Settings of KDE, Xfce, PCManFM and PCManFM-Qt, and how settings are read of any desktop."""

from __future__ import annotations

import glob
import os
import shutil
import subprocess
from contextlib import suppress
from typing import TYPE_CHECKING, Final
from xml.etree import ElementTree as ET

from pregen.verbs.doctor.facts import Kde, LxFileManager, Thunar, Tumbler, TumblerPlugin

if TYPE_CHECKING:
    from collections.abc import Mapping

#: No settings file is larger; a device or a log in its place may be.
_MOST_BYTES: Final = 4 * 1024 * 1024
#: A tool answers in milliseconds, or waits for a session bus that is not there.
_TIMEOUT_S: Final = 5.0
_CONFIG_DIRS: Final = "/etc/xdg"
_KDE_GROUP: Final = "PreviewSettings"
#: What kreadconfig is told to print where nothing is set.
_UNSET: Final = "pregen-not-set"


class Config:
    """Where settings files are (XDG Base Directory)."""

    def __init__(self, environ: Mapping[str, str], home: str) -> None:
        own = environ.get("XDG_CONFIG_HOME", "")
        self.environ = environ
        self.home = home
        self.own = own if own.startswith("/") else f"{home}/.config"
        dirs = (environ.get("XDG_CONFIG_DIRS") or _CONFIG_DIRS).split(":")
        self.shared = [folder for folder in dirs if folder.startswith("/")]

    def files(self, name: str) -> list[str]:
        """Return the places of a file that are there, the most important first."""
        places = [f"{folder}/{name}" for folder in (self.own, *self.shared)]
        return [place for place in places if os.path.isfile(place)]


def matching(folder: str, pattern: str) -> list[str]:
    """Return the paths below a folder that match a pattern, sorted."""
    return [f"{folder}/{name}" for name in sorted(glob.glob(pattern, root_dir=folder))]


def read_text(path: str) -> str:
    """Return a file's text; empty: it cannot be read."""
    with suppress(OSError), open(path, "rb") as file:
        return file.read(_MOST_BYTES).decode("utf-8", "replace")
    return ""


def parse(text: str) -> dict[str, dict[str, str]]:
    """Return values by group and key, of a file as GLib, KDE and Qt write it.

    Of doubles the last counts; in no group are those before the first.
    """
    groups: dict[str, dict[str, str]] = {}
    group = groups.setdefault("", {})
    for line in map(str.strip, text.splitlines()):
        if line.startswith("[") and line.endswith("]"):
            group = groups.setdefault(line[1:-1], {})
        elif line and line[0] not in "#;":
            key, found, value = line.partition("=")
            if found:
                group[key.strip()] = value.strip()
    return groups


def parse_xml(text: str) -> ET.Element:
    """Return the root of an XML text; an empty element where it is damaged."""
    try:
        return ET.fromstring(text.encode())  # noqa: S314 - the user's own settings
    except ET.ParseError:
        return ET.Element("damaged")


def boolean(value: str | None) -> bool | None:
    """Return a value as KDE and Qt mean it; None: not set, or not a boolean."""
    lowered = (value or "").lower()
    if lowered in {"true", "1", "yes", "on"}:
        return True
    return False if lowered in {"false", "0", "no", "off"} else None


def number(value: str | None) -> int | None:
    """Return a whole number; None: not set, or not a number."""
    try:
        return int(value or "")
    except ValueError:
        return None


def find(*names: str) -> str | None:
    """Return the first of these programs that is installed."""
    return next((name for name in names if shutil.which(name)), None)


def ask(*command: str) -> str | None:
    """Return what a desktop's own tool prints; None: it is not there, fails, or does not answer."""
    try:
        done = subprocess.run(  # noqa: S603 - fixed programs, found on the user's own PATH
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_TIMEOUT_S,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.decode("utf-8", "replace")


def read_kde(config: Config) -> Kde | None:
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


def read_thunar(config: Config) -> Thunar | None:
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


def read_tumbler(config: Config) -> Tumbler | None:
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


def read_lx(config: Config) -> tuple[LxFileManager, ...]:
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
