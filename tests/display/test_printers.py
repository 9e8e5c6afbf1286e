"""Each printer, told the same run."""

from __future__ import annotations

import io
import json
from typing import TYPE_CHECKING

import pytest
from rich.console import Console

from pregen.display.plain import PlainPrinter, QuietPrinter
from pregen.display.printer import Output
from pregen.display.records import JsonPrinter
from pregen.display.state import Rates
from pregen.display.tty import TtyPrinter
from pregen.errors import ExitCode
from pregen.model import Kind, Skip, WorkerView
from tests.support.judges.virtual_terminal import Vt
from tests.support.running.pretend_runs import Story, outcome

if TYPE_CHECKING:
    from pregen.display.printer import Printer

_RATES = Rates(312.4, 312.4, 980e6, 3650e6)


def _tell(printer: Printer, *, asked: bool = False) -> None:
    """Tell a run with one of each event, one failure and an end."""
    made, bad = outcome(), outcome(Kind.INVALID, b"/photos/bad\x1b[31m.jpg", message="no JPEG")
    fresh, closed = Skip(b"/photos/old.jpg", Kind.FRESH), Skip(b"/closed", Kind.UNREADABLE, "no")
    story = Story().jobs(made, bad).skips(fresh, closed).after(6)
    story.state.planned()
    story.walked()
    printer.start()
    printer.outcome(made)
    printer.outcome(bad)
    printer.outcome(fresh)
    printer.outcome(closed)
    printer.warning("journal: odd\x1b")
    printer.note("finishing 1 picture")
    worker = WorkerView(1, b"/photos/now.jpg", 0.1, 2)
    printer.tick(story.view(worker, rates=_RATES, eta_s=65.0), asked=asked)
    printer.finish(story.report(ExitCode.SOME_FAILED))


def _output() -> tuple[io.StringIO, Output]:
    stream = io.StringIO()
    return stream, Output(stream)


def test_plain_lines_hold_progress_notes_and_the_summary() -> None:
    stream, output = _output()
    _tell(PlainPrinter(output))
    note, progress, *_, done = stream.getvalue().splitlines()
    assert note == "finishing 1 picture"
    assert progress == (
        "2 / 3 (66%); 312 images/s, 980 MB/s read, 3,650 Mpx/s; 2 failed; about 1 min 05 s left"
    )
    assert done.startswith("Done in 6.0 s")
    assert "\x1b" not in stream.getvalue()
    assert "old.jpg" not in stream.getvalue()


def test_a_verbose_plain_run_has_a_line_for_each_source() -> None:
    stream, output = _output()
    _tell(PlainPrinter(output, verbose=True))
    lines = stream.getvalue().splitlines()
    assert lines[0] == "created            /photos/a.jpg (turbo, 4000x3000, 2 thumbnails, 0.02 s)"
    assert lines[1] == r"invalid            /photos/bad\x1b[31m.jpg: no JPEG"
    assert lines[2] == "up to date         /photos/old.jpg"
    assert lines[3] == "unreadable         /closed: no"
    assert lines[4] == r"warning: journal: odd\x1b"


def test_quiet_tells_what_failed_and_nothing_else() -> None:
    stream, output = _output()
    _tell(QuietPrinter(output))
    assert stream.getvalue() == (
        "Invalid (1): damaged, or not a picture\n"
        "  /photos/bad\\x1b[31m.jpg: no JPEG\n"
        "  -> copy again from the camera or a backup; changed files are retried\n"
        "\n"
        "Unreadable (1): could not be read\n"
        "  /closed: no\n"
        "  -> check the permissions and the disk, then run again\n"
    )


def test_quiet_is_silent_when_all_went_well() -> None:
    stream, output = _output()
    printer = QuietPrinter(output)
    printer.start()
    printer.outcome(outcome())
    printer.warning("odd")
    printer.finish(Story().jobs(outcome()).report())
    assert stream.getvalue() == ""


