"""The engine's benchmark counts every job, and shows no rate that it does not know."""

from __future__ import annotations

import pytest

from benchmarks import engine

RUN = engine.Run(
    workers=2,
    jobs=1000,
    first_outcome_s=0.1,
    all_workers_s=0.25,
    jobs_then=200,
    last_outcome_s=0.5,
    parent_cpu_s=0.02,
)


def test_rates_are_with_and_without_the_start() -> None:
    assert RUN.rate == pytest.approx(2000)
    assert RUN.settled_rate == pytest.approx(800 / 0.25)
    assert RUN.parent_us == pytest.approx(20)


@pytest.mark.parametrize(
    "run", [RUN._replace(all_workers_s=None), RUN._replace(jobs_then=501)], ids=["some", "late"]
)
def test_a_start_that_took_most_of_the_run_leaves_no_rate_after_it(run: engine.Run) -> None:
    assert run.settled_rate is None
    assert engine.table([RUN, run]).splitlines()[1].split()[3] == "-"


def test_a_run_does_all_jobs_in_their_workers() -> None:
    run = engine.run_apart(2, 600)
    assert (run.workers, run.jobs) == (2, 600)
    assert 0 < run.first_outcome_s <= run.last_outcome_s
