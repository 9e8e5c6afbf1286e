"""The feed against a plain list: same items, same order, whatever the timing and the disk do."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import threading
from itertools import count
from pathlib import Path
from queue import Queue
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pregen.feed import Feed

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parents[2]
#: For what happens in another thread: far above what it ever takes.
PATIENCE_S = 30.0


def rest_of(feed: Feed[int]) -> list[int]:
    """All that is still to come, asked for without a pause."""
    return [item for item in feed if item is not None]


def when_ended(feed: Feed[int]) -> Feed[int]:
    """Return the feed once its thread has left."""
    feed._thread.join(PATIENCE_S)
    assert feed.ended
    return feed


class Tap:
    """A source that gives as many numbers as it is told to, and no more."""

    def __init__(self) -> None:
        self.permits: Queue[int] = Queue()
        self.idle = threading.Semaphore(0)
        self.closed = threading.Event()

    def numbers(self) -> Iterator[int]:
        number = count()
        try:
            while (permits := self.permits.get()) >= 0:
                for _ in range(permits):
                    yield next(number)
                self.idle.release()
        finally:
            self.closed.set()

    def open(self, permits: int) -> None:
        """Let so many through, and wait until they are in the feed."""
        self.permits.put(permits)
        assert self.idle.acquire(timeout=PATIENCE_S)

    def end(self) -> None:
        self.permits.put(-1)


@given(st.lists(st.integers()), st.integers(1, 5))
def test_a_feed_gives_what_a_list_gives(items: list[int], memory_items: int) -> None:
    with Feed(items, os.fsencode(tempfile.gettempdir()), memory_items) as feed:
        assert rest_of(feed) == items
        assert feed.produced == len(items)


@given(st.lists(st.integers()), st.integers(1, 5))
def test_the_order_survives_the_disk(items: list[int], memory_items: int) -> None:
    with Feed(items, os.fsencode(tempfile.gettempdir()), memory_items) as feed:
        when_ended(feed)
        assert feed._spilled == (len(items) >= 2 * memory_items)
        assert rest_of(feed) == items
        assert not feed._spilled


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), max_size=12), st.integers(1, 4))
def test_filling_and_emptying_may_alternate_in_any_way(
    rounds: list[tuple[int, int]], memory_items: int
) -> None:
    tap = Tap()
    given_out = expected = 0
    with Feed(tap.numbers(), os.fsencode(tempfile.gettempdir()), memory_items) as feed:
        for fill, take in rounds:
            tap.open(fill)
            given_out += fill
            for _ in range(take):
                item = next(feed)
                assert item == (expected if expected < given_out else None)
                expected += item is not None
        tap.end()
        assert rest_of(when_ended(feed)) == list(range(expected, given_out))


def test_nothing_ready_is_none_and_not_the_end(tmp_path: Path) -> None:
    tap = Tap()
    with Feed(tap.numbers(), os.fsencode(tmp_path)) as feed:
        assert next(feed) is None
        assert not feed.ended
        tap.open(1)
        assert next(feed) == 0
        assert next(feed) is None
        tap.end()
        when_ended(feed)
        with pytest.raises(StopIteration):
            next(feed)
        with pytest.raises(StopIteration):
            next(feed)


@pytest.mark.parametrize("memory_items", [1, 3, 100])
def test_an_exception_comes_after_the_items_before_it(tmp_path: Path, memory_items: int) -> None:
    def source() -> Iterator[int]:
        yield from range(10)
        raise ConnectionResetError("the share went away")

    with Feed(source(), os.fsencode(tmp_path), memory_items) as feed:
        when_ended(feed)
        assert [next(feed) for _ in range(10)] == list(range(10))
        with pytest.raises(ConnectionResetError, match="share"):
            next(feed)
        with pytest.raises(StopIteration):
            next(feed)


def test_an_exception_before_the_first_item_is_raised_too(tmp_path: Path) -> None:
    class Broken:
        def __iter__(self) -> Iterator[int]:
            raise KeyError("no such root")

    with Feed(Broken(), os.fsencode(tmp_path)) as feed:
        when_ended(feed)
        with pytest.raises(KeyError, match="no such root"):
            next(feed)


def test_nothing_touches_the_disk_below_the_bound(tmp_path: Path) -> None:
    absent = os.fsencode(tmp_path / "absent")
    with Feed(range(100), absent, 100) as feed:
        when_ended(feed)
        assert not feed._spill_broken
        assert rest_of(feed) == list(range(100))


def test_the_file_has_no_name_and_is_only_for_the_owner(tmp_path: Path) -> None:
    with Feed(range(1_000), os.fsencode(tmp_path), 10) as feed:
        when_ended(feed)
        assert feed._spilled
        assert list(tmp_path.iterdir()) == []
        assert os.fstat(feed._spool._fd).st_mode & 0o777 == 0o600


def test_the_file_shrinks_when_all_of_it_was_read(tmp_path: Path) -> None:
    tap = Tap()
    with Feed(tap.numbers(), os.fsencode(tmp_path), 10) as feed:
        tap.open(1_000)
        assert os.fstat(feed._spool._fd).st_size > 0
        assert [next(feed) for _ in range(1_000)] == list(range(1_000))
        assert os.fstat(feed._spool._fd).st_size == 0
        tap.open(1_000)
        tap.end()
        assert rest_of(when_ended(feed)) == list(range(1_000, 2_000))


@pytest.mark.parametrize("spill_dir", [None, b"absent", b"file"])
def test_without_a_place_to_spill_the_thread_waits(tmp_path: Path, spill_dir: bytes | None) -> None:
    (tmp_path / "file").write_bytes(b"")
    place = None if spill_dir is None else os.fsencode(tmp_path) + b"/" + spill_dir
    with Feed(range(1_000), place, 10) as feed:
        taken = []
        for item in feed:
            if item is not None:
                taken.append(item)
                # Head, tail and the item in the thread's hand.
                assert feed.produced - len(taken) <= 10 + 10 + 1
        assert taken == list(range(1_000))


def test_a_disk_that_fills_up_loses_nothing() -> None:
    program = """
