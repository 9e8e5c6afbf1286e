"""Settings of KDE, Xfce, PCManFM and PCManFM-Qt."""

from __future__ import annotations

import glob
import os
import shutil
import subprocess
from collections.abc import Mapping
from contextlib import suppress
from typing import Final
from xml.etree import ElementTree as ET

from pregen.verbs.doctor.facts import Kde, LxFileManager, Thunar, Tumbler, TumblerPlugin

# --- Settings files of the `[group]` and `key=value` kind, as GLib, KDE and Qt write them


Groups = Mapping[str, Mapping[str, str]]

#: No settings file is larger; a device or a log in its place may be.
_MOST_BYTES = 4 * 1024 * 1024


def read_text(path: str) -> str | None:
    """Return a file's text; None: it cannot be read."""
    with suppress(OSError), open(path, "rb") as file:
        return file.read(_MOST_BYTES).decode("utf-8", "replace")
    return None


def parse(text: str) -> dict[str, dict[str, str]]:
    """Return values by group and key; of doubles the last, in no group those before the first."""
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


def read(path: str) -> dict[str, dict[str, str]] | None:
    """Return a file's values; None: there is no such file."""
    text = read_text(path)
    return None if text is None else parse(text)


def boolean(value: str | None) -> bool | None:
    """Return a value as KDE and Qt mean it; None: not set, or no such thing."""
    if value is None:
        return None
    lowered = value.lower()
    if lowered in {"true", "1", "yes", "on"}:
        return True
    return False if lowered in {"false", "0", "no", "off"} else None


def number(value: str | None) -> int | None:
    """Return a whole number; None: not set, or none."""
    try:
        return None if value is None else int(value)
    except ValueError:
        return None


# --- Calls a desktop's own settings tool


#: A tool answers in milliseconds, or waits for a session bus that is not there.
_TIMEOUT_S: Final = 5.0


def find(*names: str) -> str | None:
    """Return the first of these programs that is installed."""
    return next((name for name in names if shutil.which(name)), None)


def ask(*command: str) -> str | None:
    """Return what a tool prints; None: it is not there, fails, or does not answer in time."""
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


# --- Settings of KDE, Xfce, PCManFM and PCManFM-Qt


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
    reader = find("kreadconfig6", "kreadconfig5")
    files = config.files("kdeglobals") + config.files("dolphinrc")
    if reader is None and not files and find("dolphin") is None:
        return None
    get = _KdeGet(config, reader)
    own, shared = get("dolphinrc", "Plugins"), get("kdeglobals", "Plugins")
    plugins = own if own is not None else shared
    return Kde(
        writer="kwriteconfig5" if reader == "kreadconfig5" else "kwriteconfig6",
        maximum_size_bytes=number(get("kdeglobals", "MaximumSize")),
        maximum_remote_size_bytes=number(get("kdeglobals", "MaximumRemoteSize")),
        remote_folders=boolean(get("kdeglobals", "EnableRemoteFolderThumbnail")),
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
            said = ask(*command, "--default", _UNSET)
            if said is not None:
                value = said.rstrip("\n")
                return None if value == _UNSET else value
        for path in self._config.files(file):
            value_in_file = (read(path) or {}).get(_GROUP, {}).get(key)
            if value_in_file is not None:
                return value_in_file
        return None


#: What kreadconfig is told to print where nothing is set.
_UNSET: Final = "pregen-not-set"

# -- Xfce -------------------------------------------------------------------------------------


def read_thunar(config: Config) -> Thunar | None:
    """Return Thunar's settings; None: there is no Thunar here."""
    files = config.files("xfce4/xfconf/xfce-perchannel-xml/thunar.xml")
    if not files and find("thunar") is None:
        return None
    stored = [_xfconf(path) for path in reversed(files)]
    values = {key: value for one in stored for key, value in one.items()}
    for key in ("misc-thumbnail-mode", "misc-thumbnail-max-file-size"):
        said = ask("xfconf-query", "-c", "thunar", "-p", f"/{key}")
        if said is not None:
            values[key] = said.strip()
    maximum = number(values.get("misc-thumbnail-max-file-size"))
    return Thunar(values.get("misc-thumbnail-mode"), maximum)


def _xfconf(path: str) -> dict[str, str]:
    """Return the properties at the top of a channel's file."""
    try:
        root = ET.fromstring((read_text(path) or "").encode())  # noqa: S314 - as above
    except ET.ParseError:
        return {}
    properties = root.findall("property")
    return {each.get("name", ""): each.get("value", "") for each in properties}


def read_tumbler(config: Config) -> Tumbler | None:
    """Return tumbler.rc, of which the first found counts alone [RUN]; None: there is none."""
    files = config.files("tumbler/tumbler.rc")
    if not files:
        return None
    groups = read(files[0]) or {}
    plugins = tuple(
        TumblerPlugin(
            name,
            disabled=boolean(values.get("Disabled")) is True,
            maximum_size_bytes=number(values.get("MaxFileSize")) or 0,
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
        shows = (read(path) or {}).get("Thumbnail", {}).get("ShowThumbnails")
        on = boolean(shows) is not False
        found.append(LxFileManager("PCManFM-Qt", os.fsencode(path), "ShowThumbnails=true", on))
    path = f"{config.own}/libfm/libfm.conf"
    groups = read(path)
    if groups is not None:
        on = boolean(groups.get("ui", {}).get("show_thumbnail")) is not False
        found.append(LxFileManager("PCManFM", os.fsencode(path), "show_thumbnail=1", on))
    return tuple(found)
