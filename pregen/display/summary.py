"""The end of a run in words: one pure function, whose lines every printer for people shows.

It decides what is worth saying; colours are the tty printer's. Everything from outside (names,
messages of libraries) is made printable here.
"""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING, NamedTuple

from pregen.display import text as units
from pregen.display.text import printable, shown
from pregen.display.words import FAILURE_ORDER, WORDS
from pregen.errors import ExitCode
from pregen.model import FAILURES, Kind

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from pregen.display.printer import RunReport
    from pregen.display.state import FailedSource, Slow, Snapshot

#: More paths than this scroll the counts off the screen they stand on.
FAILURE_LINES = 40
_SLOW_S = 1.0
#: A file is worth naming when it took this many times the mean ...
_SLOW_FACTOR = 10
#: ... and this many at most.
_SLOWEST = 3
_NOT_BEGUN = "when the run ended"
_PASSED_OVER = "hidden, or no pictures by their names"
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


def summary(report: RunReport) -> list[Line]:
    """Return the lines that tell a person how the run ended.

    None when it never began, and for a dry run: that has a forecast instead.
    """
    if report.would is not None or (report.error and not report.totals.found):
        return []
    # those that waited in the feed have no outcome, so INTERRUPTED would tell too few
    not_begun = report.totals.jobs - report.totals.jobs_done
    parts = (
        [_headline(report)],
        list(count_lines(report.totals, not_begun)),
        list(_missing(report)),
        list(_slowest(report)),
        list(_warnings(report)),
        list(failure_lines(report)),
    )
    lines: list[Line] = []
    for part in parts:
        if lines and part:
            lines.append(Line())
        lines += part
    return lines


def _headline(report: RunReport) -> Line:
    totals = report.totals
    took = units.duration(totals.elapsed_s)
    if report.exit_code in _STOPPED:
        return Line(f"Stopped after {took}. The same command goes on from here.", Style.WARN)
    if report.exit_code not in {ExitCode.DONE, ExitCode.SOME_FAILED}:
        return Line(f"Ended before its time, after {took}.", Style.BAD)
    if report.ended_because:
        why = report.ended_because
        return Line(f"Ended after {took}: {why}. The same command goes on from here.", Style.WARN)
    if not totals.found:
        return Line("Found no files here. Hidden ones are skipped without --hidden.", Style.WARN)
    speed = f": {speeds(totals)}" if totals.images else ""
    if totals.failed:
        failed = units.plural(totals.failed, "file")
        return Line(f"Done in {took}{speed}. {failed} failed.", Style.WARN)
    return Line(f"Done in {took}{speed}.", Style.GOOD)


def speeds(totals: Snapshot) -> str:
    """Return the means over the whole run: images/s, MB/s read, Mpx/s."""
    span_s = max(totals.elapsed_s, 1e-9)
    return (
        f"{units.number(totals.images / span_s)} images/s, "
        f"{units.size(totals.bytes_read / span_s)}/s read, "
        f"{units.megapixels(totals.pixels / span_s)}/s"
    )


def count_lines(totals: Snapshot, not_begun: int) -> Iterator[Line]:
    """Yield a line for each kind of outcome there was, and for the jobs left."""
    rows = [
        (totals.count(kind), words.label, _detail(kind, totals), _style(kind))
        for kind, words in WORDS.items()
        if totals.count(kind) and kind is not Kind.INTERRUPTED
    ]
    if not_begun:
        rows.append((not_begun, WORDS[Kind.INTERRUPTED].label, _NOT_BEGUN, Style.WARN))
    if totals.passed_over:
        rows.append((totals.passed_over, "passed over", _PASSED_OVER, Style.DIM))
    number_width = max((len(units.count(number)) for number, *_ in rows), default=0)
    label_width = max((len(label) for _, label, *_ in rows), default=0)
    for number, label, detail, style in rows:
        text = f"  {units.count(number):>{number_width}}  {label:<{label_width}}  {detail}"
        yield Line(text.rstrip(), style)


def _detail(kind: Kind, totals: Snapshot) -> str:
    if kind is Kind.MADE:
        entries = units.plural(totals.entries_written, "entry", "entries")
        return f"{entries}, {units.size(totals.bytes_written)} written"
    return "" if kind in FAILURES else WORDS[kind].meaning  # a failure is explained further down


