"""Screens of a terminal as an SVG: one as a picture, several as a moving one.

A row that stays the same from frame to frame is drawn once and shown for as long as it stays, by
CSS alone: no script, no font and no service. Readers who prefer less motion see the last frame.
"""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, NamedTuple

from rich.ansi import AnsiDecoder
from rich.color import Color
from rich.console import Console
from rich.terminal_theme import SVG_EXPORT_THEME as THEME

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from rich.text import Text

#: In px, of a font of 14 px whose letters are 0.6 em wide, as most monospaced ones.
_FONT_PX, _COLUMN_PX, _ROW_PX = 14, 8.4, 19
_MARGIN_PX, _TITLE_PX = 16, 34
#: How long the last frame stays before the first one follows.
_REST_S = 6.0


class Frame(NamedTuple):
    """What a terminal showed from a moment on."""

    at_s: float
    ansi: str
    """Rows, with colours as escape sequences."""


class _Run(NamedTuple):
    """A row that stays the same over some frames."""

    row: int
    markup: str
    first: int
    """Number of the first frame that shows it."""
    after: int
    """Number of the first frame that does not."""


def picture(frames: Sequence[Frame], columns: int, title: str) -> str:
    """Return the frames as one SVG; a single one does not move."""
    rows = [_rows(frame.ansi) for frame in frames]
    height = max(map(len, rows))
    runs = list(_runs(rows, height))
    lasts_s = frames[-1].at_s + _REST_S
    times = [100 * frame.at_s / lasts_s for frame in frames] + [100.0]
    spans = sorted({(run.first, run.after) for run in runs} - {(0, len(frames))})
    names = {span: f"s{number}" for number, span in enumerate(spans)}
    width_px = round(columns * _COLUMN_PX + 2 * _MARGIN_PX)
    height_px = _TITLE_PX + height * _ROW_PX + _MARGIN_PX
    drawn = "\n".join(_element(run, names.get((run.first, run.after)), len(frames)) for run in runs)
    return f"""\
<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width_px} {height_px}" role="img">
<title>{escape(title)}</title>
<style>
svg {{ font: {_FONT_PX}px ui-monospace, "DejaVu Sans Mono", Menlo, Consolas, monospace; \
fill: {_hex(None)}; }}
text {{ white-space: pre; }}
{_animations(names, times, lasts_s)}</style>
<rect width="{width_px}" height="{height_px}" rx="8" fill="{THEME.background_color.hex}"/>
<circle cx="20" cy="18" r="5.5" fill="#ff5f57"/><circle cx="39" cy="18" r="5.5" fill="#febc2e"/>\
<circle cx="58" cy="18" r="5.5" fill="#28c840"/>
{drawn}
</svg>
"""


def _runs(rows: Sequence[Sequence[str]], height: int) -> Iterator[_Run]:
    for row in range(height):
        seen = [frame[row] if row < len(frame) else "" for frame in rows]
        first = 0
        for number in range(1, len(seen) + 1):
            if number == len(seen) or seen[number] != seen[first]:
                if seen[first]:
                    yield _Run(row, seen[first], first, number)
                first = number


def _animations(names: dict[tuple[int, int], str], times: Sequence[float], lasts_s: float) -> str:
    """Return the rules that show a row in its span of frames."""
    if not names:
        return ""
    rules = [f".m {{ visibility: hidden; animation: {lasts_s:.1f}s step-end infinite; }}"]
    for (first, after), name in names.items():
        begin, end = times[first], times[after]
        hidden = f" {end:.2f}% {{ visibility: hidden; }}" if after < len(times) - 1 else ""
        rules.append(
            f"@keyframes {name} {{ 0% {{ visibility: {'hidden' if first else 'visible'}; }} "
            f"{begin:.2f}% {{ visibility: visible; }}{hidden} }}"
        )
        rules.append(f".{name} {{ animation-name: {name}; }}")
    rules.append(
        "@media (prefers-reduced-motion: reduce) "
        "{ .m { animation: none; } .last { visibility: visible; } }"
    )
    return "\n".join(rules) + "\n"


def _element(run: _Run, name: str | None, frames: int) -> str:
    y = _TITLE_PX + (run.row + 0.75) * _ROW_PX
    kind = f' class="m {name}{" last" if run.after == frames else ""}"' if name else ""
    return f'<g transform="translate({_MARGIN_PX} {y:g})"{kind}>{run.markup}</g>'


def _rows(ansi: str) -> list[str]:
    """Return the markup of each row; a colour holds until it is changed, also in the next row."""
    rows = list(map(_markup, AnsiDecoder().decode(ansi)))
    while rows and not rows[-1]:
        rows.pop()
    return rows


def _markup(row: Text) -> str:
    """Return the texts of a row, one for each colour, each as wide as its columns."""
    console = Console(width=1000, color_system="truecolor", legacy_windows=False)
    parts, column = [], 0
    for segment in row.render(console):
        text, style = segment.text.rstrip("\n"), segment.style
        if text.strip():
            colour = style.color if style else None
            looks = f' fill="{_hex(colour)}"' if colour and not colour.is_default else ""
            looks += ' font-weight="bold"' if style and style.bold else ""
            looks += ' opacity="0.65"' if style and style.dim else ""
            parts.append(
                f'<text x="{column * _COLUMN_PX:g}" textLength="{len(text) * _COLUMN_PX:g}"'
                f"{looks}>{escape(text, quote=False)}</text>"
            )
        column += len(text)
    return "".join(parts)


def _hex(colour: Color | None) -> str:
    return (colour or Color.default()).get_truecolor(THEME).hex
