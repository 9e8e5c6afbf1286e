"""What a run came to, and what it would do (`--dry-run`), in lines that people read. Pure.

This decides what is worth saying; colours are the tty printer's. Everything from outside (names,
messages of libraries) is made printable here.
"""

from __future__ import annotations

from collections import Counter
from enum import Enum
from typing import TYPE_CHECKING, Any, NamedTuple

from pregen.display import text
from pregen.display.bottleneck import LIMITED_BY, bottleneck, long_enough, slow_disk
from pregen.display.text import printable, shown
from pregen.display.words import NOT_COMPILED, WORDS, Named, advice, named_lines, rate_texts
from pregen.errors import ExitCode
from pregen.model import FAILURES, Action, Flavor, Kind

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from pregen.display.printer import RunReport
    from pregen.display.state import FailedSource, Slow, Snapshot
    from pregen.journal import RecordedRun
    from pregen.model import Job

#: So many files of a kind are named: what is above them stays on the screen.
FAILURES_NAMED = 5
_SLOW_S = 1.0
#: A file is worth naming when it took this many times the mean ...
_SLOW_FACTOR = 10
#: ... and this many at most.
_SLOWEST = 3
#: A month of nightly runs.
RUNS_TO_LEARN_FROM = 30
#: In a smaller run, starting took longer than working.
_ENOUGH_IMAGES = 50
#: Mean size of the entries of the corpus' camera pictures.
ENTRY_BYTES: Mapping[Flavor, int] = {
    Flavor.NORMAL: 27_000,
    Flavor.LARGE: 101_000,
    Flavor.X_LARGE: 379_000,
    Flavor.XX_LARGE: 1_394_000,
}
_NOT_BEGUN = "when the run ended"
_EMPTY = "hidden files need --hidden, and folders left out by --exclude are not searched"
_PASSED_OVER = "hidden, excluded, or not a picture by name"
_STOPPED = frozenset({ExitCode.INTERRUPTED, ExitCode.TERMINATED, ExitCode.READER_GONE})


class Style(Enum):
    """What a line is, so that a printer can colour it."""

    HEAD = "head"
    PLAIN = "plain"
    DIM = "dim"
    GOOD = "good"
    WARN = "warn"
    BAD = "bad"


class Line(NamedTuple):
    """One line of a summary."""

    text: str = ""
    style: Style = Style.PLAIN


def summary(report: RunReport, *, warnings: bool = True) -> list[Line]:
    """Return the lines that tell a person how the run ended.

    None when it never began, and for a dry run: that has a forecast instead.
    """
    if report.would is not None or (report.error and not report.totals.found):
        return []
    # those that waited in the feed have no outcome, so INTERRUPTED would tell too few
    not_begun = report.totals.jobs - report.totals.jobs_done
    # The verdict comes last: what stands above it may have left the screen.
    parts = (
        list(failure_lines(report)),
        list(_left_out(report)),
        list(_missing(report)),
        list(_compile(report)),
        list(_slowest(report)),
        list(warning_lines(report)) if warnings else [],
        list(count_lines(report.totals, not_begun, report.again)),
        [*_reading(report.totals), headline(report)],
    )
    lines: list[Line] = []
    for part in parts:
        if lines and part:
            lines.append(Line())
        lines += part
    return lines


def headline(report: RunReport) -> Line:
    """Return the verdict: the last line of a summary."""
    totals = report.totals
    took = text.duration(totals.elapsed_s)
    if report.exit_code in _STOPPED:
        return Line(f"Stopped after {took}. Run the same command to continue.", Style.WARN)
    if report.exit_code not in {ExitCode.DONE, ExitCode.SOME_FAILED}:
        return Line(f"Ended early, after {took}.", Style.BAD)
    if report.ended_because:
        why = report.ended_because
        return Line(f"Ended after {took}: {why}. Run the same command to continue.", Style.WARN)
    if not totals.found:
        ignored = totals.passed_over
        why = f"{text.plural(ignored, 'file')} ignored" if ignored else _EMPTY
        return Line(f"No pictures found; {why}.", Style.WARN)
    rates = rate_texts(totals.means) if totals.images else []
    speed = f": {', '.join(rates)}" if rates else ""
    if totals.failed:
        speed = f": {', '.join(rates[:2])}" if rates else ""  # fits in 80 columns
        return Line(f"Done in {took}{speed}. {_failed(report)}", Style.WARN)
    return Line(f"Done in {took}{speed}.", Style.GOOD)


