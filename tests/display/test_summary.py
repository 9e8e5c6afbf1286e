"""What a person is told at the end."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pregen.display.summary import (
    FAILURES_NAMED,
    Line,
    failure_lines,
    plain_text,
    summary,
    wrapped,
)
from pregen.display.text import cells, natural
from pregen.display.words import WORDS, Named, named_lines
from pregen.errors import ExitCode
from pregen.model import FAILURES, Kind, Outcome, Skip, Stages
from tests.support.running.pretend_runs import Story, outcome


def _text(story: Story, exit_code: ExitCode = ExitCode.DONE, error: str = "") -> str:
    return plain_text(summary(story.report(exit_code, error)))


def _broken(number: int, kind: Kind = Kind.INVALID) -> list[Outcome]:
    return [outcome(kind, b"/photos/%s-%d.jpg" % (kind.value.encode(), i)) for i in range(number)]


def test_a_run_without_trouble_is_told_in_a_few_lines() -> None:
    story = Story().jobs(*[outcome()] * 100).skips(*[Skip(b"/x", Kind.FRESH)] * 2000).walked()
    assert _text(story.after(10)) == (
        "    100  created     200 thumbnails, 12 MB written\n"
        "  2,000  up to date\n"
        "\n"
        "Done in 10 s: 10 images/s, 30 MB/s read, 120 Mpx/s.\n"
    )


def test_speeds_are_not_told_when_nothing_was_made() -> None:
    assert _text(Story().skips(Skip(b"/x", Kind.FRESH)).after(2)).endswith("Done in 2.0 s.\n")


def test_a_folder_without_files_says_so() -> None:
    assert "No pictures found" in _text(Story().walked())


def test_failures_are_named_with_reason_and_what_to_do() -> None:
    story = Story().jobs(
        outcome(),
        outcome(Kind.TRUNCATED, b"/photos/cut.jpg", message="12 of 300 rows"),
        outcome(Kind.TOO_LARGE, b"/photos/bomb.png"),
    )
    text = _text(story, ExitCode.SOME_FAILED)
    assert "2 files failed" in text
    assert "Truncated (1): the file ends too early\n  /photos/cut.jpg: 12 of 300 rows\n" in text
    assert "-> copy again from" in text
    assert "\n  /photos/bomb.png\n" in text
    assert "--max-pixels" in text


def test_a_folder_that_could_not_be_read_is_no_failed_file() -> None:
    """The journal has files only: so many as are told are listed by `pregen failures`."""
    story = Story().jobs(outcome(Kind.TRUNCATED, b"/photos/cut.jpg"))
    story.skips(Skip(b"/photos/closed", Kind.UNREADABLE, "Permission denied"))
    last = _text(story, ExitCode.SOME_FAILED).splitlines()[-1]
    assert last.endswith(". 1 unreadable: see above; 1 file failed: pregen failures")


def test_what_helps_several_kinds_is_said_once_with_their_names() -> None:
    story = Story().jobs(
        outcome(Kind.INVALID, b"/photos/noise.jpg"),
        outcome(Kind.TRUNCATED, b"/photos/cut.jpg"),
        outcome(Kind.UNREADABLE, b"/photos/closed.jpg"),
    )
    text = _text(story, ExitCode.SOME_FAILED)
    assert text.count("from the camera or a backup") == 1
    assert "/photos/noise.jpg\n\nTruncated" in text
    assert "/photos/cut.jpg\n  -> invalid, truncated: copy again from the camera" in text
    assert "/photos/closed.jpg\n  -> check the permissions" in text


def test_the_last_line_tells_how_it_ended_and_where_the_rest_is() -> None:
    story = Story().jobs(outcome(), *_broken(25), *_broken(3, Kind.TIMED_OUT))
    *_, last = _text(story, ExitCode.SOME_FAILED).splitlines()
    assert last.startswith("Done in")
    assert last.endswith("28 files failed: pregen failures")


@pytest.mark.parametrize("many", [6, 400])
def test_five_of_a_kind_are_named_with_the_number_of_the_rest(many: int) -> None:
    story = Story().jobs(*_broken(many), *_broken(3, Kind.TIMED_OUT))
    text = _text(story, ExitCode.SOME_FAILED)
    assert text.count("    invalid-") == FAILURES_NAMED
    assert text.count("    timed-out-") == 3
    assert text.count("  /photos/\n") == 2, "the folder is named once for each kind"
    assert f"... and {many - FAILURES_NAMED} more" in text


def test_failures_stand_in_the_order_in_which_people_count() -> None:
    names = [b"/photos/t10.jpg", b"/photos/t9.jpg", b"/photos/more/t1.jpg", b"/photos/t.jpg"]
    story = Story().jobs(*(outcome(Kind.INVALID, name) for name in names))
    lines = _text(story, ExitCode.SOME_FAILED).splitlines()
    assert lines[1:6] == [
        "  /photos/",
        "    t9.jpg",
        "    t10.jpg",
        "    t.jpg",
        "  /photos/more/t1.jpg",
    ]


def test_a_reason_that_several_share_is_named_once() -> None:
    files = [
        Named(b"/a/1", "empty"),
        Named(b"/a/2", "empty", "noon  "),
        Named(b"/b/3", "empty"),
        Named(b"/b/4", "cut"),
        Named(b"/b/5", "torn"),
        Named(b"/c/6", ""),
    ]
    assert list(named_lines(files)) == [
        "  empty:",
        "    /a/",
        "      1",
        "      noon  2",
        "    /b/3",
        "  /b/",
        "    4: cut",
        "    5: torn",
        "  /c/6",
    ]


@given(st.text("ab 9\u4e2d/", max_size=300), st.integers(0, 8), st.integers(10, 60))
def test_lines_are_broken_between_words_and_lose_none(said: str, indent: int, width: int) -> None:
    line = Line(" " * indent + said.strip())
    parts = [each.text for each in wrapped([line], width)]
    assert " ".join(parts).split() == line.text.split()
    for part in parts:
        assert cells(part) <= width or " " not in part.strip()
    assert all(part.startswith(" " * (indent + 2)) for part in parts[1:])


@given(st.binary(max_size=40), st.binary(max_size=40))
def test_names_have_one_order(one: bytes, other: bytes) -> None:
    assert (natural(one) < natural(other)) + (natural(other) < natural(one)) <= 1
    assert natural(b"t9") < natural(b"t10")


def test_every_kind_of_failure_has_words_and_a_next_step() -> None:
    for kind in FAILURES:
        assert WORDS[kind].meaning
        assert WORDS[kind].todo
    assert set(WORDS) == set(Kind)


def test_sources_that_wait_for_an_extra_are_counted_by_it() -> None:
    story = Story().jobs(
        *[outcome(Kind.NEEDS_EXTRA, extra="raw")] * 1500, outcome(Kind.NEEDS_EXTRA, extra="heic")
    )
    text = _text(story)
    assert "Needs an extra: 1,500 raw, 1 heic\n  install with: pip install " in text
    assert "'pregen[heic,raw]'" in text
    assert "run again" in text


def test_unsupported_files_are_told_by_mime() -> None:
    story = Story().jobs(*[outcome(Kind.UNSUPPORTED, mime="video/mp2t")] * 3)
    assert "Unsupported: 3 video/mp2t\n  -v gives the reason" in _text(story)


def test_the_slowest_are_named_only_when_they_stand_out() -> None:
    even = Story().jobs(*[outcome(stages=Stages(decode_ns=2 * 10**9))] * 20)
    assert "Slowest" not in _text(even)
    odd = outcome(path=b"/photos/panorama.tif", stages=Stages(decode_ns=9 * 10**9))
    text = _text(Story().jobs(*[outcome()] * 20, odd))
    assert "Slowest\n  9.0 s  /photos/panorama.tif  12 Mpx, 3.0 MB\n" in text


def test_warnings_are_repeated_at_the_end() -> None:
    story = Story().jobs(outcome())
    story.state.warned("the journal cannot be written")
    assert "Warnings\n  the journal cannot be written\n" in _text(story)


@pytest.mark.parametrize("code", [ExitCode.INTERRUPTED, ExitCode.TERMINATED])
def test_a_stopped_run_says_how_to_go_on(code: ExitCode) -> None:
    text = _text(Story().jobs(outcome()).after(3), code)
    assert text.splitlines()[-1].startswith(
        "Stopped after 3.0 s. Run the same command to continue."
    )


def test_a_run_that_broke_off_does_not_say_done() -> None:
    text = _text(Story().jobs(outcome()).after(3), ExitCode.CACHE, "the disk is full")
    assert text.splitlines()[-1].startswith("Ended early, after 3.0 s.")


def test_a_run_that_never_began_has_no_summary() -> None:
    assert summary(Story().report(ExitCode.LOCKED, "another run")) == []


def test_hostile_names_and_messages_cannot_drive_the_terminal() -> None:
    story = Story().jobs(
        outcome(Kind.INVALID, b"/\x1b[2J\n\xff\xe2\x80\xae.jpg", message="bad\x1b]0;x\x07"),
        outcome(Kind.UNSUPPORTED, mime="a\x1b[0m/b"),
    )
    story.state.warned("odd\x1b[31m")
    text = _text(story, ExitCode.SOME_FAILED)
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e]", text)
    assert r"/\x1b[2J\n\xff\u202e.jpg: bad\x1b]0;x\x07" in text


def test_quiet_shows_the_failures_and_nothing_else() -> None:
    story = Story().jobs(outcome(), *_broken(1))
    lines = plain_text(failure_lines(story.report(ExitCode.SOME_FAILED)))
    assert lines.startswith("Invalid (1)")
    assert "made" not in lines


def test_what_was_not_begun_is_counted_although_it_has_no_outcome() -> None:
    story = Story().jobs(outcome(), outcome(Kind.INTERRUPTED))
    for _ in range(1000):
        story.state.planned()
    assert "\n  1,001  not started  when the run ended\n" in _text(story, ExitCode.INTERRUPTED)


def test_what_rules_left_out_is_told() -> None:
    story = Story().jobs(outcome())
    story.state.passed_over(12)
    assert "12  ignored  hidden, excluded, or not a picture by name" in _text(story)


def test_a_run_without_the_fast_decoder_names_the_command_that_brings_it() -> None:
    report = Story().jobs(outcome()).report()._replace(compile="pipx reinstall pregen")
    text = plain_text(summary(report))
    assert "pregen's own JPEG decoder was not compiled" in text
    assert "\n    pipx reinstall pregen\n" in text
