"""Between the plan and the deleting the world goes on: what changed meanwhile stays."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from pregen.cache.opening import OpenPolicy
from pregen.cache.store import Cache
from pregen.originals.examiner import Examiner
from pregen.originals.mounts import Mount, Mounts, read_mounts
from pregen.verbs.clean.cleaner import Cleaner
from pregen.verbs.clean.selection import CleanReason, Kept, Selection
from tests.support.files.mixed_cache import Zoo
from tests.support.files.pictures import put
from tests.support.files.source_trees import MTIME_NS

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from pregen.verbs.clean.cleaner import CleanTally

NOW_NS = 2 * MTIME_NS


def now() -> Mounts:
    return read_mounts({"LIBMOUNT_FSTAB": "/dev/null"})


def opened(zoo: Zoo) -> Cache:
    return Cache(bytes(zoo.thumbnails), policy=OpenPolicy.WITHOUT_LINKS)


@pytest.fixture
def zoo(tmp_path: Path) -> Zoo:
    """One deleted original with one entry."""
    zoo = Zoo(tmp_path)
    zoo.photo("other.jpg")
    original = zoo.photo("deleted.jpg")
    zoo.entry("deleted", original)
    original.unlink()
    return zoo


def delete_after(
    zoo: Zoo,
    meanwhile: Callable[[], object],
    selection: Selection | None = None,
    mounts: Callable[[], Mounts] = now,
) -> CleanTally:
    """Plan, have something happen, delete."""
    with opened(zoo) as cache, Examiner(now()) as examiner:
        cleaner = Cleaner(cache, examiner, selection or Selection(missing=True), NOW_NS)
        plan = cleaner.plan()
        assert len(plan.doomed) == 1
        meanwhile()
        return cleaner.delete(plan, mounts)


def test_undisturbed_it_goes(zoo: Zoo) -> None:
    assert delete_after(zoo, lambda: None).entries == {CleanReason.MISSING: 1}
    assert zoo.gone() == {"deleted"}


def test_an_original_that_came_back_keeps_its_entry(zoo: Zoo) -> None:
    tally = delete_after(zoo, lambda: zoo.photo("deleted.jpg"))
    assert tally.entries == {Kept.CHANGED: 1}
    assert zoo.gone() == set()


def test_a_disk_that_went_away_keeps_its_entries(zoo: Zoo) -> None:
    declared = Mounts((Mount(b"/"),), (Mount(bytes(zoo.photos), "nfs", b"nas:/"),))
    tally = delete_after(zoo, lambda: None, mounts=lambda: declared)
    assert tally.entries == {Kept.CHANGED: 1}
    assert zoo.gone() == set()


def test_an_entry_that_was_replaced_stays(zoo: Zoo) -> None:
    (path,) = zoo.labels

    def replace() -> None:
        new = put(path.with_name("new"), path.read_bytes())
        os.utime(new, ns=(path.stat().st_atime_ns, path.stat().st_mtime_ns))
        new.replace(path)

    assert delete_after(zoo, replace).entries == {Kept.CHANGED: 1}
    assert zoo.gone() == set()


def test_an_entry_that_somebody_else_deleted_is_no_trouble(zoo: Zoo) -> None:
    (path,) = zoo.labels
    assert delete_after(zoo, path.unlink).entries == {Kept.CHANGED: 1}


@pytest.mark.parametrize("selection", [Selection(max_size_bytes=0), Selection(older_than_s=1)])
def test_an_entry_that_was_used_meanwhile_stays(tmp_path: Path, selection: Selection) -> None:
    zoo = Zoo(tmp_path)
    path = zoo.entry("web", "http://example.org/a.jpg", unused_days=9)

    def use() -> None:
        os.utime(path, ns=(NOW_NS, path.stat().st_mtime_ns))

    assert delete_after(zoo, use, selection).entries == {Kept.CHANGED: 1}
    assert zoo.gone() == set()


def test_two_names_of_one_file_go_both(zoo: Zoo) -> None:
    """Hard links: to remove one changes the other's ctime."""
    (path,) = zoo.labels
    twin = path.with_name(f"{'0' * 32}.png")
    twin.hardlink_to(path)
    with opened(zoo) as cache, Examiner(now()) as examiner:
        cleaner = Cleaner(cache, examiner, Selection(missing=True), NOW_NS)
        tally = cleaner.delete(cleaner.plan(), now)
    assert tally.entries == {CleanReason.MISSING: 2}
    assert not twin.exists()
