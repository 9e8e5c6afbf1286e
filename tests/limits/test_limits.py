"""When a run pauses and when it ends: the decision, by tables."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import click
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pregen.argument_types import next_time
from pregen.config import GovernorConfig
from pregen.limits import Do, MachineLoad, decide

CLOCK = datetime(2026, 3, 1, 5, 0, tzinfo=UTC)
GB = 10**9


def now(**more: Any) -> MachineLoad:
    return MachineLoad(elapsed_s=100.0, clock=CLOCK, decoded=50)._replace(**more)


@pytest.mark.parametrize(
    ("config", "seen", "do", "word"),
    [
        (GovernorConfig(), now(), Do.GO, ""),
        (GovernorConfig(limit=51), now(), Do.GO, ""),
        (GovernorConfig(limit=50), now(), Do.END, "50 files"),
        (GovernorConfig(max_time_s=101), now(), Do.GO, ""),
        (GovernorConfig(max_time_s=100), now(), Do.END, "--max-time"),
        (GovernorConfig(until=CLOCK + timedelta(minutes=1)), now(), Do.GO, ""),
        (GovernorConfig(until=CLOCK), now(), Do.END, "05:00"),
        (GovernorConfig(max_load=4), now(load=3.9), Do.GO, ""),
        (GovernorConfig(max_load=4), now(load=4.0), Do.PAUSE, "load is 4.0"),
        (GovernorConfig(pause_on_battery=True), now(), Do.GO, ""),
        (GovernorConfig(pause_on_battery=True), now(on_battery=True), Do.PAUSE, "battery"),
        (GovernorConfig(), now(on_battery=True), Do.GO, ""),
        (GovernorConfig(min_free_bytes=2 * GB), now(free_bytes=2 * GB), Do.GO, ""),
        (GovernorConfig(min_free_bytes=2 * GB), now(free_bytes=2 * GB - 1), Do.FULL, "2.0 GB"),
        (GovernorConfig(min_free_bytes=2 * GB), now(free_bytes=None), Do.GO, ""),
    ],
)
def test_each_limit(config: GovernorConfig, seen: MachineLoad, do: Do, word: str) -> None:
    verdict = decide(config, seen)
    assert verdict.do is do
    assert word in verdict.why


def test_an_end_comes_before_a_pause_and_a_full_disk_before_both() -> None:
    config = GovernorConfig(limit=1, pause_on_battery=True, max_load=1, min_free_bytes=GB)
    seen = now(on_battery=True, load=9.0, free_bytes=0)
    assert decide(config, seen).do is Do.FULL
    assert decide(config, seen._replace(free_bytes=GB)).do is Do.END
    assert decide(config, seen._replace(free_bytes=GB, decoded=0)).do is Do.PAUSE


@given(hour=st.integers(0, 23), minute=st.integers(0, 59))
def test_a_time_of_day_is_the_next_one(hour: int, minute: int) -> None:
    before = datetime.now().astimezone()
    moment = next_time(f"{hour:02}:{minute:02}")
    assert (moment.hour, moment.minute, moment.second) == (hour, minute, 0)
    assert before < moment <= before + timedelta(days=1, hours=1)


@pytest.mark.parametrize("text", ["24:00", "6", "06:60", "6h", "", "06:30:00"])
def test_what_is_no_time_of_day_is_refused(text: str) -> None:
    with pytest.raises(click.BadParameter, match="06:30"):
        next_time(text)
