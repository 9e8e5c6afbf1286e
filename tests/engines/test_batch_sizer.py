"""Batches follow the time jobs take."""

from __future__ import annotations

import pytest

from pregen.engines.local.worker_state import BATCH_NS, MEMORY_JOBS, MOST_PER_BATCH, BatchSizer


@pytest.mark.parametrize(
    ("job_ns", "batch"),
    [(1_000, MOST_PER_BATCH), (1_000_000, 50), (20_000_000, 2), (10_000_000_000, 1)],
)
def test_a_batch_is_about_fifty_milliseconds_of_work(job_ns: int, batch: int) -> None:
    batches = BatchSizer()
    batches.learn(100, 100 * job_ns)
    assert batches.size == batch


def test_nothing_is_handed_out_in_bulk_before_anything_is_known() -> None:
    assert BatchSizer().size == 1


def test_the_estimate_follows_a_change() -> None:
    batches = BatchSizer()
    batches.learn(10_000, 10_000 * 1_000)
    for _ in range(10 * MEMORY_JOBS):
        batches.learn(1, BATCH_NS // 5)
    assert batches.size == 5


def test_nothing_is_learned_from_nothing() -> None:
    batches = BatchSizer()
    batches.learn(0, 1)
    batches.learn(5, -1)
    assert batches.size == MOST_PER_BATCH
