"""A result as tables for people. Pure; how a table is drawn is the command's affair."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, NamedTuple

from pregen.display import text
from pregen.display.text import printable, shown
from pregen.display.words import WORDS
from pregen.model import Stages
from pregen.verbs.bench import record
from pregen.verbs.bench.stats import BUSY_SHARE, Limit

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pregen.verbs.bench.model import Contest, Floor, Result
    from pregen.verbs.bench.record import Record
    from pregen.verbs.bench.stats import Estimate, Group

#: More failures than this are for `--json`.
_FAILURES_SHOWN = 20
#: Above this share of pages in memory, cold is not cold.
_STAYED = 0.05

_LIMITS = {
    Limit.CPU: "The processor limits: a faster disk would hardly help.",
    Limit.DISK: "The disk limits when the files are not in memory: more cores would hardly help.",
    Limit.BOTH: "Disk and processor both limit when the files are not in memory.",
}


class Table(NamedTuple):
    """Rows under a title; the first column is text, the others are numbers."""

    title: str
    columns: tuple[str, ...] = ()
    rows: tuple[tuple[str, ...], ...] = ()
    notes: tuple[str, ...] = ()
    """Lines below the rows."""


def tables(result: Result) -> Iterator[Table]:
    """Yield all that a person is told."""
    yield _about(result)
    yield _speeds(result)
    yield _stages(result)
    if result.contest:
        yield _contest(result.contest, result.floor)
    yield _scaling(result)
    yield _prediction(result)
    troubles = _troubles(result)
    if troubles.notes:
        yield troubles


def comparison(old: Record, new: Record) -> Table:
    """Return old numbers against new ones."""
    rows = tuple(
        (row.name, text.number(row.old), text.number(row.new), f"{row.ratio:.2f}", _verdict(row))
        for row in record.rows(old, new)
    )
    warnings = tuple(f"not the same {printable(warning)}" for warning in record.warnings(old, new))
    return Table("Compared", ("", "old", "new", "ratio", ""), rows, warnings)


def _verdict(row: record.Row) -> str:
    if abs(row.gain - 1) < record.SAME:
        return ""
    return "better" if row.gain > 1 else "worse"


def _about(result: Result) -> Table:
    sample, machine = result.sample, result.machine
    roots = ", ".join(shown(root) for root in result.config.walk.roots)
    drawn = "all of them" if sample.covers else f"a sample of {text.count(len(sample.sources))}"
    total = sample.total
    return Table(
        f"{roots}: {text.plural(total.sources, 'file')}, {text.size(total.size_bytes)}",
        notes=(
            f"measured {drawn}; pregen {machine.pregen}, Python {machine.python}",
            f"{printable(machine.cpu)}, {text.plural(machine.cores, 'core')}",
        ),
    )


def _speeds(result: Result) -> Table:
    rows = [("all", result.warm), *((_label(group), group) for group in result.groups)]
    workers = text.plural(result.config.engine.workers, "worker")
    cold = result.cold
    notes = []
    if cold.resident_share > _STAYED:
        notes.append(
            f"This file system kept {cold.resident_share:.0%} of the files in memory although "
            "asked not to: cold is not quite cold."
        )
    return Table(
        f"Speed, {workers}",
        ("", "pictures", "images/s", "Mpx/s", "MB/s", "ms each"),
        (
            *(_speed_row(name, group) for name, group in rows),
            _speed_row("all, cold", cold.group),
        ),
        tuple(notes),
    )


def _speed_row(name: str, group: Group) -> tuple[str, ...]:
    return (
        name,
        text.count(group.pictures),
        text.number(group.images_per_s),
        text.number(group.pixels_per_s / 1e6),
        text.number(group.bytes_per_s / 1e6),
        _ms(group.picture_s),
    )


def _label(group: Group) -> str:
    return f"{group.loader} {printable(group.mime.rpartition('/')[2].removeprefix('x-'))}"


def _stages(result: Result) -> Table:
    named = [
        *((_label(group), group) for group in result.groups),
        ("all", result.warm),
        ("all, cold", result.cold.group),
    ]
    if len(result.groups) == 1:
        del named[1]  # it would say the same
    columns = tuple(field.removesuffix("_ns") for field in Stages._fields)
    rows = tuple((name, *_shares(group)) for name, group in named)
    return Table("Stages, ms of a picture and share", ("", *columns, "rest"), rows)


def _shares(group: Group) -> Iterator[str]:
    """Yield a cell for each stage, and one for all that is none: opening, messages, waiting."""
    spent_s = [spent_ns / 1e9 for spent_ns in group.stages]
    spent_s.append(max(0.0, group.picture_s - sum(spent_s)))
    total_s = max(sum(spent_s), 1e-9)
    for each_s in spent_s:
        yield f"{_ms(each_s)} {each_s / total_s:3.0%}"


def _contest(contest: Contest, floor: Floor | None) -> Table:
    rows = [
        (one.name, _ms(one.decode_s), _ms(one.total_s), f"{one.ratio:.2f}")
        for one in contest.decodings
    ]
    notes = []
    if floor is not None:
        notes.append(
            f"With all workers the floor (libjpeg-turbo's reduced decode, nothing else) takes "
            f"{_ms(floor.floor_s)} ms,"
        )
        notes.append(
            f"all that a run does takes {_ms(floor.run_s)} ms: {floor.ratio:.2f} times the floor."
        )
    pictures = text.plural(contest.pictures, "same JPEG")
    return Table(
        f"Decoders, 1 worker, {pictures}",
        ("", "read+decode ms", "all ms", "ratio"),
        tuple(rows),
        tuple(notes),
    )


def _scaling(result: Result) -> Table:
    rows = tuple(
        (
            text.plural(step.workers, "worker"),
            text.number(step.images_per_s),
            f"{step.efficiency * step.workers:.2f}",
            f"{step.efficiency:.0%}",
        )
        for step in result.scaling
    )
    cold = result.cold
    warm_share, cold_share = min(1.0, result.warm_cpu_share), min(1.0, cold.cpu_share)
    notes = [
        f"Workers spent {warm_share:.0%} of the time on the processor warm, {cold_share:.0%} cold.",
        f"Cold takes {cold.slowdown:.2f} times as long as warm. {_LIMITS[result.limit]}",
    ]
    if result.warm_cpu_share < BUSY_SHARE:
        notes.append("Even warm they waited: for the cache's disk, or for other programs.")
    return Table("Scaling", ("", "images/s", "speed-up", "efficiency"), rows, tuple(notes))


def _prediction(result: Result) -> Table:
    found = result.prediction
    space = found.space
    need = space.disk_bytes.total
    entries = text.plural(round(space.entries.total), "entry needs", "entries need")
    free = text.size(space.free_bytes)
    notes = [f"{entries} {_about_bytes(space.disk_bytes)} of the cache's disk; {free} are free."]
    if need > space.free_bytes:
        notes.append("That is too little: free some, or move the cache with XDG_CACHE_HOME.")
    return Table(
        "A run over all of it, into an empty cache",
        ("", "time", "give or take", "images/s"),
        (
            ("files in memory", *_times(found.warm_s, result)),
            ("files on disk", *_times(found.cold_s, result)),
            ("start-up, in both", text.duration(found.startup_s), "", ""),
        ),
        tuple(notes),
    )


def _times(found: Estimate, result: Result) -> tuple[str, str, str]:
    share = found.spread / max(found.total, 1e-9)
    made = result.prediction.space.entries.total / len(result.config.work.flavors)
    return (
        text.duration(found.total),
        "" if result.sample.covers else f"{share:.0%}",
        text.number(made / max(found.total, 1e-9)),
    )


def _about_bytes(found: Estimate) -> str:
    return f"{'about ' if found.spread else ''}{text.size(found.total)}"


def _troubles(result: Result) -> Table:
    notes = []
    if result.extras:
        each = ", ".join(f"{text.count(n)} {name}" for name, n in sorted(result.extras.items()))
        notes.append(f"waiting for an extra: {each}; get it with: {printable(result.install)}")
    others = Counter(one.kind for one in result.failures)
    if others:
        each = ", ".join(f"{text.count(n)} {WORDS[kind].label}" for kind, n in others.items())
        notes.append(f"came to nothing: {each}")
    notes += [
        f"  {shown(one.path)}: {printable(one.message)}"
        for one in result.failures[:_FAILURES_SHOWN]
    ]
    hidden = len(result.failures) - _FAILURES_SHOWN
    if hidden > 0:
        notes.append(f"  ... and {text.count(hidden)} more; --json lists all")
    if result.unread:
        notes.append(f"{text.plural(result.unread, 'folder or file')} could not be looked at")
    return Table("Not measured", notes=tuple(notes))


def _ms(seconds: float) -> str:
    value = seconds * 1e3
    return f"{value:.2f}" if value < 1 else f"{value:.1f}"
