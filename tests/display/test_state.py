"""The counters of a run."""

from __future__ import annotations

import threading

from pregen.model import FAILURES, Kind, Skip
from tests.support.running.pretend_runs import MS_NS, Story, outcome


def test_every_source_is_counted_once_under_its_kind() -> None:
    story = Story().jobs(outcome(), outcome(), outcome(Kind.TRUNCATED))
    story.skips(Skip(b"/a", Kind.FRESH), Skip(b"/b", Kind.FRESH), Skip(b"/c", Kind.SMALL))
    now = story.state.snapshot()
    assert now.kinds == {Kind.MADE: 2, Kind.TRUNCATED: 1, Kind.FRESH: 2, Kind.SMALL: 1}
    assert (now.found, now.jobs, now.jobs_done, now.failed) == (6, 3, 3, 1)


def test_what_was_read_written_and_decoded_is_added_up() -> None:
    refitted = outcome(Kind.REFITTED, width_px=4000, height_px=3000, entries_written=1)
    now = Story().jobs(outcome(), outcome(), refitted).state.snapshot()
    assert now.images == 3
    assert now.entries_written == 5
    assert now.bytes_read == 6_000_000
    assert now.bytes_written == 240_000
    assert now.pixels == 24_000_000, "nothing was decoded for the refitted one"
    assert now.stages.decode_ns == 20 * MS_NS


def test_an_interrupted_job_is_counted_and_not_done() -> None:
    now = Story().jobs(outcome(), outcome(Kind.INTERRUPTED)).state.snapshot()
    assert (now.jobs, now.jobs_done) == (2, 1)
    assert now.count(Kind.INTERRUPTED) == 1


def test_the_clock_runs_from_the_start() -> None:
    assert Story().after(12.5).state.snapshot().elapsed_s == 12.5


def test_the_walk_ends_once_it_is_told_to_have() -> None:
    story = Story()
    assert story.state.snapshot().walking
    assert not story.walked().state.snapshot().walking


def test_failures_are_grouped_by_kind_the_largest_group_first() -> None:
    story = Story().jobs(
        outcome(Kind.TIMED_OUT, b"/slow.jpg"),
        outcome(Kind.INVALID, b"/bad.jpg", message="no JPEG"),
        outcome(Kind.INVALID, b"/worse.jpg"),
    )
    invalid, timed_out = story.state.findings().failures
    assert (invalid.kind, invalid.number) == (Kind.INVALID, 2)
    assert invalid.first[0] == (b"/bad.jpg", "no JPEG")
    assert timed_out.first == ((b"/slow.jpg", ""),)


def test_a_folder_that_cannot_be_read_is_a_failure_too() -> None:
    story = Story().skips(Skip(b"/closed", Kind.UNREADABLE, "Permission denied"))
    assert story.state.snapshot().failed == 1
    assert story.state.findings().failures[0].first == ((b"/closed", "Permission denied"),)


def test_every_kind_that_fails_is_grouped() -> None:
    story = Story().jobs(*(outcome(kind) for kind in FAILURES))
    assert {group.kind for group in story.state.findings().failures} == FAILURES


def test_memory_does_not_grow_with_the_number_of_failures() -> None:
    story = Story().jobs(*(outcome(Kind.INVALID, b"/%d" % i) for i in range(5000)))
    (group,) = story.state.findings().failures
    assert group.number == 5000
    assert len(group.first) <= 50


def test_what_waits_for_an_extra_is_counted_by_extra_and_the_unsupported_by_mime() -> None:
    findings = (
        Story()
        .jobs(
            outcome(Kind.NEEDS_EXTRA, extra="raw"),
            outcome(Kind.NEEDS_EXTRA, extra="heic"),
            outcome(Kind.NEEDS_EXTRA, extra="heic"),
            outcome(Kind.UNSUPPORTED, mime="video/mp4"),
            outcome(Kind.UNSUPPORTED),
        )
        .state.findings()
    )
    assert list(findings.extras.items()) == [("heic", 2), ("raw", 1)]
    assert findings.unsupported == {"video/mp4": 1, "unknown": 1}


def test_the_slowest_are_kept_whenever_they_come() -> None:
    times = [5, 900, 3, 700, 1, 800, 2, 600, 4, 500, 6]
    jobs = (
        outcome(path=b"/%d" % time, stages=outcome().stages._replace(decode_ns=time * 10**9))
        for time in times
    )
    slowest = Story().jobs(*jobs).state.findings().slowest
    assert [slow.path for slow in slowest] == [b"/900", b"/800", b"/700", b"/600", b"/500"]


def test_the_same_warning_is_kept_once_and_many_are_counted() -> None:
    story = Story()
    story.state.warned("the journal is broken")
    story.state.warned("the journal is broken")
    assert story.state.findings().warning_count == 1
    for number in range(100):
        story.state.warned(f"warning {number}")
    findings = story.state.findings()
    assert findings.warning_count == 101
    assert len(findings.warnings) <= 20


def test_threads_lose_no_count() -> None:
    story = Story()
    skip = Skip(b"/a", Kind.FRESH)

    def count() -> None:
        for _ in range(2000):
            story.state.skipped(skip)
            story.state.finished(outcome())

    threads = [threading.Thread(target=count) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    now = story.state.snapshot()
    assert now.kinds == {Kind.FRESH: 8000, Kind.MADE: 8000}
    assert now.entries_written == 16_000
