"""Where the machine lets every decoder die, that is not held against the files."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

import pytest

from tests.support.files.pictures import jpeg, put
from tests.support.running.program import run_pregen

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.xdist_group("faults")

COUNT = 12
PROGRAM = (sys.executable, "-m", "tests.support.faults.taken_over")


def test_where_most_files_die_none_is_remembered(tmp_path: Path) -> None:
    photos, cache = tmp_path / "photos", tmp_path / "cache"
    for number in range(COUNT):
        put(photos / f"{number}.sick.jpg", jpeg(300, 200))
    sick = run_pregen(
        *("run", "--json", "--workers", "2", photos),
        cache=cache,
        env={"PYTHONPATH": os.pathsep.join(sys.path)},
        program=PROGRAM,
    )
    assert sick.code == 3, sick
    assert set(sick.kinds().values()) == {"crashed"}
    assert f"{COUNT} of {COUNT} files" in sick.out + sick.err
    healthy = run_pregen("run", "--json", photos, cache=cache)
    assert healthy.code == 0, healthy
    assert set(healthy.kinds().values()) == {"made"}


def test_a_few_files_that_die_are_remembered(tmp_path: Path) -> None:
    photos, cache = tmp_path / "photos", tmp_path / "cache"
    for number in range(COUNT):
        name = f"{number}.sick.jpg" if number < 2 else f"{number}.jpg"
        put(photos / name, jpeg(300, 200))
    fixed = ("run", "--json", "--workers", "2", photos)
    environment = {"PYTHONPATH": os.pathsep.join(sys.path)}
    run_pregen(*fixed, cache=cache, env=environment, program=PROGRAM)
    again = run_pregen(*fixed, cache=cache)
    assert again.summary["kinds"]["failed-before"] == 2, again
