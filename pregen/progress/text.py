"""File names and library messages made safe to show. Pure; knows nothing of rich.

Names are hostile: they hold line feeds, terminal escapes, right-to-left overrides and bytes
that are not UTF-8. What is shown is for eyes; `--json` carries the exact bytes.
"""

from __future__ import annotations

import unicodedata
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

#: Categories that move the cursor, reorder text, show nothing or cannot be encoded: control,
#: format (with the right-to-left overrides), surrogate, private, unassigned, line and paragraph
#: separators (Unicode, general categories).
_HIDDEN = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
_SURROGATE_BASE = 0xDC00
_ELLIPSIS = "…"


def printable(text: str) -> str:
    r"""Return `text` with all that could disturb a screen escaped: `\n`, `\x1b`, `\u202e`."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(map(_escaped, text))


def shown(path: bytes) -> str:
    r"""Return a path for people: undecodable bytes as `\xNN`, a backslash doubled."""
    return printable(path.decode("utf-8", "surrogateescape").replace("\\", "\\\\"))


def _escaped(char: str) -> str:
    if unicodedata.category(char) not in _HIDDEN:
        return char
    if "\udc80" <= char <= "\udcff":  # a byte that `surrogateescape` could not decode
        char = chr(ord(char) - _SURROGATE_BASE)
    return char.encode("unicode_escape", "backslashreplace").decode("ascii")


def cells(text: str) -> int:
    """Return how many columns of a terminal `text` takes (Unicode 15, UAX 11)."""
    if text.isascii():
        return len(text)
    return sum(map(_char_cells, text))


def _char_cells(char: str) -> int:
    if unicodedata.category(char) in {"Mn", "Me"}:
        return 0
    return 2 if unicodedata.east_asian_width(char) in "WF" else 1


def shorten(text: str, width: int) -> str:
    """Return `text` in at most `width` columns, its middle left out: both ends tell files apart."""
    if cells(text) <= width:
        return text
    if width < 1:
        return ""
    room = width - 1
    tail = _take(reversed(text), (room + 1) // 2)[::-1]
    head = _take(text, room - cells(tail))
    return head + _ELLIPSIS + tail


def _take(chars: Iterable[str], room: int) -> str:
    taken: list[str] = []
    for char in chars:
        room -= _char_cells(char)
        if room < 0:
            break
        taken.append(char)
    return "".join(taken)
