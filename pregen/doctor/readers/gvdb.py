"""Reads dconf's database, a GVDB file: a hash table of settings by path.

Only what settings about thumbnails need: numbers, booleans and strings. For machines without the
`gsettings` program, say a server that works on a user's home.
"""

from __future__ import annotations

from struct import Struct
from struct import error as struct_error
from typing import Final

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
