"""How desktops keep their settings in files, and how those are read without any of their programs.

Files of other programs and users: no more than `MOST_BYTES` of one is read, and what makes no sense
is not set. `doctor` reads them, and `screens`, which has to be cheap: every run asks it.
"""

from __future__ import annotations

import os
from contextlib import suppress
from struct import Struct
from struct import error as struct_error
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

Setting = str | int | bool

#: No settings file is larger; a device or a log in its place may be.
MOST_BYTES: Final = 4 * 1024 * 1024
_CONFIG_DIRS: Final = "/etc/xdg"
_DATA_DIRS: Final = "/usr/local/share:/usr/share"

#: O_NONBLOCK: a FIFO in the place of a settings file must not hold up a run.
_FLAGS: Final = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY

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
#: Nor longer, and no value that is asked for takes more.
_MOST_KEY_BYTES: Final = 1024
_MOST_VALUE_BYTES: Final = 4096


class ConfigFolders:
    """Where settings files are (XDG Base Directory).

    Args:
        environ: whose variables count.
        home: the user's.
    """

    def __init__(self, environ: Mapping[str, str], home: str) -> None:
        own = environ.get("XDG_CONFIG_HOME", "")
        own_data = environ.get("XDG_DATA_HOME", "")
        self.environ = environ
        self.home = home
        self.own = own if own.startswith("/") else f"{home}/.config"
        self.own_data = own_data if own_data.startswith("/") else f"{home}/.local/share"
        self.shared = _absolute(environ.get("XDG_CONFIG_DIRS") or _CONFIG_DIRS)
        self.shared_data = _absolute(environ.get("XDG_DATA_DIRS") or _DATA_DIRS)

    def files(self, name: str) -> list[str]:
        """Return the places of a file that are there, the most important first."""
        places = [f"{folder}/{name}" for folder in (self.own, *self.shared)]
        return [place for place in places if os.path.isfile(place)]

    def data_folders(self, name: str) -> list[str]:
        """Return the places of a folder of data, there or not, the most important first."""
        return [f"{folder}/{name}" for folder in (self.own_data, *self.shared_data)]


def _absolute(folders: str) -> list[str]:
    return [folder for folder in folders.split(":") if folder.startswith("/")]


def matching(folder: str, pattern: str) -> list[str]:
    """Return the paths below a folder that match a pattern, sorted."""
    import glob  # noqa: PLC0415 - a run does without

    return [f"{folder}/{name}" for name in sorted(glob.glob(pattern, root_dir=folder))]


def read_bytes(path: str, most_bytes: int = MOST_BYTES) -> bytes:
    """Return a file's beginning; empty: it cannot be read, or is not a file."""
    try:
        fd = os.open(path, _FLAGS)
    except (OSError, ValueError):
        return b""
    data = b""
    with suppress(OSError):
        while len(data) < most_bytes and (more := os.read(fd, most_bytes - len(data))):
            data += more
    os.close(fd)
    return data


def read_text(path: str) -> str:
    """Return a file's text; empty: it cannot be read."""
    return read_bytes(path).decode("utf-8", "replace")


def parse(text: str) -> dict[str, dict[str, str]]:
    """Return values by group and key, of a file as GLib, KDE and Qt write it.

    Of doubles the last counts; in no group are those before the first. What KDE puts behind a key
    (`[$i]`: not to be changed by users) is left out.
    """
    groups: dict[str, dict[str, str]] = {}
    group = groups.setdefault("", {})
    for line in map(str.strip, text.splitlines()):
        if line.startswith("[") and line.endswith("]"):
            group = groups.setdefault(line[1:-1], {})
        elif line and line[0] not in "#;":
            key, found, value = line.partition("=")
            if found:
                group[key.partition("[$")[0].strip()] = value.strip()
    return groups


def with_values(text: str, group: str, values: Mapping[str, str]) -> str:
    """Return the text of such a file with values set in one group; all other lines stay.

    Each of several lines of a key is set. A key that is not there comes behind the last line of
    the group, a group that is not there to the end.
    """
    lines = text.splitlines(keepends=True)
    if lines and not lines[-1].endswith("\n"):
        lines[-1] += "\n"
    left = dict(values)
    done: list[str] = []
    end = None  # behind the last line of the group that is not empty
    within = False
    for line in lines:
        bare = line.strip()
        if bare.startswith("[") and bare.endswith("]"):
            within = bare[1:-1] == group
        elif within and bare and bare[0] not in "#;":
            key = bare.partition("=")[0].partition("[$")[0].strip()
            if "=" in bare and key in values:
                line = f"{key}={values[key]}\n"  # noqa: PLW2901 - the line that goes on
                left.pop(key, None)
        done.append(line)
        if within and bare:
            end = len(done)
    new = [f"{key}={value}\n" for key, value in left.items()]
    if end is not None:
        done[end:end] = new
    elif new:
        done += ["\n"] * bool(done) + [f"[{group}]\n", *new]
    return "".join(done)


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


def read_gvdb(data: bytes, names: Collection[str]) -> dict[str, Setting]:
    """Return some values of a dconf database, a GVDB file: a hash table.

    By path, such as `/org/gnome/desktop/thumbnail-cache/maximum-size`: numbers, booleans and
    strings. What is of another type is left out; another kind of file gives nothing.

    Args:
        data: of the file.
        names: of the keys, the last parts of their paths.
    """
    try:
        signature, _version, _options, start, end = _HEADER.unpack_from(data)
        if signature != _SIGNATURE:
            return {}
        wanted = frozenset(name.encode() for name in names)
        return dict(_values(data, start, end, wanted))
    except (struct_error, ValueError, IndexError):
        return {}


def _values(
    data: bytes, start: int, end: int, wanted: Collection[bytes]
) -> Iterator[tuple[str, Setting]]:
    words, buckets = _TABLE.unpack_from(data, start)
    at = start + _TABLE.size + 4 * (words & _BLOOM_MASK) + 4 * buckets
    places = range(at, min(end, len(data)) - _ITEM.size + 1, _ITEM.size)
    for place in places:
        item = _ITEM.unpack_from(data, place)
        _hash, _parent, key_start, key_size, kind, value_start, value_end = item
        if kind != ord("v") or data[key_start : key_start + key_size] not in wanted:
            continue
        if value_end - value_start > _MOST_VALUE_BYTES:
            continue
        value = _value(data[value_start:value_end])
        if value is not None:
            yield _path(data, places, item), value


def _path(data: bytes, places: range, item: tuple[int, ...]) -> str:
    parts: list[bytes] = []
    for _ in range(_MOST_DEPTH):
        _hash, parent, key_start, key_size, *_ = item
        if key_size > _MOST_KEY_BYTES:
            break
        parts.append(data[key_start : key_start + key_size])
        if parent == _NO_PARENT:
            break
        item = _ITEM.unpack_from(data, places[parent])
    return b"".join(reversed(parts)).decode("utf-8", "replace")


def _value(data: bytes) -> Setting | None:
    """Read a serialised variant: the value, a zero byte, its type (GVariant specification)."""
    value, _, kind = data.rpartition(b"\0")
    if kind == b"b":
        return value[:1] == b"\1"
    if kind == b"s":
        return value.rstrip(b"\0").decode("utf-8", "replace")
    if kind in _NUMBERS:
        read: int = Struct(_NUMBERS[kind]).unpack_from(value)[0]
        return read
    return None
