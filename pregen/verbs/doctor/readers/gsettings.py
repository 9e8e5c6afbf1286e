"""GSettings: what GNOME, Cinnamon, MATE and their file managers are set to.

From `gsettings` where it is installed. Otherwise from files: the schemas for the names and the
defaults, overrides of the distribution, then the user's own values in dconf's database or, where
GSETTINGS_BACKEND says so, in the keyfile.
"""

from __future__ import annotations

import ast
import glob
from struct import Struct
from struct import error as struct_error
from typing import TYPE_CHECKING, Final
from xml.etree import ElementTree as ET

from pregen.verbs.doctor.readers import desktops

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pregen.verbs.doctor.facts import Setting


# --- Reads dconf's database, a GVDB file: a hash table of settings by path
#
# Only what settings about thumbnails need: numbers, booleans and strings. For machines without the
# `gsettings` program, say a server that works on a user's home.


_SIGNATURE: Final = b"GVariant"
_HEADER: Final = Struct("<8sIIII")
_TABLE: Final = Struct("<II")
_ITEM: Final = Struct("<IIIHBxII")
#: The upper bits of the first number of a table say how its filter is to be read.
_BLOOM_MASK: Final = (1 << 27) - 1
_NO_PARENT: Final = 0xFFFFFFFF
_NUMBERS: Final = {b"i": "<i", b"u": "<I", b"x": "<q", b"t": "<Q", b"n": "<h", b"q": "<H"}
#: Paths are not nested deeper; a broken file may name its own child as parent.
_MOST_DEPTH: Final = 64


def read_gvdb(data: bytes) -> dict[str, int | bool | str]:
    """Return the values by path: `/org/gnome/desktop/thumbnail-cache/maximum-size`.

    What is of another type is left out; a file that is none gives nothing.
    """
    try:
        signature, _version, _options, start, end = _HEADER.unpack_from(data)
        if signature != _SIGNATURE:
            return {}
        return dict(_values(data, start, end))
    except (struct_error, ValueError, IndexError):
        return {}


def _values(data: bytes, start: int, end: int) -> list[tuple[str, int | bool | str]]:
    words, buckets = _TABLE.unpack_from(data, start)
    at = start + _TABLE.size + 4 * (words & _BLOOM_MASK) + 4 * buckets
    items = [
        _ITEM.unpack_from(data, place) for place in range(at, end - _ITEM.size + 1, _ITEM.size)
    ]
    found = []
    for item in items:
        kind, value_start, value_end = item[4:]
        if kind != ord("v"):
            continue
        value = _value(data[value_start:value_end])
        if value is not None:
            found.append((_path(data, items, item), value))
    return found


def _path(data: bytes, items: list[tuple[int, ...]], item: tuple[int, ...]) -> str:
    parts = []
    for _ in range(_MOST_DEPTH):
        _hash, parent, key_start, key_size, *_ = item
        parts.append(data[key_start : key_start + key_size])
        if parent == _NO_PARENT:
            break
        item = items[parent]
    return b"".join(reversed(parts)).decode("utf-8", "replace")


def _value(data: bytes) -> int | bool | str | None:
    """Read a serialised variant: the value, a zero byte, its type (GVariant specification)."""
    value, _, kind = data.rpartition(b"\0")
    if kind == b"b":
        return value[:1] == b"\1"
    if kind == b"s":
        return value.rstrip(b"\0").decode("utf-8", "replace")
    if kind in _NUMBERS:
        number: int = Struct(_NUMBERS[kind]).unpack_from(value)[0]
        return number
    return None


# --- GSettings: what GNOME, Cinnamon, MATE and their file managers are set to


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
    if desktops.find("gsettings"):
        return {schema: found for schema in SCHEMAS if (found := _asked(schema)) is not None}
    return _from_files(environ, home)


def _asked(schema: str) -> dict[str, Setting] | None:
    said = desktops.ask("gsettings", "list-recursively", schema)
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
            text = desktops.read_text(name) or ""
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
            for key, text in (desktops.read(name) or {}).get(schema, {}).items():
                if key in _KEYS and (value := parse_value(text)) is not None:
                    found[key] = value
    return found


def _own_values(environ: Mapping[str, str], home: str) -> dict[str, Setting]:
    """Return the user's own values by path and key."""
    config = environ.get("XDG_CONFIG_HOME", "")
    config = config if config.startswith("/") else f"{home}/.config"
    if environ.get("GSETTINGS_BACKEND") == "keyfile":
        groups = desktops.read(f"{config}/glib-2.0/settings/keyfile") or {}
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
