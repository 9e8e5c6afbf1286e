"""Tables and comparisons: aligned, complete, and honest about what was compared."""

from __future__ import annotations

import pytest

from pregen.verbs.bench import record
from pregen.verbs.bench.command import _print_rich, plain_lines
from pregen.verbs.bench.tables import Table

TABLE = Table(
    "A title",
    ("", "images/s", "ms"),
    (("all", "1,024", "9.5"), ("写真", "7", "120.0")),
    ("a note",),
)


def test_plain_tables_are_aligned() -> None:
    assert list(plain_lines(TABLE)) == [
        "A title",
        "        images/s     ms",
        "  all      1,024    9.5",
        "  写真         7  120.0",
        "  a note",
    ]


def test_a_table_may_be_notes_alone() -> None:
    assert list(plain_lines(Table("Not measured", notes=("one", "two")))) == [
        "Not measured",
        "  one",
        "  two",
    ]


def test_rich_tables_hold_the_same_and_take_no_text_for_markup(
    capsys: pytest.CaptureFixture[str],
) -> None:
    _print_rich([TABLE._replace(notes=("[bold]a note[/bold]",))])
    out = capsys.readouterr().out
    for text in ("A title", "images/s", "1,024", "写真", "120.0", "[bold]a note[/bold]"):
        assert text in out


@pytest.mark.parametrize(
    ("row", "gain"),
    [
        (record.Row("images/s", 10.0, 20.0, speed=True), 2.0),
        (record.Row("ms", 10.0, 20.0, speed=False), 0.5),
        (record.Row("ms", 10.0, 10.0, speed=False), 1.0),
    ],
)
def test_twice_the_speed_is_better_and_twice_the_time_is_worse(
    row: record.Row, gain: float
) -> None:
    assert row.gain == gain
