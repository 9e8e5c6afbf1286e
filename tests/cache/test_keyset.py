"""The memory of a folder's keys: never a wrong no, few wrong yeses, few bytes."""

from __future__ import annotations

import hashlib
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pregen.cache.keyset import KeySet

KEYS = st.text("0123456789abcdef", min_size=32, max_size=32)


def key(number: int) -> str:
    return hashlib.md5(b"%d" % number, usedforsecurity=False).hexdigest()


@given(st.lists(KEYS, max_size=200))
def test_a_listed_key_is_never_denied(keys: list[str]) -> None:
    known = KeySet(found + ".png" for found in keys)
    assert known.count == len(keys)
    assert all(known.may_hold(found) for found in keys)
    assert all(known.may_hold(found + ".png") for found in keys)


@given(KEYS)
def test_an_empty_folder_holds_no_key(asked: str) -> None:
    assert not KeySet([]).may_hold(asked)


@pytest.mark.parametrize("count", [1, 10, 1000, 50_000])
def test_absent_keys_are_denied_fifteen_times_in_sixteen(count: int) -> None:
    known = KeySet(f"{key(number)}.png" for number in range(count))
    wrong = sum(known.may_hold(key(-number)) for number in range(1, 10_001))
    # At most a sixteenth is expected; 10 000 questions scatter by 24 around 625.
    assert wrong <= 10_000 / 16 + 5 * 24


@pytest.mark.parametrize(
    "name",
    [
        ".pregen-host-1-2-01234567.tmp",
        "0123456789abcdef0123456789abcdef.jpg",
        "0123456789abcdef0123456789abcde.png",
        "0123456789abcdef0123456789abcdef0.png",
        "xyzxyzxyzxyzxyzxyzxyzxyzxyzxyzxy.png",
        "\udcff\udcff\udcff\udcffxyzxyzxyzxyzxyzxyzxyzxyzxyz.png",
        "",
    ],
)
def test_names_that_are_no_entries_are_passed_over(name: str) -> None:
    assert KeySet([name]).count == 0


@given(st.lists(st.text(max_size=40)))
def test_any_names_can_be_listed(names: list[str]) -> None:
    assert KeySet(names).count <= len(names)


def test_fifty_thousand_keys_take_less_than_a_megabyte_while_listed() -> None:
    """A fortieth of the 2 million that must stay under 60 MB."""
    digits = [f"{number:08x}" for number in range(0, 2**32, 2**32 // 50_000)]
    tracemalloc.start()
    known = KeySet(prefix + "0" * 24 + ".png" for prefix in digits)
    _, peak_bytes = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert known.count == len(digits)
    assert peak_bytes < 1_000_000
