"""Rows of what is known of folders: they come back as they went, or not at all."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from pregen.journal import folders
from pregen.model import Flavor, Known, KnownFolder

int64 = st.integers(-(2**63), 2**63 - 1)
uint64 = st.integers(0, 2**64 - 1)
names = st.binary(min_size=1, max_size=20).filter(lambda name: b"\0" not in name)


@st.composite
def pages(draw: st.DrawFn) -> tuple[str, KnownFolder]:
    """What is known of a folder, with the flavors it is known for: some files have more keys."""
    wanted = draw(st.lists(st.sampled_from(Flavor), min_size=1, max_size=4, unique=True))
    stamps = st.tuples(*(kind for _ in wanted for kind in (uint64, int64, int64)))
    entry = st.tuples(st.tuples(int64, int64, st.binary(min_size=16, max_size=16)), stamps)
    entries = st.lists(entry, min_size=1, max_size=3)
    known = draw(st.dictionaries(names, entries, max_size=8))
    page: KnownFolder = {
        name: tuple((*first, *rest) for first, rest in each) for name, each in known.items()
    }
    return folders.flavors_text(wanted, draw(st.sampled_from(["", "pretty raw"]))), page


@given(pages())
def test_a_row_comes_back_as_it_went(page: tuple[str, KnownFolder]) -> None:
    flavors, known = page
    row = folders.row(b"/folder", "1.2", flavors, known)
    assert folders.read(row[1:], "1.2", flavors) == known


@given(pages())
def test_a_row_of_another_version_or_of_other_flavors_is_none(
    page: tuple[str, KnownFolder],
) -> None:
    flavors, known = page
    row = folders.row(b"/folder", "1.2", flavors, known)[1:]
    assert folders.read(row, "1.3", flavors) == {}
    assert folders.read(row, "1.2", "normal," + flavors) == {}
    assert folders.read(row, "1.2", flavors + " lower_case") == {}
    assert folders.read(None, "1.2", flavors) == {}


@given(pages(), st.binary(max_size=200), st.binary(max_size=200))
def test_a_damaged_row_is_none_or_reads_as_something(
    page: tuple[str, KnownFolder], some: bytes, more: bytes
) -> None:
    flavors, _ = page
    found = folders.read(("1.2", flavors, some, more), "1.2", flavors)
    assert len(found) <= some.count(b"\0") + 1


def test_what_does_not_fit_is_left_out() -> None:
    fits: Known = (1, 2, bytes(16), 3, 4, 5)
    known: KnownFolder = {b"a": (fits,), b"b": (fits, (1, 2**70, bytes(16), 3, 4, 5))}
    row = folders.row(b"/folder", "1", "normal", known)
    assert folders.read(row[1:], "1", "normal") == {b"a": (fits,)}
