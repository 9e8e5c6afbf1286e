"""The live display of a terminal: a bar, rates, counts and workers, redrawn as time passes.

It stands below everything else and is gone when the run ends; only the summary stays.

Lines that stay (`-v`, notes) are collected and written above the display with the next frame.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING, NamedTuple

from rich.text import Text

from pregen.display.plain import wrote_results
from pregen.display.printer import Printer
from pregen.display.screen import ASCII, UNICODE, LoadMeter, screen
from pregen.display.summary import Style, headline, summary, warning_lines, wrapped
from pregen.display.text import folded, printable
from pregen.display.words import outcome_line, status_line
from pregen.model import Skip

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from rich.console import Console

    from pregen.display.printer import Output, RunReport, View
    from pregen.model import Outcome


#: Smooth to the eye; a frame takes about a millisecond.
INTERVAL_S = 0.125
#: A ticker this late was stopped, by Ctrl-Z or by the machine's sleep.
_SUSPENDED_S = 3.0
#: Of a terminal that does not know its size.
_USUAL_SIZE = (80, 24)

_COLOURS = {
    Style.HEAD: "bold",
    Style.PLAIN: "",
    Style.DIM: "dim",
    Style.GOOD: "green",
    Style.WARN: "yellow",
    Style.BAD: "bold red",
}

_ERASE_LINE_REST = "\x1b[K"
_ERASE_BELOW = "\x1b[J"
#: A name whose width we misjudge must not wrap and push the frame apart.
_NO_WRAP, _WRAP = "\x1b[?7l", "\x1b[?7h"
#: Terminals that know it paint the frame at once; others ignore it (synchronized output, 2026).
_BEGIN, _END = "\x1b[?2026h", "\x1b[?2026l"


class FrameLine(NamedTuple):
    """One line: with its escapes, and how many columns it takes."""

    ansi: str
    width: int


class Frame:
    """Draws, redraws and removes a few lines. The cursor rests at the end of the last one.

    It stays visible: a run that is suspended or killed could not bring it back.

    rich.live counts lines as they were when drawn; when the window gets narrower the terminal wraps
    them, and what was counted too little stays behind as rubbish. Here lines are counted as they
    are now. A frame goes out in one write, over the old one and without erasing it: no flicker.
    """

    def __init__(self, output: Output, columns: Callable[[], int]) -> None:
        self._output = output
        self._columns = columns
        self._drawn: list[int] = []

    def draw(self, lines: Sequence[FrameLine], above: str = "") -> None:
        """Put `lines` where the last frame was, and `above`, whole lines that stay, over them."""
        body = "\r\n".join(f"{line.ansi}{_ERASE_LINE_REST}" for line in lines)
        start = f"{self._erase()}{above}" if above else self._home()
        text = f"{_BEGIN}{start}{_NO_WRAP}{body}{_ERASE_BELOW}{_WRAP}{_END}"
        self._output.write(text)
        self._drawn = [line.width for line in lines]

    def clear(self, above: str = "") -> None:
        """Remove the frame; leave `above`, whole lines, in its place and the cursor below."""
        self._output.write(f"{self._erase()}{above}")
        self._drawn = []

    def forget(self) -> None:
        """Draw the next frame where the cursor is then: another program wrote to the terminal."""
        self._drawn = []

    def _rows(self) -> int:
        columns = max(self._columns(), 1)
        return sum(max(-(-width // columns), 1) for width in self._drawn)

    def _home(self) -> str:
        """Return what brings the cursor to the frame's first column and row."""
        up = self._rows() - 1
        return "\r" + (f"\x1b[{up}A" if up > 0 else "")

    def _erase(self) -> str:
        """Return what empties the frame's rows, one by one, and leaves the cursor at their start.

        `ESC [ J` at the top of the screen would make tmux keep the frame in its history.
        """
        if not self._drawn:
            return ""
        home = self._home()
        return home + "\x1b[B".join([_ERASE_LINE_REST] * self._rows()) + home


