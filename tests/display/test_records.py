"""The objects of `--json`: scripts rely on their keys."""

from __future__ import annotations

import base64
import json
import os

import pytest

from pregen.display import records
from pregen.display.state import Rates
from pregen.errors import ExitCode
from pregen.model import Kind, Skip, WorkerView
from tests.support.running.pretend_runs import Story, outcome


def test_the_keys_of_an_outcome_are_fixed() -> None:
    record = json.loads(records.line(records.outcome_record(outcome())))
    assert record == {
        "v": 1,
        "type": "outcome",
        "path": "/photos/a.jpg",
        "kind": "made",
        "message": "",
        "loader": "turbo",
        "mime": "image/jpeg",
        "width": 4000,
        "height": 3000,
        "entries_written": 2,
        "bytes": 120_000,
        "bytes_read": 3_000_000,
        "extra": "",
        "ns": {
            "read": 1_000_000,
            "decode": 10_000_000,
            "resize": 4_000_000,
            "encode": 2_000_000,
            "commit": 1_000_000,
        },
    }


def test_a_source_without_a_job_has_the_keys_of_an_outcome() -> None:
    skipped = records.outcome_record(Skip(b"/a.jpg", Kind.FRESH, "why"))
    assert skipped.keys() == records.outcome_record(outcome()).keys()
    assert (skipped["kind"], skipped["message"]) == ("fresh", "why")


@pytest.mark.parametrize("path", [b"/caf\xe9.jpg", b"/\xff\xfe"])
def test_a_name_that_is_not_utf8_has_its_exact_bytes_too(path: bytes) -> None:
    fields = json.loads(records.line(records.path_fields(path)))
    assert "\ufffd" in fields["path"]
    assert base64.b64decode(fields["path_b64"]) == path


@pytest.mark.parametrize("name", ["/é 写 \U0001f600.jpg", "/line\nfeed\x1b[31m\u202e\u2028"])
def test_any_other_name_comes_back_from_its_text_alone(name: str) -> None:
    line = records.line(records.path_fields(os.fsencode(name)))
    assert line.isascii()
    assert line.count("\n") == 1
    assert json.loads(line) == {"path": name}


def test_the_keys_of_progress_are_fixed() -> None:
    worker = WorkerView(7, b"/photos/b.jpg", 0.25, 3)
    idle = WorkerView(8, None, 0.0, 4)
    story = Story().jobs(outcome()).skips(Skip(b"/x", Kind.FRESH)).after(2)
    view = story.view(worker, idle, rates=Rates(10.111, 9.999, 1e6, 2e6), eta_s=None)
    assert json.loads(records.line(records.progress_record(view))) == {
        "v": 1,
        "type": "progress",
        "elapsed_s": 2.0,
        "found": 2,
        "passed_over": 0,
        "jobs": 1,
        "jobs_done": 1,
        "kinds": {"fresh": 1, "made": 1},
        "images": 1,
        "entries_written": 2,
        "bytes_read": 3_000_000,
        "bytes_written": 120_000,
        "pixels": 12_000_000,
        "share_bytes": 0,
        "share_bytes_done": 0,
        "share_bytes_read": 0,
        "walking": True,
        "paused": None,
        "ns": {
            "read": 1_000_000,
            "decode": 10_000_000,
            "resize": 4_000_000,
            "encode": 2_000_000,
            "commit": 1_000_000,
        },
        "images_per_s": 10.0,
        "bytes_read_per_s": 1_000_000,
        "pixels_per_s": 2_000_000,
        "share_bytes_read_per_s": 0,
        "limit": None,
        "eta_s": None,
        "workers": [
            {"pid": 7, "path": "/photos/b.jpg", "busy_s": 0.25, "done": 3},
            {"pid": 8, "path": None, "busy_s": 0.0, "done": 4},
        ],
    }


def test_the_keys_of_a_summary_are_fixed() -> None:
    story = Story().jobs(
        outcome(),
        outcome(Kind.NEEDS_EXTRA, extra="heic"),
        outcome(Kind.UNSUPPORTED, mime="video/mp4"),
        outcome(Kind.INVALID),
    )
    story.state.warned("odd")
    record = json.loads(
        records.line(records.summary_record(story.after(4).report(ExitCode.SOME_FAILED)))
    )
    assert record.pop("slowest")[0] == {"path": "/photos/a.jpg", "seconds": 0.018}
    assert record == {
        "v": 1,
        "type": "summary",
        "exit_code": 3,
        "error": None,
        "ended_because": None,
        "elapsed_s": 4.0,
        "found": 4,
        "flavors": [],
        "flavors_because": None,
        "passed_over": 0,
        "jobs": 4,
        "jobs_done": 4,
        "kinds": {"made": 1, "needs-extra": 1, "unsupported": 1, "invalid": 1},
        "images": 1,
        "entries_written": 2,
        "bytes_read": 3_000_000,
        "bytes_written": 120_000,
        "pixels": 12_000_000,
        "share_bytes": 0,
        "share_bytes_done": 0,
        "share_bytes_read": 0,
        "failed": 1,
        "ns": {
            "read": 1_000_000,
            "decode": 10_000_000,
            "resize": 4_000_000,
            "encode": 2_000_000,
            "commit": 1_000_000,
        },
        "limit": None,
        "needs_extra": {"heic": 1},
        "install": "pip install 'pregen[heic]'",
        "unsupported": {"video/mp4": 1},
        "warnings": 1,
    }


def test_a_run_that_failed_says_why_in_its_summary() -> None:
    record = records.summary_record(Story().report(ExitCode.LOCKED, "another run holds the lock"))
    assert (record["exit_code"], record["error"]) == (10, "another run holds the lock")
