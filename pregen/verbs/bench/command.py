"""`pregen bench PATH...`: how fast this collection becomes thumbnails here, and what limits it."""

from __future__ import annotations

import json
import os
import signal
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import click

from pregen.argument_types import raw_bytes
from pregen.commandline import Option, print_lines, print_record, under
from pregen.display.text import cells, shown
from pregen.errors import ExitCode, UsageError
from pregen.options import PATHS, option, options
from pregen.session import ENDINGS, ConfiguredCommand, Session
from pregen.verbs.bench.sample import DEFAULT_SOURCES

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from types import FrameType

    from pregen.verbs.bench.measure import BenchStop
    from pregen.verbs.bench.record import Record
    from pregen.verbs.bench.tables import Table


@click.pass_obj
def _bench(session: Session, /, **values: Any) -> ExitCode:
    """Measure how fast the pictures in PATHs become thumbnails on this machine, and why.

    Draws a sample by format and size, does the real work on it again and again into a cache of
    its own, which is removed at the end, and tells what the whole collection would take. Your own
    cache is not touched. Takes from some seconds to some minutes; measures best when nothing else
    runs.
    """
    return bench_session(session, **values)


bench = ConfiguredCommand(
    "bench",
    callback=_bench,
    params=[
        PATHS,
        *options("include", "exclude", "hidden", "follow-symlinks", "one-file-system"),
        *under(
            "Which files",
            Option(
                ["--sample"],
                metavar="NUMBER",
                type=click.IntRange(1, 100_000),
                default=DEFAULT_SOURCES,
                show_default=True,
                help="At most so many files are measured.",
            ),
            Option(
                ["--seed"],
                metavar="NUMBER",
                type=click.IntRange(0),
                default=0,
                show_default=True,
                debug=True,
                help="Draws another sample; the same number draws the same one.",
            ),
        ),
        option("flavors", heading="How"),
        *options("workers", "decoder", "timeout", "max-pixels"),
        *under(
            "Output",
            option("json", help="Write one JSON object instead of tables."),
            Option(
                ["--save"],
                metavar="FILE",
                type=raw_bytes,
                help="Keep that JSON object in FILE.",
            ),
            Option(
                ["--compare"],
                metavar="FILE",
                type=raw_bytes,
                help="Set the numbers against those that --save kept in FILE.",
            ),
        ),
    ],
    help=_bench.__doc__,
    epilog="Example: pregen bench ~/Pictures",
)


# The tables: with rich on a terminal, as aligned text elsewhere


_GAP = "  "


def print_tables(tables: Sequence[Table], *, rich: bool) -> None:
    """Write tables to standard output."""
    if rich:
        _print_rich(tables)
    else:
        for number, table in enumerate(tables):
            print_lines([""] * bool(number))
            print_lines(plain_lines(table))


def plain_lines(table: Table) -> Iterator[str]:
    """Yield the lines of a table: the first column to the left, the others to the right."""
    yield table.title
    grid = [table.columns, *table.rows] if table.rows else []
    widths = [max(map(cells, column)) for column in zip(*grid, strict=True)]
    for row in grid:
        padded = (
            _padded(cell, width, place)
            for place, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        yield (_GAP + _GAP.join(padded)).rstrip()
    for note in table.notes:
        yield _GAP + note


def _padded(cell: str, width: int, place: int) -> str:
    gap = " " * (width - cells(cell))
    return gap + cell if place else cell + gap


def _print_rich(tables: Iterable[Table]) -> None:
    from rich.box import SIMPLE_HEAD  # noqa: PLC0415 - nobody else shall wait for rich
    from rich.console import Console  # noqa: PLC0415 - likewise
    from rich.padding import Padding  # noqa: PLC0415 - likewise
    from rich.table import Table as RichTable  # noqa: PLC0415 - likewise
    from rich.text import Text  # noqa: PLC0415 - likewise

    console = Console(highlight=False, markup=False, emoji=False)
    for number, table in enumerate(tables):
        if number:
            console.print()
        console.print(Text(table.title, "bold"))
        if table.rows:
            drawn = RichTable(
                box=SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0), header_style="dim"
            )
            for place, column in enumerate(table.columns):
                drawn.add_column(Text(column), justify="right" if place else "left")
            for row in table.rows:
                drawn.add_row(
                    *(Text(cell, "" if place else "cyan") for place, cell in enumerate(row))
                )
            console.print(Padding(drawn, (0, 0, 0, 2), expand=False))
        for note in table.notes:
            console.print(Padding(Text(note), (0, 0, 0, 2), expand=False))


