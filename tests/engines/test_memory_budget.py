"""Memory is promised in order, and never so that two wait for each other."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from pregen.engines.local.worker_state import MemoryBudget


def test_what_fits_is_granted_in_order() -> None:
    budget = MemoryBudget(100)
    for worker in (3, 1, 2):
        budget.ask(worker, 30)
    assert budget.grant() == [3, 1, 2]


def test_a_small_request_does_not_overtake_a_big_one() -> None:
    budget = MemoryBudget(100)
    budget.ask(1, 60)
    assert budget.grant() == [1]
    budget.ask(2, 90)
    budget.ask(3, 10)
    assert budget.grant() == []
    budget.release(1)
    assert budget.grant() == [2, 3]


def test_more_than_everything_is_granted_to_one_alone() -> None:
    budget = MemoryBudget(100)
    budget.ask(1, 1000)
    assert budget.grant() == [1]
    budget.ask(2, 1)
    assert budget.grant() == []
    budget.release(1)
    assert budget.grant() == [2]


def test_two_that_hold_and_want_more_do_not_wait_for_each_other() -> None:
    budget = MemoryBudget(100)
    budget.ask(1, 50)
    budget.ask(2, 50)
    assert budget.grant() == [1, 2]
    budget.ask(1, 50)
    assert budget.grant() == []
    budget.ask(2, 50)
    assert budget.grant() == [1]


def test_one_that_dies_in_line_is_forgotten() -> None:
    budget = MemoryBudget(100)
    budget.ask(1, 100)
    budget.ask(2, 50)
    budget.ask(3, 50)
    assert budget.grant() == [1]
    budget.release(2)
    budget.release(1)
    assert budget.grant() == [3]


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(-1, 300)), max_size=60))
def test_everybody_is_served_when_those_served_give_back(asks: list[tuple[int, int]]) -> None:
    budget = MemoryBudget(100)
    waiting: list[int] = []
    running: dict[int, int] = {}
    for worker, size_bytes in asks:
        if worker in waiting:
            continue
        budget.ask(worker, size_bytes)
        waiting.append(worker)
        running.setdefault(worker, 0)
        _serve(budget, waiting, running)
    while waiting:
        free = next(worker for worker in running if worker not in waiting)
        budget.release(free)
        del running[free]
        _serve(budget, waiting, running)
    assert not waiting


def _serve(budget: MemoryBudget, waiting: list[int], running: dict[int, int]) -> None:
    for worker in budget.grant():
        waiting.remove(worker)
        running[worker] = 1
