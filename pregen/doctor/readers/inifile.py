"""Settings files of the `[group]` and `key=value` kind, as GLib, KDE and Qt write them."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress

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
