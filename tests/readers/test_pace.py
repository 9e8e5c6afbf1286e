"""How many readers a share is given, on simulated links; how fast bytes may be asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hypothesis import given
from hypothesis import strategies as st

from pregen.readers.pace import FIRST_READERS, MOST_READERS, ReaderPace, TokenBucket

if TYPE_CHECKING:
    from collections.abc import Callable

S = 1_000_000_000
LOOK_NS = S // 20
MB = 1_000_000


def after(
    seconds: int, pace: ReaderPace, rate: Callable[[int], float], *, waits: bool
) -> list[int]:
    """Return the readers there were at each look, on a link that gives `rate` bytes in a second."""
    heard, seen = 1.0, []
    for look in range(seconds * 20):
        heard += rate(pace.readers) / 20
        pace.look(look * LOOK_NS, int(heard), waits=waits)
        seen.append(pace.readers)
    return seen


def link(each: float, most: float) -> Callable[[int], float]:
    return lambda readers: min(readers * each, most)


def test_a_link_that_gives_each_reader_as_much_gets_more() -> None:
    seen = after(30, ReaderPace(), link(4 * MB, 1000 * MB), waits=True)
    assert seen[-1] >= MOST_READERS - 1


def test_a_full_link_is_left_to_others() -> None:
    seen = after(60, ReaderPace(), link(20 * MB, 40 * MB), waits=True)
    late = seen[len(seen) // 2 :]
    assert sum(late) / len(late) <= FIRST_READERS
    assert min(late) >= 2


def test_a_server_that_gets_slower_with_readers_gets_fewer() -> None:
    seen = after(60, ReaderPace(), lambda readers: 40 * MB / readers, waits=True)
    late = seen[len(seen) // 2 :]
    assert sum(late) / len(late) <= FIRST_READERS - 1


def test_nobody_who_waits_for_nothing_asks_for_more() -> None:
    seen = after(30, ReaderPace(), link(4 * MB, 1000 * MB), waits=False)
    assert set(seen) == {FIRST_READERS}


@given(fixed=st.integers(1, 64), rates=st.lists(st.floats(0, 1e9), max_size=200))
def test_readers_that_were_fixed_stay(fixed: int, rates: list[float]) -> None:
    pace = ReaderPace(fixed)
    for number, rate in enumerate(rates):
        pace.look(number * S, int(rate), waits=True)
    assert pace.readers == fixed


@given(
    st.lists(
        st.tuples(st.integers(0, 3 * S), st.integers(0, 1 << 30), st.booleans(), st.booleans()),
        max_size=300,
    )
)
def test_whatever_a_share_does_the_readers_stay_within_bounds(
    looks: list[tuple[int, int, bool, bool]],
) -> None:
    pace, now_ns, heard = ReaderPace(), 0, 0
    for passed_ns, came, waits, rests in looks:
        now_ns, heard = now_ns + passed_ns, heard + came
        if rests:
            pace.rest()
        pace.look(now_ns, heard, waits=waits)
        assert 2 <= pace.readers <= MOST_READERS


@given(
    st.lists(st.tuples(st.integers(0, 2 * S), st.integers(0, 1 << 26)), max_size=100),
    st.integers(1, 1 << 30),
)
def test_no_more_is_asked_for_than_the_rate_and_the_last_file(
    asks: list[tuple[int, int]], rate: int
) -> None:
    bucket, now_ns, asked = TokenBucket(), 0, 0
    for passed_ns, size_bytes in asks:
        now_ns += passed_ns
        due_ns = bucket.take(size_bytes, rate, now_ns)
        assert due_ns >= now_ns
        # what was asked for before this one has been paid for by the time it may be asked for
        assert asked <= due_ns * rate / S + 1 + len(asks) * rate / S
        asked += size_bytes


def test_a_rate_holds_in_the_long_run() -> None:
    bucket = TokenBucket()
    due_ns = [bucket.take(MB, 10 * MB, 0) for _ in range(100)]
    assert due_ns[-1] == 99 * S // 10
