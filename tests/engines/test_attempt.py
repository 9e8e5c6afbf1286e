"""Nothing a job raises gets any further."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

import pytest

from pregen.engines.base import attempt
from pregen.model import Kind
from tests.support.faults.harmful_work import job, made

if TYPE_CHECKING:
    from pregen.engines.base import Ask
    from pregen.model import Job, Outcome


def ask(_size_bytes: int) -> None:
    """Memory is there."""


def test_an_outcome_passes_through() -> None:
    assert attempt(lambda job, _ask: made(job), job(3), ask) == made(job(3))


def test_an_exception_is_an_error_that_says_where() -> None:
    def work(_job: Job, _ask: Ask) -> Outcome:
        raise KeyError("x")

    outcome = attempt(work, job(3), ask)
    assert (outcome.job_id, outcome.path, outcome.kind) == (3, b"/3", Kind.ERROR)
    assert outcome.message.startswith("KeyError: 'x' (test_attempt.py:")
    assert outcome.worker_pid == os.getpid()


def test_leaving_the_program_is_an_error() -> None:
    assert attempt(lambda _job, _ask: sys.exit(0), job(3), ask).kind is Kind.ERROR


def test_memory_that_ran_out_has_its_own_kind() -> None:
    def work(_job: Job, _ask: Ask) -> Outcome:
        raise MemoryError

    assert attempt(work, job(3), ask).kind is Kind.OUT_OF_MEMORY


def test_the_outcome_of_another_job_is_an_error() -> None:
    assert attempt(lambda _job, _ask: made(job(4)), job(3), ask).kind is Kind.ERROR


def test_ctrl_c_is_nobodys_outcome() -> None:
    def work(_job: Job, _ask: Ask) -> Outcome:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        attempt(work, job(3), ask)
