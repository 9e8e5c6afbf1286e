"""Names and messages made safe to show, and numbers for people. Pure; knows nothing of rich.

Names are hostile: they hold line feeds, terminal escapes, right-to-left overrides and bytes
that are not UTF-8. What is shown is for eyes; `--json` carries the exact bytes.
"""

from __future__ import annotations

import re
import unicodedata
from datetime import datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator


#: Categories that move the cursor, reorder text, show nothing or cannot be encoded: control,
#: format (with the right-to-left overrides), surrogate, private, unassigned, line and paragraph
#: separators (Unicode, general categories).
_HIDDEN = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
_SURROGATE_BASE = 0xDC00
_ELLIPSIS = "…"
#: What sets a colour (ECMA-48, SGR), and what takes columns beside it.
_COLOUR = re.compile(r"\x1b\[[0-9;]*m")
_SEEN = re.compile(r"\x1b\[[0-9;]*m|.", re.DOTALL)
#: What continues a line that was broken stands so much further to the right.
_HANGING = 2
_KILO = 1000
_MINUTE_S = 60
_HOUR_S = 60 * _MINUTE_S
_DAY_S = 24 * _HOUR_S
#: Below this many units one decimal still says something.
_FEW = 10


def printable(text: str) -> str:
    r"""Return `text` with all that could disturb a screen escaped: `\n`, `\x1b`, `\u202e`."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(map(_escaped, text))


def shown(path: bytes) -> str:
    r"""Return a path for people: undecodable bytes as `\xNN`, a backslash doubled."""
    return printable(path.decode("utf-8", "surrogateescape").replace("\\", "\\\\"))


def natural(path: bytes) -> list[tuple[bytes, int]]:
    """Return a key that sorts names as people count: `trunc9` before `trunc10`."""
    parts = re.split(rb"(\d{1,18})", path)
    # Every second part is a number.
    return [
        (text, int(number)) for text, number in zip(parts[::2], [*parts[1::2], b"0"], strict=True)
    ]


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


class Verbatim(str):
    """A line that is not folded: a command, so that it can be copied as it is."""

    __slots__ = ()


def folded(line: str, width: int) -> Iterator[str]:
    """Yield a line in pieces of at most `width` columns, broken between words and indented further.

    A word that is longer, such as a path, stays whole: the terminal breaks it, so that it can be
    copied. Colours take no columns.
    """
    plain = _COLOUR.sub("", line)
    indent = least = len(plain) - len(plain.lstrip(" "))
    while cells(plain) > width:
        at = _last_space(line, width, least)
        if at < 0:
            break
        yield line[:at].rstrip(" ")
        least = indent + _HANGING
        line = " " * least + line[at + 1 :].lstrip(" ")
        plain = _COLOUR.sub("", line)
    yield line


def _last_space(line: str, width: int, indent: int) -> int:
    """Return where to break a line: the last space that fits, else the first; -1: there is none."""
    best, column = -1, 0
    for each in _SEEN.finditer(line):
        if each[0] == " " and column > indent:
            if column > width and best >= 0:
                return best
            best = each.start()
            if column > width:
                return best
        column += cells(each[0]) if len(each[0]) == 1 else 0
    return best


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


def count(number: int) -> str:
    """Return `1,234,567`."""
    return f"{number:,}"


def plural(number: int, one: str, many: str = "") -> str:
    """Return `1 file`, `2 files`; `many` where an s is not enough."""
    return f"{number:,} {one if number == 1 else many or one + 's'}"


def number(value: float) -> str:
    """Return a measured value: one decimal when it is small, none when it is not."""
    return f"{value:.1f}" if 0 < value < _FEW else f"{value:,.0f}"


def size(size_bytes: float) -> str:
    """Return `999 B`, `1.5 kB`, `20 MB`: decimal units, as disks are sold."""
    value = float(size_bytes)
    for unit in ("B", "kB", "MB", "GB"):
        # 999.5 would be printed as 1,000 of the smaller unit
        if value < _KILO - 0.5:
            return f"{value:.0f} {unit}" if unit == "B" else f"{number(value)} {unit}"
        value /= _KILO
    return f"{number(value)} TB"


def megapixels(pixels: float) -> str:
    """Return `12 Mpx`."""
    return f"{number(pixels / 1e6)} Mpx"


def duration(seconds: float) -> str:
    """Return `0.25 s`, `4.2 s`, `42 s`, `3 min 05 s`, `1 h 02 min`, `2 d 03 h`."""
    if seconds < 1:
        return f"{seconds:.2f} s"
    if seconds < _FEW:
        return f"{seconds:.1f} s"
    return about(seconds)


def about(seconds: float) -> str:
    """Return a duration in whole seconds, for what is only estimated: `4 s`, `3 min 05 s`."""
    whole = round(seconds)
    if whole < _MINUTE_S:
        return f"{whole} s"
    if whole < _HOUR_S:
        return f"{whole // _MINUTE_S} min {whole % _MINUTE_S:02d} s"
    if whole < _DAY_S:
        return f"{whole // _HOUR_S} h {whole % _HOUR_S // _MINUTE_S:02d} min"
    return f"{whole // _DAY_S} d {whole % _DAY_S // _HOUR_S:02d} h"


def moment(at_ns: int) -> str:
    """Return a time since 1970 in the local time zone, to the microsecond: as files have it."""
    seconds, rest_ns = divmod(at_ns, 10**9)
    try:
        local = datetime.fromtimestamp(seconds).astimezone()
    except (ValueError, OverflowError, OSError):  # file systems know years that datetime does not
        return f"{seconds} s since 1970"
    return f"{local:%Y-%m-%d %H:%M:%S}.{rest_ns // 1000:06} {local:%z}"


def clock(seconds: float) -> str:
    """Return a running time as a clock shows it: `0:04`, `12:05`, `1:02:09`."""
    minutes, second = divmod(int(seconds), _MINUTE_S)
    hours, minute = divmod(minutes, 60)
    return f"{hours}:{minute:02d}:{second:02d}" if hours else f"{minute}:{second:02d}"
