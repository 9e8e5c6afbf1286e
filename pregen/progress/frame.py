"""A few lines at the bottom of a terminal that are drawn again and again. Knows no rich, no run.

rich.live counts lines as they were when drawn; when the window gets narrower the terminal wraps
them, and what was counted too little stays behind as rubbish. Here lines are counted as they are
now. A frame goes out in one write, over the old one and without erasing it first: no flicker.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from pregen.progress.output import Output

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
    """Draws, redraws and removes a frame. The cursor rests at the end of its last line.

    It stays visible: a run that is suspended or killed could not bring it back.
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
        """Draw the next frame where the cursor is then: somebody else wrote to the terminal."""
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
