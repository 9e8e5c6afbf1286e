"""What passes say: costs, groups, scaling, the limit, decoders and the floor."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pregen.model import Kind, Outcome, Stages
from pregen.verbs.bench.contest import CONTENDERS, contest_of, floor_of
from pregen.verbs.bench.passes import MOST_REPEATS, PART_S, part, repeats, worker_steps
from pregen.verbs.bench.result import Limit
from pregen.verbs.bench.stats import Pass, costs_s, groups, limit, overall, scaling

MS = 1_000_000


def made(job_id: int, ms: float, **more: Any) -> Outcome:
    """Return a picture made, half of its time decoding."""
    half_ns = int(ms * MS / 2)
    facts: dict[str, Any] = {"loader": "turbo", "mime": "image/jpeg", "path": b"/%d" % job_id}
    facts |= {"stages": Stages(decode_ns=half_ns, encode_ns=half_ns), "kind": Kind.MADE, **more}
    return Outcome(job_id, **facts)


def one_pass(*outcomes: Outcome, workers: int = 2, wall_ms: float = 100) -> Pass:
    return Pass(workers, 1, int(wall_ms * MS), 10 * MS, 150 * MS, outcomes)


def test_costs_add_up_to_all_the_time_the_workers_had() -> None:
    done = one_pass(made(0, 40), made(1, 60), made(2, 50))
    costs = costs_s(done)
    assert sum(costs.values()) == pytest.approx(2 * 0.090)
    assert costs[b"/1"] - costs[b"/0"] == pytest.approx(0.020)


def test_a_source_done_twice_counts_once_with_its_mean() -> None:
    done = one_pass(made(0, 40), made(1, 60, path=b"/0"), made(2, 80))
    assert overall(done).pictures == 2
    assert costs_s(done)[b"/0"] == pytest.approx(0.050)
    assert 2 * overall(done).picture_s == pytest.approx(sum(costs_s(done).values()))


def test_pictures_are_grouped_by_loader_and_format() -> None:
    png = {"loader": "vips", "mime": "image/png", "width_px": 1000, "height_px": 500}
    done = one_pass(
        made(0, 20),
        made(1, 30),
        made(2, 100, **png),
        made(3, 0, kind=Kind.INVALID, loader=""),
    )
    first, second = groups(done)
    assert (first.loader, first.mime, first.pictures) == ("vips", "image/png", 1)
    assert first.images_per_s == pytest.approx(2 / first.picture_s)
    assert first.pixels_per_s == pytest.approx(500_000 * first.images_per_s)
    assert (second.loader, second.pictures) == ("turbo", 2)
    assert second.stages_s == {
        **dict.fromkeys(("read", "resize", "commit"), 0),
        **dict.fromkeys(("decode", "encode"), pytest.approx(0.0125)),
    }
    assert overall(done).pictures == 3


def test_nothing_made_divides_by_nothing() -> None:
    done = one_pass(made(0, 0, kind=Kind.INVALID, loader=""))
    assert overall(done).images_per_s == 0
    assert groups(done) == ()


def test_scaling_compares_what_all_passes_did() -> None:
    one = Pass(1, 1, 40 * MS, 0, 0, (made(0, 20), made(2, 20)))
    all_three = (made(0, 25), made(1, 500), made(2, 25))
    two = Pass(2, 1, 275 * MS, 0, 0, all_three)
    steps = scaling([one, two], images_per_s=80.0)
    assert [step.workers for step in steps] == [1, 2]
    assert [step.efficiency for step in steps] == pytest.approx([1.0, 0.8])
    assert [step.images_per_s for step in steps] == pytest.approx([50.0, 80.0])


@pytest.mark.parametrize(
    ("slowdown", "warm_share", "cold_share", "expected"),
    [
        (1.02, 0.98, 0.97, Limit.CPU),
        (1.05, 0.60, 0.20, Limit.CPU),
        (1.40, 0.98, 0.95, Limit.CPU),
        (1.40, 0.98, 0.70, Limit.BOTH),
        (1.40, 0.50, 0.49, Limit.CPU),
        (4.00, 0.98, 0.25, Limit.DISK),
        (4.00, 0.00, 0.00, Limit.DISK),
    ],
)
def test_the_limit_is_what_the_workers_wait_for(
    slowdown: float, warm_share: float, cold_share: float, expected: Limit
) -> None:
    assert limit(slowdown, warm_share, cold_share) is expected


def contested(picture: int, ms: tuple[float, ...], **more: Any) -> list[Outcome]:
    first = picture * len(CONTENDERS)
    return [
        made(first + turn, ms[turn], loader=contender.loader, path=b"/%d" % picture, **more)
        for turn, contender in enumerate(CONTENDERS)
    ]


def test_decoders_are_compared_over_pictures_that_each_of_them_made() -> None:
    broken = contested(2, (1, 1, 1, 1))
    broken[1] = made(9, 1, loader="vips", path=b"/2")  # turbo handed it over
    done = one_pass(*contested(0, (5, 10, 12, 20)), *contested(1, (10, 20, 24, 40)), *broken)
    contest = contest_of(done)
    assert contest is not None
    assert contest.pictures == 2
    assert [one.name for one in contest.each] == [*("auto", "libjpeg-turbo", "libvips", "Pillow")]
    assert [one.picture_s for one in contest.each] == pytest.approx([0.0075, 0.015, 0.018, 0.030])
    assert [one.decode_s for one in contest.each] == pytest.approx([0.00375, 0.0075, 0.009, 0.015])
    assert [one.ratio for one in contest.each] == pytest.approx([1.0, 2.0, 2.4, 4.0])


def test_without_a_picture_for_all_there_is_no_contest() -> None:
    assert contest_of(one_pass(*contested(0, (1, 1, 1, 1), kind=Kind.INVALID))) is None


def test_the_floor_is_set_against_runs_of_the_same_pictures() -> None:
    done = Pass(
        *(1, 1, 36 * MS, 0, 0),
        outcomes=(
            made(0, 10, path=b"/a"),
            made(1, 15, path=b"/a"),
            made(2, 1, path=b"/b", kind=Kind.INVALID),
            made(3, 6, path=b"/b"),
        ),
    )
    floor = floor_of(done)
    assert floor is not None
    assert floor.pictures == 1
    assert floor.floor_s == pytest.approx(0.010)
    assert floor.picture_s == pytest.approx(0.015 + 0.001), "with what no stage accounts for"
    assert floor.ratio == pytest.approx(1.6)


@given(st.integers(1, 4096))
def test_worker_steps_double_up_to_all(workers: int) -> None:
    steps = worker_steps(workers)
    assert steps[0] == 1
    assert steps[-1] == workers
    assert all(a < b <= 2 * a for a, b in pairwise(steps))


@given(st.lists(st.floats(0, 100), min_size=1, max_size=300), st.integers(1, 64))
def test_passes_are_neither_too_short_nor_too_long(costs: list[float], workers: int) -> None:
    assert 1 <= repeats(costs, workers) <= MOST_REPEATS
    chosen = part(costs)
    assert sorted(set(chosen)) == chosen
    assert set(chosen) <= set(range(len(costs)))
    assert len(chosen) >= 1
    if sum(costs) <= PART_S:
        assert len(chosen) == len(costs)
