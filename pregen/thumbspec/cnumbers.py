"""Numbers as the clients' own libraries read them from text: C, Qt and Vala differ.

Nothing here is about thumbnails.
"""

from __future__ import annotations

import re
from typing import Final

_LONG_MAX: Final = 2**63 - 1
_LONG_MIN: Final = -(2**63)
_UNSIGNED_MAX: Final = 2**64 - 1
_INTEGER: Final = re.compile(r"\s*([+-]?)([0-9]+)", re.ASCII)
_DOUBLE: Final = re.compile(r"\s*[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?", re.ASCII)
#: A 64-bit number has no more; leading zeros do not count.
_MAX_DIGITS: Final = 20


def strtol(text: str) -> int:
    """Read as C's strtol and atol: the number that leads the text, 0 for none, held in a long."""
    found = _INTEGER.match(text)
    return 0 if found is None else max(_LONG_MIN, min(_value(found), _LONG_MAX))


def strtod(text: str) -> float:
    """Read as g_ascii_strtod: the decimal number that leads the text, 0 for none."""
    found = _DOUBLE.match(text)
    return 0.0 if found is None else float(found[0])


def qt_signed(text: str) -> int:
    """Read as QString::toLongLong: all of the text, blanks aside, or 0."""
    return _qt_number(text, _LONG_MIN, _LONG_MAX)


def qt_unsigned(text: str) -> int:
    """Read as QString::toULongLong: all of the text, blanks aside, or 0."""
    return _qt_number(text, 0, _UNSIGNED_MAX)


def vala_int64(text: str) -> int | None:
    """Read as Vala's int64.try_parse: all of the text, or None."""
    return strtol(text) if _INTEGER.fullmatch(text) else None


def _qt_number(text: str, smallest: int, largest: int) -> int:
    found = _INTEGER.fullmatch(text.strip())
    value = 0 if found is None else _value(found)
    return value if smallest <= value <= largest else 0


def _value(found: re.Match[str]) -> int:
    """Convert; a number of too many digits becomes one that is just as far out of range."""
    sign, digits = found[1], found[2].lstrip("0")
    return int(f"{sign}{digits or 0}") if len(digits) <= _MAX_DIGITS else int(f"{sign}1{'0' * 20}")
