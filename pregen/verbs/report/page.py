"""From the facts of a run to one HTML page. Everything that comes from outside is escaped."""

from __future__ import annotations

from importlib import resources
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from jinja2 import Environment
from markupsafe import Markup

from pregen.display import text
from pregen.display.text import printable, shown
from pregen.display.words import JPEG_DECODERS, JPEG_WORDS, WORDS
from pregen.model import Stages
from pregen.verbs.report import charts
from pregen.verbs.report.charts import Series
from pregen.verbs.report.figures import SIZES_MPX

if TYPE_CHECKING:
    from pregen.journal.rows import RecordedRun, SourceHistory
    from pregen.verbs.report.contact_sheet import Sheet, Tile
    from pregen.verbs.report.figures import Figures, Loader

_S: Final = 1_000_000_000
_TEMPLATE: Final = "report.html.jinja"
_STAGES: Final = tuple(name.removesuffix("_ns") for name in Stages._fields)
#: More rows than this say nothing on a screen.
_MOST_ROWS: Final = 12
_MOST_WORKERS: Final = 32


class ReportFacts(NamedTuple):
    """All that a page tells."""

    run: RecordedRun
    figures: Figures
    sheet: Sheet
    version: str


def render(facts: ReportFacts) -> str:
    """Return the page."""
    environment = Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True)
    source = resources.files("pregen.verbs.report").joinpath(_TEMPLATE).read_text(encoding="utf-8")
    return environment.from_string(source).render(_view(facts))


def _view(facts: ReportFacts) -> dict[str, Any]:
    run, figures = facts.run, facts.figures
    wall_s = max(run.wall_ns, 1) / 1e9
    return {
        "title": f"pregen run {run.run_id}",
        "began": text.moment(run.started_at_ns - run.started_at_ns % _S).replace(".000000", ""),
        "command": printable(" ".join(("pregen", *run.arguments))),
        "host": printable(run.host),
        "version": printable(run.version),
        "made_by": facts.version,
        "ending": _ending(run),
        "tiles": _summary(facts, wall_s),
        "kinds": _kinds(run),
        "overwritten": max(0, run.counts.get("made", 0) - figures.made),
        "charts": _charts(figures) if figures.made else [],
        "failures": [
            {
                "kind": WORDS[kind].label,
                "meaning": WORDS[kind].meaning,
                "todo": WORDS[kind].todo,
                "count": text.count(group.count),
                "files": [
                    (shown(path), printable(message)) for path, message in sorted(group.first)
                ],
                "more": group.count - len(group.first),
            }
            for kind, group in sorted(figures.failures.items(), key=lambda each: -each[1].count)
        ],
        "slowest": [_slow(seen) for seen in figures.slowest],
        "sampled": [_tile(tile) for tile in facts.sheet.sampled],
        "doubtful": [_tile(tile) for tile in facts.sheet.doubtful],
        "doubtful_count": facts.sheet.doubtful_count,
        "looked_at": text.count(facts.sheet.looked_at),
        "all_looked_at": facts.sheet.looked_at >= figures.made,
    }


def _ending(run: RecordedRun) -> str:
    if run.exit_code is None:
        return {"running": "still running", "killed": "was killed"}.get(
            run.state.value, "not ended"
        )
    return {0: "done", 3: "done, some files failed"}.get(
        run.exit_code, f"ended early, exit code {run.exit_code}"
    )


def _summary(facts: ReportFacts, wall_s: float) -> list[tuple[str, str]]:
    run = facts.run
    made = run.counts.get("made", 0)
    return [
        (text.count(made), "pictures"),
        (text.duration(wall_s), "total time"),
        (text.number(made / wall_s), "images/s"),
        (f"{text.size(run.bytes_read / wall_s)}/s", "read"),
        (text.count(run.entries_written), "thumbnails written"),
        (text.size(run.bytes_written), "written"),
    ]


