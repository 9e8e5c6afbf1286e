"""The batches of a run on a cluster: every job comes out exactly once."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pregen.engines.dask.batches import (
    DEPTH,
    FIRST_BATCH,
    MOST_BATCH,
    Batch,
    BatchLedger,
    SilenceWatch,
)
from pregen.model import Job, Kind, Outcome
from tests.support.faults.harmful_work import job


def outcomes(jobs: tuple[Job, ...]) -> list[Outcome]:
    return [Outcome(each.job_id, each.path, Kind.MADE) for each in jobs]


@given(
    count=st.integers(1, 60),
    fates=st.lists(st.sampled_from(["home", "lost", "late"]), max_size=300),
)
def test_every_job_comes_out_exactly_once(count: int, fates: list[str]) -> None:
    ledger = BatchLedger()
    waiting = [job(number) for number in range(count)]
    out: list[Batch] = []
    seen: Counter[int] = Counter()
    late: list[Batch] = []
    turns = iter(fates)
    while waiting or out:
        if waiting:
            size = ledger.size
            out.append(ledger.send(waiting[:size]))
            del waiting[:size]
        batch = out.pop(0)
        fate = next(turns, "home")
        if fate == "home":
            assert ledger.returned(batch.number, outcomes(batch.jobs), 0.1) is not None
            seen.update(each.job_id for each in batch.jobs)
        else:
            verdict = ledger.lost(batch.number, "it was switched off")
            out.extend(verdict.again)
            seen.update(outcome.job_id for outcome in verdict.outcomes)
            if fate == "late":
                late.append(batch)
    for batch in late:
        assert ledger.returned(batch.number, outcomes(batch.jobs), 0.1) is None
    assert seen == Counter(range(count))
    assert ledger.out == 0


def test_a_job_whose_nodes_all_die_is_given_up_and_the_others_are_not() -> None:
    ledger = BatchLedger()
    guilty = job(2)
    out = [ledger.send([job(1), guilty, job(3)])]
    crashed: list[Outcome] = []
    home: list[Job] = []
    while out:
        batch = out.pop()
        if guilty in batch.jobs:
            verdict = ledger.lost(batch.number, "the power failed")
            out.extend(verdict.again)
            crashed.extend(verdict.outcomes)
        else:
            assert ledger.returned(batch.number, outcomes(batch.jobs), 0.1)
            home.extend(batch.jobs)
    assert [each.job_id for each in crashed] == [2]
    assert crashed[0].kind is Kind.DISTURBED
    assert "4 nodes" in crashed[0].message
    assert sorted(each.job_id for each in home) == [1, 3]


def test_batches_grow_with_the_speed_of_the_nodes_and_shrink_with_it() -> None:
    ledger = BatchLedger()
    assert ledger.size == FIRST_BATCH
    for _ in range(20):
        batch = ledger.send([job(number) for number in range(ledger.size)])
        ledger.returned(batch.number, outcomes(batch.jobs), 0.001)
    assert ledger.size == MOST_BATCH
    batch = ledger.send([job(0)])
    ledger.returned(batch.number, outcomes(batch.jobs), 5.0)
    assert ledger.size == 1


def test_room_is_bounded_by_the_slots() -> None:
    ledger = BatchLedger()
    for number in range(3 * DEPTH):
        assert ledger.room(3) == 3 * DEPTH - number
        ledger.send([job(number)])
    assert ledger.room(3) == 0
    assert ledger.room(1) == 0


def test_a_batch_with_other_jobs_than_it_went_with_is_refused() -> None:
    ledger = BatchLedger()
    batch = ledger.send([job(1), job(2)])
    with pytest.raises(ValueError, match="other jobs"):
        ledger.returned(batch.number, outcomes((job(1), job(3))), 0.1)


def test_what_is_out_is_given_up_at_the_end() -> None:
    ledger = BatchLedger()
    ledger.send([job(1), job(2)])
    assert {outcome.kind for outcome in ledger.abandon()} == {Kind.INTERRUPTED}
    assert ledger.abandon() == []


def test_a_node_is_silent_when_its_time_stands_still() -> None:
    watch = SilenceWatch(10)
    assert watch.silent({"a": 1.0, "b": 900.0}, 0) == []
    assert watch.silent({"a": 1.0, "b": 905.0}, 9) == []
    assert watch.silent({"a": 1.0, "b": 905.0}, 11) == ["a"]
    assert watch.silent({"b": 906.0}, 20) == []
    assert watch.silent({"a": 1.0, "b": 907.0}, 25) == [], "it is back: its time begins anew"