# One call: files, signals, tables


def bench_session(
    session: Session,
    *,
    paths: tuple[bytes, ...],
    sample: int,
    seed: int,
    save: bytes | None,
    compare: bytes | None,
    **values: Any,
) -> ExitCode:
    """Measure and tell.

    Raises:
        PregenError: what ended it before its time; nothing is written then.
    """
    from pregen.verbs.bench import record, tables  # noqa: PLC0415 - no --help needs it
    from pregen.verbs.bench.measure import BenchStop  # noqa: PLC0415 - likewise
    from pregen.verbs.bench.model import BenchConfig  # noqa: PLC0415 - likewise
    from pregen.verbs.bench.passes import run_bench  # noqa: PLC0415 - likewise

    if not paths:
        raise UsageError(
            "name the folders or files to measure, for example: pregen bench ~/Pictures"
        )
    old = _read(compare) if compare is not None else None
    if save is not None:
        _check_writable(save)
    config = session.run_config(values, paths)
    stop = BenchStop()
    with _signals(stop), session.status_line() as say:
        result = run_bench(
            BenchConfig(config.walk, config.work, config.engine, sample, seed),
            stop,
            lambda what: say(f"measuring: {what} ..."),
        )
    new = record.result_record(result)
    if save is not None:
        _save(save, new)
    if values["json"]:
        print_record(
            new if old is None else {**new, "comparison": record.comparison_record(old, new)}
        )
    else:
        compared = [] if old is None else [tables.comparison(old, new)]
        print_tables([*tables.tables(result), *compared], rich=session.is_terminal(sys.stdout))
    return ExitCode.DONE


@contextmanager
def _signals(stop: BenchStop) -> Iterator[None]:
    """Let Ctrl-C and SIGTERM end the bench, which then cleans up; a second one changes nothing."""
    from pregen.engines.base import StopLevel  # noqa: PLC0415 - no --help needs it

    def end(number: int, _frame: FrameType | None) -> None:
        if not stop.level:
            stop.code = ENDINGS[signal.Signals(number)]
        stop.raise_to(StopLevel.KILL)

    old = {number: signal.signal(number, end) for number in ENDINGS}
    try:
        yield
    finally:
        for number, handler in old.items():
            signal.signal(number, handler)


def _read(path: bytes) -> Record:
    """Return an older result."""
    from pregen.verbs.bench import record  # noqa: PLC0415 - no --help needs it

    try:
        with open(path, "rb") as file:
            return record.check(json.load(file))
    except OSError as error:
        raise UsageError(f"{shown(path)} cannot be read: {error.strerror}.") from error
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{shown(path)} is no JSON: name a file made with --save.") from error
    except UsageError as error:
        raise UsageError(f"{shown(path)} {error}") from error


def _check_writable(path: bytes) -> None:
    """Refuse a place for the result before minutes are spent on it."""
    folder = os.path.dirname(path) or b"."
    if os.path.isdir(path) or not os.access(path if os.path.exists(path) else folder, os.W_OK):
        raise UsageError(f"{shown(path)} cannot be written: choose another file for --save.")


def _save(path: bytes, new: Record) -> None:
    try:
        with open(path, "w", encoding="ascii") as file:
            json.dump(new, file, indent=1)
            file.write("\n")
    except OSError as error:
        raise UsageError(f"{shown(path)} cannot be written: {error.strerror}.") from error
