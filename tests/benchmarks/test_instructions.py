"""The instruction counter but for valgrind: its arithmetic, its record, its verdict, its jobs."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from benchmarks import instructions
from benchmarks.harness import counts, stills
from benchmarks.harness.programs import ROOT

if TYPE_CHECKING:
    from pathlib import Path

MADE_WITH = {"cpu": "a processor", "python": "3.11.7"}
RECORD = counts.Record(MADE_WITH, {"large": 1_000_000_000, "small": 20_000_000})

#: How a profile of callgrind looks, much shortened.
PROFILE = """# callgrind format
version: 1
part: 4
desc: Trigger: --dump-before=getpgid
events: Ir
summary: 203473562

fn=(1) totals: 7
0 203473562

totals: 203473562
"""


def now(**instructions: int) -> counts.Record:
    return counts.Record(MADE_WITH, RECORD.instructions | instructions)


def test_the_total_of_a_profile_is_its_instructions() -> None:
    assert counts.instructions_of(PROFILE) == 203_473_562


def test_a_profile_that_was_cut_short_is_no_count() -> None:
    with pytest.raises(ValueError, match="totals"):
        counts.instructions_of(PROFILE[: PROFILE.index("\ntotals")])


def test_only_what_lies_between_marks_counts_and_no_first_job_of_a_picture() -> None:
    #        start  jobs of "large", and between     jobs of "small", and between    end
    parts = [10**9, 900, 10**8, 500, 10**8, 502, 10**8, 90, 10**8, 50, 10**8, 54, 10**9]
    assert counts.by_picture(parts, ["large", "small"], 3) == {"large": 501, "small": 52}


@pytest.mark.parametrize("parts", [[1], [1] * 12, [1] * 14])
def test_parts_that_fit_no_number_of_marks_are_refused(parts: list[int]) -> None:
    with pytest.raises(ValueError, match="13 parts"):
        counts.by_picture(parts, ["large", "small"], 3)


def test_a_record_reads_as_it_was_written(tmp_path: Path) -> None:
    counts.save(tmp_path / "record.json", RECORD)
    assert counts.load(tmp_path / "record.json") == RECORD


def test_the_record_in_the_repository_is_of_the_pictures_that_are_made() -> None:
    assert list(counts.load(instructions.RECORD).instructions) == list(stills.RECIPES)


@pytest.mark.parametrize(
    ("small", "slower"),
    [(20_000_000, False), (20_200_000, False), (20_200_001, True), (22_000_000, True)],
)
def test_more_than_the_limit_is_slower_and_the_limit_is_not(small: int, slower: bool) -> None:  # noqa: FBT001 - a parameter of a table
    rows = counts.compare(RECORD.instructions, now(small=small).instructions)
    assert [(row.picture, row.slower) for row in rows] == [("large", False), ("small", slower)]


def test_one_slower_picture_fails_the_comparison(capsys: pytest.CaptureFixture[str]) -> None:
    assert instructions.report(RECORD, now(large=1_100_000_000)) == 1
    large, small = capsys.readouterr().out.splitlines()[1:3]
    assert large.split() == ["large", "1000.000", "1100.000", "1.1000", "slower"]
    assert small.split() == ["small", "20.000", "20.000", "1.0000"]


def test_fewer_instructions_pass_and_nothing_else_is_said(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert instructions.report(RECORD, now(large=500_000_000)) == 0
    assert len(capsys.readouterr().out.splitlines()) == 3


def test_another_processor_or_version_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    made_with = {"cpu": "another", "python": "3.11.7", "isal": "2"}
    assert instructions.report(RECORD, RECORD._replace(made_with=made_with)) == 0
    said = capsys.readouterr().out
    assert "cpu: recorded with a processor, now another" in said
    assert "isal: recorded with nothing, now 2" in said
    assert "python" not in said


def test_a_picture_without_a_record_is_shown_and_is_not_slower() -> None:
    rows = counts.compare(RECORD.instructions, now(new=5_000_000).instructions)
    assert [row.slower for row in rows] == [False] * 3
    assert counts.table(rows).splitlines()[-1].split() == ["new", "-", "5.000", "-"]


def test_pictures_are_the_same_every_time_and_the_jobs_are_done(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipes = {"jpeg-small": stills.RECIPES["jpeg-small"]}
    monkeypatch.setattr(stills, "RECIPES", recipes)
    for name in ("one", "other"):
        (tmp_path / name).mkdir()
    pictures = stills.make(tmp_path / "one")
    assert stills.digest(pictures) == stills.digest(stills.make(tmp_path / "other"))
    command = [sys.executable, "-m", "benchmarks.harness.repeat", str(tmp_path / "cache"), "2"]
    subprocess.run([*command, *map(str, pictures.values())], cwd=ROOT, check=True)
    assert len(list((tmp_path / "cache").rglob("*.png"))) == 2