def _failed(report: RunReport) -> str:
    """Return how many failed, and where they are listed: what has no outcome only above."""
    above = report.totals.not_entered
    listed = report.totals.failed - above
    parts = [f"{text.count(above)} unreadable: see above"] if above else []
    if listed:
        files = text.plural(listed, "file")
        parts.append(f"{files} failed: pregen failures{report.cache_flag}")
    return "; ".join(parts)


def _reading(totals: Snapshot) -> Iterator[Line]:
    """Yield what was read over a network and what limited that; of a local disk when it did."""
    spent = totals.spent
    if totals.share_jobs:
        limit = bottleneck(spent, share=True) if long_enough(spent) else None
        read, done = totals.share_bytes_read, totals.share_bytes_done
        speed = text.size(totals.means.share_bytes_per_s)
        said = f"From shares: {text.size(read)} of {text.size(done)} read, {speed}/s"
        said += f"; limited by {LIMITED_BY[limit]}" if limit else ""
        left = totals.share_bytes - done
        yield Line(f"{said}{f'; {text.size(left)} not started' if left else ''}.")
    elif slow_disk(spent, totals.elapsed_s, share=False):
        waited = spent.waiting_s / (spent.waiting_s + spent.computing_s)
        yield Line(f"Slow disk: the workers waited for it {waited:.0%} of the time.", Style.WARN)


def count_lines(totals: Snapshot, not_begun: int, again: str) -> Iterator[Line]:
    """Yield a line for each kind of outcome there was, and for the jobs left.

    Args:
        totals: of the run.
        not_begun: jobs left.
        again: what tries again what failed earlier.
    """
    rows = [
        (totals.count(kind), words.label, _detail(kind, totals, again), _style(kind))
        for kind, words in WORDS.items()
        if totals.count(kind) and kind is not Kind.INTERRUPTED
    ]
    if not_begun:
        rows.append((not_begun, WORDS[Kind.INTERRUPTED].label, _NOT_BEGUN, Style.WARN))
    if totals.passed_over:
        rows.append((totals.passed_over, "ignored", _PASSED_OVER, Style.DIM))
    number_width = max((len(text.count(number)) for number, *_ in rows), default=0)
    label_width = max((len(label) for _, label, *_ in rows), default=0)
    for number, label, detail, style in rows:
        line = f"  {text.count(number):>{number_width}}  {label:<{label_width}}  {detail}"
        yield Line(line.rstrip(), style)


def _detail(kind: Kind, totals: Snapshot, again: str) -> str:
    if kind is Kind.MADE:
        thumbnails = text.plural(totals.entries_written, "thumbnail")
        return f"{thumbnails}, {text.size(totals.bytes_written)} written"
    if kind is Kind.FAILED_BEFORE:
        return f"{WORDS[kind].meaning}; {again} tries again"
    return "" if kind in FAILURES else WORDS[kind].meaning  # a failure is explained further down


def _style(kind: Kind) -> Style:
    if kind is Kind.MADE:
        return Style.GOOD
    if kind in FAILURES:
        return Style.BAD
    return Style.WARN if kind is Kind.NEEDS_EXTRA else Style.PLAIN


def _left_out(report: RunReport) -> Iterator[Line]:
    """Yield what the user may miss: what was named and is not there, and folders not entered."""
    for what in report.findings.left_out:
        for path in what.first:
            yield Line(f"Skipped: {shown(path)}: {printable(what.why)}", Style.WARN)
        if hidden := what.number - len(what.first):
            yield Line(f"  ... and {text.count(hidden)} more of this kind", Style.DIM)


