"""File systems that answer late, or never: the run goes on, and ends."""

from __future__ import annotations

import json
import signal
import time
from typing import TYPE_CHECKING

import pytest

from pregen.filesystems.shares import SILENT_WORDS
from tests.support.faults.hanging_mount import StuckMount
from tests.support.files import foreign_entries
from tests.support.files.pictures import jpeg, put
from tests.support.files.source_trees import few
from tests.support.running.capabilities import Capability, needs
from tests.support.running.program import Running, run_pregen

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


def test_a_share_that_is_dead_from_the_start_costs_its_time_out(tmp_path: Path) -> None:
    """The root itself, a folder in one of a disk, and what a link on the disk leads to."""
    photos, cache, point = tmp_path / "photos", tmp_path / "cache", tmp_path / "photos" / "nas"
    few(photos / "after", 3)
    point.mkdir()
    (photos / "link.jpg").symlink_to(point / "a.jpg")
    few(tmp_path / "more", 2)
    with StuckMount(point) as mount:
        done = run_pregen(
            "run", "--json", "-v", "--read-timeout", "2", point / "deep", photos, tmp_path / "more",
            cache=cache, prefix=mount.inside,
        )  # fmt: skip
        # the run has ended, though who looked still waits
        assert mount.held("share_helper", "disk-sleep")
    kinds = done.kinds()
    assert {name: kind for name, kind in kinds.items() if kind == "made"}.keys() == {
        "00.jpg", "01.jpg", "02.jpg"
    }  # fmt: skip
    assert [record["kind"] for record in done.outcomes.values()].count("made") == 5
    dead = {name: kind for name, kind in kinds.items() if kind != "made"}
    assert dead == {"nas": "unreadable", "link.jpg": "unreadable", "deep": "unreadable"}
    assert done.out.count(SILENT_WORDS) >= 3
    assert done.code == 3
    assert "Traceback" not in done.err


@pytest.mark.parametrize("asked", ["stdin", "arguments"])
def test_a_question_about_a_file_on_a_dead_share_is_answered(tmp_path: Path, asked: str) -> None:
    """And what is asked beside it."""
    photo, cache, point = (
        put(tmp_path / "a.jpg", jpeg(300, 200)),
        tmp_path / "cache",
        tmp_path / "nas",
    )
    point.mkdir()
    (tmp_path / "link.jpg").symlink_to(point / "c.jpg")
    files = [photo, point / "b.jpg", tmp_path / "link.jpg"]
    names = b"".join(bytes(file) + b"\n" for file in files)
    with StuckMount(point) as mount:
        done = run_pregen(
            "path", "--mount-timeout", "1", *(files if asked == "arguments" else ()),
            cache=cache, prefix=mount.inside, stdin=names if asked == "stdin" else b"",
        )  # fmt: skip
    entry, *others = done.out.split("\n")
    assert entry.endswith(".png")
    assert others == ["", "", ""]
    assert done.err.count(SILENT_WORDS) == 2
    assert done.code == 3


def test_show_says_of_a_file_on_a_dead_share_that_it_does_not_answer(tmp_path: Path) -> None:
    point = tmp_path / "nas"
    point.mkdir()
    with StuckMount(point) as mount:
        done = run_pregen(
            "show", "--mount-timeout", "1", point / "b.jpg",
            cache=tmp_path / "cache", prefix=mount.inside,
        )  # fmt: skip
    assert SILENT_WORDS in done.out
    assert done.code == 3
    assert "Traceback" not in done.err


def test_a_share_that_dies_while_it_is_walked_holds_up_no_other(tmp_path: Path) -> None:
    behind, point, orders = tmp_path / "behind", tmp_path / "point", tmp_path / "orders.json"
    few(behind, 40)
    few(tmp_path / "live", 3)
    point.mkdir()
    orders.write_text(json.dumps({"delay_s": 0.1, "files": {}}))
    server = ("folder_server.py", str(behind), str(orders))
    with (
        StuckMount(point, server=server) as mount,
        Running(
            "run", "--json", "-v", "--read-timeout", "2", point, tmp_path / "live",
            cache=tmp_path / "cache", prefix=mount.inside,
        ) as running,
    ):  # fmt: skip
        mount.wait_for_held("share_helper")
        mount.send(signal.SIGSTOP)
        done = running.end()
        mount.send(signal.SIGCONT)
    made = [path for path, each in done.outcomes.items() if each["kind"] == "made"]
    assert len([path for path in made if b"/live/" in path]) == 3
    dead = [each for each in done.outcomes.values() if each["kind"] != "made"]
    assert dead
    assert {each["kind"] for each in dead} == {"unreadable"}
    assert done.code == 3