def test_quiet_answers_who_asks() -> None:
    stream, output = _output()
    _tell(QuietPrinter(output), asked=True)
    assert stream.getvalue().startswith("2 / 3 (66%); ")


@pytest.mark.parametrize("verbose", [False, True])
def test_json_holds_every_event_and_ends_with_the_summary(*, verbose: bool) -> None:
    stream, output = _output()
    people, stderr = _output()
    _tell(JsonPrinter(output, stderr, verbose=verbose))
    records = [json.loads(line) for line in stream.getvalue().splitlines()]
    fresh = ["fresh"] if verbose else []
    assert [record["kind"] for record in records if record["type"] == "outcome"] == [
        "made",
        "invalid",
        *fresh,
        "unreadable",
    ]
    assert [record["type"] for record in records[-3:]] == ["warning", "progress", "summary"]
    assert people.getvalue() == "finishing 1 picture\n"


def _terminal(columns: int = 80, *, colours: bool = True) -> tuple[Vt, Output, Console]:
    terminal = Vt(columns)
    console = Console(
        file=io.StringIO(),
        force_terminal=True,
        width=columns,
        height=24,
        color_system="standard" if colours else None,
        legacy_windows=False,
    )
    return terminal, Output(terminal), console  # type: ignore[arg-type] # write and flush do


def test_a_terminal_shows_the_run_and_keeps_the_summary() -> None:
    terminal, output, console = _terminal()
    printer = TtyPrinter(output, console, terminal.size)
    story = Story().jobs(*[outcome()] * 5).after(6)
    for _ in range(5):
        story.state.planned()
    story.walked()
    printer.start()
    view = story.view(WorkerView(1, b"/photos/[red]now.jpg", 0.1, 2), rates=_RATES, eta_s=65.0)
    printer.tick(view, asked=False)
    live = terminal.shown()
    assert "50%  5 / 10  1 min 05 s left" in live[0]
    assert "312 images/s" in live[1]
    assert live[-1] == "  1 /photos/[red]now.jpg"
    printer.note("finishing 1 picture")
    printer.tick(view, asked=False)
    assert terminal.shown() == ["finishing 1 picture", *live]
    printer.finish(story.report())
    first, *_, last = terminal.shown()
    assert first == "finishing 1 picture"
    assert last == "Done in 6.0 s: 0.8 images/s, 2.5 MB/s read, 10 Mpx/s."


def test_the_terminal_keeps_what_verbose_asked_for() -> None:
    terminal, output, console = _terminal()
    _tell(TtyPrinter(output, console, terminal.size, verbose=True))
    shown = terminal.shown()
    assert shown[0].startswith("created            /photos/a.jpg (turbo")
    assert shown[4] == r"warning: journal: odd\x1b"
    assert "━" not in "".join(shown)


def test_long_paths_stay_whole_in_the_summary_for_copying() -> None:
    terminal, output, console = _terminal(40)
    printer = TtyPrinter(output, console, terminal.size)
    path = b"/photos/" + b"x" * 100 + b".jpg"
    printer.finish(Story().jobs(outcome(Kind.INVALID, path)).report(ExitCode.SOME_FAILED))
    terminal.resize(500)
    assert "  " + path.decode() in terminal.shown()


def test_who_asks_on_a_terminal_gets_a_line_that_stays() -> None:
    terminal, output, console = _terminal()
    _tell(TtyPrinter(output, console, terminal.size), asked=True)
    assert terminal.shown()[1].startswith("2 / 3 (66%); 312 images/s")


def test_a_terminal_without_colours_gets_none() -> None:
    terminal, output, console = _terminal(colours=False)
    _tell(TtyPrinter(output, console, terminal.size))
    assert terminal.colours == set()


class _Closed(io.StringIO):
    def flush(self) -> None:
        raise BrokenPipeError


def test_output_that_went_away_is_told_once_and_never_raises() -> None:
    told: list[OSError] = []
    output = Output(_Closed(), told.append)
    for _ in range(3):
        output.write("x")
    assert [type(error) for error in told] == [BrokenPipeError]