def _missing(report: RunReport) -> Iterator[Line]:
    extras, unsupported = report.findings.extras, report.findings.unsupported
    if extras:
        each = ", ".join(f"{text.count(number)} {name}" for name, number in extras.items())
        yield Line(f"Needs an extra: {each}", Style.HEAD)
        if report.install:
            yield Line(
                f"  install with: {printable(report.install)}",
                Style.WARN,
            )
            yield Line("  and run again: only these files are processed", Style.DIM)
    if unsupported:
        each = ", ".join(
            f"{text.count(number)} {printable(mime)}" for mime, number in unsupported.items()
        )
        yield Line(f"Unsupported: {each}", Style.DIM)
        yield Line(
            "  -v gives the reason for each file, `pregen formats` lists supported formats",
            Style.DIM,
        )


def _compile(report: RunReport) -> Iterator[Line]:
    if report.compile:
        yield from (Line(line, Style.WARN) for line in NOT_COMPILED)
        yield Line(f"    {printable(report.compile)}", Style.WARN)


def _slowest(report: RunReport) -> Iterator[Line]:
    totals = report.totals
    mean_s = totals.stages.total_ns / 1e9 / max(totals.jobs_done, 1)
    least_s = max(_SLOW_S, _SLOW_FACTOR * mean_s)
    slow = [each for each in report.findings.slowest if each.seconds >= least_s][:_SLOWEST]
    if slow:
        yield Line("Slowest", Style.HEAD)
        yield from (Line(f"  {_slow_text(each)}", Style.DIM) for each in slow)


def _slow_text(slow: Slow) -> str:
    facts = [text.megapixels(slow.pixels)] if slow.pixels else []
    facts += [text.size(slow.bytes_read)] if slow.bytes_read else []
    return f"{text.duration(slow.seconds)}  {shown(slow.path)}  {', '.join(facts)}".rstrip()


def warning_lines(report: RunReport) -> Iterator[Line]:
    """Yield what was wrong without ending the run."""
    shown_ones, count = report.findings.warnings, report.findings.warning_count
    if shown_ones:
        yield Line("Warnings", Style.HEAD)
        yield from (Line(f"  {printable(each)}", Style.WARN) for each in shown_ones)
    if count > len(shown_ones):
        yield Line(f"  ... and {text.count(count - len(shown_ones))} more", Style.DIM)


def failure_lines(report: RunReport) -> Iterator[Line]:
    """Yield the failures by reason, with the first of each, and what to do about them."""
    order = list(WORDS)
    groups = sorted(report.findings.failures, key=lambda group: order.index(group.kind))
    todo = advice([group.kind for group in groups], last=True)
    for number, group in enumerate(groups):
        if number:
            yield Line()
        words = WORDS[group.kind]
        title = f"{words.label.capitalize()} ({text.count(group.number)})"
        yield Line(f"{title}: {words.meaning}", Style.BAD)
        named = sorted(group.first, key=_place)[:FAILURES_NAMED]
        files = (Named(each.path, each.message) for each in named)
        yield from map(Line, named_lines(files))
        if hidden := group.number - len(named):
            yield Line(f"  ... and {text.count(hidden)} more", Style.DIM)
        if group.kind in todo:
            yield Line(f"  -> {todo[group.kind]}", Style.DIM)


def _place(failure: FailedSource) -> tuple[object, ...]:
    folder, _, name = failure.path.rpartition(b"/")
    return text.natural(folder), text.natural(name), failure.path


def wrapped(lines: Iterable[Line], width: int) -> Iterator[Line]:
    """Yield lines that fit into so many columns, as `text.folded` breaks them."""
    for line in lines:
        yield from (Line(part, line.style) for part in text.folded(line.text, width))


def plain_text(lines: Iterable[Line]) -> str:
    """Return the lines without colours, each with its line feed."""
    return "".join(f"{line.text}\n" for line in lines)


def speed_of(runs: Iterable[RecordedRun]) -> float | None:
    """Return images/s of the newest run that made enough entries; `runs` come newest first."""
    for run in runs:
        images = run.counts.get(Kind.MADE.value, 0)
        if images >= _ENOUGH_IMAGES and run.wall_ns:
            return images / (run.wall_ns / 1e9)
    return None


