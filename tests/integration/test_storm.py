"""Many at one cache: runs that are killed, runs at once, and tumblerd with the same files.

`scripts/soak kills` is the long one.
"""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

import pytest

from tests.support.files import foreign_entries
from tests.support.files.source_trees import many_slow
from tests.support.running.capabilities import Capability, needs
from tests.support.running.program import Running, run_pregen
from tests.support.trials.kill_storm import OtherWriter, Storm, Tumbler

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [pytest.mark.usefixtures("no_leaks"), pytest.mark.xdist_group("timing")]


def test_runs_killed_at_random_moments_tear_and_lose_nothing(tmp_path: Path) -> None:
    storm = Storm(tmp_path, 60, seed=7)
    storm.measure()
    with OtherWriter(storm.cache, storm.sources, storm.own, seed=8) as writer:
        storm.rage(8)
        storm.look()
    assert storm.verify(writer) == []
    assert storm.tally["kills"] == 8


def test_four_runs_over_overlapping_trees_share_a_cache_in_turn(tmp_path: Path) -> None:
    storm = Storm(tmp_path, 150, seed=3)
    trees = [storm.library, storm.library / "0", storm.library / "1", storm.sources[0].parent]
    many_slow(tmp_path / "busy", 40)
    with Running("run", "--json", tmp_path / "busy", cache=storm.cache) as first:
        first.wait_for_outcomes()
        first.send_to_group(signal.SIGSTOP)
        refused = [run_pregen("run", "--json", tree, cache=storm.cache) for tree in trees[:3]]
        assert [run.code for run in refused] == [10, 10, 10], refused
        waiting = [Running("run", "--wait", tree, cache=storm.cache) for tree in trees]
        try:
            for run in waiting:
                run.wait_for_stderr("wait")
            first.send_to_group(signal.SIGCONT)
            assert first.end().code == 0
            ended = [run.end() for run in waiting]
        finally:
            for run in waiting:
                run.__exit__()
    assert [run.code for run in ended] == [0] * 4, ended
    assert_all_there(storm)


def test_four_runs_at_once_fill_four_caches(tmp_path: Path) -> None:
    storm = Storm(tmp_path, 60, seed=4)
    caches = [tmp_path / f"cache{number}" for number in range(4)]
    runs = [Running("run", "-q", storm.library, cache=cache) for cache in caches]
    try:
        ended = [run.end() for run in runs]
    finally:
        for run in runs:
            run.__exit__()
    assert [run.code for run in ended] == [0] * 4, ended
    for storm.cache in caches:
        assert_all_there(storm)


@needs(Capability.TUMBLER)
def test_tumblerd_working_on_the_same_files_and_a_run_leave_valid_entries(tmp_path: Path) -> None:
    storm = Storm(tmp_path, 120, seed=5)
    with Tumbler(storm.cache, storm.sources, seed=6) as tumbler:
        while not tumbler.rounds and not tumbler.refused:
            assert run_pregen("run", "-q", "--force", storm.library, cache=storm.cache).code == 0
    assert tumbler.rounds
    assert not tumbler.refused
    assert run_pregen("run", "-q", storm.library, cache=storm.cache).code == 0
    assert_all_there(storm)


def assert_all_there(storm: Storm) -> None:
    """Every source has its whole and fresh entries, and there is nothing else that is no entry."""
    wrong = [what for path in storm.sources for what in storm.flaws_of(path)]
    assert wrong == []
    assert not foreign_entries.leftovers(storm.cache)
