"""Newest and oldest first, with most of the sources on disk."""

from __future__ import annotations

import os
import subprocess
import sys
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pregen import walk as module
from pregen.config import Order
from pregen.errors import PregenError
from pregen.model import Kind, Skip, Source
from pregen.walk import in_order

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parents[2]
#: Before 1970, and beyond what 64 bits hold (ext4 and XFS keep such times).
_times = st.integers(-(10**18), 2 * 10**19)
_sources = st.builds(
    Source,
    path=st.binary(min_size=1, max_size=6),
    size_bytes=st.integers(0, 2**63),
    mtime_ns=_times,
    device=st.integers(0, 2**64),
)


def open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


@pytest.fixture
def small_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "RUN_SOURCES", 4)
    monkeypatch.setattr(module, "BLOCK_SOURCES", 2)


@pytest.mark.usefixtures("small_runs")
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(sources=st.lists(_sources, max_size=30))
def test_sources_come_by_time_and_then_by_path(tmp_path: Path, sources: list[Source]) -> None:
    spool = os.fsencode(tmp_path)
    oldest = sorted(sources, key=lambda s: (s.mtime_ns, s.path, s[1], *s[3:]))
    newest = sorted(sources, key=lambda s: (-s.mtime_ns, s.path, s[1], *s[3:]))
    assert list(in_order(sources, Order.OLDEST, spool)) == oldest
    assert list(in_order(sources, Order.NEWEST, spool)) == newest
    assert list(tmp_path.iterdir()) == []


@pytest.mark.usefixtures("small_runs")
def test_skips_are_not_held_back(tmp_path: Path) -> None:
    skip = Skip(b"/gone", Kind.VANISHED)
    left = [Source(b"/%d" % n, n, n) for n in range(10)]

    def items() -> Iterator[Source | Skip]:
        yield left[0]
        yield skip
        yield from left[1:]

    ordered = in_order(items(), Order.NEWEST, os.fsencode(tmp_path))
    assert next(ordered) == skip
    assert list(ordered) == left[::-1]


def test_few_sources_need_no_disk(tmp_path: Path) -> None:
    sources = [Source(b"/%d" % n, n, n) for n in range(10)]
    absent = os.fsencode(tmp_path / "absent")
    assert list(in_order(sources, Order.NEWEST, absent)) == sources[::-1]
    assert not os.path.lexists(absent)


@pytest.mark.usefixtures("small_runs")
def test_a_place_that_cannot_be_made_ends_the_run_with_advice(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    sources = [Source(b"/%d" % n, n, n) for n in range(10)]
    with pytest.raises(PregenError, match="--order walk"):
        list(in_order(sources, Order.NEWEST, os.fsencode(tmp_path / "file")))


@pytest.mark.usefixtures("small_runs")
def test_the_file_is_closed_when_the_consumer_stops_early(tmp_path: Path) -> None:
    sources = [Source(b"/%d" % n, n, n) for n in range(100)]
    before = open_files()
    ordered = in_order(sources, Order.OLDEST, os.fsencode(tmp_path))
    assert list(islice(ordered, 5)) == sources[:5]
    assert open_files() == before + 1
    ordered.close()  # type: ignore[attr-defined]  # a generator, promised as an iterator only
    assert open_files() == before


def test_a_full_disk_ends_the_run_with_advice(tmp_path: Path) -> None:
    program = """
import os, resource, sys
from pregen.config import Order
from pregen.errors import PregenError
from pregen.model import Source
from pregen.walk import in_order
free = resource.getrlimit(resource.RLIMIT_FSIZE)
resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, free[1]))
sources = (Source(b"/%d" % n, n, n) for n in range(60_000))
try:
    list(in_order(sources, Order.NEWEST, os.fsencode(sys.argv[1])))
except PregenError as error:
    assert "--order walk" in str(error)
    assert os.listdir(sys.argv[1]) == []
else:
    sys.exit("not noticed")
resource.setrlimit(resource.RLIMIT_FSIZE, free)
"""
    command = [sys.executable, "-c", program, str(tmp_path)]
    subprocess.run(command, check=True, cwd=ROOT, timeout=60)


def test_many_sources_stay_in_little_memory(tmp_path: Path) -> None:
    program = """
import os, resource, sys
from pregen.config import Order
from pregen.model import Source
from pregen.walk import in_order
def peak_mb():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
path = b"/home/someone/Pictures/2024/2024-%04d holidays/IMG_%05d.JPG"
count = 300_000
sources = (Source(path % (n // 1000, n), n, n * 7919 % 10**9) for n in range(count))
before = peak_mb()
last = -1
for source in in_order(sources, Order.OLDEST, os.fsencode(sys.argv[1])):
    assert source.mtime_ns >= last
    last = source.mtime_ns
    count -= 1
assert count == 0
print(peak_mb() - before)
"""
    command = [sys.executable, "-c", program, str(tmp_path)]
    done = subprocess.run(command, check=True, cwd=ROOT, timeout=100, capture_output=True)
    # Held in a list they would take 70 MB.
    assert float(done.stdout) < 30
