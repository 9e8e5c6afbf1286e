"""Draws the tables of `pregen bench`: with rich on a terminal, as aligned text elsewhere."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

from pregen.commands.style import print_lines
from pregen.progress.text import cells

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from pregen.bench.report import Table

_GAP = "  "


def print_tables(tables: Sequence[Table]) -> None:
    """Write tables to standard output."""
    if sys.stdout.isatty() and os.environ.get("TERM", "dumb") not in {"dumb", "unknown"}:
        _print_rich(tables)
    else:
        for number, table in enumerate(tables):
            print_lines([""] * bool(number))
            print_lines(plain_lines(table))


def plain_lines(table: Table) -> Iterator[str]:
    """Yield the lines of a table: the first column to the left, the others to the right."""
    yield table.title
    grid = [table.columns, *table.rows] if table.rows else []
    widths = [max(map(cells, column)) for column in zip(*grid, strict=True)]
    for row in grid:
        padded = (
            _padded(cell, width, place)
            for place, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        yield (_GAP + _GAP.join(padded)).rstrip()
    for note in table.notes:
        yield _GAP + note


def _padded(cell: str, width: int, place: int) -> str:
    gap = " " * (width - cells(cell))
    return gap + cell if place else cell + gap


def _print_rich(tables: Iterable[Table]) -> None:
    from rich.box import SIMPLE_HEAD  # noqa: PLC0415 - nobody else shall wait for rich
    from rich.console import Console  # noqa: PLC0415 - likewise
    from rich.padding import Padding  # noqa: PLC0415 - likewise
    from rich.table import Table as RichTable  # noqa: PLC0415 - likewise
    from rich.text import Text  # noqa: PLC0415 - likewise

    console = Console(highlight=False, markup=False, emoji=False)
    for number, table in enumerate(tables):
        if number:
            console.print()
        console.print(Text(table.title, "bold"))
        if table.rows:
            drawn = RichTable(
                box=SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0), header_style="dim"
            )
            for place, column in enumerate(table.columns):
                drawn.add_column(Text(column), justify="right" if place else "left")
            for row in table.rows:
                drawn.add_row(
                    *(Text(cell, "" if place else "cyan") for place, cell in enumerate(row))
                )
            console.print(Padding(drawn, (0, 0, 0, 2), expand=False))
        for note in table.notes:
            console.print(Padding(Text(note), (0, 0, 0, 2), expand=False))
