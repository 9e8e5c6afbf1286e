"""Folders that are settled before their files are looked at: when they are, and what is left."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import pytest

from pregen.config import Order, Shard, WalkConfig
from pregen.model import Kind, Skip, Source
from pregen.walk import WalkCounts, walk
from pregen.walk.unchanged import Settled

if TYPE_CHECKING:
    from pathlib import Path


class Knowing:
    """Settles every file called `known`."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.counted = 0

    def settle(self, folder: bytes, device: int) -> Settled | None:
        assert device == os.stat(folder).st_dev
        self.asked.append(os.fsdecode(os.path.basename(folder)))
        names = set(os.listdir(folder))
        if b"known" not in names:
            return None
        return Settled(1, list(names - {b"known"}))

    def count(self, fresh: int) -> None:
        self.counted += fresh


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    for name in ("known", "new", "note.txt", "below/known", "unknown/new", ".hidden"):
        path = tmp_path / "tree" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"")
    return tmp_path / "tree"


def found(tree: Path, settler: Knowing, counts: WalkCounts | None = None, **rules: Any) -> set[str]:
    config = WalkConfig(roots=(os.fsencode(tree),), **rules)
    items = list(walk(config, settler=settler, counts=counts))
    assert all(isinstance(item, Source) for item in items)
    return {os.path.relpath(os.fsdecode(item.path), tree) for item in items}


def test_what_is_settled_is_counted_and_not_found(tree: Path) -> None:
    settler, counts = Knowing(), WalkCounts()
    assert found(tree, settler, counts) == {"new", "unknown/new"}
    assert settler.asked == ["tree", "below", "unknown"]
    assert settler.counted == 2
    assert (counts.folders, counts.passed_over) == (3, 2)


@pytest.mark.parametrize(
    "rules",
    [
        {"order": Order.NEWEST},
        {"shard": Shard(1, 1)},
        {"exclude": (b"*.raw",)},
        {"include": (b"*",)},
        {"links": False},
    ],
)
def test_where_a_rule_is_about_files_nothing_is_settled(tree: Path, rules: dict[str, Any]) -> None:
    settler = Knowing()
    assert found(tree, settler, **rules) == {"known", "new", "below/known", "unknown/new"}
    assert settler.asked == []


def test_a_folder_that_asks_media_programs_out_is_not_settled(tree: Path) -> None:
    (tree / "below" / ".nomedia").write_bytes(b"")
    settler = Knowing()
    items = list(walk(WalkConfig(roots=(os.fsencode(tree),)), settler=settler))
    below = os.fsencode(tree / "below")
    assert Skip(below, Kind.EXCLUDED, "holds a .nomedia file") in items
    assert settler.counted == 1


def test_a_file_that_is_named_too_is_not_settled(tree: Path) -> None:
    settler = Knowing()
    config = WalkConfig(roots=(os.fsencode(tree), os.fsencode(tree / "known")))
    items = list(walk(config, settler=settler))
    assert sum(item.path.endswith(b"tree/known") for item in items) == 1
    assert settler.asked == []
