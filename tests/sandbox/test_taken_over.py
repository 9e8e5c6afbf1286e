"""What a worker that was taken over by a file costs the run: that file, and nothing else."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

import pytest

from tests.support.files import pictures
from tests.support.running.capabilities import Capability, needs
from tests.support.running.program import run_pregen

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.running.program import Finished

pytestmark = [pytest.mark.xdist_group("faults"), needs(Capability.SANDBOX)]

PROGRAM = (sys.executable, "-m", "tests.support.faults.taken_over")
GOOD = 4


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    for number in range(GOOD):
        pictures.put(tmp_path / "photos" / f"z{number}.good.jpg", pictures.jpeg(300, 200))
    return tmp_path / "photos"


def attacked(photos: Path, attack: str, *arguments: str, **environment: str) -> Finished:
    """Run over the good pictures and one that makes the attack; return how that ended."""
    pictures.put(photos / f"a.{attack}.jpg", pictures.jpeg(300, 200))
    return run_pregen(
        *("run", "--json", "--workers", "2", "--sandbox", "require"),
        *arguments,
        photos,
        cache=photos.parent / "cache",
        env={"PYTHONPATH": os.pathsep.join(sys.path), **environment},
        program=PROGRAM,
    )


def assert_only(done: Finished, attack: str, kind: str) -> None:
    """The file that attacks came to `kind`, and every other one got its thumbnail."""
    good = {f"z{number}.good.jpg": "made" for number in range(GOOD)}
    assert done.kinds() == {**good, f"a.{attack}.jpg": kind}, done
    assert done.code == 3, done


def test_the_memory_shared_with_the_run_cannot_be_cut(photos: Path) -> None:
    done = attacked(photos, "cut-slot")
    assert_only(done, "cut-slot", "unreadable")  # ftruncate is refused: an error like any other


@pytest.mark.parametrize("attack", ["late-slot", "idle-slot", "flicker-slot"])
def test_no_deadline_is_put_off_by_what_a_worker_says_of_itself(photos: Path, attack: str) -> None:
    done = attacked(photos, attack, "--timeout", "1")
    kind = done.kinds()[f"a.{attack}.jpg"]
    assert kind in {"timed-out", "disturbed"}
    assert_only(done, attack, kind)


def test_a_workers_time_on_the_processor_has_a_hard_limit(photos: Path) -> None:
    done = attacked(photos, "more-time")
    assert_only(done, "more-time", "error")  # ValueError: not allowed to raise maximum limit
