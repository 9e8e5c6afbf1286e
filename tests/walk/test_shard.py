"""Shares of a tree: disjoint, together everything, and steady."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pregen.config import Shard, WalkConfig
from pregen.model import Kind, Skip, Source
from pregen.walk import of_shard, shard_of, walk
from tests.support.files.pictures import jpeg, put
from tests.support.running.program import run_pregen

if TYPE_CHECKING:
    from pathlib import Path

PATHS = st.lists(st.binary(min_size=1, max_size=40), unique=True, max_size=60)


@given(PATHS, st.integers(1, 9))
def test_every_source_belongs_to_one_share(paths: list[bytes], count: int) -> None:
    sources = [Source(path, 1, 1) for path in paths]
    shares = [list(of_shard(sources, Shard(n, count))) for n in range(1, count + 1)]
    assert sorted(each.path for share in shares for each in share) == sorted(paths)


def test_a_share_is_the_same_on_every_machine_and_with_every_version() -> None:
    # If this fails, two versions of pregen on two machines leave sources out.
    assert [shard_of(b"/photos/%d.jpg" % n, 3) for n in range(8)] == EXPECTED


EXPECTED = [1, 2, 1, 1, 2, 2, 2, 3]


def test_shares_are_of_like_size(tmp_path: Path) -> None:
    for number in range(600):
        (tmp_path / f"{number}.jpg").touch()
    roots = (os.fsencode(tmp_path),)
    sizes = [len(list(walk(WalkConfig(roots=roots, shard=Shard(n, 3))))) for n in (1, 2, 3)]
    assert sum(sizes) == 600
    assert min(sizes) > 150


def test_what_cannot_be_read_is_told_by_one_machine() -> None:
    skips = [Skip(b"/closed", Kind.UNREADABLE)]
    assert sum(len(list(of_shard(skips, Shard(n, 4)))) for n in (1, 2, 3, 4)) == 1


def test_three_runs_fill_the_cache_together(tmp_path: Path) -> None:
    for number in range(12):
        put(tmp_path / "photos" / f"{number}.jpg", jpeg(200, 150, seed=number))
    seen: list[bytes] = []
    for share in ("1/3", "2/3", "3/3"):
        done = run_pregen(
            "run", tmp_path / "photos", "--json", "--shard", share, cache=tmp_path / "cache"
        )
        assert done.code == 0, done
        seen += done.outcomes
    assert len(seen) == len(set(seen)) == 12
    assert len(list((tmp_path / "cache" / "thumbnails" / "large").glob("*.png"))) == 12


@pytest.mark.parametrize("text", ["0/3", "4/3", "3", "a/b", "1/0", "-1/2", ""])
def test_a_share_that_makes_no_sense_is_refused(tmp_path: Path, text: str) -> None:
    done = run_pregen("run", tmp_path, f"--shard={text}", cache=tmp_path / "cache")
    assert done.code == 2
    assert "1/3" in done.err
