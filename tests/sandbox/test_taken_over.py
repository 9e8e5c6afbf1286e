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

    Attacked = Callable[..., Finished]

pytestmark = [pytest.mark.xdist_group("faults"), needs(Capability.SANDBOX)]

PROGRAM = (sys.executable, "-m", "tests.support.faults.taken_over")
GOOD = 4


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    for number in range(GOOD):
        pictures.put(tmp_path / "photos" / f"z{number}.good.jpg", pictures.jpeg(300, 200))
    return tmp_path / "photos"


@pytest.fixture
def attacked(photos: Path, tmp_path: Path) -> Attacked:
    """Run over the good pictures and one that makes the attack; return how that ended."""

    def run(attack: str, *arguments: str) -> Finished:
        pictures.put(photos / f"a.{attack}.jpg", pictures.jpeg(300, 200))
        fixed = ("run", "--json", "--workers", "2", "--sandbox", "require")
        return run_pregen(
            *fixed,
            *arguments,
            photos,
            cache=tmp_path / "cache",
            env={"PYTHONPATH": os.pathsep.join(sys.path)},
            program=PROGRAM,
        )

    return run


def assert_only(done: Finished, attack: str, kind: str) -> None:
    """The file that attacks came to `kind`, and every other one got its thumbnail."""
    good = {f"z{number}.good.jpg": "made" for number in range(GOOD)}
    assert done.kinds() == {**good, f"a.{attack}.jpg": kind}, done
    assert done.code == 3, done


def test_the_memory_shared_with_the_run_cannot_be_cut(attacked: Attacked) -> None:
    done = attacked("cut-slot")
    assert_only(done, "cut-slot", "unreadable")  # ftruncate is refused: an error like any other
