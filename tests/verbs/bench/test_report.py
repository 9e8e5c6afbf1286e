"""Tables and comparisons: aligned, complete, and honest about what was compared."""

from __future__ import annotations

import click
import pytest

from pregen.verbs.bench.command import table_lines
from pregen.verbs.bench.comparison import Row
from pregen.verbs.bench.tables import Table

TABLE = Table(
    "A title",
    ("", "images/s", "ms"),
    (("all", "1,024", "9.5"), ("写真", "7", "120.0")),
    ("a note",),
)


def plain_lines(*tables: Table) -> list[str]:
    return [click.unstyle(line) for line in table_lines(tables)]


def test_tables_are_aligned() -> None:
    assert plain_lines(TABLE) == [
        "A title",
        "        images/s     ms",
        "  all      1,024    9.5",
        "  写真         7  120.0",
        "  a note",
    ]


def test_a_table_may_be_notes_alone() -> None:
    assert plain_lines(Table("Not measured", notes=("one", "two"))) == [
        "Not measured",
        "  one",
        "  two",
    ]


def test_an_empty_line_stands_between_tables() -> None:
    assert plain_lines(Table("One"), Table("Two")) == ["One", "", "Two"]


def test_names_have_a_colour_and_numbers_have_none() -> None:
    (line,) = (line for line in table_lines([TABLE]) if "all" in line)
    assert line == f"  {click.style('all', fg='cyan')}      1,024    9.5"


@pytest.mark.parametrize(
    ("row", "gain"),
    [
        (Row("warm, images/s", 10.0, 20.0), 2.0),
        (Row("read, ms", 10.0, 20.0), 0.5),
        (Row("read, ms", 10.0, 10.0), 1.0),
    ],
)
def test_twice_the_speed_is_better_and_twice_the_time_is_worse(row: Row, gain: float) -> None:
    assert row.gain == gain
