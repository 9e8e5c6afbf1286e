"""Looking through helper processes: what is said is what the kernel says, and nobody is lost."""

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING

import psutil
import pytest

from pregen.originals.examiner import Examiner
from pregen.originals.helper import ELSEWHERE, MISSING, Looker
from pregen.originals.mounts import Mount, Mounts, read_mounts
from pregen.originals.status import LookOutcome

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.usefixtures("no_leaks")

TABLE = Mounts((Mount(b"/"),))


@pytest.fixture
def examiner() -> Iterator[Examiner]:
    with Examiner(read_mounts(os.environ)) as examiner:
        yield examiner


def put(path: Path, size_bytes: int = 3) -> bytes:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(bytes(size_bytes))
    return bytes(path)


def test_what_is_there_is_found_with_its_facts(tmp_path: Path, examiner: Examiner) -> None:
    paths = [put(tmp_path / f"{number % 7}" / f"{number}.jpg", number) for number in range(2000)]
    strange = put(tmp_path / os.fsdecode(b"\xff\n\x1b ;.jpg"), 9)
    (tmp_path / "link.jpg").symlink_to("0/0.jpg")
    (tmp_path / "folder").symlink_to(tmp_path / "1")
    linked = [bytes(tmp_path / "link.jpg"), bytes(tmp_path / "folder/../1/1.jpg")]
    found = examiner.look([*paths, strange, linked[0], bytes(tmp_path / "folder" / "1.jpg")])
    for path, status in found.items():
        facts = os.stat(path)
        assert (status.outcome, status.size_bytes, status.mtime_ns) == (
            LookOutcome.FOUND,
            facts.st_size,
            facts.st_mtime_ns,
        )
    assert len(found) == 2003


def test_what_is_missing_is_told_with_where_it_would_be(tmp_path: Path, examiner: Examiner) -> None:
    (tmp_path / "empty").mkdir()
    file = put(tmp_path / "file")
    (tmp_path / "dangling").symlink_to(tmp_path / "empty" / "deep" / "x")
    cases = {
        bytes(tmp_path / "none.jpg"): (tmp_path / "none.jpg", tmp_path, False),
        bytes(tmp_path / "empty/a.jpg"): (tmp_path / "empty/a.jpg", tmp_path / "empty", True),
        bytes(tmp_path / "no/b/c.jpg"): (tmp_path / "no/b/c.jpg", tmp_path, False),
        file + b"/a.jpg": (tmp_path / "file/a.jpg", tmp_path / "file", False),
        bytes(tmp_path / "dangling/a.jpg"): (
            tmp_path / "empty/deep/x/a.jpg",
            tmp_path / "empty",
            True,
        ),
    }
    found = examiner.look(list(cases))
    for path, (real, folder, empty) in cases.items():
        status = found[path]
        assert status.outcome is LookOutcome.MISSING
        assert (status.real, status.folder) == (bytes(real), bytes(folder))
        assert status.folder_empty is empty
        if folder.is_dir():
            assert status.folder_changed_ns == folder.stat().st_ctime_ns


def test_a_loop_of_links_cannot_be_examined(tmp_path: Path, examiner: Examiner) -> None:
    (tmp_path / "a").symlink_to("b")
    (tmp_path / "b").symlink_to("a")
    for path in (bytes(tmp_path / "a"), bytes(tmp_path / "a" / "x.jpg")):
        status = examiner.look([path])[path]
        assert (status.outcome, status.errno) == (LookOutcome.FAILED, errno.ELOOP)


def test_a_name_too_long_is_not_gone(tmp_path: Path, examiner: Examiner) -> None:
    path = bytes(tmp_path) + b"/" + b"x" * 300
    assert examiner.look([path])[path].outcome is LookOutcome.FAILED


def test_folders_are_looked_at_anew_each_time(tmp_path: Path, examiner: Examiner) -> None:
    path = bytes(tmp_path / "new" / "a.jpg")
    assert examiner.look([path])[path].outcome is LookOutcome.MISSING
    put(tmp_path / "new" / "a.jpg")
    assert examiner.look([path])[path].outcome is LookOutcome.FOUND


def test_a_helper_does_not_leave_its_mount(tmp_path: Path) -> None:
    """The table says that `other` is a mount point: whether it hangs, nobody may find out."""
    other, own = tmp_path / "other", tmp_path / "own"
    put(other / "a.jpg")
    put(own / "a.jpg")
    (own / "link").symlink_to(other)
    (own / "file.jpg").symlink_to("../other/a.jpg")
    looker = Looker(bytes(own), frozenset({b"/", bytes(own), bytes(other)}))
    for name in ("link/a.jpg", "file.jpg"):
        answer = looker.look(bytes(own / name))
        assert answer.kind == ELSEWHERE
        assert os.path.normpath(answer.path) == bytes(other / "a.jpg")
    assert looker.look(bytes(own / "link/../none.jpg")).kind in {MISSING, ELSEWHERE}


def test_links_between_mounts_are_followed_by_the_other_helper(tmp_path: Path) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    put(two / "a.jpg", 7)
    one.mkdir()
    (one / "link").symlink_to(two)
    (two / "back").symlink_to(one)
    table = Mounts((Mount(b"/"), Mount(bytes(one)), Mount(bytes(two), "nfs", b"nas:/")))
    with Examiner(table) as examiner:
        path = bytes(one / "link" / "back" / "link" / "a.jpg")
        status = examiner.look([path])[path]
    assert (status.outcome, status.size_bytes) == (LookOutcome.FOUND, 7)
    assert status.real == bytes(two / "a.jpg")


def test_autofs_triggers_are_not_pulled(tmp_path: Path) -> None:
    path = put(tmp_path / "auto" / "a.jpg")
    (tmp_path / "link").symlink_to(tmp_path / "auto")
    table = Mounts((Mount(b"/"), Mount(bytes(tmp_path / "auto"), "autofs")))
    linked = bytes(tmp_path / "link" / "a.jpg")
    with Examiner(table) as examiner:
        found = examiner.look([path, linked])
    assert {status.outcome for status in found.values()} == {LookOutcome.UNTOUCHED}


def test_a_helper_that_dies_makes_nothing_gone(tmp_path: Path, examiner: Examiner) -> None:
    path = bytes(tmp_path / "none.jpg")
    assert examiner.look([path])[path].outcome is LookOutcome.MISSING
    for child in psutil.Process().children():
        if any("originals/helper.py" in part for part in child.cmdline()):
            child.kill()
    assert examiner.look([path])[path].outcome is LookOutcome.TIMED_OUT
