"""From events to the places that have to be looked at."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from pregen.config import Only
from pregen.verbs.watch.changes import Change, places_of
from pregen.walk.filters import WantedFolders

MANY = 1000


def test_a_changed_file_means_its_folder() -> None:
    places = places_of([Change(b"/p/a/1.jpg", is_folder=False, is_there=True)], MANY)
    assert places.only == Only(frozenset({b"/p/a"}), frozenset())
    assert not places.gone


def test_a_new_folder_means_all_below_it() -> None:
    places = places_of([Change(b"/p/new", is_folder=True, is_there=True)], MANY)
    assert places.only == Only(frozenset({b"/p"}), frozenset({b"/p/new"}))


def test_what_is_not_there_is_gone_whatever_it_was() -> None:
    places = places_of([Change(b"/p/x", is_folder=False, is_there=False)], MANY)
    assert places.gone == {b"/p/x"}
    assert places.folders == {b"/p"}


def test_as_many_changes_as_may_have_lost_others_mean_everything() -> None:
    changes = [Change(b"/p/%d" % each, is_folder=False, is_there=True) for each in range(10)]
    assert places_of(changes, 11).only is not None
    assert places_of(changes, 10).only is None


def test_a_name_that_was_lost_on_the_way_means_everything() -> None:
    lost = "/p/bad\N{REPLACEMENT CHARACTER}.jpg".encode()
    assert places_of([Change(lost, is_folder=False, is_there=False)], MANY).everywhere


def test_a_file_in_the_root_of_the_system() -> None:
    assert places_of([Change(b"/x.jpg", is_folder=False, is_there=True)], MANY).folders == {b"/"}


_folders = st.lists(st.sampled_from([b"a", b"b", b"c"]), min_size=1, max_size=4).map(
    lambda parts: b"/" + b"/".join(parts)
)


@given(folders=st.frozensets(_folders), trees=st.frozensets(_folders), asked=_folders)
def test_a_walk_enters_what_is_wanted_and_the_way_there_and_nothing_else(
    folders: frozenset[bytes], trees: frozenset[bytes], asked: bytes
) -> None:
    leads = any(place == asked or place.startswith(asked + b"/") for place in folders | trees)
    inside = any(asked.startswith(tree + b"/") for tree in trees)
    assert WantedFolders(Only(folders, trees)).enters(asked) == (leads or inside)