class TtyPrinter(Printer):
    """Draws on a terminal.

    Args:
        output: writes to it.
        console: says what it can do.
        size: its columns and rows, asked before each frame.
        verbose: leave a line for every source.
        results: where the summary goes instead, which leaves its last line here; None: nowhere.
    """

    interval_s: float | None = INTERVAL_S

    def __init__(
        self,
        output: Output,
        console: Console,
        size: Callable[[], tuple[int, int]],
        *,
        verbose: bool = False,
        results: Output | None = None,
    ) -> None:
        super().__init__(verbose=verbose)
        self._output = output
        self._results = results
        self._console = console
        self._glyphs = ASCII if console.options.ascii_only else UNICODE
        self._size = size
        self._frame = Frame(output, lambda: size()[0])
        self._meter = LoadMeter()
        self._cores = len(os.sched_getaffinity(0))
        self._lock = threading.Lock()
        self._above: list[Text] = []
        self._ticked_s = time.monotonic()

    def outcome(self, outcome: Outcome | Skip) -> None:
        """Leave a line above the display when verbose."""
        if self.verbose:
            style = "dim" if isinstance(outcome, Skip) else "red" if outcome.failed else ""
            self._leave(outcome_line(outcome), style)

    def warning(self, message: str) -> None:
        """Leave it above the display when verbose; the summary tells it anyway."""
        if self.verbose:
            self._leave(f"warning: {printable(message)}", "yellow")

    def note(self, message: str) -> None:
        """Leave it above the display."""
        for line in folded(printable(message), max(self._size()[0] - 1, 1)):
            self._leave(line, "bold yellow")

    def tick(self, view: View, *, asked: bool) -> None:
        """Draw the display anew."""
        if asked:
            self._leave(status_line(view), "")
        if self._is_elsewhere():
            self._frame.forget()
            return
        width, height = self._size()
        load = self._meter.load(worker.pid for worker in view.workers)
        # the last column and the last row stay free: terminals scroll and wrap when they are used
        lines = screen(view, load, self._cores, max(width - 1, 1), max(height - 1, 1), self._glyphs)
        self._frame.draw(self._rendered(lines), self._ansi(self._taken()))

    def finish(self, report: RunReport) -> None:
        """Remove the display and leave the summary, or its last line where it went elsewhere."""
        self._frame.clear(self._ansi(self._taken()))
        told = summary(report)
        if told and self._results is not None and wrote_results(self._results, report):
            told = [*warning_lines(report), headline(report)]
        lines = wrapped(told, max(self._size()[0] - 1, 1))
        ending = [Text(line.text, _COLOURS[line.style]) for line in lines]
        self._output.write(self._ansi(ending))

    def _is_elsewhere(self) -> bool:
        """Tell whether the terminal was, or is, in the hands of the shell (Ctrl-Z, `bg`, `fg`)."""
        now_s = time.monotonic()
        slept = now_s - self._ticked_s > _SUSPENDED_S
        self._ticked_s = now_s
        if slept:
            self._frame.forget()
        return in_background()

    def _leave(self, text: str, style: str) -> None:
        with self._lock:
            self._above.append(Text(text, style))

    def _taken(self) -> list[Text]:
        with self._lock:
            above, self._above = self._above, []
        return above

    def _ansi(self, lines: Iterable[Text]) -> str:
        """Return whole lines; the terminal wraps long ones, so that a path can be copied."""
        with self._console.capture() as captured:
            for line in lines:
                self._console.print(line, soft_wrap=True)
        return captured.get()

    def _rendered(self, lines: list[Text]) -> list[FrameLine]:
        with self._console.capture() as captured:
            self._console.print(Text("\n").join(lines), end="", soft_wrap=True)
        ansi = captured.get().split("\n")
        return [FrameLine(code, text.cell_len) for code, text in zip(ansi, lines, strict=True)]


def terminal_size() -> tuple[int, int]:
    """Return columns and rows of the terminal on standard error as they are now.

    rich would believe $COLUMNS, which tells how wide the window was when it was exported.
    """
    if sys.__stderr__ is not None:
        with suppress(OSError, ValueError):
            size = os.get_terminal_size(sys.__stderr__.fileno())
            if size.columns and size.lines:  # 0x0 on serial lines and under some tools
                return size
    return _USUAL_SIZE


def in_background() -> bool:
    """Tell whether the shell has put this program behind another one on its terminal."""
    if sys.__stderr__ is None:
        return False
    try:
        return os.tcgetpgrp(sys.__stderr__.fileno()) != os.getpgrp()
    except (OSError, ValueError):  # no terminal, or not ours to ask
        return False
