"""`pregen formats`: what this installation reads, and how to make it read more."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING

import click

from pregen.commandline import Command, print_lines, print_record, terminal_columns, under
from pregen.display.text import Verbatim, plural, printable
from pregen.display.words import NOT_COMPILED
from pregen.errors import ExitCode
from pregen.options import option

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from pregen.imaging.abilities import Ability

_MOST_COLUMNS = 120
#: Of the column of names, and of that between a name and its types.
_NAME, _TOLD = 7, 20
#: Before types that stand below a name: the longest has 74 characters.
_BELOW = " " * 6


def _formats(*, json: bool) -> ExitCode:
    """List the formats pregen knows by their content, and which library reads each.

    The first bytes of a file decide its format, not its name. Some formats need an extra: a library
    that is not installed with pregen itself. Shows the command that installs missing ones.
    """
    from pregen.imaging.abilities import abilities, missing_extras  # noqa: PLC0415 - no --help needs it
    from pregen.installation import (  # noqa: PLC0415 - likewise
        compile_command,
        install_command,
        is_compiled,
    )

    found = abilities()
    if json:
        for each in found:
            missing = each.extra and not each.reads
            print_record(_record(each, install_command([each.extra]) if missing else None))
        return ExitCode.DONE
    missing_ones = missing_extras(found)
    print_lines(_lines(found, install_command(missing_ones) if missing_ones else ""))
    if not is_compiled():
        print_lines(["", *NOT_COMPILED, Verbatim(f"  {printable(compile_command())}")])
    print_lines(["", _verdict(found)])
    return ExitCode.DONE


def _record(each: Ability, install: str | None) -> dict[str, object]:
    return {
        "v": 1,
        "format": each.name,
        "mime": list(each.mimes),
        "reads": each.reads,
        "library": each.library or None,
        "version": each.version or None,
        "extra": each.extra or None,
        "install": install,
        "trouble": each.trouble or None,
    }


def _lines(found: list[Ability], install: str) -> Iterator[str]:
    """Yield the formats that are read, those that wait for an extra, and the others."""
    yield click.style("Read", bold=True)
    rows = ((each, f"{each.library} {each.version}") for each in found if each.reads)
    yield from _rows(rows, "green")
    if install:
        yield ""
        yield click.style("Needs an extra", bold=True)
        rows = ((each, each.trouble) for each in found if each.extra and not each.reads)
        yield from _rows(rows, "yellow")
        yield Verbatim(f"  install with: {printable(install)}")
    others = [(each, each.trouble) for each in found if not each.extra and not each.reads]
    if others:
        yield ""
        yield click.style("Known but not supported", bold=True)
        yield from _rows(others, "white")


def _verdict(found: list[Ability]) -> str:
    """Return the last line."""
    waiting = sum(bool(each.extra) and not each.reads for each in found)
    more = f", {waiting} need an extra" if waiting else ""
    return (
        f"{plural(len({each.name for each in found if each.reads}), 'format')} can be read{more}."
    )


def _rows(rows: Iterable[tuple[Ability, str]], colour: str) -> Iterator[str]:
    width = min(_MOST_COLUMNS, terminal_columns() or _MOST_COLUMNS)
    for each, told in rows:
        lead = f"  {each.name:<{_NAME}}{printable(told):<{_TOLD}}"
        column = 2 + _NAME + _TOLD
        lines = []
        if len(lead) > column or max(map(len, each.mimes)) >= width - column:
            lines.append(lead.rstrip())  # its types stand below it, where they have more room
            lead = _BELOW
        lines += textwrap.wrap(
            ", ".join(each.mimes),
            width,
            initial_indent=lead,
            subsequent_indent=" " * len(lead),
            break_on_hyphens=False,
            break_long_words=False,
        )
        yield click.style(lines[0][: 2 + _NAME], fg=colour) + lines[0][2 + _NAME :]
        yield from lines[1:]


formats = Command(
    "formats",
    callback=_formats,
    params=[*under("Options", option("json", help="Write a JSON object for each format."))],
    help=_formats.__doc__,
    epilog="Example: pregen formats --json | jq -r 'select(.reads) | .format'",
)
