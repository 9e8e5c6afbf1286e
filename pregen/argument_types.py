"""What the text of an argument must look like: from text to value, for click's `type=`.

What does not fit is refused with click.BadParameter, whose message says what would be right.
"""

from __future__ import annotations

import os
import re
from datetime import datetime, timedelta
from math import isfinite, nan
from typing import TYPE_CHECKING, Any

import click

from pregen.config import Shard
from pregen.model import ALL_FLAVORS, Flavor

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

_FACTORS = {"": 1, "k": 10**3, "M": 10**6, "G": 10**9}
_BYTES = {**_FACTORS, "T": 10**12, "Ki": 2**10, "Mi": 2**20, "Gi": 2**30, "Ti": 2**40}
_SIZE = re.compile(r"([0-9]+(?:\.[0-9]+)?)([kMGT]|[KMGT]i)?B?")
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 7 * 86400}
_AGE = re.compile(r"([0-9]+(?:\.[0-9]+)?)([smhdw])")
_SHARD = re.compile(r"([0-9]{1,6})/([0-9]{1,6})")
_CLOCK = re.compile(r"([01]?[0-9]|2[0-3]):([0-5][0-9])")
#: The first "=" that a URI follows: a folder's name may hold others.
_PUBLICATION = re.compile(r"(.+?)=([A-Za-z][A-Za-z0-9+.-]*:.*)", re.DOTALL)
_PIXELS = re.compile(r"([0-9]+(?:\.[0-9]+)?)([kMG]?)")


class _RawBytes(click.ParamType):  # type: ignore[type-arg] # generic in new versions of click only
    """A path or a pattern as the bytes the shell gave; nothing is looked up."""

    name = "path"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> bytes:
        """Return the bytes; BadParameter when there are none."""
        if not value:
            self.fail("must not be empty.", param, ctx)
        return os.fsencode(value)

    def shell_complete(
        self,
        ctx: click.Context,  # noqa: ARG002 - click's signature
        param: click.Parameter,  # noqa: ARG002 - likewise
        incomplete: str,
    ) -> list[CompletionItem]:
        """Leave it to the shell, which knows files and quoting better."""
        from click.shell_completion import CompletionItem  # noqa: PLC0415 - no run needs it

        return [CompletionItem(incomplete, type="file")]


raw_bytes = _RawBytes()


class WholeNumber(click.IntRange):
    """A whole number within bounds; what is none is refused in plain words."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the number; BadParameter names the bounds."""
        try:
            return super().convert(value, param, ctx)
        except click.BadParameter:
            self.fail(f"{value!r} is not a whole number{_bounds(self)}.", param, ctx)


class Number(click.FloatRange):
    """A number within bounds; what is none is refused in plain words."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the number; BadParameter names the bounds."""
        try:
            number = super().convert(value, param, ctx)
        except click.BadParameter:
            number = nan
        if not isfinite(number):
            self.fail(f"{value!r} is not a number{_bounds(self)}.", param, ctx)
        return number


def _bounds(kind: click.IntRange | click.FloatRange) -> str:
    if kind.min is not None and kind.max is not None:
        return f" from {kind.min:g} to {kind.max:g}"
    if kind.min is not None:
        return f" {'above' if kind.min_open else 'of at least'} {kind.min:g}"
    return "" if kind.max is None else f" of at most {kind.max:g}"


def flavors(text: str) -> tuple[Flavor, ...]:
    """Return the flavors of `normal,large`, each once, small to large."""
    names = [name.strip() for name in text.split(",")]
    known = [flavor.directory for flavor in ALL_FLAVORS]
    for name in names:
        if name not in known:
            raise click.BadParameter(f"{name!r} is not one of {', '.join(known)}.")
    return tuple(flavor for flavor in ALL_FLAVORS if flavor.directory in names)


def flavors_or_auto(text: str | tuple[Flavor, ...]) -> tuple[Flavor, ...]:
    """Return the flavors of a list; none for `auto`."""
    if isinstance(text, tuple):
        return text  # click converts defaults once more
    if text.strip() == "auto":
        return ()
    try:
        return flavors(text)
    except click.BadParameter as error:
        raise click.BadParameter(f"{error.message.removesuffix('.')}, or auto.") from error


