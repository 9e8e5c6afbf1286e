"""Numbers for people: counts, sizes, rates, durations. Pure."""

from __future__ import annotations

from datetime import datetime

_KILO = 1000
_MINUTE_S = 60
_HOUR_S = 60 * _MINUTE_S
_DAY_S = 24 * _HOUR_S
#: Below this many units one decimal still says something.
_FEW = 10


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
