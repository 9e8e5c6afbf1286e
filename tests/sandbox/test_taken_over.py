"""What a worker that was taken over by a file costs the run: that file, and nothing else."""

from __future__ import annotations

import os
import sys
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pregen.engines.local.vetting import DECODER_EXTRAS
from tests.support.faults.taken_over import OUTCOMES
from tests.support.files import pictures
from tests.support.running.capabilities import Capability, needs
from tests.support.running.program import run_pregen

if TYPE_CHECKING:
    from tests.support.running.program import Finished

pytestmark = [pytest.mark.xdist_group("faults"), needs(Capability.SANDBOX)]

PROGRAM = (sys.executable, "-m", "tests.support.faults.taken_over")
GOOD = 4
#: Outcomes in which the run's own knowledge takes the place of what the worker says.
RIGHTED = ("another-path", "another-pid")


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    for number in range(GOOD):
        pictures.put(tmp_path / "photos" / f"z{number}.good.jpg", pictures.jpeg(300, 200))
    return tmp_path / "photos"


def attacked(photos: Path, *attacks: str, timeout_s: float = 30, **environment: str) -> Finished:
    """Run over the good pictures and one for each attack; return how that ended."""
    for attack in attacks:
        pictures.put(photos / f"a.{attack}.jpg", pictures.jpeg(300, 200))
    return run_pregen(
        *("run", "--json", "--workers", "2", "--sandbox", "require"),
        *("--timeout", str(timeout_s)),
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
    done = attacked(photos, attack, timeout_s=1)
    kind = done.kinds()[f"a.{attack}.jpg"]
    assert kind in {"timed-out", "disturbed"}
    assert_only(done, attack, kind)


def test_one_that_dies_and_says_that_it_had_no_job_costs_its_file_only(photos: Path) -> None:
    assert_only(attacked(photos, "die-hidden"), "die-hidden", "disturbed")


def test_one_that_dies_and_names_another_job_costs_its_file_only(photos: Path) -> None:
    assert_only(attacked(photos, "die-for-another"), "die-for-another", "crashed")


def test_a_workers_time_on_the_processor_has_a_hard_limit(photos: Path) -> None:
    done = attacked(photos, "more-time")
    assert_only(done, "more-time", "error")  # ValueError: not allowed to raise maximum limit


def test_of_an_outcome_only_what_the_run_cannot_know_is_taken(photos: Path) -> None:
    done = attacked(photos, *RIGHTED)
    assert done.code == 0, done
    assert set(done.kinds().values()) == {"made"}
    assert "passwd" not in done.out + done.err


def test_workers_that_report_what_cannot_be_are_ended_and_their_files_named(photos: Path) -> None:
    lies = sorted({*OUTCOMES} - {*RIGHTED})
    done = attacked(photos, *lies)
    kinds = done.kinds()
    assert {name: kinds[f"a.{name}.jpg"] for name in lies} == dict.fromkeys(lies, "crashed"), done
    assert [kinds[f"z{number}.good.jpg"] for number in range(GOOD)] == ["made"] * GOOD
    assert done.code == 3
    assert done.out.count("it was ended because it") >= len(lies)
    assert "evil.example" not in done.out + done.err
    assert 0 <= done.summary["bytes_read"] < 1 << 30
    assert "Traceback" not in done.err


@pytest.mark.parametrize("attack", ["return-all", "speak-for-another", "ask-flood", "open-flood"])
def test_a_worker_that_says_what_it_was_not_asked_is_ended(photos: Path, attack: str) -> None:
    assert_only(attacked(photos, attack), attack, "crashed")


def test_a_worker_knows_nothing_of_the_environment_that_no_library_needs(photos: Path) -> None:
    tokens = {"SOME_TOKEN": "a secret"}
    done = attacked(photos, "environment", timeout_s=2, **tokens)
    assert_only(done, "environment", "invalid")  # it found nothing, and said so


def test_a_worker_of_very_many_threads_is_ended(photos: Path) -> None:
    done = attacked(photos, "threads", timeout_s=60)
    assert_only(done, "threads", "crashed")
    assert "threads" in done.outcomes[bytes(photos / "a.threads.jpg")]["message"]


def test_the_extras_that_are_believed_are_those_of_the_decoders() -> None:
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())
    (decoders,) = project["project"]["optional-dependencies"]["decoders"]
    assert decoders == f"pregen[{','.join(sorted(DECODER_EXTRAS, key=decoders.index))}]"
