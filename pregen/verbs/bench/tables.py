"""A result as tables for people. Pure; how a table is drawn is the command's affair."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, NamedTuple

from pregen.display import text
from pregen.display.text import printable, shown
from pregen.display.words import JPEG_DECODERS, JPEG_WORDS, label
from pregen.installation import install_command
from pregen.verbs.bench import comparison
from pregen.verbs.bench.result import Limit
from pregen.verbs.bench.stats import BUSY_SHARE

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pregen.display.records import Record
    from pregen.verbs.bench.result import (
        BenchResult,
        Contest,
        Estimate,
        Floor,
        Group,
        ShareResult,
    )

#: More failures than this are for `--json`.
_FAILURES_SHOWN = 5
#: Above this share of pages in memory, cold is not cold.
_STAYED = 0.05

_LIMITS = {
    Limit.CPU: "The processor limits: a faster disk would hardly help.",
    Limit.DISK: "The disk limits: more cores would hardly help.",
    Limit.BOTH: "Both disk and processor limit it.",
}


class Table(NamedTuple):
    """Rows under a title; the first column is text, the others are numbers."""

    title: str
    columns: tuple[str, ...] = ()
    rows: tuple[tuple[str, ...], ...] = ()
    notes: tuple[str, ...] = ()
    """Lines below the rows."""


def tables(result: BenchResult, old: Record | None, new: Record) -> Iterator[Table]:
    """Yield what people read, the verdict last.

    Args:
        result: What was measured.
        old: The record of an earlier bench to compare with.
        new: `result` as a record.
    """
    yield _about(result)
    yield from map(_share, result.shares)
    yield _speeds(result)
    yield _stages(result)
    if result.decoders:
        yield _contest(result.decoders, result.floor)
    yield _scaling(result)
    notes = tuple(_troubles(result))
    if notes:
        yield Table("Not measured", notes=notes)
    yield _prediction(result)
    if old is not None:
        yield _compared(old, new)
    yield Table(_verdict(result))


def _verdict(result: BenchResult) -> str:
    found = result.prediction
    warm, cold = (text.duration(each.total) for each in (found.warm, found.cold))
    times = f"{cold} from the disk" if warm == cold else f"{cold} from the disk, {warm} from memory"
    return f"A run over all files takes about {times}. {_LIMITS[result.limit]}"


def _compared(old: Record, new: Record) -> Table:
    """Return old numbers against new ones."""
    rows = tuple(
        (row.name, text.number(row.old), text.number(row.new), f"{row.ratio:.2f}", _better(row))
        for row in comparison.rows(old, new)
    )
    warnings = tuple(f"not the same {printable(each)}" for each in comparison.warnings(old, new))
    return Table("Compared", ("", "old", "new", "ratio", ""), rows, warnings)


def _better(row: comparison.Row) -> str:
    if abs(row.gain - 1) < comparison.SAME:
        return ""
    return "better" if row.gain > 1 else "worse"


def _about(result: BenchResult) -> Table:
    sample, library, machine = result.sample, result.library, result.machine
    roots = ", ".join(shown(root) for root in result.roots)
    drawn = "all files" if sample.covers else f"a sample of {text.count(sample.sources)}"
    return Table(
        f"{roots}: {text.plural(library.sources, 'file')}, {text.size(library.bytes)}",
        notes=(
            f"measured {drawn}; pregen {machine.pregen}, Python {machine.python}",
            f"{printable(machine.cpu)}, {text.plural(machine.cores, 'core')}",
        ),
    )


def _share(share: ShareResult) -> Table:
    rows = tuple(
        (
            text.plural(step.readers, "reader"),
            text.count(step.files),
            text.number(step.size_bytes / 1e6),
            text.number(step.bytes_per_s / 1e6),
        )
        for step in share.steps
    )
    notes = []
    if share.opening_s is not None:
        notes.append(
            f"The first byte of a file arrives {_ms(share.opening_s)} ms after it is opened."
        )
    if share.readers:
        readers = text.plural(share.readers, "reader")
        link, processors = (text.about(each.total) for each in (share.link, share.processors))
        notes += [
            f"For all files the link needs {link} with {readers}, the processors {processors}.",
            "A run takes at least the longer of the two, and less where stored previews suffice.",
            "The figures below include reading from the share, with nothing cached here.",
        ]
    files, size = text.plural(share.sources, "file"), text.size(share.library_bytes)
    title = f"The share {shown(share.point)} ({printable(share.kind)}): {files}, {size}"
    return Table(title, ("", "files", "MB", "MB/s"), rows, tuple(notes))


def _speeds(result: BenchResult) -> Table:
    groups = [("all", result.warm.group), *_labelled(result), ("all, cold", result.cold.group)]
    rows = tuple(
        (
            name,
            text.count(group.pictures),
            text.number(group.images_per_s),
            text.number(group.pixels_per_s / 1e6),
            text.number(group.bytes_per_s / 1e6),
            _ms(group.picture_s),
        )
        for name, group in groups
    )
    workers = text.plural(result.settings.workers, "worker")
    stayed = (
        f"This file system kept {result.cold.resident_share:.0%} of the files in memory "
        "although asked not to: the cold figures are too good."
    )
    return Table(
        f"Speed, {workers}",
        ("", "pictures", "images/s", "Mpx/s", "MB/s", "ms each"),
        rows,
        (
            *([JPEG_WORDS] if any(each.loader in JPEG_DECODERS for each in result.loaders) else []),
            *([stayed] if result.cold.resident_share > _STAYED else []),
        ),
    )


def _labelled(result: BenchResult) -> list[tuple[str, Group]]:
    return [
        (f"{group.loader} {printable(group.mime.rpartition('/')[2].removeprefix('x-'))}", group)
        for group in result.loaders
    ]


def _stages(result: BenchResult) -> Table:
    named = _labelled(result)
    if len(named) != 1:  # else it would say the same
        named.append(("all", result.warm.group))
    named.append(("all, cold", result.cold.group))
    rows = tuple((name, *_shares(group)) for name, group in named)
    columns = ("", *result.warm.group.stages_s, "rest")
    return Table("Stages, ms per picture and share", columns, rows)


def _shares(group: Group) -> Iterator[str]:
    """Yield a cell for each stage, and one for all that is none: opening, messages, waiting."""
    spent_s = list(group.stages_s.values())
    spent_s.append(max(0.0, group.picture_s - sum(spent_s)))
    total_s = max(sum(spent_s), 1e-9)
    for each_s in spent_s:
        yield f"{_ms(each_s)} {each_s / total_s:3.0%}"


def _contest(contest: Contest, floor: Floor | None) -> Table:
    notes: tuple[str, ...] = ()
    if floor is not None:
        floor_ms, run_ms = _ms(floor.floor_s), _ms(floor.picture_s)
        decode = "the floor (libjpeg-turbo's reduced decode, nothing else)"
        notes = (
            f"With all workers {decode} takes {floor_ms} ms,",
            f"a whole run takes {run_ms} ms: {floor.ratio:.2f} times the floor.",
        )
    return Table(
        f"Decoders, 1 worker, each with the same {text.plural(contest.pictures, 'JPEG')}",
        ("", "read+decode ms", "all ms", "ratio"),
        tuple(
            (one.name, _ms(one.decode_s), _ms(one.picture_s), f"{one.ratio:.2f}")
            for one in contest.each
        ),
        notes,
    )


def _scaling(result: BenchResult) -> Table:
    rows = tuple(
        (
            text.plural(step.workers, "worker"),
            text.number(step.images_per_s),
            f"{step.efficiency * step.workers:.2f}",
            f"{step.efficiency:.0%}",
        )
        for step in result.scaling
    )
    warm, cold = result.warm, result.cold
    warm_share, cold_share = min(1.0, warm.cpu_share), min(1.0, cold.cpu_share)
    notes = [
        f"Workers used the processor {warm_share:.0%} of the time warm, {cold_share:.0%} cold.",
        f"Cold takes {cold.slowdown:.2f} times as long as warm.",
    ]
    if warm.cpu_share < BUSY_SHARE:
        notes.append(
            "Even with files in memory the workers waited: for the cache's disk, or for other "
            "programs."
        )
    return Table("Scaling", ("", "images/s", "speed-up", "efficiency"), rows, tuple(notes))


def _prediction(result: BenchResult) -> Table:
    found = result.prediction
    need = found.disk_bytes
    entries = text.plural(round(found.entries.total), "thumbnail needs", "thumbnails need")
    room = f"{'about ' if need.plus_minus else ''}{text.size(need.total)}"
    free = text.size(found.free_bytes)
    notes = [f"{entries} {room} of the cache's disk; {free} are free."]
    if need.total > found.free_bytes:
        notes.append("That is not enough: free some space, or choose another cache with --cache.")
    return Table(
        "A run over all files, into an empty cache",
        ("", "time", "+/-", "images/s"),
        (
            ("files in memory", *_times(found.warm, result)),
            ("files on disk", *_times(found.cold, result)),
            ("start-up, in both", text.duration(found.startup_s), "", ""),
        ),
        tuple(notes),
    )


def _times(found: Estimate, result: BenchResult) -> tuple[str, str, str]:
    share = found.plus_minus / max(found.total, 1e-9)
    made = result.prediction.entries.total / len(result.settings.flavors)
    return (
        text.duration(found.total),
        "" if result.sample.covers else f"{share:.0%}",
        text.number(made / max(found.total, 1e-9)),
    )


def _troubles(result: BenchResult) -> Iterator[str]:
    sample = result.sample
    if sample.needs_extra:
        each = ", ".join(
            f"{text.count(n)} {name}" for name, n in sorted(sample.needs_extra.items())
        )
        install = printable(install_command(sample.needs_extra))
        yield f"needs an extra: {each}; install with: {install}"
    kinds = Counter(one.kind for one in sample.failures)
    if kinds:
        each = ", ".join(f"{text.count(n)} {label(kind)}" for kind, n in kinds.items())
        yield f"no result: {each}"
    for one in sample.failures[:_FAILURES_SHOWN]:
        yield f"  {shown(one.path)}: {printable(one.message)}"
    hidden = len(sample.failures) - _FAILURES_SHOWN
    if hidden > 0:
        yield f"  ... and {text.count(hidden)} more; --json lists all"
    unreadable = result.library.unreadable
    if unreadable:
        yield f"{text.plural(unreadable, 'folder or file')} could not be read"


def _ms(seconds: float) -> str:
    value = seconds * 1e3
    return f"{value:.2f}" if value < 1 else f"{value:.1f}"
