"""Runs over a real sshfs mount, on a link that is slow: what they tell of it."""

from __future__ import annotations

import os
import time
from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest

from benchmarks.shares.share import Share, Speed
from pregen.filesystems.shares import SILENT_WORDS
from tests.support.files.pictures import jpeg, put
from tests.support.files.source_trees import few
from tests.support.running.capabilities import Capability, needs
from tests.support.running.program import Running, run_pregen

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = needs(Capability.SSHFS)


@pytest.fixture
def served(tmp_path: Path) -> Path:
    """Return a folder with pictures of 300 kB that decode in no time: most of it is a trailer."""
    for number in range(6):
        put(tmp_path / "served" / f"{number}.jpg", jpeg(300, 200, number) + os.urandom(300_000))
    return tmp_path / "served"


def test_a_run_over_a_slow_share_tells_that_the_link_limits(served: Path, tmp_path: Path) -> None:
    point, here = tmp_path / "point", tmp_path / "here"
    point.mkdir()
    few(here, 3)
    with Share(served) as share:
        share.slow(Speed(rtt_ms=20, rate_mb_s=0.5))
        with share.mounted(point):
            done = run_pregen("run", "--json", point, here, cache=tmp_path / "cache")
    summary = done.records[-1]
    sizes = sum(path.stat().st_size for path in served.iterdir())
    assert summary["kinds"] == {"made": 9}
    assert summary["share_bytes"] == summary["share_bytes_done"] == sizes
    assert sizes <= summary["share_bytes_read"] < summary["bytes_read"]
    # "both" where other programs leave no processor idle
    assert summary["limit"] in {"link", "both"}
    limits = {each["limit"] for each in done.records if each["type"] == "progress"}
    assert limits & {"link", "both"}


def test_people_are_told_in_one_line(served: Path, tmp_path: Path) -> None:
    point = tmp_path / "point"
    point.mkdir()
    with Share(served) as share, share.mounted(point):
        done = run_pregen("run", point, cache=tmp_path / "cache")
    lines = [line for line in done.out.splitlines() if line.startswith("From shares: ")]
    assert len(lines) == 1
    assert " of 1.9 MB read" in lines[0]


def test_a_local_run_tells_nothing_of_shares(served: Path, tmp_path: Path) -> None:
    done = run_pregen("run", served, cache=tmp_path / "cache")
    assert "share" not in done.out + done.err
    assert "limited" not in done.out + done.err


def test_a_dead_server_costs_its_time_out_once(served: Path, tmp_path: Path) -> None:
    """New workers begin beside it: none looks at its mount."""
    sound = tmp_path / "sound"
    for number in range(12):
        put(sound / f"sound-{number}.jpg", jpeg(300, 200, 100 + number) + os.urandom(30_000))
    for number in range(30):
        put(served / f"more-{number}.jpg", jpeg(300, 200, 50 + number) + os.urandom(300_000))
    points = [tmp_path / "dead", tmp_path / "live"]
    silence_s = 6.0
    with ExitStack() as stack:
        shares = [stack.enter_context(Share(folder)) for folder in (served, sound)]
        for share, point in zip(shares, points, strict=True):
            point.mkdir()
            share.slow(Speed(rtt_ms=10, rate_mb_s=1))
            stack.enter_context(share.mounted(point))
        running = stack.enter_context(
            Running(
                "run", "--json", "-v", "--workers", "2", "--read-timeout", str(silence_s), *points,
                cache=tmp_path / "cache",
            )
        )  # fmt: skip
        running.wait_for_records(lambda records: any("path" in each for each in records))
        stopped = shares[0].sessions()
        for process in stopped:
            process.suspend()
        told_s: list[float] = []

        def silent(records: list[dict[str, object]]) -> bool:
            told = sum(SILENT_WORDS in str(each.get("message")) for each in records)
            told_s.extend([time.monotonic()] * (told - len(told_s)))
            return any(each["type"] == "summary" for each in records)

        running.wait_for_records(silent)
        done = running.end()
        for process in stopped:
            process.resume()
    kinds = done.kinds()
    assert len(kinds) == 48
    assert {kind for name, kind in kinds.items() if name.startswith("sound")} == {"made"}
    assert set(kinds.values()) == {"made", "unreadable"}
    # more files than are read at a time, so a second time-out would show
    assert len(told_s) > 8
    assert told_s[-1] - told_s[0] < silence_s
    assert done.code == 3