def _kinds(run: RecordedRun) -> list[tuple[str, str, str]]:
    """Label, number and meaning; of kinds that this pregen does not know, the number alone."""
    words = {kind.value: words for kind, words in WORDS.items()}
    return [
        (words[name].label, text.count(run.counts[name]), words[name].meaning)
        for name in words
        if run.counts.get(name)
    ] + [
        (printable(name), text.count(number), "")
        for name, number in run.counts.items()
        if number and name not in words
    ]


def _charts(figures: Figures) -> list[tuple[str, str, Markup]]:
    """Heading, a sentence, and the drawing of each chart."""
    step_s = figures.bucket_s
    images = [number / step_s for number in figures.images_over_time]
    megabytes = [number / step_s / 1e6 for number in figures.bytes_over_time]
    loaders = sorted(figures.loaders.items(), key=lambda item: -item[1].images)[:_MOST_ROWS]
    workers = sorted(figures.workers.items())[:_MOST_WORKERS]
    mimes = figures.mimes.most_common(_MOST_ROWS)
    sizes = [number for number in range(len(SIZES_MPX) + 1) if figures.sizes[number]]
    speed = charts.over_time(step_s, Series("images/s", images), Series("MB/s", megabytes))
    stages = charts.stacked(
        [printable(f"{name} ({text.count(each.images)})") for name, each in loaders],
        [
            Series(stage, [_stage_ms(each, number) for _, each in loaders])
            for number, stage in enumerate(_STAGES)
        ],
        "ms per picture",
        "milliseconds by stage and decoder",
    )
    formats = {printable(name): number for name, number in mimes}
    by_size = {_size_name(number): figures.sizes[number] for number in sizes}
    busy = {
        str(number): 100 * each.busy_ns / figures.wall_ns
        for number, (_, each) in enumerate(workers, 1)
    }
    busy_words = f"How much of the run each worker spent on pictures.{_at_once(figures)}"
    stage_words = "Milliseconds of one worker per picture, by decoder."
    if not JPEG_DECODERS.isdisjoint(figures.loaders):
        stage_words += f" {JPEG_WORDS}"
    drawn = (
        ("Speed", "", speed),
        ("Time by stage", stage_words, stages),
        ("Formats", "", charts.bars(formats, "pictures", "pictures by format")),
        ("Sizes", "", charts.bars(by_size, "pictures", "pictures by size")),
        (
            "Workers",
            busy_words,
            charts.bars(busy, "% of the run", "share of the run each worker was busy"),
        ),
    )
    # our own drawings, in which text is escaped by matplotlib's XML writer
    return [(heading, words, Markup(svg)) for heading, words, svg in drawn]  # noqa: S704


def _stage_ms(loader: Loader, number: int) -> float:
    return loader.stages_ns[number] / max(loader.images, 1) / 1e6


def _size_name(number: int) -> str:
    if number == 0:
        return f"up to {SIZES_MPX[0]} Mpx"
    if number == len(SIZES_MPX):
        return f"over {SIZES_MPX[-1]} Mpx"
    return f"{SIZES_MPX[number - 1]} to {SIZES_MPX[number]} Mpx"


def _at_once(figures: Figures) -> str:
    if not figures.workers:
        return ""
    at_once = figures.busy_ns / figures.wall_ns
    number = len(figures.workers)
    return f" {text.plural(number, 'worker')}, {text.number(at_once)} of them busy on average."


def _slow(seen: SourceHistory) -> dict[str, str]:
    return {
        "path": shown(seen.path),
        "time": text.duration(seen.stages.total_ns / 1e9),
        "stage": max(zip(seen.stages, _STAGES, strict=True))[1],
        "size": f"{seen.width_px} x {seen.height_px}" if seen.width_px else "",
        "bytes": text.size(seen.size_bytes),
        "loader": printable(seen.loader),
    }


def _tile(tile: Tile) -> dict[str, str]:
    return {
        "path": shown(tile.path),
        "name": shown(tile.path.rpartition(b"/")[2]),
        "why": tile.why,
        "src": tile.data_uri,
    }
