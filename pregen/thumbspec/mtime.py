"""A modification time as an entry says it, and whether a text found in an entry agrees with it.

Numbers and texts only: which chunk holds which text is `pngbuild`'s knowledge, and what each
desktop makes of it is `clients`'.
"""

from __future__ import annotations

import re
from typing import Final

_NS_PER_S: Final = 10**9
_NS_PER_USEC: Final = 1000
_USEC_PER_S: Final = 10**6

#: tumbler's sum of two doubles is the double next to the decimal number from here on: the error of
#: the product (2^-52) is smaller than the distance of any microsecond to the middle between two
#: doubles, 64 / (10^6 * 2^(53 - exponent)), for exponents from 15.
_DOUBLES_AGREE_FROM_S: Final = 2**16

#: 20 digits hold every 64-bit number; no program writes more digits after the point.
_NUMBER: Final = re.compile(r"\s*([+-]?[0-9]{1,20})(?:\.([0-9]{0,40}))?\s*", re.ASCII)


def whole_s(mtime_ns: int) -> int:
    """Return `st_mtime`: the whole seconds, rounded down (negative before 1970)."""
    return mtime_ns // _NS_PER_S


def usec(mtime_ns: int) -> int:
    """Return the microseconds within the second, truncated as GIO's `time::modified-usec`."""
    return mtime_ns // _NS_PER_USEC % _USEC_PER_S


def unsigned_s(mtime_ns: int) -> int:
    """Return the whole seconds as GIO's `time::modified`: a time before 1970 is 2^64 - n."""
    return whole_s(mtime_ns) % 2**64


def tumbler_s(mtime_ns: int) -> float:
    """Return what tumbler 4.17 and later compares: GIO's two numbers, added as doubles."""
    return float(unsigned_s(mtime_ns)) + 1e-6 * usec(mtime_ns)


def integer_text(mtime_ns: int) -> str:
    """Return the text every `tEXt` Thumb::MTime must have (GLib 2.89 thumbnail-verify)."""
    return str(unsigned_s(mtime_ns))


def leading_text(mtime_ns: int) -> str:
    """Return what a Thumb::MTime in front of all others must say; empty: there is no need of one.

    tumbler and gdk-pixbuf take the first of all text chunks. tumbler wants the microseconds;
    gdk-pixbuf's users (gnome-desktop, Geeqie) read the integer before the point, with its sign.
    """
    seconds = whole_s(mtime_ns)
    if seconds < 0:
        return str(seconds)
    fraction = usec(mtime_ns)
    if not fraction:
        return ""
    text = f"{seconds}.{fraction:06}"
    if seconds < _DOUBLES_AGREE_FROM_S and float(text) != tumbler_s(mtime_ns):
        return f"{tumbler_s(mtime_ns):.25f}"
    return text


def trailing_text(mtime_ns: int) -> str:
    """Return what a Thumb::MTime behind all others must say; empty: there is no need of one.

    Qt and gThumb 4 take the last. Before 1970 KIO and gThumb want the signed number, which GLib
    would refuse in a `tEXt`. tumbler and libfm-qt cannot be satisfied as well: they want GLib's
    number in the place where gnome-desktop, or KIO, needs the signed one.
    """
    return str(whole_s(mtime_ns)) if mtime_ns < 0 else ""


def agrees(text: str, mtime_ns: int) -> bool:
    """Tell whether a Thumb::MTime means this time: in whole seconds, or to the microsecond.

    Equal, never "not older" (standard, Detect Modifications). Takes what other programs write:
    blanks, leading zeros, GLib's 2^64 - n, tumbler's fraction. A fraction that disagrees is a
    disagreement even when the seconds are right.
    """
    found = _NUMBER.fullmatch(text)
    if found is None or int(found[1]) not in {whole_s(mtime_ns), unsigned_s(mtime_ns)}:
        return False
    fraction = found[2]
    if fraction is None:
        return True
    return int(f"{fraction:0<6}"[:6]) == usec(mtime_ns) or float(text) == tumbler_s(mtime_ns)