def clients(text: str | tuple[str, ...]) -> tuple[str, ...]:
    """Return the names of `auto,gwenview`: `auto`, `all`, `none` and keys of the clients."""
    if isinstance(text, tuple):
        return text  # click converts defaults once more
    from pregen.thumbspec.clients import BY_KEY  # noqa: PLC0415 - no --help needs it

    names = tuple(name.strip() for name in text.split(","))
    known = ("auto", "all", "none", *BY_KEY)
    for name in names:
        if name not in known:
            raise click.BadParameter(f"{name!r} is not one of {', '.join(known)}.")
    return names


def pixels(text: str | int) -> int:
    """Return the number of `500M` or `500000000`."""
    match = _PIXELS.fullmatch(str(text).strip())
    number = int(float(match[1]) * _FACTORS[match[2]]) if match else 0
    if number < 1:
        raise click.BadParameter(f"{text!r} is not a number of pixels: use 500M or 500000000.")
    return number


def size_bytes(text: str | int) -> int:
    """Return the bytes of `2G` (decimal, as disks are sold) or `2Gi`."""
    match = _SIZE.fullmatch(str(text).strip())
    if match is None:
        raise click.BadParameter(f"{text!r} is not a size: use 2G or 500M.")
    return int(float(match[1]) * _BYTES[match[2] or ""])


def rate_bytes_s(text: str | int) -> int:
    """Return the bytes per second of `20M` or `20M/s`."""
    try:
        return size_bytes(str(text).strip().removesuffix("/s"))
    except click.BadParameter:
        raise click.BadParameter(f"{text!r} is not a rate: use 20M for 20 MB/s.") from None


def shard(text: str | Shard) -> Shard:
    """Return the share of `2/3`."""
    if isinstance(text, Shard):
        return text  # click converts defaults once more
    match = _SHARD.fullmatch(text.strip())
    if match is None or not 1 <= int(match[1]) <= int(match[2]):
        raise click.BadParameter(f"{text!r} is not a part: use 1/3 on the first of three machines.")
    return Shard(int(match[1]), int(match[2]))


def publication(text: str | tuple[bytes, str]) -> tuple[bytes, str]:
    """Return folder and prefix of `/srv/photos=smb://nas/photos`."""
    if isinstance(text, tuple):
        return text  # click converts defaults once more
    from pregen.thumbspec.naming import prefix_of  # noqa: PLC0415 - no --help needs it

    match = _PUBLICATION.fullmatch(text)
    prefix = prefix_of(match[2]) if match else None
    if match is None or prefix is None:
        raise click.BadParameter(
            f"{text!r} is not DIR=URI: use /srv/photos=smb://nas/photos, with special "
            "characters of the URI escaped (%20 for a space)."
        )
    return os.fsencode(match[1]), prefix


def age_s(text: str | float) -> float:
    """Return the seconds of `30d`, `12h` or `4w`."""
    if isinstance(text, float):
        return text  # click converts defaults once more
    match = _AGE.fullmatch(str(text).strip())
    if match is None:
        raise click.BadParameter(f"{text!r} is not a time: use 90m, 12h, 30d or 4w.")
    return float(match[1]) * _SECONDS[match[2]]


def next_time(text: str | datetime) -> datetime:
    """Return the next moment at which clocks here show `06:30`."""
    if isinstance(text, datetime):
        return text  # click converts defaults once more
    match = _CLOCK.fullmatch(text.strip())
    if match is None:
        raise click.BadParameter(f"{text!r} is not a time of day: use 06:30 or 23:00.")
    now = datetime.now().astimezone()
    moment = now.replace(hour=int(match[1]), minute=int(match[2]), second=0, microsecond=0)
    if moment <= now:
        moment += timedelta(days=1)
    # the clock may be set by an hour in between: what counts is what it shows then
    return moment.replace(tzinfo=None).astimezone()
