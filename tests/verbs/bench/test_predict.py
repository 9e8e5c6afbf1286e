"""From a sample to a library: the arithmetic of the prediction."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pregen.verbs.bench.result import Estimate
from pregen.verbs.bench.sample import Stratum, Totals
from pregen.verbs.bench.stats import Measured, WholeRun, estimate, library_s

SMALL, LARGE = Stratum("jpg", 10), Stratum("jpg", 12)
PNG = Stratum("png", 12)
seconds = st.floats(0, 1e4)


def test_a_sum_is_count_times_mean_for_each_stratum() -> None:
    found = estimate(
        {SMALL: Totals(100, 1), LARGE: Totals(10, 1)},
        [Measured(SMALL, 1, 1.0), Measured(SMALL, 1, 3.0), Measured(LARGE, 1, 50.0)],
    )
    assert found.total == pytest.approx(100 * 2 + 10 * 50)
    assert found.plus_minus > 0


@given(st.lists(seconds, min_size=1, max_size=20))
def test_what_was_measured_whole_is_known_exactly(values: list[float]) -> None:
    found = estimate(
        {SMALL: Totals(len(values), 1)}, [Measured(SMALL, 1, value) for value in values]
    )
    assert found.total == pytest.approx(sum(values))
    assert found.plus_minus == 0


@given(st.floats(0.001, 10), st.integers(2, 50), st.integers(51, 10**6))
def test_sources_that_are_all_alike_leave_no_doubt(cost_s: float, drawn: int, there: int) -> None:
    found = estimate({SMALL: Totals(there, 1)}, [Measured(SMALL, 1, cost_s)] * drawn)
    assert found.total == pytest.approx(there * cost_s)
    assert found.plus_minus == pytest.approx(0, abs=found.total * 1e-6)


def test_more_measurements_leave_less_doubt() -> None:
    few = [Measured(SMALL, 1, value) for value in (1.0, 3.0)]
    spreads = [estimate({SMALL: Totals(1000, 1)}, few * times).plus_minus for times in (1, 4, 16)]
    assert spreads == sorted(spreads, reverse=True)
    assert spreads[0] > 2 * spreads[2]


def test_a_stratum_nobody_was_drawn_from_goes_by_bytes() -> None:
    library = {SMALL: Totals(1, 100), LARGE: Totals(3, 4000), PNG: Totals(1, 1000)}
    measured = [Measured(SMALL, 100, 2.0)]
    assert estimate(library, measured).total == pytest.approx(2 + 4000 * 0.02 + 1000 * 0.02)
    measured.append(Measured(PNG, 1000, 100.0))
    assert estimate(library, measured).total == pytest.approx(2 + 4000 * 0.02 + 100)


@given(seconds, seconds, seconds, st.floats(0.01, 100))
def test_a_sample_that_is_the_library_predicts_its_own_run(
    wall_s: float, startup_s: float, tail_s: float, cost_s: float
) -> None:
    run = WholeRun(wall_s, min(startup_s, wall_s), tail_s)
    found = library_s(run, cost_s, Estimate(cost_s, 0.0))
    assert found.total == pytest.approx(wall_s)
    assert found.plus_minus == 0


def test_start_up_and_tail_come_once_however_large_the_library_is() -> None:
    run = WholeRun(wall_s=3.0, startup_s=0.5, tail_s=0.5)
    found = library_s(run, 4.0, Estimate(4000.0, 400.0))
    assert found.total == pytest.approx(0.5 + 2.0 * 1000 + 0.5)
    assert found.plus_minus == pytest.approx(200.0)


def test_cold_files_slow_the_work_and_not_the_start_up() -> None:
    run = WholeRun(wall_s=2.5, startup_s=0.5, tail_s=0.0)
    assert library_s(run, 1.0, Estimate(10.0, 0.0), slowdown=3.0).total == pytest.approx(60.5)
    assert library_s(run, 1.0, Estimate(10.0, 0.0), slowdown=0.5).total == pytest.approx(20.5)
