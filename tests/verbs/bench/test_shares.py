"""`pregen bench` over a share: what it reads, and what it says of a run over all of it."""

from __future__ import annotations

import threading
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest

from benchmarks.shares.share import Share, Speed
from pregen.errors import UsageError
from pregen.model import Source
from pregen.verbs.bench import result, shares
from pregen.verbs.bench.sample import Totals, stratum_of
from pregen.verbs.bench.shares import DrawnShare, ShareReading, deal, measure_share, prediction
from tests.support.files.pictures import jpeg, put
from tests.support.running.capabilities import Capability, needs
from tests.support.running.program import run_pregen

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

MB = 10**6


def sources(count: int, size_bytes: int = MB) -> tuple[Source, ...]:
    return tuple(Source(b"/nas/%04d.jpg" % n, size_bytes, 0, 7) for n in range(count))


def drawn(those: tuple[Source, ...], times: int = 1) -> DrawnShare:
    library = Counter(stratum_of(each) for each in those)
    totals = {
        stratum: Totals(times * count, times * count * MB) for stratum, count in library.items()
    }
    return DrawnShare(b"/nas", "sshfs", those, totals)


def nothing() -> None:
    """Nobody stops."""


@pytest.mark.parametrize("count", [0, 1, 5, 16, 200])
def test_no_file_is_dealt_twice_and_all_are(count: int) -> None:
    dealt = deal(sources(count))
    files = [source for hand in dealt.values() for source in hand]
    assert sorted(files) == sorted(sources(count))
    assert len(set(files)) == count


def test_more_readers_get_more_files_and_each_hand_gets_large_and_small_ones() -> None:
    mixed = (*sources(160), *(Source(b"/nas/big%d.jpg" % n, 90 * MB, 0, 7) for n in range(160)))
    dealt = deal(mixed)
    assert [len(dealt[count]) for count in (1, 2, 4, 8)] == [20, 40, 80, 160]
    for hand in dealt.values():
        big = sum(source.size_bytes > MB for source in hand)
        assert big * 2 == len(hand)


def test_what_a_run_would_take_goes_by_the_fastest_readers_and_by_the_workers() -> None:
    those = sources(10)
    steps = (
        result.ShareStep(1, 5, 5 * MB, 5.0, MB),
        result.ShareStep(4, 5, 5 * MB, 2.5, 2 * MB),
        result.ShareStep(8, 5, 5 * MB, 3.0, MB),
    )
    spent = {4: {each.path: 2.0 for each in those[5:]}}
    reading = ShareReading(drawn(those, times=100), 0.02, steps, spent)
    found = prediction(reading, {each.path: 0.5 for each in those}, workers=2)
    assert (found.sources, found.library_bytes) == (1000, 1000 * MB)
    assert found.readers == 4
    assert found.link.total == pytest.approx(1000 * 2.0 / 4)
    assert found.processors.total == pytest.approx(1000 * 0.5 / 2)
    assert found.link.plus_minus == 0


def test_a_share_of_which_nothing_could_be_read_promises_nothing() -> None:
    found = prediction(ShareReading(drawn(sources(3)), None, (), {}), {}, workers=2)
    assert (found.readers, found.link.total) == (0, 0.0)


def test_files_that_cannot_be_read_are_left_out(tmp_path: Path) -> None:
    there = put(tmp_path / "a.jpg", b"x" * 100)
    those = (Source(bytes(there), 100, 0, 7), Source(bytes(tmp_path / "gone.jpg"), 100, 0, 7))
    reading = measure_share(drawn(those), nothing, lambda _: None)
    assert reading.opening_s is None or not reading.steps
    assert sum(step.files for step in reading.steps) + (reading.opening_s is not None) == 1


def test_reading_is_bounded_in_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shares, "_STEP_BYTES", 1000)
    paths = [put(tmp_path / f"{n:03}.jpg", b"x" * 400) for n in range(160)]
    those = tuple(Source(bytes(path), 400, 0, 7) for path in paths)
    reading = measure_share(drawn(those), nothing, lambda _: None)
    by_readers = {step.readers: step for step in reading.steps}
    # a step begins no file once it has read enough: so many more as there are readers
    assert by_readers[1].size_bytes == 1200
    assert all(step.size_bytes <= 1000 + 400 * step.readers for step in reading.steps)


def test_a_share_that_does_not_answer_ends_the_bench(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shares, "_ANSWER_S", 0.1)
    answered = threading.Event()

    def waits(_source: Source) -> int:
        answered.wait(60)
        return 0

    monkeypatch.setattr(shares, "_first_byte", waits)
    try:
        with pytest.raises(UsageError, match="/nas does not answer"):
            measure_share(drawn(sources(20)), nothing, lambda _: None)
    finally:
        answered.set()


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, dict[str, Any]]]:
    """One bench over a real share; yields its mount point, and what it wrote."""
    base = tmp_path_factory.mktemp("bench")
    for number in range(34):
        put(base / "served" / f"{number:02}.jpg", jpeg(300, 200, number))
    point = base / "point"
    point.mkdir()
    with Share(base / "served") as share:
        share.slow(Speed(rtt_ms=4, rate_mb_s=20))
        with share.mounted(point):
            done = run_pregen("bench", "--json", "--workers", "2", point, cache=base / "cache")
            yield point, done.records[0]


@needs(Capability.SSHFS)
@pytest.mark.slow
@pytest.mark.xdist_group("timing")
def test_a_real_share_is_measured(served: tuple[Path, dict[str, Any]]) -> None:
    point, record = served
    (share,) = record["shares"]
    assert (share["path"], share["kind"]) == (str(point), "sshfs")
    assert share["sources"] == 34
    assert share["library_bytes"] == record["library"]["bytes"]
    assert [step["readers"] for step in share["steps"]] == [1, 2, 4, 8]
    assert sum(step["files"] for step in share["steps"]) <= 34
    assert all(step["bytes_per_s"] > 0 for step in share["steps"])
    # never faster than the link lets: one round trip at least, 20 MB/s at most
    assert share["opening_s"] > 0.004
    assert all(step["bytes_per_s"] < 20e6 for step in share["steps"])
    assert share["link"]["total"] > share["library_bytes"] / 20e6
    assert share["processors"]["total"] > 0


def test_local_files_are_no_share_unless_asked_for(tmp_path: Path) -> None:
    for number in range(4):
        put(tmp_path / "photos" / f"{number}.jpg", jpeg(300, 200, number))
    arguments = ("bench", "--workers", "1", tmp_path / "photos")
    assert "The share " not in run_pregen(*arguments, cache=tmp_path / "cache").out
    done = run_pregen(*arguments, "--share", cache=tmp_path / "cache")
    lines = done.out.splitlines()
    title = next(line for line in lines if line.startswith("The share "))
    assert title.endswith(": 4 files, " + title.rpartition(", ")[2])
    assert any("For all files the link needs" in line for line in lines)
