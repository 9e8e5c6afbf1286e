"""What a run over a share tells: what came from it, and what limits. Local runs say no more."""

from __future__ import annotations

from itertools import count

import pytest

from pregen.display import records
from pregen.display.bottleneck import Bottleneck, Spent, bottleneck
from pregen.display.listener import Watch
from pregen.display.printer import Printer
from pregen.display.screen import NOTHING, screen
from pregen.display.state import RateWindow, RunCounts, processors_s
from pregen.display.summary import plain_text, summary
from pregen.display.words import status_line
from pregen.model import Stages
from tests.support.running.pretend_runs import Clock, Story, outcome

S_NS = 10**9
#: Of ten seconds with a picture: nine for its bytes.
WAITED = outcome(stages=Stages(9 * S_NS, S_NS))
COMPUTED = outcome(stages=Stages(S_NS, 9 * S_NS))
MB3 = 3_000_000


class Busy:
    """Processors that are idle for a share of the time that a clock says."""

    def __init__(self, clock: Clock, idle_share: float) -> None:
        self._clock = clock
        self._idle_share = idle_share

    def __call__(self) -> tuple[float, float]:
        return self._idle_share * 2 * self._clock(), 2 * self._clock()


def over_a_share(*, idle_share: float = 0.8, local: int = 0, waited: bool = True) -> Story:
    story = Story()
    story.state = RunCounts(story.clock, Busy(story.clock, idle_share))
    for number in range(10 + local):
        size = None if number < local else MB3
        story.state.planned(on_share_bytes=size)
    story.after(10)
    for number in range(5 + local):
        size = None if number < local else MB3
        story.state.finished(WAITED if waited else COMPUTED, on_share_bytes=size)
    return story.walked()


@pytest.mark.parametrize(
    ("spent", "share", "expected"),
    [
        (Spent(9, 1, 8, 10), True, Bottleneck.LINK),
        (Spent(9, 1, 8, 10), False, Bottleneck.DISK),
        (Spent(9, 1, 0, 0), True, Bottleneck.LINK),  # nobody measured the processors
        (Spent(9, 1, 0.5, 10), True, Bottleneck.BOTH),  # ssh or others take what there is
        (Spent(1, 9, 0, 10), True, Bottleneck.CPU),
        (Spent(1, 9, 9, 10), True, Bottleneck.CPU),  # fewer workers than processors
        (Spent(4, 6, 5, 10), True, Bottleneck.BOTH),
        (Spent(), True, None),
    ],
)
def test_what_limits(spent: Spent, *, share: bool, expected: Bottleneck | None) -> None:
    assert bottleneck(spent, share=share) is expected


@pytest.mark.parametrize(
    ("story", "said"),
    [
        (over_a_share(), "From shares: 15 MB of 15 MB read, 1.5 MB/s; limited by the link; "),
        (over_a_share(idle_share=0.01), "limited by reading and the processors; "),
        (over_a_share(waited=False), "limited by the processors; "),
        (over_a_share(), "; 15 MB not started."),
        (over_a_share(local=5), "From shares: 15 MB of 15 MB read, 1.5 MB/s; "),
    ],
)
def test_the_summary_tells_what_came_from_shares(story: Story, said: str) -> None:
    text = plain_text(summary(story.report())).splitlines()
    assert said in text[-2]


def test_less_than_whole_files_shows() -> None:
    story = Story()
    for each in (1, 2):
        story.state.planned(on_share_bytes=100 * MB3)
        story.state.finished(WAITED._replace(bytes_read=each), on_share_bytes=100 * MB3)
    assert "From shares: 3 B of 600 MB read" in plain_text(summary(story.after(9).report()))


def test_progress_tells_what_limits_now_and_what_comes_from_shares_if_not_all_does() -> None:
    story = over_a_share()
    window = RateWindow(0.0)
    window.add(10.0, story.state.snapshot().point)
    view = story.view(rates=window.rates())
    assert "1.5 MB/s read" in status_line(view)
    assert "limited by the link" in status_line(view)
    assert "from shares" not in status_line(view)
    assert any("limited by the link" in line.plain for line in screen(view, NOTHING, 2, 99, 24))
    mixed = over_a_share(local=5)
    line = status_line(mixed.view(rates=mixed.state.snapshot().means))
    assert "3.0 MB/s read" in line
    assert "1.5 MB/s from shares" in line


def test_programs_are_told_the_same() -> None:
    story = over_a_share()
    totals = records.summary_record(story.report())
    assert totals["limit"] == "link"
    assert (totals["share_bytes"], totals["share_bytes_done"]) == (10 * MB3, 5 * MB3)
    assert totals["share_bytes_read"] == 5 * MB3
    now = records.progress_record(story.view(rates=story.state.snapshot().means))
    assert now["limit"] == "link"
    assert now["share_bytes_read_per_s"] == 1_500_000


def local(outcome_s: int, elapsed_s: float) -> str:
    waited = outcome(stages=Stages(9 * outcome_s * S_NS, outcome_s * S_NS))
    story = Story().jobs(waited).after(elapsed_s).walked()
    view = story.view(rates=story.state.snapshot().means)
    return status_line(view) + plain_text(summary(story.report()))


def test_a_local_run_says_nothing_of_shares_and_only_a_long_one_that_the_disk_limits() -> None:
    assert "limited" not in local(1, 4)
    assert "Slow" not in local(1, 4)
    assert "share" not in local(100, 1000)
    assert "limited by the disk" in local(100, 1000)
    assert "Slow disk: the workers waited for it 90% of the time." in local(100, 1000)
    pulled = outcome(stages=Stages(0, S_NS), waited_ns=9 * S_NS)  # from a disk that spins
    spun = Story().jobs(pulled).after(10).walked()
    assert "Slow disk: the workers waited for it 90% of the time." in plain_text(
        summary(spun.report())
    )
    computed = Story().jobs(COMPUTED).after(1000).walked()
    assert "Slow" not in plain_text(summary(computed.report()))


def test_the_processors_of_this_machine_are_measured() -> None:
    idle_s, all_s = processors_s()
    assert 0 < idle_s <= all_s
    later_idle_s, later_s = processors_s()
    assert later_s >= all_s
    assert later_idle_s >= idle_s


def test_processors_are_not_asked_for_in_local_runs() -> None:
    clock, asked = Clock(), count()
    state = RunCounts(clock, lambda: (float(next(asked)), clock()))
    watch = Watch(Printer(), state)
    watch.planned()
    watch.finished(outcome())
    watch.view()
    watch.planned(on_share_bytes=MB3)
    watch.view()
    assert next(asked) == 2
