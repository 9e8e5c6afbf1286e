"""Shares that are slow, lie, change under the reader or stop answering: real FUSE mounts."""

from __future__ import annotations

import json
import os
import signal
import time
from contextlib import ExitStack, contextmanager
from functools import cache
from typing import TYPE_CHECKING

import pytest

from pregen.filesystems.shares import SILENT_WORDS
from tests.support.faults.hanging_mount import StuckMount
from tests.support.files import foreign_entries
from tests.support.files.pictures import jpeg, put
from tests.support.running.capabilities import Capability, needs
from tests.support.running.program import Running, path_of, run_pregen

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from tests.support.running.program import Finished

pytestmark = [needs(Capability.STUCK_MOUNT), pytest.mark.xdist_group("faults")]


class FolderShare:
    """A folder shown as a share by `folder_server`."""

    def __init__(self, place: Path) -> None:
        self.behind = place / "behind"
        """What the server has."""
        self.point = place / "mounted"
        self._orders = place / "orders.json"
        self.behind.mkdir(parents=True)
        self.point.mkdir()
        self.order()

    def order(
        self, delay_s: float = 0.0, *, hang: Iterable[str] = (), **files: dict[str, object]
    ) -> None:
        """Say how the server is to behave; `hang` names files of any kind, `files` pictures."""
        named = {f"{name}.jpg": order for name, order in files.items()}
        named |= {name: {"do": "hang", "at": 0} for name in hang}
        whole = self._orders.with_name("orders.new")
        whole.write_text(json.dumps({"delay_s": delay_s, "files": named}))
        whole.replace(self._orders)

    @property
    def server(self) -> tuple[str, ...]:
        return ("folder_server.py", str(self.behind), str(self._orders))

    def requests(self, word: str) -> list[str]:
        """Return the names of files that were opened (OPEN) or read from (READ), each time."""
        log = self._orders.with_name(f"{self._orders.name}.log").read_text().splitlines()
        return [line.split()[1] for line in log if line.startswith(word)]


@pytest.fixture
def share(tmp_path: Path) -> FolderShare:
    return FolderShare(tmp_path / "share")


@contextmanager
def mounted(share: FolderShare) -> Iterator[StuckMount]:
    with StuckMount(share.point, server=share.server) as mount:
        yield mount


def run(share: FolderShare, *more: str) -> Finished:
    cache = share.point.parent / "cache"
    with mounted(share) as mount:
        done = run_pregen(
            "run", "--json", "-v", "--workers", "2", *more, share.point,
            cache=cache, prefix=mount.inside,
        )  # fmt: skip
    assert "Traceback" not in done.err
    assert not foreign_entries.leftovers(cache)
    return done


def entries(share: FolderShare) -> int:
    return len(list((share.point.parent / "cache").glob("thumbnails/*/*.png")))


@cache
def content() -> bytes:
    return jpeg(1600, 1200, quality=95)


def picture(share: FolderShare, name: str) -> Path:
    """Put a picture on the server, with a content of its own."""
    return put(share.behind / f"{name}.jpg", content() + name.encode())


def test_all_of_a_slow_share_is_made_and_opened_once(share: FolderShare) -> None:
    for number in range(12):
        picture(share, f"{number:02}")
    share.order(delay_s=0.01)
    done = run(share)
    assert set(done.kinds().values()) == {"made"}
    assert done.code == 0
    assert sorted(share.requests("OPEN")) == sorted(done.kinds())


@pytest.mark.parametrize("what", ["eio", "estale"])
def test_a_read_that_fails_costs_its_file(share: FolderShare, what: str) -> None:
    for name in ("a", "b", "c", "d"):
        picture(share, name)
    share.order(b={"do": what, "at": 200_000, "times": 99})
    done = run(share)
    kinds = done.kinds()
    assert kinds.pop("b.jpg") == "unreadable", done
    assert set(kinds.values()) == {"made"}
    assert done.code == 3


def test_short_reads_leave_no_wrong_entry(share: FolderShare) -> None:
    picture(share, "a")
    picture(share, "b")
    share.order(b={"do": "short", "at": 200_000, "times": 9999})
    done = run(share)
    assert done.kinds() == {"a.jpg": "made", "b.jpg": "unreadable"}
    assert "fewer bytes" in done.out
    assert done.code == 3
    assert entries(share) == 2


