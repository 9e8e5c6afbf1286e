"""One run per cache: the second one says who holds it, or waits."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

import pytest

from tests.support.files import foreign_entries
from tests.support.files.source_trees import few, many_slow
from tests.support.running.program import Running, run_pregen

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = [pytest.mark.usefixtures("no_leaks"), pytest.mark.xdist_group("timing")]


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / "cache"


@pytest.fixture
def frozen(tmp_path: Path, cache: Path) -> Iterator[Running]:
    """A run in the middle of its work that does not move: it holds the lock as long as we like."""
    many_slow(tmp_path / "busy", 60)
    with Running("run", "--json", tmp_path / "busy", cache=cache) as running:
        running.wait_for_outcomes()
        running.send_to_group(signal.SIGSTOP)
        yield running


def test_a_second_run_on_the_same_cache_says_who_holds_it(
    tmp_path: Path, cache: Path, frozen: Running
) -> None:
    few(tmp_path / "photos")
    before = foreign_entries.identities(cache)
    second = run_pregen("run", "--json", tmp_path / "photos", cache=cache)
    assert second.code == 10, second
    assert str(frozen.process.pid) in second.err
    assert "--wait" in second.err
    assert second.summary["exit_code"] == 10
    assert foreign_entries.identities(cache) == before

    elsewhere = run_pregen("run", "--json", tmp_path / "photos", cache=tmp_path / "other")
    assert elsewhere.code == 0, "another cache has another lock"


def test_a_run_may_wait_for_its_turn(tmp_path: Path, cache: Path, frozen: Running) -> None:
    few(tmp_path / "photos")
    with Running("run", "--json", "--wait", tmp_path / "photos", cache=cache) as second:
        second.wait_for_stderr(str(frozen.process.pid))
        assert second.process.poll() is None
        frozen.send_to_group(signal.SIGKILL)
        frozen.process.wait(10)
        done = second.end()
    assert done.code == 0, done
    assert done.summary["kinds"] == {"made": 4}


def test_waiting_can_be_given_up(tmp_path: Path, cache: Path, frozen: Running) -> None:
    few(tmp_path / "photos")
    with Running("run", "--json", "--wait", tmp_path / "photos", cache=cache) as second:
        second.wait_for_stderr(str(frozen.process.pid))
        second.send(signal.SIGINT)
        assert second.end().code == 130


def test_a_dead_run_holds_nothing(tmp_path: Path, cache: Path, frozen: Running) -> None:
    frozen.send_to_group(signal.SIGKILL)
    frozen.process.wait(10)
    assert not frozen.survivors(5)
    few(tmp_path / "photos")
    assert run_pregen("run", tmp_path / "photos", cache=cache).code == 0


def test_looking_needs_no_lock(cache: Path, tmp_path: Path, frozen: Running) -> None:
    assert frozen.process.poll() is None
    source = min((tmp_path / "busy").iterdir())
    for looking in (("status",), ("show", source), ("run", "--dry-run", tmp_path / "busy")):
        done = run_pregen(*looking, cache=cache)
        assert done.code == 0, done
