"""What a dry run tells."""

from __future__ import annotations

from pregen.display.summary import (
    Forecast,
    forecast_lines,
    forecast_record,
    plain_text,
    summary,
)
from pregen.model import Action, Flavor, Job, Kind, Skip, Step
from tests.support.running.pretend_runs import Story


def _job(size_bytes: int, *actions: tuple[Action, Flavor]) -> Job:
    steps = tuple(Step(action, flavor, "file:///a") for action, flavor in actions)
    return Job(0, b"/a", size_bytes, 0, ("file:///a",), steps)


def _forecast() -> Forecast:
    forecast = Forecast()
    both = (Action.MAKE, Flavor.NORMAL), (Action.MAKE, Flavor.LARGE)
    forecast.add(_job(3_000_000, *both))
    forecast.add(_job(5_000_000, (Action.REFIT, Flavor.NORMAL), (Action.MAKE, Flavor.LARGE)))
    forecast.add(_job(7_000_000, (Action.REFIT, Flavor.LARGE), (Action.DELETE, Flavor.X_LARGE)))
    return forecast


def test_jobs_are_added_up_by_what_they_do() -> None:
    assert forecast_record(_forecast(), 4.0) == {
        "decode": 2,
        "bytes_to_read": 8_000_000,
        "entries": {"normal": 1, "large": 2},
        "bytes_to_write": 27_000 + 2 * 101_000,
        "recheck": 0,
        "refit": 2,
        "remove": 1,
        "seconds": 0.5,
    }


def test_a_person_is_told_the_same() -> None:
    story = Story().skips(Skip(b"/x", Kind.FRESH)).walked()
    text = plain_text(forecast_lines(_forecast(), 0.5, story.report()))
    assert text == (
        "A run would:\n"
        "  decode at most 2 files, 8.0 MB to read\n"
        "  write at most 3 thumbnails, about 229 kB\n"
        "  rewrite the texts of 2 thumbnails, without decoding\n"
        "  remove 1 stale thumbnail of other sizes\n"
        "\n"
        "Nothing to do for:\n"
        "  1  up to date\n"
        "\n"
        "Nothing was written. Estimated time: 4 s (0.5 images/s last time).\n"
    )


def test_without_a_run_to_learn_from_the_time_is_unknown() -> None:
    text = plain_text(forecast_lines(_forecast(), None, Story().report()))
    assert text.endswith("Time unknown: no earlier run created 50 thumbnails.\n")
    assert forecast_record(_forecast(), None)["seconds"] is None


def test_when_all_is_fresh_nothing_is_to_be_done() -> None:
    text = plain_text(forecast_lines(Forecast(), None, Story().report()))
    assert text == "A run would:\n  do nothing\n\nNothing was written.\n"


def test_a_dry_run_has_no_summary_of_its_own() -> None:
    story = Story().skips(Skip(b"/x", Kind.FRESH))
    assert summary(story.report())
    assert summary(story.report()._replace(would={})) == []
