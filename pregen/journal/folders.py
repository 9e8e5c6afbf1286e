"""What is known of whole folders, as rows: one for each folder, because a re-run asks for a folder.

A row holds the names, which cannot contain a zero byte, and as many packed numbers. A row of
another version of pregen, of other flavors or of the wrong length counts as none: the sources are
looked at, and the row is written anew. Pure: SQL and bytes, no connection.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pregen.model import Flavor, Known

READ: Final = "SELECT version, flavors, names, facts FROM folders WHERE path = ?"
WRITE: Final = (
    "INSERT OR REPLACE INTO folders (path, version, flavors, names, facts) VALUES (?, ?, ?, ?, ?)"
)

FORGET: Final = "DELETE FROM folders WHERE path = ?"
#: A folder of more sources is not remembered: its row is written anew each time something in it
#: is learned (0.1 s for so many), and its sources are looked at in full.
MOST_NAMES: Final = 50_000

FolderRow = tuple[bytes, str, str, bytes, bytes]


def flavors_text(flavors: Sequence[Flavor]) -> str:
    """Return the flavors as a row holds them."""
    return ",".join(flavor.directory for flavor in flavors)


def read(
    row: tuple[str, str, bytes, bytes] | None, version: str, flavors: str
) -> dict[bytes, Known]:
    """Return what a row of `READ` knows, by name of the source; nothing where it does not fit."""
    if row is None or row[:2] != (version, flavors):
        return {}
    names, facts = row[2].split(b"\0"), row[3]
    layout = _layout(flavors)
    if len(names) * layout.size != len(facts):
        return {}
    return dict(zip(names, layout.iter_unpack(facts), strict=True))


def row(path: bytes, version: str, flavors: str, known: dict[bytes, Known]) -> FolderRow:
    """Return a row for `WRITE`. What does not fit (a mtime beyond 64 bits) is left out."""
    layout = _layout(flavors)
    names: list[bytes] = []
    facts: list[bytes] = []
    for name, numbers in known.items():
        try:
            facts.append(layout.pack(*numbers))
        except struct.error:
            continue
        names.append(name)
    return path, version, flavors, b"\0".join(names), b"".join(facts)


def _layout(flavors: str) -> struct.Struct:
    return struct.Struct("<qq16s" + "Qqq" * len(flavors.split(",")))