@pytest.mark.parametrize("what", ["grow", "shrink", "replace"])
def test_a_file_that_changes_while_it_is_read_ahead_is_read_again(
    share: FolderShare, what: str
) -> None:
    picture(share, "a")
    file = picture(share, "b")
    put(share.behind / "b.jpg.other", jpeg(640, 480))
    os.utime(file, ns=(1, 1_600_000_000_000_000_000))
    share.order(b={"do": what, "at": 200_000, "times": 1})
    done = run(share, "--include", "*.jpg")
    assert done.kinds()["a.jpg"] == "made"
    found = next(each for path, each in done.outcomes.items() if path.endswith(b"b.jpg"))
    if what == "shrink":  # what is left is half a picture
        assert found["kind"] in {"truncated", "invalid", "changed", "made"}
    else:
        assert found["kind"] == "made"
    if what == "replace":
        assert (found["width"], found["height"]) == (640, 480), "a mixed state"
    now = file.stat()
    if found["kind"] == "made":
        for flavor in ("normal", "large"):
            cache = share.point.parent / "cache"
            entry = foreign_entries.read(cache, flavor, share.point / "b.jpg")
            assert entry.text("Thumb::MTime") == str(int(now.st_mtime))
            assert entry.text("Thumb::Size") == str(now.st_size)


def test_a_file_that_changes_each_time_is_told(share: FolderShare) -> None:
    picture(share, "a")
    picture(share, "b")
    share.order(b={"do": "grow", "at": 200_000, "times": 9999})
    done = run(share)
    assert done.kinds() == {"a.jpg": "made", "b.jpg": "changed"}
    assert entries(share) == 2


def test_a_file_that_hangs_costs_its_time_out_and_nothing_else(share: FolderShare) -> None:
    for name in "abcdefgh":
        picture(share, name)
    share.order(b={"do": "hang", "at": 200_000, "times": 9999})
    begun_s = time.monotonic()
    done = run(share, "--read-timeout", "4")
    took_s = time.monotonic() - begun_s
    kinds = done.kinds()
    assert kinds.pop("b.jpg") == "unreadable", done
    assert SILENT_WORDS in done.out
    assert set(kinds.values()) == {"made"}
    assert done.code == 3
    assert took_s < 60


def test_a_share_that_stops_answering_holds_up_no_other(tmp_path: Path) -> None:
    dead, live = FolderShare(tmp_path / "dead"), FolderShare(tmp_path / "live")
    for number in range(24):
        for each in (dead, live):
            file = picture(each, f"{each.behind.parent.name}-{number:02}")
            # newest first: one of each in turn
            os.utime(file, ns=(1, (1_700_000_000 - number) * 1_000_000_000))
    for each in (dead, live):
        each.order(delay_s=0.02)
    cache = tmp_path / "cache"
    with ExitStack() as stack:
        first = stack.enter_context(mounted(dead))
        inside = first.inside
        stack.enter_context(StuckMount(live.point, server=live.server, within=first))
        running = stack.enter_context(
            Running(
                # when the only worker waits for the dead, another has to start, and not look there
                "run", "--json", "-v", "--workers", "1", "--order", "newest", "--read-timeout",
                "10", str(dead.point), str(live.point), cache=cache, prefix=inside,
            )
        )  # fmt: skip
        running.wait_for_records(
            lambda records: any("dead-" in str(each.get("path")) for each in records)
        )
        first.send(signal.SIGSTOP)
        stopped_s = time.monotonic()
        done = running.end()
        all_s = time.monotonic() - stopped_s
    told = [(path_of(each), each["kind"]) for each in done.records if each["type"] == "outcome"]
    in_vain = next(place for place, (_, kind) in enumerate(told) if kind == "unreadable")
    assert any(b"live-" in path for path, _ in told[:in_vain]), "they waited for the dead"
    kinds = done.kinds()
    assert {kind for name, kind in kinds.items() if "live" in name} == {"made"}
    assert {kind for name, kind in kinds.items() if "dead" in name} <= {"made", "unreadable"}
    assert "unreadable" in kinds.values()
    assert len(kinds) == 48
    assert done.code == 3
    assert all_s < 60


@pytest.mark.parametrize("verb", ["run", "share"])
def test_a_share_that_hangs_at_thumbnails_beside_pictures(
    share: FolderShare, tmp_path: Path, verb: str
) -> None:
    """They are looked at before anything is decoded: the share costs its time-out, and no more."""
    for name in ("a", "b", "c"):
        picture(share, name)
    assert run_pregen("share", share.behind).code == 0
    beside = sorted(share.behind.glob(".sh_thumbnails/*/*.png"))
    assert beside
    share.order(hang=[path.name for path in beside])
    local = tmp_path / "local"
    for number in range(4):
        put(local / f"local-{number}.jpg", content() + b"%d" % number)
    flags = ("--json", "-v", "--read-timeout", "2", *(("--use-shared",) if verb == "run" else ()))
    with mounted(share) as mount:
        done = run_pregen(
            verb, *flags, share.point, local, cache=tmp_path / "cache", prefix=mount.inside
        )
    kinds = done.kinds()
    assert {kinds.pop(f"{name}.jpg") for name in ("a", "b", "c")} == {"unreadable"}
    assert set(kinds.values()) == {"made"}
    assert len(kinds) == 4
    assert SILENT_WORDS in done.out
    assert done.code == 3
