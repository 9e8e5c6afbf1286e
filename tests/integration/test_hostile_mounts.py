"""File systems that answer late, or never: the run goes on, and ends."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from pregen.readers.threads import SILENT_WORDS
from tests.support.faults.hanging_mount import StuckMount
from tests.support.files import foreign_entries
from tests.support.files.pictures import jpeg, put
from tests.support.files.source_trees import few
from tests.support.running.capabilities import Capability, needs
from tests.support.running.program import run_pregen

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [needs(Capability.STUCK_MOUNT), pytest.mark.slow, pytest.mark.xdist_group("faults")]


@pytest.mark.parametrize("seconds", ["1", "never"])
def test_a_file_that_delivers_a_byte_a_second_or_none_costs_itself_only(
    tmp_path: Path, seconds: str
) -> None:
    photos, cache = tmp_path / "photos", tmp_path / "cache"
    few(photos, 6)
    content = put(tmp_path / "content.jpg", jpeg(300, 200))
    point = photos / "mounted"
    point.mkdir()
    server = ("slow_server.py", str(content), seconds)
    with StuckMount(point, server=server) as mount:
        begun_s = time.monotonic()
        done = run_pregen(
            "run", "--json", "-v", "--workers", "2", "--timeout", "2", "--read-timeout", "2",
            photos, cache=cache, prefix=mount.inside,
        )  # fmt: skip
        took_s = time.monotonic() - begun_s
    kinds = done.kinds()
    assert kinds.pop("slow.jpg") == "unreadable", done
    assert SILENT_WORDS in done.out
    assert set(kinds.values()) == {"made"}
    assert done.code == 3
    assert "Traceback" not in done.err
    assert not foreign_entries.leftovers(cache)
    # Two seconds, or what it takes to see that so little comes, and to give up a worker that cannot
    # be killed.
    assert took_s < 80
