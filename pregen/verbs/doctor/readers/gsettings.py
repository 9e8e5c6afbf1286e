"""GSettings: what GNOME, Cinnamon, MATE and their file managers are set to.

From `gsettings` where it is installed. Otherwise from files, say on a server that works on a user's
home: the schemas for the names and the defaults, overrides of the distribution, then the user's own
values in dconf's database or, where GSETTINGS_BACKEND says so, in the keyfile.
"""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING, Final

from pregen.desktop_settings import matching, parse, read_bytes, read_gvdb, read_text
from pregen.verbs.doctor.facts import SCHEMAS
from pregen.verbs.doctor.readers.tools import ask, find, parse_xml

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pregen.desktop_settings import ConfigFolders, Setting

#: What rules ask for.
_KEYS: Final = frozenset(
    {"maximum-size", "maximum-age", "show-image-thumbnails", "thumbnail-limit", "disable-all"}
)


def read_gsettings(config: ConfigFolders) -> dict[str, dict[str, Setting]]:
    """Return effective values by schema and key, of the schemas that are installed."""
    if find("gsettings"):
        return {schema: found for schema in SCHEMAS if (found := _asked(schema)) is not None}
    return _from_files(config)


def _asked(schema: str) -> dict[str, Setting] | None:
    said = ask("gsettings", "list-recursively", schema)
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


def _from_files(config: ConfigFolders) -> dict[str, dict[str, Setting]]:
    folders = _schema_folders(config)
    overrides = [
        parse(read_text(path))
        for folder in folders
        for path in matching(folder, "*.gschema.override")
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


def _schema_folders(config: ConfigFolders) -> list[str]:
    """Return where schemas are, the more important last."""
    folders = reversed(config.data_folders("glib-2.0/schemas"))
    named = config.environ.get("GSETTINGS_SCHEMA_DIR", "").split(":")
    return [*folders, *filter(None, named)]


def _schemas(folders: list[str]) -> dict[str, tuple[str, dict[str, Setting]]]:
    """Return path and defaults of every schema that rules ask for."""
    found = {}
    for file in (path for folder in folders for path in matching(folder, "*.gschema.xml")):
        text = read_text(file)
        if not any(f'"{schema}"' in text for schema in SCHEMAS):
            continue
        for schema in parse_xml(text).iter("schema"):
            name = schema.get("id", "")
            if name in SCHEMAS:
                keys = schema.iter("key")
                texts = ((key.get("name", ""), key.findtext("default", "")) for key in keys)
                found[name] = schema.get("path", ""), _known(texts)
    return found


def _own_values(config: ConfigFolders) -> dict[str, Setting]:
    """Return the user's own values by path and key."""
    if config.environ.get("GSETTINGS_BACKEND") == "keyfile":
        groups = parse(read_text(f"{config.own}/glib-2.0/settings/keyfile"))
        return {
            f"/{group}/{key}": value
            for group, values in groups.items()
            for key, value in _known(values.items()).items()
        }
    return read_gvdb(read_bytes(f"{config.own}/dconf/user"), _KEYS)
