"""Calls to shares that hang: real threads, and shares that are doors."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

import pytest

from pregen.filesystems.shares import ShareSilentError
from pregen.readers.threads import Call, ShareThreads

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

SHARE, OTHER = 1, 2
#: Of a test: much longer than a thread takes to begin.
_SILENCE_S = 0.6
_PATIENCE_S = 60


class Door:
    """A share: calls to it come back while it is open."""

    def __init__(self) -> None:
        self._open = threading.Event()
        self._open.set()

    def close(self) -> None:
        self._open.clear()

    def open(self) -> None:
        self._open.set()

    def call(self, result: int = 0) -> Call[int]:
        return Call(lambda _: (self._open.wait(_PATIENCE_S), result)[1])


@pytest.fixture
def door() -> Iterator[Door]:
    found = Door()
    yield found
    found.open()


class Orders:
    """What a run says; keeps what it is told."""

    bytes_per_s = 0

    def __init__(self, readers: int) -> None:
        self.readers = readers
        self.heard = 0
        self.waits: list[bool] = []

    def hear(self, heard: int) -> None:
        self.heard = heard

    def wait(self, *, waits: bool) -> None:
        self.waits.append(waits)


def threads(readers: int = 2) -> ShareThreads:
    return ShareThreads(_SILENCE_S, Orders(readers), 1 << 30)


def until(holds: Callable[[], bool]) -> float:
    """Wait until something is so; return how long that took."""
    began_s = time.monotonic()
    while not holds():
        assert time.monotonic() - began_s < _PATIENCE_S
        time.sleep(0.005)
    return time.monotonic() - began_s


def big(call: Call[int]) -> Call[int]:
    call.size_bytes = 10_000_000
    return call


def test_a_dead_share_costs_one_time_out_however_many_calls_wait(door: Door) -> None:
    readers = threads()
    door.close()
    calls = [big(door.call()) for _ in range(40)]
    for call in calls:
        readers.start(SHARE, call)
    began_s = time.monotonic()
    for call in calls:  # as a worker does: in order, each given up when it is in vain
        until(lambda call=call: readers.is_in_vain(SHARE, call))  # type: ignore[misc]
        readers.release(SHARE, call)
    assert time.monotonic() - began_s < 2 * _SILENCE_S + 40 * 0.05
    with pytest.raises(ShareSilentError):
        readers.run(SHARE, lambda _: 1)


def test_one_that_is_given_up_while_it_waits_for_its_turn_is_no_answer(door: Door) -> None:
    """What was asked for before the share fell silent is told silent at once, and stays so."""
    calls = threads(readers=2)

    def look(call: Call[int]) -> int:
        calls.hear(SHARE, call, 1)  # its beginning came
        if calls.wait_for_turn(SHARE, call, 1_000_000):
            door.call().make()
        return 0

    begun = [Call(look) for _ in range(5)]
    door.close()
    for call in begun:  # the first two stand at the door, in whatever order their threads run
        calls.start(SHARE, call)
        until(lambda call=call: call.more_bytes and call.parked == (call not in begun[:2]))  # type: ignore[misc]
    until(lambda: calls.is_in_vain(SHARE, begun[-1]))
    given_up_s = time.monotonic()
    for call in begun[2:]:
        until(lambda call=call: calls.is_in_vain(SHARE, call))  # type: ignore[misc]
        calls.release(SHARE, call)
        until(lambda call=call: call.done)  # type: ignore[misc]
    until(lambda: calls.is_in_vain(SHARE, begun[0]))
    with pytest.raises(ShareSilentError):
        calls.run(SHARE, lambda _: 0)
    assert time.monotonic() - given_up_s < _SILENCE_S


def test_one_whose_turn_comes_when_its_share_is_dead_has_no_time_out_of_its_own(door: Door) -> None:
    """It comes when one before it is given up, a little before the share is."""
    calls = threads(readers=2)

    def look(call: Call[int]) -> int:
        calls.hear(SHARE, call, 1)
        if calls.wait_for_turn(SHARE, call, 1_000_000):
            door.call().make()
        return 0

    first, second, third = (Call(look) for _ in range(3))
    door.close()
    for call in (first, second):
        calls.start(SHARE, call)
        until(lambda call=call: call.more_bytes and not call.parked)  # type: ignore[misc]
    time.sleep(_SILENCE_S / 6)
    calls.start(SHARE, third)
    until(lambda: third.parked)
    until(lambda: calls.is_in_vain(SHARE, first))
    calls.release(SHARE, first)
    until(lambda: not third.parked or calls.is_in_vain(SHARE, third))
    turn_s = time.monotonic()
    until(lambda: calls.is_in_vain(SHARE, third))
    assert time.monotonic() - turn_s < 0.9 * _SILENCE_S


def test_closing_a_file_is_no_answer(door: Door) -> None:
    """A client of sshfs answers that by itself."""
    calls = threads()
    door.close()
    waiting = [big(door.call()) for _ in range(3)]
    for call in waiting:
        calls.start(SHARE, call)
    began_s = time.monotonic()
    while not calls.is_in_vain(SHARE, waiting[0]):
        calls.leave(SHARE, lambda _: None)
        time.sleep(0.02)
        assert time.monotonic() - began_s < _PATIENCE_S
    with pytest.raises(ShareSilentError):
        calls.run(SHARE, lambda _: 1)


def test_a_share_that_answers_again_is_asked_again(door: Door) -> None:
    readers = threads()
    door.close()
    calls = [big(door.call()) for _ in range(6)]
    for call in calls:
        readers.start(SHARE, call)
    for call in calls:
        until(lambda call=call: readers.is_in_vain(SHARE, call))  # type: ignore[misc]
        readers.release(SHARE, call)
    door.open()
    later = [door.call(number) for number in range(4)]
    for call in later:
        readers.start(SHARE, call)
        until(lambda call=call: call.done)  # type: ignore[misc]
    assert [call.outcome() for call in later] == [0, 1, 2, 3]
    assert readers.run(SHARE, lambda _: 7) == 7


def test_two_files_that_hang_say_nothing_of_their_share(door: Door) -> None:
    """Others came after them: the share answers, and goes on to be asked."""
    readers = threads(4)
    door.close()
    hanging = [big(door.call()), big(door.call())]
    for call in hanging:
        readers.start(SHARE, call)
    until(lambda: all(call.begun for call in hanging))
    began_s = time.monotonic()
    while time.monotonic() - began_s < 2.5 * _SILENCE_S:
        assert readers.run(SHARE, lambda _: 1) == 1
        time.sleep(0.02)
    assert all(readers.is_in_vain(SHARE, call) for call in hanging)
    for call in hanging:
        readers.release(SHARE, call)
    time.sleep(1.5 * _SILENCE_S)  # nothing is asked for long: that is no silence either
    after = Call(lambda _: 5)
    readers.start(SHARE, after)
    until(lambda: after.done)
    assert readers.run(SHARE, lambda _: 6) == 6


def test_a_dead_share_is_nothing_to_another(door: Door) -> None:
    readers = threads()
    door.close()
    dead = [big(door.call()) for _ in range(10)]
    for call in dead:
        readers.start(SHARE, call)
    until(lambda: readers.is_in_vain(SHARE, dead[-1]))
    live = [Call(lambda _, n=n: n) for n in range(10)]  # type: ignore[misc]
    for call in live:
        readers.start(OTHER, call)
    until(lambda: all(call.done for call in live))
    assert [call.outcome() for call in live] == list(range(10))


@pytest.mark.parametrize("dead", [False, True])
def test_who_waits_in_the_middle_of_its_work_says_so(door: Door, *, dead: bool) -> None:
    orders = Orders(2)
    readers = ShareThreads(_SILENCE_S, orders, 1 << 30)
    if dead:
        door.close()
        with pytest.raises(ShareSilentError):
            readers.run(SHARE, lambda _: door.call().make())
    else:
        readers.run(SHARE, lambda _: door.call().make())
    assert orders.waits == [True, False]
