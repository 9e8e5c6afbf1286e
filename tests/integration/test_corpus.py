"""A run over all the real files there are, broken ones among them, ends with the truth."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from tests.support import entries, oracles, pngwalk
from tests.support.capabilities import Capability, corpus, needs
from tests.support.program import run_pregen

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("no_leaks"), needs(Capability.CORPUS)]

FAILURES = {"invalid", "truncated", "too-large"}
#: What may become of a file of which nothing is known but that somebody found it worth keeping.
HARMLESS = {"made", "small", "needs-extra", "unsupported", "not-a-picture"}


def test_hostile_files_fail_one_by_one_and_never_the_run(tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    done = run_pregen("run", "--json", "-v", corpus() / "hostile", cache=cache)
    assert done.code == 3, done
    assert "Traceback" not in done.err
    assert set(done.kinds().values()) <= FAILURES | HARMLESS
    assert len(done.outcomes) == len(list((corpus() / "hostile").iterdir()))
    failed = [record for record in done.outcomes.values() if record["kind"] in FAILURES]
    assert failed
    assert all(record["message"] for record in failed)
    assert len(list((cache / "thumbnails").glob("fail/*/*.png"))) == len(failed)
    assert not entries.leftovers(cache)


@needs(Capability.GIO)
@pytest.mark.desktop
def test_what_hostile_files_gave_is_whole_and_valid(tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    done = run_pregen("run", "--json", corpus() / "hostile", cache=cache)
    made = [path for path, record in done.outcomes.items() if record["kind"] == "made"]
    assert made
    assert all(answer.valid for answer in oracles.gio(cache, made))
    for path in entries.identities(cache):
        pngwalk.chunks(path.read_bytes())


def test_the_summary_names_every_failed_file_and_each_extra(tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    counted = run_pregen("run", "--json", corpus(), cache=cache)
    failed = [path for path, record in counted.outcomes.items() if record["kind"] in FAILURES]
    told = run_pregen("run", corpus(), cache=tmp_path / "other")
    assert counted.code == told.code == 3
    assert "Traceback" not in told.err
    for path in failed:
        assert os.fsdecode(path) in told.err
    assert "Waiting for an extra: 6 heic, 4 video" in told.err
