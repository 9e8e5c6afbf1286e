"""Drawing at the bottom of a terminal, again and again."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pregen.display.printer import Output
from pregen.display.tty import Frame, FrameLine
from tests.support.judges.virtual_terminal import Vt

if TYPE_CHECKING:
    from collections.abc import Sequence


def _frame(columns: int) -> tuple[Vt, Frame]:
    terminal = Vt(columns)
    terminal.write("$ pregen run\n")
    return terminal, Frame(Output(terminal), lambda: terminal.columns)  # type: ignore[arg-type] # write and flush are all it needs


def _lines(*texts: str) -> list[FrameLine]:
    return [FrameLine(text, len(text)) for text in texts]


def test_a_frame_takes_the_place_of_the_one_before() -> None:
    terminal, frame = _frame(40)
    frame.draw(_lines("one", "two, which is long", "three"))
    frame.draw(_lines("ONE", "TWO"))
    assert terminal.shown() == ["$ pregen run", "ONE", "TWO"]


def test_nothing_is_left_when_it_is_cleared_and_the_cursor_is_back() -> None:
    terminal, frame = _frame(40)
    frame.draw(_lines("one", "two"))
    frame.clear("Done.\n")
    assert terminal.shown() == ["$ pregen run", "Done."]
    assert terminal.column == 0


def test_a_forgotten_frame_stays_where_it_is() -> None:
    terminal, frame = _frame(40)
    frame.draw(_lines("one", "two"))
    terminal.write("\n[1]+ Stopped\n$ fg\n")
    frame.forget()
    frame.draw(_lines("three"))
    assert terminal.shown() == ["$ pregen run", "one", "two", "[1]+ Stopped", "$ fg", "three"]


def test_lines_that_stay_are_written_above_the_frame_even_when_they_wrap() -> None:
    terminal, frame = _frame(10)
    frame.draw(_lines("12345678", "abcdefgh", "x"))
    frame.draw(_lines("NEW"), above="a note of fifteen\n")
    assert terminal.shown() == ["$ pregen r", "un", "a note of", "fifteen", "NEW"]


def test_a_name_wider_than_thought_does_not_break_the_frame() -> None:
    terminal, frame = _frame(10)
    frame.draw([FrameLine("x" * 30, 9), FrameLine("below", 5)])
    frame.draw(_lines("a", "b"))
    assert terminal.shown() == ["$ pregen r", "un", "a", "b"]


@pytest.mark.parametrize("narrow", [1, 7, 10, 19])
def test_a_narrower_window_leaves_no_rubbish(narrow: int) -> None:
    terminal, frame = _frame(40)
    frame.draw(_lines("a" * 39, "b" * 20, "", "c"))
    terminal.resize(narrow)
    before = len("$ pregen run") // narrow + bool(len("$ pregen run") % narrow)
    frame.draw(_lines("d"))
    assert terminal.shown()[before:] == ["d"]
    assert "".join(terminal.shown()[:before]).replace(" ", "") == "$pregenrun"


@given(
    st.lists(
        st.tuples(st.integers(1, 60), st.lists(st.integers(0, 59), min_size=1, max_size=6)),
        max_size=8,
    )
)
def test_no_sequence_of_frames_and_sizes_leaves_rubbish(
    steps: Sequence[tuple[int, Sequence[int]]],
) -> None:
    terminal, frame = _frame(60)
    for columns, widths in steps:
        terminal.resize(columns)
        frame.draw(_lines(*("x" * min(width, columns - 1) for width in widths)))
    terminal.resize(60)
    frame.clear()
    assert terminal.shown() == ["$ pregen run"]
