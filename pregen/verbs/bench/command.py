"""`pregen bench PATH...`: how fast this collection becomes thumbnails here, and what limits it."""

from __future__ import annotations

import json
import os
import signal
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import click

from pregen.argument_types import WholeNumber, raw_bytes
from pregen.commandline import Option, print_lines, print_record, under
from pregen.display.text import cells, shown
from pregen.errors import ExitCode, UsageError
from pregen.options import PATHS, option, options
from pregen.session import ENDINGS, ConfiguredCommand, Session
from pregen.verbs.bench.sample import DEFAULT_SOURCES

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from types import FrameType

    from pregen.display.records import Record
    from pregen.pipeline import RunStop
    from pregen.verbs.bench.tables import Table


@click.pass_obj
def _bench(
    session: Session,
    /,
    *,
    paths: tuple[bytes, ...],
    sample: int,
    seed: int,
    save: bytes | None,
    compare: bytes | None,
    share: bool,
    **values: Any,
) -> ExitCode:
    """Measure how fast the pictures in PATHs become thumbnails on this machine, and why.

    Draws a sample by format and size, processes it repeatedly into a temporary cache, and estimates
    the time for the whole collection. For a share (NFS, SMB, sshfs ...) it shows how fast files
    arrive with 1, 2, 4 and 8 readers. Your own cache is not touched. Takes from a few seconds to a
    few minutes; results are best on an idle machine.
    """
    from pregen.pipeline import RunStop  # noqa: PLC0415 - no --help needs it
    from pregen.verbs.bench.comparison import comparison_record  # noqa: PLC0415 - likewise
    from pregen.verbs.bench.passes import run_bench  # noqa: PLC0415 - likewise
    from pregen.verbs.bench.result import result_record  # noqa: PLC0415 - likewise
    from pregen.verbs.bench.tables import tables  # noqa: PLC0415 - likewise

    if not paths:
        raise UsageError(
            "give the folders or files to measure, for example: pregen bench ~/Pictures"
        )
    old = _read(compare) if compare is not None else None
    if save is not None:
        _check_writable(save)
    config = session.run_config(values, paths)
    stop = RunStop()
    with _signals(stop), session.status_line() as say:
        result = run_bench(
            config, sample, seed, stop, lambda what: say(f"measuring: {what} ..."), share=share
        )
    new = result_record(result)
    if save is not None:
        _save(save, new)
    if values["json"]:
        print_record(new if old is None else {**new, "comparison": comparison_record(old, new)})
    else:
        print_lines(table_lines(tables(result, old, new)))
    return ExitCode.DONE


bench = ConfiguredCommand(
    "bench",
    callback=_bench,
    params=[
        PATHS,
        *options("include", "exclude", "hidden", "follow-symlinks", "one-file-system"),
        option("allow-encrypted"),
        *under(
            "Which files",
            Option(
                ["--sample"],
                metavar="NUMBER",
                type=WholeNumber(1, 100_000),
                default=DEFAULT_SOURCES,
                show_default=True,
                help="Measure at most this many files.",
            ),
            Option(
                ["--seed"],
                metavar="NUMBER",
                type=WholeNumber(0),
                default=0,
                show_default=True,
                debug=True,
                help="Draw another sample; the same number draws the same sample.",
            ),
        ),
        *under(
            "How",
            Option(
                ["--share"],
                is_flag=True,
                help="Measure reading as on a network share, also where none is recognised.",
            ),
        ),
        option("flavors"),
        *options("workers", "decoder", "timeout", "max-pixels"),
        *under(
            "Output",
            option("json", help="Write one JSON object instead of tables."),
            Option(
                ["--save"],
                metavar="FILE",
                type=raw_bytes,
                help="Save that JSON object to FILE.",
            ),
            Option(
                ["--compare"],
                metavar="FILE",
                type=raw_bytes,
                help="Compare with the results that --save wrote to FILE.",
            ),
        ),
    ],
    help=_bench.__doc__,
    epilog="Example: pregen bench ~/Pictures",
)


def table_lines(tables: Iterable[Table]) -> Iterator[str]:
    """Yield the lines of tables, the first column to the left and the others to the right."""
    for number, table in enumerate(tables):
        if number:
            yield ""
        yield click.style(table.title, bold=True)
        grid = [table.columns, *table.rows] if table.rows else []
        widths = [max(map(cells, column)) for column in zip(*grid, strict=True)]
        for row in grid:
            gaps = [" " * (width - cells(cell)) for cell, width in zip(row, widths, strict=True)]
            numbers = (f"  {gap}{cell}" for gap, cell in zip(gaps[1:], row[1:], strict=True))
            rest = (gaps[0] + "".join(numbers)).rstrip()
            if row is table.columns:
                yield "  " + click.style(row[0] + rest, dim=True)
            else:
                yield "  " + click.style(row[0], fg="cyan") + rest
        for note in table.notes:
            yield f"  {note}"


@contextmanager
def _signals(stop: RunStop) -> Iterator[None]:
    """Let Ctrl-C and SIGTERM end the bench, which then cleans up; a second one changes nothing."""
    from pregen.engines.base import StopLevel  # noqa: PLC0415 - no --help needs it

    def end(number: int, _frame: FrameType | None) -> None:
        if not stop.is_set():
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
    from pregen.verbs.bench.comparison import check  # noqa: PLC0415 - no --help needs it

    try:
        with open(path, "rb") as file:
            return check(json.load(file))
    except OSError as error:
        raise UsageError(f"{shown(path)} cannot be read: {error.strerror}.") from error
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{shown(path)} is not JSON: give a file written by --save.") from error
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
