"""What the live display says, at every size."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from pregen.display.screen import ASCII, Load, screen
from pregen.display.state import Rates
from pregen.display.text import cells
from pregen.model import Kind, Skip, WorkerView
from tests.support.running.pretend_runs import Story, outcome

_RATES = Rates(312.4, 312.4, 980e6, 3650e6)
_LOAD = Load(1.94, 412_000_000)


def _workers(number: int, busy_s: float = 0.01) -> list[WorkerView]:
    return [WorkerView(100 + i, b"/photos/2019/IMG_%04d.JPG" % i, busy_s, i) for i in range(number)]


def _story() -> Story:
    story = Story().jobs(*[outcome()] * 40, outcome(Kind.TRUNCATED))
    for _ in range(40):
        story.state.planned()
    return story.skips(*[Skip(b"/x", Kind.FRESH)] * 1234).after(83)


def _shown(story: Story, *workers: WorkerView, width: int = 79, height: int = 23) -> list[str]:
    view = story.view(*workers, rates=_RATES, eta_s=125.0)
    return [line.plain for line in screen(view, _LOAD, 2, width, height)]


def test_eighty_columns_hold_all_that_matters() -> None:
    bar, speed, counts, *rows = _shown(_story().walked(), *_workers(2))
    assert bar.endswith(" 50%  41 / 81  2 min 05 s left")
    assert bar.startswith("━━━")
    assert speed == ("312 images/s · 980 MB/s read · 3,650 Mpx/s · 1:23 · 1.9 of 2 cores · 412 MB")
    assert counts == "40 created · 1 failed · 1,234 up to date"
    assert rows == ["  1 /photos/2019/IMG_0000.JPG", "  2 /photos/2019/IMG_0001.JPG"]


def test_while_the_walk_goes_on_there_is_no_share_and_no_estimate() -> None:
    bar = _shown(_story())[0]
    assert bar.endswith("searching ... 1,315 files found")
    assert "%" not in bar
    assert "left" not in bar


def test_an_idle_worker_keeps_its_row() -> None:
    rows = _shown(_story(), WorkerView(1, None, 0.0, 5), *_workers(1))[3:]
    assert rows == ["  1 idle", "  2 /photos/2019/IMG_0000.JPG"]


def test_the_time_of_a_worker_is_told_when_it_takes_long() -> None:
    (row,) = _shown(_story(), *_workers(1, busy_s=74.2))[3:]
    assert row == "  1 /photos/2019/IMG_0000.JPG  1 min 14 s"


def test_as_many_workers_as_fit_are_shown_and_the_others_counted() -> None:
    lines = _shown(_story(), *_workers(64), height=10)
    assert len(lines) == 10
    assert lines[-1] == "    + 58 more workers"
    assert len(_shown(_story(), *_workers(64), height=500)) < 25


def test_a_worker_that_hangs_is_shown_before_those_that_do_not() -> None:
    workers = _workers(64)
    workers[50] = workers[50]._replace(busy_s=30.0)
    lines = _shown(_story(), *workers, height=8)
    assert any("IMG_0050" in line for line in lines)


def test_failures_do_not_fall_off_a_narrow_screen() -> None:
    assert _shown(_story(), width=21)[2] == "40 created · 1 failed"


def test_markup_and_escapes_in_names_are_shown_and_not_obeyed() -> None:
    names = [b"/p/[bold red]x.jpg", b"/p/\x1b[31mred\x9b1m.jpg", b"/p/\xff\n\xe2\x80\xae.jpg"]
    workers = [WorkerView(i, name, 0.0, 0) for i, name in enumerate(names)]
    view = _story().view(*workers)
    lines = screen(view, _LOAD, 2, 79, 23)
    assert [line.plain for line in lines[-3:]] == [
        "  1 /p/[bold red]x.jpg",
        r"  2 /p/\x1b[31mred\x9b1m.jpg",
        r"  3 /p/\xff\n\u202e.jpg",
    ]
    assert not any("bold" in str(span.style) for line in lines[-3:] for span in line.spans)


def test_a_terminal_without_unicode_gets_ascii() -> None:
    view = _story().walked().view(*_workers(1), rates=_RATES, eta_s=1.0)
    assert all(line.plain.isascii() for line in screen(view, _LOAD, 2, 79, 23, ASCII))


@given(
    width=st.integers(1, 250),
    height=st.integers(1, 60),
    workers=st.integers(0, 80),
    name=st.binary(min_size=1, max_size=120),
    walked=st.booleans(),
)
def test_no_size_and_no_name_makes_it_larger_than_the_terminal(
    *, width: int, height: int, workers: int, name: bytes, walked: bool
) -> None:
    story = _story()
    if walked:
        story.walked()
    views = [WorkerView(i, b"/" + name, 5.0, 0) for i in range(workers)]
    lines = _shown(story, *views, width=width, height=height)
    assert 1 <= len(lines) <= height
    assert all(cells(line) <= width for line in lines)