def _style(kind: Kind) -> Style:
    if kind is Kind.MADE:
        return Style.GOOD
    if kind in FAILURES:
        return Style.BAD
    return Style.WARN if kind is Kind.NEEDS_EXTRA else Style.PLAIN


def _missing(report: RunReport) -> Iterator[Line]:
    extras, unsupported = report.findings.extras, report.findings.unsupported
    if extras:
        each = ", ".join(f"{units.count(number)} {name}" for name, number in extras.items())
        yield Line(f"Waiting for an extra: {each}", Style.HEAD)
        if report.install:
            yield Line(
                f"  get {'it' if len(extras) == 1 else 'them'} with: {printable(report.install)}",
                Style.WARN,
            )
            yield Line("  and run again: nothing else is done twice", Style.DIM)
    if unsupported:
        each = ", ".join(
            f"{units.count(number)} {printable(mime)}" for mime, number in unsupported.items()
        )
        yield Line(f"Unsupported: {each}", Style.DIM)
        yield Line("  -v says why for each file, `pregen formats` lists what is read", Style.DIM)


def _slowest(report: RunReport) -> Iterator[Line]:
    totals = report.totals
    mean_s = totals.stages.total_ns / 1e9 / max(totals.jobs_done, 1)
    least_s = max(_SLOW_S, _SLOW_FACTOR * mean_s)
    slow = [each for each in report.findings.slowest if each.seconds >= least_s][:_SLOWEST]
    if slow:
        yield Line("Slowest", Style.HEAD)
        yield from (Line(f"  {_slow_text(each)}", Style.DIM) for each in slow)


def _slow_text(slow: Slow) -> str:
    facts = [units.megapixels(slow.pixels)] if slow.pixels else []
    facts += [units.size(slow.bytes_read)] if slow.bytes_read else []
    return f"{units.duration(slow.seconds)}  {shown(slow.path)}  {', '.join(facts)}".rstrip()


def _warnings(report: RunReport) -> Iterator[Line]:
    shown_ones, count = report.findings.warnings, report.findings.warning_count
    if shown_ones:
        yield Line("Warnings", Style.HEAD)
        yield from (Line(f"  {printable(each)}", Style.WARN) for each in shown_ones)
    if count > len(shown_ones):
        yield Line(f"  ... and {units.count(count - len(shown_ones))} more", Style.DIM)


def failure_lines(report: RunReport) -> Iterator[Line]:
    """Yield the failures by reason, what to do about each, and the paths."""
    groups = sorted(report.findings.failures, key=lambda group: FAILURE_ORDER.index(group.kind))
    cut = False
    for group, room in zip(groups, _shares([group.number for group in groups]), strict=True):
        words = WORDS[group.kind]
        title = f"{words.label.capitalize()} ({units.count(group.number)})"
        yield Line(f"{title}: {words.meaning}", Style.BAD)
        yield from (Line(f"  {_failure_text(each)}") for each in group.first[:room])
        hidden = group.number - min(room, len(group.first))
        if hidden:
            cut = True
            yield Line(f"  ... and {units.count(hidden)} more", Style.DIM)
        yield Line(f"  -> {words.todo}", Style.DIM)
    if cut:
        yield Line("-v or --json lists every one.", Style.DIM)


def _failure_text(failure: FailedSource) -> str:
    path = shown(failure.path)
    return f"{path}: {printable(failure.message)}" if failure.message else path


def _shares(counts: list[int]) -> list[int]:
    """Share `FAILURE_LINES` out: small groups are shown whole, big ones get what is left."""
    shares = [0] * len(counts)
    left = FAILURE_LINES
    by_size = sorted(range(len(counts)), key=counts.__getitem__)
    for done, index in enumerate(by_size):
        shares[index] = min(counts[index], left // (len(counts) - done))
        left -= shares[index]
    return shares


def plain_text(lines: Iterable[Line]) -> str:
    """Return the lines without colours, each with its line feed."""
    return "".join(f"{line.text}\n" for line in lines)
