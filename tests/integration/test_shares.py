"""Runs over a real sshfs mount, on a link that is slow: what they tell of it."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from benchmarks.shares.share import Share, Speed
from tests.support.files.pictures import jpeg, put
from tests.support.files.source_trees import few
from tests.support.running.capabilities import Capability, needs
from tests.support.running.program import run_pregen

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
    lines = [line for line in done.err.splitlines() if line.startswith("From shares: ")]
    assert len(lines) == 1
    assert " of 1.9 MB read" in lines[0]


def test_a_local_run_tells_nothing_of_shares(served: Path, tmp_path: Path) -> None:
    done = run_pregen("run", served, cache=tmp_path / "cache")
    assert "share" not in done.err
    assert "limited" not in done.err
