"""Settings files of desktops: read, and changed without touching what else is in them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pregen.desktop_settings import parse, with_values

WORD = st.text("abcXYZ [$]#;=\tä", max_size=6)
LINES = st.lists(
    st.one_of(
        WORD,
        st.sampled_from(["", "[A]", "[B]", "  [A]  ", "x=1", "x = 2", "y=3", "#x=4", "x[$i]=5"]),
    ),
    max_size=12,
)


def test_a_value_is_set_where_it_stands() -> None:
    text = "# mine\n[General]\nx=1\n\n[P]\n; c\nMaximumSize = 5\nOther=ä\n\n[Z]\nx=2\n"
    assert with_values(text, "P", {"MaximumSize": "9"}) == text.replace(
        "MaximumSize = 5", "MaximumSize=9"
    )


def test_what_is_not_there_is_added_behind_its_group() -> None:
    text = "[P]\nOther=1\n\n[Z]\nx=2"
    assert with_values(text, "P", {"a": "1", "b": "2"}) == "[P]\nOther=1\na=1\nb=2\n\n[Z]\nx=2\n"
    assert with_values(text, "N", {"a": "1"}) == "[P]\nOther=1\n\n[Z]\nx=2\n\n[N]\na=1\n"
    assert with_values("", "N", {"a": "1"}) == "[N]\na=1\n"


def test_a_marked_key_and_one_that_stands_twice_are_set() -> None:
    text = "[P]\nx[$i]=1\nx=2\n#x=3\n"
    assert with_values(text, "P", {"x": "7"}) == "[P]\nx=7\nx=7\n#x=3\n"


@pytest.mark.parametrize("text", ["", "\n", "[P]", "x", "[P]\nx=1"])
def test_nothing_to_set_changes_nothing_but_the_last_end_of_line(text: str) -> None:
    assert with_values(text, "P", {}).rstrip("\n") == text.rstrip("\n")


@given(LINES, st.sampled_from(["A", "B", "C"]), st.dictionaries(st.sampled_from("xyz"), WORD))
def test_any_file_has_the_values_afterwards_and_all_its_other_lines(
    lines: list[str], group: str, values: dict[str, str]
) -> None:
    text = "\n".join(lines)
    values = {key: value.strip() for key, value in values.items()}
    changed = with_values(text, group, values)
    before, after = parse(text), parse(changed)
    assert {key: after[group][key] for key in values} == values
    for name, group_before in before.items():
        kept = {k: v for k, v in group_before.items() if name != group or k not in values}
        assert kept.items() <= after[name].items()
    assert with_values(changed, group, values) == changed
