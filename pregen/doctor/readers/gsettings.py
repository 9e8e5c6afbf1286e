"""GSettings: what GNOME, Cinnamon, MATE and their file managers are set to.

From `gsettings` where it is installed. Otherwise from files: the schemas for the names and the
defaults, overrides of the distribution, then the user's own values in dconf's database or, where
GSETTINGS_BACKEND says so, in the keyfile.
"""

from __future__ import annotations

import ast
import glob
from typing import TYPE_CHECKING, Final
from xml.etree import ElementTree as ET

from pregen.doctor.readers import inifile, tools
from pregen.doctor.readers.gvdb import read_gvdb

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pregen.doctor.facts import Setting

#: The schemas that rules ask for.
SCHEMAS: Final = (
    "org.gnome.desktop.thumbnail-cache",
    "org.cinnamon.desktop.thumbnail-cache",
    "org.mate.thumbnail-cache",
    "org.gnome.nautilus.preferences",
    "org.nemo.preferences",
    "org.mate.caja.preferences",
    "org.gnome.desktop.thumbnailers",
    "org.cinnamon.desktop.thumbnailers",
    "org.mate.thumbnailers",
)
_KEYS: Final = frozenset(
    {
        "maximum-size",
        "maximum-age",
        "show-image-thumbnails",
        "thumbnail-limit",
        "disable-all",
    }
)
_DATA_DIRS: Final = "/usr/local/share:/usr/share"


def read_gsettings(environ: Mapping[str, str], home: str) -> dict[str, dict[str, Setting]]:
    """Return effective values by schema and key, of the schemas that are installed."""
    if tools.find("gsettings"):
        return {schema: found for schema in SCHEMAS if (found := _asked(schema)) is not None}
    return _from_files(environ, home)


def _asked(schema: str) -> dict[str, Setting] | None:
    said = tools.ask("gsettings", "list-recursively", schema)
    if said is None:
        return None  # not installed
    found = {}
    for line in said.splitlines():
        name, _, rest = line.partition(" ")
        key, _, value = rest.partition(" ")
        if name == schema and key in _KEYS and (parsed := parse_value(value)) is not None:
            found[key] = parsed
    return found


def parse_value(text: str) -> Setting | None:
    """Return a number, boolean or string in GVariant's text format; None: something else."""
    text = text.strip()
    kind, _, rest = text.partition(" ")
    if rest and kind in {"uint16", "uint32", "uint64", "int16", "int32", "int64", "byte"}:
        text = rest
    if text in {"true", "false"}:
        return text == "true"
    try:
        value = ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return None
    return value if isinstance(value, (int, str)) else None


# -- files ----------------------------------------------------------------------------------------


def _from_files(environ: Mapping[str, str], home: str) -> dict[str, dict[str, Setting]]:
    folders = _schema_folders(environ, home)
    own = _own_values(environ, home)
    found: dict[str, dict[str, Setting]] = {}
    for schema, (path, defaults) in _schemas(folders).items():
        values: dict[str, Setting] = dict(defaults)
        values.update(_overrides(folders, schema))
        values.update({key: own[path + key] for key in values if path + key in own})
        found[schema] = values
    return found


def _schema_folders(environ: Mapping[str, str], home: str) -> list[str]:
    """Return where schemas are, the more important last."""
    dirs = (environ.get("XDG_DATA_DIRS") or _DATA_DIRS).split(":")
    dirs = [*reversed(dirs), environ.get("XDG_DATA_HOME") or f"{home}/.local/share"]
    folders = [f"{folder}/glib-2.0/schemas" for folder in dirs if folder.startswith("/")]
    return [*folders, *filter(None, (environ.get("GSETTINGS_SCHEMA_DIR") or "").split(":"))]


def _schemas(folders: list[str]) -> dict[str, tuple[str, dict[str, Setting]]]:
    """Return path and defaults of every schema that rules ask for."""
    found = {}
    for folder in folders:
        for name in sorted(glob.glob(f"{glob.escape(folder)}/*.gschema.xml")):
            text = inifile.read_text(name) or ""
            if any(f'"{schema}"' in text for schema in SCHEMAS):
                found.update(_parsed(text))
    return found


def _parsed(text: str) -> dict[str, tuple[str, dict[str, Setting]]]:
    try:
        root = ET.fromstring(text.encode())  # noqa: S314 - as above
    except ET.ParseError:
        return {}
    found = {}
    for schema in root.iter("schema"):
        name, path = schema.get("id", ""), schema.get("path", "")
        if name not in SCHEMAS:
            continue
        defaults = {}
        for key in schema.iter("key"):
            value = parse_value(key.findtext("default") or "")
            if key.get("name") in _KEYS and value is not None:
                defaults[str(key.get("name"))] = value
        found[name] = path, defaults
    return found


def _overrides(folders: list[str], schema: str) -> dict[str, Setting]:
    """Return what a distribution changes for every desktop."""
    found = {}
    for folder in folders:
        for name in sorted(glob.glob(f"{glob.escape(folder)}/*.gschema.override")):
            for key, text in (inifile.read(name) or {}).get(schema, {}).items():
                if key in _KEYS and (value := parse_value(text)) is not None:
                    found[key] = value
    return found


def _own_values(environ: Mapping[str, str], home: str) -> dict[str, Setting]:
    """Return the user's own values by path and key."""
    config = environ.get("XDG_CONFIG_HOME", "")
    config = config if config.startswith("/") else f"{home}/.config"
    if environ.get("GSETTINGS_BACKEND") == "keyfile":
        groups = inifile.read(f"{config}/glib-2.0/settings/keyfile") or {}
        return {
            f"/{group}/{key}": value
            for group, values in groups.items()
            for key, text in values.items()
            if (value := parse_value(text)) is not None
        }
    try:
        with open(f"{config}/dconf/user", "rb") as file:
            return dict(read_gvdb(file.read()))
    except OSError:
        return {}
