"""GSettings: what GNOME, Cinnamon, MATE and their file managers are set to.

From `gsettings` where it is installed. Otherwise from files, say on a server that works on a user's
home: the schemas for the names and the defaults, overrides of the distribution, then the user's own
values in dconf's database or, where GSETTINGS_BACKEND says so, in the keyfile.
"""

from __future__ import annotations

import ast
from contextlib import suppress
from struct import Struct
from struct import error as struct_error
from typing import TYPE_CHECKING, Final

from pregen.verbs.doctor.facts import SCHEMAS
from pregen.verbs.doctor.readers import desktops

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from pregen.verbs.doctor.facts import Setting

#: What rules ask for.
_KEYS: Final = frozenset(
    {"maximum-size", "maximum-age", "show-image-thumbnails", "thumbnail-limit", "disable-all"}
)
_DATA_DIRS: Final = "/usr/local/share:/usr/share"

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


def read_gsettings(config: desktops.Config) -> dict[str, dict[str, Setting]]:
    """Return effective values by schema and key, of the schemas that are installed."""
    if desktops.find("gsettings"):
        return {schema: found for schema in SCHEMAS if (found := _asked(schema)) is not None}
    return _from_files(config)


def _asked(schema: str) -> dict[str, Setting] | None:
    said = desktops.ask("gsettings", "list-recursively", schema)
    if said is None:
        return None  # not installed
    words = (line.split(" ", 2) for line in said.splitlines() if line.count(" ") > 1)
    return _known((key, value) for name, key, value in words if name == schema)


def _known(texts: Iterable[tuple[str, str]]) -> dict[str, Setting]:
    """Return the values of the keys that rules ask for."""
    return {
        key: value
        for key, text in texts
        if key in _KEYS and (value := parse_value(text)) is not None
    }


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


def _from_files(config: desktops.Config) -> dict[str, dict[str, Setting]]:
    folders = _schema_folders(config)
    overrides = [
        desktops.parse(desktops.read_text(path))
        for folder in folders
        for path in desktops.matching(folder, "*.gschema.override")
    ]
    own = _own_values(config)
    found = {}
    for schema, (path, defaults) in _schemas(folders).items():
        values = dict(defaults)
        for groups in overrides:
            values.update(_known(groups.get(schema, {}).items()))
        values.update({key: own[path + key] for key in values if path + key in own})
        found[schema] = values
    return found


def _schema_folders(config: desktops.Config) -> list[str]:
    """Return where schemas are, the more important last."""
    environ = config.environ
    dirs = (environ.get("XDG_DATA_DIRS") or _DATA_DIRS).split(":")
    dirs = [*reversed(dirs), environ.get("XDG_DATA_HOME") or f"{config.home}/.local/share"]
    folders = [f"{folder}/glib-2.0/schemas" for folder in dirs if folder.startswith("/")]
    return [*folders, *filter(None, environ.get("GSETTINGS_SCHEMA_DIR", "").split(":"))]


def _schemas(folders: list[str]) -> dict[str, tuple[str, dict[str, Setting]]]:
    """Return path and defaults of every schema that rules ask for."""
    found = {}
    for file in (path for folder in folders for path in desktops.matching(folder, "*.gschema.xml")):
        text = desktops.read_text(file)
        if not any(f'"{schema}"' in text for schema in SCHEMAS):
            continue
        for schema in desktops.parse_xml(text).iter("schema"):
            name = schema.get("id", "")
            if name in SCHEMAS:
                keys = schema.iter("key")
                texts = ((key.get("name", ""), key.findtext("default", "")) for key in keys)
                found[name] = schema.get("path", ""), _known(texts)
    return found


def _own_values(config: desktops.Config) -> dict[str, Setting]:
    """Return the user's own values by path and key."""
    if config.environ.get("GSETTINGS_BACKEND") == "keyfile":
        groups = desktops.parse(desktops.read_text(f"{config.own}/glib-2.0/settings/keyfile"))
        return {
            f"/{group}/{key}": value
            for group, values in groups.items()
            for key, value in _known(values.items()).items()
        }
    with suppress(OSError), open(f"{config.own}/dconf/user", "rb") as file:
        return read_gvdb(file.read())
    return {}


def read_gvdb(data: bytes) -> dict[str, Setting]:
    """Return the numbers, booleans and strings of a dconf database, a GVDB file: a hash table.

    By path, such as `/org/gnome/desktop/thumbnail-cache/maximum-size`. What is of another type is
    left out; another kind of file gives nothing.
    """
    try:
        signature, _version, _options, start, end = _HEADER.unpack_from(data)
        if signature != _SIGNATURE:
            return {}
        return dict(_values(data, start, end))
    except (struct_error, ValueError, IndexError):
        return {}


def _values(data: bytes, start: int, end: int) -> Iterator[tuple[str, Setting]]:
    words, buckets = _TABLE.unpack_from(data, start)
    at = start + _TABLE.size + 4 * (words & _BLOOM_MASK) + 4 * buckets
    items = [
        _ITEM.unpack_from(data, place) for place in range(at, end - _ITEM.size + 1, _ITEM.size)
    ]
    for item in items:
        kind, value_start, value_end = item[4:]
        value = _value(data[value_start:value_end]) if kind == ord("v") else None
        if value is not None:
            yield _path(data, items, item), value


def _path(data: bytes, items: list[tuple[int, ...]], item: tuple[int, ...]) -> str:
    parts = []
    for _ in range(_MOST_DEPTH):
        _hash, parent, key_start, key_size, *_ = item
        parts.append(data[key_start : key_start + key_size])
        if parent == _NO_PARENT:
            break
        item = items[parent]
    return b"".join(reversed(parts)).decode("utf-8", "replace")


def _value(data: bytes) -> Setting | None:
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