class Forecast:
    """Counts what jobs would do, at most.

    Whether a file is a picture, and how large, is only known when it is opened, which a dry run
    does not do.
    """

    def __init__(self) -> None:
        self.sources = 0
        """Files to be decoded."""
        self.bytes_to_read = 0
        self.entries: Counter[Flavor] = Counter()
        """Entries to be made."""
        self.rechecks = 0
        """Files whose header is looked at: their decoder was mended since."""
        self.refits = 0
        self.removals = 0

    def add(self, job: Job) -> None:
        """Count one job."""
        actions = Counter(step.action for step in job.steps)
        if actions[Action.MAKE]:
            self.sources += 1
            self.bytes_to_read += job.size_bytes
            self.entries.update(step.flavor for step in job.steps if step.action is Action.MAKE)
        elif actions[Action.RECHECK]:
            self.rechecks += 1
        self.refits += actions[Action.REFIT]
        self.removals += actions[Action.DELETE]

    @property
    def bytes_to_write(self) -> int:
        """Disk space of the entries to be made, about."""
        return sum(ENTRY_BYTES[flavor] * number for flavor, number in self.entries.items())


def forecast_lines(forecast: Forecast, images_per_s: float | None, report: RunReport) -> list[Line]:
    """Return what a dry run tells a person.

    Args:
        forecast: what there is to do.
        images_per_s: of an earlier run; None: there was none to learn from.
        report: what there is not.
    """
    lines = [Line("A run would:", Style.HEAD), *_deeds(forecast)]
    counts = list(count_lines(report.totals, 0, report.again))
    if counts:
        lines += [Line(), Line("Nothing to do for:", Style.HEAD), *counts]
    for more in (failure_lines(report), _left_out(report), warning_lines(report)):
        if named := list(more):
            lines += [Line(), *named]
    return [*lines, Line(), _duration_line(forecast, images_per_s)]


def _deeds(forecast: Forecast) -> list[Line]:
    made = sum(forecast.entries.values())
    lines = []
    if forecast.sources:
        files = text.plural(forecast.sources, "file")
        thumbnails = text.plural(made, "thumbnail")
        lines += [
            Line(f"  decode at most {files}, {text.size(forecast.bytes_to_read)} to read"),
            Line(f"  write at most {thumbnails}, about {text.size(forecast.bytes_to_write)}"),
        ]
    if forecast.rechecks:
        files = text.plural(forecast.rechecks, "file")
        lines.append(
            Line(f"  check the beginning of {files}, and decode those whose thumbnails are wrong")
        )
    if forecast.refits:
        thumbnails = text.plural(forecast.refits, "thumbnail")
        lines.append(Line(f"  rewrite the texts of {thumbnails}, without decoding"))
    if forecast.removals:
        thumbnails = text.plural(forecast.removals, "stale thumbnail")
        lines.append(Line(f"  remove {thumbnails} of other sizes"))
    return lines or [Line("  do nothing", Style.GOOD)]


def _duration_line(forecast: Forecast, images_per_s: float | None) -> Line:
    """Return the last line."""
    nothing = "Nothing was written."
    if not forecast.sources:
        return Line(nothing)
    if not images_per_s:
        why = f"no earlier run created {_ENOUGH_IMAGES} thumbnails"
        return Line(f"{nothing} Time unknown: {why}.")
    took = text.about(max(forecast.sources / images_per_s, 1))
    speed = text.number(images_per_s)
    return Line(f"{nothing} Estimated time: {took} ({speed} images/s last time).")


def forecast_record(forecast: Forecast, images_per_s: float | None) -> dict[str, Any]:
    """Return the forecast for `--json`, as the `would` of the summary."""
    return {
        "decode": forecast.sources,
        "bytes_to_read": forecast.bytes_to_read,
        "entries": {flavor.directory: number for flavor, number in forecast.entries.items()},
        "bytes_to_write": forecast.bytes_to_write,
        "recheck": forecast.rechecks,
        "refit": forecast.refits,
        "remove": forecast.removals,
        "seconds": round(forecast.sources / images_per_s, 1) if images_per_s else None,
    }
