"""Charts as SVG that takes its colours from the page, for light and dark alike.

matplotlib draws with stand-ins, which are replaced by the page's variables afterwards. Text stays
text: it can be searched, and read aloud.
"""

from __future__ import annotations

import io
import re
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import matplotlib as mpl
from matplotlib.figure import Figure
from matplotlib.ticker import MultipleLocator

from pregen.display.text import clock

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

#: No page is likely to have these of its own.
_INK: Final = "#0a0b0c"
_FAINT: Final = "#0d0e0f"
_SERIES: Final = ("#01a1b1", "#02a2b2", "#03a3b3", "#04a4b4", "#05a5b5")
_VARIABLES: Final = {
    _INK: "var(--ink)",
    _FAINT: "var(--faint)",
    **{colour: f"var(--series-{number})" for number, colour in enumerate(_SERIES, 1)},
}
_STYLE: Final[dict[Any, Any]] = {
    "svg.fonttype": "none",
    "svg.hashsalt": "pregen",
    "font.family": "sans-serif",
    "font.size": 11,
    "text.color": _INK,
    "axes.edgecolor": _FAINT,
    "axes.labelcolor": _INK,
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "grid.color": _FAINT,
    "grid.linewidth": 0.5,
    "xtick.color": _INK,
    "ytick.color": _INK,
    "figure.facecolor": "none",
    "axes.facecolor": "none",
    "legend.frameon": False,
}
#: Between two times on an axis, in seconds: as clocks are divided.
_TICKS_S: Final = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 21600, 86400)
_MOST_TICKS: Final = 8
#: On a phone of 390 px the letters are 10 px high, in a browser on a desk 13.
_WIDTH_IN: Final = 4.8
#: With what stands before it. The page says how large a chart is, so that its size goes.
_OPENING: Final = re.compile(r'\A.*?<svg[^>]*(viewBox="[^"]*")[^>]*>', re.DOTALL)
_METADATA: Final = re.compile(r"\s*<metadata>.*?</metadata>", re.DOTALL)


class Series(NamedTuple):
    """Numbers of one name."""

    name: str
    values: Sequence[float]


def over_time(step_s: float, images: Series, megabytes: Series) -> str:
    """Draw two rates over time, one above the other: their units differ.

    Args:
        step_s: How long each value holds, in seconds since the start.
        images: One value for each step.
        megabytes: Likewise.
    """
    edges_s = [step_s * number for number in range(len(images.values) + 1)]
    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=(_WIDTH_IN, 3.6), layout="constrained")
        axes = figure.subplots(2, 1, sharex=True)
        for axis, series, colour in zip(axes, (images, megabytes), _SERIES, strict=False):
            axis.stairs(series.values, edges_s, color=colour, alpha=0.25, fill=True)
            axis.stairs(series.values, edges_s, color=colour, linewidth=1.5, baseline=None)
            axis.set_ylabel(series.name)
            axis.set_ylim(bottom=0)
        axes[-1].set_xlabel("time since the start")
        axes[-1].xaxis.set_major_locator(MultipleLocator(_tick_s(edges_s[-1])))
        axes[-1].xaxis.set_major_formatter(lambda value, _position: clock(round(value)))
        return _svg(figure, "images and megabytes per second over time")


def _tick_s(span_s: float) -> int:
    return next((tick for tick in _TICKS_S if span_s <= tick * _MOST_TICKS), _TICKS_S[-1])


def stacked(rows: Sequence[str], parts: Sequence[Series], unit: str, title: str) -> str:
    """Draw one bar for each row, made of parts."""
    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=(_WIDTH_IN, 0.9 + 0.36 * len(rows)), layout="constrained")
        axis = figure.subplots()
        left = [0.0] * len(rows)
        places = range(len(rows) - 1, -1, -1)
        for part, colour in zip(parts, _SERIES, strict=False):
            bars = axis.barh(
                places, part.values, left=left, color=colour, label=part.name, height=0.7
            )
            if len(parts) == 1:
                axis.bar_label(bars, fmt="{:,.0f}", padding=3, fontsize=10)
            left = [before + value for before, value in zip(left, part.values, strict=True)]
        axis.margins(x=0.12)
        axis.set_yticks(places, rows, parse_math=False)
        axis.grid(visible=False, axis="y")
        axis.set_xlabel(unit)
        if len(parts) > 1:
            figure.legend(
                loc="outside upper left",
                ncols=len(parts),
                fontsize=10,
                columnspacing=1,
                handlelength=1,
                handletextpad=0.4,
            )
        return _svg(figure, title)


def bars(values: Mapping[str, float], unit: str, title: str) -> str:
    """Draw one bar for each name."""
    return stacked(list(values), [Series("", list(values.values()))], unit, title)


def _svg(figure: Figure, title: str) -> str:
    out = io.StringIO()
    figure.savefig(out, format="svg", transparent=True, metadata={"Date": None})
    opening = rf'<svg role="img" aria-label="{title}" \1>'
    drawn = _METADATA.sub("", _OPENING.sub(opening, out.getvalue(), count=1), count=1)
    for colour, variable in _VARIABLES.items():
        drawn = drawn.replace(colour, variable)
    return drawn