import resource, sys, tempfile, os
from pregen.feed import Feed
free = resource.getrlimit(resource.RLIMIT_FSIZE)
resource.setrlimit(resource.RLIMIT_FSIZE, (2_000, free[1]))
items = [b"x" * 50 + bytes([n % 256]) for n in range(500)]
with tempfile.TemporaryDirectory() as spill_dir:
    feed = Feed(items, os.fsencode(spill_dir), 10)
    while not feed._spill_broken:
        pass
    spilled = feed._spool.end
    assert 0 < spilled <= 2_000, spilled
    assert [item for item in feed if item is not None] == items
    feed.close()
resource.setrlimit(resource.RLIMIT_FSIZE, free)
"""
    subprocess.run([sys.executable, "-c", program], check=True, cwd=ROOT, timeout=60)


def test_two_threads_at_full_speed_lose_and_swap_nothing(tmp_path: Path) -> None:
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        for place in (os.fsencode(tmp_path), None):
            for memory_items in (1, 7, 1_000):
                with Feed(iter(range(5_000)), place, memory_items) as feed:
                    assert rest_of(feed) == list(range(5_000))
    finally:
        sys.setswitchinterval(interval)


def test_closing_ends_the_thread_and_the_source_at_its_next_item(tmp_path: Path) -> None:
    tap = Tap()
    feed = Feed(tap.numbers(), os.fsencode(tmp_path), 2)
    tap.open(100)
    closer = threading.Thread(target=feed.close)
    closer.start()
    while not feed._closing:
        pass
    assert not tap.closed.is_set()
    tap.permits.put(1)
    assert tap.closed.wait(PATIENCE_S)
    closer.join(PATIENCE_S)
    feed._thread.join(PATIENCE_S)
    assert not feed._thread.is_alive()
    assert feed.produced == 100
    with pytest.raises(StopIteration):
        next(feed)


def test_closing_frees_a_thread_that_waits_for_room() -> None:
    feed = Feed(count(), None, 3)
    while not feed._waiting:
        pass
    feed.close()
    assert not feed._thread.is_alive()
    with pytest.raises(StopIteration):
        next(feed)


def test_closing_does_not_wait_for_a_source_that_blocks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pregen.feed._CLOSE_S", 0.01)
    tap = Tap()
    feed = Feed(tap.numbers(), os.fsencode(tmp_path))
    feed.close()
    assert feed._thread.is_alive()
    with pytest.raises(StopIteration):
        next(feed)
    tap.permits.put(1)
    feed._thread.join(PATIENCE_S)
    assert not feed._thread.is_alive()
    with pytest.raises(StopIteration):
        next(feed)


def test_closing_leaves_no_open_file(tmp_path: Path) -> None:
    with Feed(range(1_000), os.fsencode(tmp_path), 10) as feed:
        fd = when_ended(feed)._spool._fd
        os.fstat(fd)
    assert feed._spool._fd == -1
    feed.close()
