"""Batches follow the time jobs take."""

from __future__ import annotations

import pytest

from pregen.engines.local.worker_state import BATCH_NS, MEMORY_JOBS, MOST_PER_BATCH, Pace


@pytest.mark.parametrize(
    ("job_ns", "batch"),
    [(1_000, MOST_PER_BATCH), (1_000_000, 50), (20_000_000, 2), (10_000_000_000, 1)],
)
def test_a_batch_is_about_fifty_milliseconds_of_work(job_ns: int, batch: int) -> None:
    pace = Pace()
    pace.saw(100, 100 * job_ns)
    assert pace.batch == batch


def test_nothing_is_handed_out_in_bulk_before_anything_is_known() -> None:
    assert Pace().batch == 1


def test_the_estimate_follows_a_change() -> None:
    pace = Pace()
    pace.saw(10_000, 10_000 * 1_000)
    for _ in range(10 * MEMORY_JOBS):
        pace.saw(1, BATCH_NS // 5)
    assert pace.batch == 5


def test_nothing_is_learned_from_nothing() -> None:
    pace = Pace()
    pace.saw(0, 1)
    pace.saw(5, -1)
    assert pace.batch == MOST_PER_BATCH
